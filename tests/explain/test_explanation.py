"""An Explanation: its views, its text, its files, and what it says of functions that cannot be explained."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn
from boxgrad.explain.explanation import ENDINGS

X = np.array([[0.42, -1.15, 0.73], [1.28, 0.36, -0.54], [-0.87, 0.61, 1.09]])
W = np.array([[0.94, -0.58], [-0.31, 1.22], [0.67, -0.46]])


def loss(X, W):
    N = X @ W
    S = 1 / (1 + np.exp(-N))
    L = np.sum(S)
    return L


@pytest.fixture(scope="module")
def explanation():
    return bg.explain(loss, X, W)


# ---- the name
@pytest.mark.parametrize(
    "statements",
    [
        "import boxgrad as bg; import boxgrad.explain.math",
        "import boxgrad.explain; import boxgrad as bg",
        "from boxgrad.explain import boxes; import boxgrad as bg",
        "import boxgrad as bg; bg.explain; import boxgrad.explain.boxes",
        "import boxgrad as bg; from boxgrad.explain.explanation import modelled",
    ],
)
def test_explain_is_the_function_whatever_is_imported_first(statements):
    check = f"{statements}\nprint(type(bg.explain).__name__, 'boxgrad.explain' in __import__('sys').modules)"
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["function", "True"]


def test_importing_boxgrad_does_not_load_the_views():
    check = "import sys, boxgrad; print([name for name in sys.modules if name.startswith('boxgrad.explain')])"
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# ---- what can be explained
def test_the_terminal_shows_definitions_chain_rule_and_code(explanation):
    text = str(explanation)
    assert text.startswith("loss(X, W)\n══════════\n")
    for line in ("N = X W", "∂L/∂X = ∂L/∂N · Wᵀ", "∂L/∂W = Xᵀ · ∂L/∂N", "def backward(saved):"):
        assert line in text
    assert text.index("Forward") < text.index("Backward") < text.index("def forward")


def test_the_code_of_an_explanation_gives_the_gradients(explanation):
    value, (dX, dW) = bg.value_and_grad(loss, argnums=(0, 1))(X, W)
    found, gradients = explanation.code.run()
    assert found == value
    np.testing.assert_allclose(gradients["X"], dX, rtol=1e-12)
    np.testing.assert_allclose(gradients["W"], dW, rtol=1e-12)


@pytest.mark.parametrize("wrap", [bg.boxed, bg.compile], ids=["boxed", "compiled"])
def test_wrapped_functions_are_explained_as_what_they_wrap(wrap):
    found = bg.explain(wrap(loss), X, W)
    assert found.title == "loss(X, W)"
    assert [value.name for value in found.model.inputs] == ["X", "W"]
    assert found.model.output.name == "L"


def test_a_module_is_an_argument_of_its_loss():
    def error(model, x, y):
        return nn.mse(model(x), y)

    found = bg.explain(error, nn.Linear(3, 2), X.astype(np.float32), W[:, :2].astype(np.float32))
    assert {"weight", "bias"} <= {value.name for value in found.model.wrt}
    assert found.title == "error(model, x, y)"


def test_wrt_chooses_the_gradients():
    assert [value.name for value in bg.explain(loss, X, W, wrt="W").model.wrt] == ["W"]
    assert [value.name for value in bg.explain(loss, X, W, wrt=0).model.wrt] == ["X"]


def test_views_are_made_once(explanation):
    assert explanation.math is explanation.math
    assert explanation.code is explanation.code
    assert explanation.diagram is explanation.diagram


def test_chinese_words():
    text = str(bg.explain(loss, X, W, lang="zh"))
    assert "前向" in text
    assert "反向" in text


# ---- files
@pytest.mark.parametrize(
    ("ending", "mark"),
    [
        (".html", "<!doctype html>"),
        (".svg", "<svg"),
        (".tex", "\\documentclass"),
        (".py", "def backward"),
        (".md", "```mermaid"),
        (".dot", "digraph"),
    ],
)
def test_the_ending_says_what_is_saved(explanation, tmp_path, ending, mark):
    path = explanation.save(tmp_path / f"inner/loss{ending}")
    assert mark in path.read_text(encoding="utf-8")
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_every_ending_is_tested():
    assert set(ENDINGS) == {".html", ".svg", ".tex", ".py", ".md", ".dot"}


def test_another_ending_is_refused_and_nothing_is_written(explanation, tmp_path):
    with pytest.raises(ValueError, match=r"\.html, \.svg, \.tex, \.py, \.md, \.dot") as caught:
        explanation.save(tmp_path / "loss.pdf")
    assert "instead: explanation.save('loss.html')" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(explanation, tmp_path, monkeypatch):
    path = tmp_path / "loss.py"
    path.write_text("before")

    def fail(*_):
        raise OSError("no room")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no room"):
        explanation.save(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_notebooks_get_formulas_diagram_and_code(explanation):
    found = explanation._repr_html_()
    assert "<svg" in found
    assert "<math" in found
    assert "def backward" in found
    assert "<script" not in found
    assert explanation._repr_latex_().startswith("$$")


# ---- functions that cannot be explained
def test_a_function_that_returns_an_array():
    def f(X, W):
        N = X @ W
        return np.tanh(N)

    with pytest.raises(bg.DerivativeError) as caught:
        bg.explain(f, X, W)
    text = str(caught.value)
    assert "returns f64[3,2]" in text
    assert "test_explanation.py" in text
    assert "np.sum" in text
    assert "so far:  N (3×2) = X (3×3) @ W (3×2)" in text
    assert "<svg" in caught.value.explanation.diagram.svg


def test_shapes_that_do_not_fit_show_the_boxes_before(tmp_path):
    def f(X, W, V):
        N = X @ W
        S = np.tanh(N)
        Q = S @ V
        return np.sum(Q)

    with pytest.raises(bg.ShapeError) as caught:
        bg.explain(f, X, W, W)
    text = str(caught.value)
    assert re.search(r"where: +test_explanation\.py:\d+, in f: Q = S @ V", text)
    assert "✗ S (3×2) @ W (3×2)" in text or "✗ S (3×2) @ V (3×2)" in text
    partial = caught.value.explanation
    assert partial.model.boxes[-1].kind == "failed"
    page = partial.save(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "cannot be computed" in page
    assert "failed" in page


def test_an_argument_that_is_not_used_is_said():
    found = bg.explain(lambda X, W: np.sum(W**2), X, W)
    assert "L does not depend on X" in str(found)
    assert found.notes("zh") == ["L 不依赖于 X：它的梯度处处为 0。"]


def test_a_cut_path_is_said():
    found = bg.explain(lambda X, W: np.sum(bg.stop_gradient(X) @ W), X, W)
    assert found.notes() == ["X is used, but no gradient reaches it: every path from L back to X is cut."]


def test_a_branch_on_a_value_is_followed_and_said():
    def f(x):
        if x > 0:
            return x * x
        return -x

    up, down = bg.explain(f, 1.5), bg.explain(f, -1.5)
    assert "asks for a number (test_explanation.py:" in up.notes()[0]
    assert up.code.run()[1]["x"] == 3.0
    assert down.code.run()[1]["x"] == -1.0
    assert bg.explain(loss, X, W).notes() == []


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: bg.explain(loss), bg.DerivativeError, "without arguments"),
        (lambda: bg.explain(loss, X), bg.TraceError, "missing a required argument: 'W'"),
        (lambda: bg.explain(lambda x: x * 2, 3), bg.DerivativeError, "3.0 instead of 3"),
        (lambda: bg.explain(np.sum, np.arange(3)), bg.DerivativeError, "without a real argument"),
        (lambda: bg.explain(nn.Linear(2, 2)), bg.DerivativeError, "without arguments"),
        (lambda: bg.explain(3.0, X), bg.TraceError, "only a function can be explained"),
        (lambda: bg.explain(loss, X, W, wrt="Q"), bg.DerivativeError, "'Q'"),
        (lambda: bg.explain(loss, X, W, lang="fr"), bg.TraceError, "lang='en' or lang='zh'"),
    ],
    ids=["no arguments", "too few", "integer", "integers", "module", "number", "wrt", "language"],
)
def test_what_else_is_refused(call, error, words):
    with pytest.raises(error, match=re.escape(words)):
        call()


def test_a_failure_within_the_users_own_code_is_theirs():
    def f(x):
        return x * (1 / len([]))

    with pytest.raises(ZeroDivisionError):
        bg.explain(f, 1.0)


# ---- results of one element, and the forward pass alone
def test_a_product_of_a_row_and_a_column_has_transposes_as_derivatives():
    def dot(X, W):
        N = X @ W
        return N

    row, column = X[:1], W[:, :1]
    found = bg.explain(dot, row, column)
    backward = [line.text for line in found.math.section("backward")]
    assert backward == ["∂N/∂N = 1", "∂N/∂X = Wᵀ", "∂N/∂W = Xᵀ"]
    result, gradients = found.code.run()
    assert result == row @ column
    np.testing.assert_array_equal(gradients["X"], column.T)
    np.testing.assert_array_equal(gradients["W"], row.T)
    assert found.model.inputs[0].gradient.value.shape == (1, 3)


def test_the_forward_pass_alone_of_a_result_of_any_shape():
    def sigma(X, W):
        N = X @ W
        S = np.tanh(N)
        return S

    found = bg.explain(sigma, X, W, wrt=())
    assert {name for name, *_ in found.math.sections()} <= {"forward", "functions", "expanded", "numbers"}
    assert "′" not in found.math.text
    assert "backward" not in found.code.source
    result, gradients = found.code.run()
    np.testing.assert_array_equal(result, np.tanh(X @ W))
    assert gradients == {}
    assert "∂" not in found.diagram.svg
    assert "<title>sigma(X, W), three ways</title>" in found.page


# ---- linear algebra, complex numbers, transforms, special functions
BEYOND = {
    "solve": lambda A, v: v @ np.linalg.solve(A @ A.T, v) + np.linalg.slogdet(A)[1],
    "eigh": lambda A, v: np.sum(np.linalg.eigh(A + A.T)[1] @ v) + np.linalg.det(A),
    "svd": lambda A, v: np.linalg.norm(A, "nuc") + np.sum(np.linalg.qr(A)[1] @ v),
    "complex": lambda A, v: np.sum(np.abs(np.exp(1j * v) + A)),
    "fft": lambda A, v: np.sum(np.abs(np.fft.fft(v)) ** 2) + np.sum(A),
    "median": lambda A, v: np.median(A) * np.sum(v),
}


@pytest.mark.parametrize("name", BEYOND)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_view_of_what_is_not_elementary(name, lang, tmp_path):
    A, v = np.array([[2.0, 0.3], [0.1, 3.0]]), np.array([1.0, 2.0])
    page = bg.explain(BEYOND[name], A, v, lang=lang)
    assert "∂" in str(page)
    page.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 10_000

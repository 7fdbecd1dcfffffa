"""``boxgrad check``: functions, formulas and files of them; exit codes; what it says, in two languages."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from boxgrad.cli import app

SOURCE = """
import numpy as np

def loss(X, W):
    N = X @ W
    S = 1 / (1 + np.exp(-N))
    L = np.sum(S)
    return L

def good(X, W):
    S = 1 / (1 + np.exp(-(X @ W)))
    dN = S * (1 - S)
    return dN @ W.T, X.T @ dN

def doubled(X, W):
    dX, dW = good(X, W)
    return dX, 2 * dW

def crash(X, W):
    return X @ W @ W

def forward(X, W):
    S = 1 / (1 + np.exp(-(X @ W)))
    return np.sum(S), (X, W, S)

def backward(saved):
    X, W, S = saved
    return {"X": (S * (1 - S)) @ W.T, "W": X.T @ (S * (1 - S))}

def noisy(X, W):
    return np.sum(X @ W) * np.random.rand()

def array(X, W):
    return X @ W
"""
NOTES = r"""
\begin{align}
\frac{\partial \Lambda}{\partial u}(X) &= \frac{\partial \Lambda}{\partial u}(S) \times
  \frac{\partial \sigma}{\partial u}(N) X^T \\
\frac{\partial \Lambda}{\partial u}(W) &= X^T \left( \frac{\partial \Lambda}{\partial u}(S) \times
  \frac{\partial \sigma}{\partial u}(N) \right)
\end{align}
"""
SHAPES = ("--shape", "X=3x3", "--shape", "W=3x2")


@pytest.fixture
def source(tmp_path):
    (tmp_path / "chapter.py").write_text(SOURCE)
    (tmp_path / "notes.tex").write_text(NOTES)
    return str(tmp_path / "chapter.py")


def run(*arguments: str):
    return CliRunner().invoke(app, ["check", *arguments])


@pytest.mark.parametrize(
    "mine",
    [
        "chapter.py:good",
        ":good",
        "good",
        "backward",
        "dL/dX = (dL/dS * S * (1 - S)) @ W.T",
        "∂L/∂W = Xᵀ ∂L/∂N",
    ],
)
def test_right_gradients_end_with_0(source, mine):
    mine = mine.replace("chapter.py", source)
    found = run(f"{source}:loss", mine, *SHAPES)
    assert found.exit_code == 0, found.output
    assert "loss(X, W): the gradient is right" in found.output


@pytest.mark.parametrize(
    ("mine", "words"),
    [
        ("doubled", ["wrong in ∂L/∂W", "twice", "chapter.py:5"]),
        ("crash", ["raises", "crash raised ValueError", "return X @ W @ W"]),
        (
            "dL/dX = (dL/dS * S * (1 - S)) @ X.T",
            ["the last factor must be W.T", "dL/dX = (dL/dS * S * (1 - S)) @ W.T"],
        ),
        ("∂L/∂X = ∂L/∂N W", ["transposed", "the last factor must be Wᵀ"]),
    ],
)
def test_wrong_gradients_end_with_1(source, mine, words):
    found = run(f"{source}:loss", mine, *SHAPES)
    assert found.exit_code == 1, found.output
    for word in words:
        assert word in found.output
    assert "Traceback" not in found.output


def test_a_file_of_formulas_in_chinese_and_its_page(source, tmp_path):
    page = tmp_path / "pages" / "verdict.html"
    found = run(f"{source}:loss", str(tmp_path / "notes.tex"), *SHAPES, "--lang", "zh", "--html", str(page))
    assert found.exit_code == 1, found.output
    assert "最后一个因子应为 Wᵀ；X 为 3×3，W 为 3×2，形状都不相配" in found.output
    text = page.read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in text
    assert "最后一个因子应为 Wᵀ" in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_only_one_argument(source):
    found = run(f"{source}:loss", "dN @ W.T", *SHAPES, "--wrt", "X")
    assert found.exit_code == 0, found.output
    found = run(f"{source}:loss", "doubled", *SHAPES, "--wrt", "X")
    assert found.exit_code == 0, found.output


def test_without_a_gradient_boxgrads_own_is_checked(source):
    found = run(f"{source}:loss", *SHAPES)
    assert found.exit_code == 0, found.output
    assert "complex step" in found.output
    assert "复数步长法" in run(f"{source}:loss", *SHAPES, "--lang", "zh").output


@pytest.mark.parametrize(
    ("target", "mine", "options", "words", "zh"),
    [
        (":loss", "dL/dX = Q", SHAPES, ["there is no Q", "^"], "函数里没有 Q"),
        (":loss", "dN @ W.T", SHAPES, ["of what it is the gradient"], "没有说是哪个量的梯度"),
        (":noisy", "good", SHAPES, ["cannot tell"], "无法判断"),
        (":noisy", None, SHAPES, ["another value at each call"], "每次调用"),
        (":los", "good", SHAPES, ["has no function los", "loss, good"], "没有函数 los"),
        (":loss", "goood", SHAPES, ["has no function goood"], "没有函数 goood"),
        (":loss", "good", ("--shape", "X=3x3"), ["the parameter W of loss"], "没有说明 loss 的参数 W"),
        (":loss", "good", (*SHAPES, "--shape", "Q=3"), ["no parameter Q"], "没有参数 Q"),
        (":loss", "good", (*SHAPES, "--shape", "X=abc"), ["X=abc is not a shape"], "不是形状"),
        (":loss", "good", ("--value", "X=spam", "--shape", "W=2"), ["X=spam is not a number"], "不是数"),
        (":loss", "good", ("--shape", "3x3"), ["--shape 3x3 cannot be read"], "读不懂"),
        (":loss", "none.tex", SHAPES, ["there is no file none.tex"], "没有文件 none.tex"),
        (":loss", "good", (*SHAPES, "--wrt", "Q"), ["'Q'"], "'Q'"),
        (":loss", "good", (*SHAPES, "--html", "page.pdf"), ["--html page.html"], "page.html"),
        (":array", "good", SHAPES, ["returns f64[3,2]"], "f64[3,2]"),
        ("", "good", SHAPES, ["neither FILE.py:FUNCTION nor a formula"], "既不是"),
    ],
)
def test_what_cannot_be_told_ends_with_2(source, target, mine, options, words, zh):
    given = [source + target, *([mine] if mine else []), *options]
    found = run(*given)
    assert found.exit_code == 2, found.output
    for word in words:
        assert word in found.output
    assert "Traceback" not in found.output
    assert zh in run(*given, "--lang", "zh").output

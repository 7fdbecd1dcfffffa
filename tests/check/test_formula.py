"""Formulas in code, as printed mathematics and in LaTeX: what is read, how, and what is refused."""

from __future__ import annotations

import sys
import time
from importlib import util
from pathlib import Path

import numpy as np
import pytest
from formula_subjects import FAN, LAYER, claimed, right

import boxgrad as bg
from boxgrad.check.claim import ClaimProblem
from boxgrad.check.formula import formula_claim
from boxgrad.check.subject import Subject


def _cases():
    """The functions that every view of an explanation is tested with."""
    path = Path(__file__).parents[1] / "explain" / "functions.py"
    spec = util.spec_from_file_location("functions_of_explain", path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.cases()


CODE = [
    "dL/dX = (dL/dS * dsigma(N)) @ W.T",
    "dL/dX = (dL/dS * S * (1 - S)) @ W.T",
    "dL/dX = dL/dS * S * (1 - S) @ W.T",
    "dL/dX = np.dot(dL/dN, W.T)",
    "dL_dX = dL_dN @ np.transpose(W)",
    "dX = dN.dot(W.T)",
    "grad_X = grad_N @ W.T",
    "dL/dX = (dsigmoid(X @ W)) @ W.T",
    "dL/dX = np.multiply(dL/dS, sigmoid(N) - sigmoid(N)**2) @ W.T",
    "dL/dX = dL/dS * dS/dN * dN/dX",
    "dL/dX = (np.exp(-N) / (1 + np.exp(-N))**2) @ W^T",
    "dL/dX = np.ones((3, 2)) * S * (1 - S) @ W.T",
    "dL/dX = np.ones_like(S) * S * (1 - S) @ W.T",
    "dN = dS * S * (1 - S)\ndX = dN @ W.T\ndW = X.T @ dN",
    "delta = dL/dS * dsigma(N)\ndL/dX = delta @ W.T; dL/dW = X.T @ delta  # both",
    "dL/dX = (dL/dN\n    @ W.T)",
    "dL/dX = dL/dN @ W.swapaxes(0, 1)",
]
TEXT = [
    "∂L/∂X = (∂L/∂S ⊙ σ′(N)) Wᵀ",
    "∂L/∂X = ∂L/∂S × σ′(N) · Wᵀ",
    "∂L/∂X = σ′(XW)Wᵀ",
    "∂L/∂X = ∂L/∂S · ∂S/∂N · ∂N/∂X",
    "∂L/∂xᵢⱼ = Σₖ ∂L/∂nᵢₖ wⱼₖ",
    "∂L/∂x_ij = Σ_k ∂L/∂N_ik W_jk",
    "∂L/∂X = ∂L/∂N Wᵀ = (∂L/∂S ⊙ S ⊙ (1 − S)) Wᵀ",
    "dL/dX = (dL/dS * sigma'(N)) W^T",
    "dX = dN W^T",
    "∇_X L = ∇_N L · W⊤",
    "δ = ∂L/∂S ⊙ σ'(N)\n∂L/∂X = δ Wᵀ",
    "∂L/∂X = ∂L/∂N · Wᵀ。",
    "σ′(N) = S ⊙ (1 − S)\n∂L/∂X = (∂L/∂S ⊙ σ′(N)) Wᵀ",
]
LATEX = [
    r"\frac{\partial L}{\partial X} = \frac{\partial L}{\partial S} \times "
    r"\frac{\partial \sigma}{\partial u}(N) W^T",
    r"\frac{\partial \Lambda}{\partial u}(X) = \frac{\partial \Lambda}{\partial u}(S) \times "
    r"\frac{\partial \sigma}{\partial u}(N) W^T",
    r"\frac{\partial \Lambda}{\partial u}(W) = X^T \frac{\partial \Lambda}{\partial u}(S) \times "
    r"\frac{\partial \sigma}{\partial u}(N)",
    r"\frac{\partial \Lambda}{\partial u}(X) = \frac{\partial \Lambda}{\partial u}(S) \times "
    r"\frac{\partial \sigma}{\partial u}(N) \times \frac{\partial \nu}{\partial X}(X, W)",
    r"\frac{dL}{dW} = X^{\top} \left( \frac{dL}{dS} \odot \sigma'(N) \right)",
    r"\dfrac{\mathrm{d}L}{\mathrm{d}\mathbf{W}} = "
    r"\mathbf{X}^{\mathrm T}\,\frac{\mathrm{d}L}{\mathrm{d}\mathbf{N}}",
    r"$$\frac{\partial J}{\partial \boldsymbol{X}} = "
    r"\boldsymbol{\sigma}'(\boldsymbol{X}\boldsymbol{W})\boldsymbol{W}^\intercal$$",
    r"\frac{\partial L}{\partial W_{ij}} = \sum_{k=1}^{3} X_{ki} \frac{\partial L}{\partial N_{kj}}",
    r"\nabla_W L = X^\top \nabla_N L",
    r"\frac{\partial L}{\partial X} = \frac{\partial L}{\partial N} \cdot W^{T}",
    r"\frac{\partial L}{\partial X} = \mathbf{1}_{3 \times 2} \odot \frac{e^{-N}}{(1 + e^{-N})^2} W^T",
    r"\frac{\partial L}{\partial X} = \frac{\partial L}{\partial S} \odot \text{sigmoid}'(N) W^{\mathsf{T}}",
    r"\begin{align*} \frac{\partial L}{\partial X} &= \frac{\partial L}{\partial N} W^T \\"
    r" &= \left( \frac{\partial L}{\partial S} \odot \sigma'(N) \right) W^T \end{align*}",
    r"\frac{\partial L}{\partial W} = \begin{bmatrix} \frac{\partial L}{\partial w_{11}} & "
    r"\frac{\partial L}{\partial w_{12}} \\ \frac{\partial L}{\partial w_{21}} & "
    r"\frac{\partial L}{\partial w_{22}}"
    r" \\ \frac{\partial L}{\partial w_{31}} & \frac{\partial L}{\partial w_{32}} \end{bmatrix}",
]
OF_A_LAYER = [
    "dL/db = dL/dN.sum(0)",
    "dL/db = np.sum(dL/dN, axis=0)",
    "∂L/∂b = Σᵢ ∂L/∂N",
    "∂L/∂b = Σᵢ (∂L/∂N)_{i,:}",
    r"\frac{\partial L}{\partial b_j} = \sum_i \frac{\partial L}{\partial N_{ij}}",
    r"\frac{\partial L}{\partial b} = \sum_{i} \frac{\partial L}{\partial N}",
    "dL/dE = 2 * E / E.size",
    "dL/dE = 2 * E / (len(X) * Y.shape[1])",
    "dL/dS = 2/35 * (S - Y)",
    "∂L/∂Y = −∂L/∂S",
    "dL/dW = X.T @ (2/35 * (S - Y) * (1 - S**2))",
    r"\frac{\partial L}{\partial W} = \frac{2}{5 N} X^\top \left( (S - Y) \odot (1 - S^2) \right)",
    "∂L/∂N = ∂L/∂S ⊙ tanh′(N)",
    "∂L/∂N = ∂L/∂S ⊙ f′(N)",
    "∂L/∂N = ∂L/∂S ⊙ (1 − tanh²(N))",
]


@pytest.mark.parametrize("text", [*CODE, *TEXT, *LATEX])
def test_right_formulas_are_right(text):
    assert right(text)


@pytest.mark.parametrize("text", OF_A_LAYER)
def test_sums_means_and_slopes(text):
    assert right(text, LAYER)


def test_gradients_at_a_point_are_the_numbers_of_the_formula():
    X, W = np.array([[1.0, 2.0, 3.0]] * 3) / 7, np.array([[1.0, -1.0], [0.5, 2.0], [0.0, 1.0]])
    S = 1 / (1 + np.exp(-(X @ W)))
    claim = claimed("dL/dX = (dL/dS * dsigma(N)) @ W.T\ndL/dW = X.T @ S")
    assert claim.arguments == ("X", "W")
    gradients = claim.gradients((X, W))
    np.testing.assert_allclose(gradients["X"], (S * (1 - S)) @ W.T, rtol=1e-12)
    np.testing.assert_allclose(gradients["W"], X.T @ S, rtol=1e-12)


def test_other_sizes_are_computed_with_other_sizes():
    random = np.random.default_rng(0)
    args = (random.normal(size=(2, 4)), random.normal(size=(4, 3)), np.zeros(3), np.zeros((2, 3)))
    claim = claimed("dL/db = dL/dN.sum(0)", LAYER)
    assert not claim.sized
    wanted = bg.grad(LAYER.function, argnums=2)(*args)
    np.testing.assert_allclose(claim.gradients(args)["b"], wanted, rtol=1e-12)
    assert claimed("dL/dE = 2 * E / 35", LAYER).sized


def test_a_formula_without_a_left_side_is_that_of_the_one_argument():
    assert right("dN @ W.T", chosen=("X",))
    with pytest.raises(ClaimProblem, match="instead: dL/dX"):
        claimed("dN @ W.T", chosen=("X", "W"))


def test_it_says_how_an_ambiguous_formula_was_read():
    square = Subject(lambda A, B: np.sum(np.sin(A @ B)), (np.eye(3) + 0.1, np.ones((3, 3))))
    claim = formula_claim("∂L/∂A = cos(A B) × Bᵀ", square, (), "en")
    assert claim.formulas[0].right
    claim = formula_claim(r"\frac{\partial L}{\partial A} = \cos(A B) B^T", square, (), "zh")
    assert claim.formulas[0].right
    assert claim.remarks == ("读作 cos(A B) Bᵀ",)
    counted = claimed(r"\frac{\partial L}{\partial E} = \frac{2}{5n} E", LAYER)
    assert counted.formulas[0].right
    assert counted.remarks == ("n read as 7",)


def test_each_formula_is_judged_by_itself():
    claim = claimed("dN = dS * S\ndX = dN @ W.T")
    assert [formula.right for formula in claim.formulas] == [False, True]


# ---- what explain prints
READ = {
    "square", "leaky relu", "chain of two", "chain of three", "two inputs", "dot", "sigma(XW)",
    "sigma(XW) open",
    "linear regression", "two layers", "broadcasting", "norms", "fan-out", "variance", "batched",
    "Linear", "Conv1d", "Conv2d", "Conv2d in groups", "Conv3d", "ConvTranspose2d", "MaxPool2d", "AvgPool1d",
    "AdaptiveAvgPool2d", "LayerNorm", "GroupNorm", "attention", "mse", "l1", "huber",
    "bce with logits", "relu",
    "leaky_relu", "elu", "gelu", "sigmoid", "silu", "tanh", "softplus", "softmax", "log_softmax",
    "LeNet small",
}  # fmt: skip
CASES = {case.id: case for case in _cases()}


@pytest.mark.parametrize("name", sorted(READ))
@pytest.mark.parametrize("notation", ["text", "latex"])
def test_what_explain_prints_is_read_back(name, notation):
    case = CASES[name]
    math = bg.explain(case.function, *case.args).math
    lines = [
        line.text if notation == "text" else line.latex
        for line in math.lines
        if line.direction in ("forward", "backward", "closed")
    ]
    subject = Subject(case.function, case.args)
    claim = formula_claim(
        "\n".join(lines) if notation == "text" else " \\\\\n".join(lines), subject, (), "en"
    )
    wrong = [formula.line for formula in claim.formulas if not formula.right]
    assert not wrong
    assert len(claim.formulas) == len(lines) or "P = " in "".join(lines)


def test_the_whole_of_what_is_printed():
    function, args = LAYER.function, LAYER.given.args
    for lang in ("en", "zh"):
        math = bg.explain(function, *args, lang=lang).math
        for text in (str(math), math.latex):
            claim = formula_claim(text, LAYER, (), lang)
            assert len(claim.formulas) > 10
            assert all(formula.right for formula in claim.formulas)


# ---- refused
@pytest.mark.parametrize(
    ("text", "what", "column", "zh"),
    [
        ("dL/dX = Q @ W.T", "there is no Q in the function; it has X, W, N, S, L", 8, "函数里没有 Q"),
        ("dL/dX = dL/dM @ W.T", "there is no M in the function", 12, "函数里没有 M"),
        ("dL/dX = dsigm(W) @ W.T", "dsigm is not a function that is known here", 8, "不认识函数"),
        ("dL/dX = open('x')", "is not part of a formula", 13, "公式里不能有"),
        ("dL/dX = __import__('os').system('ls')", "is not part of a formula", 0, "公式里不能有"),
        ("dL/dX = X.__class__", "X.__class__ is not part of a formula", 8, "公式里不能有"),
        ("dL/dX = [x for x in X]", "is not part of a formula", 8, "公式里不能有"),
        ("dL/dX = X.T @", "a value expected here, not the end", 13, "这里应是"),
        ("dL/dX = (X", "expected here, not the end", 10, "这里应是"),
        ("∂L/∂X = ∂L/∂S ⊙ ⊙ N", "a value expected here, not ⊙", 16, "这里应是"),
        ("∂L/∂X = ∂L/∂S ☃ N", "the character ☃ is not known", 14, "不认识字符 ☃"),
        (r"\frac{\partial L}{\partial X} = \foo W", r"the command \foo is not known", 32, "不认识命令"),
        (r"\frac{\partial L}{\partial x + 3} = 1", "a variable, not to x + 3; is x_3 meant?", 27, "x_3"),
        (r"\frac{\partial L}{\partial X} = \left( W", ") expected here, not the end", 40, "结尾"),
        ("S * 2 = 3", "it does not say of what it is the gradient", 0, "没有说是哪个量的梯度"),
        ("", "it does not say of what it is the gradient", 0, "没有说是哪个量的梯度"),
        ("dL/dX = " + "(" * 3000 + "X" + ")" * 3000, "nested too deeply", 0, "嵌套太深"),
    ],
)  # fmt: skip
def test_errors_mark_the_place(text, what, column, zh):
    with pytest.raises(ClaimProblem) as raised:
        claimed(text, chosen=())
    problem = raised.value
    assert problem.kind == "does not parse"
    assert what in problem.text
    if column:
        assert problem.text.splitlines()[-1] == " " * (4 + column) + "^"
    with pytest.raises(ClaimProblem) as raised:
        claimed(text, chosen=(), lang="zh")
    assert zh in raised.value.text


def test_a_name_that_was_probably_meant():
    with pytest.raises(ClaimProblem, match=r"Is E meant\?"):
        claimed("dL/dS = 2 * e / 35", LAYER)


@pytest.mark.parametrize(
    "text",
    ["dL/dX = 9**9**9**9", "dL/dX = np.ones((10000000, 100000000))", "dL/dX = 1 / 0", "dL/dX = X[0, 9]",
     "dL/dX = X.reshape(9, 9)", "∂L/∂X = Σ_q X_qr", "dL/dX = np.sum(X, axis=9)", "dL/dX = conv(X, W)",
     "∂L/∂X = " + "·".join(["X"] * 30)],
)  # fmt: skip
def test_what_has_no_value_is_wrong_and_not_an_error(text):
    assert not right(text)


def test_reading_is_quick():
    begun = time.perf_counter()
    claimed(LATEX[0])
    claimed("dL/dx = v * (a + x * (1 - a**2))", FAN)
    assert time.perf_counter() - begun < 1

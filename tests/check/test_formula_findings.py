r"""The diagnosis of wrong formulas: kind, place, words, and a repair in the notation of whoever wrote it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from formula_subjects import CHAPTER, FAN, LAYER, claimed, found, right

import boxgrad as bg
from boxgrad.check.formulas.edits import Edits
from boxgrad.check.formulas.style import Style
from boxgrad.check.formulas.terms import Term
from boxgrad.check.formulas.write import Writer

NOTES = (
    r"\frac{\partial \Lambda}{\partial u}(X) = \frac{\partial \Lambda}{\partial u}(S) \times "
    r"\frac{\partial \sigma}{\partial u}(N) X^T"
)


def test_the_formula_of_the_notes():
    (finding,) = found(NOTES)
    assert finding.kind == "impossible shape"
    assert finding.argument == "X"
    assert finding.explanation == (
        "∂Λ/∂u(X) = ∂Λ/∂u(S) × ∂σ/∂u(N) Xᵀ: the last factor must be Wᵀ; "
        "with X 3×3 and W 3×2 the shapes do not even fit. ∂L/∂X has the shape of X: 3×3"
    )
    assert finding.formula == NOTES.replace("X^T", "W^T")
    assert finding.code == "dL_dX = (dL_dS * (S * (1 - S))) @ W.T"
    assert finding.where is not None
    assert finding.where.box == "N"
    assert str(finding.where.line).endswith("N = X @ W")


def test_the_formula_of_the_notes_in_chinese():
    (finding,) = found(NOTES, lang="zh")
    assert finding.explanation == (
        "∂Λ/∂u(X) = ∂Λ/∂u(S) × ∂σ/∂u(N) Xᵀ：最后一个因子应为 Wᵀ；"
        "X 为 3×3，W 为 3×2，形状都不相配。∂L/∂X 与 X 形状相同：3×3"
    )


def test_the_program_of_the_design():
    verdict = bg.check(CHAPTER.function, "dL/dX = (dL/dS * S * (1 - S)) @ X.T", *CHAPTER.given.args)
    assert verdict.ok is False
    assert "the last factor must be W.T" in str(verdict)
    assert verdict.findings[0].formula == "dL/dX = (dL/dS * S * (1 - S)) @ W.T"
    with pytest.raises(AssertionError, match=r"W\.T"):
        verdict.raise_if_wrong()


def test_a_matrix_of_elements_has_the_shape_of_the_value():
    rows = r" \\ ".join(
        " & ".join(rf"\frac{{\partial \Lambda}}{{\partial u}}(x_{{{i}{j}}})" for j in (1, 2, 3))
        for i in (1, 2)
    )
    text = rf"\frac{{\partial \Lambda}}{{\partial u}}(X) = \begin{{bmatrix}} {rows} \end{{bmatrix}}"
    (finding,) = found(text)
    assert finding.kind == "impossible shape"
    assert "the right side is 2×3, and ∂L/∂X has the shape of X: 3×3" in finding.explanation


OF_CHAPTER = [
    ("dL/dX = dL/dN @ W", "transposed", "the last factor must be W.T", "dL/dX = dL/dN @ W.T"),
    ("dL/dX = dL/dN @ X.T", "impossible shape", "the last factor must be W.T", "dL/dX = dL/dN @ W.T"),
    ("dL/dW = X @ dL/dN", "transposed", "the first factor must be X.T", "dL/dW = X.T @ dL/dN"),
    ("dL/dW = dL/dN @ X.T", "factors swapped", "wrong order", "dL/dW = X.T @ dL/dN"),
    ("dL/dX = dL/dS * dsigma(S) @ W.T", "wrong value", "the derivative of sigma must be taken at N, not at S",
     "dL/dX = (dL/dS * dsigma(N)) @ W.T"),
    ("dL/dX = dL/dS @ W.T", "derivative left out", "the factor dsigmoid(N) is missing", ""),
    ("dL/dX = -dL/dN @ W.T", "sign", "the sign is wrong", "dL/dX = dL/dN @ W.T"),
    ("dL/dX = dL/dS * S * (1 + S) @ W.T", "sign", "it must be 1 - S", "dL/dX = (dL/dS * S * (1 - S)) @ W.T"),
    ("dL/dX = dL/dS @ (dsigma(N) * W.T)", "operator", "the brackets are wrong",
     "dL/dX = (dL/dS * dsigma(N)) @ W.T"),
    ("∂L/∂X = ∂L/∂N ⊙ Wᵀ", "operator", "the product is one of matrices", ""),
    ("∂L/∂wᵢⱼ = Σₖ Xᵢₖ · ∂L/∂Nₖⱼ", "transposed", "Xₖᵢ must stand in place of Xᵢₖ",
     "∂L/∂wᵢⱼ = Σₖ Xₖᵢ · ∂L/∂Nₖⱼ"),
]  # fmt: skip
OF_LAYER = [
    ("dL/db = dL/dN", "sum missing", "the sum over axis 0 is missing", "dL/db = np.sum(dL/dN, axis=0)"),
    ("dL/db = dL/dN.sum(1)", "wrong axis", "the sum runs over the wrong axis",
     "dL/db = np.sum(dL/dN, axis=0)"),
    ("dL/db = np.sum(dL/dN)", "sum too wide", "wrong axis", "dL/db = np.sum(dL/dN, axis=0)"),
    (r"\frac{\partial L}{\partial b} = \frac{\partial L}{\partial N}", "sum missing", "Σᵢ ∂L/∂N",
     r"\frac{\partial L}{\partial b} = \sum_{i} \frac{\partial L}{\partial N}"),
    ("dL/dE = 2 * E", "constant factor", "it is 35 times the true gradient", "dL/dE = 2 * E / 35"),
    ("dL/dE = E / 35", "constant factor", "it is 1/2 times the true gradient", "dL/dE = 2 * (E / 35)"),
    ("dL/dY = 2/35 * E", "sign", "the sign is wrong", ""),
    ("dL/dN = dL/dS * (1 - N**2)", "wrong value", "S must stand in place of N",
     "dL/dN = dL/dS * (1 - S ** 2)"),
    ("dL/dW = X.T @ dL/dS", "derivative left out", "the factor dtanh(N) is missing", ""),
    ("dL/dW = dL/dN.T @ X", "transposed", "the result is transposed", "dL/dW = X.T @ dL/dN"),
    ("dL/dW = X.T @ (2 * (S - Y) * (1 - S**2))", "constant factor", "it is 35 times", ""),
    ("dL/dW = (X.T @ (2/35 * (S - Y))) * (1 - S**2)", "operator", "the brackets are wrong", ""),
    ("dL/dN = dL/dE * tanh(N)", "derivative left out", "", "dL/dN = dL/dE * dtanh(N)"),
]  # fmt: skip
OF_FAN = [
    ("dL/dx = v * a", "path dropped", "the path through a is missing", ""),
    ("dL/dx = v * a - v * x * (1 - a**2)", "sign", "the sign is wrong",
     "dL/dx = v * a + v * x * (1 - a ** 2)"),
    ("∂L/∂x = v ⊙ a + v ⊙ x ⊙ tanh′(a)", "wrong value", "tanh must be taken at x, not at a",
     "∂L/∂x = v ⊙ a + v ⊙ x ⊙ tanh′(x)"),
    ("dL/dv = a", "wrong value", "c must stand in place of a", "dL/dv = c"),
]  # fmt: skip
ALL = (
    [(CHAPTER, *row) for row in OF_CHAPTER]
    + [(LAYER, *row) for row in OF_LAYER]
    + [(FAN, *row) for row in OF_FAN]
)


@pytest.mark.parametrize(("subject", "text", "kind", "words", "repair"), ALL)
def test_the_mistake_is_named_and_repaired(subject, text, kind, words, repair):
    begun = time.perf_counter()
    (finding,) = found(text, subject)
    assert time.perf_counter() - begun < 1.5
    kinds = [finding.kind, *(other.kind for other in finding.alternatives)]
    assert kind == finding.kind, kinds
    assert words in finding.explanation
    if repair:
        assert finding.formula == repair
    assert right(finding.formula, subject)
    assert finding.evidence[f"error {finding.argument}"] > 1e-3
    (chinese,) = found(text, subject, "zh")
    assert (chinese.kind, chinese.formula) == (finding.kind, finding.formula)
    assert any("一" <= c <= "鿿" for c in chinese.explanation)


def test_only_the_wrong_lines_of_several_are_found():
    findings = found("dE = 2/35 * E\ndN = dS * dtanh(S)\ndW = X.T @ dN\ndb = dN.sum(1)", LAYER)
    assert [(f.argument, f.kind) for f in findings] == [("N", "wrong value"), ("b", "wrong axis")]


def test_statements_about_values_and_slopes_are_checked_too():
    findings = found("N = W X\n∂L/∂X = ∂L/∂N Wᵀ")
    assert "this is not what N is in the function" in findings[0].explanation
    assert not found("N = X W\n∂L/∂X = ∂L/∂N Wᵀ")


def test_where_nothing_small_helps_it_says_so_and_tells_the_formula():
    (finding,) = found("dL/dW = X.T @ X @ W @ W.T @ N")
    assert finding.kind == "unknown"
    assert "no small change of it makes it right" in finding.explanation
    assert finding.formula == "∂L/∂W = Xᵀ · ∂L/∂N"


def test_a_mapping_of_formulas_and_functions():
    def mine(X, W, b, Y):
        S = np.tanh(X @ W + b)
        return X.T @ (2 * (S - Y) / S.size * (1 - S * S))

    mixed = {"b": "dL/dN.sum(0)", "X": "dL/dN @ W", "W": mine}
    verdict = bg.check(LAYER.function, mixed, *LAYER.given.args)
    assert [(f.argument, f.kind) for f in verdict.findings] == [("X", "transposed")]
    assert bg.check(LAYER.function, {**mixed, "X": "dL/dN @ W.T"}, *LAYER.given.args).ok


PLANTED = [
    (CHAPTER, "∂L/∂X = (∂L/∂S ⊙ σ′(N)) Wᵀ"),
    (CHAPTER, "∂L/∂W = Xᵀ (∂L/∂S ⊙ S ⊙ (1 − S))"),
    (LAYER, "∂L/∂W = Xᵀ (2/35 (S − Y) ⊙ (1 − S²))"),
    (LAYER, "∂L/∂b = Σᵢ (∂L/∂S ⊙ tanh′(N))_{i,:}"),
    (FAN, "∂L/∂x = v ⊙ a + v ⊙ x ⊙ tanh′(x)"),
]


@pytest.mark.parametrize("notation", ["code", "text", "latex"])
@pytest.mark.parametrize(("subject", "text"), PLANTED)
def test_planted_mistakes_are_found_and_their_repairs_are_right(subject, text, notation):
    """Every cheap edit of a right formula, written down, is either still right or repaired to a right one."""
    claim = claimed(text, subject)
    formula = claim.formulas[0]
    assert formula.right
    writer = Writer(claim.vocabulary, Style(notation))
    left = writer.write(Term("gradient", (), formula.key))
    every = Edits(claim.vocabulary, next(iter(claim.evaluators.values())), formula.key)
    edits = list(every.of(formula.reading))
    edits = [e for e in edits if e.cost <= 1.2 and not (notation == "code" and "reduce" in repr(e.tree))]
    chosen = [edits[i] for i in np.random.default_rng(3).permutation(len(edits))[:12]]
    wrong = repaired = 0
    for edit in chosen:
        written = writer.equation(left, edit.tree)
        if right(written, subject):
            continue
        wrong += 1
        (finding,) = found(written, subject)
        if finding.kind != "unknown":
            assert right(finding.formula, subject), (written, finding.formula)
            repaired += 1
    assert repaired >= 0.8 * wrong

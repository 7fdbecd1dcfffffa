"""The rules of the simplifier: each is used, recorded, and leaves the value as it is."""

from __future__ import annotations

import pytest

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Expression, Fill, Symbol, number
from boxgrad.explain.simplify import Step, simplify
from boxgrad.explain.unicode import line

A, B, C = (Symbol(name, name, shape=(3, 3)) for name in "ABC")
v = Symbol("v", "v", shape=(3,))
s, t = (Symbol(name, name, shape=()) for name in "st")
ONES = Fill(1, shape=(3, 3))
two, half = number(2), number((1, 2))


def positive(e: Expression) -> Expression:
    return x.Infix(">", (e, number(0)), shape=e.shape)


EXAMPLES = {
    "⊙ 1": (x.times(A, ONES), "A", "one_factor"),
    "· 1": (x.times(s, number(1)), "s", "one_factor"),
    "1 that gives the shape stays": (x.times(s, ONES), "s 𝟏_{3×3}", None),
    "+ 0": (x.add(A, Fill(0, shape=(3, 3))), "A", "zero_term"),
    "· 0": (x.times(A, number(0)), "𝟎_{3×3}", "zero_factor"),
    "− −": (x.Negative(x.Negative(A, shape=(3, 3)), shape=(3, 3)), "A", "signs"),
    "− in a product": (x.times(x.negative(A), B), "−A ⊙ B", "signs"),
    "two − in a product": (x.times(x.negative(A), x.negative(B)), "A ⊙ B", "signs"),
    "− in a matrix product": (x.product(x.negative(A), B), "−A B", "signs"),
    "transpose twice": (x.Transpose(x.Transpose(A, shape=(3, 3)), shape=(3, 3)), "A", "transposes"),
    "transpose of a product": (x.transpose(x.product(A, x.transpose(B))), "B · Aᵀ", "transposes"),
    "x¹": (x.power(A, number(1)), "A", "powers"),
    "x⁰": (x.power(A, number(0)), "𝟏_{3×3}", "powers"),
    "x x": (x.times(A, A), "A²", "powers"),
    "x² x": (x.times(x.power(s, two), s), "s³", "powers"),
    "(√x)²": (x.power(x.Root(s, shape=()), two), "s", "powers"),
    "numbers": (x.times(two, A, number(3)), "6 A", "numbers"),
    "ratios": (x.times(number((1, 8)), x.times(two, A)), "1/4 A", "numbers"),
    "x/n": (x.fraction(A, number(8)), "1/8 A", "numbers"),
    "x/1": (x.fraction(A, number(1)), "A", "numbers"),
    "x/√2": (x.fraction(A, x.Root(two, shape=())), "1/√2 A", "numbers"),
    "(a/b)/c": (x.fraction(x.fraction(s, t), A), "s/(t A)", "fraction"),
    "a · (b/a)": (x.times(A, x.fraction(B, A)), "B", "cancel"),
    "a b/a": (x.fraction(x.times(A, B), A), "B", "cancel"),
    "a/a²": (x.fraction(A, x.power(A, two)), "1/A", "powers"),
    "a + a": (x.add(A, A), "2 A", "like_terms"),
    "a − a": (x.add(A, x.negative(A)), "𝟎_{3×3}", "like_terms"),
    "number repeated": (x.times(x.Spread(s, (), shape=(3, 3)), A), "s A", "broadcast"),
    "row repeated": (x.times(x.Spread(v, (1,), shape=(3, 3)), A), "v ⊙ A", "broadcast"),
    "sum of a repeated value": (
        x.Reduce("Σ", x.Spread(v, (0,), shape=(3, 4)), (1,), shape=(3,)),
        "4 v",
        "repeated",
    ),
    "sum of ones": (x.Reduce("Σ", ONES, (0, 1), shape=()), "9", "repeated"),
    "number in a sum": (x.Reduce("Σ", x.times(two, A), (0, 1), shape=()), "2 Σ_{i,j} Aᵢⱼ", "sums"),
    "sum of a sum": (
        x.Reduce("Σ", x.Reduce("Σ", A, (1,), shape=(3,)), (0,), shape=()),
        "Σ_{i,j} Aᵢⱼ",
        "sums",
    ),
    "a choice against 0": (
        x.Cases(((A, positive(B)), (number(0), None)), shape=(3, 3)),
        "A ⊙ [B > 0]",
        "indicator",
    ),
    "a choice of 0": (
        x.Cases(((number(0), positive(B)), (A, None)), shape=(3, 3)),
        "A ⊙ [B ≤ 0]",
        "indicator",
    ),
    "numbers leave a matrix product": (x.product(x.times(two, A), B), "2 A B", "numbers"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_rule(name: str) -> None:
    before, text, rule = EXAMPLES[name]
    steps: list[Step] = []
    after = simplify(before, steps)
    assert line(after) == text
    assert after.shape == before.shape
    assert rule is None or rule in [step.rule for step in steps]
    assert simplify(after) == after


def test_equal_expressions_are_equal_and_have_one_hash() -> None:
    assert x.times(A, B) == x.times(A, B)
    assert hash(x.times(A, B)) == hash(x.times(A, B))
    assert x.times(A, B) != x.times(B, A)
    assert number(0.5) != number((1, 2))


def test_substitution_leaves_derivatives_alone() -> None:
    partial = x.Derivative(s, A, shape=(3, 3))
    assert x.substitute(x.times(partial, A), {A: B}) == x.times(partial, B)

"""Rules for conditions, choices between bounds, and numbers that leave a bilinear operation."""

from __future__ import annotations

from itertools import pairwise

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Expression
from boxgrad.explain.rule_parts import ONE, as_float, kept, value_of, zeros

_HOLDS = {
    "=": lambda a, b: a == b,
    "≠": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "≤": lambda a, b: a <= b,
    "≥": lambda a, b: a >= b,
}


def over(e: x.Over) -> Expression | None:
    """Numbers leave a sum with written indices."""
    if e.symbol != "Σ":
        return None
    if isinstance(e.body, x.Negative):
        return x.negative(x.Over("Σ", e.index, e.start, e.stop, e.body.x, shape=e.shape))
    if isinstance(e.body, x.Times) and value_of(e.body.factors[0]) is not None and len(e.body.factors) > 1:
        rest = x.times(*e.body.factors[1:])
        if rest.shape == e.body.shape:
            return x.times(e.body.factors[0], x.Over("Σ", e.index, e.start, e.stop, rest, shape=e.shape))
    return None


def logic(e: x.Infix) -> Expression | None:
    """x ≠ x never holds in mathematics: there is no NaN."""
    if e.symbol != "∨":
        return None
    left = [part for part in e.parts if not _is_nan(part)]
    if len(left) == len(e.parts) or not left:
        return None
    made = left[0] if len(left) == 1 else x.Infix("∨", tuple(left), shape=e.shape)
    return kept(made, e.shape)


def _is_nan(e: Expression) -> bool:
    return isinstance(e, x.Infix) and e.symbol == "≠" and e.parts[0] == e.parts[1]


def decided(condition: Expression | None) -> bool | None:
    """Whether a condition on numbers holds; None where it is open."""
    if not isinstance(condition, x.Infix) or condition.symbol not in _HOLDS:
        return None
    values = [value_of(part) for part in condition.parts]
    if any(value is None for value in values):
        return None
    return all(_HOLDS[condition.symbol](as_float(a), as_float(b)) for a, b in pairwise(values))


def indicator(e: x.Indicator) -> Expression | None:
    """[0 = 1] is 0."""
    known = decided(e.condition)
    if known is None:
        return None
    return (x.Fill(1, shape=e.shape) if e.shape else ONE) if known else zeros(e.shape)


def choice(e: x.Cases) -> Expression | None:
    """a if d < a, else d: max(a, d)."""
    if len(e.branches) != 2 or not isinstance(e.branches[0][1], x.Infix):
        return None
    (a, condition), (b, _) = e.branches
    known = decided(condition)
    if known is not None:
        return kept(a if known else b, e.shape)
    if condition.parts != (b, a) or condition.symbol not in "<≤>≥" or a == b:
        return None
    name = "max" if condition.symbol in "<≤" else "min"
    return kept(x.call(name, a, b), e.shape)


def bounds(e: x.Times) -> Expression | None:
    """[max(a, d) ≤ b] ⊙ [d ≥ a] = [a ≤ d ≤ b], for a ≤ b."""
    for i, upper in enumerate(e.factors):
        found = upper.condition if isinstance(upper, x.Indicator) else None
        if not isinstance(found, x.Infix) or found.symbol != "≤" or len(found.parts) != 2:
            continue
        call, b = found.parts
        if not isinstance(call, x.Call) or call.function != "max" or len(call.arguments) != 2:
            continue
        a, d = call.arguments
        low, high = value_of(a), value_of(b)
        lower = x.Indicator(x.Infix("≥", (d, a), shape=d.shape), shape=d.shape)
        if lower in e.factors and low is not None and high is not None and as_float(low) <= as_float(high):
            both = x.Indicator(x.Infix("≤", (a, d, b), shape=d.shape), shape=d.shape)
            rest = [f for j, f in enumerate(e.factors) if j != i and f != lower]
            return kept(x.times(*rest, both), e.shape)
    return None


def fraction_fill(e: x.Fraction) -> Expression | None:
    """𝟏/a is 1/a where a has the shape, and (1/a) 𝟏 where it is a number."""
    if not isinstance(e.top, x.Fill):
        return None
    top = x.number(e.top.value)
    if e.bottom.shape == e.shape:
        return x.Fraction(top, e.bottom, shape=e.shape)
    if not e.bottom.shape:
        return x.times(x.fraction(top, e.bottom), x.Fill(1, shape=e.shape))
    return None


def power_indicator(e: x.Power) -> Expression | None:
    """[c]ⁿ = [c]."""
    value = value_of(e.exponent)
    return e.base if isinstance(e.base, x.Indicator) and value is not None and as_float(value) > 0 else None


def bilinear(e: x.Outer | x.Convolve) -> Expression | None:
    """(2 a) ⊗ b = 2 (a ⊗ b); the same for ⋆ and ∗."""
    first, second = (e.a, e.b) if isinstance(e, x.Outer) else (e.x, e.w)

    def made(a: Expression, b: Expression) -> Expression:
        if isinstance(e, x.Outer):
            return x.Outer(a, b, shape=e.shape)
        return x.Convolve(e.symbol, a, b, e.note, shape=e.shape)

    for left, right, swapped in ((first, second, False), (second, first, True)):
        if isinstance(left, x.Negative):
            return x.negative(made(right, left.x) if swapped else made(left.x, right))
        if isinstance(left, x.Times) and left.factors[0].shape == () and len(left.factors) > 1:
            scalars = [f for f in left.factors if f.shape == ()]
            rest = x.times(*([f for f in left.factors if f.shape != ()] or [ONE]))
            if rest.shape == left.shape:
                return x.times(*scalars, made(right, rest) if swapped else made(rest, right))
    return None

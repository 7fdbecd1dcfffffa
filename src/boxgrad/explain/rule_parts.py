"""What the rules of the simplifier share: numbers, factors, coefficients, and conditions turned round."""

from __future__ import annotations

from typing import Any

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Expression, Number, broadcast

ZERO, ONE = Number(0, shape=()), Number(1, shape=())
_OPPOSITE = {">": "≤", "<": "≥", "≥": "<", "≤": ">", "=": "≠", "≠": "="}


def value_of(expression: Expression) -> tuple[int, int] | float | None:
    """A number's value: a ratio (top, bottom), or a float; None for anything else."""
    if isinstance(expression, x.Negative):
        inner = value_of(expression.x)
        return None if inner is None else (-inner[0], inner[1]) if isinstance(inner, tuple) else -inner
    if not isinstance(expression, Number):
        return None
    value = expression.value
    return value if isinstance(value, tuple) else (value, 1) if isinstance(value, int) else float(value)


def numeral(value: Any) -> Expression:
    return x.number(value)


def multiplied(a: Any, b: Any) -> Any:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return (a[0] * b[0], a[1] * b[1])
    return as_float(a) * as_float(b)


def added(a: Any, b: Any) -> Any:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return (a[0] * b[1] + b[0] * a[1], a[1] * b[1])
    return as_float(a) + as_float(b)


def as_float(a: Any) -> float:
    return a[0] / a[1] if isinstance(a, tuple) else a


def fits(shape: tuple[int, ...], *parts: Expression) -> bool:
    return broadcast(*parts) == shape


def zeros(shape: tuple[int, ...]) -> Expression:
    return x.Fill(0, shape=shape) if shape else ZERO


def is_zero(expression: Expression) -> bool:
    return (isinstance(expression, (x.Fill, Number))) and expression.value == 0


def coefficient(e: Expression) -> tuple[Any, Expression]:
    if isinstance(e, x.Times):
        value = value_of(e.factors[0])
        if value is not None:
            return value, x.times(*e.factors[1:])
    return (1, 1), e


def scaled(factor: Any, rest: Expression) -> Expression:
    if as_float(factor) == 1:
        return rest
    if as_float(factor) == -1:
        return x.negative(rest)
    scalar = numeral(factor)
    if isinstance(scalar, x.Negative):
        return x.negative(x.times(scalar.x, *factors_of(rest)))
    return x.times(scalar, *factors_of(rest))


def factors_of(e: Expression) -> tuple[Expression, ...]:
    return e.factors if isinstance(e, x.Times) else (e,)


def base_of(e: Expression) -> tuple[Expression, Any]:
    if isinstance(e, x.Power):
        value = value_of(e.exponent)
        if value is not None and e.base.shape == e.shape:
            return e.base, value
    return e, (1, 1)


def raised(base: Expression, exponent: Any) -> Expression:
    if as_float(exponent) == 1:
        return base
    return x.Power(base, numeral(exponent), shape=base.shape)


def kept(made: Expression, shape: tuple[int, ...]) -> Expression | None:
    return made if made.shape == shape else None


def is_constant(e: Expression) -> bool:
    return (
        all(not isinstance(part, (x.Symbol, x.Derivative, x.Element)) for part in x.parts_of(e))
        and not e.shape
    )


def implicit(e: x.Spread) -> Expression | None:
    """What is repeated, where NumPy's broadcasting repeats it by itself: its axes are the last ones."""
    lead = len(e.shape) - len(e.x.shape)
    return e.x if e.axes == tuple(range(lead, len(e.shape))) else None


def holds(condition: Expression) -> Expression:
    return x.Indicator(condition, shape=condition.shape)


def opposite(condition: Expression) -> Expression | None:
    if isinstance(condition, x.Infix) and condition.symbol in _OPPOSITE:
        return x.Infix(_OPPOSITE[condition.symbol], condition.parts, shape=condition.shape)
    return None

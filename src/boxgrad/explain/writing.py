"""Small questions of writing: numbers, dots between factors, indices for new axes, names of elements."""

from __future__ import annotations

from typing import Any

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Expression


def lower(symbol: x.Symbol) -> tuple[str, str]:
    """The base of an element's name, x for X, and the mark that the whole had."""
    base = symbol.base.lower() if len(symbol.base) == 1 and symbol.base.isascii() else symbol.base
    return base, symbol.subscript


def delimited(e: Expression) -> bool:
    return isinstance(e, x.Contract) and not e.subscripts.endswith("->")


def needs_dot(before: Expression, after: Expression) -> bool:
    """Whether a dot stands between two numbers: 2 · 3, x · y, ∂L/∂y · 2; not in 2x nor ½ Σ."""
    if isinstance(after, (x.Reduce, x.Over, x.Product)):
        return False
    if isinstance(before, x.Number):
        start = after.base if isinstance(after, x.Power) else after
        return before.value == 1 or any(isinstance(part, x.Number) for part in starts(start))
    return before.shape == () and after.shape == ()


def marked(shape: tuple[int, ...], new: set[int]) -> str:
    """An index that keeps all axes and marks those of size 1 that are new: :,∗"""
    return ",".join("∗" if i in new else ":" for i in range(len(shape)))


def new_axes(before: tuple[int, ...], after: tuple[int, ...]) -> str | None:
    """The index that gives a shape axes of size 1, or takes them away; None where more happens."""
    marks: list[str] = []
    left = list(before)
    for n in after:
        if left and left[0] == n:
            marks.append(":")
            left.pop(0)
        elif n == 1:
            marks.append("∗")
        else:
            break
    else:
        if not left:
            return ",".join(marks)
    kept = [n for n in before if n != 1]
    if list(after) == kept and after:
        return ",".join("0" if n == 1 else ":" for n in before)
    return None


def starts(e: Expression) -> tuple[Expression, ...]:
    """What an expression begins with, as it is written."""
    if isinstance(e, x.Negative):
        return starts(e.x)
    return (e, *starts(e.top)) if isinstance(e, x.Fraction) else (e,)


def number_text(value: Any) -> str:
    """A number as short as it can be read back, or to six digits where it is longer."""
    if isinstance(value, int):
        return str(value)
    for digits in (6, 9, 12, 17):
        text = f"{value:.{digits}g}"
        if digits >= PRECISION or float(text) == value:
            return text
    return repr(value)


PRECISION = 17

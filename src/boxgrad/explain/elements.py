"""How one element of a value, or of a gradient, came about: what a page shows when one points at it.

A formula is a small tree of lists, ``[kind, shape, parts …]``, that page.js evaluates at an index: named
values, numbers, operations, sums and products. Where that would not be readable there is none.

Knows expressions; knows nothing of graphs or pages.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad.explain import expression as x
from boxgrad.explain.boxes import Model
from boxgrad.explain.expression import Expression
from boxgrad.explain.steps import mark

SIZE = 400
"""The largest number of elements that is sent along with a page."""
TREE = 40
"""The largest formula, in marks."""
SUMMED = 400
"""The longest sum."""

Formula = list[Any]


def numbers(model: Model) -> dict[str, Any]:
    """The numbers of all small values and gradients: ``{mark: [shape, flat values]}``."""
    found: dict[str, Any] = {}
    for value in dict.fromkeys(model.everything.values()):
        if value.node.dtype.kind not in "fiub" or int(np.prod(value.shape)) > SIZE:
            continue
        for name, node in ((mark(value), value.node), (mark(value, True), value.gradient)):
            if node is not None and node.value is not None:
                flat = np.asarray(node.value, np.float64).ravel()
                found[name] = [list(value.shape), [_short(number) for number in flat.tolist()]]
    return found


def _short(number: Any) -> float | str:
    return float(f"{number:.6g}") if np.isfinite(number) else str(number)


def formula(expression: Expression, known: dict[str, Any]) -> Formula | None:
    """The formula of an expression in values whose numbers are known; None where it is not readable."""
    if expression.size > TREE or int(np.prod(expression.shape)) > SIZE:
        return None
    return _Writer(known).write(expression)


class _Writer:
    def __init__(self, known: dict[str, Any]) -> None:
        self._known = known

    def write(self, e: Expression) -> Formula | None:
        made = self._kind(e)
        return (
            None
            if made is None or any(part is None for part in made)
            else [made[0], list(e.shape), *made[1:]]
        )

    def _value(self, name: str) -> Formula | None:
        return ["value", name] if name in self._known else None

    def _kind(self, e: Expression) -> Formula | None:
        write = self.write
        match e:
            case x.Symbol(key):
                return self._value(key)
            case x.Derivative(_, x.Symbol(key)):
                return self._value(f"∂{key}")
            case x.Number(value) | x.Fill(value):
                top, bottom = value if isinstance(value, tuple) else (value, 1)
                return ["number", top, bottom] if isinstance(top, (int, float)) else None
            case x.Add(terms):
                return ["+", *map(write, terms)]
            case x.Negative(inside):
                return ["−", write(inside)]
            case x.Times(factors):
                return ["·", *map(write, factors)]
            case x.Fraction(top, bottom):
                return ["/", write(top), write(bottom)]
            case x.Power(base, exponent):
                return ["^", write(base), write(exponent)]
            case x.Root(inside):
                return ["call", "√(", ")", write(inside)]
            case x.Call(function, arguments, order, note) if not note and all(
                a.shape in (e.shape, ()) for a in arguments
            ):
                return ["call", function + "′" * order + "(", ")", *map(write, arguments)]
            case x.Delimited(left, inside, right) if inside.shape == e.shape:
                return ["call", left, right, write(inside)]
            case x.Transpose(inside):
                return ["T", write(inside)]
            case x.Product(factors):
                return self._product(list(factors))
            case x.Outer(a, b) if len(a.shape) == len(b.shape) == 1:
                return ["⊗", write(a), write(b)]
            case x.Reduce("Σ", body, axes, keep) if int(np.prod(body.shape)) <= SUMMED:
                return ["Σ", list(axes), keep, list(body.shape), write(body)]
            case x.Rearranged(inside):
                return ["reshape", list(inside.shape), write(inside)]
            case x.Permuted(inside, axes):
                return ["permute", list(axes), write(inside)]
            case x.Spread(inside, axes):
                return ["spread", list(axes), write(inside)]
        return None

    def _product(self, factors: list[Expression]) -> Formula | None:
        """A product of two at a time; only products of plain matrices and vectors."""
        *before, last = factors
        first = before[0] if len(before) == 1 else x.product(*before)
        if len(first.shape) > 2 or len(last.shape) > 2 or not first.shape or not last.shape:
            return None
        return ["@", first.shape[-1], len(first.shape), len(last.shape), self.write(first), self.write(last)]

"""Hypotheses about one gradient as a whole: what somebody's array is, in terms of the true one.

A factor and what it equals, a sign, a transpose, a sum or mean along an axis that is missing or too much,
rows in another order, numbers in another shape, an added multiple of the argument. Knows pairs of arrays at
several points; knows nothing of the function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

import numpy as np

from boxgrad.check.compare import same

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Hypothesis:
    """What a claimed gradient is: its kind, and what in particular."""

    kind: str
    key: str
    detail: str = ""
    factor: float | None = None


@dataclass(frozen=True)
class Pair:
    """A claimed and a true gradient at one point, and the argument itself."""

    claimed: Array
    true: Array
    argument: Array
    allowed: float


def hypotheses(pairs: Sequence[Pair], sizes: Sequence[int]) -> list[Hypothesis]:
    """Every hypothesis that holds at all points, the simplest first.

    >>> one = Pair(np.array([2.0, 4.0]), np.array([1.0, 2.0]), np.array([5.0, 7.0]), 1e-7)
    >>> hypotheses([one, one], [2])[0]
    Hypothesis(kind='constant factor', key='factor', detail='2', factor=2.0)
    """
    found = list(_of_shape(pairs, sizes) if _fits(pairs) else _of_another_shape(pairs))
    return list(dict.fromkeys(found))


def _fits(pairs: Sequence[Pair]) -> bool:
    return all(p.claimed.shape == p.true.shape for p in pairs)


def _holds(pairs: Sequence[Pair], made: Callable[[Array], Any]) -> bool:
    try:
        return all(same(p.claimed, made(p.true), p.allowed) for p in pairs)
    except (ValueError, IndexError):
        return False


def _of_shape(pairs: Sequence[Pair], sizes: Sequence[int]) -> Iterator[Hypothesis]:
    if all(not np.any(p.claimed) for p in pairs):
        yield Hypothesis("path dropped", "zero", "0")
        return
    first = pairs[0]
    g = first.true.astype(np.float64)
    square = float(np.vdot(g, g))
    if square:
        k = float(np.vdot(g, first.claimed)) / square
        if abs(k) > 1e-12 and _holds(pairs, lambda x: k * x):
            kind = "sign" if abs(k + 1) < 1e-6 else "constant factor"
            yield Hypothesis(kind, "factor", factor_name(k, sizes), k)
    shape = g.shape
    if g.ndim == 2 and shape[0] == shape[1] > 1 and _holds(pairs, lambda x: x.T):
        yield Hypothesis("transposed", "transposed")
    wide = [axis for axis, n in enumerate(shape) if n > 1]
    for axes in [*((a,) for a in wide), tuple(wide)] if wide else []:
        if _holds(pairs, lambda x, a=axes: np.broadcast_to(x.sum(axis=a, keepdims=True), x.shape)):
            yield Hypothesis("sum too wide", "sum", _axes(axes))
        if _holds(pairs, lambda x, a=axes: np.broadcast_to(x.mean(axis=a, keepdims=True), x.shape)):
            yield Hypothesis("sum too wide", "mean", _axes(axes))
    for axis in wide:
        if _holds(pairs, lambda x, a=axis: np.flip(x, a)):
            yield Hypothesis("order permuted", "flip", f"axis {axis}")
        order = _order(pairs, axis)
        if order is not None:
            yield Hypothesis("order permuted", "order", f"axis {axis}: {', '.join(map(str, order))}")
    if 2 <= g.ndim <= 4:
        for order in permutations(range(g.ndim)):
            moved = order != tuple(range(g.ndim))
            if moved and _holds(pairs, lambda x, o=order: x.transpose(o).reshape(x.shape)):
                yield Hypothesis("order permuted", "memory", ", ".join(map(str, order)))
    x, d = first.argument.astype(np.float64), first.claimed - g
    if x.shape == shape and np.any(x):
        k = float(np.vdot(x, d)) / float(np.vdot(x, x))
        if abs(k) > 1e-12 and all(same(p.claimed, p.true + k * p.argument, p.allowed) for p in pairs):
            yield Hypothesis("operator", "decay", f"{k:.6g}", k)


def _order(pairs: Sequence[Pair], axis: int) -> tuple[int, ...] | None:
    """The order along an axis in which the true slices are the claimed ones."""
    p = pairs[0]
    n = p.true.shape[axis]
    if n > 256:
        return None
    a, b = (np.moveaxis(z, axis, 0).reshape(n, -1) for z in (p.true, p.claimed))
    order: list[int] = []
    for row in b:
        distance = np.linalg.norm(a - row, axis=1)
        order.append(int(np.argmin(distance)))
    if sorted(order) != list(range(n)) or order == sorted(order):
        return None
    return tuple(order) if _holds(pairs, lambda x: np.take(x, order, axis)) else None


def _of_another_shape(pairs: Sequence[Pair]) -> Iterator[Hypothesis]:
    first = pairs[0]
    c, g = first.claimed, first.true
    if g.ndim == 2 and _holds(pairs, lambda x: x.T):
        yield Hypothesis("transposed", "transposed")
    for count in range(1, c.ndim + 1):
        for axes in combinations(range(c.ndim), count):
            if c.sum(axis=axes).size != g.size or c.size == g.size:
                continue
            if all(same(p.claimed.sum(axis=axes).reshape(p.true.shape), p.true, p.allowed) for p in pairs):
                yield Hypothesis("sum missing", "sum", _axes(axes))
    for count in range(1, g.ndim + 1):
        for axes in combinations(range(g.ndim), count):
            if g.sum(axis=axes).size == c.size < g.size and _holds(
                pairs, lambda x, a=axes: x.sum(axis=a).reshape(c.shape)
            ):
                yield Hypothesis("sum too wide", "narrow", _axes(axes))
    if c.size == g.size and _holds(pairs, lambda x: x.reshape(c.shape)):
        yield Hypothesis("impossible shape", "reshape", "×".join(map(str, c.shape)))


def factor_name(k: float, sizes: Sequence[int]) -> str:
    """A factor as a fraction of the sizes, where it is one: 2/7, 14, −1/2; else its digits.

    >>> factor_name(2 / 7, [3, 7]), factor_name(-0.5, [3]), factor_name(0.1234567, [3])
    ('2/7', '-1/2', '0.123457')
    """
    sign, size = ("-" if k < 0 else ""), abs(k)
    tops = dict.fromkeys([1, 2, 3, 4, *sizes])
    for top in tops:
        for bottom in dict.fromkeys([1, 2, 3, 4, *sizes, *(2 * n for n in sizes)]):
            if abs(size - top / bottom) <= 1e-6 * size:
                common = int(np.gcd(top, bottom))
                above, below = top // common, bottom // common
                return f"{sign}{above}" if below == 1 else f"{sign}{above}/{below}"
    return f"{k:.6g}"


def _axes(axes: tuple[int, ...]) -> str:
    return ", ".join(map(str, axes))

"""Primitives that combine the elements along some axes.

Ties of ``max`` and ``min`` share the gradient evenly. ``prod`` and ``cumprod`` are exact where an
element is 0, for their derivatives never divide by one. ``axis`` is a tuple of axes counted from 0
for reductions, one axis for the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from boxgrad.graph.primitive import Call, NoDerivative, Notation, Primitive, Rule, Sum
from boxgrad.ops.control import scan
from boxgrad.ops.shape import broadcast
from boxgrad.ops.typing import Axes, like_first, reduced_shape
from boxgrad.types import ArrayType


def restored(g: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    """A reduced value with its reduced axes back as axes of size 1."""
    return g if keepdims else g.reshape(reduced_shape(x.shape, axis, True))


def reduction(
    name: str, ufunc: np.ufunc, *, vjp: Rule | NoDerivative, notation: Notation, dtype: Any = None
) -> Primitive:
    """The record of ``ufunc.reduce`` over a tuple of axes; ``dtype`` fixes that of the result."""

    def meaning(x: Any, *, axis: Axes, keepdims: bool) -> Any:
        return ufunc.reduce(x, axis=axis, keepdims=keepdims)

    def type_rule(x: ArrayType, *, axis: Axes, keepdims: bool) -> ArrayType:
        if ufunc in (np.maximum, np.minimum) and 0 in (x.shape[i] for i in axis):
            raise ValueError(f"{name} of nothing has no value: shape {x.shape}, axis {axis}")
        result = dtype or ufunc.reduce(np.zeros(1, x.dtype)).dtype
        return ArrayType(reduced_shape(x.shape, axis, keepdims), result)

    rules = vjp if isinstance(vjp, NoDerivative) else (vjp,)
    return Primitive(name, meaning, type_rule, rules, notation, ())


def _sum_rule(g: Any, y: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    return broadcast(restored(g, x, axis, keepdims), shape=x.shape)


def _extremum_rule(g: Any, y: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    ties = (x == restored(y, x, axis, keepdims)) | (x != x)  # NaN, where there is one, is the result
    number = np.sum(ties, axis=axis, keepdims=True).astype(x.dtype)
    return np.where(ties, restored(g, x, axis, keepdims) / number, 0)


def others(x: Any) -> Any:
    """The product of all other elements along the last axis, by running products from both ends."""
    if x.shape[-1] == 0:
        return x
    one = np.ones((*x.shape[:-1], 1), x.dtype)
    before = np.cumprod(np.concatenate([one, x[..., :-1]], axis=-1), axis=-1)
    after = np.cumprod(np.concatenate([one, x[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
    return before * after


def _prod_rule(g: Any, y: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    kept = tuple(i for i in range(x.ndim) if i not in axis)
    order = (*kept, *axis)
    moved = x.transpose(order)
    flat = moved.reshape((*(x.shape[i] for i in kept), math.prod(x.shape[i] for i in axis)))
    product = others(flat).reshape(moved.shape).transpose(tuple(np.argsort(order).tolist()))
    return restored(g, x, axis, keepdims) * product


sum = reduction("sum", np.add, vjp=_sum_rule, notation=Sum("Σ"))
prod = reduction("prod", np.multiply, vjp=_prod_rule, notation=Sum("Π"))
max = reduction("max", np.maximum, vjp=_extremum_rule, notation=Sum("max"))
min = reduction("min", np.minimum, vjp=_extremum_rule, notation=Sum("min"))
_TRUTH = NoDerivative("a truth value is not a real number")
any = reduction("any", np.logical_or, vjp=_TRUTH, notation=Call("any"), dtype=np.dtype(bool))
all = reduction("all", np.logical_and, vjp=_TRUTH, notation=Call("all"), dtype=np.dtype(bool))


def _position(name: str, function: Callable[..., Any]) -> Primitive:
    def meaning(x: Any, *, axis: int) -> Any:
        return function(x, axis=axis)

    def type_rule(x: ArrayType, *, axis: int) -> ArrayType:
        if x.shape[axis] == 0:
            raise ValueError(f"{name} of nothing has no value: shape {x.shape}, axis {axis}")
        return ArrayType(reduced_shape(x.shape, (axis,), False), np.dtype(np.intp))

    return Primitive(name, meaning, type_rule, _INTEGERS, Call(name), ())


_INTEGERS = NoDerivative("its values are positions, which are integers")
argmax = _position("argmax", np.argmax)
argmin = _position("argmin", np.argmin)


def reversed_along(x: Any, axis: int) -> Any:
    """The elements in the opposite order along an axis."""
    return x[(slice(None),) * axis + (slice(None, None, -1),)]


def _cumsum_rule(g: Any, y: Any, x: Any, axis: int) -> Any:
    return reversed_along(np.cumsum(reversed_along(g, axis), axis=axis), axis)


def _cumprod_rule(g: Any, y: Any, x: Any, axis: int) -> Any:
    """dx_i = P_{i-1} s_i with s_i = g_i + x_{i+1} s_{i+1} and P the running product."""
    first = (slice(None),) * axis
    if x.shape[axis] == 0:
        return g
    one = np.ones((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype)
    following = np.concatenate([x[(*first, slice(1, None))], one], axis=axis)

    def cell(s: Any, inputs: Any) -> Any:
        g, x = inputs
        s = g + x * s
        return s, s

    start = np.zeros((*x.shape[:axis], *x.shape[axis + 1 :]), g.dtype)
    streams = (np.moveaxis(g, axis, 0), np.moveaxis(following, axis, 0))
    sums = np.moveaxis(scan(cell, start, streams, reverse=True)[1], 0, axis)
    before = np.cumprod(np.concatenate([one, x[(*first, slice(None, -1))]], axis=axis), axis=axis)
    return before * sums


def _running(name: str, ufunc: np.ufunc, rule: Rule, symbol: str) -> Primitive:
    def meaning(x: Any, *, axis: int) -> Any:
        return ufunc.accumulate(x, axis=axis, dtype=ufunc.reduce(np.zeros(1, x.dtype)).dtype)

    def type_rule(x: ArrayType, *, axis: int) -> ArrayType:
        return ArrayType(x.shape, ufunc.reduce(np.zeros(1, x.dtype)).dtype)

    return Primitive(name, meaning, type_rule, (rule,), Call(symbol), ())


cumsum = _running("cumsum", np.add, _cumsum_rule, "cumsum")
cumprod = _running("cumprod", np.multiply, _cumprod_rule, "cumprod")


def _sort_rule(g: Any, y: Any, x: Any, axis: int) -> Any:
    rank = np.argsort(np.argsort(x, axis=axis, kind="stable"), axis=axis, kind="stable")
    return np.take_along_axis(g, rank, axis=axis)


def _stable(function: Callable[..., Any]) -> Callable[..., Any]:
    def meaning(x: Any, *, axis: int) -> Any:
        return function(x, axis=axis, kind="stable")

    return meaning


sort = Primitive("sort", _stable(np.sort), like_first, (_sort_rule,), Call("sort"), ())
argsort = Primitive(
    "argsort",
    _stable(np.argsort),
    lambda x, axis: ArrayType(x.shape, np.dtype(np.intp)),
    _INTEGERS,
    Call("argsort"),
    (),
)

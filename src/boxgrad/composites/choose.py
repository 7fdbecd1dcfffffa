"""Choosing elements: by conditions, by order, by tables. Positions are integers and carry no derivative."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from boxgrad.composites.reductions import array, one_axis
from boxgrad.errors import ShapeError
from boxgrad.trace.table import implements, refuse, writes_out

refuse(
    "which elements there are, and how many, jumps with the values",
    "np.sort(x) and comparisons of neighbours; or the same call on plain arrays before the traced function",
    np.unique,
    np.unique_all,
    np.unique_counts,
    np.unique_inverse,
    np.unique_values,
    np.intersect1d,
    np.setdiff1d,
    np.setxor1d,
    np.union1d,
)


# ---- by conditions
@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """The first choice whose condition holds."""
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError("list of cases must be same length as list of conditions")
    y = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        y = np.where(condition, choice, y)
    return y


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Each function sees the elements for which its condition holds."""
    listed = isinstance(condlist, (list, tuple))
    if not (listed or np.ndim(condlist)) or (np.ndim(condlist[0]) == 0 and np.ndim(x) != 0):
        condlist = [condlist]
    conditions = [np.broadcast_to(c, np.shape(x)) for c in condlist]
    if len(funclist) == len(conditions) + 1:
        rest = ~conditions[0]
        for c in conditions[1:]:
            rest = rest & ~c
        conditions.append(rest)
    if len(funclist) != len(conditions):
        raise ShapeError.because(
            f"np.piecewise with {len(conditions)} conditions and {len(funclist)} functions",
            "there is one function for each condition, and possibly one more for the rest",
            "as many functions as conditions",
        )
    y = np.zeros_like(x) if np.ndim(x) else np.zeros((), x.dtype, like=x)
    for condition, function in zip(conditions, funclist, strict=True):
        if not callable(function):
            y = np.where(condition, function, y).astype(y.dtype)
        elif np.ndim(x) == 0:
            y = np.where(condition, function(x, *args, **kw), y).astype(y.dtype)
        else:
            y[condition] = function(x[condition], *args, **kw)
    return y


@implements(np.choose)
@writes_out(2)
def choose(a: Any, choices: Any, mode: str = "raise") -> Any:
    parts = [array(c) for c in choices] if isinstance(choices, (list, tuple)) else list(choices)
    a = array(a)
    if a.dtype.kind not in "iub":
        raise TypeError(f"Cannot cast array data from {a.dtype} to int64 according to the rule 'safe'")
    shape = np.broadcast_shapes(a.shape, *(x.shape for x in parts))
    table = np.stack([np.broadcast_to(x, shape) for x in parts])
    index = np.broadcast_to(a, shape)
    if mode == "raise":
        index = np.where(index < 0, len(parts), index)  # a negative number is none of the choices
    else:
        index = np.clip(index, 0, len(parts) - 1) if mode == "clip" else index % len(parts)
    return np.take_along_axis(table, index.astype(np.intp)[None], axis=0)[0]


@implements(np.compress)
@writes_out(3)
def compress(condition: Any, a: Any, axis: Any = None) -> Any:
    a = array(a)
    a, axis = (np.ravel(a), 0) if axis is None else (a, one_axis(a.ndim, axis))
    return np.take(a, np.flatnonzero(condition), axis=axis)


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    return np.take(np.ravel(array(arr)), np.flatnonzero(condition))


@implements(np.flatnonzero)
def flatnonzero(a: Any) -> Any:
    return np.nonzero(np.ravel(a))[0]


@implements(np.argwhere)
def argwhere(a: Any) -> Any:
    if not np.ndim(a):
        a = np.atleast_1d(a)
        return np.stack(np.nonzero(a), axis=-1)[:, :0]
    return np.stack(np.nonzero(a), axis=-1)


# ---- by order
@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """How many elements of the sorted array come before the value: comparisons, counted."""
    a, v = array(a), array(v)
    a = a if sorter is None else np.take(a, sorter)
    before = a < v[..., None] if side == "left" else a <= v[..., None]
    return np.sum(before, axis=-1)


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    bins, side = array(bins), "left" if right else "right"
    if bool(bins[0] <= bins[-1]):
        return np.searchsorted(bins, x, side=side)
    return len(bins) - np.searchsorted(bins[::-1], x, side="right" if right else "left")


@implements(np.partition)
def partition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    """Sorted, which is one of the orders that NumPy allows for a partition."""
    return np.sort(a, axis=axis)


@implements(np.argpartition)
def argpartition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    return np.argsort(a, axis=axis)


@implements(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Any:
    first, *rest = [array(k) for k in keys]
    order = np.argsort(first, axis=axis, kind="stable")
    for key in rest:
        again = np.argsort(np.take_along_axis(key, order, axis=axis), axis=axis, kind="stable")
        order = np.take_along_axis(order, again, axis=axis)
    return order


@implements(np.sort_complex)
def sort_complex(a: Any) -> Any:
    y = np.sort(a)
    return y if y.dtype.kind == "c" else y.astype(np.result_type(y.dtype, np.complex64))


# ---- tables of truth values and positions
@implements(np.isin)
def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None
) -> Any:
    found = np.any(array(element)[..., None] == np.ravel(array(test_elements)), axis=-1)
    return ~found if invert else found


@implements(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> Any:
    a1, a2 = array(a1), array(a2)
    try:
        np.broadcast_shapes(np.shape(a1), np.shape(a2))
    except ValueError:
        return False
    return np.all(a1 == a2)


@implements(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: str = "C") -> Any:
    found: list[Any] = []
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    for n in sizes[::-1] if order == "C" else sizes:
        found.append(indices % n)
        indices = indices // n
    return tuple(found[::-1] if order == "C" else found)


@implements(np.ravel_multi_index)
def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: str = "C") -> Any:
    strides = [math.prod(dims[i + 1 :]) if order == "C" else math.prod(dims[:i]) for i in range(len(dims))]
    modes = (mode,) * len(dims) if isinstance(mode, str) else mode
    total: Any = 0
    for index, n, stride, how in zip(multi_index, dims, strides, modes, strict=True):
        index = np.clip(index, 0, n - 1) if how == "clip" else index % n if how == "wrap" else index
        total = total + index * stride
    return total


@implements(np.ix_)
def ix_(*args: Any) -> Any:
    found = [np.nonzero(x)[0] if array(x).dtype.kind == "b" else array(x) for x in args]
    n = len(found)
    return tuple(x.reshape((1,) * i + (-1,) + (1,) * (n - i - 1)) for i, x in enumerate(found))


@implements(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    if axis is None:
        arr.flat[indices] = values
        return
    axis = one_axis(arr.ndim, axis)
    key = [
        np.arange(n).reshape((1,) * i + (-1,) + (1,) * (arr.ndim - i - 1)) for i, n in enumerate(arr.shape)
    ]
    key[axis] = indices
    arr[tuple(key)] = values

"""NumPy's functions that write into their first argument: copyto, put, place, fill_diagonal …

A write into a box replaces its node. A plain array cannot hold traced values, and is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad.composites.reductions import array
from boxgrad.errors import TraceError
from boxgrad.trace.apply import Holder
from boxgrad.trace.table import implements


def _target(name: str, a: Any) -> Any:
    if not isinstance(a, Holder):
        raise TraceError.because(
            f"np.{name} was to write a traced value into a plain ndarray",
            "the ndarray cannot remember how its elements were computed, so the gradient would be lost",
            "a target made with np.zeros_like(x) or np.zeros(n, like=x)",
        )
    return a


@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    dst, src = _target("copyto", dst), array(src)
    if not np.can_cast(src.dtype, dst.dtype, casting):  # type: ignore[arg-type]
        raise TypeError(f"Cannot cast array data from {src.dtype!r} to {dst.dtype!r} by the rule {casting!r}")
    dst[...] = src if where is True else np.where(where, src, dst)


def _repeated(values: Any, count: int) -> Any:
    """The values, repeated from the first until there are so many."""
    values = np.ravel(array(values))
    return np.take(values, np.arange(count) % values.shape[0]) if values.shape[0] != 1 else values


@implements(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    a, ind = _target("put", a), np.ravel(array(ind))
    if mode != "raise":
        ind = np.clip(ind, 0, a.size - 1) if mode == "clip" else ind % a.size
    if ind.shape[0]:
        a.flat[ind] = _repeated(v, ind.shape[0])


@implements(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """The first true elements get the values, one after the other."""
    arr, found = _target("place", arr), np.flatnonzero(mask)
    if len(found):
        if not np.size(vals):
            raise ValueError("Cannot insert from an empty array!")
        arr.flat[found] = _repeated(vals, len(found))


@implements(np.putmask)
def putmask(a: Any, mask: Any, values: Any) -> None:
    """Each true element gets the value at its own position."""
    a, values = _target("putmask", a), array(values)
    if np.shape(values) != a.shape:
        values = np.broadcast_to(_repeated(values, a.size), (a.size,)).reshape(a.shape)
    a[...] = np.where(mask, values, a)


@implements(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    a, val = _target("fill_diagonal", a), np.ravel(array(val))
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d")
    if a.ndim > 2 and len(set(a.shape)) != 1:
        raise ValueError("All dimensions of input must be of equal length")
    step = a.shape[1] + 1 if a.ndim == 2 else 1 + sum(a.shape[0] ** i for i in range(1, a.ndim))
    end = a.shape[1] * a.shape[1] if a.ndim == 2 and not wrap else None
    places = np.arange(a.size)[:end:step]
    a.flat[places] = _repeated(val, len(places))

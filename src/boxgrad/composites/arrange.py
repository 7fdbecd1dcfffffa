"""More ways to arrange and join arrays: blocks, splits, insertions, rotations, windows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from boxgrad.composites.reductions import array, axes_of, one_axis
from boxgrad.errors import ShapeError
from boxgrad.trace.apply import Holder
from boxgrad.trace.table import implements


def _at(axis: int, part: Any) -> tuple[Any, ...]:
    """The key that takes a part along one axis."""
    return (*(slice(None),) * axis, part)


# ---- joining and splitting
@implements(np.dstack)
def dstack(tup: Any) -> Any:
    return np.concatenate([np.atleast_3d(x) for x in tup], axis=2)


@implements(np.block)
def block(arrays: Any) -> Any:
    """Nested lists: the innermost are joined along the last axis, those around it along the one before."""
    depth = _depth(arrays)
    most = max(depth, _most_axes(arrays))
    return np.copy(_joined(arrays, depth, most))


def _depth(arrays: Any) -> int:
    return 1 + _depth(arrays[0]) if isinstance(arrays, list) else 0


def _most_axes(arrays: Any) -> int:
    return max(_most_axes(x) for x in arrays) if isinstance(arrays, list) else np.ndim(arrays)


def _joined(arrays: Any, depth: int, most: int) -> Any:
    if not isinstance(arrays, list):
        x = array(arrays)
        return x.reshape((1,) * (most - x.ndim) + x.shape)
    return np.concatenate([_joined(x, depth - 1, most) for x in arrays], axis=-depth)


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    if axis is None:
        arr, values, axis = np.ravel(array(arr)), np.ravel(array(values)), 0
    return np.concatenate((array(arr), array(values)), axis=axis)


def _split_along(axis: int) -> Any:
    def split(ary: Any, indices_or_sections: Any) -> Any:
        if ary.ndim <= axis and not (axis == 1 and ary.ndim == 1):
            raise ShapeError.because(
                f"a split of an array of {ary.ndim} axes along axis {axis}",
                "it must have that axis",
                "np.split with axis=",
            )
        return np.split(ary, indices_or_sections, min(axis, ary.ndim - 1))

    return split


for _function, _axis in ((np.vsplit, 0), (np.hsplit, 1), (np.dsplit, 2)):
    implements(_function)(_split_along(_axis))


@implements(np.unstack)
def unstack(x: Any, /, *, axis: int = 0) -> Any:
    axis = one_axis(x.ndim, axis)
    return tuple(x[_at(axis, i)] for i in range(x.shape[axis]))


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    n = len(xi)
    grids = [np.ravel(array(x)).reshape((1,) * i + (-1,) + (1,) * (n - i - 1)) for i, x in enumerate(xi)]
    if indexing == "xy" and n > 1:
        grids = [np.swapaxes(x, 0, 1) for x in grids]
    if sparse:
        return tuple(x + 0 if copy else x for x in grids)
    shape = np.broadcast_shapes(*(x.shape for x in grids))
    return tuple(np.copy(np.broadcast_to(x, shape)) for x in grids)


# ---- inserting and deleting
def _positions(obj: Any, size: int) -> np.ndarray[Any, Any]:
    if isinstance(obj, slice):
        return np.arange(size)[obj]
    return np.asarray(obj)


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    arr = array(arr)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = one_axis(arr.ndim, axis)
    keep = np.delete(np.arange(arr.shape[axis]), obj)
    return np.take(arr, keep, axis=axis)


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """Where the new elements stand is computed on positions; the rest is a selection of both."""
    arr, values = array(arr), array(values)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = one_axis(arr.ndim, axis)
    size, places = arr.shape[axis], _positions(obj, arr.shape[axis])
    if places.ndim == 0:
        values = values.reshape((1,) * (arr.ndim - values.ndim) + values.shape)
        values = np.moveaxis(values, 0, axis) if values.ndim else values
        count = values.shape[axis] if values.ndim else 1
        places = np.full(count, places)
    else:
        places = np.flatnonzero(places) if places.dtype == bool else places
        values = values.reshape((1,) * (arr.ndim - values.ndim) + values.shape)
    shape = tuple(len(places) if i == axis else n for i, n in enumerate(arr.shape))
    both = np.concatenate([arr, np.broadcast_to(values, shape).astype(arr.dtype)], axis=axis)
    order = np.insert(np.arange(size), places, size + np.arange(len(places)))
    return np.take(both, order, axis=axis)


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    shape = (new_shape,) if isinstance(new_shape, (int, np.integer)) else tuple(new_shape)
    size, flat = math.prod(shape), np.ravel(a)
    if not flat.shape[0]:
        return np.zeros_like(a, shape=shape)
    return np.take(flat, np.arange(size) % flat.shape[0]).reshape(shape)


@implements(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """How much is left is a matter of values."""
    found = np.nonzero(filt)
    for i in axes_of(filt, axis):
        places = found[i]
        first = int(places.min()) if len(places) and "f" in trim.lower() else 0
        last = int(places.max()) + 1 if len(places) and "b" in trim.lower() else filt.shape[i]
        filt = filt[_at(i, slice(first, last if len(places) else 0))]
    return filt


# ---- turning, moving, viewing
@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    first, second = axes_of(m, tuple(axes))
    if first == second:
        raise ValueError("Axes must be different.")
    k %= 4
    if k == 0:
        return m[:]
    if k == 2:
        return np.flip(m, (first, second))
    return (
        np.swapaxes(np.flip(m, second), first, second)
        if k == 1
        else np.flip(np.swapaxes(m, first, second), second)
    )


@implements(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    axis = one_axis(a.ndim, axis)
    start = start + a.ndim if start < 0 else start
    return np.moveaxis(a, axis, start - 1 if axis < start else start)


@implements(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    results = []
    for x in map(array, arys):
        results.append(
            np.reshape(x, (1, 1, 1)) if x.ndim == 0
            else x[None, :, None] if x.ndim == 1
            else x[:, :, None] if x.ndim == 2
            else x
        )  # fmt: skip
    return results[0] if len(results) == 1 else tuple(results)


@implements(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    return np.diag(np.ravel(v), k)


@implements(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    """All windows, selected by their positions; NumPy's are a read-only view, and these are copies."""
    sizes = tuple(window_shape) if isinstance(window_shape, (tuple, list)) else (window_shape,)
    axes = axes_of(x, tuple(axis) if isinstance(axis, list) else axis)
    if len(axes) != len(sizes) or writeable or any(x.shape[i] < n for i, n in zip(axes, sizes, strict=False)):
        raise ShapeError.because(
            f"windows of shape {sizes} along axes {axes} of shape {x.shape}",
            "there is one size for each axis, at most as large as the axis, and windows are read only",
            "a window that fits",
        )
    for i, n in zip(axes, sizes, strict=True):
        positions = np.arange(x.shape[i] - n + 1)[:, None] + np.arange(n)
        x = np.moveaxis(np.take(x, positions, axis=i), i + 1, -1)
    return x


@implements(np.vander)
def vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    n = len(x) if N is None else N
    columns = [np.ones_like(x, dtype=np.promote_types(x.dtype, int))]
    for _ in range(n - 1):
        columns.append(columns[-1] * x)
    columns = columns[:n]
    return np.stack(columns if increasing else columns[::-1], axis=1)


# ---- functions along axes
@implements(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: Any, arr: Any, *args: Any, **kwargs: Any) -> Any:
    axis = one_axis(arr.ndim, axis)
    moved = np.moveaxis(arr, axis, -1)
    rows = [func1d(moved[i], *args, **kwargs) for i in np.ndindex(moved.shape[:-1])]
    made = np.stack([x if isinstance(x, Holder) else np.asarray(x) for x in rows])
    made = made.reshape((*moved.shape[:-1], *made.shape[1:]))
    lead = moved.ndim - 1
    inner = range(lead, made.ndim)
    return np.moveaxis(made, tuple(inner), tuple(axis + i - lead for i in inner))


@implements(np.apply_over_axes)
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    for axis in np.atleast_1d(axes).tolist():
        y = func(a, axis)
        a = y if y.ndim == a.ndim else np.expand_dims(y, axis)
    return a


# ---- indices that depend on the shape alone
@implements(np.tril_indices_from)
def tril_indices_from(arr: Any, k: int = 0) -> Any:
    return np.tril_indices(arr.shape[-2], k, arr.shape[-1])


@implements(np.triu_indices_from)
def triu_indices_from(arr: Any, k: int = 0) -> Any:
    return np.triu_indices(arr.shape[-2], k, arr.shape[-1])


@implements(np.diag_indices_from)
def diag_indices_from(arr: Any) -> Any:
    if arr.ndim < 2 or len(set(arr.shape)) != 1:
        raise ValueError("All dimensions of input must be of equal length")
    return np.diag_indices(arr.shape[0], arr.ndim)

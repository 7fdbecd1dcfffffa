"""NumPy functions as plain NumPy over primitives: shapes, joining and splitting, products, attributes."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from boxgrad.composites.reductions import array, axes_of, one_axis
from boxgrad.errors import ShapeError, TraceError
from boxgrad.graph.primitive import Primitive, Traced
from boxgrad.ops import elementwise
from boxgrad.ops import shape as shapes
from boxgrad.ops.index import embed
from boxgrad.trace.apply import lift
from boxgrad.trace.box import OwnBox
from boxgrad.trace.table import implements, writes_out


# ---- attributes, new arrays
@implements(np.shape)
def shape(a: Any) -> Any:
    return a.shape


@implements(np.ndim)
def ndim(a: Any) -> Any:
    return a.ndim


@implements(np.size)
def size(a: Any, axis: Any = None) -> Any:
    return math.prod(a.shape[i] for i in axes_of(a, axis))


@implements(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return a.copy(order)


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    return x.dtype.kind == "c"


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    return x.dtype.kind != "c"


@implements(np.real)
def real(val: Any) -> Any:
    return _part(val, elementwise.real, elementwise.imag, lambda x, z: x + 1j * z) if _complex(val) else val


@implements(np.imag)
def imag(val: Any) -> Any:
    if not _complex(val):
        return np.zeros_like(val)
    return _part(val, elementwise.imag, elementwise.real, lambda x, z: z + 1j * x)


def _complex(x: Any) -> bool:
    return x.dtype.kind == "c"


def _part(x: Any, part: Primitive, rest: Primitive, joined: Any) -> Any:
    """The real or the imaginary part, which is a view of a complex array."""

    if x.is_scalar:
        return part(x)

    def put(node: Any, value: Any) -> Any:
        return joined(OwnBox(value), rest(OwnBox(node))).astype(node.dtype).node

    return x.view_through(part, {}, put)


@implements(np.result_type)
def result_type(*arrays_and_dtypes: Any) -> Any:
    return np.result_type(*(x.dtype if isinstance(x, Traced) else x for x in arrays_and_dtypes))  # type: ignore[attr-defined]


def held(array: Any) -> Any:
    """A box that holds a constant and can be written into."""
    return OwnBox(lift(array), scalar=False)


def _like(make: Any) -> Any:
    """A new array that traced values can be written into: a box that holds a constant."""

    def new(
        prototype: Any,
        *values: Any,
        dtype: Any = None,
        order: str = "K",
        subok: bool = True,
        shape: Any = None,
        device: Any = None,
    ) -> Any:
        sizes = prototype.shape if shape is None else shape
        sizes = (sizes,) if isinstance(sizes, int) else tuple(sizes)
        fill = [v.dtype.type(0) if isinstance(v, Traced) else v for v in values]  # type: ignore[attr-defined]
        value = make(sizes, *fill, dtype=prototype.dtype if dtype is None else dtype)
        memory = getattr(prototype, "memory", prototype)
        if shape is None and order == "K" and not memory.flags.c_contiguous:
            value, plain = np.empty_like(memory, dtype=value.dtype), value  # it lies as its model does
            value[...] = plain
        array = held(value)
        if values and isinstance(values[0], Traced):
            array[...] = values[0]
        return array

    return new


for _function, _make in {
    np.zeros_like: np.zeros,
    np.empty_like: np.zeros,
    np.ones_like: np.ones,
    np.full_like: np.full,
}.items():
    implements(_function)(_like(_make))


def _with_like(make: Any) -> Any:
    """``np.zeros(n, like=x)``: an array that traced values can be written into."""

    def new(*args: Any, **kwargs: Any) -> Any:
        return held(make(*args, **kwargs))

    return new


for _function in (np.zeros, np.ones, np.full, np.empty, np.eye, np.identity, np.arange):
    implements(_function)(_with_like(_function))


# ---- views
@implements(np.reshape)
def reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    if order not in ("C", "A", "F"):
        raise ValueError(f"order must be one of 'C', 'F' or 'A', not {order!r}")
    return a.reshape(shape if newshape is None else newshape, order=order, copy=copy)


@implements(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    return a.ravel(order)


@implements(np.transpose)
def transpose(a: Any, axes: Any = None) -> Any:
    return a.transpose(axes)


@implements(np.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    return x.swapaxes(-1, -2)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    return a.swapaxes(axis1, axis2)


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    sources = axes_of(a, tuple(source) if isinstance(source, (list, tuple)) else source)
    targets = axes_of(a, tuple(destination) if isinstance(destination, (list, tuple)) else destination)
    order = [i for i in range(a.ndim) if i not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return a.transpose(tuple(order))


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    total = a.ndim + len(axes)
    new = {one_axis(total, i) for i in axes}
    return a[tuple(None if i in new else slice(None) for i in range(total))]


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    axes = tuple(i for i, n in enumerate(a.shape) if n == 1) if axis is None else axes_of(a, axis)
    if any(a.shape[i] != 1 for i in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return a[(*(0 if i in axes else slice(None) for i in range(a.ndim)), ...)] if axes else a


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    axes = axes_of(m, axis)
    return m[tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(m.ndim))]


@implements(np.flipud)
def flipud(m: Any) -> Any:
    return m[::-1]


@implements(np.fliplr)
def fliplr(m: Any) -> Any:
    return m[:, ::-1]


@implements(np.atleast_1d)
def atleast_1d(*arrays: Any) -> Any:
    made = tuple(x.reshape(1) if x.ndim == 0 else x for x in map(array, arrays))
    return made[0] if len(made) == 1 else made


@implements(np.atleast_2d)
def atleast_2d(*arrays: Any) -> Any:
    made = tuple(x if x.ndim > 1 else np.atleast_1d(x)[None, :] for x in map(array, arrays))
    return made[0] if len(made) == 1 else made


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    return array if sizes == array.shape else shapes.broadcast(array, shape=sizes)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    sizes = np.broadcast_shapes(*(np.shape(x) for x in args))
    return tuple(np.broadcast_to(x, sizes) for x in args)


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    a = np.moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = a.shape[-2:]
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    steps = np.arange(length)
    return a[..., steps + max(-offset, 0), steps + max(offset, 0)]


@implements(np.trace)
@writes_out(5)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Any:
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    if v.ndim != 1:
        return np.diagonal(v, k)
    n = v.shape[0] + abs(k)
    square = np.zeros_like(v, shape=(n, n))
    steps = np.arange(v.shape[0])
    square[steps + max(-k, 0), steps + max(k, 0)] = v
    return square


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    return np.where(np.tri(*m.shape[-2:], k=k, dtype=bool), m, np.zeros((), m.dtype))


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    return np.where(np.tri(*m.shape[-2:], k=k - 1, dtype=bool), np.zeros((), m.dtype), m)


# ---- joining and splitting
@implements(np.concatenate)
@writes_out(2)
def concatenate(arrays: Any, /, axis: Any = 0, dtype: Any = None, casting: str = "same_kind") -> Any:
    parts = [x if hasattr(x, "ndim") else np.asarray(x) for x in arrays]
    if axis is None:
        parts, axis = [np.ravel(x) for x in parts], 0
    y = shapes.concatenate(*parts, axis=one_axis(np.ndim(parts[0]), axis))
    return y if dtype is None else y.astype(dtype)


@implements(np.stack)
@writes_out(2)
def stack(arrays: Any, axis: int = 0, dtype: Any = None, casting: str = "same_kind") -> Any:
    parts = [x if hasattr(x, "ndim") else np.asarray(x) for x in arrays]
    axis = one_axis(np.ndim(parts[0]) + 1, axis)
    return np.concatenate([np.expand_dims(x, axis) for x in parts], axis=axis, dtype=dtype)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    parts = [np.atleast_1d(x) for x in tup]
    return np.concatenate(parts, axis=0 if np.ndim(parts[0]) == 1 else 1, dtype=dtype)


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return np.concatenate([np.atleast_2d(x) for x in tup], axis=0, dtype=dtype)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    return np.concatenate([x if np.ndim(x) > 1 else np.atleast_1d(x)[:, None] for x in tup], axis=1)


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    if isinstance(indices_or_sections, (int, np.integer)) and ary.shape[axis] % indices_or_sections:
        raise ShapeError.because(
            f"np.split of an axis of size {ary.shape[axis]} into {indices_or_sections} parts",
            "the parts must be equal",
            "np.array_split, or the positions of the cuts",
        )
    return np.array_split(ary, indices_or_sections, axis)


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    n = ary.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        each, extra = divmod(n, indices_or_sections)
        sizes = [each + 1] * extra + [each] * (int(indices_or_sections) - extra)
        bounds = np.cumsum([0, *sizes]).tolist()
    else:
        bounds = [0, *(int(i) for i in indices_or_sections), None]
    lead = (slice(None),) * one_axis(ary.ndim, axis)
    return [ary[(*lead, slice(a, b))] for a, b in itertools.pairwise(bounds)]


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", *, constant_values: Any = 0, **_: Any) -> Any:
    if mode != "constant":
        raise TraceError.because(
            f"np.pad with mode={mode!r}", "only constant padding is traced", "np.concatenate of the parts"
        )
    widths = np.broadcast_to(np.asarray(pad_width), (array.ndim, 2)).tolist()
    sizes = tuple(n + a + b for n, (a, b) in zip(array.shape, widths, strict=True))
    key = tuple(slice(a, a + n) for n, (a, b) in zip(array.shape, widths, strict=True))
    y = embed(array, key=key, shape=sizes)
    if np.all(np.asarray(constant_values) == 0):
        return y
    frame = np.pad(np.zeros(array.shape, array.dtype), widths, constant_values=constant_values)
    return y + frame


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    if axis is None:
        return np.roll(np.ravel(a), shift, 0).reshape(a.shape)
    for step, i in zip(*(x.ravel().tolist() for x in np.broadcast_arrays(shift, axis)), strict=True):
        i = one_axis(a.ndim, i)
        cut = -int(step) % a.shape[i] if a.shape[i] else 0
        lead = (slice(None),) * i
        a = np.concatenate([a[(*lead, slice(cut, None))], a[(*lead, slice(None, cut))]], axis=i)
    return a


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    times = (reps,) if isinstance(reps, (int, np.integer)) else tuple(reps)
    a = A.reshape((1,) * max(0, len(times) - A.ndim) + A.shape)
    times = (1,) * (a.ndim - len(times)) + times
    pairs = [n for pair in zip(times, a.shape, strict=True) for n in pair]
    spread = a[tuple(part for _ in a.shape for part in (None, slice(None)))]
    flat = tuple(r * n for r, n in zip(times, a.shape, strict=True))
    return np.broadcast_to(spread, tuple(pairs)).reshape(flat)


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    if axis is None:
        a, axis = np.ravel(a), 0
    axis = one_axis(a.ndim, axis)
    positions = np.repeat(np.arange(a.shape[axis]), repeats)
    return np.take(a, positions, axis=axis)

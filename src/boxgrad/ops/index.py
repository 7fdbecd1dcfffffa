"""Primitives that select elements, put elements, and their adjoints.

* ``slice`` takes a basic key (slices, integers, None, ellipsis); ``embed`` is its adjoint: zeros with a
  value at the key; ``put_slice`` replaces what is at the key.
* ``gather`` takes index arrays: the key has a ``Slot`` where one stands; ``scatter_add`` is its adjoint:
  repeated positions add up; ``put`` replaces, and where a position is repeated the last value stays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from boxgrad.graph.primitive import AllInputs, Index, NoDerivative, Primitive
from boxgrad.ops.elementwise import where
from boxgrad.ops.typing import by_example, like_first
from boxgrad.record import Record
from boxgrad.types import ArrayType

Shape = tuple[int, ...]
Key = tuple[Any, ...]


class Slot(Record):
    """Stands in a key for the index array that is the input of that number."""

    number: int


def filled(key: Key, indices: tuple[Any, ...]) -> Key:
    """The key with its index arrays put in."""
    return tuple(indices[item.number] if isinstance(item, Slot) else item for item in key)


# ---- basic keys
def _embed(x: Any, *, key: Key, shape: Shape) -> Any:
    y = np.zeros(shape, x.dtype)
    y[key] = x
    return y


def _put_slice(x: Any, z: Any, *, key: Key) -> Any:
    y = np.array(x, order="K", copy=True, subok=False)
    y[key] = z
    return y


def _slice(x: Any, *, key: Key) -> Any:
    return x[key]


slice = Primitive(
    "slice", _slice, by_example(_slice), (lambda g, y, x, key: embed(g, key=key, shape=x.shape),), Index(), ()
)
embed = Primitive(
    "embed",
    _embed,
    lambda x, key, shape: ArrayType(shape, x.dtype),
    (lambda g, y, x, key, shape: slice(g, key=key),),
    Index(),
    (),
)


def _put_slice_type(x: ArrayType, z: ArrayType, *, key: Key) -> ArrayType:
    place = ArrayType.of(np.broadcast_to(np.zeros((), x.dtype), x.shape)[key]).shape
    if np.broadcast_shapes(place, z.shape) != place:
        raise ValueError(f"could not broadcast input array from shape {z.shape} into shape {place}")
    return ArrayType(x.shape, x.dtype)


put_slice = Primitive(
    "put_slice",
    _put_slice,
    _put_slice_type,
    (
        lambda g, y, x, z, key: put_slice(g, np.zeros((), g.dtype), key=key),
        lambda g, y, x, z, key: slice(g, key=key),
    ),
    Index(),
    (),
)


# ---- index arrays
_POSITIONS = NoDerivative("an index array holds positions, which are integers")


def _gather(x: Any, *indices: Any, key: Key) -> Any:
    return x[filled(key, indices)]


def _gather_type(x: ArrayType, *indices: ArrayType, key: Key) -> ArrayType:
    """Indices of zeros have the right shapes and are always in range, save in an empty axis."""
    if 0 in x.shape:
        x = ArrayType(tuple(max(n, 1) for n in x.shape), x.dtype)
    return by_example(_gather)(x, *indices, key=key)


def _gather_rule(g: Any, y: Any, wanted: Any, x: Any, *indices: Any, key: Key) -> Any:
    return (scatter_add(g, *indices, key=key, shape=x.shape), *(None for _ in indices))


gather = Primitive("gather", _gather, _gather_type, AllInputs(_gather_rule), Index(), ())


def _add_rows(y: Any, index: Any, x: Any) -> None:
    """y[index] += x for repeated rows: sorted, then summed by runs; much faster than add.at."""
    rows: Any = np.remainder(index, y.shape[0]).reshape(-1)
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    starts = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))
    values = np.broadcast_to(x, index.shape + y.shape[1:]).reshape((len(order), *y.shape[1:]))
    y[rows[starts]] = np.add.reduceat(values[order], starts, axis=0)


def _scatter_add(x: Any, *indices: Any, key: Key, shape: Shape) -> Any:
    y = np.zeros(shape, x.dtype)
    if key[0] == Slot(0) and len(indices) == 1 and len(key) == 1 and y.ndim > 1 and indices[0].size:
        np.take(np.empty(shape[0], bool), indices[0])  # NumPy's own error for an index outside
        _add_rows(y, indices[0], x)
    else:
        np.add.at(y, filled(key, indices), x)
    return y


def _scatter_add_rule(g: Any, y: Any, wanted: Any, x: Any, *indices: Any, key: Key, shape: Shape) -> Any:
    return (gather(g, *indices, key=key), *(None for _ in indices))


def _shaped(x: ArrayType, *indices: ArrayType, key: Key, shape: Shape) -> ArrayType:
    return ArrayType(shape, x.dtype)


scatter_add = Primitive("scatter_add", _scatter_add, _shaped, AllInputs(_scatter_add_rule), Index(), ())


def _put(x: Any, z: Any, *indices: Any, key: Key) -> Any:
    y = np.array(x, order="K", copy=True, subok=False)
    y[filled(key, indices)] = z
    return y


def _counted(shape: Shape) -> Any:
    """0, 1, 2 … in an array of the given shape."""
    return np.indices((math.prod(shape),), np.intp)[0].reshape(shape)


def _last_writer(g: Any, z: Any, *indices: Any, key: Key) -> Any:
    """1 where a written value is the one that stayed, 0 where a later one replaced it."""
    flat: Any = _counted(g.shape)
    target = gather(flat, *indices, key=key)
    number: Any = _counted(target.shape)
    return gather(put(flat, number, *indices, key=key), *indices, key=key) == number


def _put_rule(g: Any, y: Any, wanted: Any, x: Any, z: Any, *indices: Any, key: Key) -> Any:
    rest = put(g, np.zeros((), g.dtype), *indices, key=key) if wanted[0] else None
    written = None
    if wanted[1]:
        written = where(_last_writer(g, z, *indices, key=key), gather(g, *indices, key=key), 0)
    return (rest, written, *(None for _ in indices))


put = Primitive("put", _put, like_first, AllInputs(_put_rule), Index(), ())

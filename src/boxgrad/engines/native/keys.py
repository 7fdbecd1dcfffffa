"""Keys with index arrays: which axes they stand on, and where the axes of the indices appear in the result.

Knows keys and shapes, as NumPy's rules of advanced indexing have them. A table is turned so that the indexed
axes come first; basic slices beside them are views.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from boxgrad.engines.native.layout import Shape, Value
from boxgrad.engines.native.lowering import Lowering, RefusedError
from boxgrad.graph.node import Node
from boxgrad.ops.index import Slot


@dataclass(frozen=True, slots=True)
class Keyed:
    """A key read: ``table`` has the indexed axes first, ``indices`` are spread over the shape ``where``.

    ``first`` is at which axis of the result the axes of the indices begin.
    """

    table: Value
    indices: tuple[Value, ...]
    where: Shape
    first: int

    @property
    def rest(self) -> Shape:
        return self.table.shape[len(self.indices) :]

    @property
    def shape(self) -> Shape:
        """The shape of what the key takes of the table."""
        return (*self.rest[: self.first], *self.where, *self.rest[self.first :])

    def inward(self, value: Value) -> Value:
        """A value of the result's shape, with the axes of the indices first."""
        axes = range(self.first, self.first + len(self.where))
        return value.permuted([*axes, *(i for i in range(len(value.shape)) if i not in axes)])

    def outward(self, value: Value) -> Value:
        """A value with the axes of the indices first, in the result's shape."""
        count = len(self.where)
        before = range(count, count + self.first)
        return value.permuted([*before, *range(count), *range(count + self.first, len(value.shape))])


def read(lowering: Lowering, key: Any, table: Value, indices: tuple[Node, ...]) -> Keyed:
    """Read a key; integers and truth values as indices are told apart by dtype."""
    for index in indices:
        if index.dtype.kind not in "iu":
            raise RefusedError(f"indices of {index.dtype} have no kernel")
    missing = len(table.shape) - sum(item is not None and item is not Ellipsis for item in key)
    full: list[Any] = []
    for item in key if Ellipsis in key else (*key, Ellipsis):
        full += [slice(None)] * missing if item is Ellipsis else [item]
    # A slice and a new axis keep an axis; an integer is an index array too, and leaves none.
    view = table.at(tuple(slice(None) if isinstance(item, Slot) else item for item in full))
    kept = [item for item in full if not isinstance(item, int)]
    axes = [i for i, item in enumerate(kept) if isinstance(item, Slot)]
    turned = view.permuted([*axes, *(i for i in range(len(kept)) if i not in axes)])
    found = [lowering.value(indices[kept[axis].number]) for axis in axes]
    where = _broadcast([index.shape for index in found])
    places = [i for i, item in enumerate(key) if isinstance(item, Slot | int)]
    together = places[-1] - places[0] == len(places) - 1
    first = next(i for i, item in enumerate(full) if isinstance(item, Slot | int))
    spread = tuple(index.spread(where) for index in found)
    return Keyed(turned, spread, where, first if together else 0)


def _broadcast(shapes: list[Shape]) -> Shape:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(next((n for n in sizes if n != 1), 1) for sizes in zip(*padded, strict=True))

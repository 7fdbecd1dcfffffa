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
    """Read a key, or refuse one that has no kernel."""
    for index in indices:
        if index.dtype.kind not in "iu":
            raise RefusedError(f"indices of {index.dtype} have no kernel")
    if any(item is None or not (item is Ellipsis or isinstance(item, Slot | slice)) for item in key):
        raise RefusedError("new axes and integers beside index arrays have no kernel")
    missing = len(table.shape) - sum(item is not Ellipsis for item in key)
    full: list[Any] = []
    for item in key if Ellipsis in key else (*key, Ellipsis):
        full += [slice(None)] * missing if item is Ellipsis else [item]
    places = [i for i, item in enumerate(key) if isinstance(item, Slot)]
    axes = [i for i, item in enumerate(full) if isinstance(item, Slot)]
    view = table.at(tuple(slice(None) if isinstance(item, Slot) else item for item in full))
    turned = view.permuted([*axes, *(i for i in range(len(full)) if i not in axes)])
    found = [lowering.value(indices[full[axis].number]) for axis in axes]
    where = _broadcast([index.shape for index in found])
    together = places[-1] - places[0] == len(places) - 1
    spread = tuple(index.spread(where) for index in found)
    return Keyed(turned, spread, where, axes[0] if together else 0)


def _broadcast(shapes: list[Shape]) -> Shape:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(next((n for n in sizes if n != 1), 1) for sizes in zip(*padded, strict=True))

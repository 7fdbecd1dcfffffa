"""A value as rows of a table: which table, which indices, and the order of the axes.

Knows ``gather`` along one axis and what may follow it without mixing rows: reshaping, transposing, and
arithmetic with values that are the same for every index. All of it can be done to the table instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boxgrad.graph.node import Node, rebuilt
from boxgrad.ops import elementwise
from boxgrad.ops.index import Slot, gather, scatter_add
from boxgrad.ops.shape import inverse, reshape, transpose
from boxgrad.trace.apply import apply, context
from boxgrad.types import ArrayType

Shape = tuple[int, ...]
Axes = tuple[int, ...]
KEY = (Slot(0),)
AFFINE = (elementwise.add, elementwise.subtract, elementwise.multiply, elementwise.negative)


@dataclass(frozen=True, slots=True)
class Rows:
    """``table[index]`` with its axes in another order.

    Axis j of the value is axis ``axes[j]`` of the looked-up rows, whose shape is that of ``index``, then that
    of one row of ``table``.
    """

    table: Node
    index: Node
    axes: Axes

    @property
    def lookups(self) -> Axes:
        """Where the axes of the index stand in the value, in the index's order."""
        return tuple(self.axes.index(i) for i in range(len(self.index.shape)))

    def node(self) -> Node:
        """The value, looked up."""
        shape = (*self.index.shape, *self.table.shape[1:])
        kind = ArrayType(shape, self.table.dtype)  # known: the type rule would look all rows up
        inputs = self.table, self.index
        made = Node(gather, inputs, {"key": KEY}, None, kind, context.origin or (), context.scope)
        made.derived = True
        return transposed(made, self.axes)


def rows_of(node: Node, known: dict[Node, Rows | None]) -> Rows | None:
    """The value as rows of a table, if it is that; ``known`` has what was found before."""
    if node not in known:
        known[node] = None if 0 in node.shape else _found(node, known)
    return known[node]


def _found(node: Node, known: dict[Node, Rows | None]) -> Rows | None:
    primitive = node.primitive
    if primitive is gather:
        return _gathered(node)
    if primitive is transpose:
        rows = rows_of(node.inputs[0], known)
        axes = node.parameters["axes"]
        return rows and Rows(rows.table, rows.index, tuple(rows.axes[i] for i in axes))
    if primitive is reshape:
        rows = rows_of(node.inputs[0], known)
        return rows and _reshaped(rows, node.inputs[0].shape, node.shape)
    return _shifted(node, known) if primitive in AFFINE else None


def _gathered(node: Node) -> Rows | None:
    x, *indices = node.inputs
    place = lookup_axis(node.parameters["key"], len(x.shape))
    if place is None or len(indices) != 1 or not indices[0].shape or indices[0].dtype.kind not in "iu":
        return None
    count, rank = len(indices[0].shape), len(x.shape)
    table = transposed(x, (place, *(i for i in range(rank) if i != place)))
    before = tuple(range(count, count + place))
    after = tuple(range(count + place, count + rank - 1))
    return Rows(table, indices[0], (*before, *range(count), *after))


def lookup_axis(key: Any, rank: int) -> int | None:
    """The axis of a table along which a key looks whole rows up, or None if it does something else."""
    if Ellipsis in key:
        at = key.index(Ellipsis)
        key = (*key[:at], *(slice(None),) * (rank - len(key) + 1), *key[at + 1 :])
    places = [i for i, item in enumerate(key) if isinstance(item, Slot)]
    whole = all(item == slice(None) for item in key if not isinstance(item, Slot))
    return places[0] if len(places) == 1 and whole and len(key) <= rank else None


def _reshaped(rows: Rows, shape: Shape, target: Shape) -> Rows | None:
    """Rows in another shape, if it keeps the axes of the index apart from those of a row."""
    places, count = rows.lookups, len(rows.index.shape)
    first = min(places)
    if sorted(places) != list(range(first, first + count)):
        return None
    cut = split(target, (shape[:first], shape[first : first + count], shape[first + count :]))
    if cut is None:
        return None
    # First as the value has them: the index's axes in its order, those of a row in its order.
    rest = [a for a in rows.axes if a >= count]
    index = transposed(rows.index, rows.axes[first : first + count])
    table = transposed(rows.table, (0, *(a - count + 1 for a in rest)))
    before, middle, after = cut
    index = reshaped(index, middle)
    table = reshaped(table, (table.shape[0], *before, *after))
    size = len(middle)
    axes = (
        *range(size, size + len(before)),
        *range(size),
        *range(size + len(before), size + len(before) + len(after)),
    )
    return Rows(table, index, axes)


def split(shape: Shape, parts: tuple[Shape, ...]) -> tuple[Shape, ...] | None:
    """A shape cut into pieces that hold as many elements as the parts; None where that cannot be.

    Axes of size 1 go to the piece before them, save that a piece is empty only if its part is.
    """
    found: list[Shape] = []
    position = 0
    for number, part in enumerate(parts):
        size, wanted, start = 1, math.prod(part), position
        while position < len(shape) and (size < wanted or (shape[position] == 1 and part)):
            size *= shape[position]
            position += 1
        if size != wanted:
            return None
        found.append(shape[start:position])
        if number == len(parts) - 1 and position < len(shape):
            return None
    return tuple(found)


def _shifted(node: Node, known: dict[Node, Rows | None]) -> Rows | None:
    """Arithmetic with what is the same for every index, done to the table."""
    for number, x in enumerate(node.inputs):
        if x.shape != node.shape or (rows := rows_of(x, known)) is None:
            continue
        others = [_beside(other, rows) for other in node.inputs]
        if any(other is None for place, other in enumerate(others) if place != number):
            continue
        others[number] = rows.table
        assert node.primitive is not None
        table = apply(node.primitive, others)
        if table.shape == rows.table.shape and table.dtype == node.dtype:
            return Rows(table, rows.index, rows.axes)
    return None


def _beside(other: Node, rows: Rows) -> Node | None:
    """An operand as it stands beside the table, if it does not vary with the index."""
    if other.weak or not other.shape:
        return other
    shape = (1,) * (len(rows.axes) - len(other.shape)) + other.shape
    if any(shape[i] != 1 for i in rows.lookups):
        return None
    moved = transposed(reshaped(other, shape), inverse(rows.axes))
    return reshaped(moved, moved.shape[len(rows.index.shape) :])


def on_inputs(node: Node, new: Mapping[Node, Node]) -> Node:
    """The same box on what its inputs have become."""
    inputs = tuple(new[x] for x in node.inputs)
    same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
    return node if same else rebuilt(node, inputs, node.parameters)


def transposed(x: Node, axes: Axes) -> Node:
    """``x.transpose(axes)``, or x itself."""
    return x if axes == tuple(range(len(axes))) else apply(transpose, (x,), {"axes": axes})


def reshaped(x: Node, shape: Shape) -> Node:
    """``x.reshape(shape)``, or x itself."""
    return x if x.shape == shape else apply(reshape, (x,), {"shape": shape})


def added(x: Node, index: Node, axes: Axes, size: int) -> Node:
    """The rows of x added up by index, (V, …): ``axes`` are those of x along which the index runs."""
    rest = tuple(i for i in range(len(x.shape)) if i not in axes)
    shape = (size, *(x.shape[i] for i in rest))
    return apply(scatter_add, (transposed(x, (*axes, *rest)), index), {"key": KEY, "shape": shape})

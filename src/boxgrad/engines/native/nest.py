"""Which loops a cluster of operations has: their order and sizes, and how each value moves through them.

Knows shapes and strides; writes no code. Axes run in the order in which most values lie in memory, and axes
that follow each other in all values are one loop. The innermost is taken in vectors. What the chunks share is
the outermost loop, into as many parts as the work is worth, whatever the number of threads.

Where other values are contiguous along another axis, that one is the loop around the innermost: the two are
then taken in squares.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from boxgrad.engines.native.body import Body
from boxgrad.engines.native.layout import Buffer, Shape, Value, order_of, ordered_strides
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.steps import Operation, Part

GRAIN = 1 << 15
"""Work, in operations on elements, that is worth a chunk of its own."""
MOST_CHUNKS = 16
MOST_PARTS = 64
LONG = 1 << 24
"""Work in a chunk beyond which there are more chunks than that."""
SHORT = 16
"""The length of a body that is written out for each row of a square."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Operations over one space; ``stored`` are those whose results are needed in memory."""

    operations: tuple[Operation, ...]
    stored: tuple[Operation, ...]

    @property
    def space(self) -> Shape:
        return self.operations[0].space


def loop_order(space: Shape, values: list[Value]) -> tuple[int, ...]:
    """The order of axes that most values over the whole space have in memory; C order at a tie."""
    votes = Counter(
        order_of(value)
        for value in values
        if all(stride or n == 1 for n, stride in zip(space, value.strides, strict=True))
    )
    natural = tuple(range(len(space)))
    return max(votes, key=lambda order: (votes[order], order == natural)) if votes else natural


def _is_across(value: Value, inner: int, outer: int) -> bool:
    """Whether a value is contiguous along an outer axis and not along the inner one."""
    return inner > 1 and outer == 1 and value.dtype.kind != "b"


class Nest:
    """The loops of a cluster, and its values by number: read, stored, accumulated, and the results."""

    def __init__(self, cluster: Cluster, machine: Machine) -> None:
        self.body = Body(cluster.operations)
        self.space = cluster.space
        self.reductions = [op for op in cluster.operations if op.reduction is not None]
        self.loads = self.body.outside
        self.stores = [op for op in cluster.stored if op.reduction is None]
        lookups = [op for op in cluster.operations if op.lookup is not None]
        places = [op.place for op in self.stores]
        self.is_short = not (lookups or self.reductions) and self.body.length <= SHORT
        self.order = self._crossed(loop_order(self.space, places or self.loads), [*self.loads, *places])
        self.reads = (*self.loads, *(op.lookup for op in lookups if op.lookup is not None))
        self.targets: dict[Operation, Value] = {op: self._accumulator(op) for op in self.reductions}
        self.values = [*self.reads, *places, *self.targets.values(), *(op.place for op in self.reductions)]
        self.sizes, self.strides, self.marks = self._joined()
        inner = self.sizes[-1]
        widest = max(
            [4, *(op.place.dtype.itemsize for op in cluster.operations if op.reduction is None)]
            + [value.dtype.itemsize for value in self.loads if any(value.strides)]
        )
        lanes = min(machine.lanes(widest), 1 << (inner - 1).bit_length())
        self.blocks, self.tail = divmod(inner, lanes)
        self.lanes = lanes
        self.crossing = self._crossing()
        work = math.prod(self.space) * max(1, len(cluster.operations))
        # What the chunks share: positions of the outermost loop, and how many of them at once.
        self.at_once = lanes if len(self.sizes) == 1 or (self.crossing and len(self.sizes) == 2) else 1
        self.units = self.sizes[0] // self.at_once
        # Long work is cut finer; less so where chunks leave partial results.
        weight = math.prod(self.space) * self.body.length
        finest = min(weight // LONG, MOST_PARTS) if any(self.marks[0]) else weight // LONG
        self.chunks = max(1, min(max(MOST_CHUNKS, finest), self.units, work // GRAIN))

    def _accumulator(self, operation: Operation) -> Value:
        """Where the partial results of a reduction lie, in the axes of the space."""
        assert operation.reduction is not None
        kept = tuple(1 if i in operation.reduction.axes else n for i, n in enumerate(self.space))
        strides = ordered_strides(kept, self.order)
        strides = tuple(0 if i in operation.reduction.axes else s for i, s in enumerate(strides))
        buffer = Buffer(operation.reduction.dtype, math.prod(kept))
        return Value(buffer, self.space, strides, 0, operation.reduction.dtype)

    def _joined(self) -> tuple[list[int], list[list[int]], list[tuple[bool, ...]]]:
        """The sizes of the loops, the strides of each value, and which reductions reduce each loop.

        Axes that follow each other in all values are one loop.
        """
        sizes: list[int] = []
        strides: list[list[int]] = [[] for _ in self.values]
        marks: list[tuple[bool, ...]] = []
        for axis in self.order:
            n = self.space[axis]
            if n == 1:
                continue
            mark = tuple(axis in op.reduction.axes for op in self.reductions if op.reduction)
            steps = [value.strides[axis] for value in self.values]
            follows = all(known[-1] == n * step for known, step in zip(strides, steps, strict=True) if sizes)
            if sizes and marks[-1] == mark and follows:
                sizes[-1] *= n
                for known, step in zip(strides, steps, strict=True):
                    known[-1] = step
                continue
            sizes.append(n)
            marks.append(mark)
            for known, step in zip(strides, steps, strict=True):
                known.append(step)
        if not sizes:
            return [1], [[0] for _ in self.values], [(True,) * len(self.reductions)]
        return sizes, strides, marks

    def _crossed(self, order: tuple[int, ...], values: list[Value]) -> tuple[int, ...]:
        """The loops with the two axes innermost along which most values are contiguous."""
        votes = Counter(
            axis
            for value in values
            for axis in order
            if value.strides[axis] == 1 and self.space[axis] > 1 and value.dtype.kind != "b"
        )
        if not self.is_short or len(votes) < 2:
            return order
        last, inner = sorted(votes, key=lambda axis: (votes[axis], order.index(axis)))[-2:]
        return (*(axis for axis in order if axis not in (last, inner)), last, inner)

    def _crossing(self) -> frozenset[int]:
        """The values that are contiguous along the loop around the innermost."""
        if len(self.sizes) < 2 or self.lanes < 2 or not self.is_short:
            return frozenset()
        return frozenset(
            number
            for number, (value, steps) in enumerate(zip(self.values, self.strides, strict=True))
            if _is_across(value, steps[-1], steps[-2])
        )

    def reduced(self, operation: Operation) -> tuple[bool, ...]:
        """For each loop whether it is reduced."""
        number = self.reductions.index(operation)
        return tuple(mark[number] for mark in self.marks)

    def is_direct(self, operation: Operation) -> bool:
        """Whether one run of the innermost loop gives a finished result."""
        *outer, inner = self.reduced(operation)
        return inner and not any(outer) and (bool(outer) or self.chunks == 1)

    def is_held(self) -> bool:
        """Whether all reductions reduce the loop around the innermost, and not that one."""
        marks = [self.reduced(operation)[-2:] for operation in self.reductions]
        return bool(marks) and all(mark == (True, False) for mark in marks)

    def parts(self, values: tuple[Value, ...]) -> tuple[Part | None, ...]:
        """What of each value a chunk touches."""
        found: list[Part | None] = []
        targets = {id(target): op for op, target in self.targets.items() if not self.is_direct(op)}
        for number, value in enumerate(values):
            if len(self.loads) <= number < len(self.reads) or self.units == 0:
                found.append(None)
            elif id(value) in targets and self.reduced(targets[id(value)])[0]:
                each = value.buffer.size // self.chunks
                found.append(Part(self.chunks, each, each - 1))
            else:
                found.append(Part.of(value, self.units, self.at_once * self.strides[number][0]))
        return tuple(found)

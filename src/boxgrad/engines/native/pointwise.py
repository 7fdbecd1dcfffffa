"""Kernels for fused elementwise operations and reductions: one loop nest for a cluster of operations.

Knows loops, strides and vectors; knows no primitive. All operations of a cluster share one space. The loops
run over it in the order in which its values lie in memory, axes that follow each other are joined, and the
innermost is taken in vectors with a masked tail. Intermediate results stay in registers.

A reduction accumulates along the loops: in a register where the innermost axis is reduced, in some registers
where only the axis around it is, in memory along the others. Where the outermost loop, which is shared among
threads, is reduced, each chunk has partial results of its own and a second, small kernel combines them, so
the bits do not depend on the number of threads. Sums of float32 are accumulated in float64.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from boxgrad.engines.native import partial
from boxgrad.engines.native.body import Body, looked_up
from boxgrad.engines.native.ir import Function, Index
from boxgrad.engines.native.layout import Buffer, Shape, Value, order_of, ordered_strides
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.steps import HEAD, Kernel, Operation, Part, addresses, share
from boxgrad.engines.native.vector import Lanes, Term

GRAIN = 1 << 15
"""Work, in operations on elements, that is worth a chunk of its own."""
MOST_CHUNKS = 16
SHORT = 16
"""The length of a body that is written out for each row of a tile."""
HELD = 4
"""Vectors of partial results that are kept in registers."""
NEAR = 1 << 14
"""Bytes that are read again while they are in the nearest cache."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Operations over one space; ``stored`` are those whose results are needed in memory."""

    operations: tuple[Operation, ...]
    stored: tuple[Operation, ...]

    @property
    def space(self) -> Shape:
        return self.operations[0].space


def kernels(cluster: Cluster, machine: Machine, name: str) -> list[Kernel]:
    """The kernel of a cluster and, where partial results are left, those that combine them."""
    nest = _Nest(cluster, machine, name)
    made = [nest.kernel()]
    for number, operation in enumerate(nest.leftovers):
        made += kernels(Cluster((operation,), (operation,)), machine, f"{name}_rest{number}")
    return made


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


class _Nest:
    """One loop nest under construction."""

    def __init__(self, cluster: Cluster, machine: Machine, name: str) -> None:
        self.cluster, self.body, self.name = cluster, Body(cluster.operations), name
        self.space = cluster.space
        self.reductions = [op for op in cluster.operations if op.reduction is not None]
        self.loads = self.body.outside()
        self.stores = [op for op in cluster.stored if op.reduction is None]
        lookups = [op for op in cluster.operations if op.lookup is not None]
        places = [op.place for op in self.stores]
        self.is_short = not (lookups or self.reductions) and self.body.length <= SHORT
        self.order = self._crossed(loop_order(self.space, places or self.loads), [*self.loads, *places])
        self.leftovers: list[Operation] = []
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
        self.function = Function(name, HEAD)
        self.e = Lanes(self.function, lanes)
        self.crossing = self._crossing()
        work = math.prod(self.space) * max(1, len(cluster.operations))
        # What the chunks share: positions of the outermost loop, and how many of them at once.
        self.at_once = lanes if len(self.sizes) == 1 or (self.crossing and len(self.sizes) == 2) else 1
        self.units = self.sizes[0] // self.at_once
        self.chunks = max(1, min(MOST_CHUNKS, self.units, work // GRAIN))
        self.pointers: list[str] = []
        self.registers: dict[Operation, str] = {}
        self.constants: dict[int, Term] = {}

    # ---- loops
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

    def _reduced(self, operation: Operation) -> tuple[bool, ...]:
        """For each loop whether it is reduced."""
        number = self.reductions.index(operation)
        return tuple(mark[number] for mark in self.marks)

    def _is_direct(self, operation: Operation) -> bool:
        """Whether one run of the innermost loop gives a finished result."""
        *outer, inner = self._reduced(operation)
        return inner and not any(outer) and (bool(outer) or self.chunks == 1)

    def kernel(self) -> Kernel:
        f = self.function
        for operation in self.reductions:
            if not self._is_direct(operation):
                parts = self.chunks if self._reduced(operation)[0] else 1
                self.leftovers.append(partial.put_together(operation, self.targets[operation], parts))
        self.pointers = addresses(f, len(self.values))
        for operation, target in self.targets.items():
            if not self._is_direct(operation):
                self._clear(operation, target)
        for number, value in enumerate(self.values[: len(self.loads)]):
            if not any(self.strides[number]):
                self.constants[number] = self.e.load(self.pointers[number], value.dtype, 0, None)
        if len(self.sizes) == 1:
            self._innermost(*share(f, self.blocks, self.chunks), self.pointers)
        else:
            self._loops(0, self.pointers)
        writes = [op.place for op in self.stores]
        for operation in self.reductions:
            writes.append(operation.place if self._is_direct(operation) else self.targets[operation])
        direct = {id(self.targets[op]): op.place for op in self.reductions if self._is_direct(op)}
        values = tuple(direct.get(id(value), value) for value in self.values)
        boxes = tuple(op.name for op in self.cluster.operations)
        failing = any(op.lookup is not None for op in self.cluster.operations)
        return Kernel(
            "+".join(dict.fromkeys(boxes)), f, values, self.reads, tuple(writes), self.chunks,
            boxes, len(boxes) * math.prod(self.space), failing, not failing, self._parts(values),
        )  # fmt: skip

    def _parts(self, values: tuple[Value, ...]) -> tuple[Part | None, ...]:
        """What of each value a chunk touches."""
        found: list[Part | None] = []
        targets = {id(target): op for op, target in self.targets.items() if not self._is_direct(op)}
        for number, value in enumerate(values):
            if len(self.loads) <= number < len(self.reads) or self.units == 0:
                found.append(None)
            elif id(value) in targets and self._reduced(targets[id(value)])[0]:
                each = value.buffer.size // self.chunks
                found.append(Part(self.chunks, each, each - 1))
            else:
                found.append(Part.of(value, self.units, self.at_once * self.strides[number][0]))
        return tuple(found)

    def _loops(self, level: int, pointers: list[str]) -> None:
        f = self.function
        if level == len(self.sizes) - 1:
            self._innermost(0, self.blocks, pointers)
            return
        if level == len(self.sizes) - 2 and self.crossing:
            self._tiles(level, pointers)
            return
        span = share(f, self.sizes[0], self.chunks) if level == 0 else (0, self.sizes[level])
        if level == len(self.sizes) - 2 and self._is_held():
            self._runs(*span, pointers)
            return
        with f.loop(*span) as index:
            self._loops(level + 1, [self._moved(p, n, level, index) for n, p in enumerate(pointers)])

    def _moved(self, pointer: str, number: int, level: int, index: Index) -> str:
        step = self.strides[number][level] * self.values[number].dtype.itemsize
        return self.function.at(pointer, self.function.multiply(index, step))

    # ---- values that lie across the loops
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
        if len(self.sizes) < 2 or self.e.count < 2 or not self.is_short:
            return frozenset()
        return frozenset(
            number
            for number, (value, steps) in enumerate(zip(self.values, self.strides, strict=True))
            if _is_across(value, steps[-1], steps[-2])
        )

    def _tiles(self, level: int, pointers: list[str]) -> None:
        """The two innermost loops in squares of lanes, in which such values are turned."""
        f, count = self.function, self.e.count
        whole, rest = divmod(self.sizes[level], count)
        chunks = self.chunks if level == 0 else 1
        if whole:
            with f.loop(*share(f, whole, chunks)) as tile:
                self._tile_row(level, f.multiply(tile, count), count, pointers)
        if rest:
            last = "true" if chunks == 1 else f.value(f"icmp eq i64 %chunk, {chunks - 1}")
            with f.when(last):
                self._tile_row(level, whole * count, rest, pointers)

    def _tile_row(self, level: int, first: Index, number: int, pointers: list[str]) -> None:
        f, count = self.function, self.e.count
        moved = [self._moved(p, n, level, first) for n, p in enumerate(pointers)]
        rows = [[self._moved(p, n, level, i) for n, p in enumerate(moved)] for i in range(number)]
        if self.blocks:
            with f.loop(0, self.blocks) as block:
                self._tile(f.multiply(block, count), rows, count)
        if self.tail:
            self._tile(self.blocks * count, rows, self.tail)

    def _tile(self, index: Index, rows: list[list[str]], active: int) -> None:
        f, e = self.function, self.e
        mask, along = e.mask(active), e.mask(len(rows))

        def lines(number: int) -> list[str]:
            step = self.strides[number][-1] * self.values[number].dtype.itemsize
            return [f.at(self._address(number, rows[0], index), i * step) for i in range(active)]

        turned = {
            number: e.turned([e.load(at, self.values[number].dtype, 1, along) for at in lines(number)])
            for number in self.crossing
            if number < len(self.loads)
        }
        results: list[dict[Operation, Term]] = []
        for i, row in enumerate(rows):
            known = {**self._steady(row), **{number: columns[i] for number, columns in turned.items()}}
            results.append(self._position(index, row, known, mask))
        for number, operation in enumerate(self.stores, len(self.reads)):
            if number in self.crossing:
                columns = e.turned([result[operation] for result in results])
                for at, column in zip(lines(number), columns, strict=False):
                    e.store(column, at, 1, along)

    # ---- reductions along the loop around the innermost
    def _is_held(self) -> bool:
        """Whether all reductions reduce the loop around the innermost, and not that one."""
        marks = [self._reduced(operation)[-2:] for operation in self.reductions]
        return bool(marks) and all(mark == (True, False) for mark in marks)

    def _runs(self, start: Index, stop: Index, pointers: list[str]) -> None:
        """The two innermost loops: for some vectors at a time, whose partial results stay in registers."""
        f, count = self.function, self.e.count
        several = max(1, HELD // len(self.reductions))
        moving = [v for number, v in enumerate(self.loads) if self.strides[number][-2]]
        row = self.sizes[-1] * sum(value.dtype.itemsize for value in moving)
        run = max(8, NEAR // max(row, 1))
        whole = self.blocks // several * several
        with f.loop(start, stop, run) as first:
            last = f.minimum(f.add(first, run), stop)
            if whole:
                with f.loop(0, whole, several) as block:
                    vectors = [f.multiply(f.add(block, i), count) for i in range(several)]
                    self._held(first, last, pointers, vectors, None)
            if self.blocks > whole:
                vectors = [i * count for i in range(whole, self.blocks)]
                self._held(first, last, pointers, vectors, None)
            if self.tail:
                self._held(first, last, pointers, [self.blocks * count], self.e.mask(self.tail))

    def _held(
        self, first: Index, last: Index, pointers: list[str], vectors: list[Index], mask: str | None
    ) -> None:
        """Some vectors of the innermost loop, at all positions of the one around it."""
        f, e, level = self.function, self.e, len(self.sizes) - 2
        held: list[dict[Operation, str]] = [{} for _ in vectors]
        for operation in self.reductions:
            assert operation.reduction is not None
            for registers in held:
                registers[operation] = f.slot(e.type(operation.reduction.dtype))
                partial.cleared(e, operation.reduction, registers[operation])
        with f.loop(first, last) as index:
            moved = [self._moved(p, n, level, index) for n, p in enumerate(pointers)]
            known = self._steady(moved)
            for vector, registers in zip(vectors, held, strict=True):
                self._position(vector, moved, known, mask, registers)
        for vector, registers in zip(vectors, held, strict=True):
            for number, operation in enumerate(self.reductions, len(self.reads) + len(self.stores)):
                reduction = operation.reduction
                assert reduction is not None
                x = Term(f.load(e.type(reduction.dtype), registers[operation], 64), reduction.dtype)
                at, stride = self._address(number, pointers, vector), self.strides[number][-1]
                partial.into_memory(e, reduction, x, at, stride, mask)

    def _steady(self, pointers: list[str]) -> dict[int, Term]:
        """What the innermost loop reads again and again."""
        known = dict(self.constants)
        for number, value in enumerate(self.loads):
            if number not in known and self.strides[number][-1] == 0:
                known[number] = self.e.load(pointers[number], value.dtype, 0, None)
        return known

    def _address(self, number: int, pointers: list[str], index: Index) -> str:
        step = self.strides[number][-1] * self.values[number].dtype.itemsize
        return self.function.at(pointers[number], self.function.multiply(index, step))

    def _innermost(self, start: Index, stop: Index, pointers: list[str]) -> None:
        """The vectors from block ``start`` to ``stop``, then the tail."""
        f, e = self.function, self.e
        known = self._steady(pointers)
        for operation in self.reductions:
            if self._reduced(operation)[-1]:
                assert operation.reduction is not None
                if operation not in self.registers:
                    self.registers[operation] = f.slot(e.type(operation.reduction.dtype))
                partial.cleared(e, operation.reduction, self.registers[operation])
        if self.blocks:
            with f.loop(start, stop) as block:
                self._position(f.multiply(block, e.count), pointers, known, None)
        if self.tail:
            last = self.blocks * e.count
            if len(self.sizes) == 1 and self.chunks > 1:
                with f.when(f.value(f"icmp eq i64 %chunk, {self.chunks - 1}")):
                    self._position(last, pointers, known, e.mask(self.tail))
            else:
                self._position(last, pointers, known, e.mask(self.tail))
        for operation in self.reductions:
            if self._reduced(operation)[-1]:
                self._finish(operation, pointers)

    def _position(
        self, index: Index, pointers: list[str], known: dict[int, Term], mask: str | None,
        registers: dict[Operation, str] | None = None,
    ) -> dict[Operation, Term]:  # fmt: skip
        """One vector: load, compute, store, accumulate (in registers, where there are)."""
        e = self.e
        loaded = dict(known)

        def address(number: int) -> str:
            return self._address(number, pointers, index)

        def load(value: Value) -> Term:
            number = next(n for n, other in enumerate(self.loads) if other.same_place(value))
            if number not in loaded:
                stride = self.strides[number][-1]
                loaded[number] = e.load(address(number), value.dtype, stride, mask)
            return loaded[number]

        def look_up(operation: Operation, indices: list[Term]) -> Term:
            number = next(n for n, value in enumerate(self.values) if value is operation.lookup)
            return looked_up(e, operation, indices, address(number), self.strides[number][-1], mask)

        results = self.body.evaluate(e, load, look_up)
        first = len(self.reads)
        for number, operation in enumerate(self.stores, first):
            if number not in self.crossing:
                stride = self.strides[number][-1] if self.sizes[-1] > 1 else 1
                e.store(results[operation], address(number), stride, mask)
        for number, operation in enumerate(self.reductions, first + len(self.stores)):
            reduction, x = operation.reduction, results[operation]
            assert reduction is not None
            if registers is not None:
                partial.into_register(e, reduction, x, registers[operation])
            elif self._reduced(operation)[-1]:
                partial.into_register(e, reduction, x, self.registers[operation], mask)
            else:
                partial.into_memory(e, reduction, x, address(number), self.strides[number][-1], mask)
        return results

    # ---- partial results
    def _clear(self, operation: Operation, target: Value) -> None:
        """Fill this chunk's part of the partial results with the identity."""
        f, number = self.function, next(n for n, v in enumerate(self.values) if v is target)
        assert operation.reduction is not None
        size, item = target.buffer.size, target.dtype.itemsize
        if self._reduced(operation)[0]:
            if self.chunks > 1:
                size //= self.chunks
                self.pointers[number] = f.at(self.pointers[number], f.multiply("%chunk", size), item)
            start, stop = 0, size
        elif len(self.sizes) > 1:
            each = size // self.sizes[0]
            start, stop = (f.multiply(i, each) for i in share(f, self.sizes[0], self.chunks))
        else:  # as the vectors are shared, and the tail with the last chunk
            start, stop = (f.multiply(i, self.e.count) for i in share(f, self.blocks, self.chunks))
            if self.chunks > 1:
                last = f.value(f"icmp eq i64 %chunk, {self.chunks - 1}")
                stop = f.value(f"select i1 {last}, i64 {size}, i64 {stop}")
            else:
                stop = size
        one = Lanes(f, 1)
        identity = one.constant(operation.reduction.identity, target.dtype)
        with f.loop(start, stop) as index:
            one.store(identity, f.at(self.pointers[number], index, item), 1, None)

    def _finish(self, operation: Operation, pointers: list[str]) -> None:
        """Combine the lanes of a register; they are the result, or one more partial result."""
        f, one, reduction = self.function, Lanes(self.function, 1), operation.reduction
        assert reduction is not None
        x = partial.across(f, self.e.count, reduction, self.registers[operation])
        position = self.reductions.index(operation) + len(self.reads) + len(self.stores)
        if self._is_direct(operation):
            position += len(self.reductions)
            one.store(one.cast(x, operation.place.dtype), pointers[position], 1, None)
            return
        partial.into_memory(one, reduction, x, pointers[position], 1, None)

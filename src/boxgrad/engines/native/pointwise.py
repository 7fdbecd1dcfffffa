"""Kernels for fused elementwise operations and reductions: one loop nest for a cluster of operations.

Knows loops, strides and vectors; knows no primitive. All operations of a cluster share one space. The loops
run over it in the order in which its values lie in memory, axes that follow each other are joined, and the
innermost is taken in vectors with a masked tail. Intermediate results stay in registers.

A reduction accumulates along the loops: in a register where the innermost axis is reduced, in memory along
the others. Where the outermost loop, which is shared among threads, is reduced, each chunk has partial
results of its own and a second, small kernel combines them, so the bits do not depend on the number of
threads. Sums of float32 are accumulated in float64.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from boxgrad.engines.native.body import Body
from boxgrad.engines.native.ir import Function, Index
from boxgrad.engines.native.layout import Buffer, Shape, Value, order_of, ordered_strides
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.steps import HEAD, Kernel, Operand, Operation, addresses, share
from boxgrad.engines.native.vector import INT64, Lanes, Term

GRAIN = 1 << 15
"""Work, in operations on elements, that is worth a chunk of its own."""
MOST_CHUNKS = 16
MOST_PARTS = 64
LONG = 1 << 24
"""Work in a chunk beyond which there are more chunks than that."""


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
        self.order = loop_order(self.space, places or self.loads)
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
        work = math.prod(self.space) * max(1, len(cluster.operations))
        units = self.sizes[0] if len(self.sizes) > 1 else self.blocks
        # Long work is cut finer, so that it can be interrupted; less so where chunks leave partial results.
        self.weight = math.prod(self.space) * self.body.length
        finest = self.weight // LONG
        finest = min(finest, MOST_PARTS) if any(self.marks[0]) else finest
        self.chunks = max(1, min(max(MOST_CHUNKS, finest), units, work // GRAIN))
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
                self._leave(operation)
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
            boxes, len(boxes) * math.prod(self.space), failing, not failing,
            self.weight // self.chunks > LONG // 2,
        )  # fmt: skip

    def _loops(self, level: int, pointers: list[str]) -> None:
        f = self.function
        if level == len(self.sizes) - 1:
            self._innermost(0, self.blocks, pointers)
            return
        span = share(f, self.sizes[0], self.chunks) if level == 0 else (0, self.sizes[level])
        with f.loop(*span) as index:
            self._loops(level + 1, [self._moved(p, n, level, index) for n, p in enumerate(pointers)])

    def _moved(self, pointer: str, number: int, level: int, index: Index) -> str:
        step = self.strides[number][level] * self.values[number].dtype.itemsize
        return self.function.at(pointer, self.function.multiply(index, step))

    def _innermost(self, start: Index, stop: Index, pointers: list[str]) -> None:
        """The vectors from block ``start`` to ``stop``, then the tail."""
        f, e = self.function, self.e
        known = dict(self.constants)
        for number, value in enumerate(self.values[: len(self.loads)]):
            if number not in known and self.strides[number][-1] == 0:
                known[number] = e.load(pointers[number], value.dtype, 0, None)
        for operation in self.reductions:
            if self._reduced(operation)[-1]:
                assert operation.reduction is not None
                kind = e.type(operation.reduction.dtype)
                if operation not in self.registers:
                    self.registers[operation] = f.slot(kind)
                start_value = e.constant(operation.reduction.identity, operation.reduction.dtype)
                f.store(kind, start_value.text, self.registers[operation], 64)
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

    def _position(self, index: Index, pointers: list[str], known: dict[int, Term], mask: str | None) -> None:
        """One vector: load, compute, store, accumulate."""
        f, e = self.function, self.e
        loaded = dict(known)

        def address(number: int) -> str:
            step = self.strides[number][-1] * self.values[number].dtype.itemsize
            return f.at(pointers[number], f.multiply(index, step))

        def load(value: Value) -> Term:
            number = next(n for n, other in enumerate(self.loads) if other.same_place(value))
            if number not in loaded:
                stride = self.strides[number][-1]
                loaded[number] = e.load(address(number), value.dtype, stride, mask)
            return loaded[number]

        def look_up(operation: Operation, indices: list[Term]) -> Term:
            number = next(n for n, value in enumerate(self.values) if value is operation.lookup)
            return self._look_up(operation, indices, address(number), self.strides[number][-1], mask)

        results = self.body.evaluate(e, load, look_up)
        first = len(self.reads)
        for number, operation in enumerate(self.stores, first):
            stride = self.strides[number][-1] if self.sizes[-1] > 1 else 1
            e.store(results[operation], address(number), stride, mask)
        for number, operation in enumerate(self.reductions, first + len(self.stores)):
            self._accumulate(operation, results[operation], address(number), number, mask)

    def _look_up(
        self, operation: Operation, indices: list[Term], table: str, stride: int, mask: str | None
    ) -> Term:
        """Read a table; an index out of range sets the status and reads position 0 instead."""
        e, f = self.e, self.function
        assert operation.lookup is not None
        dtype = operation.lookup.dtype
        offsets = e.op("mul", e.numbers(), e.constant(stride * dtype.itemsize, INT64))
        for index, limit, step in zip(indices, operation.limits, operation.steps, strict=True):
            negative = e.compare("lt", index, e.like(0, index))
            index = e.choose(negative, e.op("add", index, e.like(limit, index)), index)
            wrong = e.op("icmp uge", index, e.like(limit, index), dtype=negative.dtype)
            if mask is not None:
                wrong = e.op("and", wrong, Term(mask, wrong.dtype))
            bits = f.value(f"bitcast {e.type(wrong.dtype)} {wrong.text} to i{e.count}")
            with f.when(f.value(f"icmp ne i{e.count} {bits}, 0")):
                f.store("i64", "1", "%status", 8)
            index = e.choose(wrong, e.like(0, index), index)
            offsets = e.op("add", offsets, e.op("mul", index, e.constant(step * dtype.itemsize, INT64)))
        return e.load_at(table, offsets, dtype, mask)

    # ---- reductions
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
        else:
            each = size // self.sizes[0]
            start, stop = (f.multiply(i, each) for i in share(f, self.sizes[0], self.chunks))
        one = Lanes(f, 1)
        identity = one.constant(operation.reduction.identity, target.dtype)
        with f.loop(start, stop) as index:
            one.store(identity, f.at(self.pointers[number], index, item), 1, None)

    def _accumulate(self, operation: Operation, x: Term, pointer: str, number: int, mask: str | None) -> None:
        f, e = self.function, self.e
        assert operation.reduction is not None
        reduction = operation.reduction
        x = e.cast(x, reduction.dtype)
        if self._reduced(operation)[-1]:
            register, kind = self.registers[operation], e.type(reduction.dtype)
            if mask is not None:
                identity = e.constant(reduction.identity, reduction.dtype)
                x = e.choose(Term(mask, operation.place.dtype), x, identity)
            known = Term(f.load(kind, register, 64), reduction.dtype)
            f.store(kind, reduction.combine(e, known, x).text, register, 64)
            return
        stride = self.strides[number][-1]
        known = e.load(pointer, reduction.dtype, stride, mask)
        e.store(reduction.combine(e, known, x), pointer, stride, mask)

    def _finish(self, operation: Operation, pointers: list[str]) -> None:
        """Combine the lanes of a register; they are the result, or one more partial result."""
        f, e = self.function, self.e
        assert operation.reduction is not None
        dtype, one = operation.reduction.dtype, Lanes(self.function, 1)
        x = Term(f.load(e.type(dtype), self.registers[operation], 64), dtype)
        lanes = e
        while lanes.count > 1:
            half = Lanes(f, lanes.count // 2)
            parts = [
                Term(f.value(
                    f"shufflevector {lanes.type(dtype)} {x.text}, {lanes.type(dtype)} poison, "
                    f"<{half.count} x i32> <{', '.join(f'i32 {i + start}' for i in range(half.count))}>"
                ), dtype)
                for start in (0, half.count)
            ]  # fmt: skip
            x, lanes = operation.reduction.combine(half, *parts), half
        position = self.reductions.index(operation) + len(self.reads) + len(self.stores)
        if self._is_direct(operation):
            position += len(self.reductions)
            one.store(one.cast(x, operation.place.dtype), pointers[position], 1, None)
            return
        known = one.load(pointers[position], dtype, 1, None)
        one.store(operation.reduction.combine(one, known, x), pointers[position], 1, None)

    def _leave(self, operation: Operation) -> None:
        """Have the partial results of all chunks combined by another kernel."""
        reduction, target = operation.reduction, self.targets[operation]
        assert reduction is not None
        kept = [i for i in range(len(self.space)) if i not in reduction.axes]
        parts = self.chunks if self._reduced(operation)[0] else 1
        each = target.buffer.size
        target.buffer.size = each * parts
        over = target.permuted(kept)
        operands = tuple(
            Operand(Value(over.buffer, over.shape, over.strides, part * each, over.dtype), over.dtype)
            for part in range(parts)
        )

        def combine(e: Lanes, first: Term, *others: Term) -> Term:
            for other in others:
                first = reduction.combine(e, first, other)
            return first

        place = operation.place.permuted(kept)
        self.leftovers.append(Operation("combine", place.shape, operands, combine, place, operation.order))

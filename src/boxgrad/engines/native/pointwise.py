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
from collections.abc import Mapping
from contextlib import AbstractContextManager

from boxgrad.engines.native import partial
from boxgrad.engines.native.body import looked_up, whole_row
from boxgrad.engines.native.ir import Function, Index
from boxgrad.engines.native.layout import Value
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.nest import Cluster, Nest
from boxgrad.engines.native.pauses import patient
from boxgrad.engines.native.steps import HEAD, Kernel, Operation, addresses, share
from boxgrad.engines.native.vector import Lanes, Term

NONE: Mapping[Operation, str] = {}
HELD = 4
"""Vectors of partial results that are kept in registers."""
MANY = 4 * HELD
"""Vectors of a row from which it has several partial results, so that none waits for the one before."""
BRIEF = 8
"""The length of a body that is written out for each of them."""
NEAR = 1 << 14
"""Bytes that are read again while they are in the nearest cache."""


def kernels(cluster: Cluster, machine: Machine, name: str) -> list[Kernel]:
    """The kernel of a cluster and, where partial results are left, those that combine them."""
    writer = _Writer(cluster, machine, name)
    made = [writer.kernel()]
    for number, operation in enumerate(writer.leftovers):
        made += kernels(Cluster((operation,), (operation,)), machine, f"{name}_rest{number}")
    return made


class _Writer:
    """One kernel under construction."""

    def __init__(self, cluster: Cluster, machine: Machine, name: str) -> None:
        self.cluster, self.nest = cluster, Nest(cluster, machine)
        self.function = Function(name, HEAD)
        self.e = Lanes(self.function, self.nest.lanes)
        self.leftovers: list[Operation] = []
        self.pointers: list[str] = []
        self.registers: list[dict[Operation, str]] = []
        self.constants: dict[int, Term] = {}
        self.rows: dict[Operation, str] = {}

    # ---- loops
    def kernel(self) -> Kernel:
        f = self.function
        for operation in self.nest.reductions:
            if not self.nest.is_direct(operation):
                parts = self.nest.chunks if self.nest.reduced(operation)[0] else 1
                self.leftovers.append(partial.put_together(operation, self.nest.targets[operation], parts))
        self.pointers = addresses(f, len(self.nest.values))
        for operation, target in self.nest.targets.items():
            if not self.nest.is_direct(operation):
                self._clear(operation, target)
        for number, value in enumerate(self.nest.values[: len(self.nest.loads)]):
            if not any(self.nest.strides[number]):
                self.constants[number] = self.e.load(self.pointers[number], value.dtype, 0, None)
        if len(self.nest.sizes) == 1:
            self._innermost(*share(f, self.nest.blocks, self.nest.chunks), self.pointers)
        else:
            self._loops(0, self.pointers)
        writes = [op.place for op in self.nest.stores]
        for operation in self.nest.reductions:
            writes.append(operation.place if self.nest.is_direct(operation) else self.nest.targets[operation])
        direct = {
            id(self.nest.targets[op]): op.place for op in self.nest.reductions if self.nest.is_direct(op)
        }
        values = tuple(direct.get(id(value), value) for value in self.nest.values)
        boxes = tuple(op.name for op in self.cluster.operations)
        failing = any(op.lookup is not None for op in self.cluster.operations)
        return Kernel(
            "+".join(dict.fromkeys(boxes)), f, values, self.nest.reads, tuple(writes), self.nest.chunks,
            boxes, len(boxes) * math.prod(self.nest.space), failing, not failing, self.nest.parts(values)
        )  # fmt: skip

    def _loops(self, level: int, pointers: list[str]) -> None:
        f = self.function
        if level == len(self.nest.sizes) - 1:
            self._innermost(0, self.nest.blocks, pointers)
            return
        if level == len(self.nest.sizes) - 2 and self.nest.crossing:
            self._tiles(level, pointers)
            return
        span = share(f, self.nest.sizes[0], self.nest.chunks) if level == 0 else (0, self.nest.sizes[level])
        if level == len(self.nest.sizes) - 2 and self.nest.is_held():
            self._runs(*span, pointers)
            return
        with self._patient(level, *span) as index:
            self._loops(level + 1, [self._moved(p, n, level, index) for n, p in enumerate(pointers)])

    def _work(self, level: int) -> int:
        """Of the loops from a level on."""
        return math.prod(self.nest.sizes[level:]) * self.nest.body.length

    def _patient(self, level: int, start: Index, stop: Index) -> AbstractContextManager[Index]:
        count = self.nest.sizes[level] // (self.nest.chunks if level == 0 else 1)
        return patient(self.function, start, stop, count=count, work=self._work(level + 1))

    def _moved(self, pointer: str, number: int, level: int, index: Index) -> str:
        step = self.nest.strides[number][level] * self.nest.values[number].dtype.itemsize
        return self.function.at(pointer, index, step)

    def _tiles(self, level: int, pointers: list[str]) -> None:
        """The two innermost loops in squares of lanes, in which such values are turned."""
        f, count = self.function, self.e.count
        whole, rest = divmod(self.nest.sizes[level], count)
        chunks = self.nest.chunks if level == 0 else 1
        if whole:
            work = count * self._work(level + 1)
            with patient(f, *share(f, whole, chunks), count=whole // chunks, work=work) as tile:
                self._tile_row(level, f.multiply(tile, count), count, pointers)
        if rest:
            last = "true" if chunks == 1 else f.value(f"icmp eq i64 %chunk, {chunks - 1}")
            with f.when(last):
                self._tile_row(level, whole * count, rest, pointers)

    def _tile_row(self, level: int, first: Index, number: int, pointers: list[str]) -> None:
        f, count = self.function, self.e.count
        moved = [self._moved(p, n, level, first) for n, p in enumerate(pointers)]
        rows = [[self._moved(p, n, level, i) for n, p in enumerate(moved)] for i in range(number)]
        if self.nest.blocks:
            work = number * count * self._work(level + 2)
            with patient(f, 0, self.nest.blocks, count=self.nest.blocks, work=work) as block:
                self._tile(f.multiply(block, count), rows, count)
        if self.nest.tail:
            self._tile(self.nest.blocks * count, rows, self.nest.tail)

    def _tile(self, index: Index, rows: list[list[str]], active: int) -> None:
        f, e = self.function, self.e
        mask, along = e.mask(active), e.mask(len(rows))

        def lines(number: int) -> list[str]:
            step = self.nest.strides[number][-1] * self.nest.values[number].dtype.itemsize
            return [f.at(self._address(number, rows[0], index), i * step) for i in range(active)]

        turned = {
            number: e.turned([e.load(at, self.nest.values[number].dtype, 1, along) for at in lines(number)])
            for number in self.nest.crossing
            if number < len(self.nest.loads)
        }
        results: list[dict[Operation, Term]] = []
        for i, row in enumerate(rows):
            known = {**self._steady(row), **{number: columns[i] for number, columns in turned.items()}}
            results.append(self._position(index, row, known, mask))
        for number, operation in enumerate(self.nest.stores, len(self.nest.reads)):
            if number in self.nest.crossing:
                columns = e.turned([result[operation] for result in results])
                for at, column in zip(lines(number), columns, strict=False):
                    e.store(column, at, 1, along)

    # ---- reductions along the loop around the innermost
    def _runs(self, start: Index, stop: Index, pointers: list[str]) -> None:
        """The two innermost loops: for some vectors at a time, whose partial results stay in registers."""
        f, count = self.function, self.e.count
        several = max(1, HELD // len(self.nest.reductions))
        moving = [v for number, v in enumerate(self.nest.loads) if self.nest.strides[number][-2]]
        row = self.nest.sizes[-1] * sum(value.dtype.itemsize for value in moving)
        run = max(8, NEAR // max(row, 1))
        whole = self.nest.blocks // several * several
        level = len(self.nest.sizes) - 2
        steps = self.nest.sizes[level] // (run * (self.nest.chunks if level == 0 else 1))
        with patient(f, start, stop, run, count=steps, work=run * self._work(level + 1)) as first:
            last = f.minimum(f.add(first, run), stop)
            if whole:
                with f.loop(0, whole, several) as block:
                    vectors = [f.multiply(f.add(block, i), count) for i in range(several)]
                    self._held(first, last, pointers, vectors, None)
            if self.nest.blocks > whole:
                vectors = [i * count for i in range(whole, self.nest.blocks)]
                self._held(first, last, pointers, vectors, None)
            if self.nest.tail:
                self._held(first, last, pointers, [self.nest.blocks * count], self.e.mask(self.nest.tail))

    def _held(
        self, first: Index, last: Index, pointers: list[str], vectors: list[Index], mask: str | None
    ) -> None:
        """Some vectors of the innermost loop, at all positions of the one around it."""
        f, e, level = self.function, self.e, len(self.nest.sizes) - 2
        held: list[dict[Operation, str]] = [{} for _ in vectors]
        for operation in self.nest.reductions:
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
            for number, operation in enumerate(
                self.nest.reductions, len(self.nest.reads) + len(self.nest.stores)
            ):
                reduction = operation.reduction
                assert reduction is not None
                x = Term(f.load(e.type(reduction.dtype), registers[operation], 64), reduction.dtype)
                at, stride = self._address(number, pointers, vector), self.nest.strides[number][-1]
                partial.into_memory(e, reduction, x, at, stride, mask)

    def _steady(self, pointers: list[str]) -> dict[int, Term]:
        """What the innermost loop reads again and again."""
        known = dict(self.constants)
        for number, value in enumerate(self.nest.loads):
            if number not in known and self.nest.strides[number][-1] == 0:
                known[number] = self.e.load(pointers[number], value.dtype, 0, None)
        self.rows = self._whole_rows(pointers, known)
        return known

    def _whole_rows(self, pointers: list[str], known: dict[int, Term]) -> dict[Operation, str]:
        """Where the rows begin that are read from front to back: all indices are the same along them."""
        found: dict[Operation, str] = {}
        for operation in self.cluster.operations:
            if operation.lookup is None:
                continue
            number = next(n for n, value in enumerate(self.nest.values) if value is operation.lookup)
            sources = [operand.source for operand in operation.operands]
            read = [v for v in sources if isinstance(v, Value) and self.nest.body.maker(v) is None]
            numbers = [self.nest.body.number(value) for value in read]
            if len(numbers) < len(sources):  # a number, or computed here
                continue
            if self.nest.strides[number][-1] == 1 and all(n in known for n in numbers):
                found[operation] = whole_row(self.e, operation, [known[n] for n in numbers], pointers[number])
        return found

    def _address(self, number: int, pointers: list[str], index: Index) -> str:
        step = self.nest.strides[number][-1] * self.nest.values[number].dtype.itemsize
        return self.function.at(pointers[number], index, step)

    def _innermost(self, start: Index, stop: Index, pointers: list[str]) -> None:
        """The vectors from block ``start`` to ``stop``, then the tail."""
        f, e = self.function, self.e
        known = self._steady(pointers)
        along = {op: op.reduction for op in self.nest.reductions if self.nest.reduced(op)[-1]}
        many = self.nest.blocks >= MANY and self.nest.body.length <= BRIEF
        several = max(1, HELD // len(along)) if along and many else 1
        if not self.registers:
            self.registers = [
                {op: f.slot(e.type(reduction.dtype)) for op, reduction in along.items() if reduction}
                for _ in range(several)
            ]
        for registers in self.registers:
            for operation, register in registers.items():
                assert operation.reduction is not None
                partial.cleared(e, operation.reduction, register)
        if self.nest.blocks:
            first = start
            count = self.nest.blocks // (self.nest.chunks if len(self.nest.sizes) == 1 else 1)
            work = e.count * self.nest.body.length
            if several > 1:
                until = f.add(stop, 1 - several)
                with patient(f, start, until, several, count=count // several, work=several * work) as block:
                    for number, registers in enumerate(self.registers):
                        at = f.multiply(f.add(block, number), e.count)
                        self._position(at, pointers, known, None, registers)
                rest = f.remainder(f.add(stop, f.multiply(start, -1)), several)
                first = f.add(stop, f.multiply(rest, -1))
                count = several
            with patient(f, first, stop, count=count, work=work) as block:
                self._position(f.multiply(block, e.count), pointers, known, None, self.registers[0])
        if self.nest.tail:
            last = self.nest.blocks * e.count
            if len(self.nest.sizes) == 1 and self.nest.chunks > 1:
                with f.when(f.value(f"icmp eq i64 %chunk, {self.nest.chunks - 1}")):
                    self._position(last, pointers, known, e.mask(self.nest.tail), self.registers[0])
            else:
                self._position(last, pointers, known, e.mask(self.nest.tail), self.registers[0])
        for operation in along:
            self._finish(operation, pointers)

    def _position(
        self, index: Index, pointers: list[str], known: dict[int, Term], mask: str | None,
        registers: Mapping[Operation, str] = NONE,
    ) -> dict[Operation, Term]:  # fmt: skip
        """One vector: load, compute, store, accumulate (in registers, where there are)."""
        e = self.e
        loaded = dict(known)

        def address(number: int) -> str:
            return self._address(number, pointers, index)

        def load(value: Value) -> Term:
            number = self.nest.body.number(value)
            if number not in loaded:
                stride = self.nest.strides[number][-1]
                loaded[number] = e.load(address(number), value.dtype, stride, mask)
            return loaded[number]

        def look_up(operation: Operation, indices: list[Term]) -> Term:
            if operation in self.rows:
                assert operation.lookup is not None
                dtype = operation.lookup.dtype
                return e.load(e.function.at(self.rows[operation], index, dtype.itemsize), dtype, 1, mask)
            number = next(n for n, value in enumerate(self.nest.values) if value is operation.lookup)
            return looked_up(e, operation, indices, address(number), self.nest.strides[number][-1], mask)

        results = self.nest.body.evaluate(e, load, look_up)
        first = len(self.nest.reads)
        for number, operation in enumerate(self.nest.stores, first):
            if number not in self.nest.crossing:
                stride = self.nest.strides[number][-1] if self.nest.sizes[-1] > 1 else 1
                e.store(results[operation], address(number), stride, mask)
        for number, operation in enumerate(self.nest.reductions, first + len(self.nest.stores)):
            reduction, x = operation.reduction, results[operation]
            assert reduction is not None
            if operation in registers:
                masked = mask if self.nest.reduced(operation)[-1] else None
                partial.into_register(e, reduction, x, registers[operation], masked)
            else:
                partial.into_memory(e, reduction, x, address(number), self.nest.strides[number][-1], mask)
        return results

    # ---- partial results
    def _clear(self, operation: Operation, target: Value) -> None:
        """Fill this chunk's part of the partial results with the identity."""
        f, number = self.function, next(n for n, v in enumerate(self.nest.values) if v is target)
        assert operation.reduction is not None
        size, item = target.buffer.size, target.dtype.itemsize
        if self.nest.reduced(operation)[0]:
            if self.nest.chunks > 1:
                size //= self.nest.chunks
                self.pointers[number] = f.at(self.pointers[number], "%chunk", size * item)
            start, stop = 0, size
        elif len(self.nest.sizes) > 1:
            each = size // self.nest.sizes[0]
            start, stop = (f.multiply(i, each) for i in share(f, self.nest.sizes[0], self.nest.chunks))
        else:  # as the vectors are shared, and the tail with the last chunk
            start, stop = (f.multiply(i, self.e.count) for i in share(f, self.nest.blocks, self.nest.chunks))
            if self.nest.chunks > 1:
                last = f.value(f"icmp eq i64 %chunk, {self.nest.chunks - 1}")
                stop = f.value(f"select i1 {last}, i64 {size}, i64 {stop}")
            else:
                stop = size
        one = Lanes(f, 1)
        identity = one.constant(operation.reduction.identity, target.dtype)
        with patient(f, start, stop, count=size, work=1) as index:
            one.store(identity, f.at(self.pointers[number], index, item), 1, None)

    def _finish(self, operation: Operation, pointers: list[str]) -> None:
        """Combine the lanes of a register; they are the result, or one more partial result."""
        f, one, reduction = self.function, Lanes(self.function, 1), operation.reduction
        assert reduction is not None
        register, *others = (registers[operation] for registers in self.registers)
        for other in others:
            x = Term(f.load(self.e.type(reduction.dtype), other, 64), reduction.dtype)
            partial.into_register(self.e, reduction, x, register)
        x = partial.across(f, self.e.count, reduction, register)
        position = self.nest.reductions.index(operation) + len(self.nest.reads) + len(self.nest.stores)
        if self.nest.is_direct(operation):
            position += len(self.nest.reductions)
            one.store(one.cast(x, operation.place.dtype), pointers[position], 1, None)
            return
        partial.into_memory(one, reduction, x, pointers[position], 1, None)

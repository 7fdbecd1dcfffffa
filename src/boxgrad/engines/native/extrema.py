"""Positions of extrema along contiguous rows: one sweep, whatever lies in them.

Knows strides and vectors. A row is read in blocks. Of a block every lane keeps its extremum alone, which is
one instruction a vector; lanes whose extremum is better than before remember where the block begins. In the
end the first block that holds the row's extremum is searched for it. A NaN is an extremum, and of equals the
first counts. The last block is the end of the row, some of which was seen before and changes nothing.
"""

from __future__ import annotations

import math

import numpy as np

from boxgrad.engines.native import partial
from boxgrad.engines.native.emitters import MINIMUM, is_nan
from boxgrad.engines.native.ir import Function
from boxgrad.engines.native.layout import Value, fresh
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.steps import HEAD, Kernel, Reduction, addresses, moved, share
from boxgrad.engines.native.vector import INT32, INT64, Lanes, Term

VECTORS = 16
"""Vectors of a block."""
ACCUMULATORS = 4
PIECE = 1 << 15
"""Elements of a row that are worth a chunk of their own."""
MOST_CHUNKS = 16


def block_of(machine: Machine, dtype: np.dtype) -> int:
    """Elements of a block: the shortest row."""
    return VECTORS * machine.lanes(dtype.itemsize)


class Search:
    """The kernels that find the position of the extremum of each row of ``x``; rows follow ``axis``."""

    def __init__(
        self, label: str, x: Value, place: Value, axis: int, largest: bool, how: Reduction, machine: Machine
    ) -> None:
        self.label, self.x, self.place, self.axis, self.largest = label, x, place, axis, largest
        self.how = how
        """How extrema combine, and what every element is at least as good as."""
        self.machine = machine
        self.dtype = x.dtype
        self.count = x.shape[axis]
        self.others = [i for i in range(len(x.shape)) if i != axis]
        self.sizes = tuple(x.shape[i] for i in self.others)
        self.rows = math.prod(self.sizes)
        self.pieces = 1 if self.rows >= MOST_CHUNKS else max(1, min(MOST_CHUNKS, self.count // PIECE))
        self.piece = -(-self.count // self.pieces)

    def kernels(self, name: str) -> list[Kernel]:
        if self.pieces == 1:
            return [self._search(self.place, None, name)]
        shape = (self.rows, self.pieces)
        positions, values = fresh(shape, INT64), fresh(shape, self.dtype)
        return [self._search(positions, values, name), self._first(positions, values, f"{name}_first")]

    # ---- one piece of a row
    def _search(self, positions: Value, values: Value | None, name: str) -> Kernel:
        f = self.f = Function(name, HEAD)
        writes = (positions,) if values is None else (positions, values)
        source, *targets = addresses(f, 1 + len(writes))
        units = self.rows * self.pieces
        chunks = max(1, min(MOST_CHUNKS, units, self.x.size // PIECE))
        steps = [tuple(self.x.strides[i] * self.dtype.itemsize for i in self.others)]
        if values is None:
            steps.append(self._steps())
        with f.loop(*share(f, units, chunks)) as unit:
            row, number = f.divide(unit, self.pieces), f.remainder(unit, self.pieces)
            start = f.minimum(f.multiply(number, self.piece), self.count - self.piece)
            bases = moved(f, row, self.sizes, [source, *targets][: len(steps)], steps)
            best, position = self._extremum(f.at(bases[0], start, self.dtype.itemsize))
            one = Lanes(f, 1)
            position = one.op("add", position, one.splat(str(start), INT64))
            if values is None:
                one.store(one.cast(position, self.place.dtype), bases[1], 1, None)
            else:
                one.store(position, f.at(targets[0], unit, 8), 1, None)
                one.store(best, f.at(targets[1], unit, self.dtype.itemsize), 1, None)
        return Kernel(self.label, f, (self.x, *writes), (self.x,), writes, chunks, (self.label,), self.x.size)

    def _extremum(self, row: str) -> tuple[Term, Term]:
        """The extremum of a piece, and its first position in it."""
        f, dtype = self.f, self.dtype
        lanes = self.machine.lanes(dtype.itemsize)
        e, block = Lanes(f, lanes), VECTORS * lanes
        best, where = f.slot(e.type(dtype)), f.slot(e.type(INT32))
        partial.cleared(e, self.how, best)
        f.store(e.type(INT32), "zeroinitializer", where, 64)
        with f.loop(0, self.piece, block) as at:
            start = f.minimum(at, self.piece - block)
            found = self._block(e, f.at(row, start, dtype.itemsize))
            known = Term(f.load(e.type(dtype), best, 64), dtype)
            better = self._better(e, found, known)
            f.store(e.type(dtype), e.choose(better, found, known).text, best, 64)
            here = e.cast(e.splat(str(start), INT64), INT32)
            before = Term(f.load(e.type(INT32), where, 64), INT32)
            f.store(e.type(INT32), e.choose(better, here, before).text, where, 64)
        one = Lanes(f, 1)
        extremum = partial.across(f, lanes, self.how, best)
        wide = e.splat(f.value(f"extractelement {one.type(dtype)} {extremum.text}, i32 0"), dtype)
        lane_best = Term(f.load(e.type(dtype), best, 64), dtype)
        none = e.constant(np.iinfo(np.int32).max, INT32)
        starts = Term(f.load(e.type(INT32), where, 64), INT32)
        begin = self._smallest(e, e.choose(self._is(e, lane_best, wide), starts, none))
        base = f.value(f"sext i32 {f.value(f'extractelement <1 x i32> {begin.text}, i32 0')} to i64")
        source = f.at(row, base, dtype.itemsize)
        position = none
        for number in range(VECTORS):
            x = e.load(f.at(source, number * lanes, dtype.itemsize), dtype, 1, None)
            numbers = Term(f"<{', '.join(f'i32 {number * lanes + lane}' for lane in range(lanes))}>", INT32)
            position = MINIMUM(e, position, e.choose(self._is(e, x, wide), numbers, none))
        inside = self._smallest(e, position)
        return extremum, one.cast(one.op("add", begin, inside), INT64)

    def _block(self, e: Lanes, start: str) -> Term:
        """The extremum of a block in each lane."""
        f, dtype = self.f, self.dtype
        xs = [e.load(f.at(start, i * e.count, dtype.itemsize), dtype, 1, None) for i in range(VECTORS)]
        if dtype.kind == "b":
            folded = xs
            while len(folded) > 1:
                folded = [self.how.combine(e, *pair) for pair in zip(folded[::2], folded[1::2], strict=True)]
            return folded[0]
        # Of a comparison and a choice the processor makes one instruction, which passes NaN over.
        totals = xs[:ACCUMULATORS]
        for number, x in enumerate(xs[ACCUMULATORS:]):
            k = number % ACCUMULATORS
            totals[k] = e.choose(e.compare(self._predicate("o"), x, totals[k]), x, totals[k])
        while len(totals) > 1:
            totals = [
                e.choose(e.compare(self._predicate("o"), a, b), a, b)
                for a, b in zip(totals[::2], totals[1::2], strict=True)
            ]
        if dtype.kind != "f":
            return totals[0]
        pairs = [e.compare("uno", a, b) for a, b in zip(xs[::2], xs[1::2], strict=True)]
        while len(pairs) > 1:
            pairs = [e.op("or", a, b) for a, b in zip(pairs[::2], pairs[1::2], strict=True)]
        return e.choose(pairs[0], e.constant(math.nan, dtype), totals[0])

    def _predicate(self, ordered: str) -> str:
        """LLVM's "greater" or "less"; of floats whether it holds where one is NaN ("u") or not ("o")."""
        return (ordered if self.dtype.kind == "f" else "") + ("gt" if self.largest else "lt")

    def _better(self, e: Lanes, x: Term, known: Term) -> Term:
        if self.dtype.kind != "f":
            return e.compare(self._predicate(""), x, known)
        return e.op("and", e.compare(self._predicate("u"), x, known), e.compare("ord", known, known))

    def _is(self, e: Lanes, x: Term, extremum: Term) -> Term:
        if self.dtype.kind != "f":
            return e.compare("eq", x, extremum)
        return e.op("or", e.compare("oeq", x, extremum), is_nan(e, x))

    def _smallest(self, e: Lanes, x: Term) -> Term:
        slot = self.f.slot(e.type(INT32))
        self.f.store(e.type(INT32), x.text, slot, 64)
        return partial.across(self.f, e.count, Reduction((), MINIMUM, 0, INT32), slot)

    def _steps(self) -> tuple[int, ...]:
        """How the result moves along the other axes, in bytes."""
        return tuple(stride * self.place.dtype.itemsize for stride in self.place.strides)

    # ---- the first of a row's pieces
    def _first(self, positions: Value, values: Value, name: str) -> Kernel:
        f = self.f = Function(name, HEAD)
        one, dtype = Lanes(f, 1), self.dtype
        where, found, target = addresses(f, 3)
        steps = [self._steps()]
        with f.loop(0, self.rows) as row:
            (place,) = moved(f, row, self.sizes, [target], steps)
            best = position = None
            for number in range(self.pieces):
                unit = f.add(f.multiply(row, self.pieces), number)
                x = one.load(f.at(found, unit, dtype.itemsize), dtype, 1, None)
                here = one.load(f.at(where, unit, 8), INT64, 1, None)
                if best is None or position is None:
                    best, position = x, here
                    continue
                better = self._better(one, x, best)
                best, position = one.choose(better, x, best), one.choose(better, here, position)
            assert position is not None
            one.store(one.cast(position, self.place.dtype), place, 1, None)
        reads = (positions, values)
        return Kernel(self.label, f, (*reads, self.place), reads, (self.place,), 1, (self.label,), self.rows)

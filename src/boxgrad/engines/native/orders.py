"""Sorting rows, stably: values, or the positions that they come from.

Knows strides and vectors. A row is cut into runs of at most 16, each ordered by counting for every element
those that stand before it; then runs are merged in pairs, from both ends at once and without branches. NaN
comes last, equal elements keep their order, −0 equals 0: as in NumPy.

``argsort`` makes integers of the same order of floats. Of elements of at most 32 bits, such a key with its
position makes one integer of 64 bits, so that one number is moved and compared instead of two.
"""

from __future__ import annotations

import math

import numpy as np

from boxgrad.engines.native import mathematics
from boxgrad.engines.native.emitters import is_nan
from boxgrad.engines.native.ir import Function, Index, is_supported, scalar_type
from boxgrad.engines.native.layout import Value, fresh, order_of
from boxgrad.engines.native.lowering import Lower, Lowering, RefusedError
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.pauses import patient
from boxgrad.engines.native.steps import HEAD, Kernel, Special, addresses, moved, share
from boxgrad.engines.native.vector import INT32, INT64, Lanes, Term
from boxgrad.graph.node import Node

RUN = 16
PAIRS = 2
"""Pairs that are merged at once: each step of a merge waits for the one before."""
GRAIN = 1 << 11
MERGE = 4
"""The work of merging an element, in simple operations."""


def ordered(positions: bool) -> Lower:
    """The row of ``sort``, or of ``argsort``."""

    def lower(lowering: Lowering, node: Node) -> Value:
        (x,) = node.inputs
        if not is_supported(x.dtype) or math.prod(x.shape) >= 1 << 31:
            raise RefusedError(f"there is no sorting {x.dtype} of shape {x.shape}")
        source, axis = lowering.value(x), node.parameters["axis"]
        if 0 in node.shape:
            return fresh(node.shape, node.dtype)
        place = fresh(node.shape, node.dtype, order_of(source))
        kernel = _Sorting(source, place, axis, positions)
        lowering.steps.append(
            Special(kernel.label, (source,), (place,), lambda machine, name: [kernel.written(machine, name)])
        )
        return place

    return Lower(lower)


def _less(e: Lanes, x: Term, z: Term) -> Term:
    """Whether x comes before z, in whatever order they stand; NaN comes before nothing."""
    if x.dtype.kind != "f":
        return e.compare("lt", x, z)
    return e.op("and", e.compare("ult", x, z), e.compare("ord", x, x))


def _as_integer(e: Lanes, x: Term) -> Term:
    """Floats as integers of the same order: a negative one's bits are turned, NaN is the largest, −0 is 0."""
    number = e.bits(e.op("fadd", x, e.like(0, x)), mathematics.integer_of(x.dtype))
    sign = e.op("ashr", number, e.like(8 * number.dtype.itemsize - 1, number))
    number = e.op("xor", number, e.op("lshr", sign, e.like(1, sign)))
    return e.choose(is_nan(e, x), e.like(np.iinfo(number.dtype).max, number), number)


class _Sorting:
    """One kernel under construction.

    Keys, and for ``argsort`` positions, stand in two places each that take turns; every chunk has its own.
    """

    def __init__(self, x: Value, place: Value, axis: int, positions: bool) -> None:
        self.x, self.place, self.axis, self.positions = x, place, axis, positions
        self.joined = positions and x.dtype.itemsize <= 4 and x.dtype != np.uint32
        """Whether keys and positions are sorted as one number."""
        self.dtype = INT64 if self.joined or (positions and x.dtype.kind == "f") else x.dtype
        self.label = "argsort" if positions else "sort"
        self.count = x.shape[axis]
        self.levels = max(0, (-(-self.count // RUN) - 1).bit_length())
        self.run = -(-self.count // (1 << self.levels))
        self.room = self.run << self.levels
        rows = x.size // self.count
        self.rows, self.chunks = rows, max(1, min(16, rows, x.size // GRAIN))

    def written(self, machine: Machine, name: str) -> Kernel:
        f = self.f = Function(name, HEAD)
        x, place = self.x, self.place
        room = 2 * self.room * self.chunks
        keys, numbers = fresh((room,), self.dtype), fresh((room,), INT32)
        scratch = (keys, numbers) if self.positions and not self.joined else (keys,)
        values = (x, place, *scratch)
        source, target, *own = addresses(f, len(values))
        if self.chunks > 1:
            own = [
                f.at(p, "%chunk", 2 * self.room * v.dtype.itemsize) for p, v in zip(own, scratch, strict=True)
            ]
        others = [i for i in order_of(place) if i != self.axis]
        steps = [tuple(v.strides[i] * v.dtype.itemsize for i in others) for v in (x, place)]
        self.one = Lanes(f, 1)
        work, count = MERGE * self.room * max(1, self.levels), self.rows // self.chunks
        with patient(f, *share(f, self.rows, self.chunks), count=count, work=work) as row:
            sizes = tuple(x.shape[i] for i in others)
            here = moved(f, row, sizes, [source, target], steps)
            self._read(here[0], own[0])
            first = [f.at(p, self.room, v.dtype.itemsize) for p, v in zip(own, scratch, strict=True)]
            sides, side = (own, first), 1
            self._runs(own, first)
            for level in range(self.levels):
                self._merge(sides[side], sides[1 - side], self.run << level)
                side = 1 - side
            self._write(sides[side][-1], here[1])
        writes = (place, *scratch)
        depth = math.ceil(math.log2(self.count + 1))
        return Kernel(self.label, f, values, (x,), writes, self.chunks, (self.label,), x.size * depth)

    def _read(self, source: str, keys: str) -> None:
        """The row, and after it keys that come last."""
        f, one, dtype = self.f, self.one, self.dtype
        with patient(f, 0, self.count, count=self.count, work=1) as index:
            at = f.at(source, index, self.x.strides[self.axis] * self.x.dtype.itemsize)
            x = one.load(at, self.x.dtype, 1, None)
            if self.positions and x.dtype.kind == "f":
                x = _as_integer(one, x)
            one.store(self._with(x, index), f.at(keys, index, dtype.itemsize), 1, None)
        kind = INT32 if self.joined else dtype
        last = math.nan if kind.kind == "f" else True if kind.kind == "b" else np.iinfo(kind).max
        with f.loop(self.count, self.room) as index:
            one.store(self._with(one.constant(last, kind), index), f.at(keys, index, dtype.itemsize), 1, None)

    def _with(self, key: Term, index: Index) -> Term:
        """A key above its position, where they are joined: no two are equal."""
        if not self.joined:
            return key
        one = self.one
        high = one.op("shl", one.cast(key, INT64), one.constant(32, INT64))
        return one.op("or", high, one.splat(str(index), INT64))

    def _write(self, source: str, target: str) -> None:
        f, one = self.f, self.one
        kind = self.dtype if self.joined or not self.positions else INT32
        with patient(f, 0, self.count, count=self.count, work=1) as index:
            x = one.load(f.at(source, index, kind.itemsize), kind, 1, None)
            if self.joined:
                x = one.op("and", x, one.like((1 << 32) - 1, x))
            at = f.at(target, index, self.place.strides[self.axis] * self.place.dtype.itemsize)
            one.store(one.cast(x, self.place.dtype), at, 1, None)

    def _runs(self, source: list[str], target: list[str]) -> None:
        """Order runs: an element's place is the number of those that come before it."""
        f, one, dtype = self.f, self.one, self.dtype
        e = Lanes(f, 1 << (self.run - 1).bit_length())
        count, work = self.room // self.run, RUN * self.run
        with patient(f, 0, self.room, self.run, count=count, work=work) as start:
            begin = f.at(source[0], start, dtype.itemsize)
            x = e.load(begin, dtype, 1, e.mask(self.run))
            rank = e.constant(0, INT64 if self.joined else INT32)
            for number in range(self.run):
                other = e.load(f.at(begin, number, dtype.itemsize), dtype, 0, None)
                before = _less(e, other, x)
                if not self.joined:
                    later = f"<{', '.join(f'i1 {int(lane > number)}' for lane in range(e.count))}>"
                    equal = e.op("xor", _less(e, x, other), e.constant(True, before.dtype))
                    before = e.choose(Term(later, before.dtype), equal, before)
                rank = e.op("add", rank, e.cast(before, rank.dtype))
            for lane in range(self.run):
                kind = scalar_type(rank.dtype)
                place: Index = f.value(f"extractelement {e.type(rank.dtype)} {rank.text}, i32 {lane}")
                index = f.add(place if self.joined else f.value(f"zext {kind} {place} to i64"), start)
                element = one.load(f.at(begin, lane, dtype.itemsize), dtype, 1, None)
                one.store(element, f.at(target[0], index, dtype.itemsize), 1, None)
                if len(target) > 1:
                    number = one.cast(one.splat(str(f.add(start, lane)), INT64), INT32)
                    one.store(number, f.at(target[1], index, 4), 1, None)

    def _merge(self, source: list[str], target: list[str], width: int) -> None:
        """Merge pairs of runs of ``width``, one half from the beginning and the other from the end.

        In so many steps neither side reaches the end of a run.
        """
        f = self.f
        pairs = min(PAIRS, self.room // (2 * width))
        slots = [[f.slot("i64") for _ in range(4)] for _ in range(pairs)]
        count, work = self.room // (2 * width * pairs), 2 * width * pairs * MERGE
        with patient(f, 0, self.room, 2 * width * pairs, count=count, work=work) as start:
            starts = [f.add(start, 2 * width * number) for number in range(pairs)]
            ends = [f.add(begin, 2 * width - 1) for begin in starts]
            for own, begin, end in zip(slots, starts, ends, strict=True):
                middle = f.add(begin, width)
                for slot, first in zip(own, (begin, middle, f.add(begin, width - 1), end), strict=True):
                    f.store("i64", str(first), slot, 8)
            with patient(f, 0, width, count=width, work=2 * pairs * MERGE) as step:
                for own, begin, end in zip(slots, starts, ends, strict=True):
                    self._take(source, target, own[:2], f.add(begin, step), True)
                    back = f.value(f"sub i64 {end}, {step}")
                    self._take(source, target, own[2:], back, False)

    def _take(
        self, source: list[str], target: list[str], slots: list[str], index: Index, ahead: bool
    ) -> None:
        """Move one element: the smaller of two going ahead, the larger going back; at a tie the outer one."""
        f, one = self.f, self.one
        left, right = (f.load("i64", slot, 8) for slot in slots)
        dtype = self.dtype
        a, b = (one.load(f.at(source[0], i, dtype.itemsize), dtype, 1, None) for i in (left, right))
        less = f.value(f"extractelement <1 x i1> {_less(one, b, a).text}, i32 0")
        taken = f.value(f"zext i1 {less} to i64")
        rest = f.value(f"sub i64 1, {taken}")
        # Arithmetic on the positions: of a choice LLVM would make a branch, which is guessed wrongly.
        outer, inner = (left, right) if ahead else (right, left)
        mask = f.value(f"sub i64 0, {taken}")
        apart = f.value(f"and i64 {f.value(f'sub i64 {inner}, {outer}')}, {mask}")
        position = f.add(outer, apart)
        for p, q, kind in zip(source, target, (dtype, INT32)[: len(source)], strict=True):
            element = one.load(f.at(p, position, kind.itemsize), kind, 1, None)
            one.store(element, f.at(q, index, kind.itemsize), 1, None)
        moves = (f.add(left, rest), f.add(right, taken))
        if not ahead:
            moves = (f.value(f"sub i64 {left}, {taken}"), f.value(f"sub i64 {right}, {rest}"))
        for slot, move in zip(slots, moves, strict=True):
            f.store("i64", str(move), slot, 8)

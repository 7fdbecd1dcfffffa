"""The gradient of a convolution in its filters with few multiplications.

    dw = Gᵀ [Σ (A dy) ⊙ (B d)]        from        y = Aᵀ [(G w) ⊙ (B d)]

The sum over all tiles is taken point by point, before the one transform back. Knows tiles and the
micro-kernel. A chunk takes a part of the tiles and a part of the input channels, and has sums of its own, a
block of tiles after the other: at each point the block is the inner axis of a product. A second kernel adds
the sums in a fixed order and transforms them back.
"""

from __future__ import annotations

import math

from boxgrad.engines.native.borrowed import Borrowed
from boxgrad.engines.native.convolution import tiles, widths
from boxgrad.engines.native.filters import GRAIN, MOST_CHUNKS
from boxgrad.engines.native.finite import Watch
from boxgrad.engines.native.ir import Function, Index
from boxgrad.engines.native.layout import Buffer, Value, contiguous
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.microkernel import Loop, Tile, tile_shape
from boxgrad.engines.native.operands import part
from boxgrad.engines.native.pauses import VECTOR, patient
from boxgrad.engines.native.steps import HEAD, Kernel, addresses, share
from boxgrad.engines.native.tiling import BLOCK, Tiling, block, gather, point_of, rounded, runs
from boxgrad.engines.native.toom_cook import Matrix, transposed
from boxgrad.engines.native.transforms import along_axes
from boxgrad.engines.native.vector import Lanes, Term
from boxgrad.engines.native.winograd import GAP

SUMS_BYTES = 640 << 10
"""How much of the sums a chunk has, about: they stay in a cache."""


def kernels(x: Value, g: Value, place: Value, tiling: Tiling, machine: Machine, name: str) -> list[Kernel]:
    """dw from images with room around them and the gradients of the windows, channels last."""
    writer = _Writer(x, g, place, tiling, machine, name)
    return [writer.kernel(), writer.back()]


class _Writer:
    def __init__(self, x: Value, g: Value, place: Value, tiling: Tiling, machine: Machine, name: str) -> None:
        self.x, self.g, self.place, self.tiling, self.name = x, g, place, tiling, name
        self.dtype = g.dtype
        self.shape = tile_shape(machine, self.dtype.itemsize)
        self.f = Function(name, HEAD)
        self.e = Lanes(self.f, self.shape.lanes)
        self.outer, self.inner = place.shape[:2]
        self.width = rounded(self.outer, self.shape.width)
        self.tiles = g.shape[0] * tiling.amount
        self.flops = 2 * g.shape[0] * math.prod(tiling.windows) * place.size
        most = max(1, min(MOST_CHUNKS, self.tiles // BLOCK, self.flops // 2 // GRAIN))
        self.channel_parts = self._channel_parts(most)
        self.channels = self.inner // self.channel_parts
        self.parts = max(1, most // self.channel_parts)
        self.block = block(-(-self.tiles // self.parts))
        size = (self.parts, self.inner, tiling.points, self.width)
        self.sums = Value(Buffer(self.dtype, math.prod(size)), size, contiguous(size), 0, self.dtype)
        gap = GAP // self.dtype.itemsize
        self.row = rounded(self.channels, self.shape.lanes)
        self.step, self.slope_step = self.block * self.row + gap, self.block * self.width + gap
        each = tiling.points * (self.step + self.slope_step)
        self.borrowed = Borrowed(self.dtype, each, self.parts * self.channel_parts)
        self.back_chunks = max(1, min(8, self.inner, place.size // 4096))

    def _channel_parts(self, most: int) -> int:
        """Into how many parts input channels are cut, so that the sums of one stay in a cache."""
        size = self.tiling.points * self.inner * self.width * self.dtype.itemsize
        fitting = [n for n in (1, 2, 4, 8) if n <= most and self.inner % (n * self.shape.lanes) == 0]
        return next((n for n in fitting if size <= n * SUMS_BYTES), max(fitting, default=1))

    def kernel(self) -> Kernel:
        """The sums of all tiles, at each point."""
        f, item = self.f, self.dtype.itemsize
        values = (self.x, self.g, *self.borrowed.values, self.sums)
        x, g, memory, taken, sums = addresses(f, len(values))
        chunks = self.parts * self.channel_parts
        chunk: Index = "%chunk" if chunks > 1 else 0
        number, channel = f.divide(chunk, self.channel_parts), f.remainder(chunk, self.channel_parts)
        first = f.multiply(channel, self.channels)
        x = f.at(x, first, self.x.strides[1] * item)
        each, row_size, _, _ = self.sums.strides
        sums = f.at(sums, f.add(f.multiply(number, each), f.multiply(first, row_size)), item)
        with f.loop(0, self.channels * row_size, self.shape.lanes) as index:
            self.e.store(self.e.constant(0, self.dtype), f.at(sums, index, item), 1, None)
        start, stop = part(f, self.tiles, self.parts, number)
        samples, results = ([axis.b for axis in self.tiling.axes], [axis.a for axis in self.tiling.axes])
        blocks = self.tiles // max(1, self.parts * self.block)
        work = self.block * self.tiling.points * self.channels * self.width // VECTOR
        with (
            self.borrowed.piece(f, memory, taken) as seen,
            patient(f, start, stop, self.block, count=blocks, work=work) as tile,
        ):
            slopes = f.at(seen, self.tiling.points * self.step, item)
            count = f.minimum(self.block, f.add(stop, f.multiply(tile, -1)))
            with f.loop(0, count) as row:
                at = f.at(seen, row, self.row * item)
                self._transform(samples, self.x, x, f.add(tile, row), self.channels, at, self.step)
            with f.loop(0, count) as row:
                at = f.at(slopes, row, self.width * item)
                self._transform(results, self.g, g, f.add(tile, row), self.outer, at, self.slope_step)
            self._multiply(seen, slopes, sums, count)
        return Kernel(
            f"conv_filter_gradient {self.tiling}", f, values, values[:-1], values[2:], chunks,
            ("conv_filter_gradient",), self.flops,
        )  # fmt: skip

    def _transform(
        self, matrices: list[Matrix], value: Value, source: str, tile: Index, channels: int, place: str,
        step: int,
    ) -> None:  # fmt: skip
        f, e = self.f, self.e

        def store(channel: Index, index: list[Index], terms: list[Term]) -> None:
            for number, term in enumerate(terms):
                offset = f.multiply(point_of(f, self.tiling, [*index, number]), step)
                e.store(term, f.at(place, f.add(offset, channel), self.dtype.itemsize), 1, None)

        gather(e, self.tiling, matrices, value, source, tile, channels, store)

    def _multiply(self, samples: str, slopes: str, sums: str, count: Index) -> None:
        """Add the products of a block; first by themselves, which keeps the sums exact to more places."""
        f, e, item, width = self.f, self.e, self.dtype.itemsize, self.shape.width
        row_size = self.sums.strides[1]
        with f.loop(0, self.tiling.points) as point:
            a = f.at(samples, point, self.step * item)
            b = f.at(slopes, point, self.slope_step * item)
            to = f.at(sums, point, self.width * item)
            for columns, first, last in widths(self.outer, width, self.width // width):
                with f.loop(first, last) as panel:
                    at_b, to_panel = (f.at(at, panel, width * item) for at in (b, to))
                    for begin, end, rows in tiles(self.channels, self.shape.rows):
                        with f.loop(begin, end, rows) as row:
                            tile = Tile(f, e.count, rows, columns, self.dtype)
                            tile.clear()
                            tile.run(
                                f.at(a, row, item), self.dtype, list(range(rows)), at_b,
                                [Loop(count, self.row, self.width)],
                            )  # fmt: skip
                            tile.join(f.at(to_panel, row, row_size * item), row_size)

    def back(self) -> Kernel:
        """Add the sums of all parts and transform them into filters."""
        f, item = Function(f"{self.name}_back", HEAD), self.dtype.itemsize
        e = Lanes(f, self.shape.lanes)
        sums, place = addresses(f, 2)
        watch = Watch(e, self.dtype)
        strides = self.place.strides
        count, work = self.inner // self.back_chunks, self.width * self.tiling.points * self.parts
        with patient(f, *share(f, self.inner, self.back_chunks), count=count, work=work) as channel:
            for start, stop, active in runs(self.outer, e.count):
                with f.loop(start, stop, e.count) as column:
                    at = f.at(sums, f.add(f.multiply(channel, self.sums.strides[1]), column), item)
                    offset = f.add(f.multiply(channel, strides[1]), f.multiply(column, strides[0]))
                    to = f.at(place, offset, item)

                    def load(index: list[Index], at: str = at) -> Term:
                        point = f.multiply(point_of(f, self.tiling, index), self.width)
                        found = [
                            e.load(
                                f.at(at, f.add(point, n * self.sums.strides[0]), item), self.dtype, 1, None
                            )
                            for n in range(self.parts)
                        ]
                        while len(found) > 1:
                            pairs = [e.op("fadd", *found[n : n + 2]) for n in range(0, len(found) - 1, 2)]
                            found = pairs + found[len(pairs) * 2 :]
                        return found[0]

                    def store(
                        index: list[Index], terms: list[Term], to: str = to, active: int = active
                    ) -> None:
                        line: Index = 0
                        for i, stride in zip(index, strides[2:], strict=False):
                            line = f.add(line, f.multiply(i, stride))
                        for number, term in enumerate(terms):
                            tap = f.add(line, number * strides[-1])
                            watch.see(term)
                            e.store(term, f.at(to, tap, item), strides[0], e.mask(active))

                    along_axes(e, self.dtype, [transposed(axis.g) for axis in self.tiling.axes], load, store)
        watch.report()
        return Kernel(
            f"{'add and ' if self.parts > 1 else ''}transform {self.tiling}", f, (self.sums, self.place),
            (self.sums,), (self.place,), self.back_chunks, ("conv_filter_gradient",), may_fail=True,
        )  # fmt: skip

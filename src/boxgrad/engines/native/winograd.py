"""Convolution with few multiplications: tiles are transformed, multiplied point by point, transformed back.

Knows tiles, the micro-kernel and what follows a convolution; knows neither padding, which lies in the
image's buffer, nor which of the passes it computes. A chunk of the work takes a block of tiles after the
other: their samples are transformed, channels last, and for each point the tiles of the block are the rows of
a product with the filters at that point. The results of that are transformed back into windows, on which what
follows is computed while they are in registers.

Filters are transformed once a call: by point, panel of output channels, input channel, lanes.
"""

from __future__ import annotations

import math

from boxgrad.engines.native.body import Body
from boxgrad.engines.native.borrowed import Borrowed
from boxgrad.engines.native.convolution import GRAIN, MOST_CHUNKS, widths
from boxgrad.engines.native.finite import Watch
from boxgrad.engines.native.ir import Function, Index
from boxgrad.engines.native.layout import Buffer, Value, contiguous
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.microkernel import Loop, Tile, tile_shape
from boxgrad.engines.native.microkernel import Shape as TileShape
from boxgrad.engines.native.pauses import VECTOR, patient
from boxgrad.engines.native.pointwise import Cluster
from boxgrad.engines.native.product import finish
from boxgrad.engines.native.steps import HEAD, Convolution, Kernel, Part, addresses, share
from boxgrad.engines.native.tiling import Tiling, block, gather, least, point_of, rounded, runs
from boxgrad.engines.native.toom_cook import transposed
from boxgrad.engines.native.transforms import along_axes
from boxgrad.engines.native.vector import Lanes, Term

GAP = 64
"""Bytes between the points of a block, so that they do not fall on the same lines of the cache."""


def transformed(w: Value, tiling: Tiling, shape: TileShape) -> Value:
    """Room for the transformed filters (1, outer, inner, *kernel)."""
    _, outer, inner, *_ = w.shape
    size = (tiling.points, -(-outer // shape.width), inner, shape.width)
    _, *strides = contiguous(size)
    step = math.prod(size[1:]) + GAP // w.dtype.itemsize
    return Value(Buffer(w.dtype, tiling.points * step), size, (step, *strides), 0, w.dtype)


def filter_kernel(w: Value, target: Value, tiling: Tiling, machine: Machine, name: str) -> Kernel:
    """Transform filters: G w along each axis of the kernel."""
    f = Function(name, HEAD)
    _, outer, inner, *_ = w.shape
    _, panels, _, width = target.shape
    item, lanes = w.dtype.itemsize, machine.lanes(w.dtype.itemsize)
    e = Lanes(f, lanes)
    source, to = addresses(f, 2)
    chunks = max(1, min(8, inner, target.size // 16384))
    vectors = width // lanes

    def one(channel: Index, start: Index, active: int) -> None:
        vector = f.divide(start, lanes)
        panel, lane = f.divide(vector, vectors), f.multiply(f.remainder(vector, vectors), lanes)
        at = f.at(source, f.add(f.multiply(start, w.strides[1]), f.multiply(channel, w.strides[2])), item)
        row = f.add(f.multiply(panel, inner * width), f.add(f.multiply(channel, width), lane))
        place = f.at(to, row, item)

        def load(index: list[Index]) -> Term:
            if not active:
                return e.constant(0, w.dtype)
            offset: Index = 0
            for i, stride in zip(index, w.strides[3:], strict=True):
                offset = f.add(offset, f.multiply(i, stride))
            return e.load(f.at(at, offset, item), w.dtype, w.strides[1], e.mask(active))

        def store(index: list[Index], terms: list[Term]) -> None:
            for number, term in enumerate(terms):
                point = point_of(f, tiling, [*index, number])
                e.store(term, f.at(place, point, target.strides[0] * item), 1, None)

        along_axes(e, w.dtype, [axis.g for axis in tiling.axes], load, store)

    work = target.size // max(1, inner)
    with patient(f, *share(f, inner, chunks), count=inner // chunks, work=work) as channel:
        for begin, end, active in [*runs(outer, lanes), (rounded(outer, lanes), panels * width, 0)]:
            if begin < end:
                with f.loop(begin, end, lanes) as start:
                    one(channel, start, active)
    return Kernel(
        f"transform filters {tiling}", f, (w, target), (w,), (target,), chunks, ("transform filters",)
    )


def kernel(cluster: Cluster, machine: Machine, name: str) -> Kernel:
    """The kernel of a cluster that begins with a convolution in tiles."""
    return _Writer(cluster, machine, name).kernel()


class _Writer:
    def __init__(self, cluster: Cluster, machine: Machine, name: str) -> None:
        self.cluster = cluster
        self.root = next(op for op in cluster.operations if op.product is not None)
        c = self.root.product
        assert isinstance(c, Convolution)
        assert c.tiling is not None
        self.c, self.tiling = c, c.tiling
        self.f, self.body = Function(name, HEAD), Body(cluster.operations)
        self.dtype = self.root.place.dtype
        self.shape = tile_shape(machine, self.dtype.itemsize)
        self.e = Lanes(self.f, self.shape.lanes)
        self.stores = list(cluster.stored)
        self.beside = [*self.body.outside, *(op.place for op in self.stores)]
        images = self.root.space[0]
        tiles = images * self.tiling.amount
        self.flops = 2 * math.prod(self.root.space) * c.inner * math.prod(c.kernel)
        # Chunks are runs of images; of few images, runs of tiles.
        self.unit = self.tiling.amount if images >= 8 else 1
        self.units = tiles // self.unit
        size = least(c.filters.buffer.bytes)
        self.chunks = max(1, min(MOST_CHUNKS, self.units, tiles // size, self.flops // 2 // GRAIN))
        self.block = rounded(block(-(-self.units // self.chunks) * self.unit, size), self.shape.rows)
        # The sizes of a row, and of a block at one point, before and after the products.
        gap = GAP // self.dtype.itemsize
        self.inner, self.outer = rounded(c.inner, self.shape.lanes), c.filters.shape[1] * self.shape.width
        self.step, self.out_step = self.block * self.inner + gap, self.block * self.outer + gap
        each = self.tiling.points * (self.step + self.out_step)
        self.borrowed = Borrowed(self.dtype, each, self.chunks)
        self.values = [c.source, c.filters, *self.borrowed.values, *self.beside]

    def kernel(self) -> Kernel:
        f, item = self.f, self.dtype.itemsize
        source, filters, memory, taken, *beside = addresses(f, len(self.values))
        watch = Watch(self.e, self.dtype)
        start, stop = (f.multiply(unit, self.unit) for unit in share(f, self.units, self.chunks))
        count = self.units * self.unit // max(1, self.chunks * self.block)
        work = self.block * self.tiling.points * self.inner * self.outer // VECTOR
        with (
            self.borrowed.piece(f, memory, taken) as samples,
            patient(f, start, stop, self.block, count=count, work=work) as first,
        ):
            products = f.at(samples, self.tiling.points * self.step, item)
            count = f.minimum(self.block, f.add(stop, f.multiply(first, -1)))
            with f.loop(0, count) as tile:
                self._samples(source, f.at(samples, tile, self.inner * item), f.add(first, tile))
            self._multiply(samples, filters, products, count)
            with f.loop(0, count) as tile:
                at = f.at(products, tile, self.outer * item)
                self._results(at, beside, f.add(first, tile), watch)
        watch.report()
        places = tuple(op.place for op in self.stores)
        boxes = tuple(op.name for op in self.cluster.operations)
        label = f"{'+'.join(dict.fromkeys(boxes))} {self.tiling}"
        reads = (self.c.source, self.c.filters, *self.borrowed.values, *self.body.outside)
        writes = (*self.borrowed.values, *places)
        return Kernel(
            label, f, tuple(self.values), reads, writes, self.chunks, boxes, self.flops, may_fail=True,
            parts=self._parts(),
        )  # fmt: skip

    def _parts(self) -> tuple[Part | None, ...]:
        images = self.root.space[0]
        if self.units != images:
            return ()
        source, *beside = (Part.of(v, images, v.strides[0]) for v in (self.c.source, *self.beside))
        return (source, None, *(None for _ in self.borrowed.values), *beside)

    def _samples(self, source: str, place: str, tile: Index) -> None:
        """Bᵀ-transform what a tile sees: a row of channels at each point."""
        f, e = self.f, self.e
        matrices = [axis.b for axis in self.tiling.axes]

        def store(channel: Index, index: list[Index], terms: list[Term]) -> None:
            for number, term in enumerate(terms):
                offset = f.multiply(point_of(f, self.tiling, [*index, number]), self.step)
                e.store(term, f.at(place, f.add(offset, channel), self.dtype.itemsize), 1, None)

        gather(e, self.tiling, matrices, self.c.source, source, tile, self.c.inner, store)

    def _multiply(self, samples: str, filters: str, products: str, count: Index) -> None:
        """For each point, the rows of a block times the filters."""
        f, rows, width, item = self.f, self.shape.rows, self.shape.width, self.dtype.itemsize
        panels, depth = self.c.filters.shape[1:3]
        ends = f.divide(f.add(count, rows - 1), rows)
        with f.loop(0, self.tiling.points) as point:
            a = f.at(samples, point, self.step * item)
            to = f.at(products, point, self.out_step * item)
            b = f.at(filters, point, self.c.filters.strides[0] * item)
            for columns, first, last in widths(self.c.outer, width, panels):
                with f.loop(first, last) as panel, f.loop(0, ends) as row:
                    sums = Tile(f, self.shape.lanes, rows, columns, self.dtype)
                    sums.clear()
                    sums.run(
                        f.at(a, row, rows * self.inner * item), self.dtype,
                        [i * self.inner for i in range(rows)],
                        f.at(b, panel, depth * width * item), [Loop(depth, 1, width)],
                    )  # fmt: skip
                    offset = f.add(f.multiply(row, rows * self.outer), f.multiply(panel, width))
                    sums.save(f.at(to, offset, item), self.outer)

    def _results(self, source: str, beside: list[str], tile: Index, watch: Watch) -> None:
        """Aᵀ-transform the products of a tile, and compute what follows, a line of windows at a time."""
        f, tiling = self.f, self.tiling
        image, places = tiling.place(f, tile)
        pointers: list[str] = []
        for pointer, value in zip(beside, self.beside, strict=True):
            offset = f.multiply(image, value.strides[0])
            for place, size, stride in zip(places, tiling.results, value.strides[2:], strict=True):
                offset = f.add(offset, f.multiply(place, size * stride))
            pointers.append(f.at(pointer, offset, value.dtype.itemsize))
        wanted = [tiling.wanted(f, axis, place) for axis, place in enumerate(places)]
        last = len(places) - 1

        def vectors(line: int) -> None:
            for start, stop, active in runs(self.c.outer, self.shape.lanes):
                with f.loop(start, stop, self.shape.lanes) as channel:
                    self._lines(source, pointers, channel, wanted[:last], line, active, watch)

        if tiling.fits(last):
            vectors(tiling.results[last])
            return
        condition = tiling.inside(f, last, places[last])
        with f.when(condition):
            vectors(tiling.results[last])
        with f.when(f.value(f"xor i1 {condition}, true")):
            vectors(tiling.windows[last] % tiling.results[last])

    def _lines(
        self, source: str, beside: list[str], channel: Index, wanted: list[Index], line: int, active: int,
        watch: Watch,
    ) -> None:  # fmt: skip
        f, e, dtype = self.f, self.e, self.dtype
        source = f.at(source, channel, dtype.itemsize)
        pointers = [
            f.at(pointer, channel, value.strides[1] * value.dtype.itemsize)
            for pointer, value in zip(beside, self.beside, strict=True)
        ]
        over = [
            Value(v.buffer, (1, line, self.c.outer), (0, v.strides[-1], v.strides[1]), v.offset, v.dtype)
            for v in self.beside
        ]
        count = len(over) - len(self.stores)

        def load(index: list[Index]) -> Term:
            offset = f.multiply(point_of(f, self.tiling, index), self.out_step)
            return e.load(f.at(source, offset, dtype.itemsize), dtype, 1, None)

        def store(index: list[Index], terms: list[Term]) -> None:
            sums = Tile(f, self.shape.lanes, line, active, dtype)
            for row, term in zip(sums.sums, terms, strict=False):
                watch.see(term)
                row[0].set(term.text)
            moved: list[str] = []
            for pointer, value in zip(pointers, self.beside, strict=True):
                offset: Index = 0
                for i, stride in zip(index, value.strides[2:], strict=False):
                    offset = f.add(offset, f.multiply(i, stride))
                moved.append(f.at(pointer, offset, value.dtype.itemsize))
            finish(sums, self.body, self.root, over[:count], self.stores, over[count:], moved, active)

        matrices = [transposed(axis.a) for axis in self.tiling.axes]
        along_axes(e, dtype, matrices, load, store, wanted)

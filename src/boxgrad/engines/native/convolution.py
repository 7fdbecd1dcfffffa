"""Convolution: the micro-kernel over the rows of images whose channels lie last.

Knows windows, taps and packed filters; knows neither padding, which lies in the image's buffer, nor which of
the three passes it computes. A tile is a run of neighbouring windows times a panel of output channels; the
inner loops run over the kernel's taps and the input channels, which are one loop where they are contiguous.
What follows the convolution is computed on the sums while they are in registers.

Filters are packed once a call: by group and panel of output channels, then taps, input channels, lanes.
"""

from __future__ import annotations

import math

from boxgrad.engines.native.body import Body
from boxgrad.engines.native.ir import Function, Index
from boxgrad.engines.native.layout import Buffer, Shape, Value, contiguous
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.microkernel import Loop, Tile, tile_shape
from boxgrad.engines.native.microkernel import Shape as TileShape
from boxgrad.engines.native.packing import pack
from boxgrad.engines.native.pauses import VECTOR, patient
from boxgrad.engines.native.pointwise import Cluster
from boxgrad.engines.native.product import finish
from boxgrad.engines.native.steps import HEAD, LONG, Convolution, Kernel, Part, addresses, nest, share

GRAIN = 1 << 18
"""Multiplications that are worth a chunk of their own."""
MOST_CHUNKS = 16


def packed(w: Value, shape: TileShape) -> Value:
    """Room for packed filters: group, panel, taps and input channels, lanes."""
    groups, outer, inner, *kernel = w.shape
    size = (groups, -(-outer // shape.width), math.prod(kernel) * inner, shape.width)
    return Value(Buffer(w.dtype, math.prod(size)), size, contiguous(size), 0, w.dtype)


def packer(w: Value, target: Value, machine: Machine, name: str) -> Kernel:
    """Pack filters (group, output, input, *kernel)."""
    f = Function(name, HEAD)
    groups, outer, inner, *kernel = w.shape
    _, panels, depth, width = target.shape
    source, panel_at = addresses(f, 2)
    item, lanes = w.dtype.itemsize, machine.lanes(w.dtype.itemsize)
    chunks = max(1, min(8, groups * panels, w.size // 4096))
    with f.loop(*share(f, groups * panels, chunks)) as unit:
        group, panel = f.divide(unit, panels), f.remainder(unit, panels)
        at = f.at(source, group, w.strides[0] * item)
        at = f.at(at, panel, width * w.strides[1] * item)
        to = f.at(panel_at, unit, depth * width * item)
        steps = [
            tuple(stride * item for stride in w.strides[3:]),
            _bytes(contiguous(kernel), inner * width * item),
        ]
        with nest(f, tuple(kernel), [at, to], steps) as (_, (tap, row)):
            for columns, first, last in widths(outer, width, panels):
                with _between(f, panel, first, last, panels):
                    pack(
                        f, tap, w.dtype, (w.strides[2], w.strides[1]), inner, columns,
                        row, width, lanes, w.dtype,
                    )  # fmt: skip
    return Kernel("pack filters", f, (w, target), (w,), (target,), chunks, ("pack filters",))


def _bytes(strides: Shape, size: int) -> Shape:
    return tuple(stride * size for stride in strides)


def widths(outer: int, width: int, panels: int) -> list[tuple[int, int, int]]:
    """The widths of panels, and from which panel to which they are so wide."""
    whole, edge = divmod(outer, width)
    return [w for w in ((width, 0, whole), (edge, whole, panels)) if w[0] and w[1] < w[2]]


def _between(f: Function, index: Index, first: int, last: int, amount: int):
    """Run what is inside if an index lies in a range."""
    if (first, last) == (0, amount) or isinstance(index, int):
        inside = not isinstance(index, int) or first <= index < last
        return f.when("true" if inside else "false")
    predicate = f"icmp slt i64 {index}, {last}" if first == 0 else f"icmp sge i64 {index}, {first}"
    return f.when(f.value(predicate))


def tiles(amount: int, most: int) -> list[tuple[int, int, int]]:
    """Cut windows into tiles of nearly one size: (first, end, size), at most two sizes."""
    count = -(-amount // most)
    size, larger = divmod(amount, count)
    split = larger * (size + 1)
    return [run for run in ((0, split, size + 1), (split, amount, size)) if run[0] < run[1]]


def kernel(cluster: Cluster, machine: Machine, name: str) -> Kernel:
    """The kernel of a cluster that begins with a convolution."""
    return _Writer(cluster, machine, name).kernel()


class _Writer:
    def __init__(self, cluster: Cluster, machine: Machine, name: str) -> None:
        self.cluster = cluster
        self.root = next(op for op in cluster.operations if op.product is not None)
        assert isinstance(self.root.product, Convolution)
        self.c = self.root.product
        self.f, self.body = Function(name, HEAD), Body(cluster.operations)
        self.dtype = self.root.place.dtype
        self.shape = tile_shape(machine, self.dtype.itemsize)
        self.stores = list(cluster.stored)
        self.beside = [*self.body.outside, *(op.place for op in self.stores)]
        self.values = [self.c.source, self.c.filters, *self.beside]
        self.images = self.root.space[0]
        self.flops = 2 * math.prod(self.root.space) * self.c.inner * math.prod(self.c.kernel)
        # Chunks are runs of images; of few images, runs of their first spatial axis.
        self.by_image = self.images >= 8 or len(self.c.windows) == 1
        units = self.images if self.by_image else self.c.windows[0]
        work = self.flops // 2
        self.chunks = max(1, min(max(MOST_CHUNKS, work // LONG), units, work // GRAIN))

    def kernel(self) -> Kernel:
        f, c = self.f, self.c
        pointers = addresses(f, len(self.values))
        panels = c.filters.shape[1]
        images = share(f, self.images, self.chunks) if self.by_image else (0, self.images)
        self.tile_work = self.shape.rows * self.shape.width * math.prod(c.kernel) * c.inner // VECTOR
        divided = (self.chunks, 1) if self.by_image else (1, self.chunks)
        self.spans = [c.windows[0] // divided[1], *c.windows[1:]]
        self.spans[-1] = -(-self.spans[-1] // self.shape.rows)
        work = math.prod(self.spans) * self.tile_work
        count = self.images // divided[0]
        with patient(f, *images, count=count, work=c.groups * panels * work) as image:
            moved = [self._moved(p, n, 0, image) for n, p in enumerate(pointers)]
            with patient(f, 0, c.groups * panels, count=c.groups * panels, work=work) as unit:
                group, panel = f.divide(unit, panels), f.remainder(unit, panels)
                first = f.add(f.multiply(group, c.outer), f.multiply(panel, self.shape.width))
                at = [self._moved(p, n, 1, first) for n, p in enumerate(moved)]
                at[0] = self._moved(moved[0], 0, 1, f.multiply(group, c.inner))
                each = c.filters.shape[2] * c.filters.shape[3]
                at[1] = f.at(pointers[1], unit, each * self.dtype.itemsize)
                for columns, start, stop in widths(c.outer, self.shape.width, panels):
                    with _between(f, panel, start, stop, panels):
                        self._rows(at, columns)
        reads = (*self.c.reads, *self.body.outside)
        boxes = tuple(op.name for op in self.cluster.operations)
        return Kernel(
            "+".join(dict.fromkeys(boxes)), f, tuple(self.values), reads,
            tuple(op.place for op in self.stores), self.chunks, boxes, self.flops,
            parts=self._parts(),
        )  # fmt: skip

    def _parts(self) -> tuple[Part | None, ...]:
        if not self.by_image:
            return ()
        images = [Part.of(value, self.images, value.strides[0]) for value in self.values]
        return (images[0], None, *images[2:])

    def _moved(self, pointer: str, number: int, axis: int, index: Index, step: int = 1) -> str:
        if number == 1:
            return pointer
        value = self.values[number]
        return self.f.at(pointer, index, step * value.strides[axis] * value.dtype.itemsize)

    def _rows(self, pointers: list[str], columns: int) -> None:
        """All windows with one panel: loops over all spatial axes but the last, then tiles of that."""
        f, c = self.f, self.c
        last = len(c.windows) - 1

        def loops(axis: int, at: list[str]) -> None:
            if axis == last:
                for start, stop, size in tiles(c.windows[last], self.shape.rows):
                    with patient(f, start, stop, size, count=self.spans[last], work=self.tile_work) as window:
                        self._tile(self._at(at, last, window), size, columns)
                return
            divided = axis == 0 and not self.by_image
            span = share(f, c.windows[0], self.chunks) if divided else (0, c.windows[axis])
            work = math.prod(self.spans[axis + 1 :]) * self.tile_work
            with patient(f, *span, count=self.spans[axis], work=work) as window:
                loops(axis + 1, self._at(at, axis, window))

        loops(0, pointers)

    def _at(self, pointers: list[str], axis: int, window: Index) -> list[str]:
        step = self.c.window_steps[axis]
        return [self._moved(p, n, 2 + axis, window, step if n == 0 else 1) for n, p in enumerate(pointers)]

    def _tile(self, pointers: list[str], rows: int, columns: int) -> None:
        c, width = self.c, self.shape.width
        sums = Tile(self.f, self.shape.lanes, rows, columns, self.dtype)
        sums.clear()
        step = c.window_steps[-1] * c.source.strides[-1]
        sums.run(pointers[0], self.dtype, [i * step for i in range(rows)], pointers[1], inner_loops(c, width))
        over = [
            Value(v.buffer, (1, c.windows[-1], c.outer), (0, v.strides[-1], v.strides[1]), v.offset, v.dtype)
            for v in self.beside
        ]
        count = len(over) - len(self.stores)
        finish(sums, self.body, self.root, over[:count], self.stores, over[count:], pointers[2:], columns)


def inner_loops(c: Convolution, width: int) -> list[Loop]:
    """Taps and input channels; the last tap and the channels are one loop where they are contiguous."""
    strides = c.source.strides
    loops: list[Loop] = []
    step_b = c.inner * width
    for axis in reversed(range(len(c.kernel))):
        loops.insert(0, Loop(c.kernel[axis], c.tap_steps[axis] * strides[2 + axis], step_b))
        step_b *= c.kernel[axis]
    channels = Loop(c.inner, strides[1], width)
    if c.inner == 1:
        return loops
    if loops[-1].step_a == c.inner * channels.step_a:
        loops[-1] = Loop(loops[-1].count * c.inner, channels.step_a, width)
        return loops
    return [*loops, channels]

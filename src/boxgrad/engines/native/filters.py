"""The gradient of a convolution in its filters: sums over all windows, for each tap and pair of channels.

Knows windows, taps and the micro-kernel. A tile is a run of input channels (and of taps, where these follow
each other in memory) times a panel of output channels, and the inner loops run over the windows of an image.
Each chunk takes some images and has partial sums of its own, which a second kernel adds in a fixed order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from boxgrad.engines.native.convolution import tiles, widths
from boxgrad.engines.native.emitters import ADD
from boxgrad.engines.native.ir import Function
from boxgrad.engines.native.layout import Buffer, Shape, Value, contiguous
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.microkernel import Loop, Tile, tile_shape
from boxgrad.engines.native.pauses import VECTOR, patient
from boxgrad.engines.native.pointwise import Cluster
from boxgrad.engines.native.pointwise import kernels as pointwise
from boxgrad.engines.native.steps import HEAD, LONG, Kernel, Operand, Operation, addresses, nest, share
from boxgrad.engines.native.vector import Lanes, Term

GRAIN = 1 << 18
MOST_CHUNKS = 8
MOST_PARTS = 64
PARTS_BYTES = 256 << 20
BLOCK_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class Geometry:
    """Groups, sizes of the kernel, strides and dilations."""

    groups: int
    kernel: Shape
    stride: Shape
    dilation: Shape


def kernels(
    x: Value, g: Value, place: Value, geometry: Geometry, machine: Machine, name: str
) -> list[Kernel]:
    """dw from images with room around them and the gradients of the windows, channels last."""
    images, windows = g.shape[0], g.shape[2:]
    outputs, inner = place.shape[:2]
    taps = math.prod(geometry.kernel)
    flops = 2 * images * math.prod(windows) * place.size
    work = flops // 2
    # Long work is cut finer, as far as there is room for the partial sums.
    finest = min(work // LONG, MOST_PARTS, PARTS_BYTES // (place.size * place.dtype.itemsize))
    chunks = max(1, min(max(MOST_CHUNKS, finest), images, work // GRAIN))
    size = (chunks, taps, inner, outputs)
    sums = Value(Buffer(place.dtype, math.prod(size)), size, contiguous(size), 0, place.dtype)
    main = _sums(x, g, sums, geometry, machine, name, flops)
    order = (place.shape[0], inner, *geometry.kernel)
    strides = (1, outputs, *(s * inner * outputs for s in contiguous(geometry.kernel)))
    each = taps * inner * outputs
    operands = tuple(
        Operand(Value(sums.buffer, order, strides, part * each, place.dtype), place.dtype)
        for part in range(chunks)
    )
    add = Operation("combine", order, operands, _total, place, 0)
    return [main, *pointwise(Cluster((add,), (add,)), machine, f"{name}_rest")]


def _total(e: Lanes, first: Term, *others: Term) -> Term:
    for other in others:
        first = ADD(e, first, other)
    return first


def _sums(
    x: Value, g: Value, sums: Value, geometry: Geometry, machine: Machine, name: str, flops: int
) -> Kernel:
    f = Function(name, HEAD)
    chunks, taps, inner, outputs = sums.shape
    item = g.dtype.itemsize
    shape = tile_shape(machine, item)
    at_x, at_g, at_sums = addresses(f, 3)
    if chunks > 1:
        at_sums = f.at(at_sums, "%chunk", taps * inner * outputs * item)
    Lanes(f, machine.lanes(item)).fill(at_sums, taps * inner * outputs, 0, sums.dtype)
    kernel = geometry.kernel
    tap_steps = [d * x.strides[2 + axis] for axis, d in enumerate(geometry.dilation)]
    rows = inner
    # Channels and the last taps are one run of rows where they follow each other in memory.
    if tap_steps[-1] == inner * x.strides[1] or (inner == 1 and x.strides[1] == 0):
        rows *= kernel[-1]
        kernel = kernel[:-1]
    row_step = x.strides[1] if inner > 1 else tap_steps[-1]
    windows = g.shape[2:]
    # Windows are taken in blocks whose part of g, a panel wide, stays in the first-level cache.
    most = max(1, BLOCK_BYTES // (shape.width * item * math.prod(windows[1:])))
    blocks = tiles(windows[0], most) if len(windows) > 1 else [(0, 1, 1)]
    outer = outputs // geometry.groups
    panels = -(-outer // shape.width)

    def block(image_x: str, image_g: str, size: int) -> None:
        """All taps and channels with some rows of windows."""
        counts = (size, *windows[1:]) if len(windows) > 1 else windows
        loops = [
            Loop(n, geometry.stride[axis] * x.strides[2 + axis], g.strides[2 + axis])
            for axis, n in enumerate(counts)
            if n > 1 or axis == len(windows) - 1
        ]
        runs = -(-rows // shape.rows)
        tile_work = shape.rows * shape.width * math.prod(counts) // VECTOR
        panel_work = math.prod(kernel) * runs * tile_work
        groups = geometry.groups
        with patient(f, 0, groups, count=groups, work=panels * panel_work) as group:
            group_x = f.at(image_x, group, inner * x.strides[1] * item)
            first = f.multiply(group, outer)
            group_g, group_sums = f.at(image_g, first, item), f.at(at_sums, first, item)
            for columns, start, stop in widths(outer, shape.width, panels):
                with patient(f, start, stop, count=panels, work=panel_work) as panel:
                    offset = f.multiply(panel, shape.width)
                    steps = [
                        tuple(step * item for step in tap_steps[: len(kernel)]),
                        tuple(s * rows * outputs * item for s in contiguous(kernel)),
                    ]
                    pointers = [group_x, f.at(group_sums, offset, item)]
                    with nest(f, kernel, pointers, steps, runs * tile_work) as (_, (tap_x, tap_sums)):
                        for begin, end, count in tiles(rows, shape.rows):
                            with patient(f, begin, end, count, count=runs, work=tile_work) as row:
                                tile = Tile(f, shape.lanes, count, columns, g.dtype, mask=True)
                                kept = f.at(tap_sums, row, outputs * item)
                                tile.load(kept, outputs)
                                tile.run(
                                    f.at(tap_x, row, row_step * item), g.dtype,
                                    [i * row_step for i in range(count)],
                                    f.at(group_g, offset, item), loops,
                                )  # fmt: skip
                                tile.save(kept, outputs)

    image_work = flops // (2 * VECTOR * max(1, g.shape[0]))
    with patient(f, *share(f, g.shape[0], chunks), count=g.shape[0] // chunks, work=image_work) as image:
        image_x = f.at(at_x, image, x.strides[0] * item)
        image_g = f.at(at_g, image, g.strides[0] * item)
        for begin, end, size in blocks:
            steps, work = (end - begin) // size, image_work * size // max(1, windows[0])
            with patient(f, begin, end, size, count=steps, work=work) as window:
                block(
                    f.at(image_x, window, geometry.stride[0] * x.strides[2] * item),
                    f.at(image_g, window, g.strides[2] * item),
                    size,
                )
    return Kernel(
        "conv_filter_gradient", f, (x, g, sums), (x, g), (sums,), chunks, ("conv_filter_gradient",), flops
    )

"""Packing whole operands of products, before the kernel that multiplies them.

Knows strides and caches. The right operand is packed by panels of columns where it is used again: in each
step of a loop, or with so many rows that these are cut into parts. The left one is packed by tiles of rows
where its own strides would thrash the caches.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager

import numpy as np

from boxgrad.engines.native.ir import Function, Index
from boxgrad.engines.native.layout import Buffer, Value, contiguous
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.microkernel import Shape as TileShape
from boxgrad.engines.native.microkernel import tile_shape
from boxgrad.engines.native.packing import pack
from boxgrad.engines.native.pauses import patient
from boxgrad.engines.native.steps import HEAD, Kernel, Product, addresses
from boxgrad.engines.native.vector import Lanes

BLOCK = 64
"""Steps of the inner axis whose lines are packed together."""
LARGE = 6 << 20
"""Bytes of rows that no cache holds."""


def is_large(left: Value) -> bool:
    """Whether the rows are more than the caches hold, so that reading them again and again is slow."""
    return left.shape[0] == 1 and left.size * left.dtype.itemsize > LARGE


def panels(right: Value, made: Product, machine: Machine) -> Value:
    """Room for an operand in panels of columns: panel, row, lanes."""
    dtype = right.dtype if right.dtype == made.left.dtype else np.dtype(np.float64)
    width = tile_shape(machine, dtype.itemsize).width
    size = (-(-right.shape[2] // width), right.shape[1], width)
    return Value(Buffer(dtype, math.prod(size)), size, contiguous(size), 0, dtype)


def packer(right: Value, target: Value, machine: Machine, name: str) -> Kernel:
    """Pack an operand before the loop that uses it."""
    f = Function(name, HEAD)
    source, panel_at = addresses(f, 2)
    count, depth, width = target.shape
    whole, edge = divmod(right.shape[2], width)
    lanes = machine.lanes(target.dtype.itemsize)
    chunks = max(1, min(16, count, right.size // 8192))
    start, stop = part(f, count, chunks, "%chunk")
    steps = (right.strides[1], right.strides[2])

    def one(panel: Index, columns: int) -> None:
        at = f.at(source, panel, width * right.strides[2] * right.dtype.itemsize)
        to = f.at(panel_at, panel, depth * width * target.dtype.itemsize)
        pack(f, at, right.dtype, steps, depth, columns, to, width, lanes, target.dtype)

    if whole:
        with patient(f, start, f.minimum(stop, whole), count=count // chunks, work=depth * width) as panel:
            one(panel, width)
    if edge:
        with only_if_last(f, stop, count):
            one(whole, edge)
    return Kernel("pack", f, (right, target), (right,), (target,), chunks, ("pack",))


def tiles_of(left: Value, shape: TileShape) -> Value | None:
    """Room for the left operand by tiles of rows, where its own strides would thrash the caches.

    If rows are contiguous and the inner axis has a large power of two as its stride, all its elements fall
    into a few sets of the cache. Packed, a tile is read from front to back.
    """
    _, m, k = left.shape
    jump = abs(left.strides[2]) * left.dtype.itemsize
    if left.shape[0] != 1 or left.strides[1] != 1 or jump < 1024 or jump % 256 or k < 64:
        return None
    size = (-(-m // shape.rows), k, shape.rows)
    return Value(Buffer(left.dtype, math.prod(size)), size, contiguous(size), 0, left.dtype)


def row_packer(left: Value, target: Value, name: str) -> Kernel:
    """Pack rows by tiles: blocks of the inner axis, in which a few tiles' lines are read at a time."""
    f = Function(name, HEAD)
    source, to = addresses(f, 2)
    _, depth, rows = target.shape
    item = left.dtype.itemsize
    e = Lanes(f, 1 << (rows - 1).bit_length())
    blocks, rest = divmod(depth, BLOCK)
    chunks = max(1, min(16, blocks, left.size // 8192))
    whole, edge = divmod(left.shape[1], rows)

    def one(tile: Index, count: int, first: Index, amount: int) -> None:
        at = f.at(source, tile, rows * item)
        panel = f.at(to, tile, depth * rows * item)
        with f.loop(0, amount) as step:
            k = f.add(first, step)
            x = e.load(f.at(at, k, left.strides[2] * item), left.dtype, 1, e.mask(count))
            e.store(x, f.at(panel, k, rows * item), 1, e.mask(rows))

    def block(first: Index, amount: int) -> None:
        if whole:
            with patient(f, 0, whole, count=whole, work=rows * amount) as tile:
                one(tile, rows, first, amount)
        if edge:
            one(whole, edge, first, amount)

    start, stop = part(f, blocks, chunks, "%chunk")
    if blocks:
        work = BLOCK * left.shape[1]
        with patient(f, start, stop, count=blocks // chunks, work=work) as number:
            block(f.multiply(number, BLOCK), BLOCK)
    if rest:
        with only_if_last(f, stop, blocks):
            block(blocks * BLOCK, rest)
    return Kernel("pack", f, (left, target), (left,), (target,), chunks, ("pack",))


def part(f: Function, amount: int, parts: int, part: Index) -> tuple[Index, Index]:
    """The range of a part of range(amount)."""
    if parts == 1:
        return 0, amount
    start = f.divide(f.multiply(part, amount), parts)
    return start, f.divide(f.multiply(f.add(part, 1), amount), parts)


def only_if_last(f: Function, stop: Index, amount: int) -> AbstractContextManager[None]:
    """Run what is inside in the part that reaches the end."""
    condition = "true" if isinstance(stop, int) else f.value(f"icmp eq i64 {stop}, {amount}")
    return f.when(condition)

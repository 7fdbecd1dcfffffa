"""Adding or putting rows at positions that may repeat: the adjoint of looking up rows in a table.

Knows strides and vectors. Rows are taken one after the other in the order of the positions, as NumPy does,
and the row's elements are shared among chunks, so the bits do not depend on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from boxgrad.engines.native.emitters import Emitter
from boxgrad.engines.native.ir import Function, Index
from boxgrad.engines.native.layout import Value
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.pauses import patient
from boxgrad.engines.native.steps import HEAD, Kernel, addresses, nest, share
from boxgrad.engines.native.vector import INT64, Lanes

GRAIN = 1 << 15
WORK = 16
"""Of a row, in simple operations, besides its elements: it lies somewhere in memory."""


def kernel(
    label: str,
    x: Value,
    indices: Sequence[Value],
    place: Value,
    combine: Emitter,
    machine: Machine,
    name: str,
) -> Kernel:
    """``place[indices] = combine(place[indices], x)``; index arrays stand on the first axes of ``place``."""
    f = Function(name, HEAD)
    where = indices[0].shape
    rest = place.shape[len(indices) :]
    width = math.prod(rest)
    values = (x, *indices, place)
    pointers = addresses(f, len(values))
    sizes = where + rest[:-1]
    inner = rest[-1] if rest else 1
    over, across = (x.strides[-1], place.strides[-1]) if rest else (0, 1)
    lanes = min(machine.lanes(place.dtype.itemsize), 1 << (inner - 1).bit_length())
    blocks, tail = divmod(inner, lanes)
    chunks = max(1, min(blocks, 16, x.size // GRAIN))
    e, one = Lanes(f, lanes), Lanes(f, 1)
    item = place.dtype.itemsize

    def write(source: str, target: str, index: Index, mask: str | None) -> None:
        source = f.at(source, index, over * x.dtype.itemsize)
        new = e.cast(e.load(source, x.dtype, over, mask), place.dtype)
        at = f.at(target, index, across * item)
        e.store(combine(e, e.load(at, place.dtype, across, mask), new), at, across, mask)

    steps = [tuple(s * x.dtype.itemsize for s in x.strides[: len(sizes)])]
    for index in indices:
        steps.append(tuple(s * index.dtype.itemsize for s in index.strides) + (0,) * (len(rest) - 1))
    trailing = place.strides[len(indices) :]
    steps.append((0,) * len(where) + tuple(s * item for s in trailing[:-1]))
    with nest(f, sizes, pointers, steps, WORK + inner // chunks) as (_, moved):
        target = moved[-1]
        outside = "false"
        for number, index in enumerate(indices):
            limit, stride = place.shape[number], place.strides[number]
            position = one.cast(one.load(moved[1 + number], index.dtype, 1, None), INT64)
            negative = one.compare("lt", position, one.like(0, position))
            position = one.choose(negative, one.op("add", position, one.like(limit, position)), position)
            text = f.value(f"extractelement <1 x i64> {position.text}, i32 0")
            wrong = f.value(f"icmp uge i64 {text}, {limit}")
            outside = f.value(f"or i1 {outside}, {wrong}")
            target = f.at(target, f.multiply(f.value(f"select i1 {wrong}, i64 0, i64 {text}"), stride), item)
        with f.when(outside):
            f.store("i64", "1", "%status", 8)
        with f.when(f.value(f"xor i1 {outside}, true")):
            start, stop = share(f, blocks, chunks)
            if blocks:
                count = blocks // chunks
                with patient(f, start, stop, count=count, work=lanes) as block:
                    write(moved[0], target, f.multiply(block, lanes), None)
            if tail:
                last = "true" if chunks == 1 else f.value(f"icmp eq i64 %chunk, {chunks - 1}")
                with f.when(last):
                    write(moved[0], target, blocks * lanes, e.mask(tail))
    reads = (x, *indices, place)
    return Kernel(label, f, values, reads, (place,), chunks, (label,), math.prod(where) * width, True)

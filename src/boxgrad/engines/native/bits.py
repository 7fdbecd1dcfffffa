"""Random bits: Threefry-2x32, a function of key and counter.

Knows vectors, and the cipher from ``functions.random_bits``; the same words as there. The two words of a pair
are computed in two vectors and woven together when they are stored.
"""

from __future__ import annotations

import math

import numpy as np

from boxgrad.engines.native.ir import Function, Index
from boxgrad.engines.native.layout import Value, fresh
from boxgrad.engines.native.lowering import Lowering, RefusedError
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.pauses import patient
from boxgrad.engines.native.steps import HEAD, Kernel, Special, addresses, share
from boxgrad.engines.native.vector import Lanes, Term
from boxgrad.graph.node import Node

UINT32, UINT64 = np.dtype(np.uint32), np.dtype(np.uint64)
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
GRAIN = 1 << 11
"""Pairs of words that are worth a chunk of their own."""


def random_bits(lowering: Lowering, node: Node) -> Value:
    key, counter = (lowering.value(x) for x in node.inputs)
    if key.dtype != UINT32 or counter.dtype.kind not in "iu":
        raise RefusedError(f"a key of {key.dtype} and a counter of {counter.dtype} have no kernel")
    place = fresh(node.shape, node.dtype)
    if place.size:
        lowering.steps.append(
            Special(
                "random_bits", (key, counter), (place,),
                lambda machine, name: [_kernel(key, counter, place, machine, name)],
            )
        )  # fmt: skip
    return place


def _kernel(key: Value, counter: Value, place: Value, machine: Machine, name: str) -> Kernel:
    f = Function(name, HEAD)
    first, start, target = addresses(f, 3)
    size = math.prod(place.shape)
    e = Lanes(f, machine.lanes(4))
    keys = [e.load(f.at(first, i * key.strides[0], 4), UINT32, 0, None) for i in range(2)]
    keys.append(e.op("xor", e.op("xor", keys[0], keys[1]), e.constant(PARITY, UINT32)))
    base = e.cast(e.load(start, counter.dtype, 0, None), UINT64)
    blocks, tail = divmod(size, 2 * e.count)
    chunks = max(1, min(16, blocks, size // (2 * GRAIN)))

    def pairs(block: Index, mask: str | None) -> None:
        number = f.multiply(block, e.count)
        numbers = e.op("add", base, e.op("add", e.splat(str(number), UINT64), Term(e.numbers().text, UINT64)))
        x = e.cast(numbers, UINT32)
        y = e.cast(e.op("lshr", numbers, e.constant(32, UINT64)), UINT32)
        x, y = _threefry(e, keys, x, y)
        kind, order = e.type(UINT32), (n for i in range(e.count) for n in (i, e.count + i))
        text = f"shufflevector {kind} {x.text}, {kind} {y.text}, <{2 * e.count} x i32> "
        woven = Term(f.value(text + f"<{', '.join(f'i32 {n}' for n in order)}>"), UINT32)
        Lanes(f, 2 * e.count).store(woven, f.at(target, number, 8), 1, mask)

    if blocks:
        with patient(f, *share(f, blocks, chunks), count=blocks // chunks, work=55 * e.count) as block:
            pairs(block, None)
    if tail:
        last = "true" if chunks == 1 else f.value(f"icmp eq i64 %chunk, {chunks - 1}")
        with f.when(last):
            pairs(blocks, Lanes(f, 2 * e.count).mask(tail))
    values = (key, counter, place)
    return Kernel("random_bits", f, values, values[:2], (place,), chunks, ("random_bits",), 55 * size)


def _threefry(e: Lanes, keys: list[Term], x: Term, y: Term) -> tuple[Term, Term]:
    x, y = e.op("add", x, keys[0]), e.op("add", y, keys[1])
    for group in range(5):
        for rotation in ROTATIONS[group % 2]:
            x = e.op("add", x, y)
            y = e.op("xor", e.intrinsic("fshl", y, y, e.like(rotation, y)), x)
        x = e.op("add", x, keys[(group + 1) % 3])
        y = e.op("add", e.op("add", y, keys[(group + 2) % 3]), e.like(group + 1, y))
    return x, y

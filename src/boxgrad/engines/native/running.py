"""Along an axis: the position of the largest or smallest element, and running sums and products.

Knows strides and vectors. A position is two reductions: the extremum, then the smallest position that holds
it. Running sums are taken in NumPy's order, one after the other, several rows at once, so they have NumPy's
bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from boxgrad.engines.native import emitters, extrema
from boxgrad.engines.native.ir import Function, Index, is_supported
from boxgrad.engines.native.layout import Shape, Value, fresh, order_of
from boxgrad.engines.native.lowering import Lower, Lowering, RefusedError
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.pauses import patient
from boxgrad.engines.native.steps import HEAD, Kernel, Operand, Reduction, Special, addresses, moved, share
from boxgrad.engines.native.vector import INT32, INT64, Lanes, Term
from boxgrad.graph.node import Node

GRAIN = 1 << 14
WORK = 4
"""Of a step, in simple operations: each waits for the one before."""


# ---- positions of extrema
def position(combine: emitters.Emitter, identity: Callable[[Any], Any]) -> Lower:
    """The row of ``argmax`` or ``argmin``; a NaN is an extremum, and of equals the first counts.

    Long contiguous rows are searched by ``extrema``.
    """

    def lower(lowering: Lowering, node: Node) -> Value:
        (x,) = node.inputs
        axis, source = node.parameters["axis"], lowering.value(x)
        if not is_supported(x.dtype):
            raise RefusedError(f"kernels do not compare {x.dtype}")
        count = x.shape[axis]
        wide = INT32 if count < 1 << 31 else INT64
        best, place = fresh(node.shape, x.dtype), fresh(node.shape, node.dtype)
        how = Reduction((axis,), combine, identity(x.dtype), x.dtype)
        long = extrema.block_of(lowering.machine, x.dtype) <= count < 1 << 31
        if long and source.strides[axis] == 1 and 0 not in x.shape:
            largest = combine is emitters.MAXIMUM
            label = "argmax" if largest else "argmin"

            def search(machine: Machine, name: str) -> list[Kernel]:
                return extrema.Search(label, source, place, axis, largest, how, machine).kernels(name)

            lowering.steps.append(Special(label, (source,), (place,), search))
            return place
        over = [_stretched(value, axis, x.shape) for value in (best, place)]
        _reduce(lowering, node, x.shape, (Operand(source, x.dtype),), over[0], how)
        numbers = lowering.constant(np.arange(count, dtype=wide))
        strides = tuple(1 if i == axis else 0 for i in range(len(x.shape)))
        positions = Value(numbers.buffer, x.shape, strides, numbers.offset, wide)
        found = fresh(x.shape, wide, order_of(source) if 0 not in x.shape else None)

        def first(e: Lanes, x: Term, best: Term, number: Term) -> Term:
            equal = e.compare("oeq" if x.dtype.kind == "f" else "eq", x, best)
            if x.dtype.kind == "f":
                equal = e.op("or", equal, emitters.is_nan(e, x))
            return e.choose(equal, number, e.like(count, number))

        operands = (Operand(source, x.dtype), Operand(over[0], x.dtype), Operand(positions, wide))
        lowering.add("position", x.shape, operands, first, found)
        _reduce(lowering, node, x.shape, (Operand(found, wide),), over[1],
                Reduction((axis,), emitters.MINIMUM, count, wide))  # fmt: skip
        return place

    return Lower(lower)


def _stretched(value: Value, axis: int, shape: Shape) -> Value:
    """A value without an axis, over the space that has it."""
    strides = (*value.strides[:axis], 0, *value.strides[axis:])
    return Value(value.buffer, shape, strides, value.offset, value.dtype)


def _reduce(
    lowering: Lowering, node: Node, space: Shape, operands: tuple[Operand, ...], place: Value, how: Reduction
) -> None:
    assert node.primitive is not None
    lowering.add(node.primitive.name, space, operands, None, place, reduction=how)


# ---- running sums and products
def running(combine: emitters.Emitter) -> Lower:
    """The row of ``cumsum`` or ``cumprod``."""

    def lower(lowering: Lowering, node: Node) -> Value:
        (x,) = node.inputs
        if not (is_supported(x.dtype) and is_supported(node.dtype)):
            raise RefusedError(f"kernels do not add up {x.dtype}")
        source, axis = lowering.value(x), node.parameters["axis"]
        if 0 in node.shape:
            return fresh(node.shape, node.dtype)
        place = fresh(node.shape, node.dtype, order_of(source))
        assert node.primitive is not None
        label = node.primitive.name
        lowering.steps.append(
            Special(
                label, (source,), (place,),
                lambda machine, name: [_kernel(label, source, place, axis, combine, machine, name)],
            )
        )  # fmt: skip
        return place

    return Lower(lower)


def _kernel(
    label: str, x: Value, place: Value, axis: int, combine: emitters.Emitter, machine: Machine, name: str
) -> Kernel:
    """Vectors across the axis that lies closest in memory, one step after the other along ``axis``."""
    f = Function(name, HEAD)
    pointers = addresses(f, 2)
    others = [i for i in order_of(place) if i != axis and place.shape[i] > 1]
    inner = others.pop() if others else axis
    width = place.shape[inner] if inner != axis else 1
    most = machine.lanes(max(x.dtype.itemsize, place.dtype.itemsize))
    if inner != axis and place.strides[inner] != 1:
        most = min(most, 4)
    lanes = min(most, 1 << (width - 1).bit_length())
    blocks, tail = divmod(width, lanes)
    rows = math.prod(place.shape[i] for i in others)
    e = Lanes(f, lanes)
    values = (x, place)
    sizes = tuple(place.shape[i] for i in others)
    steps = [tuple(v.strides[i] * v.dtype.itemsize for i in others) for v in values]
    across = [v.strides[inner] if inner != axis else 1 for v in values]
    along = [v.strides[axis] * v.dtype.itemsize for v in values]
    chunks = max(1, min(16, rows * max(1, blocks), place.size // GRAIN))
    kind = e.type(place.dtype)
    total = f.slot(kind)

    def row(number: Index, block: Index, mask: str | None) -> None:
        bases = moved(f, number, sizes, pointers, steps)
        bases = [
            f.at(base, block, lanes * step * v.dtype.itemsize)
            for base, step, v in zip(bases, across, values, strict=True)
        ]
        start = e.cast(e.load(bases[0], x.dtype, across[0], mask), place.dtype)
        e.store(start, bases[1], across[1], mask)
        f.store(kind, start.text, total, 64)
        with patient(f, 1, place.shape[axis], count=place.shape[axis], work=WORK) as step:
            here = [f.at(base, step, by) for base, by in zip(bases, along, strict=True)]
            term = e.cast(e.load(here[0], x.dtype, across[0], mask), place.dtype)
            known = combine(e, Term(f.load(kind, total, 64), place.dtype), term)
            f.store(kind, known.text, total, 64)
            e.store(known, here[1], across[1], mask)

    work = WORK * place.shape[axis]
    if blocks:
        with patient(f, *share(f, rows * blocks, chunks), count=rows * blocks // chunks, work=work) as unit:
            row(f.divide(unit, blocks), f.remainder(unit, blocks), None)
    if tail:
        with patient(f, *share(f, rows, chunks), count=rows // chunks, work=work) as number:
            row(number, blocks, e.mask(tail))
    return Kernel(label, f, values, (x,), (place,), chunks, (label,), place.size)

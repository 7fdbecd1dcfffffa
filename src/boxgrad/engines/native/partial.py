"""Partial results of a reduction: in registers, in memory, and put together.

Knows a reduction and vectors; knows no loop. Everything is combined in an order that depends on shapes alone.
"""

from __future__ import annotations

from boxgrad.engines.native.ir import Function
from boxgrad.engines.native.layout import Value
from boxgrad.engines.native.steps import Operand, Operation, Reduction
from boxgrad.engines.native.vector import BOOL, Lanes, Term


def cleared(e: Lanes, reduction: Reduction, register: str) -> None:
    """Begin in a register."""
    identity = e.constant(reduction.identity, reduction.dtype)
    e.function.store(e.type(reduction.dtype), identity.text, register, 64)


def into_register(e: Lanes, reduction: Reduction, x: Term, register: str, mask: str | None = None) -> None:
    """Combine a vector with the partial results in a register."""
    kind, x = e.type(reduction.dtype), e.cast(x, reduction.dtype)
    if mask is not None:
        x = e.choose(Term(mask, BOOL), x, e.constant(reduction.identity, reduction.dtype))
    known = Term(e.function.load(kind, register, 64), reduction.dtype)
    e.function.store(kind, reduction.combine(e, known, x).text, register, 64)


def into_memory(e: Lanes, reduction: Reduction, x: Term, pointer: str, stride: int, mask: str | None) -> None:
    """Combine a vector with the partial results in memory."""
    x = e.cast(x, reduction.dtype)
    known = e.load(pointer, reduction.dtype, stride, mask)
    e.store(reduction.combine(e, known, x), pointer, stride, mask)


def across(f: Function, count: int, reduction: Reduction, register: str) -> Term:
    """Combine the lanes of a register to one."""
    lanes, dtype = Lanes(f, count), reduction.dtype
    x = Term(f.load(lanes.type(dtype), register, 64), dtype)
    while lanes.count > 1:
        half = Lanes(f, lanes.count // 2)
        parts = [
            Term(f.value(
                f"shufflevector {lanes.type(dtype)} {x.text}, {lanes.type(dtype)} poison, "
                f"<{half.count} x i32> <{', '.join(f'i32 {i + start}' for i in range(half.count))}>"
            ), dtype)
            for start in (0, half.count)
        ]  # fmt: skip
        x, lanes = reduction.combine(half, *parts), half
    return x


def put_together(operation: Operation, target: Value, parts: int) -> Operation:
    """What combines the partial results of all chunks; ``target`` grows to have room for them."""
    reduction, each = operation.reduction, target.buffer.size
    assert reduction is not None
    kept = [i for i in range(len(operation.space)) if i not in reduction.axes]
    target.buffer.size = each * parts
    over = target.permuted(kept)
    operands = tuple(
        Operand(Value(over.buffer, over.shape, over.strides, part * each, over.dtype), over.dtype)
        for part in range(parts)
    )

    def combine(e: Lanes, first: Term, *others: Term) -> Term:
        for other in others:
            first = reduction.combine(e, first, other)
        return first

    place = operation.place.permuted(kept)
    return Operation("combine", place.shape, operands, combine, place, operation.order)

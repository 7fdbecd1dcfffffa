"""Results that are written where an operand lay which nobody needs any more.

Knows which kernel touches which buffer, in order. A kernel that reads each position before it writes it may
write over what it reads: memory that is in the cache already, and none that is new. Both must be whole
buffers of the same layout, and every earlier user of the old one must have gone by; in a chain that is so for
those that wrote it, chunk by chunk.
"""

from __future__ import annotations

from collections.abc import Sequence

from boxgrad.engines.native.layout import Buffer, Home, Value, Window
from boxgrad.engines.native.steps import Kernel, Step


def reuse(steps: Sequence[Step]) -> None:
    """Put results where operands lie that are read for the last time."""
    uses: dict[int, list[tuple[int, Kernel]]] = {}
    fixed: set[int] = set()
    order: list[tuple[int, Kernel]] = []
    for number, step in enumerate(steps):
        if not isinstance(step, Kernel):
            fixed |= {id(v.buffer.host) for v in (*step.reads, *step.writes) if isinstance(v, Value)}
            continue
        for link in step.links or (step,):
            order.append((number, link))
            for buffer in {id(v.buffer.host): v.buffer.host for v in (*link.values, *link.reads)}.values():
                uses.setdefault(id(buffer), []).append((number, link))

    def is_free(buffer: Buffer) -> bool:
        plain = buffer.home is Home.ARENA and buffer.window is None
        return plain and id(buffer) not in fixed and id(buffer) in uses

    def last(number: int, kernel: Kernel, value: Value) -> bool:
        """Whether a kernel is the last to touch a value, and alone with those that wrote it."""
        *before, (_, final) = uses[id(value.buffer.host)]
        return final is kernel and all(
            where != number or any(v.buffer.host is value.buffer.host for v in other.writes)
            for where, other in before
        )

    for number, kernel in order:
        if not kernel.in_place:
            continue
        for result in kernel.writes:
            first = uses.get(id(result.buffer), [(0, None)])[0][1]
            if not is_free(result.buffer) or first is not kernel or not _is_whole(result):
                continue
            for value in kernel.reads:
                host = value.buffer.host
                if host is value.buffer and not is_free(host):
                    continue
                if _fits(kernel, value, result) and id(host) not in fixed and last(number, kernel, value):
                    result.buffer.window = Window(host, 0, 0)
                    uses[id(host)] += uses.pop(id(result.buffer))[1:]
                    break


def _is_whole(value: Value) -> bool:
    return value.size == value.buffer.size and 0 not in value.strides


def _fits(kernel: Kernel, value: Value, result: Value) -> bool:
    """Whether a kernel reads a value at the very positions where it writes a result, and nowhere else."""
    host = value.buffer.host
    alike = Value(value.buffer, result.shape, result.strides, result.offset, value.dtype)
    return (
        host.home is Home.ARENA
        and value.buffer.bytes == host.bytes == result.buffer.bytes
        and value.dtype.itemsize == result.dtype.itemsize
        and _is_whole(value)
        and (value.buffer.window is None or value.buffer.window == Window(host, 0, 0))
        and not any(v.buffer.host is host for v in (*kernel.writes, *kernel.scattered))
        and all(v.same_place(alike) for v in kernel.values if v.buffer.host is host)
    )

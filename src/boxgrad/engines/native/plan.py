"""Memory: where in the program's arena each buffer lies.

Knows which step writes and reads which buffer; knows nothing of what they mean. Buffers that do not live at
the same time share memory: first fit, the largest first, among those whose lifetimes overlap. Slot 0 is the
arena; every input, output and constant has a slot of its own, whose address is known when the program runs.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from boxgrad.engines.native.layout import Buffer, Home, Value
from boxgrad.engines.native.steps import Kernel, Repeated, Step

ALIGNMENT = 64
GUARD = 256
"""Bytes after each buffer that nothing may write, where programs are checked."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of the arena in bytes, and how many slots there are."""

    bytes: int
    slots: int
    first_input: int
    first_output: int
    first_constant: int
    filled: tuple[Buffer, ...]
    """Fixed buffers that do not begin as zeros."""
    guarded: bool
    """Whether kernels are checked, and buffers share no memory."""
    guards: tuple[int, ...]
    """Where guarded bytes begin in the arena."""
    spoiled: tuple[Buffer, ...]
    """Guarded buffers that every call writes before it reads them."""


def plan(steps: Sequence[Step], inputs: int, outputs: int, constants: int, guarded: bool = False) -> Plan:
    """Give every buffer of the steps its slot and offset; ``guarded`` ones share no memory."""
    lives: dict[int, tuple[Buffer, int, int]] = {}
    everything: dict[int, Buffer] = {}
    time = 0

    def touch(values: Iterable[Any], first: int, last: int) -> None:
        for value in values:
            if isinstance(value, Value):
                buffer = value.buffer.host
                everything[id(buffer)] = buffer
                _, begin, end = lives.get(id(buffer), (buffer, first, last))
                lives[id(buffer)] = (buffer, min(begin, first), max(end, last))

    for step in steps:
        begin = time
        for part in step.kernels if isinstance(step, Repeated) else (step,):
            touch((*part.reads, *part.writes), time, time)
            if isinstance(part, Kernel):
                for value in part.values:
                    everything.setdefault(id(value.buffer.host), value.buffer.host)
            time += 1
        if isinstance(step, Repeated):  # what comes from outside must last as long as the loop
            touch((*step.reads, *step.writes), begin, time)
            touch((v for k in step.kernels for v in k.values if v.buffer.window), begin, time)
    start = {Home.INPUT: 1, Home.OUTPUT: 1 + inputs, Home.CONSTANT: 1 + inputs + outputs}
    for buffer in everything.values():
        if buffer.home in start:
            buffer.slot, buffer.offset = start[buffer.home] + buffer.number, 0
    fixed = [buffer for buffer in everything.values() if buffer.home is Home.FIXED]
    end = 0
    guards: list[int] = []
    own = [buffer for buffer, *_ in lives.values() if guarded and buffer.home is Home.ARENA]
    for buffer in (*fixed, *own):
        buffer.slot, buffer.offset = 0, end
        end += _rounded(buffer.bytes)
        if guarded:
            guards.append(buffer.offset + buffer.bytes)
            end += GUARD
    size = end
    if not guarded:
        size = _pack([life for life in lives.values() if life[0].home is Home.ARENA], end)
    return Plan(
        size,
        1 + inputs + outputs + constants,
        start[Home.INPUT],
        start[Home.OUTPUT],
        start[Home.CONSTANT],
        tuple(buffer for buffer in fixed if buffer.fill),
        guarded,
        tuple(guards),
        tuple(own),
    )


def _rounded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _pack(lives: list[tuple[Buffer, int, int]], base: int) -> int:
    """First fit by size; the end of what is used."""
    placed: list[tuple[int, int, int, int]] = []
    end = base
    for buffer, first, last in sorted(lives, key=lambda life: -life[0].bytes):
        size = _rounded(max(buffer.bytes, 1))
        offset = base
        for low, high, other_first, other_last in placed:
            if other_first <= last and first <= other_last:
                if low - offset >= size:
                    break
                offset = max(offset, high)
        buffer.slot, buffer.offset = 0, offset
        insort(placed, (offset, offset + size, first, last))
        end = max(end, offset + size)
    return end

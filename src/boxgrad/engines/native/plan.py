"""Memory: where in the program's arena each buffer lies.

Knows which step writes and reads which buffer; knows nothing of what they mean. Buffers that do not live at
the same time share memory: first fit among those whose lifetimes overlap. Those that live when most memory is
needed come first and lie without a gap between them, the longest lived lowest, then the others, the largest
first; mostly no more is taken than must be. Slot 0 is the arena; every input, output and constant has a slot
of its own, whose address is known when the program runs. Buffers with a margin that nothing overwrites keep
their memory for good, and share it with those alone that are written at the very same positions: each finds
its margin as it was. (For others, ``borders`` has the margin written in every call.)
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from boxgrad.engines.native.layout import Buffer, Home, Value
from boxgrad.engines.native.steps import Fallback, Kernel, Repeated, Step, parts_of

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
    fixed: tuple[Buffer, ...]
    """Buffers that begin as what they are filled with."""
    guarded: bool
    """Whether kernels are checked, and buffers share no memory."""
    words: int
    """The first bytes of the arena, which are zero at the beginning of every call."""
    guards: tuple[int, ...]
    """Where guarded bytes begin in the arena."""
    spoiled: tuple[Buffer, ...]
    """Guarded buffers that every call writes before it reads them."""


Life = tuple[Buffer, int, int]
"""A buffer, and the first and the last time at which it is touched."""


def lives_of(steps: Sequence[Step]) -> tuple[dict[int, Life], dict[int, Buffer]]:
    """When buffers are touched, and all buffers, also those of which only the address is taken.

    Each step has a time of its own, and so has every step inside a loop.
    """
    lives: dict[int, Life] = {}
    everything: dict[int, Buffer] = {}
    time = 0

    def touch(values: Iterable[Any], first: int, last: int) -> None:
        for value in values:
            if isinstance(value, Value):
                buffer = value.buffer.host
                everything[id(buffer)] = buffer
                _, begin, end = lives.get(id(buffer), (buffer, first, last))
                lives[id(buffer)] = (buffer, min(begin, first), max(end, last))

    def visit(step: Step, begin: int) -> int:
        if not isinstance(step, Repeated):
            touch((*step.reads, *step.writes), begin, begin)
            if isinstance(step, Kernel):
                for value in step.values:
                    everything.setdefault(id(value.buffer.host), value.buffer.host)
                kept = (Home.FIXED, Home.WORD)
                touch((v for v in step.values if v.buffer.home in kept), begin, begin)
            return begin + 1
        end = begin
        for part in step.parts:
            end = visit(part, end)
        # What comes from outside must last as long as the loop.
        touch((*step.reads, *step.writes), begin, end)
        touch((v for part in parts_of(step) for v in _touched(part) if v.buffer.window), begin, end)
        return end

    for step in steps:
        time = visit(step, time)
    return lives, everything


def plan(steps: Sequence[Step], inputs: int, outputs: int, constants: int, guarded: bool = False) -> Plan:
    """Give every buffer of the steps its slot and offset; ``guarded`` ones share no memory."""
    lives, everything = lives_of(steps)
    start = {Home.INPUT: 1, Home.OUTPUT: 1 + inputs, Home.CONSTANT: 1 + inputs + outputs}
    for buffer in everything.values():
        if buffer.home in start:
            buffer.slot, buffer.offset = start[buffer.home] + buffer.number, 0
    fixed = [buffer for buffer in everything.values() if buffer.home is Home.FIXED]
    words = [buffer for buffer in everything.values() if buffer.home is Home.WORD]
    end = 0
    guards: list[int] = []
    own = [buffer for buffer, *_ in lives.values() if guarded and buffer.home is Home.ARENA]
    hosts = {} if guarded else alike(steps, lives, fixed)
    for buffer in (*words, *fixed, *own):
        if id(buffer) in hosts:
            continue
        buffer.slot, buffer.offset = 0, end
        end += _rounded(buffer.bytes)
        if guarded and buffer.home is not Home.WORD:
            guards.append(buffer.offset + buffer.bytes)
            end += GUARD
    for buffer in fixed:
        host = hosts.get(id(buffer), buffer)
        buffer.slot, buffer.offset = host.slot, host.offset
    size = end
    if not guarded:
        size = _pack([life for life in lives.values() if life[0].home is Home.ARENA], end)
    return Plan(
        size,
        1 + inputs + outputs + constants,
        start[Home.INPUT],
        start[Home.OUTPUT],
        start[Home.CONSTANT],
        tuple(buffer for buffer in fixed if id(buffer) not in hosts),
        guarded,
        sum(_rounded(word.bytes) for word in words),
        tuple(guards),
        tuple(own),
    )


def _touched(part: Kernel | Fallback) -> Iterable[Value]:
    values = part.values if isinstance(part, Kernel) else (*part.reads, *part.writes)
    return (value for value in values if isinstance(value, Value))


def alike(steps: Sequence[Step], lives: Mapping[int, Life], fixed: Sequence[Buffer]) -> dict[int, Buffer]:
    """For each buffer with a margin that may lie where another one does: that other one.

    They are written at the same positions, and each is written whole, but for the margin, before it is read.
    """
    written: dict[int, set[Any]] = {id(buffer): set() for buffer in fixed}
    for value in (v for step in steps for v in step.writes):
        if isinstance(value, Value) and id(value.buffer.host) in written:
            moving = id(value.buffer) if value.buffer.window else None
            written[id(value.buffer.host)].add((value.shape, value.strides, value.offset, moving))
    hosts: dict[int, Buffer] = {}
    groups: dict[Any, list[list[Any]]] = {}
    for buffer in sorted((b for b in fixed if id(b) in lives), key=lambda b: lives[id(b)][1]):
        _, first, last = lives[id(buffer)]
        key = (buffer.dtype, buffer.size, buffer.fill, frozenset(written[id(buffer)]))
        known = groups.setdefault(key, [])
        free = next((group for group in known if group[1] < first), None) if written[id(buffer)] else None
        if free is None:
            known.append([buffer, last])
        else:
            hosts[id(buffer)], free[1] = free[0], last
    return hosts


def _rounded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _pack(lives: Sequence[Life], base: int) -> int:
    """Give offsets from ``base`` on, in the best of a few orders; the end of what is used."""
    held = held_by(lives)
    fullest = held.index(max(held)) if held else 0
    needed = sum(_size(life[0]) for life in lives if _lives(life, fullest))
    orders: tuple[Callable[[Life], Any], ...] = (
        # Of those that live at the fullest moment, the longest lived come first, so that what is left of
        # memory later, or before, is in one piece.
        lambda life: (0, life[1] - life[2]) if _lives(life, fullest) else (1, -life[0].bytes),
        lambda life: (not _lives(life, fullest), -life[0].bytes),
        lambda life: -life[0].bytes,
    )
    best: tuple[int, list[tuple[Buffer, int]]] = (0, [])
    for order in orders:
        found = _first_fit(sorted(lives, key=order))
        if not best[1] or found[0] < best[0]:
            best = found
        if best[0] <= needed:
            break
    for buffer, offset in best[1]:
        buffer.slot, buffer.offset = 0, base + offset
    return base + best[0]


def _first_fit(lives: Sequence[Life]) -> tuple[int, list[tuple[Buffer, int]]]:
    """How much is used, and where each buffer lies, one after the other where there is room."""
    placed: list[tuple[int, int, int, int]] = []
    found: list[tuple[Buffer, int]] = []
    end = 0
    for buffer, first, last in lives:
        size, offset = _size(buffer), 0
        for low, high, other_first, other_last in placed:
            if other_first <= last and first <= other_last:
                if low - offset >= size:
                    break
                offset = max(offset, high)
        found.append((buffer, offset))
        insort(placed, (offset, offset + size, first, last))
        end = max(end, offset + size)
    return end, found


def _size(buffer: Buffer) -> int:
    return _rounded(max(buffer.bytes, 1))


def _lives(life: Life, time: int) -> bool:
    return life[1] <= time <= life[2]


def held_by(lives: Iterable[Life]) -> list[int]:
    """The bytes of buffers that live, at each time."""
    changes: Counter[int] = Counter()
    for buffer, first, last in lives:
        changes[first] += buffer.bytes
        changes[last + 1] -= buffer.bytes
    return list(accumulate(changes[time] for time in range(max(changes, default=0))))

"""The list of jobs: every kernel as often as it runs, each time with the addresses of its step.

Knows loops within loops, and windows that move with their steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from boxgrad.engines.native.layout import Value
from boxgrad.engines.native.steps import Kernel, Repeated

Job = tuple[Kernel, int]
"""A kernel, and the address of its table."""


def jobs(part: Kernel | Repeated, kept: list[Any]) -> Iterator[Job]:
    """The jobs of a step in their order; ``kept`` gets the tables, which must last as long as they."""
    return _jobs(part, (), 0, {}, kept)


def _jobs(
    part: Kernel | Repeated, loops: tuple[range, ...], number: int, tables: dict[Kernel, Any], kept: list[Any]
) -> Iterator[Job]:
    if isinstance(part, Repeated):
        for step in range(len(part.order)):
            for inner in part.kernels:
                inside = (*loops, part.order)
                yield from _jobs(inner, inside, number * len(part.order) + step, tables, kept)
        return
    if part not in tables:
        table = _table(part.values, loops)
        kept.append(table)
        tables[part] = (table.ctypes.data, table.strides[0])
    start, size = tables[part]
    yield part, start + number * size


def _table(values: Sequence[Value], loops: tuple[range, ...]) -> Any:
    """The slots and offsets of a kernel's values, for each step of the loops around it."""
    count = math.prod(map(len, loops))
    table = np.zeros((count, max(1, len(values)), 2), np.int64)
    counters = np.unravel_index(np.arange(count), tuple(map(len, loops))) if loops else ()
    for number, value in enumerate(values):
        buffer, size = value.buffer, value.dtype.itemsize
        start: Any = value.offset
        while (w := buffer.window) is not None:
            counter = counters[w.level]
            steps: Any = np.array(loops[w.level])[counter]
            if w.period:
                steps = (counter + w.shift) % w.period
            start = start + w.start + w.advance * steps
            buffer = w.host
        table[:, number, 0] = buffer.slot
        table[:, number, 1] = buffer.offset + start * size
    return table

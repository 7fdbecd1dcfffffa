"""The list of jobs: every kernel as often as it runs, each time with the addresses of its step.

Knows loops within loops, and windows that move with their steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from boxgrad.engines.native.layout import Value, Window
from boxgrad.engines.native.steps import AT_ONCE, Fallback, Kernel, Repeated, Step

Turn = tuple[Kernel, int] | tuple[Fallback, tuple[int, int]]
"""A kernel and the address of its table; or a box that NumPy runs, and the time and number of its step."""


def turns(step: Step, kept: list[Any], checked: bool = False) -> Iterator[Turn]:
    """What is run of a step, in order; ``kept`` gets the tables, which must last as long as the addresses.

    Where kernels are checked, the bounds of their buffers stand behind the addresses.
    """
    return _turns(step, (), 0, {}, kept, checked)


def parts(kernel: Kernel) -> Iterator[tuple[int, int]]:
    """The jobs of a kernel, as first chunk and number of chunks."""
    for first in range(0, kernel.chunks, AT_ONCE):
        yield first, min(AT_ONCE, kernel.chunks - first)


def _turns(
    part: Step, loops: tuple[range, ...], number: int, tables: dict[Kernel, Any], kept: list[Any],
    checked: bool,
) -> Iterator[Turn]:  # fmt: skip
    """``number`` is how many steps of all the loops around the part have been run."""
    if isinstance(part, Repeated):
        for step in range(len(part.order)):
            for inner in part.parts:
                inside = (*loops, part.order)
                yield from _turns(inner, inside, number * len(part.order) + step, tables, kept, checked)
        return
    if isinstance(part, Fallback):  # in no loop, or in the only one
        yield part, (loops[0][number] if loops else 0, number)
        return
    if part not in tables:
        table = _table(part.values, loops, checked)
        kept.append(table)
        tables[part] = (table.ctypes.data, table.strides[0])
    start, size = tables[part]
    yield part, start + number * size


def _table(values: Sequence[Value], loops: tuple[range, ...], checked: bool) -> Any:
    """The slots and offsets of a kernel's values, for each step of the loops around it."""
    count = math.prod(map(len, loops))
    table = np.zeros((count, max(1, (1 + checked) * len(values)), 2), np.int64)
    if checked and values:
        bounds = [(value.buffer.host.offset, value.buffer.host.bytes) for value in values]
        table[:, len(values) :] = bounds
    numbers = np.unravel_index(np.arange(count), tuple(map(len, loops))) if loops else ()
    for column, value in enumerate(values):
        buffer, size = value.buffer, value.dtype.itemsize
        start: Any = value.offset
        while (window := buffer.window) is not None:
            number = numbers[window.level] if loops else 0
            time = np.array(loops[window.level])[number] if loops else 0
            start = start + begin(window, time, number)
            buffer = window.host
        table[:, column, 0] = buffer.slot
        table[:, column, 1] = buffer.offset + start * size
    return table


def begin(window: Window, time: Any, number: Any) -> Any:
    """The element at which a window begins at step ``time`` of its loop, the ``number``-th that is run."""
    return window.start + window.advance * (
        (number + window.shift) % window.period if window.period else time
    )

"""Borders that are written in every call, so that an image with room around it need not be kept for good.

Knows when buffers are touched, and where an image lies in its buffer. A border that nobody overwrites costs
nothing, but its buffer has memory of its own. An image that lives while little else does had better lie where
others lie at other times: then a kernel writes its border before the image is written. That is done where it
makes the program's memory smaller by more than twice the bytes of the border.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from boxgrad.engines.native.ir import Function
from boxgrad.engines.native.layout import Buffer, Home, Value
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.plan import Life, alike, held_by, lives_of
from boxgrad.engines.native.steps import HEAD, Fallback, Kernel, Repeated, Step, addresses, parts_of, share
from boxgrad.engines.native.vector import Lanes

WORTH = 2
"""How many bytes of memory must be saved for each byte of a border."""
LEAST = 1 << 16
"""Bytes below which memory is not worth a kernel."""
GRAIN = 1 << 16
MOST_CHUNKS = 8


@dataclass(frozen=True, slots=True)
class Border:
    """All of a buffer but a box in it: by axis, outermost first, its length, stride, and where the box is."""

    buffer: Buffer
    axes: tuple[tuple[int, int, int, int], ...]
    inside: int
    """The size of the box."""

    @property
    def bytes(self) -> int:
        return self.buffer.bytes - self.inside * self.buffer.dtype.itemsize

    @staticmethod
    def of(value: Value) -> Border | None:
        """What is around a value; None where that is no border."""
        moving = [(s, n) for n, s in zip(value.shape, value.strides, strict=True) if n > 1]
        axes: list[tuple[int, int, int, int]] = []
        room, offset = value.buffer.size, value.offset
        for stride, n in (*sorted(moving, reverse=True), (1, 1)):
            if stride <= 0 or room % stride:
                return None
            begin, offset = divmod(offset, stride)
            if begin + n > room // stride:
                return None
            axes.append((room // stride, stride, begin, begin + n))
            room = stride
        return Border(value.buffer, tuple(axes), value.size)


def bordered(steps: Sequence[Step], machine: Machine) -> list[Step]:
    """The steps, with kernels that write the borders of images whose memory is to be shared."""
    lives, _ = lives_of(steps)
    fixed = [life[0] for life in lives.values() if life[0].home is Home.FIXED]
    if not fixed:
        return list(steps)
    borders = _borders(steps, fixed)
    groups: dict[int, list[Life]] = {}
    hosts = alike(steps, lives, fixed)
    for buffer in fixed:
        groups.setdefault(id(hosts.get(id(buffer), buffer)), []).append(lives[id(buffer)])
    lasting = [life for life in lives.values() if life[0].home is Home.ARENA]
    most = max(held_by(lasting), default=0)
    before: dict[int, list[Step]] = {}
    for group in sorted(groups.values(), key=lambda group: -group[0][0].bytes):
        found = [borders[id(buffer)] for buffer, *_ in group if id(buffer) in borders]
        least = max(LEAST, WORTH * sum(border.bytes for _, border in found))
        if len(found) < len(group) or group[0][0].bytes < least:
            continue
        more = max(held_by([*lasting, *group]))
        if group[0][0].bytes + most - more < least:
            continue
        lasting, most = [*lasting, *group], more
        for number, (first, border) in enumerate(found, sum(map(len, before.values()))):
            border.buffer.home = Home.ARENA
            before.setdefault(first, []).append(_kernel(border, machine, f"border{number}"))
    return [each for number, step in enumerate(steps) for each in (*before.get(number, ()), step)]


def _borders(steps: Sequence[Step], fixed: Sequence[Buffer]) -> dict[int, tuple[int, Border]]:
    """By buffer, the step that touches it first and its border: where one box is written, and in no loop."""
    wanted = {id(buffer) for buffer in fixed}
    first: dict[int, int] = {}
    boxes: dict[int, dict[Any, Value]] = {}
    for number, step in enumerate(steps):
        reads, writes = (_values(values) for values in (step.reads, step.writes))
        named = [v for part in parts_of(step) for v in (*part.reads, *part.writes, *_of_kernel(part))]
        known = set() if isinstance(step, Repeated) else {id(v.buffer) for v in (*reads, *writes)}
        # What is touched in a loop, or read before it is written, keeps its memory.
        wanted -= {id(v.buffer.host) for v in _values(named)} - known
        for value in writes:
            first.setdefault(id(value.buffer), number)
            place = (value.shape, value.strides, value.offset)
            boxes.setdefault(id(value.buffer), {})[place] = value
        wanted -= {id(v.buffer) for v in reads} - first.keys()
    found: dict[int, tuple[int, Border]] = {}
    for buffer in wanted & first.keys():
        border = Border.of(*boxes[buffer].values()) if len(boxes[buffer]) == 1 else None
        if border is not None:
            found[buffer] = first[buffer], border
    return found


def _of_kernel(part: Kernel | Fallback) -> tuple[Value, ...]:
    return part.values if isinstance(part, Kernel) else ()


def _values(values: Iterable[Any]) -> list[Value]:
    return [value for value in values if isinstance(value, Value)]


def _kernel(border: Border, machine: Machine, name: str) -> Kernel:
    """Write a border."""
    buffer = border.buffer
    f = Function(name, HEAD)
    e = Lanes(f, machine.lanes(buffer.dtype.itemsize))
    (pointer,) = addresses(f, 1)
    size = buffer.dtype.itemsize

    def write(pointer: str, axes: Sequence[tuple[int, int, int, int]], bounds: tuple[Any, Any]) -> None:
        (n, stride, begin, end), *rest = axes
        e.fill(pointer, begin * stride, buffer.fill, buffer.dtype)
        e.fill(f.at(pointer, end * stride, size), (n - end) * stride, buffer.fill, buffer.dtype)
        if any((begin, end) != (0, n) for n, _, begin, end in rest):
            with f.loop(*bounds) as index:
                inner = rest[0][2:]
                write(f.at(pointer, index, stride * size), rest, inner)

    n, _, *whole = border.axes[0]
    chunks = max(1, min(MOST_CHUNKS, n, border.bytes // GRAIN)) if whole == [0, n] else 1
    write(pointer, border.axes, share(f, n, chunks) if chunks > 1 else tuple(whole))
    place = Value(buffer, (buffer.size,), (1,), 0, buffer.dtype)
    return Kernel("border", f, (place,), (), (place,), chunks, ("border",))

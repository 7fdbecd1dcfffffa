"""Loops that write their results over the sequences they read.

Knows sequences, steps of a loop and columns; knows nothing of what is computed. A recurrent cell reads the
products of a step's input, as wide as its gates together, and saves the gates; the loop backwards reads the
saved gates and makes their gradients. If nobody else wants a sequence, what comes of step t may lie where
that of step t lay: one array of all steps instead of two. In the body nothing is ordered for the sake of
that. Whether each step reads before it writes is seen in the kernels that came of it (``holds``), and where
it does not the graph is lowered again without.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from boxgrad.engines.native.layout import Buffer, Home, Shape, Value, contiguous
from boxgrad.engines.native.lowering import Lowering
from boxgrad.engines.native.steps import Fallback, Kernel, Repeated, Step, parts_of
from boxgrad.graph.node import Node
from boxgrad.ops import control


@dataclass(slots=True)
class Overlay:
    """A sequence of steps, each of rows of ``width`` elements, whose memory gets results of the loop."""

    buffer: Buffer
    step: int
    """Elements of a step."""
    lead: Shape
    """The shape of a step but for its last axis."""
    width: int
    old: set[Buffer] = field(default_factory=set)
    """The windows by which the body reads the sequence."""
    new: set[Buffer] = field(default_factory=set)
    """Those by which it writes the results."""

    def places(self, length: int, outputs: Sequence[Node]) -> dict[Node, Value]:
        """Where outputs lie, of all steps, if some of them fill the rows; else none lies here."""
        found: dict[Node, Value] = {}
        column = 0
        strides = (self.step, *(self.width * stride for stride in contiguous(self.lead)), 1)
        for output in outputs:
            fits = output.dtype == self.buffer.dtype and output.shape[:-1] == self.lead
            if fits and output.shape and column + output.shape[-1] <= self.width:
                shape = (length, *output.shape)
                found[output] = Value(self.buffer, shape, strides, column, output.dtype)
                column += output.shape[-1]
        return found if column == self.width else {}

    def holds(self, parts: Iterable[Step]) -> bool:
        """Whether, in each step of the loop, whatever is read is read before it is written over."""
        written: list[Value] = []
        for part in parts:
            inner = parts_of(part)
            reads = [v for each in inner for v in _touched(each) if _is_through(v, self.old)]
            writes = [v for each in inner for v in each.writes if _is_through(v, self.new)]
            if not all(self._apart(v, w) for v in reads for w in written):
                return False
            for v in reads:
                alike = isinstance(part, Kernel) and part.in_place and v not in part.scattered
                if not all(self._apart(v, w) or (alike and _is_same(v, w)) for w in writes):
                    return False
            written += writes
        return True

    def _columns(self, value: Value) -> tuple[int, int]:
        """The first column that a value touches in any row, and the one behind the last; or all of them."""
        if value.buffer not in self.old | self.new or min(value.strides, default=0) < 0:
            return 0, self.width
        first = _start(value) % self.width
        moving = [(n, s) for n, s in zip(value.shape, value.strides, strict=True) if s % self.width]
        end = first + 1 + sum((n - 1) * s for n, s in moving)
        return (first, end) if end <= self.width else (0, self.width)

    def _apart(self, v: Value, w: Value) -> bool:
        (first, stop), (other, end) = self._columns(v), self._columns(w)
        return stop <= other or end <= first


def overlays(lowering: Lowering, node: Node, inputs: Sequence[Value], first: int) -> list[Overlay]:
    """The sequences of a loop, its inputs from ``first`` on, that nobody wants after it."""
    if lowering.level or not lowering.overlaying:
        return []
    found: list[Overlay] = []
    fixed = {id(value.buffer.host) for value in inputs[:first]}
    for buffer in dict.fromkeys(value.buffer for value in inputs[first:]):
        values = [value for value in inputs[first:] if value.buffer is buffer]
        (length, *lead, _), (step, *between, _) = _padded(values[0].shape), _padded(values[0].strides)
        width = between[-1] if between else step
        strides = (step, *(width * stride for stride in contiguous(lead)), 1)
        regular = width > 0 and step == math.prod(lead) * width and buffer.size == length * step
        if (
            regular
            and length > 1
            and buffer.home is Home.ARENA
            and buffer.window is None
            and id(buffer) not in fixed
            and all(v.strides == strides and v.shape[1:-1] == tuple(lead) for v in values)
            and all(v.offset + v.shape[-1] <= width for v in values)
            and _is_free(lowering, node, buffer)
        ):
            found.append(Overlay(buffer, step, tuple(lead), width))
    return found


def hold(lowering: Lowering, steps: Sequence[Step]) -> bool:
    """Whether all loops read what they write over in time."""
    loops = [step for step in steps if isinstance(step, Repeated)]
    return all(each.holds(loop.parts) for each in lowering.overlays for loop in loops)


def _is_free(lowering: Lowering, node: Node, buffer: Buffer) -> bool:
    """Whether a buffer is read by nothing but a loop, and loops before it, and by these step by step."""
    order = {each: number for number, each in enumerate(lowering.graph.nodes)}
    sharing = lowering.sharing(buffer)

    def is_by_step(reader: Node, x: Node) -> bool:
        p = reader.parameters
        return (
            reader.primitive is control.loop
            and order[reader] <= order[node]
            and x not in reader.inputs[: p["constants"] + p["carries"]]
        )

    return not sharing & set(lowering.graph.outputs) and all(
        reader in sharing or is_by_step(reader, x) for x in sharing for reader in lowering.readers(x)
    )


def _padded(numbers: Shape) -> Shape:
    """At least two of them: a sequence of numbers has no last axis."""
    return numbers if len(numbers) > 1 else (*numbers, 1)


def _touched(part: Kernel | Fallback) -> Iterator[Value]:
    values = (*part.reads, *part.values) if isinstance(part, Kernel) else part.reads
    return (value for value in values if isinstance(value, Value))


def _is_through(value: Value, windows: set[Buffer]) -> bool:
    """Whether a value lies in one of these windows, or in a window of one."""
    buffer = value.buffer
    while buffer not in windows:
        if buffer.window is None:
            return False
        buffer = buffer.window.host
    return True


def _start(value: Value) -> int:
    assert value.buffer.window is not None
    return value.buffer.window.start + value.offset


def _is_same(v: Value, w: Value) -> bool:
    """Whether two values of windows are the same elements in the same order."""
    return _start(v) == _start(w) and (v.shape, v.strides) == (w.shape, w.strides)

"""What a graph is lowered to: operations on positions of a space, kernels made of them, and fallbacks.

Knows the shape of these records, not how they are made or run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from boxgrad.engines.native.ir import Function, Index
from boxgrad.engines.native.layout import Shape, Value, joined
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.pauses import patient
from boxgrad.engines.native.tiling import Tiling
from boxgrad.engines.native.vector import Term
from boxgrad.graph.node import Node


@dataclass(frozen=True, slots=True)
class Literal:
    """An operand that is one known number."""

    number: Any
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Operand:
    """What an operation reads at each position, and the dtype it is cast to.

    ``source`` is a value in memory, spread over the space, or a literal.
    """

    source: Value | Literal
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Reduction:
    """Combines all positions along some axes of the space."""

    axes: tuple[int, ...]
    combine: Callable[..., Term]
    identity: Any
    dtype: np.dtype[Any]
    """In which it is accumulated."""


class Root(Protocol):
    """A product, on whose sums the operations that follow it can be computed."""

    @property
    def reads(self) -> tuple[Value, ...]:
        """What it multiplies."""
        ...

    def admits(self, value: Value) -> bool:
        """Whether a value over the space of the result can be read or written beside the sums."""
        ...


@dataclass(frozen=True, slots=True)
class Product:
    """Rows × inner times inner × columns, for each of a batch.

    ``left`` has the axes batch, row, inner; ``right`` batch, inner, column; ``axes`` are the axes of the
    result that make up batch, row and column. ``packed`` are the panels of ``right``, where it is known
    before a loop in which it is used.
    """

    left: Value
    right: Value
    axes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    packed: Value | None = None

    @property
    def reads(self) -> tuple[Value, ...]:
        return self.left, self.packed or self.right

    def admits(self, value: Value) -> bool:
        return joined(value, self.axes) is not None


@dataclass(frozen=True, slots=True)
class Convolution:
    """Windows over an image with room around it, times packed filters.

    ``source`` has the axes image, channel and the spatial ones; ``filters`` are packed by ``convolution``;
    ``inner`` and ``outer`` are the channels of a group on either side; ``windows`` are the spatial sizes of
    the result, ``window_steps`` and ``tap_steps`` the strides and dilations, in positions of the source.
    With a ``tiling`` the filters are transformed by ``winograd``.
    """

    source: Value
    filters: Value
    groups: int
    inner: int
    outer: int
    kernel: Shape
    windows: Shape
    window_steps: Shape
    tap_steps: Shape
    tiling: Tiling | None = None

    @property
    def reads(self) -> tuple[Value, ...]:
        return self.source, self.filters

    def admits(self, value: Value) -> bool:
        return True


@dataclass(eq=False, slots=True)
class Operation:
    """One box, at each position of its space.

    ``emit`` makes the result of the operands. ``place`` is where the result lies, in the axes of the space
    (where a reduction reduces, with stride 0). ``lookup`` is a table that is read at the positions which the
    operands, as indices, name; ``limits`` are the sizes of their axes and ``steps`` the strides.
    A ``product`` makes its result itself.
    """

    name: str
    space: Shape
    operands: tuple[Operand, ...]
    emit: Callable[..., Term]
    place: Value
    order: int
    reduction: Reduction | None = None
    lookup: Value | None = None
    limits: Shape = ()
    steps: Shape = ()
    product: Root | None = None
    apart: bool = False
    """Whether no other operation writes the elements of the buffer that this one writes."""
    node: Node | None = None
    """The box of the graph that it belongs to."""


@dataclass(eq=False, slots=True)
class Special:
    """A box with loops of its own: not fused with others. ``make`` writes its kernels."""

    label: str
    reads: tuple[Value, ...]
    writes: tuple[Value, ...]
    make: Callable[[Machine, str], list[Kernel]]
    node: Node | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What of a value one chunk touches: of ``units`` that the chunks share, each ``advance`` elements on.

    A unit begins at the value's offset and reaches over ``extent`` more elements.
    """

    units: int
    advance: int
    extent: int

    @staticmethod
    def of(value: Value, units: int, advance: int) -> Part:
        """The part of a value whose units are positions of its space."""
        reach = sum((n - 1) * stride for n, stride in zip(value.shape, value.strides, strict=True))
        return Part(units, advance, reach - (units - 1) * advance)

    def span(self, value: Value, chunk: int, chunks: int) -> tuple[int, int]:
        """The first and the last element of the buffer that a chunk touches."""
        first, end = chunk * self.units // chunks, (chunk + 1) * self.units // chunks
        start = value.offset + first * self.advance
        return start, start + max(0, end - 1 - first) * self.advance + self.extent


@dataclass(eq=False, slots=True)
class Kernel:
    """A function of machine code and the values it is called with.

    ``function`` has the arguments ``HEAD`` and reads the addresses of ``values`` from its table; ``chunks``
    is into how many parts the work is cut, whatever the number of threads.
    """

    label: str
    function: Function
    values: tuple[Value, ...]
    reads: tuple[Value, ...]
    writes: tuple[Value, ...]
    chunks: int
    boxes: tuple[str, ...] = ()
    flops: int = 0
    may_fail: bool = False
    in_place: bool = False
    """Whether each position is read before it is written, and by nobody else, but for the ``scattered``."""
    parts: tuple[Part | None, ...] = ()
    """Of each value what a chunk touches; None where it may touch anything, () if that is not known."""
    links: tuple[Kernel, ...] = ()
    """The kernels that this one runs, one after the other, on each chunk (``chain``)."""
    nodes: tuple[Node, ...] = ()
    """The boxes of the graph that it runs."""
    scattered: tuple[Value, ...] = ()
    """What is read anywhere while results are written, as a product's operands are."""

    @property
    def bytes(self) -> int:
        return sum(value.bytes for value in (*self.reads, *self.writes))


@dataclass(eq=False, slots=True)
class Scan:
    """A loop whose body is lowered by itself; its values move through the sequences by windows."""

    label: str
    body: Any
    reads: tuple[Value, ...]
    writes: tuple[Value, ...]
    order: range


@dataclass(eq=False, slots=True)
class Repeated:
    """Kernels, loops, and boxes that NumPy runs, once for each step of a loop."""

    label: str
    parts: tuple[Kernel | Fallback | Repeated, ...]
    reads: tuple[Value, ...]
    writes: tuple[Value, ...]
    order: range

    @property
    def may_fail(self) -> bool:
        return any(isinstance(part, Fallback) or part.may_fail for part in self.parts)


@dataclass(eq=False, slots=True)
class Fallback:
    """A box that NumPy runs."""

    label: str
    reason: str
    node: Node
    reads: tuple[Value | Literal, ...]
    results: dict[int | None, Value] = field(default_factory=dict)
    """Where the results go: by item, or under None for a single one."""

    @property
    def writes(self) -> tuple[Value, ...]:
        return tuple(self.results.values())


AT_ONCE = 16
"""The most chunks of one job. A kernel of more is several jobs: chunks whose numbers are equal modulo
``AT_ONCE`` never run at the same time."""
LONG = 1 << 31
"""Multiplications of a chunk beyond which a kernel is cut into more chunks."""

Step = Kernel | Repeated | Fallback
Lowered = Operation | Special | Scan | Fallback


def parts_of(step: Step) -> tuple[Kernel | Fallback, ...]:
    """What is run: a step itself, or what a loop and the loops in it repeat."""
    return tuple(part for part, _ in repeated(step))


def repeated(step: Step, times: int = 1) -> Iterator[tuple[Kernel | Fallback, int]]:
    """What is run, and how often."""
    if isinstance(step, Repeated):
        for part in step.parts:
            yield from repeated(part, times * len(step.order))
    else:
        yield step, times


HEAD = (
    ("ptr", "slots"), ("ptr", "table"), ("i64", "chunk"), ("i64", "chunks"), ("ptr", "status"),
    ("ptr", "clock"),
)  # fmt: skip
"""The arguments of every kernel: base addresses; pairs of slot and offset; which part of how many; a word
that is set where an index was out of range (1), or where fast sums are not finite; a clock for ``pauses``."""
NOT_FINITE = 2


def addresses(function: Function, count: int) -> list[str]:
    """The addresses of a kernel's values, from its table."""
    found: list[str] = []
    for number in range(count):
        slot = function.load("i64", function.at("%table", 16 * number), 8)
        offset = function.load("i64", function.at("%table", 16 * number + 8), 8)
        base = function.load("ptr", function.at("%slots", slot, 8), 8)
        found.append(function.value(f"getelementptr i8, ptr {base}, i64 {offset}"))
    function.bases += found
    return found


def share(function: Function, amount: int, chunks: int) -> tuple[Any, Any]:
    """The part of range(amount) that belongs to this chunk."""
    if chunks == 1:
        return 0, amount
    start = function.divide(function.multiply("%chunk", amount), chunks)
    stop = function.divide(function.multiply(function.add("%chunk", 1), amount), chunks)
    return start, stop


def moved(f: Function, row: Index, sizes: Shape, pointers: list[str], steps: list[Shape]) -> list[str]:
    """The pointers at the row of that number, in C order of ``sizes``; steps are in bytes."""
    for axis in reversed(range(len(sizes))):
        index, row = f.remainder(row, sizes[axis]), f.divide(row, sizes[axis])
        pointers = [f.at(p, index, step[axis]) for p, step in zip(pointers, steps, strict=True)]
    return pointers


@contextmanager
def nest(
    function: Function, sizes: Shape, pointers: list[str], steps: list[Shape], work: int = 0
) -> Iterator[tuple[list[Index], list[str]]]:
    """Loops over a space; inside, the indices and the pointers moved by their steps (in bytes).

    Where the ``work`` at each position is said and is much in all, the loops have pauses.
    """
    with ExitStack() as loops:
        indices: list[Index] = []
        moved = list(pointers)
        for axis, size in enumerate(sizes):
            inside = work * math.prod(sizes[axis + 1 :])
            index = loops.enter_context(patient(function, 0, size, count=size, work=inside))
            indices.append(index)
            moved = [
                function.at(pointer, index, step[axis]) for pointer, step in zip(moved, steps, strict=True)
            ]
        yield indices, moved

"""Where values lie: buffers, and strided views of them.

Knows shapes, strides and bytes; knows no primitive. A ``Value`` is to the native engine what an ndarray is to
NumPy: a buffer, an offset, a shape and strides (in elements). Transposing, slicing and broadcasting a value
cost nothing, and a value may have any order of its axes in memory and room around it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

Shape = tuple[int, ...]


class Home(Enum):
    """Who owns a buffer's memory."""

    ARENA = "arena"
    """The program: shared by values that do not live at the same time."""
    FIXED = "fixed"
    """The program, for good: zeros around an image that nothing overwrites."""
    WORD = "word"
    """The program: zero at the beginning of every call."""
    CONSTANT = "constant"
    INPUT = "input"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Window:
    """A part of another buffer: at step t of a loop, the k-th that is run, it begins at element

    ``start + advance · t``, or with a ``period`` at ``start + advance · ((k + shift) mod period)``.
    """

    host: Buffer
    start: int
    advance: int
    period: int = 0
    shift: int = 0
    level: int = 0
    """How many loops are around that loop."""


@dataclass(eq=False, slots=True)
class Buffer:
    """A block of memory; ``slot`` and ``offset`` (bytes) are filled in by the plan."""

    dtype: np.dtype[Any]
    size: int
    home: Home = Home.ARENA
    number: int = -1
    """Which input, output or constant."""
    slot: int = -1
    offset: int = 0
    fill: Any = 0
    """What a fixed buffer holds before anything is written."""
    window: Window | None = None
    """Where it lies in another buffer, for a buffer that moves with the steps of a loop."""

    @property
    def bytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def host(self) -> Buffer:
        """The buffer whose memory it is."""
        return self if self.window is None else self.window.host.host


@dataclass(frozen=True, slots=True)
class Value:
    """A strided view of a buffer; strides and offset count elements."""

    buffer: Buffer
    shape: Shape
    strides: Shape
    offset: int = 0
    dtype: np.dtype[Any] = field(default=np.dtype(np.float32))

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """The size of what it names, where an element that is repeated counts once."""
        distinct = (n for n, stride in zip(self.shape, self.strides, strict=True) if stride)
        return 0 if self.size == 0 else math.prod(distinct) * self.dtype.itemsize

    @property
    def is_contiguous(self) -> bool:
        """In C order without gaps."""
        return self.size == 0 or _essential(self.shape, self.strides) == _essential(
            self.shape, contiguous(self.shape)
        )

    def same_place(self, other: Value) -> bool:
        """Whether both name the same elements in the same order."""
        return (
            self.buffer is other.buffer
            and self.shape == other.shape
            and self.offset == other.offset
            and (
                self.strides == other.strides
                or _essential(self.shape, self.strides) == _essential(other.shape, other.strides)
            )
        )

    def spread(self, shape: Shape) -> Value:
        """Broadcast to a shape."""
        lead = len(shape) - len(self.shape)
        strides = (0,) * lead + tuple(
            0 if n == 1 else stride for n, stride in zip(self.shape, self.strides, strict=True)
        )
        return Value(self.buffer, shape, strides, self.offset, self.dtype)

    def permuted(self, axes: Sequence[int]) -> Value:
        """Transposed."""
        shape = tuple(self.shape[i] for i in axes)
        return Value(self.buffer, shape, tuple(self.strides[i] for i in axes), self.offset, self.dtype)

    def at(self, key: Any) -> Value:
        """A basic slice, worked out by NumPy on an array that is never read."""
        whole = _ghost(self)
        # With an ellipsis NumPy answers a view, also where only one element is left.
        part = whole[key if any(item is Ellipsis for item in key) else (*key, ...)]
        moved = part.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
        size = self.dtype.itemsize
        strides = tuple(stride // size for stride in part.strides)
        offset = self.offset + (moved // size if part.size else 0)
        return Value(self.buffer, part.shape, strides, offset, self.dtype)

    def reshaped(self, shape: Shape) -> Value | None:
        """The same elements in another shape, or None where that needs a copy."""
        if self.size == 0:
            return Value(self.buffer, shape, contiguous(shape), self.offset, self.dtype)
        strides = _reshaped_strides(self.shape, self.strides, shape)
        return None if strides is None else Value(self.buffer, shape, strides, self.offset, self.dtype)


def contiguous(shape: Sequence[int]) -> Shape:
    """The strides of C order."""
    strides: list[int] = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def ordered_strides(shape: Shape, order: Sequence[int]) -> Shape:
    """The strides of an array without gaps whose axes lie in memory in that order, outermost first."""
    strides = [0] * len(shape)
    step = 1
    for axis in reversed(order):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)


def order_of(value: Value) -> tuple[int, ...]:
    """The axes from the largest stride to the smallest; axes of size 1 where C order has them."""
    strides = list(value.strides)
    for axis in reversed(range(len(strides))):
        if value.shape[axis] == 1:
            strides[axis] = strides[axis + 1] if axis + 1 < len(strides) else 0
    return tuple(sorted(range(len(strides)), key=lambda i: (-abs(strides[i]), i)))


def fresh(shape: Shape, dtype: np.dtype[Any], order: Sequence[int] | None = None) -> Value:
    """A value in a buffer of its own."""
    strides = contiguous(shape) if order is None else ordered_strides(shape, order)
    return Value(Buffer(dtype, math.prod(shape)), shape, strides, 0, dtype)


def joined(value: Value, groups: tuple[tuple[int, ...], ...]) -> Value | None:
    """A value with one axis for each group of axes, where strides allow it."""
    shape: list[int] = []
    strides: list[int] = []
    for group in groups:
        size, stride = 1, 0
        for axis in reversed(group):
            n, step = value.shape[axis], value.strides[axis]
            if n == 1:
                continue
            if size == 1:
                size, stride = n, step
            elif step == size * stride:
                size *= n
            else:
                return None
        shape.append(size)
        strides.append(stride)
    return Value(value.buffer, tuple(shape), tuple(strides), value.offset, value.dtype)


def _essential(shape: Shape, strides: Shape) -> list[int]:
    return [stride for n, stride in zip(shape, strides, strict=True) if n != 1]


def _ghost(value: Value) -> np.ndarray[Any, Any]:
    size = value.dtype.itemsize
    nothing = np.empty(1, value.dtype)
    return np.lib.stride_tricks.as_strided(nothing, value.shape, [s * size for s in value.strides])


def _reshaped_strides(shape: Shape, strides: Shape, target: Shape) -> Shape | None:
    """Match runs of axes of equal size; a run splits in any way if its axes follow each other in memory."""
    old = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    result: list[int] = []
    position = 0
    axis = 0
    while axis < len(target):
        if target[axis] == 1:
            result.append(0)
            axis += 1
            continue
        first_new, first_old = axis, position
        new_size, old_size = target[axis], old[position][0]
        while new_size != old_size:
            if new_size < old_size:
                axis += 1
                new_size *= target[axis]
            else:
                position += 1
                old_size *= old[position][0]
        run = old[first_old : position + 1]
        if any(a[1] != b[1] * b[0] for a, b in itertools.pairwise(run)):
            return None
        step = run[-1][1]
        new: list[int] = []
        for n in reversed(target[first_new : axis + 1]):
            new.append(step)
            step *= n
        result += reversed(new)
        axis, position = axis + 1, position + 1
    return tuple(result)

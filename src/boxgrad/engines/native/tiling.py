"""Winograd's tiles: how the results of a convolution are cut, and whether that is worth it.

Knows short correlations, sizes of images and what the parts of the work cost. A tile has so many results
along each axis, and the algorithms of all axes are nested. Windows that no whole tile covers are a part of
one: what it sees beyond the image are zeros.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from boxgrad.engines.native.ir import Function, Index
from boxgrad.engines.native.layout import Shape, Value
from boxgrad.engines.native.toom_cook import Matrix, Short, short, sizes
from boxgrad.engines.native.transforms import Load, along_axes
from boxgrad.engines.native.vector import Lanes, Term

INPUT, OUTPUT, FILTER = 7.0, 5.0, 10.0
"""What it costs to transform one of a tile's samples, results or filters, in multiply-adds of vectors."""
GAIN = 0.8
"""The part of the cost of direct convolution below which tiles are chosen."""
BLOCK = 24
"""Tiles that are transformed together, about: what they take stays in the second-level cache."""
LARGE = 5 << 19
"""Bytes of filters beyond which blocks are larger, for each block reads all of them."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """The algorithm of each axis, and the number of windows along it."""

    axes: tuple[Short, ...]
    windows: Shape

    @property
    def counts(self) -> Shape:
        """How many tiles there are along each axis."""
        return tuple(-(-n // axis.results) for n, axis in zip(self.windows, self.axes, strict=True))

    @property
    def amount(self) -> int:
        """How many tiles an image has."""
        return math.prod(self.counts)

    @property
    def points(self) -> int:
        """How many multiplications a tile takes for each pair of channels."""
        return math.prod(axis.samples for axis in self.axes)

    @property
    def results(self) -> Shape:
        return tuple(axis.results for axis in self.axes)

    def __str__(self) -> str:
        results = "×".join(str(axis.results) for axis in self.axes)
        return f"F({results}, {'×'.join(str(axis.taps) for axis in self.axes)})"

    def place(self, f: Function, tile: Index) -> tuple[Index, list[Index]]:
        """The image of a tile, and where in its image it is."""
        places: list[Index] = []
        for count in reversed(self.counts):
            places.insert(0, f.remainder(tile, count))
            tile = f.divide(tile, count)
        return tile, places

    def fits(self, axis: int) -> bool:
        """Whether all tiles are whole along an axis."""
        return self.windows[axis] % self.axes[axis].results == 0

    def inside(self, f: Function, axis: int, place: Index) -> str:
        """The condition that a tile is whole along an axis."""
        return f.value(f"icmp slt i64 {place}, {self.counts[axis] - 1}")

    def wanted(self, f: Function, axis: int, place: Index) -> Index:
        """How many of a tile's results along an axis there are."""
        results = self.axes[axis].results
        if self.fits(axis):
            return results
        return f.minimum(results, f.add(self.windows[axis], f.multiply(place, -results)))


def chosen(results: Shape, kernel: Shape, inner: int, lanes: int) -> Tiling | None:
    """The tiles with the least work for results (image, channel, *windows) from so many inner channels.

    None where direct convolution has less, or not much more.
    """
    images, outer, *windows = results
    ends = -(-inner // lanes), -(-outer // lanes)
    best, found = GAIN * images * math.prod(windows) * math.prod(kernel) * inner * ends[1], None
    for size in itertools.product(*map(sizes, kernel)):
        if max(size) == 1:
            continue
        tiling = Tiling(tuple(short(m, r) for m, r in zip(size, kernel, strict=True)), tuple(windows))
        each = inner * ends[1] + INPUT * ends[0] + OUTPUT * ends[1]
        cost = tiling.points * (images * tiling.amount * each + FILTER * inner * ends[1])
        if cost < best:
            best, found = cost, tiling
    return found


def least(filters: int) -> int:
    """How many tiles are worth a block of their own, for so many bytes of filters."""
    return round(BLOCK * max(1.0, math.sqrt(filters / LARGE)))


def block(amount: int, size: int = BLOCK) -> int:
    """How many of so many tiles are transformed together, so that blocks are about equal."""
    return -(-amount // max(1, round(amount / size)))


def point_of(f: Function, tiling: Tiling, index: list[Index]) -> Index:
    """The number of a point, of its indices along the axes."""
    point: Index = 0
    for i, axis in zip(index, tiling.axes, strict=True):
        point = f.add(f.multiply(point, axis.samples), i)
    return point


def rounded(amount: int, step: int) -> int:
    return -(-amount // step) * step


def conjunction(f: Function, conditions: list[str]) -> str:
    """All of some conditions."""
    both, *rest = conditions
    for other in rest:
        both = f.value(f"and i1 {both}, {other}")
    return both


def gather(
    e: Lanes, tiling: Tiling, matrices: list[Matrix], value: Value, pointer: str, tile: Index,
    channels: int, store: Callable[[Index, list[Index], list[Term]], None],
) -> None:  # fmt: skip
    """Transform what a tile sees of an image (image, channel, *spatial), some channels from ``pointer`` on.

    ``store`` gets the first channel of a vector, the indices of all axes but the last, and the results.
    """
    f, item = e.function, value.dtype.itemsize
    image, places = tiling.place(f, tile)
    pointer = f.at(pointer, image, value.strides[0] * item)
    for axis, place in enumerate(places):
        step = tiling.axes[axis].results * value.strides[2 + axis]
        pointer = f.at(pointer, place, step * item)
    cut = [axis for axis in range(len(places)) if not tiling.fits(axis)]

    def vectors(limits: list[Index | None], zero: str) -> None:
        for start, stop, active in runs(channels, e.count):
            with f.loop(start, stop, e.count) as channel:
                at = f.at(pointer, channel, value.strides[1] * item)
                load = _samples(e, value, at, limits, zero, e.mask(active))
                along_axes(
                    e, value.dtype, matrices, load, lambda index, terms, c=channel: store(c, index, terms)
                )

    everything: list[Index | None] = [None] * len(places)
    if not cut:
        vectors(everything, "")
        return
    condition = conjunction(f, [tiling.inside(f, axis, places[axis]) for axis in cut])
    with f.when(condition):
        vectors(everything, "")
    with f.when(f.value(f"xor i1 {condition}, true")):
        zero = f.slot(e.type(value.dtype))
        f.store(e.type(value.dtype), "zeroinitializer", zero, 8)
        limits = list(everything)
        for axis in cut:
            passed = f.multiply(places[axis], -tiling.axes[axis].results)
            limits[axis] = f.add(passed, value.shape[2 + axis])
        vectors(limits, zero)


def _samples(
    e: Lanes, value: Value, pointer: str, limits: list[Index | None], zero: str, mask: str | None
) -> Load:
    """Loads vectors of channels by their place in a tile; zeros from the limits on."""
    f = e.function

    def load(index: list[Index]) -> Term:
        at, within = pointer, list[str]()
        for i, step, limit in zip(index, value.strides[2:], limits, strict=True):
            at = f.at(at, i, step * value.dtype.itemsize)
            if limit is not None:
                within.append(f.value(f"icmp slt i64 {i}, {limit}"))
        if within:
            at = f.value(f"select i1 {conjunction(f, within)}, ptr {at}, ptr {zero}")
        return e.load(at, value.dtype, 1, mask)

    return load


def runs(amount: int, lanes: int) -> list[tuple[int, int, int]]:
    """Whole vectors and the rest: first, end, how many lanes are active."""
    whole = amount // lanes * lanes
    found = [(0, whole, lanes), (whole, amount, amount - whole)]
    return [run for run in found if run[0] < run[1]]

"""Random shapes, dtypes, numbers and layouts for tests of the native engine.

The engine makes arguments contiguous before kernels see them, so layouts are made inside of the program: a
``Viewed`` array is a contiguous argument and a way of looking at it, with axes in any order, steps of either
sign, parts left out, and repetitions (stride 0).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FUZZ = int(os.environ.get("BOXGRAD_FUZZ", "0"))
FLOATS = ("float32", "float64")
SIGNED, UNSIGNED = ("int8", "int16", "int32", "int64"), ("uint8", "uint16", "uint32", "uint64")
DTYPES = (*FLOATS, *SIGNED, *UNSIGNED, "bool")
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, 1e-40, 1e-310, 3e38, -1e308, 1e15, 1e-8)


def cases(few: int, share: int = 1) -> settings:
    """How many examples: a few, or ``BOXGRAD_FUZZ`` of them (or that share of it)."""
    return settings(
        max_examples=max(few, FUZZ // share), deadline=None, suppress_health_check=list(HealthCheck),
        derandomize=not FUZZ, print_blob=True,
    )  # fmt: skip


@dataclass(frozen=True)
class Viewed:
    """An argument and how the program looks at it."""

    base: np.ndarray
    order: tuple[int, ...]
    steps: tuple[int, ...]
    shape: tuple[int, ...]

    def __call__(self, x: Any) -> Any:
        """The view; of the argument, or of the box that stands for it."""
        x = np.transpose(x, self.order)[tuple(slice(None, None, step) for step in self.steps)]
        return np.broadcast_to(x, self.shape) if x.shape != self.shape else x

    @property
    def dtype(self) -> np.dtype:
        return self.base.dtype


def shapes(most: int = 9, rank: int = 5) -> st.SearchStrategy[tuple[int, ...]]:
    """Sizes from 0, up to five axes; few of them large."""
    size = st.one_of(st.integers(0, 3), st.integers(0, most))
    return st.lists(size, max_size=rank).map(tuple).filter(lambda shape: np.prod(shape) <= 5000)


@st.composite
def numbers(draw: Any, shape: Sequence[int], dtype: str, special: bool = False, most: int = 0) -> np.ndarray:
    """Numbers of a dtype: floats around 0, integers of all sizes, or below ``most`` in size."""
    random, kind = np.random.default_rng(draw(st.integers(0, 1 << 30))), np.dtype(dtype)
    if kind.kind == "b":
        return random.integers(0, 2, shape) > 0
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        low, high = max(limits.min, -most if most else limits.min), min(limits.max, most or limits.max)
        if not most and draw(st.booleans()):
            low, high = max(low, -9), 9
        return random.integers(low, high, shape, kind, endpoint=True)
    x = random.normal(0, 3, shape)
    if special and draw(st.booleans()):
        chosen = random.random(np.shape(x)) < 0.3
        x = np.where(chosen, random.choice(SPECIAL, np.shape(x)), x)
    with np.errstate(all="ignore"):
        return x.astype(kind)


@st.composite
def viewed(draw: Any, shape: Sequence[int], dtype: str, **options: Any) -> Viewed:
    """An array that looks like ``shape``."""
    shape, rank = tuple(shape), len(shape)
    repeated = list(shape)
    for axis in range(rank):
        if not draw(st.integers(0, 6)):
            repeated[axis] = 1
    steps = tuple(draw(st.sampled_from([1, 1, 1, 2, -1, -2])) for _ in shape)
    order = tuple(draw(st.permutations(range(rank))))
    whole = [abs(step) * n for n, step in zip(repeated, steps, strict=True)]
    base = np.empty(rank, int)
    for position, axis in enumerate(order):
        base[axis] = whole[position]
    return Viewed(draw(numbers(tuple(map(int, base)), dtype, **options)), order, steps, shape)


def near(got: Any, wanted: Any, units: float = 16, scale: Any = None) -> None:
    """Equal in type and, but for some units in the last place, in value; NaN and infinities alike."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    if got.dtype.kind not in "fc":
        np.testing.assert_array_equal(got, wanted)
        return
    limits = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        # What just overflows in one of them may be the largest number in the other.
        edge = (np.isinf(got) ^ np.isinf(wanted)) & (np.sign(got) == np.sign(wanted))
        edge &= np.minimum(np.abs(got), np.abs(wanted)) > limits.max * (1 - units * limits.eps)
        size = np.abs(wanted.astype(np.float64)) if scale is None else np.broadcast_to(scale, wanted.shape)
        bound = units * (limits.eps * size + limits.smallest_subnormal)
        same = (got == wanted) | (np.isnan(got) & np.isnan(wanted)) | edge
        same |= np.abs(got.astype(np.float64) - wanted) <= bound
    if not same.all():
        place = tuple(np.argwhere(~same)[0])
        raise AssertionError(f"{got[place]!r} for {wanted[place]!r} at {place}")

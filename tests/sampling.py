"""What a sample of a primitive is, and the numbers that samples are evaluated at.

Inputs are chosen away from kinks: a step of ``numeric.STEP`` in any direction crosses none.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Call = Callable[..., Any]


@dataclass(frozen=True)
class Sample:
    """One call of a primitive.

    ``order`` is how many derivatives exist and are compared; ``analytic`` says that the call also runs on
    complex numbers, so that the complex step applies.
    """

    primitive: str
    call: Call
    inputs: tuple[Any, ...]
    order: int = 2
    analytic: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        shapes = " ".join(_kind(x) for x in self.inputs)
        return f"{self.primitive} {shapes}{' ' if self.note else ''}{self.note}"


def _kind(x: Any) -> str:
    if not isinstance(x, np.ndarray):
        return type(x).__name__
    return f"{x.dtype.kind}{x.dtype.itemsize * 8}[{','.join(map(str, x.shape))}]"


def _random(name: str, shape: Any) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{name}{shape}".encode()))


def between(low: float, high: float, shape: Any, name: str = "") -> Any:
    """Random numbers of a shape; a Python float where the shape is "float"."""
    random = _random(f"{name}{low}{high}", shape)
    return float(random.uniform(low, high)) if shape == "float" else random.uniform(low, high, shape)


def apart(shape: tuple[int, ...], name: str = "", gap: float = 0.13, shift: float = 0.05) -> np.ndarray:
    """Numbers of either sign, no two nearer than ``gap`` and none near 0, in random order."""
    size = int(np.prod(shape))
    values = (np.arange(size) - size // 2) * gap + shift
    return _random(name, shape).permutation(values).reshape(shape)


def integers(low: int, high: int, shape: Any, dtype: Any = np.int64) -> np.ndarray:
    """Random integers."""
    return _random("integers", (low, high, shape)).integers(low, high, shape).astype(dtype)

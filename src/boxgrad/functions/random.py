"""``Random``: a stream of random numbers owned by an object: a key, and a counter that advances."""

from __future__ import annotations

import math
import zlib
from typing import Any, cast

import numpy as np

from boxgrad import tree
from boxgrad.boxed import current_tracer
from boxgrad.errors import TraceError
from boxgrad.functions.random_bits import Shape, random_bits, random_words
from boxgrad.graph.primitive import Traced


class Random:
    """A stream of random numbers that owns its state.

    A draw of n elements uses the counters from ``counter`` on and advances it in place, so a stream can be
    saved, resumed, and used inside a compiled step.

    >>> Random(0).uniform((2,)) == Random(0).uniform((2,))
    array([ True,  True])
    """

    def __init__(self, seed: int | None = None) -> None:
        """``seed=None`` takes entropy from the operating system."""
        words = np.random.SeedSequence(seed).generate_state(2, np.uint32)
        self.key: Any = words
        self.counter: Any = np.zeros((), np.uint64)

    def split(self, name: str | int) -> Random:
        """An independent stream, a function of this stream's key and the name."""
        word = np.uint32(zlib.crc32(str(name).encode()))
        child = object.__new__(Random)
        child.key = random_words(self.key, int(word) | 1 << 63, shape=(2,))
        child.counter = np.zeros((), np.uint64)
        return child

    def bits(self, shape: Shape | int) -> Any:
        """Uniform 32-bit words, uint32 of the given shape."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        tracer = current_tracer()
        if tracer is not None and tracer.compiling and not isinstance(cast("object", self.counter), Traced):
            raise TraceError.because(
                "random numbers drawn in a compiled function, or the cell of a scan, "
                "from a stream that is not its argument",
                "the function is traced once: every call would get the same numbers",
                "the module (or the Random) as an argument of the compiled function; in the carry of a scan",
            )
        result = random_bits(self.key, self.counter + np.uint64(0), shape=shape)
        self.counter += np.uint64((math.prod(shape) + 1) // 2)
        return result

    def uniform(
        self, shape: Shape | int, low: float = 0.0, high: float = 1.0, dtype: Any = np.float32
    ) -> Any:
        """Uniform on [low, high): the upper 24 bits (float32) or 53 bits (float64) of random words."""
        dtype = np.dtype(dtype)
        if dtype == np.float64:
            shape = (shape,) if isinstance(shape, int) else tuple(shape)
            words = self.bits((*shape, 2)).astype(np.uint64)
            whole = (words[..., 0] << np.uint64(21)) | (words[..., 1] >> np.uint64(11))
            unit = whole.astype(np.float64) * 2.0**-53
        else:
            unit = ((self.bits(shape) >> np.uint32(8)).astype(np.float32) * 2.0**-24).astype(dtype)
        return unit if (low, high) == (0.0, 1.0) else unit * (high - low) + low

    def normal(
        self, shape: Shape | int, mean: float = 0.0, scale: float = 1.0, dtype: Any = np.float32
    ) -> Any:
        """Normally distributed, by the transform of Box and Muller (1958), two words an element."""
        radius = 1 - self.uniform(shape, dtype=dtype)  # in (0, 1]: its logarithm is finite
        angle = self.uniform(shape, dtype=dtype) * (2 * math.pi)
        return np.sqrt(-2 * np.log(radius)) * np.cos(angle) * scale + mean

    def bernoulli(self, probability: float, shape: Shape | int) -> Any:
        """True with the given probability, bool of the given shape."""
        threshold = np.uint64(round(float(probability) * 2.0**32))
        return self.bits(shape).astype(np.uint64) < threshold


tree.register(Random)

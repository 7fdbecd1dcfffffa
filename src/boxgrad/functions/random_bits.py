"""Counter-based random bits.

``random_bits`` is Threefry-2x32 with 20 rounds: a function of key and counter, the same bits on every
machine and engine. Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
SC 2011.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from boxgrad.graph.primitive import Call, NoDerivative, Primitive
from boxgrad.types import ArrayType

Shape = tuple[int, ...]
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def threefry(key: tuple[Any, Any], x: Any, y: Any) -> tuple[Any, Any]:
    """Two words of 32 bits encrypted under a key of two words; all uint32, x and y of one shape."""
    keys = (key[0], key[1], key[0] ^ key[1] ^ _PARITY)
    x, y = x + keys[0], y + keys[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x = x + y
            y = (y << np.uint32(rotation)) | (y >> np.uint32(32 - rotation))
            y = y ^ x
        x = x + keys[(group + 1) % 3]
        y = y + keys[(group + 2) % 3] + np.uint32(group + 1)
    return x, y


def random_words(key: Any, counter: Any, *, shape: Shape) -> Any:
    size = math.prod(shape)
    number = np.arange((size + 1) // 2, dtype=np.uint64) + np.uint64(counter)
    low = (number & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    high = (number >> np.uint64(32)).astype(np.uint32)
    with np.errstate(over="ignore"):
        x, y = threefry((np.uint32(key[0]), np.uint32(key[1])), low, high)
    return np.stack([x, y], axis=-1).reshape(-1)[:size].reshape(shape)


random_bits = Primitive(
    "random_bits",
    random_words,
    lambda key, counter, shape: ArrayType(shape, np.dtype(np.uint32)),
    NoDerivative("random bits do not vary smoothly with their key"),
    Call("bits"),
    (),
)

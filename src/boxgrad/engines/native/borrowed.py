"""Memory that a chunk borrows while it runs: few pieces are used again and again, and stay in the cache.

There is a piece for each chunk, for all of them may run at once; a chunk takes the first that is free. What
is computed does not depend on which piece it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from boxgrad.engines.native.ir import Function, Index
from boxgrad.engines.native.layout import Buffer, Home, Value, fresh
from boxgrad.engines.native.vector import INT64


class Borrowed:
    """Pieces of so many elements, and a word that says which are taken."""

    def __init__(self, dtype: np.dtype, size: int, chunks: int) -> None:
        self.memory = fresh((chunks, size), dtype)
        self.word = Value(Buffer(INT64, 1, Home.FIXED), (1,), (1,), 0, INT64)

    @property
    def values(self) -> tuple[Value, Value]:
        return self.memory, self.word

    @contextmanager
    def piece(self, f: Function, memory: str, word: str) -> Iterator[str]:
        """The address of a piece, which is given back afterwards."""
        chunks, size = self.memory.shape
        number: Index = f.claim(word) if chunks > 1 else 0
        yield f.at(memory, number, size * self.memory.dtype.itemsize)
        if chunks > 1:
            f.release(word, number)

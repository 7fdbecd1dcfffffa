"""Memory that a chunk borrows while it runs: few pieces are used again and again, and stay in the cache.

There are as many pieces as chunks may run at once: no more than the processors, or threads that were asked
for when the kernel was made. A chunk takes the first piece that is free; with more threads it waits for one.
What is computed does not depend on which piece it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from boxgrad.engines.native.ir import Function, Index
from boxgrad.engines.native.layout import Buffer, Home, Value, fresh
from boxgrad.engines.native.pool import most_threads
from boxgrad.engines.native.vector import INT64


class Borrowed:
    """Pieces of so many elements, and a word that says which are taken."""

    def __init__(self, dtype: np.dtype, size: int, chunks: int) -> None:
        self.chunks = chunks
        self.memory = fresh((min(chunks, most_threads()), size), dtype)
        self.word = Value(Buffer(INT64, 1, Home.WORD), (1,), (1,), 0, INT64)

    @property
    def values(self) -> tuple[Value, Value]:
        return self.memory, self.word

    @contextmanager
    def piece(self, f: Function, memory: str, word: str) -> Iterator[str]:
        """The address of a piece, which is given back afterwards."""
        pieces, size = self.memory.shape
        number: Index = f.claim(word, None if pieces == self.chunks else pieces) if self.chunks > 1 else 0
        yield f.at(memory, number, size * self.memory.dtype.itemsize)
        if self.chunks > 1:
            f.release(word, number)

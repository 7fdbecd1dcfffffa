"""The micro-kernel behind all products: a tile of sums in registers, over any nest of inner loops.

    sum[i][j] += A[row i, k] · B[k, vector j]

Knows pointers, steps and registers; knows neither matrices nor images. For a product of matrices there is one
inner loop, for a convolution there are three, over the kernel's rows, columns and the channels. An element of
A is repeated over the lanes of a vector; B's vectors follow each other in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad.engines.native.ir import Function, Index, Register, memory_type
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.vector import Lanes, Term

UNROLL = 4


@dataclass(frozen=True, slots=True)
class Shape:
    """How many rows and vectors of sums a machine keeps in registers."""

    rows: int
    vectors: int
    lanes: int

    @property
    def width(self) -> int:
        return self.vectors * self.lanes


def tile_shape(machine: Machine, itemsize: int) -> Shape:
    """Two vectors wide; as many rows as leave registers for B's vectors and one of A."""
    rows = {32: 14, 16: 6}[machine.registers]
    return Shape(rows, 2, machine.lanes(itemsize))


@dataclass(frozen=True, slots=True)
class Loop:
    """An inner loop: how often it runs, and by how many elements it moves in A and in B."""

    count: Index
    step_a: int
    step_b: int


class Tile:
    """Sums of so many rows and vectors, in registers."""

    def __init__(
        self,
        function: Function,
        lanes: int,
        rows: int,
        columns: int,
        dtype: np.dtype[Any],
        mask: bool = False,
    ) -> None:
        self.f, self.e, self.dtype = function, Lanes(function, lanes), dtype
        self.rows, self.vectors = rows, -(-columns // lanes)
        self.masks = [self.e.mask(columns - j * lanes) if mask else None for j in range(self.vectors)]
        """For B and for stored sums where they have no room beyond the last column."""
        self.kind = self.e.type(dtype)
        self.sums = [[Register(function, self.kind) for _ in range(self.vectors)] for _ in range(rows)]

    def clear(self) -> None:
        for row in self.sums:
            for register in row:
                register.set("zeroinitializer")

    def load(self, pointer: str, row_step: int) -> None:
        """Go on with sums that were stored."""
        for i, row in enumerate(self.sums):
            for j, register in enumerate(row):
                at = self.f.at(pointer, i * row_step + j * self.e.count, self.dtype.itemsize)
                register.set(self.e.load(at, self.dtype, 1, self.masks[j]).text)

    def save(self, pointer: str, row_step: int) -> None:
        for i, row in enumerate(self.sums):
            for j in range(len(row)):
                at = self.f.at(pointer, i * row_step + j * self.e.count, self.dtype.itemsize)
                self.e.store(self.sum(i, j), at, 1, self.masks[j])

    def join(self, pointer: str, row_step: int) -> None:
        """Add to sums that were stored."""
        for i, row in enumerate(self.sums):
            for j in range(len(row)):
                at = self.f.at(pointer, i * row_step + j * self.e.count, self.dtype.itemsize)
                known = self.e.load(at, self.dtype, 1, self.masks[j])
                self.e.store(self.e.op("fadd", known, self.sum(i, j)), at, 1, self.masks[j])

    def sum(self, row: int, vector: int) -> Term:
        return Term(self.sums[row][vector].get(), self.dtype)

    def run(self, a: str, a_dtype: np.dtype[Any], rows: Sequence[int], b: str, loops: Sequence[Loop]) -> None:
        """Add the products of all inner loops; ``rows`` are the offsets of A's rows in elements."""
        loop, *inner = loops
        item_a, item_b = a_dtype.itemsize, self.dtype.itemsize

        def moved(index: Index) -> tuple[str, str]:
            return (self.f.at(a, index, loop.step_a * item_a), self.f.at(b, index, loop.step_b * item_b))

        if inner:
            with self.f.loop(0, loop.count) as index:
                self.run(*self._with(a_dtype, moved(index), rows), inner)
            return
        whole = self.f.multiply(self.f.divide(loop.count, UNROLL), UNROLL)
        if whole:
            with self.f.loop(0, whole, UNROLL) as index:
                at_a, at_b = moved(index)
                for k in range(UNROLL):
                    self._once(at_a, a_dtype, rows, at_b, k, loop)
        if not (isinstance(whole, int) and isinstance(loop.count, int)):
            with self.f.loop(whole, loop.count) as index:
                self._once(*self._with(a_dtype, moved(index), rows), 0, loop)
            return
        at_a, at_b = moved(whole)
        for k in range(loop.count - whole):
            self._once(at_a, a_dtype, rows, at_b, k, loop)

    @staticmethod
    def _with(a_dtype: np.dtype[Any], pointers: tuple[str, str], rows: Sequence[int]) -> Any:
        return pointers[0], a_dtype, rows, pointers[1]

    def _once(self, a: str, a_dtype: np.dtype[Any], rows: Sequence[int], b: str, k: int, loop: Loop) -> None:
        """One step of the innermost loop: every row with every vector."""
        f, e, size = self.f, self.e, self.dtype.itemsize
        vectors = [
            e.load(f.at(b, k * loop.step_b + j * e.count, size), self.dtype, 1, self.masks[j])
            for j in range(self.vectors)
        ]
        for i, row in enumerate(rows):
            scalar = f.load(memory_type(a_dtype), f.at(a, row + k * loop.step_a, a_dtype.itemsize))
            if a_dtype != self.dtype:
                scalar = f.value(f"fpext float {scalar} to double")
            x = e.splat(scalar, self.dtype)
            for j, vector in enumerate(vectors):
                self.sums[i][j].set(e.multiply_add(x, vector, self.sum(i, j)).text)

"""The additions around a product of few multiplications: small constant matrices times vectors of channels.

Knows fractions, vectors and the order of axes; knows neither images nor kernels. A transform runs along one
axis of a tile after the other; what lies between is on the stack, and a line of vectors is in registers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from fractions import Fraction
from typing import Any

import numpy as np

from boxgrad.engines.native.ir import Index
from boxgrad.engines.native.layout import contiguous
from boxgrad.engines.native.toom_cook import Matrix
from boxgrad.engines.native.vector import Lanes, Term

Row = Sequence[Fraction]
Load = Callable[[list[Index]], Term]
Finish = Callable[[list[Index], list[Term]], None]


def along_axes(
    e: Lanes, dtype: np.dtype[Any], matrices: Sequence[Matrix], load: Load, finish: Finish,
    limits: Sequence[Index] | None = None,
) -> None:  # fmt: skip
    """Apply a matrix along each axis of a tile.

    ``load`` gets an index for each axis; ``finish`` the indices of all axes but the last, and the results
    along that. ``limits`` are how many results are wanted along the axes before the last.
    """
    f, kind, size = e.function, e.type(dtype), e.count * dtype.itemsize
    last = len(matrices) - 1
    sizes = [len(matrix[0]) for matrix in matrices]
    stack, strides = "", contiguous(sizes)

    def kept(index: Sequence[Index]) -> str:
        offset: Index = 0
        for i, stride in zip(index, strides, strict=True):
            offset = f.add(offset, f.multiply(i, stride))
        return f.at(stack, offset, size)

    def stored(index: list[Index]) -> Term:
        return Term(f.load(kind, kept(index), size), dtype)

    source = load
    for axis, matrix in enumerate(matrices):
        ends: list[Index] = list(sizes)
        if axis == last and limits is not None:
            ends[:last] = limits
        with ExitStack() as loops:
            index: list[Index] = [
                0 if a == axis else loops.enter_context(f.loop(0, end)) for a, end in enumerate(ends)
            ]
            line = [source([*index[:axis], k, *index[axis + 1 :]]) for k in range(sizes[axis])]
            results = combined(e, matrix, line)
            if axis == last:
                finish(index[:-1], results)
                return
            sizes[axis] = len(matrix)
            stack, strides = f.slot(f"[{math.prod(sizes)} x {kind}]"), contiguous(sizes)
            for k, result in enumerate(results):
                f.store(kind, result.text, kept([*index[:axis], k, *index[axis + 1 :]]), size)
        source = stored


def combined(e: Lanes, matrix: Matrix, terms: Sequence[Term]) -> list[Term]:
    """The products of a constant matrix with vectors, in few instructions.

    Columns that are equal but for signs are added and subtracted first; rows that are equal but for signs are
    the sum and the difference of what they have in common and what they have not.
    """
    columns = [list(column) for column in zip(*matrix, strict=True)]
    vectors: list[Term] = []
    folded: list[list[Fraction]] = []
    waiting = list(range(len(terms)))
    while waiting:
        i = waiting.pop(0)
        other = next((j for j in waiting if _alike(columns[i], columns[j])), None)
        if other is None:
            vectors.append(terms[i])
            folded.append(columns[i])
            continue
        waiting.remove(other)
        vectors += [e.op("fadd", terms[i], terms[other]), e.op("fsub", terms[i], terms[other])]
        folded += _split(columns[i], columns[other])
    return _rows(e, [list(row) for row in zip(*folded, strict=True)], vectors)


def _rows(e: Lanes, rows: list[list[Fraction]], vectors: list[Term]) -> list[Term]:
    results: dict[int, Term] = {}
    for i, row in enumerate(rows):
        if i in results:
            continue
        other = next((j for j in range(i + 1, len(rows)) if j not in results and _alike(row, rows[j])), None)
        if other is None:
            results[i] = _weighed(e, row, vectors)
            continue
        same, opposite = _split(row, rows[other])
        scale = abs(next(c for c in reversed(opposite) if c))
        even, odd = _weighed(e, same, vectors), _weighed(e, [c / scale for c in opposite], vectors)
        if scale == 1:
            results[i], results[other] = e.op("fadd", even, odd), e.op("fsub", even, odd)
        else:
            results[i] = e.multiply_add(odd, e.like(float(scale), odd), even)
            results[other] = e.multiply_add(odd, e.like(float(-scale), odd), even)
    return [results[i] for i in range(len(rows))]


def _alike(x: Row, z: Row) -> bool:
    """Whether two lines differ in signs alone, in some places and not in others."""
    same = opposite = 0
    for a, b in zip(x, z, strict=True):
        if a.denominator != b.denominator or abs(a.numerator) != abs(b.numerator):
            return False
        if a.numerator:
            same, opposite = same + (a.numerator == b.numerator), opposite + (a.numerator != b.numerator)
    return same + opposite > 2 and same > 0 and opposite > 0


def _split(x: Row, z: Row) -> list[list[Fraction]]:
    """A line where it equals the other one, and where it is its opposite."""
    zero = Fraction(0)
    return [
        [a if a == b else zero for a, b in zip(x, z, strict=True)],
        [a if a != b else zero for a, b in zip(x, z, strict=True)],
    ]


def _weighed(e: Lanes, row: Row, vectors: list[Term]) -> Term:
    """Σ c x, beginning with a term that needs no multiplication."""
    pairs = sorted(((c, x) for c, x in zip(row, vectors, strict=True) if c), key=lambda pair: pair[0] != 1)
    (c, x), *rest = pairs
    total = x if c == 1 else e.op("fmul", x, e.like(float(c), x))
    for c, x in rest:
        if abs(c) == 1:
            total = e.op("fadd" if c == 1 else "fsub", total, x)
        else:
            total = e.multiply_add(x, e.like(float(c), x), total)
    return total

"""Copying a block of a matrix into a panel: rows of a few vectors that follow each other in memory.

Knows strides and vectors. A panel of K rows and a width of some vectors is what the micro-kernel reads from
front to back; columns beyond the matrix are zeros. Where the matrix is transposed in memory, squares of
vectors are turned in registers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad.engines.native.ir import Function, Index
from boxgrad.engines.native.pauses import patient
from boxgrad.engines.native.vector import Lanes, Term


def pack(
    f: Function, source: str, dtype: np.dtype[Any], steps: tuple[int, int], rows: int, columns: int,
    panel: str, width: int, lanes: int, target: np.dtype[Any],
) -> None:  # fmt: skip
    """Copy ``rows`` × ``columns`` elements, ``steps`` apart, into a panel of ``width`` columns."""
    down, across = steps
    if down == 1 and across != 1 and rows >= lanes and dtype == target:
        _turned(f, source, dtype, across, rows, columns, panel, width, lanes)
        return
    e = Lanes(f, lanes)
    with patient(f, 0, rows, count=rows, work=width) as row:
        for start in range(0, width, lanes):
            active = min(lanes, columns - start)
            at = f.at(panel, f.add(f.multiply(row, width), start), target.itemsize)
            if active <= 0:
                e.store(e.constant(0, target), at, 1, None)
                continue
            origin = f.at(source, f.add(f.multiply(row, down), start * across), dtype.itemsize)
            x = e.load(origin, dtype, across, e.mask(active))
            if across == 0 and active < lanes:
                mask = e.mask(active)
                assert mask is not None
                x = e.choose(Term(mask, np.dtype(bool)), x, e.constant(0, dtype))
            e.store(e.cast(x, target), at, 1, None)


def _turned(
    f: Function, source: str, dtype: np.dtype[Any], across: int, rows: int, columns: int, panel: str,
    width: int, lanes: int,
) -> None:  # fmt: skip
    """Squares of ``lanes`` × ``lanes``, read along the matrix's columns, which are contiguous."""
    whole = rows // lanes * lanes
    with patient(f, 0, whole, lanes, count=whole // lanes, work=lanes * width) as row:
        _squares(f, source, dtype, across, row, lanes, columns, panel, width, lanes)
    if rows > whole:
        _squares(f, source, dtype, across, whole, rows - whole, columns, panel, width, lanes)


def _squares(
    f: Function, source: str, dtype: np.dtype[Any], across: int, row: Index, rows: int, columns: int,
    panel: str, width: int, lanes: int,
) -> None:  # fmt: skip
    e, size = Lanes(f, lanes), dtype.itemsize
    zero = Term("zeroinitializer", dtype)
    for start in range(0, width, lanes):
        lines = [
            e.load(f.at(source, f.add(row, (start + i) * across), size), dtype, 1, e.mask(rows))
            if start + i < columns
            else zero
            for i in range(lanes)
        ]
        for i, line in enumerate(transposed(e, lines)[:rows]):
            at = f.at(panel, f.add(f.multiply(f.add(row, i), width), start), size)
            e.store(line, at, 1, None)


def transposed(e: Lanes, lines: list[Term]) -> list[Term]:
    """A square of as many vectors as there are lanes, turned by log₂ rounds of interleaving."""
    count, dtype = e.count, lines[0].dtype
    half = 1
    while half < count:
        turned: list[Term] = [lines[0]] * count
        low = [i if not i & half else i - half + count for i in range(count)]
        high = [i + half if not i & half else i + count for i in range(count)]
        for i in range(count):
            if i & half:
                continue
            pair = (lines[i], lines[i + half])
            turned[i] = _shuffled(e, *pair, low, dtype)
            turned[i + half] = _shuffled(e, *pair, high, dtype)
        lines, half = turned, 2 * half
    return lines


def _shuffled(e: Lanes, x: Term, z: Term, order: list[int], dtype: np.dtype[Any]) -> Term:
    kind = e.type(dtype)
    positions = f"<{e.count} x i32> <{', '.join(f'i32 {i}' for i in order)}>"
    return Term(e.function.value(f"shufflevector {kind} {x.text}, {kind} {z.text}, {positions}"), dtype)

"""Toom and Cook's short correlations: fewer multiplications, as three small matrices of exact fractions.

    y = Aᵀ [(G w) ⊙ (B d)]        y_i = Σ_j w_j d_(i+j),   i < m, j < r

m results of r taps see n = m + r − 1 samples and take n multiplications instead of m r. Two polynomials with
m and r coefficients are multiplied by their values at n points, of which the last is infinity (where a
polynomial is its leading coefficient); a correlation is that product transposed in one of its factors. Of
several axes each has matrices of its own, and every point of one meets every point of the others.

Knows polynomials; knows neither images nor machines.
Source: A. Lavin and S. Gray, Fast algorithms for convolutional neural networks, CVPR 2016.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

Matrix = tuple[tuple[Fraction, ...], ...]

POINTS: dict[int, tuple[Fraction, ...]] = {
    1: (),
    4: (Fraction(0), Fraction(1), Fraction(-1)),
    6: (Fraction(0), Fraction(5, 8), Fraction(-5, 8), Fraction(3, 2), Fraction(-3, 2)),
}
"""The finite points by the number n of samples. Opposite ones share most of their additions; those for six
samples are pairs of eighths with the least rounding error, less than half of that of ±1 and ±2."""


@dataclass(frozen=True, slots=True)
class Short:
    """The matrices for m results of r taps: ``a`` (n, m), ``g`` (n, r), ``b`` (n, n)."""

    results: int
    taps: int
    a: Matrix
    g: Matrix
    b: Matrix

    @property
    def samples(self) -> int:
        return len(self.b)


@functools.cache
def short(results: int, taps: int) -> Short:
    """The algorithm for so many results and taps.

    >>> short(2, 3).b[0]
    (Fraction(-1, 1), Fraction(0, 1), Fraction(1, 1), Fraction(0, 1))
    """
    points = POINTS[results + taps - 1]
    scales = [math.prod((p - q for q in points if q != p), start=Fraction(1)) for p in points]
    g = [tuple(power / scale for power in _powers(p, taps)) for p, scale in zip(points, scales, strict=True)]
    return Short(
        results,
        taps,
        (*(_powers(p, results) for p in points), _leading(results)),
        (*g, _leading(taps)),
        # Interpolation: the polynomial that is 0 at all other points; its scale is in ``g``.
        (*((*_with_roots([q for q in points if q != p]), Fraction(0)) for p in points), _with_roots(points)),
    )


def sizes(taps: int) -> list[int]:
    """The numbers of results for which there is an algorithm with so many taps."""
    return [n - taps + 1 for n in POINTS if n > taps] if taps > 1 else [1]


def _powers(point: Fraction, count: int) -> tuple[Fraction, ...]:
    return tuple(point**k for k in range(count))


def _leading(count: int) -> tuple[Fraction, ...]:
    return tuple(Fraction(int(k == count - 1)) for k in range(count))


def _with_roots(roots: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """The coefficients of Π (x − root), the lowest first."""
    found = [Fraction(1)]
    for root in roots:
        found = [
            low - root * high for low, high in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)
        ]
    return tuple(found)


def transposed(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))

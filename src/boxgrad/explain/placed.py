"""Expressions whose elements come from elsewhere: look-ups, running sums, products of all others.

They are written element by element (see ``indexing``). Knows nothing of graphs or of any medium.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from boxgrad.explain.part import Expression, Shape


@dataclass(frozen=True, eq=False)
class Gather(Expression):
    """x with index arrays in its key: ``places`` tells what stands for each axis of x.

    The axes of the index arrays, ``block``, stand in the result from ``front`` on.
    """

    x: Expression
    indices: tuple[Expression, ...]
    places: tuple[tuple[Any, ...], ...]
    front: int
    block: Shape


@dataclass(frozen=True, eq=False)
class Scatter(Expression):
    """The adjoint of ``Gather``: every element of x is added to the place that it was looked up from."""

    x: Expression
    indices: tuple[Expression, ...]
    places: tuple[tuple[Any, ...], ...]
    front: int
    block: Shape


@dataclass(frozen=True, eq=False)
class Running(Expression):
    """Sums, or products, of the elements up to each one along an axis; from each one on where ``after``."""

    symbol: str
    x: Expression
    axis: int
    after: bool = False


@dataclass(frozen=True, eq=False)
class Others(Expression):
    """For each element, the product of all others along some axes."""

    x: Expression
    axes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class RunningOthers(Expression):
    """Σ_{k≥i} g_k Π_{l≤k, l≠i} x_l: the gradient of running products of x."""

    g: Expression
    x: Expression
    axis: int

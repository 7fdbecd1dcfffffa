"""Mathematical expressions: a small immutable tree of what is written on paper.

Every expression knows its shape (that of the array it stands for) and its size (how many marks it has).
Equality is by structure. Knows nothing of graphs, of rewriting or of any medium.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad.explain.part import Expression, Shape


# ---- leaves
@dataclass(frozen=True, eq=False)
class Symbol(Expression):
    """A named value: ``key`` is its name in every view; it is written as a base with marks beside it."""

    key: str
    base: str
    subscript: str = ""
    superscript: str = ""


@dataclass(frozen=True, eq=False)
class Derivative(Expression):
    """∂L/∂X: of one symbol with respect to another; it has the shape of X."""

    of: Symbol
    by: Expression


@dataclass(frozen=True, eq=False)
class Number(Expression):
    """A number: an integer, a ratio of integers as (top, bottom), or a float."""

    value: Any


@dataclass(frozen=True, eq=False)
class Fill(Expression):
    """An array of one number everywhere: 𝟏 with its shape."""

    value: Any


@dataclass(frozen=True, eq=False)
class Words(Expression):
    """Words inside a formula."""

    text: str


GAP = Words("⋮", shape=())
"""Stands for formulas that are left out."""


# ---- operations
@dataclass(frozen=True, eq=False)
class Add(Expression):
    """A sum of terms; a term may be Negative."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True, eq=False)
class Negative(Expression):
    """−x."""

    x: Expression


@dataclass(frozen=True, eq=False)
class Times(Expression):
    """A product element by element, ⊙; numbers stand before arrays without a mark."""

    factors: tuple[Expression, ...]


@dataclass(frozen=True, eq=False)
class Product(Expression):
    """A product of matrices (in the last two axes), of a matrix and a vector, or of two vectors."""

    factors: tuple[Expression, ...]


@dataclass(frozen=True, eq=False)
class Outer(Expression):
    """a ⊗ b: every element of one with every element of the other."""

    a: Expression
    b: Expression


@dataclass(frozen=True, eq=False)
class Fraction(Expression):
    """A quotient, element by element."""

    top: Expression
    bottom: Expression


@dataclass(frozen=True, eq=False)
class Power(Expression):
    """A power, element by element."""

    base: Expression
    exponent: Expression


@dataclass(frozen=True, eq=False)
class Root(Expression):
    """√x."""

    x: Expression


@dataclass(frozen=True, eq=False)
class Transpose(Expression):
    """xᵀ: the last two axes exchanged."""

    x: Expression


@dataclass(frozen=True, eq=False)
class Call(Expression):
    """A function of arguments; ``order`` counts the primes: σ′. ``note`` stands as a subscript."""

    function: str
    arguments: tuple[Expression, ...]
    order: int = 0
    note: str = ""


@dataclass(frozen=True, eq=False)
class Delimited(Expression):
    """An argument between marks: |x|."""

    left: str
    x: Expression
    right: str


@dataclass(frozen=True, eq=False)
class Infix(Expression):
    """Relations and logic: x > 0, a ∧ b, x mod y."""

    symbol: str
    parts: tuple[Expression, ...]


@dataclass(frozen=True, eq=False)
class Indicator(Expression):
    """[condition]: 1 where it holds, 0 elsewhere."""

    condition: Expression


@dataclass(frozen=True, eq=False)
class Cases(Expression):
    """Values with the conditions under which they hold; the last condition may be None: otherwise."""

    branches: tuple[tuple[Expression, Expression | None], ...]


@dataclass(frozen=True, eq=False)
class Reduce(Expression):
    """Σ, Π, max or min over axes; ``keep`` leaves them with size 1."""

    symbol: str
    body: Expression
    axes: tuple[int, ...]
    keep: bool = False


@dataclass(frozen=True, eq=False)
class Over(Expression):
    """A big operator over a named index with its range: Σ_{t=1}^{T}."""

    symbol: str
    index: str
    start: str
    stop: str
    body: Expression


@dataclass(frozen=True, eq=False)
class Contract(Expression):
    """Σ of a_{…} b_{…} by einsum's subscripts, where it is not a product of matrices."""

    a: Expression
    b: Expression
    subscripts: str


@dataclass(frozen=True, eq=False)
class Convolve(Expression):
    """x ⋆ w (cross-correlation), or x ∗ w (convolution, its adjoint); ``note`` gives stride and padding."""

    symbol: str
    x: Expression
    w: Expression
    note: str = ""


@dataclass(frozen=True, eq=False)
class Spread(Expression):
    """A value repeated along axes: its own axes are ``axes`` of the result."""

    x: Expression
    axes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Rearranged(Expression):
    """The same elements in another shape."""

    x: Expression


@dataclass(frozen=True, eq=False)
class Permuted(Expression):
    """Axes in another order."""

    x: Expression
    axes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Item(Expression):
    """A part of an array, by a written index."""

    x: Expression
    index: str


@dataclass(frozen=True, eq=False)
class At(Expression):
    """An element at places that are computed: u_{i+1}, or p_{i,y_i}."""

    x: Expression
    places: tuple[Expression, ...]


@dataclass(frozen=True, eq=False)
class Element(Expression):
    """One element of a named array, x₁₂, or one with letters, x_{ij}."""

    x: Symbol
    indices: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Matrix(Expression):
    """A matrix of elements; a vector is one row."""

    rows: tuple[tuple[Expression, ...], ...]


@dataclass(frozen=True, eq=False)
class Relation(Expression):
    """a = b = c."""

    sides: tuple[Expression, ...]
    symbol: str = "="


# ---- making expressions, shapes inferred
def number(value: Any) -> Expression:
    """A number; ratios and negative ones in one form."""
    if isinstance(value, tuple):
        top, bottom = value
        if bottom < 0:
            top, bottom = -top, -bottom
        divisor = math.gcd(top, bottom) or 1
        top, bottom = top // divisor, bottom // divisor
        value = top if bottom == 1 else (top, bottom)
        if top < 0:
            return Negative(Number((-top, bottom) if bottom != 1 else -top, shape=()), shape=())
        return Number(value, shape=())
    if isinstance(value, (bool, np.bool_)):
        value = int(value)
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, complex) or math.isnan(value):
        text = "nan" if isinstance(value, float) else f"({value:.4g})".replace("((", "(").replace("j", "i")
        return Symbol(text, text, shape=())
    if math.isinf(value):
        endless = Symbol("", "∞", shape=())
        return endless if value > 0 else Negative(endless, shape=())
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
        value = int(value)
    if value < 0:
        return Negative(Number(-value, shape=()), shape=())
    return Number(value, shape=())


def broadcast(*parts: Expression) -> Shape:
    return np.broadcast_shapes(*(part.shape for part in parts))


def add(*terms: Expression) -> Expression:
    return terms[0] if len(terms) == 1 else Add(tuple(terms), shape=broadcast(*terms))


def negative(x: Expression) -> Expression:
    return x.x if isinstance(x, Negative) else Negative(x, shape=x.shape)


def times(*factors: Expression) -> Expression:
    return factors[0] if len(factors) == 1 else Times(tuple(factors), shape=broadcast(*factors))


def fraction(top: Expression, bottom: Expression) -> Expression:
    return Fraction(top, bottom, shape=broadcast(top, bottom))


def power(base: Expression, exponent: Expression) -> Expression:
    return Power(base, exponent, shape=broadcast(base, exponent))


def transpose(x: Expression) -> Expression:
    if isinstance(x, Transpose):
        return x.x
    if len(x.shape) < 2:
        return x
    return Transpose(x, shape=(*x.shape[:-2], x.shape[-1], x.shape[-2]))


def product(*factors: Expression) -> Expression:
    """A product of matrices, nested ones joined."""
    flat: list[Expression] = []
    for factor in factors:
        joins = isinstance(factor, Product) and len(factor.shape) >= 2
        flat.extend(factor.factors if joins and isinstance(factor, Product) else [factor])
    shape = flat[0].shape
    for factor in flat[1:]:
        shape = matmul_shape(shape, factor.shape)
    return Product(tuple(flat), shape=shape)


def matmul_shape(a: Shape, b: Shape) -> Shape:
    batch = np.broadcast_shapes(a[:-2] if len(a) > 1 else (), b[:-2] if len(b) > 1 else ())
    return (*batch, *(a[-2:-1] if len(a) > 1 else ()), *(b[-1:] if len(b) > 1 else ()))


def call(function: str, *arguments: Expression, order: int = 0) -> Expression:
    return Call(function, tuple(arguments), order, shape=broadcast(*arguments))


def substitute(expression: Expression, table: dict[Expression, Expression]) -> Expression:
    """The expression with some parts replaced by others."""
    found = table.get(expression)
    if found is not None:
        return found
    if isinstance(expression, Derivative):
        return expression
    return expression.over(lambda part: substitute(part, table))


def parts_of(expression: Expression) -> Iterator[Expression]:
    """The expression and all inside it; ∂L/∂X is one part."""
    yield expression
    if isinstance(expression, Derivative):
        return
    for child in expression.children():
        yield from parts_of(child)

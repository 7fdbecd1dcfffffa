"""Matrices written out element by element, as textbooks print them: x₁₁ w₁₁ + x₁₂ w₂₁ + …

An expression is run on arrays whose elements are expressions. Knows which operations can be written out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Expression

Elements = Callable[[Expression], "np.ndarray[Any, Any]"]


class NotExpandedError(Exception):
    """The expression has a part that is not written out."""


def letters(symbol: Expression) -> np.ndarray[Any, Any]:
    """The elements of a named array, or of its gradient: x₁₁, x₁₂ …"""
    found = np.empty(symbol.shape, object)
    for place in np.ndindex(symbol.shape):
        marks = tuple(i + 1 for i in place)
        if isinstance(symbol, x.Derivative) and isinstance(symbol.by, x.Symbol):
            by = x.Element(symbol.by, marks, shape=()) if marks else symbol.by
            found[place] = x.Derivative(symbol.of, by, shape=())
        elif isinstance(symbol, x.Symbol):
            found[place] = x.Element(symbol, marks, shape=()) if marks else symbol
        else:
            raise NotExpandedError(type(symbol).__name__)
    return found


def elements(e: Expression, named: Elements = letters) -> np.ndarray[Any, Any]:
    """The elements of an expression's value, as expressions.

    Raises:
        NotExpandedError: where a part has no elementwise form.
    """
    if isinstance(e, (x.Symbol, x.Derivative)):
        return named(e)
    if isinstance(e, x.Number):
        return _single(e)
    if isinstance(e, x.Fill):
        found = np.empty(e.shape, object)
        found[...] = x.number(e.value)
        return found
    parts = [elements(part, named) for part in e.children()]
    rule = _RULES.get(type(e))
    if rule is None:
        raise NotExpandedError(type(e).__name__)
    return rule(e, parts)


def _single(e: Expression) -> np.ndarray[Any, Any]:
    found = np.empty((), object)
    found[()] = e
    return found


def _zip(make: Callable[..., Expression], *arrays: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    spread = [np.broadcast_to(array, shape) for array in arrays]
    found = np.empty(shape, object)
    for place in np.ndindex(shape):
        found[place] = make(*(array[place] for array in spread))
    return found


def _sum(terms: list[Expression]) -> Expression:
    flat: list[Expression] = []
    for term in terms:
        flat.extend(term.terms if isinstance(term, x.Add) else [term])
    return x.add(*flat)


def _dot(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    rows, columns = np.atleast_2d(a), b[:, None] if b.ndim == 1 else b
    found = np.empty((rows.shape[0], columns.shape[1]), object)
    for i, j in np.ndindex(found.shape):
        found[i, j] = _sum([x.times(rows[i, k], columns[k, j]) for k in range(rows.shape[1])])
    shape = (*(a.shape[:-1] if a.ndim > 1 else ()), *(b.shape[1:] if b.ndim > 1 else ()))
    return found.reshape(shape)


def _product(e: Expression, parts: list[Any]) -> np.ndarray[Any, Any]:
    if any(part.ndim > 2 for part in parts):
        raise NotExpandedError("a product of stacks of matrices")
    result = parts[0]
    for part in parts[1:]:
        result = _dot(result, part)
    return result


def _reduce(e: Expression, parts: list[Any]) -> np.ndarray[Any, Any]:
    assert isinstance(e, x.Reduce)
    if e.symbol != "Σ":
        raise NotExpandedError(e.symbol)
    (body,) = parts
    kept = [i for i in range(body.ndim) if i not in e.axes]
    moved = body.transpose((*kept, *e.axes)).reshape((*(body.shape[i] for i in kept), -1))
    found = np.empty(moved.shape[:-1], object)
    for place in np.ndindex(found.shape):
        found[place] = _sum(list(moved[place]))
    return found.reshape(e.shape)


def _spread(e: Expression, parts: list[Any]) -> np.ndarray[Any, Any]:
    assert isinstance(e, x.Spread)
    sizes = [n if i in e.axes else 1 for i, n in enumerate(e.shape)]
    return np.broadcast_to(parts[0].reshape(sizes), e.shape)


def _cases(e: Expression, parts: list[Any]) -> np.ndarray[Any, Any]:
    assert isinstance(e, x.Cases)

    def make(*values: Expression) -> Expression:
        pairs = iter(values)
        branches = tuple((next(pairs), None if c is None else next(pairs)) for _, c in e.branches)
        return x.Cases(branches, shape=())

    return _zip(make, *parts)


_RULES: dict[type, Callable[[Any, list[Any]], Any]] = {
    x.Add: lambda e, parts: _zip(x.add, *parts),
    x.Negative: lambda e, parts: _zip(x.negative, *parts),
    x.Times: lambda e, parts: _zip(x.times, *parts),
    x.Fraction: lambda e, parts: _zip(x.fraction, *parts),
    x.Power: lambda e, parts: _zip(x.power, *parts),
    x.Root: lambda e, parts: _zip(lambda v: x.Root(v, shape=()), *parts),
    x.Call: lambda e, parts: (
        _zip(lambda *v: x.Call(e.function, tuple(v), e.order, e.note, shape=()), *parts)
        if not e.note and all(part.shape in ((), e.shape) for part in parts) and e.function not in _WHOLE
        else _refuse(e.function)
    ),
    x.Delimited: lambda e, parts: _zip(lambda v: x.Delimited(e.left, v, e.right, shape=()), *parts),
    x.Infix: lambda e, parts: _zip(lambda *v: x.Infix(e.symbol, tuple(v), shape=()), *parts),
    x.Indicator: lambda e, parts: _zip(lambda v: x.Indicator(v, shape=()), *parts),
    x.Product: _product,
    x.Outer: lambda e, parts: _zip(x.times, parts[0][:, None], parts[1][None, :]),
    x.Transpose: lambda e, parts: parts[0].swapaxes(-1, -2),
    x.Reduce: _reduce,
    x.Spread: _spread,
    x.Rearranged: lambda e, parts: parts[0].reshape(e.shape),
    x.Cases: _cases,
}
_WHOLE = {"softmax", "logsoftmax", "sort", "cumsum", "cumprod", "gather", "scatter", "put", "embed", "concat"}


def _refuse(name: str) -> Any:
    raise NotExpandedError(name)


def matrix(cells: np.ndarray[Any, Any]) -> Expression:
    """Elements as a matrix; a vector is one row, a number is itself."""
    if cells.ndim == 0:
        return cells[()]
    rows = cells.reshape((-1, cells.shape[-1]))
    return x.Matrix(tuple(tuple(row) for row in rows), shape=cells.shape)


def size(cells: np.ndarray[Any, Any]) -> int:
    """How many marks the elements have together."""
    return sum(cell.size for cell in cells.flat)

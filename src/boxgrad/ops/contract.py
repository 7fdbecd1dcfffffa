"""The one contraction of two arrays behind matmul, dot, einsum and tensordot.

``subscripts`` are einsum's: ``"ij,jk->ik"``. Each letter of an operand stands in the other operand or in
the result, and once in each: what einsum offers beyond that is made of sums and diagonals first. The
gradients are contractions again: dA of "A,B->Y" is "Y,B->A".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from boxgrad.graph.primitive import Contraction, Primitive
from boxgrad.record import Record
from boxgrad.types import ArrayType


def split(subscripts: str) -> tuple[str, str, str]:
    """The letters of both operands and of the result."""
    operands, result = subscripts.split("->")
    first, second = operands.split(",")
    return first, second, result


@lru_cache(maxsize=4096)
def transposed(subscripts: str, index: int) -> str:
    """The subscripts of the gradient of one operand, from (g, the other operand)."""
    first, second, result = split(subscripts)
    return f"{result},{second}->{first}" if index == 0 else f"{result},{first}->{second}"


class _Plan(Record):
    """How to run a contraction as one (batched) product of matrices."""

    batch: str
    rows: str
    inner: str
    columns: str
    first: tuple[int, ...] | None
    second: tuple[int, ...] | None
    result: tuple[int, ...] | None


def _permutation(have: str, want: str) -> tuple[int, ...] | None:
    return None if have == want else tuple(have.index(letter) for letter in want)


@lru_cache(maxsize=4096)
def _plan(subscripts: str) -> _Plan:
    """Batch letters, rows, inner letters and columns; None stands for 'no transposition needed'.

    A plain matrix is left as it is and transposed as a view, which BLAS reads without a copy.
    """
    a, b, y = split(subscripts)
    batch = "".join(c for c in y if c in a and c in b)
    rows = "".join(c for c in y if c in a and c not in b)
    columns = "".join(c for c in y if c in b and c not in a)
    inner = "".join(c for c in a if c in b and c not in y)
    if sorted(b) == sorted(batch + inner + columns):
        inner = "".join(c for c in b if c in inner) if len(inner) > 1 else inner
    return _Plan(
        batch,
        rows,
        inner,
        columns,
        _permutation(a, batch + rows + inner),
        _permutation(b, batch + inner + columns),
        _permutation(batch + rows + columns, y),
    )


def _sizes(subscripts: str, a: tuple[int, ...], b: tuple[int, ...]) -> dict[str, int]:
    """The size of every letter; an axis of size 1 is broadcast where the letter stays in the result."""
    first, second, result = split(subscripts)
    if len(first) != len(a) or len(second) != len(b):
        raise ValueError(f"subscripts {subscripts!r} do not fit shapes {a} and {b}")
    sizes = dict(zip(first, a, strict=True))
    for letter, size in zip(second, b, strict=True):
        known = sizes.get(letter, size)
        if known != size and not (letter in result and 1 in (known, size)):
            raise ValueError(
                f"shapes {a} and {b} do not fit in the product {subscripts}: "
                f"axis {letter!r} has size {known} on the left and {size} on the right"
            )
        sizes[letter] = size if known == 1 else known
    return sizes


def _contract(a: Any, b: Any, *, subscripts: str) -> Any:
    plan = _plan(subscripts)
    if not plan.batch and a.ndim == 2 and b.ndim == 2 and len(plan.inner) == 1 and plan.columns:
        left = a if plan.first is None else a.T
        right = b if plan.second is None else b.T
        if left.shape[1] != right.shape[0]:
            _sizes(subscripts, a.shape, b.shape)
        product = np.matmul(left, right)
        return product if plan.result is None else product.T
    return _general(plan, subscripts, a, b)


def _general(plan: _Plan, subscripts: str, a: Any, b: Any) -> Any:
    sizes = _sizes(subscripts, a.shape, b.shape)
    left = a if plan.first is None else a.transpose(plan.first)
    right = b if plan.second is None else b.transpose(plan.second)
    if plan.inner or plan.rows or plan.columns:
        shapes = [tuple(sizes[c] for c in part) for part in (plan.rows, plan.inner, plan.columns)]
        m, k, n = (int(np.prod(shape)) for shape in shapes)
        batches = len(plan.batch)
        left = left.reshape((*left.shape[:batches], m, k))
        right = right.reshape((*right.shape[:batches], k, n))
        product = np.matmul(left, right)
        product = product.reshape((*product.shape[:batches], *shapes[0], *shapes[2]))
    else:
        product = left * right
    if plan.result is not None:
        product = product.transpose(plan.result)
    return product if product.ndim else product[()]


def _contract_type(a: ArrayType, b: ArrayType, *, subscripts: str) -> ArrayType:
    sizes = _sizes(subscripts, a.shape, b.shape)
    shape = tuple(sizes[letter] for letter in split(subscripts)[2])
    return ArrayType(shape, np.result_type(a.dtype, b.dtype))


contract = Primitive(
    "contract",
    _contract,
    _contract_type,
    (
        lambda g, y, x, z, subscripts: contract(g, z, subscripts=transposed(subscripts, 0)),
        lambda g, y, x, z, subscripts: contract(g, x, subscripts=transposed(subscripts, 1)),
    ),
    Contraction(),
    (),
)


@lru_cache(maxsize=1024)
def matmul_subscripts(a: int, b: int) -> str:
    """The subscripts of ``np.matmul`` for operands of so many axes."""
    batch = "abcdefgh"[: max(a, b, 2) - 2]
    left = batch[len(batch) - max(a - 2, 0) :] + ("ij" if a > 1 else "j")
    right = batch[len(batch) - max(b - 2, 0) :] + ("jk" if b > 1 else "j")
    return f"{left},{right}->{batch}{'i' if a > 1 else ''}{'k' if b > 1 else ''}"

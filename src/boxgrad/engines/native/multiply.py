"""Contractions as products of matrices: joining axes, copying an operand where they cannot be joined.

Integers are multiplied and added up in a loop nest like any other reduction.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from boxgrad.engines.native import operands, product
from boxgrad.engines.native.emitters import ADD, MULTIPLY
from boxgrad.engines.native.ir import is_supported
from boxgrad.engines.native.layout import Value, fresh
from boxgrad.engines.native.lowering import Lowering, RefusedError
from boxgrad.engines.native.steps import Operand, Product, Reduction, Special
from boxgrad.graph.node import Node
from boxgrad.ops import contract as einsum


def contract(lowering: Lowering, node: Node) -> Value:
    """A product of matrices; an operand whose axes cannot be joined is copied first."""
    a, b = (lowering.value(x) for x in node.inputs)
    if not all(is_supported(x.dtype) for x in (node, *node.inputs)):
        raise RefusedError(f"products of {a.dtype} and {b.dtype} have no kernel")
    letters = einsum.split(node.parameters["subscripts"])
    if 0 in (*node.shape, *a.shape, *b.shape):
        raise RefusedError("an axis of size 0")
    sizes = dict(zip(letters[1], b.shape, strict=True))
    if any(sizes.get(c, n) != n for c, n in zip(letters[0], a.shape, strict=True)):
        raise RefusedError("an axis of size 1 that is repeated")
    if node.dtype.kind != "f":
        return _summed(lowering, node, letters, a, b)
    a, b = (value if value.dtype.kind == "f" else _compact(lowering, value, node.dtype) for value in (a, b))
    last = letters[2][_contiguous_axis(lowering, node)] if letters[2] else ""
    found = product.as_product(letters, a, b, last)
    if found is None:
        found = product.as_product(letters, _compact(lowering, a), _compact(lowering, b), last)
    if found is None:
        letters, a, b = _sorted(lowering, letters, a, b)
        found = product.as_product(letters, a, b, last)
    if found is None:
        raise RefusedError("its axes cannot be joined to rows and columns")
    made, order = found
    # Its space has the axes as they lie in memory, in which those that read a transposed result see it too.
    space = tuple(node.shape[i] for i in order)
    place = fresh(space, node.dtype)
    wanted = lowering.places.get(node)
    if wanted is not None and order == tuple(range(len(order))):
        place = wanted
    if lowering.outer is not None:
        made = _packed_outside(lowering, made)
    lowering.add("contract", space, (), None, place, product=made)
    return place.permuted([order.index(i) for i in range(len(order))])


def _summed(lowering: Lowering, node: Node, letters: tuple[str, str, str], a: Value, b: Value) -> Value:
    """A product of integers or truth values: a sum over a space with all axes, in loops without tiles."""
    first, second, result = letters
    if any(len(set(own)) < len(own) for own in letters):
        raise RefusedError("a repeated axis")
    inner = "".join(dict.fromkeys(c for c in first + second if c not in result))
    sizes = dict(zip(first + second, (*a.shape, *b.shape), strict=True))
    place = fresh(node.shape, node.dtype)

    def over(value: Value, own: str, axes: str) -> Value:
        strides = tuple(value.strides[own.index(c)] if c in own else 0 for c in axes)
        return Value(value.buffer, tuple(sizes[c] for c in axes), strides, value.offset, value.dtype)

    closest = [over(value, own, result[-1:]).strides for value, own in ((a, first), (b, second))]
    across = all(stride in (0, 1) for strides in closest for stride in strides)
    axes = result[:-1] + inner + result[-1:] if across else result + inner
    operands = tuple(Operand(over(v, own, axes), node.dtype) for v, own in ((a, first), (b, second)))
    space = tuple(sizes[c] for c in axes)
    products = fresh(space, node.dtype)
    lowering.add("contract", space, operands, MULTIPLY, products)
    reduction = Reduction(tuple(i for i, c in enumerate(axes) if c in inner), ADD, 0, node.dtype)
    lowering.add(
        "contract",
        space,
        (Operand(products, node.dtype),),
        None,
        over(place, result, axes),
        reduction=reduction,
    )
    return place


def _packed_outside(lowering: Lowering, made: Product) -> Product:
    """In a loop: an operand that stays the same is packed once, before it."""
    outer, right = lowering.outer, made.right
    if outer is None or not outer.has(right) or right.shape[0] != 1:
        return made
    key = ("panels", id(right.buffer), right.shape, right.strides, right.offset)
    target = outer.copies.get(key)
    if target is None:
        target = outer.copies[key] = operands.panels(right, made, outer.machine)
        outer.steps.append(
            Special(
                "pack", (right,), (target,),
                lambda machine, name: [operands.packer(right, target, machine, name)],
            )
        )  # fmt: skip
    return replace(made, packed=target)


def _compact(lowering: Lowering, value: Value, dtype: np.dtype[Any] | None = None) -> Value:
    dtype = dtype or value.dtype
    if value.is_contiguous and dtype == value.dtype:
        return value
    place = fresh(value.shape, dtype)
    lowering.copy(value, place)
    return place


def _sorted(
    lowering: Lowering, letters: tuple[str, str, str], a: Value, b: Value
) -> tuple[tuple[str, str, str], Value, Value]:
    """The operands with their axes in the order batch, rows, inner and batch, inner, columns."""
    first, second, result = letters
    batch = "".join(c for c in result if c in first and c in second)
    inner = "".join(c for c in first if c not in result)
    left = batch + "".join(c for c in result if c in first and c not in batch) + inner
    right = batch + inner + "".join(c for c in result if c in second and c not in batch)
    moved = [
        _compact(lowering, value.permuted([have.index(c) for c in want]))
        for value, have, want in ((a, first, left), (b, second, right))
    ]
    return (left, right, result), moved[0], moved[1]


def _contiguous_axis(lowering: Lowering, node: Node) -> int:
    """The axis of a result that should be contiguous: what is last where all its readers turn it."""
    readers = lowering.readers(node)
    axes = {
        x.parameters["axes"][-1] if x.primitive and x.primitive.name == "transpose" else -1 for x in readers
    }
    return axes.pop() if len(axes) == 1 else len(node.shape) - 1

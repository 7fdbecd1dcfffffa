"""Contractions as products of matrices: joining axes, copying an operand where they cannot be joined."""

from __future__ import annotations

from dataclasses import replace

from boxgrad.engines.native import operands, product
from boxgrad.engines.native.ir import is_supported
from boxgrad.engines.native.layout import Value, fresh
from boxgrad.engines.native.lowering import Lowering, RefusedError
from boxgrad.engines.native.steps import Product, Special
from boxgrad.graph.node import Node
from boxgrad.ops import contract as einsum


def contract(lowering: Lowering, node: Node) -> Value:
    """A product of matrices; an operand whose axes cannot be joined is copied first."""
    a, b = (lowering.value(x) for x in node.inputs)
    if node.dtype.kind != "f" or not is_supported(node.dtype):
        raise RefusedError(f"products of {node.dtype} have no kernel")
    if a.dtype.kind != "f" or b.dtype.kind != "f":
        raise RefusedError(f"products of {a.dtype} and {b.dtype} have no kernel")
    letters = einsum.split(node.parameters["subscripts"])
    if 0 in (*node.shape, *a.shape, *b.shape):
        raise RefusedError("an axis of size 0")
    sizes = dict(zip(letters[1], b.shape, strict=True))
    if any(sizes.get(c, n) != n for c, n in zip(letters[0], a.shape, strict=True)):
        raise RefusedError("an axis of size 1 that is repeated")
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


def _compact(lowering: Lowering, value: Value) -> Value:
    if value.is_contiguous:
        return value
    place = fresh(value.shape, value.dtype)
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

"""Boxes that rearrange elements: views where strides can say it, copies otherwise.

Knows keys and shapes. Positions that index arrays name are read by a look-up inside of a loop nest, and added
to by ``scatter``.
"""

from __future__ import annotations

from typing import Any

from boxgrad.engines.native import scatter
from boxgrad.engines.native.ir import is_supported
from boxgrad.engines.native.layout import Value, fresh
from boxgrad.engines.native.lowering import Lowering, Piece, RefusedError
from boxgrad.engines.native.steps import Literal, Operand, Special
from boxgrad.engines.native.vector import INT64
from boxgrad.graph.node import Node
from boxgrad.ops.index import Slot


def same(lowering: Lowering, node: Node) -> Value | Literal:
    return lowering.source(node.inputs[0])


def reshape(lowering: Lowering, node: Node) -> Value | Literal:
    source = lowering.source(node.inputs[0])
    if isinstance(source, Literal):
        return source
    view = source.reshaped(node.shape)
    if view is None:
        place = fresh(source.shape, source.dtype)
        _movable(node)
        lowering.copy(source, place, "reshape")
        view = place.reshaped(node.shape)
        assert view is not None
    return view


def transpose(lowering: Lowering, node: Node) -> Value | Literal:
    source = lowering.source(node.inputs[0])
    return source if isinstance(source, Literal) else source.permuted(node.parameters["axes"])


def broadcast(lowering: Lowering, node: Node) -> Value | Literal:
    source = lowering.source(node.inputs[0])
    return source if isinstance(source, Literal) else source.spread(node.shape)


def basic_slice(lowering: Lowering, node: Node) -> Value | Literal:
    source = lowering.source(node.inputs[0])
    return source if isinstance(source, Literal) else source.at(node.parameters["key"])


def item(lowering: Lowering, node: Node) -> Value | Literal:
    return lowering.source(node)


def _movable(node: Node) -> None:
    if not is_supported(node.dtype):
        raise RefusedError(f"kernels do not move {node.dtype}")


def concatenate(lowering: Lowering, node: Node) -> Value:
    _movable(node)
    place = fresh(node.shape, node.dtype)
    axis, start = node.parameters["axis"], 0
    for x in node.inputs:
        lowering.within(x, node.dtype)
        part = place.at((slice(None),) * axis + (slice(start, start + x.shape[axis]),))
        lowering.copy(lowering.source(x), part, "concatenate", apart=True)
        start += x.shape[axis]
    return place


def embed(lowering: Lowering, node: Node) -> None:
    _movable(node)
    lowering.in_pieces(node, [Piece(lowering.source(node.inputs[0]), node.parameters["key"])])


def put_slice(lowering: Lowering, node: Node) -> Value:
    _movable(node)
    x, z = node.inputs
    place = fresh(node.shape, node.dtype)
    part = place.at(node.parameters["key"])
    lowering.copy(lowering.source(x), place, "put_slice")
    source = lowering.source(z)
    lowering.copy(source if isinstance(source, Literal) else source.spread(part.shape), part, "put_slice")
    return place


def gather(lowering: Lowering, node: Node) -> Value:
    """Index arrays on the first axes of a table, in order; the rest of the table follows."""
    x, *indices = node.inputs
    key, source = node.parameters["key"], lowering.source(x)
    count = len(indices)
    if (
        not _on_first_axes(key, count)
        or isinstance(source, Literal)
        or 0 in x.shape
        or not is_supported(x.dtype)
    ):
        raise RefusedError("only index arrays on the first axes have a kernel")
    rest = len(x.shape) - count
    where = node.shape[: len(node.shape) - rest]
    operands = []
    for index in indices:
        if index.dtype.kind not in "iu":
            raise RefusedError(f"indices of {index.dtype} have no kernel")
        found = lowering.value(index)
        found = found.spread(where)
        strides = found.strides + (0,) * rest
        operands.append(Operand(Value(found.buffer, node.shape, strides, found.offset, found.dtype), INT64))
    strides = (0,) * len(where) + source.strides[count:]
    over = Value(source.buffer, node.shape, strides, source.offset, source.dtype)
    place = fresh(node.shape, node.dtype)
    lowering.add(
        "gather", node.shape, tuple(operands), None, place,
        lookup=over, limits=x.shape[:count], steps=source.strides[:count],
    )  # fmt: skip
    return place


def scatter_add(lowering: Lowering, node: Node) -> Value:
    x, *indices = node.inputs
    _movable(node)
    count, source = len(indices), lowering.value(x)
    if not _on_first_axes(node.parameters["key"], count) or any(i.dtype.kind not in "iu" for i in indices):
        raise RefusedError("only index arrays on the first axes have a kernel")
    place = fresh(node.shape, node.dtype)
    lowering.copy(Literal(0, node.dtype), place, "zeros")
    rest = len(node.shape) - count
    where = x.shape[: len(x.shape) - rest]
    reads = [lowering.value(index).spread(where) for index in indices]
    lowering.steps.append(
        Special(
            "scatter_add", (source, *reads, place), (place,),
            lambda machine, name: [scatter.kernel(source, reads, place, machine, name)],
        )
    )  # fmt: skip
    return place


def _on_first_axes(key: Any, count: int) -> bool:
    """Whether a key has its index arrays first, in order, and nothing but whole axes after them."""
    rest = all(item is Ellipsis or item == slice(None) for item in key[count:])
    return rest and key[:count] == tuple(Slot(i) for i in range(count))

"""Boxes that rearrange elements: views where strides can say it, copies otherwise.

Knows keys and shapes. Positions that index arrays name are read by a look-up inside of a loop nest, and added
to by ``scatter``.
"""

from __future__ import annotations

from boxgrad.engines.native import keys, scatter
from boxgrad.engines.native.emitters import ADD, Emitter
from boxgrad.engines.native.ir import is_supported
from boxgrad.engines.native.layout import Value, fresh
from boxgrad.engines.native.lowering import Lowering, Piece, RefusedError
from boxgrad.engines.native.steps import Literal, Operand, Special
from boxgrad.engines.native.vector import INT64
from boxgrad.graph.node import Node


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
    """What index arrays name: a look-up at every position of the result."""
    x, *indices = node.inputs
    source = lowering.source(x)
    if isinstance(source, Literal) or 0 in x.shape or not is_supported(x.dtype):
        raise RefusedError(f"there is no looking up in {x.dtype} of shape {x.shape}")
    keyed = keys.read(lowering, node.parameters["key"], source, tuple(indices))
    count, rest = len(indices), len(keyed.rest)
    around = (*keyed.where, *keyed.rest)
    operands: list[Operand] = []
    for index in keyed.indices:
        over = Value(index.buffer, around, index.strides + (0,) * rest, index.offset, index.dtype)
        operands.append(Operand(keyed.outward(over), INT64))
    table = keyed.table
    over = Value(
        table.buffer, around, (0,) * len(keyed.where) + table.strides[count:], table.offset, table.dtype
    )
    place = fresh(node.shape, node.dtype)
    lowering.add(
        "gather", node.shape, tuple(operands), None, place,
        lookup=keyed.outward(over), limits=table.shape[:count], steps=table.strides[:count],
    )  # fmt: skip
    return place


def scatter_add(lowering: Lowering, node: Node) -> Value:
    x, *indices = node.inputs
    _movable(node)
    place = fresh(node.shape, node.dtype)
    keyed = keys.read(lowering, node.parameters["key"], place, tuple(indices))
    lowering.copy(Literal(0, node.dtype), place, "zeros")
    _scatter(lowering, "scatter_add", keyed, lowering.value(x), place, ADD)
    return place


def put(lowering: Lowering, node: Node) -> Value:
    x, z, *indices = node.inputs
    _movable(node)
    if not is_supported(z.dtype):
        raise RefusedError(f"kernels do not put {z.dtype}")
    place = fresh(node.shape, node.dtype)
    keyed = keys.read(lowering, node.parameters["key"], place, tuple(indices))
    lowering.copy(lowering.source(x), place, "put")
    lowering.within(z, node.dtype)
    _scatter(lowering, "put", keyed, lowering.value(z).spread(keyed.shape), place, lambda e, old, new: new)
    return place


def _scatter(
    lowering: Lowering, label: str, keyed: keys.Keyed, x: Value, place: Value, combine: Emitter
) -> None:
    source, reads = keyed.inward(x.spread(keyed.shape)), keyed.indices
    lowering.steps.append(
        Special(
            label, (source, *reads, place), (place,),
            lambda machine, name: [scatter.kernel(label, source, reads, keyed.table, combine, machine, name)],
        )
    )  # fmt: skip

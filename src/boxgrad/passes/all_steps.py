"""One box of a loop's body, computed for all steps at once.

Values that vary from step to step have the steps as their first axis; the others are as they are in the body.
Knows what becomes of the parameters of a box when its operands get that axis; a box of which it does not know
this stays in its loop.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from boxgrad.graph.node import Node, rebuilt
from boxgrad.ops import elementwise, reduce
from boxgrad.ops.contract import contract, split
from boxgrad.ops.index import Slot, gather
from boxgrad.ops.index import slice as basic_slice
from boxgrad.ops.shape import broadcast, reshape, transpose
from boxgrad.trace.apply import apply

REDUCTIONS = (reduce.sum, reduce.max, reduce.min, reduce.prod)
POINTWISE = (elementwise.where, elementwise.cast, elementwise.identity, elementwise.stop_gradient)


def is_pointwise(node: Node) -> bool:
    """Whether each element of a result is made of one element of every operand."""
    primitive = node.primitive
    return primitive is not None and (
        primitive in POINTWISE
        or (isinstance(primitive.meaning, np.ufunc) and primitive.meaning.signature is None)
    )


def is_known(node: Node, varying: tuple[bool, ...]) -> bool:
    """Whether a box can be computed for all steps at once, given which operands vary."""
    primitive = node.primitive
    if node.weak or node.items is not None:
        return False
    if primitive is gather:
        key = node.parameters["key"]
        slots = sum(isinstance(item, Slot) for item in key)
        first = key[:slots] == tuple(Slot(i) for i in range(slots))
        whole = all(item is Ellipsis or item == slice(None) for item in key[slots:])
        return first and whole and not varying[0]
    return (
        is_pointwise(node)
        or primitive in (contract, reshape, transpose, broadcast, basic_slice)
        or primitive in REDUCTIONS
    )


def for_all_steps(node: Node, known: Mapping[Node, tuple[Node, bool]], steps: int) -> Node:
    """The box on operands outside of the loop; ``known`` says where each is and whether it varies."""
    operands = [known[x] for x in node.inputs]
    sources = [x for x, _ in operands]
    varying = [varies for _, varies in operands]
    primitive, parameters = node.primitive, node.parameters
    assert primitive is not None
    if not any(varying):
        return rebuilt(node, tuple(sources), parameters)
    if primitive is contract:
        return apply(contract, sources, {"subscripts": with_time(node, varying, True)})
    if primitive is reshape:
        parameters = {"shape": (steps, *parameters["shape"])}
    elif primitive is transpose:
        parameters = {"axes": (0, *(axis + 1 for axis in parameters["axes"]))}
    elif primitive is basic_slice:
        parameters = {"key": (slice(None), *parameters["key"])}
    elif primitive in REDUCTIONS:
        parameters = {**parameters, "axis": tuple(axis + 1 for axis in parameters["axis"])}
    elif primitive is gather:
        table, *indices = sources
        rank = max(len(x.shape) for x in node.inputs[1:])
        pairs = zip(indices, varying[1:], strict=True)
        sources = [table, *(_aligned(x, rank) if varies else x for x, varies in pairs)]
    else:
        rank = len(node.shape)
        sources = [_aligned(x, rank) if v else x for x, v in zip(sources, varying, strict=True)]
        if primitive is broadcast:
            parameters = {"shape": (steps, *parameters["shape"])}
    return apply(primitive, sources, parameters)


def with_time(node: Node, varying: list[bool], kept: bool) -> str:
    """The subscripts of a product over all steps, which are an axis of the result or are summed."""
    subscripts = node.parameters["subscripts"]
    first, second, result = split(subscripts)
    time = next(c for c in "tTsSuU" if c not in subscripts)
    first, second = ((time if v else "") + c for v, c in zip(varying, (first, second), strict=True))
    return f"{first},{second}->{time if kept else ''}{result}"


def _aligned(x: Node, rank: int) -> Node:
    """A value with the steps first, and after them as many axes as the result has."""
    missing = rank - (len(x.shape) - 1)
    if missing <= 0:
        return x
    return apply(reshape, (x,), {"shape": (x.shape[0], *(1,) * missing, *x.shape[1:])})

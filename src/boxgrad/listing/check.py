"""Well-typedness: every node has the type that its primitive's rule gives for its inputs."""

from __future__ import annotations

from boxgrad.errors import GraphError
from boxgrad.graph.node import Graph, Node
from boxgrad.listing.names import names
from boxgrad.types import ArrayType


def check(graph: Graph) -> Graph:
    """Return the graph if it is well formed.

    Raises:
        GraphError: the first node whose declared type is not what its inputs give, an input that comes
            after its user, a constant whose value is not of its type, or a loop whose carry changes.
    """
    called = names(graph.nodes)
    known = set(graph.inputs)
    for node in graph.nodes[len(graph.inputs) :]:
        where = f"{called[node]}: {node.type!r}"
        if node.primitive is None:
            if ArrayType.of(node.value) != node.type:
                raise GraphError(f"{where} is a constant of type {ArrayType.of(node.value)!r}")
        else:
            if any(x not in known for x in node.inputs):
                raise GraphError(f"{where} uses a value that is not computed before it")
            _check_type(node, where)
            for value in node.parameters.values():
                if isinstance(value, Graph):
                    _check_inside(node, value, where)
        known.add(node)
    return graph


def _check_type(node: Node, where: str) -> None:
    assert node.primitive is not None
    inputs = [x.items or ArrayType(x.shape, x.dtype, x.weak) for x in node.inputs]
    try:
        expected = node.primitive.type_rule(*inputs, **node.parameters)
    except (ValueError, TypeError, IndexError) as error:
        raise GraphError(f"{where}: {node.primitive.name}{tuple(inputs)} has no type: {error}") from error
    strong = ArrayType(node.shape, node.dtype) if node.items is None else node.items
    if expected not in (node.type, strong):
        raise GraphError(f"{where}: {node.primitive.name}{tuple(inputs)} gives {expected!r}")


def _check_inside(node: Node, body: Graph, where: str) -> None:
    check(body)
    first, count = node.parameters["constants"], node.parameters["carries"]
    for before, after in zip(body.inputs[first : first + count], body.outputs, strict=False):
        if (before.shape, before.dtype) != (after.shape, after.dtype):
            raise GraphError(f"{where}: the carry is {before.type!r} before a step and {after.type!r} after")
    if len(body.inputs) != len(node.inputs):
        raise GraphError(f"{where}: the body has {len(body.inputs)} inputs, the loop {len(node.inputs)}")

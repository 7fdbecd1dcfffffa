"""Loops unrolled: every step of a ``scan`` becomes boxes of its own, with its values and its gradients.

Knows graphs and loops; knows nothing of any view.
"""

from __future__ import annotations

from typing import Any

from boxgrad.explain.boxes import Model, group
from boxgrad.explain.gradients import derive
from boxgrad.graph.node import Graph, Node, Scope
from boxgrad.ops import control
from boxgrad.ops.index import slice as part
from boxgrad.ops.shape import concatenate, reshape
from boxgrad.trace.apply import apply, noting


def unrolled(model: Model) -> Model:
    """A model with its loops unrolled, derived anew; the model itself where it has none.

    The unrolled boxes compute what the loop computed, so the numbers stay the same.
    """
    nodes = model.graph.nodes
    if not any(node.primitive is control.loop for node in nodes):
        return model
    new: dict[Node, Any] = {node: node for node in model.graph.inputs}
    for node in nodes:
        if node in new:
            continue
        if node.primitive is None:
            new[node] = node
        elif node.primitive is control.loop:
            new[node] = _steps(node, [new[x] for x in node.inputs])
        elif node.primitive is control.item:
            found = new[node.inputs[0]]
            index = node.parameters["index"]
            new[node] = found[index] if isinstance(found, list) else _again(node, [found], node.scope)
        else:
            new[node] = _again(node, [new[x] for x in node.inputs], node.scope)
    graph = Graph(model.graph.inputs, tuple(new[node] for node in model.graph.outputs))
    made = group(graph, [value.node for value in model.wrt])
    derive(made)
    return made


def _own(scope: Scope | None, outer: Scope | None, known: dict[Scope, Scope]) -> Scope | None:
    """The scope of a box within one step of a loop: boxed functions called in each step are boxes of each."""
    if scope is None or scope is outer:
        return outer
    if scope not in known:
        known[scope] = Scope(scope.name, _own(scope.parent, outer, known), scope.origin)
    return known[scope]


def _again(node: Node, inputs: list[Node], scope: Scope | None) -> Node:
    """The same box on other inputs, at the same place of the user's code, with its value."""
    assert node.primitive is not None
    with noting(origin=node.origin, scope=scope):
        made = apply(node.primitive, inputs, node.parameters)
    made.label = node.label
    made.derived = False
    return made


def _steps(loop: Node, inputs: list[Node]) -> list[Node]:
    """The results of a loop, computed step by step."""
    body: Graph = loop.parameters["body"]
    fixed, carries = loop.parameters["constants"], loop.parameters["carries"]
    length, backwards = loop.parameters["length"], loop.parameters["reverse"]
    constants, carry = inputs[:fixed], inputs[fixed : fixed + carries]
    sequences = inputs[fixed + carries :]
    rows: list[list[Node]] = [[] for _ in body.outputs[carries:]]
    order = range(length)
    for t in reversed(order) if backwards else order:
        scopes: dict[Scope, Scope] = {}
        steps = [_row(x, t, loop) for x in sequences]
        known: dict[Node, Node] = dict(zip(body.inputs, [*constants, *carry, *steps], strict=True))
        for node in body.nodes:
            if node not in known:
                known[node] = node
                if node.primitive is not None:
                    scope = _own(node.scope, loop.scope, scopes)
                    known[node] = _again(node, [known[x] for x in node.inputs], scope)
        results = [known[node] for node in body.outputs]
        carry = results[:carries]
        for row, result in zip(rows, results[carries:], strict=True):
            row.append(result)
    return [*carry, *(_stacked(row[::-1] if backwards else row, loop) for row in rows)]


def _row(x: Node, t: int, loop: Node) -> Node:
    with noting(origin=(), scope=loop.scope):
        return apply(part, [x], {"key": (t,)})


def _stacked(row: list[Node], loop: Node) -> Node:
    with noting(origin=(), scope=loop.scope):
        parts = [apply(reshape, [node], {"shape": (1, *node.shape)}) for node in row]
        return apply(concatenate, parts, {"axis": 0})

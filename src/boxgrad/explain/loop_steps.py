"""A loop computed step by step: its body's boxes once for each step, with their values.

Knows graphs and loops; knows nothing of names and views.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from boxgrad.graph.node import Graph, Node, Scope
from boxgrad.ops.index import slice as part
from boxgrad.ops.shape import concatenate, reshape
from boxgrad.trace.apply import apply, noting


def loop_results(
    loop: Node,
    inputs: list[Node],
    step_scope: Callable[[int], Scope | None],
    visit: Callable[[int, Mapping[Node, Node]], None] = lambda t, known: None,
    around: Scope | None = None,
) -> list[Node]:
    """The results of a loop as its steps make them.

    ``step_scope`` is the scope in which step t is computed, ``around`` that of what is put together after the
    loop; ``visit`` is told after each step which node each node of the body has become.
    """
    body: Graph = loop.parameters["body"]
    fixed, carries = loop.parameters["constants"], loop.parameters["carries"]
    length, backwards = loop.parameters["length"], loop.parameters["reverse"]
    constants, carry = inputs[:fixed], inputs[fixed : fixed + carries]
    sequences = inputs[fixed + carries :]
    rows: list[list[Node]] = [[] for _ in body.outputs[carries:]]
    order = range(length)
    for t in reversed(order) if backwards else order:
        scopes: dict[Scope, Scope] = {}
        step = step_scope(t)
        steps = [_row(x, t, step) for x in sequences]
        known: dict[Node, Node] = dict(zip(body.inputs, [*constants, *carry, *steps], strict=True))
        for node in body.nodes:
            if node not in known:
                known[node] = node
                if node.primitive is not None:
                    scope = scope_in_step(node.scope, loop.scope, step, scopes)
                    known[node] = again(node, [known[x] for x in node.inputs], scope)
        visit(t, known)
        results = [known[node] for node in body.outputs]
        carry = results[:carries]
        for row, result in zip(rows, results[carries:], strict=True):
            row.append(result)
    return [*carry, *(_stacked(row[::-1] if backwards else row, around) for row in rows)]


def scope_in_step(
    scope: Scope | None, outer: Scope | None, step: Scope | None, known: dict[Scope, Scope]
) -> Scope | None:
    """The scope of a box within one step of a loop: boxed functions called in each step are boxes of each."""
    if scope is None or scope is outer:
        return step
    if scope not in known:
        known[scope] = Scope(scope.name, scope_in_step(scope.parent, outer, step, known), scope.origin)
    return known[scope]


def again(node: Node, inputs: list[Node], scope: Scope | None) -> Node:
    """The same box on other inputs, at the same place of the user's code, with its value."""
    assert node.primitive is not None
    with noting(origin=node.origin, scope=scope):
        made = apply(node.primitive, inputs, node.parameters)
    made.label = node.label
    made.derived = False
    return made


def _row(x: Node, t: int, step: Scope | None) -> Node:
    with noting(origin=(), scope=step):
        return apply(part, [x], {"key": (t,)})


def _stacked(row: list[Node], scope: Scope | None) -> Node:
    with noting(origin=(), scope=scope):
        parts = [apply(reshape, [node], {"shape": (1, *node.shape)}) for node in row]
        return apply(concatenate, parts, {"axis": 0})

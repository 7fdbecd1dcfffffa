"""A function's model with its loops unrolled: every step of a ``scan`` becomes boxes like any others.

Knows models and loops; knows no mistake.
"""

from __future__ import annotations

from typing import Any

from boxgrad.explain.boxes import Model, group
from boxgrad.explain.gradients import derive
from boxgrad.explain.loop_steps import again, loop_results
from boxgrad.graph.node import Graph, Node
from boxgrad.ops import control


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
            continue
        inputs = [new[x] for x in node.inputs]
        if node.primitive is control.loop:
            new[node] = _steps(node, inputs)
        elif node.primitive is control.item and isinstance(inputs[0], list):
            new[node] = inputs[0][node.parameters["index"]]
        else:
            new[node] = again(node, inputs, node.scope)
    graph = Graph(model.graph.inputs, tuple(new[node] for node in model.graph.outputs))
    made = group(graph, [value.node for value in model.wrt])
    derive(made)
    return made


def _steps(loop: Node, inputs: list[Node]) -> list[Node]:
    return loop_results(loop, inputs, lambda t: loop.scope, around=loop.scope)

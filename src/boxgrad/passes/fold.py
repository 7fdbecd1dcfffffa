"""Constant folding: what does not depend on the inputs becomes a constant.

The tracer has computed such values already, for a box whose inputs are known is computed at once.
"""

from __future__ import annotations

from boxgrad.graph.node import Graph, Node, constant_node
from boxgrad.graph.walk import rewrite
from boxgrad.ops import control


def fold(graph: Graph) -> Graph:
    """Replace known values by constants, and boxes that change nothing by their argument."""

    def rule(node: Node) -> Node | None:
        if node.primitive is not None and node.primitive.name == "identity":
            return node.inputs[0]
        if node.value is not None and node.items is None:
            return constant_node(node.value, node.label)
        if node.primitive is control.item and node.inputs[0].value is not None:
            return constant_node(node.inputs[0].value[node.parameters["index"]])
        return None

    return rewrite(graph, rule)

"""Dead code inside loops: outputs of a scan that nothing reads are not computed.

Outside of loops nothing needs to be done, for a graph is what its outputs depend on.
"""

from __future__ import annotations

from boxgrad.graph.node import Graph, Node, ordered
from boxgrad.graph.walk import rewrite
from boxgrad.ops import control
from boxgrad.trace.apply import apply, noting


def prune(graph: Graph) -> Graph:
    """Drop the unread outputs of every scan, and then the inputs that its body no longer reads."""
    read: dict[Node, set[int]] = {}
    for node in graph.nodes:
        if node.primitive is control.item:
            read.setdefault(node.inputs[0], set()).add(node.parameters["index"])
    smaller: dict[Node, dict[int, int]] = {}

    def rule(node: Node) -> Node | None:
        if node.primitive is control.item:
            moved = smaller.get(node.inputs[0])
            if moved is None:
                return None
            with noting(origin=node.origin, scope=node.scope):
                return apply(control.item, node.inputs, {"index": moved[node.parameters["index"]]})
        return None

    def loops(node: Node) -> Node | None:
        if node.primitive is not control.loop:
            return rule(node)
        return _smaller(node, wanted.pop(0), smaller)

    wanted = [read.get(node, set()) for node in graph.nodes if node.primitive is control.loop]
    return rewrite(graph, loops)


def _smaller(node: Node, read: set[int], smaller: dict[Node, dict[int, int]]) -> Node:
    """The scan with only the outputs in ``read``; every carry stays, for the loop needs it."""
    body: Graph = prune(node.parameters["body"])
    fixed, carries = node.parameters["constants"], node.parameters["carries"]
    kept = [*range(carries), *(i for i in range(carries, len(body.outputs)) if i in read)]
    outputs = tuple(body.outputs[i] for i in kept)
    used = set(ordered(outputs, body.inputs))
    places = [i for i, x in enumerate(body.inputs) if x in used or fixed <= i < fixed + carries]
    parameters = {
        **node.parameters,
        "body": Graph(tuple(body.inputs[i] for i in places), outputs),
        "constants": sum(i < fixed for i in places),
    }
    with noting(origin=node.origin, scope=node.scope):
        made = apply(control.loop, [node.inputs[i] for i in places], parameters)
    smaller[made] = {old: new for new, old in enumerate(kept)}
    return made

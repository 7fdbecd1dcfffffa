"""Values that one loop saves for another and that cost less to compute again than to keep.

A derivative reads what the forward loop has saved. Of a gate ``i = 0.5 t + 0.5`` both i and t may be saved;
one multiplication and one addition on t are cheaper than a second array of all steps, which has to be written
and read. Knows arithmetic with numbers only: nothing is rounded another way.
"""

from __future__ import annotations

from collections.abc import Mapping

from boxgrad.graph.node import Graph, Node, input_node, rebuilt
from boxgrad.graph.walk import substitute
from boxgrad.ops import control
from boxgrad.passes.rows import AFFINE, on_inputs
from boxgrad.trace.apply import apply, noting
from boxgrad.types import ArrayType

MOST = 3
"""Boxes that are computed again rather than kept."""


def recompute(graph: Graph) -> Graph:
    """In loops, compute again what is simple arithmetic on another value that an earlier loop keeps."""
    nodes = graph.nodes
    if not any(node.primitive is control.loop for node in nodes):
        return graph
    new: dict[Node, Node] = {node: node for node in graph.inputs}
    for node in nodes:
        if node in new:
            continue
        if node.primitive is None:
            new[node] = node
            continue
        moved = on_inputs(node, new)
        if node.primitive is control.loop:
            with noting(origin=node.origin, scope=node.scope):
                moved = _fewer_streams(moved)
        new[node] = moved
    return Graph(graph.inputs, tuple(new[node] for node in graph.outputs))


def _fewer_streams(node: Node) -> Node:
    p = node.parameters
    body: Graph = p["body"]
    first = p["constants"] + p["carries"]
    streams = dict(zip(body.inputs[first:], node.inputs[first:], strict=True))
    known = {outer: inner for inner, outer in streams.items()}
    stands: dict[Node, Node] = {}
    for inner, outer in streams.items():
        if outer.primitive is not control.item or outer.inputs[0].primitive is not control.loop:
            continue
        loop, number = outer.inputs[0], outer.parameters["index"]
        made: Graph = loop.parameters["body"]
        kept = {x: i for i, x in enumerate(made.outputs) if i >= loop.parameters["carries"]}
        value = made.outputs[number]
        found = _from_another(value, kept) if number >= loop.parameters["carries"] else None
        if found is None:
            continue
        base, boxes = found
        whole = _item(loop, kept[base], known)
        if whole not in known:
            known[whole] = input_node(ArrayType(base.shape, base.dtype))
        again: dict[Node, Node] = {base: known[whole]}
        for box in boxes:
            again[box] = rebuilt(box, tuple(again.get(x, x) for x in box.inputs), box.parameters)
        stands[inner] = again[value]
    if not stands:
        return node
    outputs = substitute(body.outputs, stands)
    pairs = [(inner, outer) for outer, inner in known.items() if inner not in stands]
    inputs = (*body.inputs[:first], *(inner for inner, _ in pairs))
    sources = (*node.inputs[:first], *(outer for _, outer in pairs))
    return apply(control.loop, sources, {**p, "body": Graph(inputs, outputs)})


def _item(loop: Node, index: int, known: Mapping[Node, Node]) -> Node:
    """The result of that number: a node that the loop reads already, if there is one."""
    for outer in known:
        if outer.primitive is control.item and outer.inputs[0] is loop and outer.parameters["index"] == index:
            return outer
    return apply(control.item, (loop,), {"index": index})


def _from_another(value: Node, kept: Mapping[Node, int]) -> tuple[Node, list[Node]] | None:
    """A kept value of which this one is simple arithmetic with numbers, and the boxes from it to here."""
    boxes: list[Node] = []
    node = value
    while len(boxes) < MOST and node.primitive in AFFINE and node.shape == value.shape:
        arrays = [x for x in node.inputs if not x.is_number]
        if len(set(arrays)) != 1 or arrays[0].shape != node.shape or arrays[0].dtype != node.dtype:
            return None
        boxes.insert(0, node)
        node = arrays[0]
        if node in kept:
            return node, boxes
    return None

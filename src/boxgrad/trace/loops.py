"""Tracing a loop: its body is traced once, on types, and becomes a graph of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from boxgrad import tree
from boxgrad.boxed import Tracer, activate
from boxgrad.errors import ShapeError
from boxgrad.graph.node import Graph, Node, input_node, ordered, rebuilt
from boxgrad.ops import control
from boxgrad.trace.apply import apply, context, lift
from boxgrad.trace.arguments import result_nodes
from boxgrad.trace.box import Box, OwnBox, wrap
from boxgrad.types import ArrayType

Prepare = Callable[[Graph, range], Graph]
"""Rewrites the body of a scan, given which of its inputs are the carry."""


def traced_scan(
    tracing: Tracer, prepare: Prepare | None, cell: Any, init: Any, xs: Any, length: int, reverse: bool
) -> Any:
    """Trace the body of a loop once, on types, and make the loop one node."""
    init_leaves, init_structure = tree.flatten(init)
    xs_leaves, xs_structure = tree.flatten(xs)
    starts = [leaf.node if isinstance(leaf, Box) else lift(leaf) for leaf in init_leaves]
    streams = [leaf.node if isinstance(leaf, Box) else lift(np.asarray(leaf)) for leaf in xs_leaves]
    starts, outputs, structure, carried = _settled(
        tracing, cell, starts, init_structure, streams, xs_structure
    )
    inputs = (*carried, *outputs[2])
    body, outer = closed(inputs, (*outputs[0], *outputs[1]))
    if prepare is not None:
        body = prepare(body, range(len(outer), len(outer) + len(starts)))
    node = apply(
        control.loop,
        (*outer, *starts, *streams),
        {"body": body, "constants": len(outer), "carries": len(starts), "length": length, "reverse": reverse},
    )
    wanted = len(starts) + len(outputs[1])
    parts = [wrap(apply(control.item, (node,), {"index": i})) for i in range(wanted)]
    carry = tree.unflatten(init_structure, parts[: len(starts)])
    return carry, tree.unflatten(structure, parts[len(starts) :])


def _settled(
    tracing: Tracer,
    cell: Any,
    starts: list[Node],
    init_structure: Any,
    streams: list[Node],
    xs_structure: Any,
) -> Any:
    """Trace the body; a carry that starts narrower than it goes on is cast first (0 before floats).

    A Python number takes the dtype of what it meets in the first step, as it would without tracing.
    """
    for attempt in range(3):
        carried = tuple(input_node(ArrayType(x.shape, x.dtype, x.weak)) for x in starts)
        steps = tuple(input_node(ArrayType(x.shape[1:], x.dtype)) for x in streams)
        before, context.body = context.body, next((node.number for node in (*carried, *steps)), context.body)
        try:
            with activate(tracing):
                carry, ys = cell(
                    tree.unflatten(init_structure, [OwnBox(node, scalar=False) for node in carried]),
                    tree.unflatten(xs_structure, [OwnBox(node, scalar=False) for node in steps]),
                )
        finally:
            context.body = before
        after, after_structure, _ = result_nodes(carry)
        made, structure, _ = result_nodes(ys)
        if after_structure != init_structure:
            raise ShapeError.because(
                "scan: the cell returned a carry of another structure than it was given",
                f"it was given {init_structure} and returned {after_structure}",
                "return carry, output — the carry first, in the containers it came in",
            )
        wrong = [
            (a, b)
            for a, b in zip(starts, after, strict=True)
            if (a.shape, a.dtype, a.weak) != (b.shape, b.dtype, False)
        ]
        if not wrong:
            return starts, (after, made, steps), structure, carried
        if attempt == 2 or any(a.shape != b.shape for a, b in wrong):
            a, b = wrong[0]
            raise ShapeError.because(
                f"scan: the carry starts as {a.type!r} and is {b.type!r} after a step",
                "the loop runs many times, so the carry must keep its shape and dtype",
                f"an initial carry of type {b.type!r}",
            )
        starts = [
            a
            if a.dtype == b.dtype and not a.weak
            else wrap(a).astype(b.dtype if a.weak else np.result_type(a.dtype, b.dtype)).node
            for a, b in zip(starts, after, strict=True)
        ]
    raise AssertionError("unreachable")


def closed(inputs: Sequence[Node], outputs: Sequence[Node]) -> tuple[Graph, tuple[Node, ...]]:
    """A graph without references to the outside: values that do not depend on the inputs come first.

    Returns the graph, whose first inputs stand for the outer nodes, and those nodes. What does not depend
    on the inputs is thereby computed once, outside of the loop; Python numbers stay inside.
    """
    known = set(inputs)
    inside: set[Node] = set(known)
    outer: dict[Node, Node] = {}
    new: dict[Node, Node] = {}
    nodes = ordered(outputs, inputs)
    for node in nodes:
        if node not in known and any(x in inside for x in node.inputs):
            inside.add(node)
    for node in nodes:
        if node in known or node not in inside:
            continue
        for x in node.inputs:
            _import(x, inside, outer)
    for node in outputs:
        _import(node, inside, outer)
    for node in nodes:
        if node in known or node in outer or node not in inside:
            new[node] = outer.get(node, node)
            continue
        moved = tuple(new.get(x, outer.get(x, x)) for x in node.inputs)
        same = all(a is b for a, b in zip(moved, node.inputs, strict=True))
        new[node] = node if same else rebuilt(node, moved, node.parameters)
    graph = Graph((*outer.values(), *inputs), tuple(new.get(node, node) for node in outputs))
    return graph, tuple(outer)


def _import(node: Node, inside: set[Node], outer: dict[Node, Node]) -> None:
    if node in inside or node in outer or node.is_number:
        return
    outer[node] = input_node(ArrayType(node.shape, node.dtype, node.weak), node.label)

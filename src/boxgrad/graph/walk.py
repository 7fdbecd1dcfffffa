"""Walking a graph: which nodes depend on which, and rewriting by substitution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter

from boxgrad.graph.node import Graph, Node, ordered, rebuilt


def depending(outputs: Iterable[Node], sources: Iterable[Node]) -> list[Node]:
    """The nodes on a path from ``sources`` to ``outputs``, in topological order.

    Nodes older than every source cannot depend on one, so the walk does not enter them.
    """
    active = set(sources)
    if not active:
        return []
    first = min(node.number for node in active)
    seen: set[Node] = set()
    stack = [node for node in outputs if node.number >= first]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            if node not in active:
                stack.extend([x for x in node.inputs if x.number >= first])
    found: list[Node] = []
    for node in sorted(seen, key=attrgetter("number")):
        if node in active:
            found.append(node)
            continue
        for x in node.inputs:
            if x in active:
                active.add(node)
                found.append(node)
                break
    return found


def substitute(outputs: Iterable[Node], replacements: Mapping[Node, Node]) -> tuple[Node, ...]:
    """The outputs with some nodes replaced, rebuilding what depends on them."""
    outputs = tuple(outputs)
    new: dict[Node, Node] = dict(replacements)
    for node in ordered(outputs, replacements):
        if node not in new:
            inputs = tuple(new.get(x, x) for x in node.inputs)
            same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
            new[node] = node if same else rebuilt(node, inputs, node.parameters)
    return tuple(new[node] for node in outputs)


def rewrite(graph: Graph, rule: Callable[[Node], Node | None]) -> Graph:
    """Rebuild a graph bottom-up; ``rule`` may answer a node (on new inputs) with another node."""
    new: dict[Node, Node] = {node: node for node in graph.inputs}
    for node in graph.nodes:
        if node in new:
            continue
        inputs = tuple(new[x] for x in node.inputs)
        same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        moved = node if same else rebuilt(node, inputs, node.parameters)
        new[node] = rule(moved) or moved
    return Graph(graph.inputs, tuple(new[node] for node in graph.outputs))

"""A model as a list of edges: for each box and input, the graph of what the box adds to the input's gradient.

Closed boxes are opened. The numbers at a point are those of every node of the forward pass; going backwards over
the edges gives the gradient of every named value. An edge may be replaced, which is how a mistake is tried out.
Knows models and graphs; knows no mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from boxgrad.explain.boxes import Box, Model, Value
from boxgrad.graph.node import Node, ordered

Array = np.ndarray[Any, Any]
Numbers = dict[Node, Any]
Replacement = Callable[[Numbers], Any]
"""What an edge gives instead, from the numbers of the forward pass and of the gradient leaves."""


def compute(nodes: Iterable[Node], numbers: Numbers) -> None:
    """The values of nodes, inputs first, into ``numbers``."""
    for node in nodes:
        if node in numbers:
            continue
        if node.primitive is None:
            numbers[node] = node.value
            continue
        result: Any = node.primitive.meaning(*[numbers[x] for x in node.inputs], **node.parameters)
        numbers[node] = np.asarray(result).item() if node.weak else result


@dataclass(eq=False, slots=True)
class Edge:
    """What one box adds to the gradient of one of its inputs."""

    box: Box
    value: Value
    root: Node
    number: int
    fixed: list[Node] = field(default_factory=list)
    """The nodes that depend on the forward pass only."""
    moving: list[Node] = field(default_factory=list)
    """The nodes that depend on a gradient leaf."""
    leaves: list[Node] = field(default_factory=list)
    """The gradient leaves that it reads."""

    def __repr__(self) -> str:
        return f"<edge {self.number}: {self.box.title} to {self.value.name}>"


def leaf_boxes(boxes: Iterable[Box]) -> Iterator[Box]:
    """All boxes with closed ones opened."""
    for box in boxes:
        if box.inner:
            yield from leaf_boxes(box.inner)
        else:
            yield box


class Tape:
    """The edges of a model in the order of the backward pass."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.forward = [node for node in model.graph.nodes if node.primitive is not None]
        self.boxes = list(leaf_boxes(model.boxes))
        self.leaves = {v.gradient: v for v in model.values.values() if v.gradient is not None}
        self.edges: list[Edge] = []
        known = set(model.graph.nodes) | set(self.leaves)
        for box in reversed(self.boxes):
            for value, root in box.local.items():
                self.edges.append(self._edge(box, value, root, known))
        self.into: dict[Value, list[Edge]] = {}
        """For each value the edges that make up its gradient."""
        for edge in self.edges:
            self.into.setdefault(edge.value, []).append(edge)
        self.reach = self._reach()

    def _edge(self, box: Box, value: Value, root: Node, known: set[Node]) -> Edge:
        edge = Edge(box, value, root, len(self.edges))
        moving = set(self.leaves)
        for node in ordered([root], known):
            if node in self.leaves:
                edge.leaves.append(node)
            elif node not in known:
                if any(x in moving for x in node.inputs):
                    moving.add(node)
                    edge.moving.append(node)
                else:
                    edge.fixed.append(node)
        return edge

    def _reach(self) -> dict[Value, frozenset[Value]]:
        """For each value the inputs that its gradient flows on to."""
        found: dict[Value, frozenset[Value]] = {v: frozenset([v]) for v in self.model.wrt}
        for edge in reversed(self.edges):
            below = found.get(edge.value, frozenset())
            for leaf in edge.leaves:
                value = self.leaves[leaf]
                found[value] = found.get(value, frozenset()) | below
        return found

    # ---- numbers
    def run(self, values: Iterable[Any]) -> Numbers:
        """All values of the forward pass, and of the rules as far as they depend on it alone."""
        numbers: Numbers = dict(zip(self.model.graph.inputs, values, strict=True))
        for node in self.model.graph.nodes:
            if node.primitive is None and node not in numbers:
                numbers[node] = node.value
        compute(self.forward, numbers)
        for edge in self.edges:
            compute(edge.fixed, numbers)
        return numbers

    def backward(
        self, numbers: Numbers, changed: Mapping[Edge, Replacement] | None = None, until: Edge | None = None
    ) -> dict[Value, Any]:
        """The gradient of every value, some edges replaced."""
        output = self.model.output
        found: dict[Value, Any] = {output: np.ones((), np.float64)}
        now: Numbers = dict(numbers)
        for edge in self.edges:
            if edge is until:
                break
            for leaf in edge.leaves:
                value = self.leaves[leaf]
                if leaf not in now:
                    now[leaf] = found[value] if value in found else np.zeros(value.shape)
            if changed and edge in changed:
                share = changed[edge](now)
            else:
                compute(edge.moving, now)
                share = now[edge.root]
            before = found.get(edge.value)
            found[edge.value] = share if before is None else before + share
        return found

    def share(self, edge: Edge, numbers: Numbers) -> Any:
        """What an edge adds, where the gradient leaves have numbers."""
        now = dict(numbers)
        compute(edge.moving, now)
        return now[edge.root]

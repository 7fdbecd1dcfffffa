"""A graph as a list of edges: for each box and input, the graph of what the box adds to the input's gradient.

Every node has a leaf that stands for its gradient, and every edge is an expression in that leaf and in
forward values: the local rule, as data. Going backwards over the edges gives the gradient of every node; an
edge may be replaced, which is how a mistake is tried out. Knows graphs and models; knows no mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from boxgrad.autodiff.loops import scan_backward
from boxgrad.autodiff.reverse import Walk
from boxgrad.boxed import activate
from boxgrad.explain.boxes import Box, Model, Value
from boxgrad.graph.node import Node, input_node, ordered
from boxgrad.graph.walk import depending
from boxgrad.ops import control
from boxgrad.trace.apply import noting
from boxgrad.trace.box import Box as TracedBox
from boxgrad.trace.box import OwnBox
from boxgrad.trace.tracer import Tracing
from boxgrad.types import ArrayType

Array = np.ndarray[Any, Any]
Numbers = dict[Node, Any]
Each = Callable[[Node, Any, list[Any]], Any]
Replacement = Callable[[Numbers], Any]
"""What an edge gives instead, from the forward pass, the gradient leaves and the edge's true rule."""


def compute(nodes: Iterable[Node], numbers: Numbers, each: Each | None = None) -> None:
    """The values of nodes, inputs first, into ``numbers``; ``each`` may change a value before it is used."""
    for node in nodes:
        if node in numbers:
            continue
        if node.primitive is None:
            numbers[node] = node.value
        elif each is None:
            numbers[node] = applied(node, numbers)
        else:
            numbers[node] = each(node, applied(node, numbers), [numbers[x] for x in node.inputs])


def applied(node: Node, numbers: Mapping[Node, Any]) -> Any:
    """The value of one node from those of its inputs."""
    assert node.primitive is not None
    result: Any = node.primitive.meaning(*[numbers[x] for x in node.inputs], **node.parameters)
    return np.asarray(result).item() if node.weak else result


class Edge:
    """What one node adds to the gradient of one of its inputs: ``root``, in the leaves ``gradients``."""

    __slots__ = ("box", "fixed", "input", "leaves", "moving", "node", "number", "root", "sources")

    def __init__(self, node: Node, x: Node, root: Node, number: int, box: Box) -> None:
        self.node, self.input, self.root, self.number, self.box = node, x, root, number, box
        self.fixed: list[Node] = []
        """The nodes of the rule that depend on the forward pass only."""
        self.moving: list[Node] = []
        """The nodes of the rule that depend on a gradient leaf."""
        self.leaves: list[Node] = []
        """The gradient leaves that it reads."""
        self.sources: list[Node] = []
        """The nodes whose gradients these are."""

    @property
    def name(self) -> str:
        """The name of the value that the box of this edge makes."""
        return self.box.outputs[-1].name

    def __repr__(self) -> str:
        made = self.node.primitive.name if self.node.primitive else "?"
        return f"<edge {self.number}: {made} in {self.name} to {self.input!r}>"


def leaf_boxes(boxes: Iterable[Box]) -> Iterator[Box]:
    """All boxes with closed ones opened."""
    for box in boxes:
        if box.inner:
            yield from leaf_boxes(box.inner)
        else:
            yield box


def _all_boxes(boxes: Iterable[Box]) -> Iterator[Box]:
    for box in boxes:
        yield box
        yield from _all_boxes(box.inner)


class Tape:
    """The edges of a model's graph in the order of the backward pass."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.output = model.output.node
        self.forward = [node for node in model.graph.nodes if node.primitive is not None]
        self.boxes = list(leaf_boxes(model.boxes))
        self.box_of = {node: box for box in self.boxes for node in box.nodes}
        self.wrt = [value.node for value in model.wrt]
        self.inputs = set(self.wrt)
        self.order = [n for n in depending([self.output], self.wrt) if n.dtype.kind in "fcO"]
        self.gradient: dict[Node, Node] = {}
        """For each node the leaf that stands for its gradient."""
        self.of: dict[Node, Node] = {}
        """For each such leaf its node."""
        for node in self.order:
            if node.items is None:
                leaf = input_node(ArrayType(node.shape, node.dtype))
                self.gradient[node], self.of[leaf] = leaf, node
        self.edges: list[Edge] = []
        self._derive()
        self.into: dict[Node, list[Edge]] = {}
        """For each node the edges that make up its gradient."""
        for edge in self.edges:
            self.into.setdefault(edge.input, []).append(edge)
        self.complete = {node: edges[-1].number for node, edges in self.into.items()}
        """For each node the edge after which its gradient is complete."""
        self.complete[self.output] = -1
        self.reach = self._reach()
        self.users: dict[Node, list[Node]] = {}
        """For each node those that read it."""
        for node in self.forward:
            for x in node.inputs:
                self.users.setdefault(x, []).append(node)
        self.closed = [box for box in _all_boxes(model.boxes) if box.inner]
        """The closed boxes, which are a function to their author."""
        self._sites()

    def _sites(self) -> None:
        """Where in the user's code each node was made: the same for every copy of a line."""
        self._site: dict[Node, tuple[Any, ...]] = {}
        self._count: dict[Any, int] = {}
        self._occurrence: dict[Node, int] = {}
        before: Any = None
        ordinal = 0
        for node in self.forward:
            ordinal = ordinal + 1 if node.derived and node.origin == before else 0
            before = node.origin
            self._site[node] = (node.primitive, ordinal)
            self._occurrence[node] = self._count.get(self.site(node), 0)
            for site in (self.site(node), self.site(node, innermost=True)):
                self._count[site] = self._count.get(site, 0) + 1

    def site(self, node: Node, innermost: bool = False) -> Any:
        """What all copies of a line share; ``innermost`` looks at the line alone, not at who called it."""
        origin = node.origin[:2] if innermost else node.origin
        return (innermost, origin or node.number, *self._site[node])

    def occurrence(self, node: Node) -> int:
        """The how manieth a node is of those from its line."""
        return self._occurrence[node]

    def copies(self, node: Node, innermost: bool = False) -> int:
        """How many nodes come from the same line."""
        return self._count[self.site(node, innermost)]

    def _derive(self) -> None:
        """The local rules of all nodes on the way, from last to first."""
        active = set(self.order)
        inputs = self.inputs
        known = set(self.model.graph.nodes) | set(self.of)
        parts: dict[Node, list[Node]] = {}
        for node in self.order:
            if node.primitive is control.item:
                parts.setdefault(node.inputs[0], []).append(node)
        for node in reversed(self.order):
            if node in inputs or node.primitive is control.item:
                continue
            outputs = parts.get(node, []) if node.items is not None else [node]
            wanted = list(dict.fromkeys(x for x in node.inputs if x in active))
            with activate(Tracing()), noting(origin=(), scope=None):
                rules = Walk(True, scan_backward).run(
                    outputs, [OwnBox(self.gradient[y]) for y in outputs], wanted
                )
            for x, rule in zip(wanted, rules, strict=True):
                if isinstance(rule, TracedBox):
                    edge = Edge(node, x, rule.node, len(self.edges), self.box_of[node])
                    self._sort(edge, known)
                    self.edges.append(edge)

    def _sort(self, edge: Edge, known: set[Node]) -> None:
        moving = set(self.of)
        for node in ordered([edge.root], known):
            if node in self.of:
                edge.leaves.append(node)
                edge.sources.append(self.of[node])
            elif node not in known:
                if any(x in moving for x in node.inputs):
                    moving.add(node)
                    edge.moving.append(node)
                else:
                    edge.fixed.append(node)

    def _reach(self) -> dict[Node, frozenset[Node]]:
        """For each node the inputs that its gradient flows on to."""
        found: dict[Node, frozenset[Node]] = {node: frozenset([node]) for node in self.wrt}
        for edge in reversed(self.edges):
            below = found.get(edge.input, frozenset())
            for leaf in edge.leaves:
                node = self.of[leaf]
                found[node] = found.get(node, frozenset()) | below
        return found

    # ---- numbers
    def run(self, values: Iterable[Any], each: Each | None = None) -> Numbers:
        """All values of the forward pass, and of the rules as far as they depend on it alone."""
        numbers: Numbers = dict(zip(self.model.graph.inputs, values, strict=True))
        compute(self.model.graph.nodes, numbers, each)
        for edge in self.edges:
            compute(edge.fixed, numbers, each)
        return numbers

    def backward(
        self, numbers: Numbers, changed: Mapping[Edge, Replacement] | None = None, each: Each | None = None
    ) -> Numbers:
        """The numbers with all gradients, some edges replaced."""
        now: Numbers = dict(numbers)
        changed = changed or {}
        seed = self.gradient.get(self.output)
        if seed is not None:
            now[seed] = np.ones(())
        for edge in self.edges:
            for leaf in edge.leaves:
                if leaf not in now:
                    now[leaf] = np.zeros(leaf.shape)
            compute(edge.moving, now, each)
            replacement = changed.get(edge)
            share = now[edge.root] if replacement is None else replacement(now)
            leaf = self.gradient[edge.input]
            before = now.get(leaf)
            now[leaf] = share if before is None else before + share
        return now

    def gradients(self, now: Numbers) -> dict[Node, Any]:
        """The gradients of the inputs among the numbers of a backward pass."""
        return {
            node: now[self.gradient[node]] if self.gradient.get(node) in now else np.zeros(node.shape)
            for node in self.wrt
        }

    def name(self, node: Node) -> str:
        """The name of the value whose box makes a node."""
        value = self.model.values.get(node)
        if value is not None:
            return value.name
        box = self.box_of.get(node)
        return "a constant" if box is None else box.outputs[-1].name

    def value(self, node: Node) -> Value | None:
        """The named value that a node is."""
        return self.model.values.get(node)

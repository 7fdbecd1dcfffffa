"""Fingerprints: a few numbers that tell whether an edit explains a claim, without going back to the inputs.

The tangent of a value in a random direction r of one input is what the value's gradient is weighed with in r
· ∂L/∂x. So an edit that changes an edge's result by δ changes that number by tangent · δ, and a claim differs
from the truth by r · (claim − truth). One product of arrays thus discards nearly every edit; what is left is
replayed in full. Tangents are exact: each edge's rule is linear in its gradient, and its transpose carries
tangents forwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from boxgrad.autodiff.loops import scan_backward
from boxgrad.autodiff.reverse import Walk
from boxgrad.boxed import activate
from boxgrad.check.tape import Edge, Numbers, Tape, compute
from boxgrad.graph.node import Node, input_node, ordered
from boxgrad.trace.apply import noting
from boxgrad.trace.box import Box as TracedBox
from boxgrad.trace.box import OwnBox
from boxgrad.trace.tracer import Tracing
from boxgrad.types import ArrayType


class Transposes:
    """The transpose of every edge, as a graph: from the tangent of its input to those of its outputs."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self._leaf: dict[Edge, Node] = {}
        self._roots: dict[Edge, list[tuple[Node, Node, list[Node]]]] = {}
        known = set(tape.model.graph.nodes) | set(tape.of)
        for edge in tape.edges:
            leaf = input_node(ArrayType(edge.root.shape, edge.root.dtype))
            self._leaf[edge] = leaf
            with activate(Tracing()), noting(origin=(), scope=None):
                found = Walk(True, scan_backward).run([edge.root], [OwnBox(leaf)], edge.leaves)
            self._roots[edge] = [
                (tape.of[g], root.node, ordered([root.node], known))
                for g, root in zip(edge.leaves, found, strict=True)
                if isinstance(root, TracedBox)
            ]

    def tangents(self, numbers: Numbers, directions: Mapping[Node, Any]) -> dict[Node, Any]:
        """The tangent of every node in a direction of the inputs; what it does not move is left out."""
        found: dict[Node, Any] = dict(directions)
        for edge in reversed(self.tape.edges):
            arriving = found.get(edge.input)
            if arriving is None:
                continue
            local = _Over(numbers)
            local[self._leaf[edge]] = arriving
            for node, root, steps in self._roots[edge]:
                compute(steps, local)
                share = local[root]
                found[node] = found[node] + share if node in found else share
        return found


class _Over(dict[Node, Any]):
    """New numbers over known ones, without copying these."""

    def __init__(self, below: Numbers) -> None:
        super().__init__()
        self._below = below

    def __missing__(self, node: Node) -> Any:
        return self._below[node]

    def __contains__(self, node: object) -> bool:
        return super().__contains__(node) or node in self._below


class Fingerprints:
    """The weights of all nodes at one point: one random direction for each input that a claim speaks of."""

    def __init__(
        self, transposes: Transposes, numbers: Numbers, now: Numbers, wrt: list[Node], seed: int
    ) -> None:
        random = np.random.default_rng(seed)
        self.tape, self.numbers, self.now = transposes.tape, numbers, now
        self.wrt = wrt
        self.directions = {node: random.normal(size=node.shape) for node in wrt}
        self._sums: dict[Node, Any] = {}
        self.tangents = [transposes.tangents(numbers, {x: r}) for x, r in self.directions.items()]

    def weigh(self, node: Node, change: Any) -> np.ndarray[Any, Any]:
        """What a change of a node's gradient does to r · ∂L/∂x, for each input x."""
        return np.array([float(np.vdot(t[node], change)) if node in t else 0.0 for t in self.tangents])

    def roughly(self, node: Node, change: Any) -> tuple[float, float]:
        """The sum of all weights at once, and its size."""
        if node not in self._sums:
            parts = [t[node] for t in self.tangents if node in t]
            self._sums[node] = np.sum(parts, axis=0) if parts else np.zeros(node.shape)
        found = float(np.vdot(self._sums[node], change))
        return found, abs(found)

    def of(self, gradients: Mapping[Node, Any]) -> np.ndarray[Any, Any]:
        """r · gradient for each input."""
        return np.array([float(np.vdot(r, gradients[x])) for x, r in self.directions.items()])

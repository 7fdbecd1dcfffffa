"""An edit of one edge: one node of its rule gives something else.

Knows edges and how to evaluate one with a node replaced; knows no particular mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad.check.tape import Edge, Numbers, Replacement
from boxgrad.graph.node import Node

Look = Callable[[Node], Any]
"""The number of a node of the rule, or of the forward pass."""


@dataclass(frozen=True, eq=False, slots=True)
class Edit:
    """A mistake in one edge: the node ``at`` of the rule becomes ``make(look)``; None stands for the result.

    ``key`` says what was done in terms that are the same for every copy of the line; ``rank`` is small for
    mistakes that are common and simple. ``detail`` names what was put in place, for the reader.
    """

    edge: Edge
    kind: str
    key: tuple[Any, ...]
    rank: float
    make: Callable[[Look], Any]
    at: Node | None = None
    detail: str = ""
    node: Node | None = None
    """The node whose rule it is, where that is not the edge's own."""

    def replacement(self) -> Replacement:
        """What the edge gives instead, where the numbers have all nodes of the true rule."""
        make, root, at = self.make, self.edge.root, self.at
        if at is None:
            return lambda now: make(now.__getitem__)
        steps = _after(self.edge, at)

        def share(now: Numbers) -> Any:
            own: Numbers = {}

            def look(node: Node) -> Any:
                return own[node] if node in own else now[node]

            own[at] = make(look)
            for node in steps:
                own[node] = _applied(node, look)
            return look(root)

        return share


def _applied(node: Node, look: Look) -> Any:
    assert node.primitive is not None
    result: Any = node.primitive.meaning(*[look(x) for x in node.inputs], **node.parameters)
    return np.asarray(result).item() if node.weak else result


def _after(edge: Edge, at: Node) -> list[Node]:
    """The nodes of the rule that depend on one of them."""
    changed = {at}
    found: list[Node] = []
    for node in (*edge.fixed, *edge.moving):
        if node is not at and any(x in changed for x in node.inputs):
            changed.add(node)
            found.append(node)
    return found

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

    def replacement(self) -> Replacement:
        """What the edge gives instead."""
        edge = self.edge
        steps = _steps(edge, self.at)
        at, make, root = self.at, self.make, edge.root

        def share(now: Numbers) -> Any:
            own: Numbers = {}

            def look(node: Node) -> Any:
                return own[node] if node in own else now[node]

            if at is None:
                for node in steps:
                    own[node] = _applied(node, look)
                return make(look)
            if not steps or at not in steps:
                own[at] = make(look)
            for node in steps:
                own[node] = make(look) if node is at else _applied(node, look)
            return look(root)

        return share


def _applied(node: Node, look: Look) -> Any:
    assert node.primitive is not None
    result: Any = node.primitive.meaning(*[look(x) for x in node.inputs], **node.parameters)
    return np.asarray(result).item() if node.weak else result


def _steps(edge: Edge, at: Node | None) -> list[Node]:
    """What has to be computed: the moving nodes, and the fixed ones that depend on the edited node."""
    changed = {at}
    found: list[Node] = []
    for node in edge.fixed:
        if node is at or any(x in changed for x in node.inputs):
            changed.add(node)
            found.append(node)
    return [*(node for node in found if node.primitive is not None or node is at), *edge.moving]

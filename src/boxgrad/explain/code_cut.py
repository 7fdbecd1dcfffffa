"""Which values of a graph get a line of code of their own, and which are written inside another's.

A value has a line if its author named it, if it is more than elementwise, if it is used twice, or if several
gradients would otherwise repeat the same factor. Knows graphs; knows nothing of text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import boxgrad.errors
from boxgrad.explain.boxes import is_light
from boxgrad.graph.names import variable
from boxgrad.graph.node import Node
from boxgrad.ops import control

_LIBRARY = str(Path(boxgrad.errors.__file__).parent) + "/"
WHOLE = {"prod", "cumprod", "sinc", "sort", "max", "min"}
"""Primitives whose derivative is written with names for their input."""
_STATEMENTS = {"put_slice", "put", "embed", "scatter_add"}
_LINEAR = {
    "add", "subtract", "negative", "positive", "cast", "identity", "reshape", "transpose", "broadcast", "slice",
    "item",
}  # fmt: skip
_MOST = 10


@dataclass(eq=False, slots=True)
class Statement:
    """A value with a line of its own: its node (or that of a loop), and the named nodes it reads."""

    node: Node
    inputs: list[Node]
    nodes: list[Node]


def users_of(nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """For each node those that read it, once for each time."""
    users: dict[Node, list[Node]] = {}
    for node in nodes:
        for x in node.inputs:
            users.setdefault(x, []).append(node)
    return users


def by_user(node: Node) -> str | None:
    """The name that the user's own code (not a layer's) gave."""
    places = node.places
    name = variable(places)
    return name if name and not places[0].filename.startswith(_LIBRARY) else None


def is_view(node: Node) -> bool:
    """Whether a node is a transposed matrix, which is written where it is used."""
    return node.primitive is not None and node.primitive.name == "transpose"


def chosen(
    nodes: Sequence[Node], outputs: Collection[Node], sources: Collection[Node], active: Collection[Node]
) -> set[Node]:
    """The nodes that get a line."""
    users = users_of(nodes)
    named: set[Node] = set()
    reached = _sources(nodes, sources)
    size: dict[Node, int] = {}
    bent: dict[Node, bool] = {}
    for node in reversed(nodes):
        assert node.primitive is not None
        mine = users.get(node, [])
        bent[node] = any(_bends(user, node, active) or (user not in named and bent[user]) for user in mine)
        if (
            node in outputs
            or node.primitive in (control.loop, control.item)
            or node.primitive.name in _STATEMENTS
        ):
            named.add(node)
        elif is_view(node) and node.inputs[0].primitive is None:
            continue
        elif (
            any(user.primitive is control.loop for user in mine)
            or node.primitive.name in WHOLE
            or any(user.primitive is not None and user.primitive.name in WHOLE for user in mine)
            or by_user(node) is not None
            or (len(mine) > 1 and not _cheap(node))
            or (node.scope is not None and all(_leaves(node, user) for user in mine) and not is_layout(node))
        ):
            named.add(node)
        elif node in active:
            straight = len(mine) == 1 and _straight(node, mine[0], named, users)
            if (not is_light(node) and not straight) or (
                len(reached.get(node, ())) > 1 and bent[node] and not is_layout(node)
            ):
                named.add(node)
    for node in nodes:
        size[node] = 1 + sum(0 if x in named else size.get(x, 0) for x in node.inputs)
        if size[node] > _MOST and node not in named and not is_view(node):
            named.add(node)
    return named


def is_layout(node: Node) -> bool:
    """Whether a node only arranges elements."""
    return node.primitive is not None and node.primitive.name in (
        "reshape", "transpose", "broadcast", "slice", "cast", "identity", "stop_gradient",
    )  # fmt: skip


def _cheap(node: Node) -> bool:
    """Whether a value is as short to write as its name."""
    return is_layout(node) and node.inputs[0].primitive is None


def _leaves(node: Node, user: Node) -> bool:
    """Whether the user stands outside the boxed function that made the node."""
    scope = user.scope
    while scope is not None:
        if scope is node.scope:
            return False
        scope = scope.parent
    return True


def _sources(nodes: Sequence[Node], sources: Collection[Node]) -> dict[Node, frozenset[Node]]:
    """For each node up to three of the differentiable leaves or earlier values that it depends on."""
    found: dict[Node, frozenset[Node]] = {x: frozenset([x]) for x in sources}
    for node in nodes:
        inside: set[Node] = set()
        for x in node.inputs:
            inside |= found.get(x, frozenset())
            if len(inside) > 2:
                break
        if inside and not (is_light(node) and by_user(node) is None):
            inside = {node}
        found[node] = frozenset(inside)
    return found


def _bends(user: Node, node: Node, active: Collection[Node]) -> bool:
    """Whether the gradient that passes a user is multiplied by something that varies."""
    assert user.primitive is not None
    name = user.primitive.name
    if name in _LINEAR or not is_light(user):
        return False
    if name in ("multiply", "divide"):
        others = [x for x in user.inputs if x is not node]
        return not (others and (name == "multiply" or user.inputs[0] is node) and others[0].shape == ())
    return True


def _straight(node: Node, user: Node, named: Collection[Node], users: dict[Node, list[Node]]) -> bool:
    """Whether what happens to a value up to the next line is adding and scaling only, in its shape."""
    while True:
        assert user.primitive is not None
        name = user.primitive.name
        if user.shape != node.shape or not is_light(user):
            return False
        if name in ("multiply", "divide"):
            other = [x for x in user.inputs if x is not node]
            if (
                not other
                or other[0].shape
                or other[0].primitive is not None
                or (user.inputs[0] is other[0] and name == "divide")
            ):
                return False
            if other[0].value is None:
                return False
        elif name not in ("add", "subtract", "negative"):
            return False
        if user in named:
            return True
        mine = users.get(user, [])
        if len(mine) != 1:
            return False
        node, user = user, mine[0]


def statements(nodes: Sequence[Node], named: Collection[Node], known: Collection[Node]) -> list[Statement]:
    """The lines in order; each reads names only."""
    found: list[Statement] = []
    for node in nodes:
        if node not in named or node.primitive is control.item:
            continue
        inside: list[Node] = []
        inputs: dict[Node, None] = {}
        stack = [node]
        seen: set[Node] = set()
        while stack:
            current = stack.pop()
            if current in seen:
                continue
            seen.add(current)
            if current is not node and (current in named or current in known):
                inputs[current] = None
            elif current.primitive is not None:
                inside.append(current)
                stack.extend(reversed(current.inputs))
        found.append(Statement(node, list(inputs), inside))
    return found

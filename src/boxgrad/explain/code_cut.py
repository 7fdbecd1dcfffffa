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
from boxgrad.graph.node import Node
from boxgrad.listing.names import variable
from boxgrad.ops import control

_LIBRARY = str(Path(boxgrad.errors.__file__).parent) + "/"
WHOLE = {"prod", "cumprod", "sinc", "sort", "max", "min"}
"""Primitives whose derivative is written with names for their input."""
_STATEMENTS = {"put_slice", "put", "embed", "scatter_add"}
_LINEAR = {
    "add", "subtract", "negative", "positive", "cast", "identity", "reshape", "transpose", "broadcast",
    "slice",
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


def by_user(node: Node, users: Sequence[Node]) -> bool:
    """Whether the user's own code (not a layer's) named the value.

    One call of a NumPy function may make several nodes, of which the last is what is named.
    """
    places = node.places
    if not places or places[0].filename.startswith(_LIBRARY) or variable(places) is None:
        return False
    return all(user.origin != node.origin for user in users)


def is_view(node: Node) -> bool:
    """Whether a node is a transposed matrix, which is written where it is used."""
    return node.primitive is not None and node.primitive.name == "transpose"


def chosen(
    nodes: Sequence[Node], outputs: Collection[Node], sources: Collection[Node], active: Collection[Node]
) -> set[Node]:
    """The nodes that get a line."""
    users = users_of(nodes)
    named: set[Node] = set()
    bent: dict[Node, bool] = {}
    for node in reversed(nodes):
        mine = users.get(node, [])
        bent[node] = any(_bends(user, node) or (user not in named and bent[user]) for user in mine)
        if _always(node, mine, outputs) or (
            node in active and not is_light(node) and not _straight(node, mine, named, users)
        ):
            named.add(node)
    reached: dict[Node, frozenset[Node]] = {x: frozenset([x]) for x in sources}
    size: dict[Node, int] = {}
    for node in nodes:
        inside = frozenset().union(*(reached.get(x, ()) for x in node.inputs))
        size[node] = 1 + sum(0 if x in named else size.get(x, 0) for x in node.inputs)
        shared = len(inside) > 1 and node in active and bent[node] and not is_layout(node)
        shared = shared and not any(_adds(user, active) and bent[user] for user in users.get(node, []))
        shared = shared or _factor(node, users.get(node, []), active)
        fixed = node not in active and size[node] > 3 and any(user in active for user in users.get(node, []))
        if (shared or fixed or size[node] > _MOST) and not is_view(node):
            named.add(node)
        reached[node] = frozenset([node]) if node in named and inside else inside
    for node in reversed(nodes):
        mine = users.get(node, [])
        if (
            node in named
            and not is_light(node)
            and not _always(node, mine, outputs)
            and _straight(node, mine, named, users)
        ):
            named.remove(node)
    return {node for node in named if node.items is None or node.primitive is control.loop}


def _adds(user: Node, active: Collection[Node]) -> bool:
    """Whether a user adds something else that has a gradient."""
    assert user.primitive is not None
    return user.primitive.name in ("add", "subtract") and all(x in active for x in user.inputs)


def _factor(node: Node, users: Sequence[Node], active: Collection[Node]) -> bool:
    """Whether a value is that of a function, and a factor of something that has a gradient too."""
    if node not in active or len(node.inputs) != 1 or not is_light(node) or is_layout(node):
        return False
    assert node.primitive is not None
    if node.primitive.name in _LINEAR:
        return False
    return any(
        user.primitive is not None
        and user.primitive.name in ("multiply", "divide")
        and all(x in active for x in user.inputs)
        for user in users
    )


def _always(node: Node, users: Sequence[Node], outputs: Collection[Node]) -> bool:
    """Whether a value has a line wherever it stands."""
    assert node.primitive is not None
    name = node.primitive.name
    if node.items is not None and node.primitive is not control.loop:
        return False  # several results at once: each is taken where it is computed
    if node in outputs or node.primitive in (control.loop, control.item) or name in _STATEMENTS:
        return True
    if is_view(node) and node.inputs[0].primitive is None:
        return False
    return (
        name in WHOLE
        or by_user(node, users)
        or (len(users) > 1 and not _cheap(node))
        or _arranged(node, users)
        or any(
            user.primitive is control.loop or user.primitive.name in WHOLE for user in users if user.primitive
        )
        or (node.scope is not None and not is_layout(node) and all(_leaves(node, user) for user in users))
    )


def of_loop(node: Node) -> bool:
    """Whether a node is one of the results of a loop, which the loop's lines give."""
    return node.primitive is control.item and node.inputs[0].primitive is control.loop


def is_layout(node: Node) -> bool:
    """Whether a node only arranges elements."""
    return node.primitive is not None and node.primitive.name in (
        "reshape", "transpose", "broadcast", "slice", "cast", "identity", "stop_gradient",
    )  # fmt: skip


def _arranged(node: Node, users: Sequence[Node]) -> bool:
    """Whether a value is arranged in several ways for a product."""
    products = any(user.primitive is not None and user.primitive.name == "contract" for user in users)
    return products and is_layout(node) and is_layout(node.inputs[0])


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


def _bends(user: Node, node: Node) -> bool:
    """Whether the gradient that passes a user is more than copied, scaled or summed."""
    assert user.primitive is not None
    name = user.primitive.name
    if name in ("reshape", "transpose"):
        return True
    if name in _LINEAR or not is_light(user):
        return False
    if name in ("multiply", "divide"):
        others = [x for x in user.inputs if x is not node]
        scaled = others and (name == "multiply" or user.inputs[0] is node)
        return not (scaled and others[0].shape == () and others[0].primitive is None)
    return True


def _straight(
    node: Node, mine: Sequence[Node], named: Collection[Node], users: dict[Node, list[Node]]
) -> bool:
    """Whether what happens to a value up to the next line is adding and scaling only, in its shape."""
    while True:
        if len(mine) != 1:
            return False
        user = mine[0]
        assert user.primitive is not None
        name = user.primitive.name
        if user.shape != node.shape or not is_light(user):
            return False
        if name in ("multiply", "divide"):
            other = next((x for x in user.inputs if x is not node), node)
            if other.shape or other.value is None or other.primitive is not None:
                return False
            if name == "divide" and user.inputs[0] is other:
                return False
        elif name not in ("add", "subtract", "negative"):
            return False
        if user in named:
            return True
        node, mine = user, users.get(user, [])


def statements(nodes: Sequence[Node], named: Collection[Node], known: Collection[Node]) -> list[Statement]:
    """The lines in order; each reads names only."""
    found: list[Statement] = []
    for node in nodes:
        if node not in named or of_loop(node):
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

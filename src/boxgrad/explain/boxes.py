"""The boxes of an explanation: a graph grouped as its author thinks of it, with the gradient of each box.

A box is a step that has a name: a variable the user assigned, a primitive that is more than elementwise, a
boxed function or a layer (closed, with boxes inside), or a loop. Unnamed elementwise steps belong to the box
that uses them. Every value has one name, which all views use.

Knows graphs and names; knows nothing of mathematics, pictures or pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from boxgrad.errors import Place
from boxgrad.graph.node import Graph, Node, Scope
from boxgrad.listing.names import own_name, variable
from boxgrad.ops import control
from boxgrad.ops.elementwise import cast, identity, stop_gradient, where

_PARAMETER = re.compile(
    r"^(w|b|(?-i:[UV])|weight|bias|theta|beta|gamma|kernel|filter)([_\d].*|[a-z]{0,2})$|_(weight|bias)(_|$)",
    re.I,
)
_LAYOUT = {"reshape", "transpose", "broadcast", "slice", "item", "cast", "identity", "stop_gradient"}


@dataclass(eq=False, slots=True)
class Value:
    """A named value of the forward pass, and the gradient of the result with respect to it.

    ``role`` is input, parameter, constant, inner or output; ``automatic`` tells that the name is ours.
    """

    name: str
    node: Node
    role: str
    automatic: bool = False
    gradient: Node | None = None
    """A leaf that stands for ∂L/∂(this) in the local gradients; it knows its number where there is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.node.shape


@dataclass(eq=False, slots=True)
class Box:
    """A function with a name, between values.

    ``local`` holds for each input the expression of what this box adds to its gradient: a node whose leaves
    are forward nodes and the ``gradient`` leaves of the box's outputs.
    """

    kind: str
    title: str
    inputs: list[Value]
    outputs: list[Value]
    nodes: list[Node]
    inner: list[Box] = field(default_factory=list)
    local: dict[Value, Node] = field(default_factory=dict)
    number: int = 0
    steps: list[Box] = field(default_factory=list)
    """The boxes of all steps of a loop, once it has been unrolled."""

    @property
    def parts(self) -> list[Box]:
        """What is seen when the box is opened: the boxes inside, or the steps of an unrolled loop."""
        return self.inner or self.steps


@dataclass(eq=False, slots=True)
class Model:
    """A function as boxes and values, in the order of the forward pass."""

    graph: Graph
    values: dict[Node, Value]
    boxes: list[Box]
    inputs: list[Value]
    output: Value
    wrt: list[Value]
    unrolled: dict[Node, Value] = field(default_factory=dict)
    """The values of the steps of those loops that have been unrolled."""
    aliases: dict[str, str] = field(default_factory=dict)
    """Other names of values in unrolled formulas: h[0] of the h0 that a loop starts from."""

    @property
    def everything(self) -> dict[Node, Value]:
        """All values, those of unrolled steps too."""
        return {**self.values, **self.unrolled}


def is_elementwise(node: Node) -> bool:
    """Whether a node computes each element from the elements at the same place."""
    primitive = node.primitive
    if primitive is None:
        return False
    known = primitive in (where, cast, identity, stop_gradient) or primitive.name in ("erf", "sinc")
    return known or any(isinstance(function, np.ufunc) for function in primitive.callables)


def is_light(node: Node) -> bool:
    """Whether a node without a name of its own belongs to the box that uses it."""
    return is_elementwise(node) or (node.primitive is not None and node.primitive.name in _LAYOUT)


class Namer:
    """Gives each value a name, once."""

    def __init__(self, graph: Graph) -> None:
        self._taken: set[str] = set()
        self._count = 0
        self._letter = _free_letter(graph)

    def unique(self, wanted: str) -> str:
        """The wanted name, or with a number where it is taken."""
        name, number = wanted, 2
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name

    def start(self, count: int) -> None:
        """Number automatic names on from here."""
        self._count = count

    def automatic(self) -> str:
        """A name for a value that the user did not name."""
        self._count += 1
        return self.unique(f"{self._letter}{self._count}")


def _free_letter(graph: Graph) -> str:
    """The letter of automatic names: z, unless the user has a variable of that name."""
    bodies = [node.parameters["body"].nodes for node in graph.nodes if node.primitive is control.loop]
    own = {own_name(node) for nodes in (graph.nodes, *bodies) for node in nodes}
    return next((letter for letter in "zaqm" if letter not in own), "z")


def readable(label: str) -> str:
    """A path as a name: ``model.0.weight`` → ``weight_0``; other characters become underscores."""
    parts = [part for part in label.split(".") if part]
    if len(parts) > 1 and not parts[-1].isdigit():
        parts = [parts[-1], *parts[1:-1]]
    name = re.sub(r"\W", "_", "_".join(parts))
    return name if name.isidentifier() else f"x_{name}"


def group(graph: Graph, wrt: Iterable[Node]) -> Model:
    """The boxes of a graph with one output, without gradients yet."""
    nodes = [node for node in graph.nodes if node.primitive is not None]
    namer = Namer(graph)
    values: dict[Node, Value] = {}
    used = {x for node in nodes for x in node.inputs} | set(graph.outputs)
    for number, node in enumerate(graph.inputs):
        name = namer.unique(readable(node.label or f"x{number + 1}"))
        role = "parameter" if _PARAMETER.search(name) else "input"
        values[node] = Value(name, node, role if node in used else "unused")
    users: dict[Node, list[Node]] = {}
    for node in nodes:
        for x in node.inputs:
            users.setdefault(x, []).append(node)
    grouping = _Grouping(users, set(graph.outputs), values, namer)
    boxes = grouping.level(nodes, None)
    output = values.get(graph.outputs[0])
    if output is None:
        output = grouping.name(graph.outputs[0])
    if output.role == "inner":
        output.role = "output"
    if output.automatic and output.shape == ():
        output.name, output.automatic = namer.unique("L"), False
    chosen = set(wrt)
    for number, box in enumerate(boxes, start=1):
        box.number = number
    inputs = [values[node] for node in graph.inputs]
    return Model(graph, values, boxes, inputs, output, [v for v in inputs if v.node in chosen])


def boxes_of(graph: Graph, values: dict[Node, Value], namer: Namer, ends: Iterable[Node] = ()) -> list[Box]:
    """The boxes of a graph within another, such as the body of a loop; ``values`` are extended.

    ``ends`` are further nodes that are values of their own, where something uses them.
    """
    given = set(graph.inputs)
    nodes = [node for node in graph.nodes if node.primitive is not None and node not in given]
    users: dict[Node, list[Node]] = {}
    for node in nodes:
        for x in node.inputs:
            users.setdefault(x, []).append(node)
    grouping = _Grouping(users, {*graph.outputs, *(n for n in ends if n in users)}, values, namer)
    boxes = grouping.level(nodes, None)
    for number, box in enumerate(boxes, start=1):
        box.number = number
    return boxes


class _Grouping:
    """One pass over a graph that puts nodes into boxes, level by level."""

    def __init__(
        self, users: dict[Node, list[Node]], outputs: set[Node], values: dict[Node, Value], namer: Namer
    ) -> None:
        self._users, self._outputs, self._values, self._namer = users, outputs, values, namer

    def name(self, node: Node, call: Scope | None = None) -> Value:
        """The value of a node that boxes exchange; ``call`` is the call of which it is the result."""
        known = self._values.get(node)
        if known is not None:
            return known
        if node.primitive is None:
            value = Value(constant_name(node, self._namer), node, "constant", automatic=node.label is None)
        else:
            wanted = (variable(_places(call)) if call is not None else None) or own_name(node)
            name = self._namer.unique(readable(wanted)) if wanted else self._namer.automatic()
            value = Value(name, node, "inner", automatic=wanted is None)
        self._values[node] = value
        return value

    def level(self, nodes: Sequence[Node], scope: Scope | None) -> list[Box]:
        """The boxes of some nodes inside a scope, in order."""
        owner = self._owners(nodes, scope)
        members: dict[Any, list[Node]] = {}
        for node in nodes:
            members.setdefault(owner[node], []).append(node)
        if scope is not None and len(members) == 1 and all(map(is_elementwise, nodes)):
            members = {node: [node] for node in nodes}  # an opened box shows the steps inside
        ordered = sorted(members.items(), key=lambda item: max(node.number for node in item[1]))
        return [self._box(key, inside) for key, inside in ordered]

    def _owners(self, nodes: Sequence[Node], scope: Scope | None) -> dict[Node, Any]:
        """For each node the scope or the head node whose box it belongs to."""
        containers = _containers(nodes)
        owner: dict[Node, Any] = {}
        for node in reversed(nodes):
            below = _child_scope(node.scope, scope, containers)
            if below is not None:
                owner[node] = below
                continue
            users = self._users.get(node, [])
            homes = {id(owner.get(user)): owner.get(user) for user in users}
            home = next(iter(homes.values()), None)
            joins = (
                len(homes) == 1
                and isinstance(home, Node)
                and is_light(node)
                and node not in self._outputs
                and (own_name(node) is None or node.primitive is control.item)
            )
            owner[node] = home if joins else node
            if joins and node.primitive is control.item:
                owner[node] = node
        for node in nodes:  # the parts of a loop's result are its outputs, not boxes of their own
            if node.primitive is control.item and node.inputs[0] in owner:
                owner[node] = owner[node.inputs[0]]
        return owner

    def _box(self, key: Any, inside: list[Node]) -> Box:
        own = set(inside)
        outputs = [
            node
            for node in inside
            if node in self._outputs or any(user not in own for user in self._users.get(node, []))
        ]
        call = key if isinstance(key, Scope) and len(outputs) == 1 else None
        sources = dict.fromkeys(x for node in inside for x in node.inputs if x not in own)
        box = Box(
            kind=_kind(key, inside),
            title=_title(key, inside),
            inputs=[self.name(x) for x in sources if x in self._values or not is_plain_constant(x)],
            outputs=[self.name(node, call) for node in outputs],
            nodes=inside,
        )
        if isinstance(key, Scope):
            box.inner = self.level(inside, key)
        return box


def _places(scope: Scope) -> list[Place]:
    """The user's frames at a call, innermost first."""
    return [Place(*scope.origin[i : i + 2]) for i in range(0, len(scope.origin), 2)]


def is_plain_constant(node: Node) -> bool:
    """A number that is written where it is used rather than drawn as a value."""
    return node.primitive is None and node.value is not None and np.size(node.value) == 1


def constant_name(node: Node, namer: Namer) -> str:
    """The name of a constant array: the user's, where it has one."""
    return namer.unique(readable(node.label or "C"))


def _containers(nodes: Iterable[Node]) -> set[Scope]:
    """Scopes that hold nothing but other scopes: they are drawn open."""
    direct = {node.scope for node in nodes if not is_light(node) or node.scope is not None}
    parents: set[Scope] = set()
    for node in nodes:
        scope = node.scope
        while scope is not None and scope.parent is not None:
            parents.add(scope.parent)
            scope = scope.parent
    return {scope for scope in parents if scope not in direct}


def _child_scope(scope: Scope | None, level: Scope | None, containers: set[Scope]) -> Scope | None:
    """The scope just below a level that holds a scope, containers left out."""
    found: Scope | None = None
    while scope is not None and scope is not level:
        if scope not in containers:
            found = scope
        scope = scope.parent
    return found


def _kind(key: Any, inside: list[Node]) -> str:
    if isinstance(key, Scope):
        return "closed"
    if any(node.primitive is control.loop for node in inside):
        return "loop"
    head = inside[-1]
    return "elementwise" if all(map(is_light, inside)) and is_elementwise(head) else "primitive"


def _title(key: Any, inside: list[Node]) -> str:
    if isinstance(key, Scope):
        return key.name
    heavy = [node for node in inside if not is_light(node)]
    head = heavy[-1] if heavy else inside[-1]
    assert head.primitive is not None
    return head.primitive.name

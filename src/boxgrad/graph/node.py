"""Node and Graph: typed, immutable, each node with the user's line.

A node is one application of a primitive, or a leaf: an input of the graph, or a constant, which
always has a value. Nodes are numbered as they are made, so a node's inputs have smaller numbers;
that is the topological order. A node may know the value it had when it was traced.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NoReturn, TypeAlias

import numpy as np

from boxgrad.errors import GraphError, Place, refused
from boxgrad.graph.primitive import Primitive
from boxgrad.types import ArrayType

_numbers = count()
_NOTHING: dict[str, Any] = {}
_VARIED: dict[str, Any] = {}
"""The parameters of inputs: none, but told apart from those of constants."""
Origin: TypeAlias = "tuple[Any, ...]"
"""Code object and instruction of each of the user's frames, innermost first: c0, i0, c1, i1, …"""


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """One call of a boxed function: the box around the nodes made during it."""

    name: str
    parent: Scope | None
    origin: Origin


class Node:
    """One box of the graph, or a leaf (``primitive is None``)."""

    __slots__ = (
        "derived",
        "dtype",
        "gradient_of",
        "inputs",
        "items",
        "label",
        "number",
        "origin",
        "parameters",
        "primitive",
        "scope",
        "shape",
        "value",
        "weak",
    )

    def __init__(
        self,
        primitive: Primitive | None,
        inputs: tuple[Node, ...],
        parameters: dict[str, Any],
        value: Any,
        type: ArrayType | tuple[ArrayType, ...] | None,
        origin: Origin = (),
        scope: Scope | None = None,
        label: str | None = None,
        gradient_of: Node | None = None,
    ) -> None:
        self.primitive = primitive
        self.inputs = inputs
        self.parameters = parameters
        self.value = value
        self.origin = origin
        self.scope = scope
        self.label = label
        self.gradient_of = gradient_of
        self.number = next(_numbers)
        self.items: tuple[ArrayType, ...] | None = None
        self.weak = False
        self.derived = False
        """Whether a rule, a pass or the inside of a NumPy function made it: the line names another value."""
        if type is None:
            self.shape: tuple[int, ...] = value.shape
            self.dtype: np.dtype[Any] = value.dtype
        elif isinstance(type, tuple):
            self.items, self.shape, self.dtype = type, (), np.dtype(object)
        else:
            self.shape, self.dtype, self.weak = type.shape, type.dtype, type.weak

    @property
    def type(self) -> ArrayType | tuple[ArrayType, ...]:
        """The node's type; a tuple for a primitive of several outputs."""
        return self.items or ArrayType(self.shape, self.dtype, self.weak)

    @property
    def is_number(self) -> bool:
        """Whether it is a Python number that is fixed, which is written where it is used."""
        return self.weak and self.primitive is None and self.parameters is not _VARIED

    @property
    def place(self) -> Place | None:
        """The user's line that made the node."""
        return Place(self.origin[0], self.origin[1]) if self.origin else None

    @property
    def places(self) -> list[Place]:
        """The user's frames at the time, innermost first."""
        return [Place(*self.origin[i : i + 2]) for i in range(0, len(self.origin), 2)]

    def __repr__(self) -> str:
        name = self.primitive.name if self.primitive else self.label or "leaf"
        return f"<{name} {self.type!r} #{self.number}>"


def input_node(type: ArrayType, label: str | None = None, value: Any = None) -> Node:
    """A leaf that stands for an argument."""
    return Node(None, (), _VARIED, value, type, label=label)


def constant_node(value: Any, label: str | None = None) -> Node:
    """A leaf with a fixed value: an array, a NumPy scalar or a Python number."""
    return Node(None, (), _NOTHING, value, ArrayType.of(value), label=label)


def rebuilt(node: Node, inputs: tuple[Node, ...], parameters: dict[str, Any]) -> Node:
    """The same box on other inputs; where it came from is kept, its value is not."""
    made = Node(
        node.primitive, inputs, parameters, None, node.type,
        node.origin, node.scope, node.label, node.gradient_of,
    )  # fmt: skip
    made.derived = node.derived
    return made


def refuse(
    primitive: Primitive, inputs: Iterable[Node], error: Exception, places: Sequence[Place] = ()
) -> NoReturn:
    """Raise NumPy's refusal to compute a box, with its types and the user's line."""
    types = ", ".join(repr(node.type) for node in inputs)
    told = refused(f"{primitive.name}({types}) cannot be computed", error, places)
    if told is error:
        raise error
    raise told from error


def ordered(outputs: Iterable[Node], stop: Iterable[Node] = ()) -> list[Node]:
    """All nodes that the outputs depend on, inputs before their users; not beyond ``stop``."""
    seen: set[Node] = set()
    halt = set(stop)
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            if node not in halt:
                stack.extend(node.inputs)
    return sorted(seen, key=lambda node: node.number)


def of_another_trace(node: Node) -> GraphError:
    """The error for a node without a value where one is needed."""
    return GraphError(
        f"{node!r} is neither an input of this graph nor a constant: it belongs to another "
        "trace. A traced value was kept (in a global, a list, an attribute) beyond the "
        "call it was made in; return it from the function instead."
    )


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Graph:
    """Boxes joined by arrows, from inputs to outputs.

    A leaf that is not among the inputs is a constant and must have a value.
    """

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    nodes: tuple[Node, ...] = field(init=False)
    """All nodes, inputs first, then in topological order."""

    def __post_init__(self) -> None:
        known = set(self.inputs)
        inner = [node for node in ordered(self.outputs, self.inputs) if node not in known]
        for node in inner:
            if node.primitive is None and node.value is None:
                raise of_another_trace(node)
        object.__setattr__(self, "nodes", (*self.inputs, *inner))

"""Functions with a name in mathematics, found in a graph: σ, tanh, ReLU, softplus, GELU …

Knows what they look like as graphs and puts one box in the place of each, whose derivative is f′. Their
formulas, and those of their derivatives, are in ``formulas``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad.explain.boxes import is_elementwise
from boxgrad.explain.spelled import spelled
from boxgrad.graph.node import Node, Scope, rebuilt
from boxgrad.graph.primitive import Call, NoDerivative
from boxgrad.ops import elementwise as e
from boxgrad.trace.apply import apply
from boxgrad.trace.box import OwnBox
from boxgrad.types import ArrayType

SCOPES = {
    "sigmoid": "σ",
    "gate": "σ",
    "tanh": "tanh",
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "elu": "ELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "swish": "SiLU",
    "softplus": "softplus",
}
"""Boxed functions by the name of their box."""


@dataclass(frozen=True)
class Function:
    """A function of one argument that is written f(x), and f′(x) for its derivative.

    Has the fields of a primitive that the backward walk reads; ``inside`` is the node it stands for and
    ``argument`` what it was applied to there.
    """

    name: str
    order: int
    inside: Node
    argument: Node

    def meaning(self, x: Any) -> Any:
        """Only its shape is ever asked for: it stands in formulas, which are not run."""
        return x

    def type_rule(self, x: ArrayType) -> ArrayType:
        return ArrayType(x.shape, x.dtype)

    @property
    def vjp(self) -> Any:
        """g ⊙ f′(x)."""
        if self.order:
            return NoDerivative("only first derivatives of named functions are written")
        slope = Function(self.name, 1, self.inside, self.argument)
        return (lambda g, y, x: g * OwnBox(apply(slope, (x,))),)  # type: ignore[arg-type]

    @property
    def notation(self) -> Call:
        return Call(self.name)

    @property
    def callables(self) -> tuple[Any, ...]:
        return ()


def _is(node: Node, number: float) -> bool:
    """Whether a node is a constant number."""
    return node.primitive is None and node.value is not None and node.label is None and (
        np.size(node.value) == 1 and float(np.reshape(node.value, ())) == number
    )  # fmt: skip


def _either(node: Node, primitive: Any, number: float) -> Node | None:
    """The other operand of a commutative box of which one operand is a number."""
    if node.primitive is not primitive:
        return None
    first, second = node.inputs
    if _is(first, number):
        return second
    return first if _is(second, number) else None


def _negated(node: Node) -> Node | None:
    return node.inputs[0] if node.primitive is e.negative else _either(node, e.multiply, -1)


def _sigmoid(node: Node) -> Node | None:
    if node.primitive is not e.divide:
        return None
    top, bottom = node.inputs
    power = _either(bottom, e.add, 1)
    if power is None or power.primitive is not e.exp:
        return None
    if _is(top, 1):
        return _negated(power.inputs[0])
    same = top.primitive is e.exp and top.inputs[0] is power.inputs[0]
    return power.inputs[0] if same else None


def _softplus(node: Node) -> Node | None:
    if node.primitive is e.log:
        power = _either(node.inputs[0], e.add, 1)
        return power.inputs[0] if power is not None and power.primitive is e.exp else None
    if node.primitive is e.log1p and node.inputs[0].primitive is e.exp:
        return node.inputs[0].inputs[0]
    return _either(node, e.logaddexp, 0)


def _relu(node: Node) -> Node | None:
    if node.primitive is not e.where:
        return None
    condition, first, second = node.inputs
    if condition.primitive in (e.less_equal, e.less) and _is(first, 0) and condition.inputs[0] is second:
        return second if _is(condition.inputs[1], 0) else None
    if (
        condition.primitive in (e.greater, e.greater_equal)
        and _is(second, 0)
        and condition.inputs[0] is first
    ):
        return first if condition.primitive is e.greater and _is(condition.inputs[1], 0) else None
    return None


def _leaky(node: Node) -> Node | None:
    """max(a x, x) with 0 < a < 1."""
    if node.primitive is not e.maximum:
        return None
    for one, other in (node.inputs, node.inputs[::-1]):
        if one.primitive is e.multiply and other in one.inputs:
            factor = one.inputs[0] if one.inputs[1] is other else one.inputs[1]
            if factor.primitive is None and factor.value is not None and np.size(factor.value) == 1:
                return other if 0 < float(np.reshape(factor.value, ())) < 1 else None
    return None


_PATTERNS = (
    ("σ", _sigmoid),
    ("tanh", lambda node: node.inputs[0] if node.primitive is e.tanh else None),
    ("softplus", _softplus),
    ("ReLU", _relu),
    ("ReLU", lambda node: _either(node, e.maximum, 0)),
    ("LeakyReLU", _leaky),
)


def recognised(node: Node, whole: bool) -> tuple[str, Node] | None:
    """The name of the function that a node is the result of, and its argument; None where it has none.

    ``whole`` tells that the node is the result of the boxed function that it was made in.
    """
    if node.primitive is None or isinstance(node.primitive, Function) or node.dtype.kind != "f":
        return None
    scope = node.scope
    if scope is not None and whole:
        argument = _only_argument(node, scope)
        if argument is not None:
            return SCOPES.get(scope.name, scope.name), argument
    for name, pattern in _PATTERNS:
        argument = pattern(node)
        if (argument is not None and argument.primitive is not None) or argument in _leaves(node):
            return name, argument  # type: ignore[return-value]
    return None


def _leaves(node: Node) -> tuple[Any, ...]:
    """The inputs of a few boxes above a node, that are themselves inputs of the graph."""
    found: list[Node] = []
    level = [node]
    for _ in range(4):
        level = [x for one in level for x in one.inputs]
        found += [x for x in level if x.primitive is None and (x.value is None or x.label is not None)]
    return tuple(found)


def inside_of(scope: Scope | None, outer: Scope) -> bool:
    """Whether a scope is another, or lies within it."""
    while scope is not None:
        if scope is outer:
            return True
        scope = scope.parent
    return False


def _only_argument(node: Node, scope: Scope) -> Node | None:
    """The argument of a boxed elementwise function of one argument, given its result."""
    sources: set[Node] = set()
    seen: set[Node] = set()
    stack = [node]
    while stack:
        one = stack.pop()
        if one in seen:
            continue
        seen.add(one)
        if not is_elementwise(one) or len(seen) > 40:
            return None
        for x in one.inputs:
            if x.primitive is None and x.value is not None and x.label is None and np.size(x.value) == 1:
                continue
            if x.primitive is not None and inside_of(x.scope, scope):
                stack.append(x)
            else:
                sources.add(x)
    (source,) = sources if len(sources) == 1 else (None,)
    return source if source is not None and source.shape == node.shape else None


def named(nodes: Iterable[Node], outer: set[Node]) -> dict[Node, Node]:
    """The nodes rebuilt with one box for each named function; ``outer`` are those used from outside.

    A function of a scope is looked for at the node that leaves the scope only.
    """
    nodes = list(nodes)
    own = set(nodes)
    leaving = set(outer)
    for node in nodes:
        leaving.update(x for x in node.inputs if x.scope is not None and not _shares(node, x.scope))
    new: dict[Node, Node] = {}
    for node in nodes:
        found = recognised(node, node in leaving)
        if found is not None:
            name, argument = found
            made = Node(
                Function(name, 0, node, argument),  # type: ignore[arg-type]
                (new.get(argument, argument),), {}, node.value, ArrayType(node.shape, node.dtype),
                node.origin, node.scope, node.label,
            )  # fmt: skip
        else:
            made = rebuilt(node, tuple(new.get(x, x) for x in node.inputs), node.parameters)
            made.value = node.value
            made.primitive = spelled(node) or node.primitive  # type: ignore[assignment]
        if node in own:
            new[node] = made
    return new


def _shares(node: Node, scope: Scope) -> bool:
    return inside_of(node.scope, scope)

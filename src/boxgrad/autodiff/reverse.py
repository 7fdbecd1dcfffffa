"""Reverse mode: one backward walk over a graph.

The walk visits the boxes between the inputs and the outputs from last to first and applies each box's
derivative rule. Rules are plain NumPy, so the walk works on arrays where all values are known, and extends
the graph where the derivative is to be a graph itself (which makes it differentiable again).

Convention: ∂L/∂X has the shape and the dtype of X. Un-broadcasting and accumulation happen here, once, not
in the rules. Integer and boolean values carry no gradient. Within the walk g of a complex y is such that
dL = Re(g dy), so that the rule of an analytic function is that of real calculus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np

from boxgrad.errors import DerivativeError
from boxgrad.graph.node import Node
from boxgrad.graph.primitive import AllInputs, EachInput, NoDerivative, OfInside
from boxgrad.graph.walk import depending
from boxgrad.ops import control
from boxgrad.ops.shape import unbroadcast
from boxgrad.trace.apply import context
from boxgrad.trace.box import OwnBox

Inside = Callable[["Walk", Node, dict[int, Any], tuple[bool, ...]], list[Any]]


class Walk:
    """One backward walk. ``as_graph`` chooses between arrays and boxes."""

    def __init__(self, as_graph: bool, inside: Inside) -> None:
        self.as_graph = as_graph
        self._inside = inside

    def operand(self, node: Node) -> Any:
        """A forward value as the rules see it: an array, or a box; a Python number is itself in both."""
        return OwnBox(node) if self.as_graph and not node.is_number else node.value

    def run(self, outputs: Sequence[Node], gradients: Sequence[Any], wrt: Sequence[Node]) -> list[Any]:
        """The gradients of ``wrt`` from those of the outputs; None where nothing arrives."""
        order = depending(outputs, wrt)
        active = {node for node in order if node.dtype.kind in "fcO"}
        wanted = set(wrt)
        found: dict[Node, Any] = {}
        for node, g in zip(outputs, gradients, strict=True):
            if node in active and g is not None:
                _accumulate(found, node, g)
        before = context.origin, context.scope
        try:
            for node in reversed(order):
                g = found.get(node)
                if g is None or node in wanted:
                    continue
                del found[node]
                if self.as_graph:
                    context.origin, context.scope = node.origin, node.scope
                self._step(node, g, active, found)
        finally:
            context.origin, context.scope = before
        return [found.get(node) for node in wrt]

    def _step(self, node: Node, g: Any, active: set[Node], found: dict[Node, Any]) -> None:
        """Pass the gradient of one box on to its inputs."""
        primitive = node.primitive
        assert primitive is not None
        if primitive is control.item:
            parts = found.setdefault(node.inputs[0], {})
            index = node.parameters["index"]
            parts[index] = parts[index] + g if index in parts else g
            return
        rules = primitive.vjp
        if isinstance(rules, NoDerivative):
            return
        inputs = node.inputs
        if self.as_graph:
            operands, y = [self.operand(x) for x in inputs], self.operand(node)
        else:
            operands, y = [x.value for x in inputs], node.value
        if isinstance(rules, tuple):
            each = cast("Iterable[Any]", rules)
            for x, rule in zip(inputs, each, strict=True):
                if x in active and type(rule) is not NoDerivative:
                    result = rule(g, y, *operands, **node.parameters)
                    if result is not None:
                        _accumulate(found, x, self._fitted(result, x))
            return
        wanted = tuple([x in active for x in inputs])
        if isinstance(rules, OfInside):
            results = self._inside(self, node, g, wanted)
        else:
            if isinstance(rules, EachInput):
                results = [
                    cast("Any", rules.rule)(g, y, index, *operands, **node.parameters) if want else None
                    for index, want in enumerate(wanted)
                ]
            else:
                assert isinstance(rules, AllInputs)
                results = cast("Any", rules.rule)(g, y, wanted, *operands, **node.parameters)
        for x, want, result in zip(node.inputs, wanted, results, strict=True):
            if want and result is not None:
                _accumulate(found, x, self._fitted(result, x))

    def _fitted(self, g: Any, x: Node) -> Any:
        """The gradient in the shape and dtype of its value."""
        if g.shape != x.shape:
            g = unbroadcast(g, x.shape)
        if g.dtype != x.dtype:
            g = _cast(g, x.dtype)
        if self.as_graph and isinstance(g, OwnBox) and g.node.gradient_of is None and g.node.primitive:
            g.node.gradient_of = x
        return g


def _cast(g: Any, dtype: np.dtype[Any]) -> Any:
    return (g.real if g.dtype.kind == "c" and dtype.kind != "c" else g).astype(dtype)


def _accumulate(found: dict[Node, Any], node: Node, g: Any) -> None:
    known = found.get(node)
    found[node] = g if known is None else known + g


def broken(outputs: Sequence[Node], wrt: Sequence[Node]) -> None:
    """Refuse a derivative that is 0 only because the chain is broken by a box without derivative.

    Not where a derivative is being differentiated: the slope of a ramp is a comparison, rightly.
    """
    order = depending(outputs, wrt)
    if any(node.gradient_of is not None for node in order):
        return
    for node in order:
        cut = node.primitive is not None and node.items is None and node.dtype.kind not in "fc"
        if cut and any(x.dtype.kind in "fc" for x in node.inputs):
            assert node.primitive is not None
            reason = (
                node.primitive.vjp.reason
                if isinstance(node.primitive.vjp, NoDerivative)
                else (f"its result is {node.type!r}, and integers and truth values carry no gradient")
            )
            raise DerivativeError.because(
                f"the result depends on the argument only through {node.primitive.name}, which has no "
                "derivative: the gradient would be 0 everywhere",
                reason,
                "a smooth function in its place (a weighted sum for argmax, a sigmoid for a comparison), "
                "or bg.stop_gradient around it if 0 is what you mean",
                node.place,
            )


def lost(taken: Sequence[Node], wrt: Sequence[Node]) -> None:
    """Refuse a derivative that is 0 because all that was made of the arguments are Python numbers."""
    active = depending(taken, wrt)
    if any(node in active for node in taken):
        raise DerivativeError.because(
            "the result depends on the argument only through a Python number (float(), .item(), .tolist())",
            "a number does not remember how it was computed: the gradient would be 0 everywhere",
            "NumPy functions of x itself; bg.stop_gradient(x) in the result if 0 is what you mean",
        )

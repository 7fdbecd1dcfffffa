"""Slopes that are shortest in terms of the result: σ′ = S (1 - S), tanh′ = 1 - T², exp′ = E.

An elementwise line of one variable is compared with these forms at some points. Two such functions that agree
at many points in general position are the same, so nothing needs to know how the user wrote them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from boxgrad.explain.boxes import is_elementwise
from boxgrad.explain.code_cut import Statement
from boxgrad.explain.code_terms import Term, number, product, total
from boxgrad.graph.node import Node, ordered

_POINTS = np.random.default_rng(7).uniform(-3.0, 3.0, 64)


def _one_minus(y: Term, power: int) -> Term:
    return total([(number(1), 1), (product([(y, power)], y.shape, y.dtype), -1)], y.shape, y.dtype)


_FORMS: list[tuple[Callable[[Any], Any], Callable[[Term], list[tuple[Term, int]]]]] = [
    (lambda y: y, lambda y: [(y, 1)]),
    (lambda y: y * (1 - y), lambda y: [(y, 1), (_one_minus(y, 1), 1)]),
    (lambda y: 1 - y * y, lambda y: [(_one_minus(y, 2), 1)]),
]


def known_slope(
    statement: Statement, gradient: Node, seed: Node, x: Node, g: Term, known: Mapping[Node, Term]
) -> Term | None:
    """The gradient of the one variable of a line, if its slope has one of the known forms."""
    node = statement.node
    if any(inner.dtype.kind == "c" for inner in (x, gradient, *statement.nodes)):
        return None
    if len(statement.inputs) != 1 or x.shape != node.shape or len(statement.nodes) < 2:
        return None
    if not all(is_elementwise(inner) and _scalar_leaves(inner, x) for inner in statement.nodes):
        return None
    points = _POINTS.astype(node.dtype)
    with np.errstate(all="ignore"):
        y, slope = _evaluated([node, gradient], {x: points, seed: np.ones_like(points)})
        for value, form in _FORMS:
            guess = value(y)
            usable = np.isfinite(guess) & np.isfinite(slope)
            if usable.sum() < 16 or not np.any(np.abs(guess[usable]) > 1e-6):
                continue
            factor = _factor(slope[usable], guess[usable])
            if factor is not None:
                parts = [(number(factor), 1), (g, 1), *form(known[node])]
                return product(parts, node.shape, node.dtype)
    return None


def _evaluated(nodes: list[Node], given: dict[Node, Any]) -> list[Any]:
    """The values of nodes on arrays of points, whatever shape they were traced with."""
    found = dict(given)
    for node in ordered(nodes, given):
        if node in found:
            continue
        if node.primitive is None:
            found[node] = node.value
        else:
            found[node] = node.primitive.meaning(*[found[y] for y in node.inputs], **node.parameters)
    return [found[node] for node in nodes]


def _scalar_leaves(node: Node, x: Node) -> bool:
    """Whether all that a node reads besides x and other nodes are numbers."""
    return all(leaf.primitive is not None or leaf is x or np.ndim(leaf.value) == 0 for leaf in node.inputs)


def _factor(slope: Any, guess: Any) -> float | None:
    """The whole number or simple fraction by which two functions differ everywhere."""
    largest = int(np.argmax(np.abs(guess)))
    ratio = float(slope[largest] / guess[largest])
    near = round(ratio * 8) / 8
    accuracy = 1e-12 if slope.dtype == np.float64 else 1e-5
    if not near or abs(ratio - near) > accuracy * 10:
        return None
    same = np.abs(slope - near * guess) <= accuracy * (np.abs(near * guess) + 1e-3 * np.max(np.abs(guess)))
    return near if bool(np.all(same)) else None

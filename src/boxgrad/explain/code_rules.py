"""Gradients that are best said with a function of the file: products, running products, maxima, sorting."""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad.explain.code_terms import Term, number, product, reduced, reshaped, spread
from boxgrad.explain.code_text import shape_text
from boxgrad.graph.node import Node

BOOL = np.dtype(bool)


def whole_gradient(node: Node, g: Term, y: Term, x: Term) -> Term | None:
    """The gradient of the input of a primitive that is a line by itself, y = f(x); None: use its rule."""
    assert node.primitive is not None
    rule = _RULES.get(node.primitive.name)
    return None if rule is None else rule(node, g, y, x)


def _restored(node: Node, value: Term) -> Term:
    axis = node.parameters["axis"]
    return reshaped(value, tuple(1 if i in axis else n for i, n in enumerate(node.inputs[0].shape)))


def _function(name: str, args: list[Term], option: str, x: Term) -> Term:
    return Term("helper", args, (name, (option,) if option else ()), x.shape, x.dtype)


def _prod(node: Node, g: Term, y: Term, x: Term) -> Term:
    others = _function("other_factors", [x], f"axis={shape_text(node.parameters['axis'])}", x)
    return product([(_restored(node, g), 1), (others, 1)], x.shape, x.dtype)


def _extremum(node: Node, g: Term, y: Term, x: Term) -> Term:
    """The largest elements get the gradient, in equal parts at a tie."""
    whole = len(node.parameters["axis"]) == x_axes(x)
    best = y if whole and not y.shape else _restored(node, y)
    ties = Term("binary", (x, best), ("==", 4), x.shape, BOOL)
    shape = best.shape if not (whole and not y.shape) else ()
    count = reduced(ties, "sum", node.parameters["axis"], bool(shape), shape, np.dtype(np.int64))
    share = g if whole and not g.shape else _restored(node, g)
    return product([(share, 1), (ties, 1), (count, -1)], x.shape, x.dtype)


def x_axes(x: Term) -> int:
    """The number of axes of a term."""
    return len(x.shape)


def _sorted(node: Node, g: Term, y: Term, x: Term) -> Term:
    axis = node.parameters["axis"]
    option = f'axis={axis}, kind="stable"'
    order = Term("call", (x,), ("np.argsort", option), x.shape, np.dtype(np.intp))
    rank = Term("call", (order,), ("np.argsort", option), x.shape, np.dtype(np.intp))
    return Term("call", (spread(g, x.shape), rank), ("np.take_along_axis", f"axis={axis}"), x.shape, x.dtype)


def _sinc(node: Node, g: Term, y: Term, x: Term) -> Term:
    return product([(g, 1), (_function("sinc_slope", [x], "", x), 1)], x.shape, x.dtype)


def _cumprod(node: Node, g: Term, y: Term, x: Term) -> Term:
    return _function("cumprod_input", [spread(g, x.shape), x], f"axis={node.parameters['axis']}", x)


def ones_like(x: Term) -> Term:
    """Ones in the shape of a term."""
    return spread(number(1.0), x.shape)


_RULES: dict[str, Any] = {
    "prod": _prod,
    "max": _extremum,
    "min": _extremum,
    "sort": _sorted,
    "sinc": _sinc,
    "cumprod": _cumprod,
}

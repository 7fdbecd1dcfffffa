"""The formulas of functions that have a name, and of their derivatives.

A function that is not in the table gets both from its own graph. Knows no medium.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from boxgrad.autodiff.loops import scan_backward
from boxgrad.autodiff.reverse import Walk
from boxgrad.boxed import activate
from boxgrad.explain import expression as x
from boxgrad.explain.convert import converted
from boxgrad.explain.expression import Expression, number
from boxgrad.explain.recognise import Function
from boxgrad.explain.simplify import simplify
from boxgrad.graph.node import Node
from boxgrad.ops import elementwise
from boxgrad.trace.apply import noting
from boxgrad.trace.box import Box, OwnBox
from boxgrad.trace.tracer import Tracing

ARGUMENT = x.Symbol("x", "x", shape=())
ONE, ZERO = number(1), number(0)


def _exp(e: Expression) -> Expression:
    return x.call("exp", e)


def _sigma() -> Expression:
    return x.call("σ", ARGUMENT)


def _tanh_slope() -> Expression:
    return x.add(ONE, x.negative(x.power(x.call("tanh", ARGUMENT), number(2))))


def _sigma_slope() -> Expression:
    return x.times(_sigma(), x.add(ONE, x.negative(_sigma())))


def _sigma_formula() -> Expression:
    return x.fraction(ONE, x.add(ONE, _exp(x.negative(ARGUMENT))))


def _tanh_formula() -> Expression:
    up, down = _exp(ARGUMENT), _exp(x.negative(ARGUMENT))
    return x.fraction(x.add(up, x.negative(down)), x.add(up, down))


def _softplus_formula() -> Expression:
    return x.call("log", x.add(ONE, _exp(ARGUMENT)))


def _relu_formula() -> Expression:
    return x.call("max", ZERO, ARGUMENT)


_TABLE: dict[tuple[str, int], Callable[[], Expression]] = {
    ("σ", 0): _sigma_formula,
    ("σ", 1): _sigma_slope,
    ("tanh", 0): _tanh_formula,
    ("tanh", 1): _tanh_slope,
    ("ReLU", 0): _relu_formula,
    ("SiLU", 0): lambda: x.times(ARGUMENT, _sigma()),
    ("SiLU", 1): lambda: x.times(_sigma(), x.add(ONE, x.times(ARGUMENT, x.add(ONE, x.negative(_sigma()))))),
}


def formula(function: Function) -> Expression:
    """f(x), or f′(x), in terms of a number x."""
    known = _TABLE.get((function.name, function.order))
    if known is not None:
        return known()
    inside = function.inside
    if function.name == "softplus" and _plain(inside):
        return _sigma() if function.order else _softplus_formula()
    if function.name == "LeakyReLU" and inside.primitive is elementwise.maximum:
        return _leaky(inside, function.order)
    argument = function.argument
    # The value of a constant argument does not matter here.
    shaped = x.Symbol("x", "x", shape=argument.shape)
    if function.order == 0:
        return _scalar(simplify(converted([inside], {argument: shaped})[inside]))
    seed = Node(None, (), {}, None, inside.type)
    with activate(Tracing()), noting(origin=(), scope=None):
        (found,) = Walk(True, scan_backward).run([inside], [OwnBox(seed)], [argument])
    if not isinstance(found, Box):
        return ZERO
    start = x.Fill(1, shape=inside.shape) if inside.shape else ONE
    node = found.node
    return cases(_scalar(simplify(converted([node], {argument: shaped, seed: start})[node])))


def table(name: str) -> Expression | None:
    """The formula of a function that others are made of."""
    known = _TABLE.get((name, 0))
    return known() if known is not None and name not in ("tanh",) else None


def _plain(inside: Node) -> bool:
    """Whether a softplus is one of x itself, not of β x."""
    return inside.primitive is not elementwise.divide and all(
        node.primitive is not elementwise.multiply for node in inside.inputs
    )


def _leaky(inside: Node, order: int) -> Expression:
    product = next(one for one in inside.inputs if one.primitive is elementwise.multiply)
    slope = next(
        float(np.reshape(one.value, ()))
        for one in product.inputs
        if one.primitive is None and one.value is not None and np.size(one.value) == 1
    )
    if order == 0:
        return x.call("max", x.times(number(slope), ARGUMENT), ARGUMENT)
    above, at, below = (_compared(symbol) for symbol in (">", "=", "<"))
    middle = number(float(f"{(1 + slope) / 2:.12g}"))
    return x.Cases(((ONE, above), (middle, at), (number(slope), below)), shape=())


def _compared(symbol: str, other: Any = ZERO) -> Expression:
    return x.Infix(symbol, (ARGUMENT, other), shape=())


def cases(e: Expression) -> Expression:
    """A sum of indicators as cases: [x > 0] + ½ [x = 0] is 1, ½ or 0."""
    branches: list[tuple[Expression, Expression | None]] = []
    for term in e.terms if isinstance(e, x.Add) else (e,):
        factors = term.factors if isinstance(term, x.Times) else (term,)
        if not isinstance(factors[-1], x.Indicator):
            return e
        branches.append((x.times(*factors[:-1]) if len(factors) > 1 else ONE, factors[-1].condition))
    conditions = {part.parts for _, part in branches if isinstance(part, x.Infix)}
    if len(conditions) != 1:
        return e
    return x.Cases((*branches, (ZERO, None)), shape=())


def _scalar(e: Expression) -> Expression:
    """The same formula for one element."""
    if isinstance(e, x.Fill):
        return number(e.value)
    if isinstance(e, x.Spread):
        return _scalar(e.x)
    inner = e.over(_scalar)
    return simplify(replace(inner, shape=())) if inner.shape else inner

"""The formulas of functions that have a name, and of their derivatives.

A function that is not in the table gets both from its own graph. Knows no medium.
"""

from __future__ import annotations

from collections.abc import Callable

from boxgrad.autodiff.loops import scan_backward
from boxgrad.autodiff.reverse import Walk
from boxgrad.explain import expression as x
from boxgrad.explain.convert import converted
from boxgrad.explain.expression import Expression, number
from boxgrad.explain.recognise import Function
from boxgrad.explain.simplify import simplify
from boxgrad.graph.node import Node, constant_node
from boxgrad.trace.apply import noting
from boxgrad.trace.box import OwnBox

ARGUMENT = x.Symbol("x", "x", shape=())
ONE = number(1)


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


_TABLE: dict[tuple[str, int], Callable[[], Expression]] = {
    ("σ", 0): _sigma_formula,
    ("σ", 1): _sigma_slope,
    ("tanh", 0): _tanh_formula,
    ("tanh", 1): _tanh_slope,
    ("softplus", 1): _sigma,
}


def formula(function: Function) -> Expression | None:
    """f(x), or f′(x), in terms of a number x; None where it would only repeat itself."""
    known = _TABLE.get((function.name, function.order))
    plain = function.inside.primitive is not None and function.inside.scope is None
    if known is not None:
        return known()
    del plain
    inside, argument = function.inside, function.argument
    shaped = x.Symbol("x", "x", shape=argument.shape)
    if function.order == 0:
        return _scalar(simplify(converted([inside], {argument: shaped})[inside]))
    one = constant_node(1.0)
    seed = Node(None, (), {}, None, inside.type)
    with noting(origin=(), scope=None):
        (found,) = Walk(True, scan_backward).run([inside], [OwnBox(seed)], [argument])
    if found is None:
        return number(0)
    del one
    whole = converted(
        [found.node], {argument: shaped, seed: x.Fill(1, shape=inside.shape) if inside.shape else ONE}
    )
    return _scalar(simplify(whole[found.node]))


def _scalar(e: Expression) -> Expression:
    """The same formula for one element."""
    if isinstance(e, x.Fill):
        return number(e.value)
    if isinstance(e, x.Spread):
        return _scalar(e.x)
    inner = e.over(_scalar)
    return simplify(x.replace(inner, shape=())) if inner.shape else inner


def is_table(name: str) -> bool:
    """Whether mathematics has a name of its own for the function."""
    return (name, 1) in _TABLE

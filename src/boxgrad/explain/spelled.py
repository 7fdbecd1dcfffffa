"""Primitives whose gradient mathematics writes otherwise than a program computes it.

∂(Π x)/∂xᵢ is the product of all others; a program finds it by running products from both ends. In formulas
these primitives get rules whose results are written as they stand, and are not run. Knows no medium.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from boxgrad.graph.node import Node
from boxgrad.graph.primitive import Call, NoDerivative, Notation
from boxgrad.ops import elementwise, reduce
from boxgrad.trace.apply import apply
from boxgrad.trace.box import OwnBox
from boxgrad.types import ArrayType

_PLAIN = Call("")
_FIRST_ONLY = NoDerivative("only first derivatives are written")


@dataclass(frozen=True)
class Spelled:
    """Has the fields of a primitive that the backward walk reads; ``name`` tells how it is written."""

    name: str
    vjp: Any = _FIRST_ONLY
    notation: Notation = _PLAIN

    def meaning(self, *inputs: Any, **parameters: Any) -> Any:
        """Only its shape is ever asked for."""
        return inputs[-1]

    def type_rule(self, *inputs: ArrayType, **parameters: Any) -> ArrayType:
        return inputs[-1]

    @property
    def callables(self) -> tuple[Any, ...]:
        return ()


def _slope(name: str, *inputs: Any, **parameters: Any) -> Any:
    return OwnBox(apply(Spelled(name), inputs, parameters))  # type: ignore[arg-type]


def _prod(g: Any, y: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    return reduce.restored(g, x, axis, keepdims) * _slope("others", x, axis=axis)


_RULES: dict[Any, tuple[Any, ...]] = {
    reduce.prod: (_prod,),
    reduce.cumsum: (lambda g, y, x, axis: _slope("sums after", g, axis=axis),),
    reduce.cumprod: (lambda g, y, x, axis: _slope("products after", g, x, axis=axis),),
    reduce.sort: (lambda g, y, x, axis: _slope("unsorted", g, x, axis=axis),),
    elementwise.logaddexp: (
        lambda g, y, x, z: g * _slope("sigmoid", x - z),
        lambda g, y, x, z: g * _slope("sigmoid", z - x),
    ),
}


def spelled(node: Node) -> Spelled | None:
    """What a node's primitive is in formulas, where its gradient is written otherwise."""
    rules = _RULES.get(node.primitive)
    if rules is None or node.primitive is None:
        return None
    return Spelled(node.primitive.name, rules, node.primitive.notation)

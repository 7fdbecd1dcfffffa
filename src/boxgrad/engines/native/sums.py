"""Sums that are put together from sums known already, so that large arrays are read once less.

Knows that a sum is linear. Where ``a x + b y + c`` is summed along axes along which a, b and c stay the same,
and the sums of x and y are known, the result is ``a Σx + b Σy + n c``, and nothing needs to be read. So do
the gradients of batch normalisation: without it, each is a sweep over the images that waits for another one.

Only sums of many float32 are; they are known, and put together, in float64 and rounded once, so that nothing
is lost where parts cancel. An intermediate result that overflows in float32 does not do so here, and a zero
among many that meets an infinite factor is not seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from boxgrad.engines.native import emitters
from boxgrad.engines.native.ir import is_supported
from boxgrad.engines.native.layout import Shape, Value, fresh
from boxgrad.engines.native.lowering import Lowering, Reduce, RefusedError, narrowed
from boxgrad.engines.native.steps import Literal, Operand
from boxgrad.engines.native.vector import FLOAT32, FLOAT64, Lanes, Term
from boxgrad.graph.node import Node

SUM = Reduce(emitters.ADD, lambda dtype: 0)
FEWEST = 1 << 12
"""Elements for which it is worth it."""
MOST_PARTS = 12
"""Boxes that are looked into."""


def total(lowering: Lowering, node: Node) -> Value:
    """The sum of a node."""
    (x,) = node.inputs
    if not is_supported(node.dtype) or not is_supported(x.dtype):
        raise RefusedError(f"kernels do not compute with {node.dtype}")
    if x.dtype != FLOAT32 or node.dtype != FLOAT32 or math.prod(x.shape) < FEWEST:
        return lowering.reduced(node, SUM, node.dtype)
    axes = tuple(sorted(node.parameters["axis"]))
    wide = _Parts(lowering, x, axes).value()
    if wide is None:
        if len(lowering.readers(x)) < 2 or not _has_company(lowering, node):
            return lowering.reduced(node, SUM, node.dtype)
        found = lowering.reduced(node, SUM, FLOAT64)
        wide = found.reshaped(_kept(x.shape, axes))
        assert wide is not None
    lowering.totals[x, axes] = wide
    place = fresh(node.shape, FLOAT32)
    kept = place.reshaped(wide.shape)
    assert kept is not None
    lowering.add("round", wide.shape, (Operand(wide, FLOAT64),), _itself, kept)
    return place


def _has_company(lowering: Lowering, node: Node) -> bool:
    """Whether other arrays of that shape are summed along the same axes."""

    def alike(other: Node) -> bool:
        same = other.primitive is node.primitive and other.inputs[0].shape == node.inputs[0].shape
        return same and other.parameters["axis"] == node.parameters["axis"]

    return any(other is not node and alike(other) for other in lowering.graph.nodes)


def _itself(e: Lanes, x: Term) -> Term:
    return x


def _kept(shape: Shape, axes: Shape) -> Shape:
    return tuple(1 if axis in axes else n for axis, n in enumerate(shape))


@dataclass(frozen=True, slots=True)
class _Part:
    """A known sum times factors, divided by others."""

    known: Value | Literal
    factors: tuple[Value | Literal, ...] = ()
    divisors: tuple[Value | Literal, ...] = ()
    negative: bool = False
    count: int = 1
    """How often it is added."""


class _Parts:
    """The parts of a sum, if all are known."""

    def __init__(self, lowering: Lowering, x: Node, axes: Shape) -> None:
        self.lowering, self.x, self.axes = lowering, x, axes
        self.space = _kept(x.shape, axes)
        self.looked = 0

    def value(self) -> Value | None:
        """The sum, put together in float64."""
        parts = self._parts(self.x)
        if parts is None:
            return None
        operands: list[Operand] = []
        for part in parts:
            operands += [Operand(v, FLOAT64) for v in (part.known, *part.factors, *part.divisors)]

        def together(e: Lanes, *terms: Term) -> Term:
            rest = iter(terms)
            result = e.constant(0, FLOAT64)
            for part in parts:
                y = next(rest)
                for _ in part.factors:
                    y = e.op("fmul", y, next(rest))
                for _ in part.divisors:
                    y = e.op("fdiv", y, next(rest))
                if part.count != 1:
                    y = e.op("fmul", y, e.like(part.count, y))
                result = e.op("fsub" if part.negative else "fadd", result, y)
            return result

        place = fresh(self.space, FLOAT64)
        self.lowering.add("sum of sums", self.space, tuple(operands), together, place)
        return place

    def _parts(self, x: Node) -> list[_Part] | None:
        same = self._same(x)
        if same is not None:
            return [_Part(same, count=math.prod(self.x.shape) // math.prod(self.space))]
        known = self.lowering.totals.get((x, self.axes)) if x.shape == self.x.shape else None
        if known is not None:
            return [_Part(known)]
        self.looked += 1
        if x.primitive is None or x.dtype != FLOAT32 or x.shape != self.x.shape or self.looked > MOST_PARTS:
            return None
        name = x.primitive.name
        if name in ("add", "subtract"):
            first, second = (self._parts(y) for y in x.inputs)
            if first is None or second is None:
                return None
            return [*first, *(self._negated(second) if name == "subtract" else second)]
        if name == "negative":
            parts = self._parts(x.inputs[0])
            return parts and self._negated(parts)
        if name in ("multiply", "divide"):
            return self._scaled(x)
        return None

    def _scaled(self, x: Node) -> list[_Part] | None:
        a, b = x.inputs
        divides = x.primitive is not None and x.primitive.name == "divide"
        factor = self._same(b)
        if factor is None and not divides:
            a, factor = b, self._same(a)
        parts = None if factor is None else self._parts(a)
        if parts is None or factor is None:
            return None
        return [
            _Part(
                p.known,
                p.factors if divides else (*p.factors, factor),
                (*p.divisors, factor) if divides else p.divisors,
                p.negative,
                p.count,
            )
            for p in parts
        ]

    def _negated(self, parts: list[_Part]) -> list[_Part]:
        return [_Part(p.known, p.factors, p.divisors, not p.negative, p.count) for p in parts]

    def _same(self, x: Node) -> Value | Literal | None:
        """A node that stays the same along the axes, at one position of each."""
        source = self.lowering.source(x)
        if isinstance(source, Literal):
            return source if source.dtype.kind == "f" else None
        if source.dtype != FLOAT32:
            return None
        spread = source.spread(self.x.shape)
        return None if any(spread.strides[axis] for axis in self.axes) else narrowed(spread, self.space)

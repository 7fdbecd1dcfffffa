"""The formulas of a loop, and the chain rule inside of its body.

Knows the index t; which formulas a loop has is known to ``loops``.
"""

from __future__ import annotations

from dataclasses import dataclass

from boxgrad.explain.boxes import Model, Value
from boxgrad.explain.chain import Chain, Step
from boxgrad.explain.expression import Derivative, Expression, Symbol
from boxgrad.explain.timed import timed


@dataclass(frozen=True)
class Recurrence:
    """One formula of a loop: forward or backward, and the value outside that it belongs to, if any."""

    backward: bool
    expression: Expression
    value: Value | None = None
    kind: str = "step"
    """start, step, result, total or gap: a start or a total is not repeated for every t."""


class Body(Chain):
    """The chain of a loop's body: values have the index t, those handed on t − 1."""

    def __init__(self, model: Model, outside: Chain, symbols: dict[Value, Symbol], seeds: set[Value]) -> None:
        self.model, self.names, self.output = model, outside.names, outside.output
        self._symbols, self._seeds = symbols, seeds
        self._start()

    def symbol(self, value: Value) -> Symbol:
        if value not in self._symbols:
            self._symbols[value] = timed(value.name, value.shape, "t")
        return self._symbols[value]

    def gradient(self, value: Value) -> Expression:
        return Derivative(self.output, self.symbol(value), shape=value.shape)

    def _says_nothing(self, step: Step, after: Step, value: Value) -> bool:
        return value not in self._seeds and super()._says_nothing(step, after, value)

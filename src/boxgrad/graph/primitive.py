"""What a primitive is: a box that cannot be opened, and the five facts it knows.

Name, meaning in NumPy, type rule, derivative, notation. This module knows no particular primitive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from boxgrad.record import Record
from boxgrad.types import ArrayType

Function = (
    Callable[[Any], Any]
    | Callable[[Any, Any], Any]
    | Callable[[Any, Any, Any], Any]
    | Callable[[Any, Any, Any, Any], Any]
    | Callable[[Any, Any, Any, Any, Any], Any]
    | Callable[[Any, Any, Any, Any, Any, Any], Any]
    | Callable[..., Any]
)
Rule = Function
"""``rule(g, y, *inputs, **parameters)``: the gradient of an input from that of the output."""


class NoDerivative(Record):
    """Stands where a derivative rule would, and says why there is none."""

    reason: str


class EachInput(Record):
    """One rule for any number of inputs: ``rule(g, y, index, *inputs, **parameters)``."""

    rule: Rule


class AllInputs(Record):
    """One rule that gives all wanted gradients at once.

    ``rule(g, y, wanted, *inputs, **parameters)`` returns a gradient or None for each input. For a primitive
    of several outputs ``g`` holds, by their numbers, the gradients of those that one arrives at.
    """

    rule: Rule


class OfInside(Record):
    """The derivative is that of the graph inside the primitive, taken by ``autodiff``."""


Derivative = tuple[Rule | NoDerivative, ...] | EachInput | AllInputs | OfInside | NoDerivative


class Call(Record):
    """Written as a function of its arguments: ``tanh(x)``."""

    symbol: str


class Infix(Record):
    """Written between its arguments; a higher precedence binds more tightly."""

    symbol: str
    precedence: int


class Prefix(Record):
    """Written before its argument."""

    symbol: str
    precedence: int


class Fraction(Record):
    """Written as a numerator over a denominator."""


class Superscript(Record):
    """Written as a base with its second argument, or a fixed text, above."""

    text: str | None


class Delimited(Record):
    """Written between two marks: ``|x|``."""

    left: str
    right: str


class Sum(Record):
    """Written as a large operator over the axes it runs along."""

    symbol: str


class Contraction(Record):
    """Written as a product of matrices where its subscripts are one, else with its subscripts."""


class Index(Record):
    """Written as its first argument with the parameter ``key`` in brackets."""


class Same(Record):
    """Written as its argument: only the arrangement or the dtype changes."""


Notation = Call | Infix | Prefix | Fraction | Superscript | Delimited | Sum | Contraction | Index | Same
Type = ArrayType | tuple[ArrayType, ...]
_by_name: dict[str, Primitive] = {}
_by_callable: dict[Callable[..., Any], Primitive] = {}


class Traced:
    """Marks values that stand for nodes of a graph; applying a primitive to one extends its graph."""

    __slots__ = ()

    def bind(self, primitive: Primitive, inputs: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
        """Apply a primitive to inputs of which this is one."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, eq=False)
class Primitive:
    """A box that cannot be opened. Every field is required; absence is stated with a reason.

    ``callables`` are the NumPy callables of exactly this meaning, each of which may have one record.
    """

    name: str
    meaning: Function
    type_rule: Function
    vjp: Derivative
    notation: Notation
    callables: tuple[Callable[..., Any], ...]

    def __post_init__(self) -> None:
        if self.name in _by_name:
            raise ValueError(f"a second record for the primitive {self.name!r}")
        for known in self.callables:
            if known in _by_callable:
                raise ValueError(f"{known!r} is already said to be {_by_callable[known].name!r}")
            _by_callable[known] = self
        _by_name[self.name] = self

    def __call__(self, *inputs: Any, **parameters: Any) -> Any:
        """Compute on arrays, or extend the graph where an input is traced."""
        for x in inputs:
            if isinstance(x, Traced):
                return x.bind(self, inputs, parameters)
        return self.meaning(*inputs, **parameters)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def primitive_named(name: str) -> Primitive:
    """The primitive of that name; KeyError where there is none."""
    return _by_name[name]


def primitive_of(function: Callable[..., Any]) -> Primitive | None:
    """The primitive that a NumPy callable is, looked up by the object, not by its name."""
    return _by_callable.get(function)


def all_primitives() -> tuple[Primitive, ...]:
    """Every primitive there is, in the order of their records."""
    return tuple(_by_name.values())

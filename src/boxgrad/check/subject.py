"""The function under examination: traced, with points at which it is looked at and its true gradients there.

Everything is computed in double precision, whatever the arguments' dtype; the points are numbers that both
precisions share. Loops are unrolled, so that a step of a loop is a box like any other. Knows the function;
knows nothing of a claim about it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from boxgrad.check.arguments import Places, as_double
from boxgrad.check.sampling import resampled
from boxgrad.check.tape import Numbers, Tape
from boxgrad.check.unrolled import unrolled
from boxgrad.errors import BoxgradError, Place
from boxgrad.explain.boxes import Box, Model, Value
from boxgrad.explain.explanation import modelled, title_of

POINTS = 3
"""How many random points."""


@dataclass(eq=False)
class Point:
    """A set of arguments: ``args`` as the function takes them, ``leaves`` the numbers of the inputs."""

    args: tuple[Any, ...]
    leaves: list[Any]
    kind: str = "random"
    value: Any = None
    """The function's value there, once it is known."""
    tape: Tape | None = field(default=None, repr=False)
    numbers: Numbers = field(default_factory=dict, repr=False)
    now: Numbers = field(default_factory=dict, repr=False)
    """The numbers with the true gradients."""

    @property
    def double(self) -> list[Any]:
        """The numbers in double precision."""
        return [as_double(leaf) for leaf in self.leaves]


class Subject:
    """A function at some arguments.

    ``points`` are random ones of the same shapes, ``given`` the user's own; ``model`` is that of the first
    point.

    Raises:
        BoxgradError: the function cannot be traced, or does not return one real number.
    """

    def __init__(
        self, function: Callable[..., Any], args: Sequence[Any], wrt: Any = None, seed: int = 0
    ) -> None:
        self.function, self.wrt, self.seed = function, wrt, seed
        self.places = Places(args)
        self.title = title_of(function, args)
        self.given = Point(self.places.filled(self.places.leaves), list(self.places.leaves), "given")
        self.points = self._points(seed)
        first = self.points[0]
        self.model: Model = self._model(first)
        self.tape = Tape(self.model)
        first.tape = self.tape

    # ---- points
    def _points(self, seed: int) -> list[Point]:
        """Points where the function is finite; nearer to the user's where it is not, at worst these."""
        random = np.random.default_rng(seed)
        found: list[Point] = []
        for spread in (0.5, 0.5, 0.2, 0.2, 0.05, 0.05, 0.01):
            while len(found) < POINTS:
                point = self.point([resampled(leaf, random, spread) for leaf in self.places.leaves])
                if not self._is_finite(point):
                    break
                found.append(point)
        if len(found) > 1:
            found[-1] = self.point([_by_columns(leaf) for leaf in found[-1].leaves])
        return found or [self.given]

    def point(self, leaves: Sequence[Any], kind: str = "random") -> Point:
        """The point with these numbers."""
        return Point(self.places.filled(leaves), list(leaves), kind)

    def at(self, args: Sequence[Any]) -> Point:
        """The point of some arguments of the same structure."""
        return self.point(Places(args).leaves, "given")

    def call(self, point: Point) -> Any:
        """The function's value in double precision, without warnings."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            point.value = self.function(*self.places.filled(point.double))
            return point.value

    def varies(self) -> bool:
        """Whether the function gives different values for the same arguments."""
        one, two = self.call(self.given), self.call(self.given)
        return not np.allclose(one, two, rtol=1e-12, atol=0, equal_nan=True)

    @property
    def is_single(self) -> bool:
        """Whether an argument is in less than double precision."""
        return any(
            leaf.dtype.kind == "f" and leaf.dtype.itemsize < 8
            for leaf in self.places.leaves
            if isinstance(leaf, (np.ndarray, np.generic))
        )

    def _is_finite(self, point: Point) -> bool:
        try:
            return bool(np.all(np.isfinite(self.call(point))))
        except BoxgradError:
            raise
        except Exception:  # the user's function refuses these numbers, in whatever way
            return False

    # ---- the graph
    def _model(self, point: Point) -> Model:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return unrolled(modelled(self.function, self.places.filled(point.double), self.wrt))

    def prepare(self, point: Point) -> Point:
        """The numbers and true gradients at a point; traced anew where the function takes another branch."""
        if point.now:
            return point
        with np.errstate(all="ignore"):
            tape = point.tape or self.tape
            numbers = tape.run(point.double)
            if tape is not self.tape or self._agrees(tape, numbers, point):
                point.tape = tape
            else:
                point.tape = tape = Tape(self._model(point))
                numbers = tape.run(point.double)
            point.numbers, point.now = numbers, tape.backward(numbers)
        return point

    def _agrees(self, tape: Tape, numbers: Numbers, point: Point) -> bool:
        own, other = (
            numbers[tape.model.output.node],
            point.value if point.value is not None else self.call(point),
        )
        return bool(np.allclose(own, other, rtol=1e-6, atol=0, equal_nan=True))

    def follows(self, point: Point) -> bool:
        """Whether the function does at the point what it does at the first one, box by box."""
        return self.prepare(point).tape is self.tape

    # ---- by name
    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names of the real inputs that gradients are asked for."""
        return tuple(value.name for value in self.model.wrt)

    @cached_property
    def labels(self) -> dict[str, str]:
        """For each input the user's way to say it: ``W``, ``model.0.weight``."""
        return {value.name: value.node.label or value.name for value in self.model.inputs}

    @cached_property
    def named(self) -> dict[str, Value]:
        """The values by name."""
        return {value.name: value for value in self.model.values.values()}

    def values(self, point: Point) -> dict[str, Any]:
        """Every named value of the function at a point, inputs included."""
        self.prepare(point)
        assert point.tape is not None
        values = point.tape.model.values.values()
        return {value.name: point.numbers[value.node] for value in values if value.node in point.numbers}

    def gradients(self, point: Point) -> dict[str, Any]:
        """The true ∂L/∂(value) for every named value that has one, in the value's shape."""
        self.prepare(point)
        assert point.tape is not None
        tape = point.tape
        found: dict[str, Any] = {}
        for node, value in tape.model.values.items():
            leaf = tape.gradient.get(node)
            if leaf is not None and leaf in point.now:
                found[value.name] = np.asarray(point.now[leaf])
        for value in tape.model.wrt:
            found.setdefault(value.name, np.zeros(value.shape))
        return found

    def site(self, box: Box) -> Place | None:
        """The user's line that a box comes from."""
        return next((node.place for node in reversed(box.nodes) if node.place is not None), None)


def _by_columns(leaf: Any) -> Any:
    """The same array with its columns one after the other in memory, which no gradient may depend on."""
    return np.asfortranarray(leaf) if isinstance(leaf, np.ndarray) and leaf.ndim > 1 else leaf

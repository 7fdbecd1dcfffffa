"""What a function of the zoo is: the function, what its arguments are drawn from, and which are claimed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Case:
    """A function that returns one number, and a sampler of its arguments.

    ``wrt`` are the arguments whose gradients are claimed; none for all real ones.
    """

    function: Callable[..., Any]
    sample: Callable[[np.random.Generator], tuple[Any, ...]]
    wrt: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        return self.function.__name__

    def chosen(self, args: tuple[Any, ...]) -> tuple[str, ...]:
        """The arguments whose gradients are claimed."""
        if self.wrt is not None:
            return self.wrt
        names = inspect.signature(self.function).parameters
        return tuple(n for n, x in zip(names, args, strict=True) if np.asarray(x).dtype.kind == "f")

    def positions(self, args: tuple[Any, ...]) -> tuple[int, ...]:
        """Where those are among the parameters."""
        names = list(inspect.signature(self.function).parameters)
        return tuple(names.index(name) for name in self.chosen(args))


def normal(r: np.random.Generator, *shapes: Any) -> tuple[np.ndarray, ...]:
    """Arrays of normal numbers, of some shapes."""
    return tuple(r.normal(size=shape) for shape in shapes)


def one_hot(r: np.random.Generator, rows: int, classes: int) -> np.ndarray:
    """Rows with a single one, every class among them where there are rows enough."""
    return np.eye(classes)[r.permutation(np.arange(rows) % classes)]

"""Arguments of a function as leaves that can be exchanged: arrays in tuples, dicts, modules.

The leaves are those of the trace, in the order of its inputs; an array at two places is one leaf. Knows
trees; knows no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from boxgrad import tree
from boxgrad.trace.arguments import is_traceable


class Places:
    """Where the traced leaves stand in some arguments."""

    def __init__(self, args: Sequence[Any]) -> None:
        self._leaves, self._structure, self._numbers = [], [], []
        known: dict[tuple[int, int], int] = {}
        self.leaves: list[Any] = []
        """One entry for each input of the trace."""
        for owner, arg in enumerate(args):
            leaves, structure = tree.flatten(arg)
            numbers: list[int | None] = []
            for leaf in leaves:
                if not is_traceable(leaf):
                    numbers.append(None)
                    continue
                key = (owner, id(leaf))
                number = known.get(key) if tree.is_array(leaf) else None
                if number is None:
                    number = known[key] = len(self.leaves)
                    self.leaves.append(leaf)
                numbers.append(number)
            self._leaves.append(leaves)
            self._structure.append(structure)
            self._numbers.append(numbers)

    def filled(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments with other values for the leaves; arrays are copies that may be written to."""
        fresh = [value.copy("K") if isinstance(value, np.ndarray) else value for value in values]
        return tuple(
            tree.unflatten(
                structure,
                [
                    leaf if number is None else fresh[number]
                    for leaf, number in zip(leaves, numbers, strict=True)
                ],
            )
            for structure, leaves, numbers in zip(self._structure, self._leaves, self._numbers, strict=True)
        )


def as_double(value: Any) -> Any:
    """A real array or number in double precision; anything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(np.float64)
    if isinstance(value, np.floating):
        return np.float64(value)
    return value

"""A function and its backward pass written out by hand, with a switch that plants one mistake.

Knows what such a pair is; the pairs are in ``blind_dense.py`` and its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Function = Callable[..., Any]
Sample = Callable[[np.random.Generator], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Pass:
    """A function of what ``sample`` draws, and its backward pass, which takes the mistake first.

    ``wrt`` are the arguments that the backward pass returns gradients of, in its order; ``mistakes`` maps
    each mistake to the values it belongs to.
    """

    function: Function
    sample: Sample
    wrt: tuple[str, ...]
    backward: Function
    mistakes: Mapping[str, tuple[str, ...]]

    @property
    def name(self) -> str:
        return self.function.__name__

    def mine(self, mistake: str = "") -> Function:
        """The backward pass with a mistake, as a function of the arguments."""

        def gradient(*args: Any) -> tuple[Any, ...]:
            return self.backward(mistake, *args)

        gradient.__name__ = f"gradient_of_{self.name}"
        return gradient

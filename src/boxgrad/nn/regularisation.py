"""Dropout: noise that keeps a network from relying on any one unit.

Knows chances and owns its stream of random numbers.
"""

from __future__ import annotations

from typing import Any

from boxgrad.errors import BoxgradError, message
from boxgrad.functions import Random
from boxgrad.nn import init
from boxgrad.nn.module import Module


def check_probability(layer: str, p: float) -> None:
    if not 0 <= p < 1:
        raise BoxgradError(
            message(
                f"{layer}: p={p} is not a probability below 1",
                "p is the chance that an element is dropped, and some must be left",
                "a number such as p=0.5",
            )
        )


def drop(x: Any, p: float, random: Random) -> Any:
    """Each element is 0 with probability p, and otherwise larger by 1 / (1 - p)."""
    return x * random.bernoulli(1 - p, x.shape) * (1 / (1 - p))


class Dropout(Module):
    """In training each element is dropped with probability p; in evaluation nothing happens.

    ``y = x · keep / (1 - p)``, keep ~ Bernoulli(1 - p); x, keep and y of one shape.

    Args:
        p: the probability, from 0 up to but not including 1.
        seed: of the layer's own stream of random numbers; None for a fresh one.

    Raises:
        BoxgradError: p is out of range.

    Source: Srivastava et al., 2014; PyTorch's ``nn.Dropout``.

    >>> import numpy as np
    >>> layer = Dropout(0.5, seed=0)
    >>> sorted({float(y) for y in layer(np.ones(100))})
    [0.0, 2.0]
    >>> layer.eval()(np.ones(3))
    array([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, *, seed: init.Seed = None) -> None:
        check_probability("Dropout", p)
        self.p = p
        self.random = init.stream(seed)

    def reset_parameters(self, random: Random) -> None:
        """Start the stream again."""
        self.random = random

    def __call__(self, x: Any) -> Any:
        if not self.training or self.p == 0:
            return x
        return drop(x, self.p, self.random)

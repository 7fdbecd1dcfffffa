"""The fully connected layer.

Knows one product and one sum; what precedes and follows is not its business.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from boxgrad.functions import Random
from boxgrad.nn import expect, init
from boxgrad.nn.module import Module


def reset_affine(weight: np.ndarray, bias: np.ndarray | None, random: Random) -> None:
    """Draw a weight (O, I, *kernel) and its bias as PyTorch: ``U[-b, b)``, ``b = 1 / √fan_in``."""
    dtype = weight.dtype
    weight[...] = init.kaiming_uniform(weight.shape, a=math.sqrt(5), seed=random, dtype=dtype)
    if bias is not None:
        bound = 1 / math.sqrt(max(init.fans(weight.shape)[0], 1))
        bias[...] = init.uniform(bias.shape, low=-bound, high=bound, seed=random, dtype=dtype)


class Linear(Module):
    """Every output is a weighted sum of all inputs.

    ``y = x Wᵀ + b``, with x (…, I), W = weight (O, I), b = bias (O,), y (…, O).

    Args:
        in_features: I.
        out_features: O.
        bias: whether b is added.
        seed: of the initial values, ``U[-1/√I, 1/√I)`` for both; None for fresh ones.
        dtype: of the parameters.

    Raises:
        ShapeError: the last axis of x is not I.

    Source: PyTorch's ``nn.Linear``.

    >>> layer = Linear(3, 2, seed=0)
    >>> layer(np.ones((4, 3), np.float32)).shape
    (4, 2)
    >>> layer
    Linear(3, 2)  weight f32[2,3], bias f32[2]  8 parameters
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        seed: init.Seed = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.in_features = in_features
        self.out_features = out_features
        self.weight = np.empty((out_features, in_features), dtype)
        self.bias = np.empty(out_features, dtype) if bias else None
        self.reset_parameters(init.stream(seed))

    def reset_parameters(self, random: Random) -> None:
        reset_affine(self.weight, self.bias, random)

    def __call__(self, x: Any) -> Any:
        expect.last(self, x, self.in_features)
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias

"""Activation functions: plain NumPy, element by element or along one axis.

Knows formulas that neither overflow nor cancel; each function is one box. Their layers are in
``activation_layers``.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from boxgrad.boxed import boxed
from boxgrad.functions import erf, stop_gradient
from boxgrad.nn.expect import array


@cache
def _largest_exponent(dtype: np.dtype[Any]) -> float:
    """The largest whole number whose exponential the dtype holds (that of float64 for integers)."""
    return math.floor(math.log(np.finfo(dtype if dtype.kind == "f" else np.float64).max))


@boxed
def relu(x: Any) -> Any:
    """What is positive; its derivative at 0 is 0, and NaN stays NaN.

    ``y = max(x, 0)``, x and y of one shape.

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    x = array(x)
    return np.where(x <= 0, 0, x)


@boxed
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """What is positive, and a little of what is negative (the derivative at 0 is the slope).

    ``y = x`` where x > 0, ``slope · x`` elsewhere; x and y of one shape. Source: Maas et al., 2013.

    >>> leaky_relu(np.array([-1.0, 2.0]), 0.1)
    array([-0.1,  2. ])
    """
    x = array(x)
    return np.where(x > 0, x, negative_slope * x)


@boxed
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Linear above 0, bending to -alpha below.

    ``y = x`` where x > 0, ``α (eˣ - 1)`` elsewhere; x and y of one shape.

    Source: Clevert et al., 2016.

    >>> elu(np.array([-50.0, 2.0]))
    array([-1.,  2.])
    """
    x = array(x)
    # The inner choice keeps large x away from the exponential.
    return np.where(x > 0, x, alpha * np.expm1(np.where(x > 0, 0, x)))


@boxed
def gelu(x: Any, approximate: str = "none") -> Any:
    """x weighted by the chance that a normal number is below it.

    ``y = x Φ(x) = x/2 (1 + erf(x/√2))``; with approximate="tanh"
    ``y = x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))``. x and y of one shape.

    Source: Hendrycks and Gimpel, 2016.

    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    x = array(x)
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * x * (1 + 0.044715 * x * x)))
    if approximate != "none":
        raise ValueError(f"approximate must be 'none' or 'tanh', not {approximate!r}")
    return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))


@boxed
def sigmoid(x: Any) -> Any:
    """A number between 0 and 1; accurate to the last digits on both sides, without overflow.

    ``y = 1 / (1 + e⁻ˣ)``, x and y of one shape.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).round(4)
    array([0. , 0.5, 1. ])
    """
    x = array(x)
    # Further left the exponential would overflow, and y is 0 to within the smallest numbers.
    return 1 / (1 + np.exp(-np.maximum(x, -_largest_exponent(x.dtype))))


@boxed
def silu(x: Any) -> Any:
    """x weighted by its sigmoid; also called swish.

    ``y = x / (1 + e⁻ˣ)``, x and y of one shape. Source: Elfwing et al., 2018.

    >>> silu(np.array([0.0, 1.0, 1000.0])).round(4)
    array([0.000e+00, 7.311e-01, 1.000e+03])
    """
    x = array(x)
    return x * sigmoid(x)


@boxed
def tanh(x: Any) -> Any:
    """A number between -1 and 1.

    ``y = (eˣ - e⁻ˣ) / (eˣ + e⁻ˣ)``, x and y of one shape. It is ``np.tanh``.

    >>> tanh(np.array([-1000.0, 0.0]))
    array([-1.,  0.])
    """
    return np.tanh(x)


@boxed
def softplus(x: Any, beta: float = 1.0) -> Any:
    """A smooth ReLU.

    ``y = log(1 + exp(β x)) / β``, x and y of one shape. Never switches to a straight line (as
    PyTorch does from β x > 20, 2·10⁻⁹ away), because logaddexp does not overflow.

    >>> softplus(np.array([-1000.0, 0.0, 1000.0]))
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+03])
    """
    x = array(x)
    return np.logaddexp(x, 0) if beta == 1 else np.logaddexp(beta * x, 0) / beta


@boxed
def softmax(x: Any, axis: int = -1) -> Any:
    """Positive numbers that sum to 1 along an axis.

    ``y_i = exp(x_i) / Σ_j exp(x_j)``, x and y of one shape.

    >>> softmax(np.array([[1e4, 1e4], [0.0, -1e4]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    x = array(x)
    # Any shift cancels; that by the maximum keeps every exponential at most 1.
    powers = np.exp(x - stop_gradient(np.max(x, axis=axis, keepdims=True)))
    return powers / np.sum(powers, axis=axis, keepdims=True)


@boxed
def log_softmax(x: Any, axis: int = -1) -> Any:
    """The logarithm of :func:`softmax`, without taking the logarithm of a rounded 0.

    ``y_i = x_i - log Σ_j exp(x_j)``, x and y of one shape.

    >>> log_softmax(np.array([0.0, -1e4]))
    array([     0., -10000.])
    """
    x = array(x)
    shifted = x - stop_gradient(np.max(x, axis=axis, keepdims=True))
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))

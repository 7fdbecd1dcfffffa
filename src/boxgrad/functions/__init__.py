"""The public functions that NumPy lacks. They run on plain arrays and on traced boxes alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad.functions import special
from boxgrad.functions.random import Random
from boxgrad.functions.windows import avg_pool, conv, conv_transpose, max_pool
from boxgrad.ops import elementwise
from boxgrad.ops.control import scan

__all__ = [
    "Random",
    "avg_pool",
    "conv",
    "conv_transpose",
    "erf",
    "logsumexp",
    "max_pool",
    "one_hot",
    "scan",
    "stop_gradient",
]


def erf(x: Any) -> Any:
    """The error function of each element.

    ``erf(x) = 2/√π ∫₀ˣ exp(-t²) dt``; x and the result have one shape.

    >>> float(erf(0.0))
    0.0
    """
    return special.erf(x)


def stop_gradient(x: Any) -> Any:
    """The value itself, taken as a constant by every derivative.

    >>> float(stop_gradient(2.0))
    2.0
    """
    return elementwise.stop_gradient(x)


def one_hot(indices: Any, classes: int, dtype: Any = np.float32) -> Any:
    """Rows with a 1 at the index: indices of shape S give shape (*S, classes).

    An index outside 0 … classes-1 gives a row of zeros.

    >>> one_hot(np.array([2, 0]), 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    return (np.expand_dims(indices, -1) == np.arange(classes)).astype(dtype)


def logsumexp(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """log Σ exp x along axes, without overflow: the maximum is taken out first.

    ``m + log Σ exp(x - m)`` with ``m = max x``; where m is infinite the result is m.

    >>> round(float(logsumexp(np.array([1000.0, 1000.0]))), 6)
    1000.693147
    """
    top = stop_gradient(np.max(x, axis=axis, keepdims=True))
    top = np.where(np.isfinite(top), top, 0)
    result = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return result if keepdims else np.squeeze(result, axis=axis)

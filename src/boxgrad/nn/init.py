"""How parameters begin: arrays drawn from the distributions that are usual for weights.

Knows shapes, fans and gains; knows no layer.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from boxgrad.errors import BoxgradError, ShapeError, message
from boxgrad.functions import Random

Shape: TypeAlias = tuple[int, ...]
Seed: TypeAlias = int | Random | None


def stream(seed: Seed) -> Random:
    """A stream of random numbers: the given one, or a new one from a seed."""
    return seed if isinstance(seed, Random) else Random(seed)


def fans(shape: Shape) -> tuple[int, int]:
    """How many inputs an output depends on, and how many outputs an input reaches.

    ``fan_in = I · k₁ · k₂ …`` and ``fan_out = O · k₁ · k₂ …`` for a weight (O, I, k₁, k₂, …).

    >>> fans((32, 3, 5, 5))
    (75, 800)
    """
    if len(shape) < 2:
        raise ShapeError(
            message(
                f"a weight of shape {shape} has no fan-in and fan-out",
                "they are the sizes of its axes 1 and 0 times the size of the kernel",
                "use uniform, normal, zeros or ones for arrays of fewer than two axes",
            )
        )
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def gain(nonlinearity: str, slope: float | None = None) -> float:
    """By how much weights should be larger because of the nonlinearity that follows.

    1 for linear, conv and sigmoid; 5/3 for tanh; √2 for relu; √(2 / (1 + slope²)) for
    leaky_relu (slope 0.01 if None); 3/4 for selu. Source: PyTorch's ``calculate_gain``.

    >>> gain("relu")
    1.4142135623730951
    """
    slope = 0.01 if slope is None else slope
    gains = {
        "linear": 1.0,
        "conv1d": 1.0,
        "conv2d": 1.0,
        "conv3d": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + slope**2)),
        "selu": 3 / 4,
    }
    if nonlinearity not in gains:
        raise BoxgradError(
            message(
                f"no gain is known for the nonlinearity {nonlinearity!r}",
                f"known are {', '.join(gains)}",
                "name one of these, or scale the weights yourself",
            )
        )
    return gains[nonlinearity]


def zeros(shape: Shape, *, dtype: DTypeLike = np.float32) -> np.ndarray:
    """Zeros."""
    return np.zeros(shape, dtype)


def ones(shape: Shape, *, dtype: DTypeLike = np.float32) -> np.ndarray:
    """Ones."""
    return np.ones(shape, dtype)


def uniform(
    shape: Shape, *, low: float = 0.0, high: float = 1.0, seed: Seed = None, dtype: DTypeLike = np.float32
) -> np.ndarray:
    """Numbers spread evenly: ``w ~ U[low, high)``.

    Args:
        shape: of the array.
        low: least value.
        high: bound above.
        seed: a whole number, a stream to go on with, or None for a fresh one.
        dtype: float32 or float64.

    >>> uniform((2, 3), seed=0).shape
    (2, 3)
    """
    return stream(seed).uniform(shape, low, high, dtype=dtype)


def normal(
    shape: Shape, *, mean: float = 0.0, std: float = 1.0, seed: Seed = None, dtype: DTypeLike = np.float32
) -> np.ndarray:
    """Numbers of the bell curve: ``w ~ N(mean, std²)``.

    Args:
        shape: of the array.
        mean: centre.
        std: standard deviation.
        seed: a whole number, a stream to go on with, or None for a fresh one.
        dtype: float32 or float64.

    >>> normal((2, 3), std=0.02, seed=0).dtype
    dtype('float32')
    """
    return stream(seed).normal(shape, mean, std, dtype=dtype)


def xavier_uniform(
    shape: Shape, *, gain: float = 1.0, seed: Seed = None, dtype: DTypeLike = np.float32
) -> np.ndarray:
    """Glorot's even spread: ``w ~ U[-a, a)`` with ``a = gain · √(6 / (fan_in + fan_out))``.

    Args:
        shape: (O, I, *kernel), at least two axes.
        gain: see :func:`gain`.
        seed: a whole number, a stream to go on with, or None for a fresh one.
        dtype: float32 or float64.

    Source: Glorot and Bengio, 2010, equation 16.

    >>> bool(np.all(np.abs(xavier_uniform((2, 4), seed=0)) <= 1))
    True
    """
    bound = gain * math.sqrt(6 / sum(fans(shape)))
    return uniform(shape, low=-bound, high=bound, seed=seed, dtype=dtype)


def xavier_normal(
    shape: Shape, *, gain: float = 1.0, seed: Seed = None, dtype: DTypeLike = np.float32
) -> np.ndarray:
    """Glorot's bell curve: ``w ~ N(0, s²)`` with ``s = gain · √(2 / (fan_in + fan_out))``.

    Args and source as for :func:`xavier_uniform` (equation 12 of the paper).

    >>> xavier_normal((2, 4), seed=0).shape
    (2, 4)
    """
    return normal(shape, std=gain * math.sqrt(2 / sum(fans(shape))), seed=seed, dtype=dtype)


def _kaiming_deviation(shape: Shape, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise BoxgradError(
            message(
                f"no mode {mode!r}",
                "fan_in keeps the variance of values, fan_out that of gradients",
                "mode='fan_in' or mode='fan_out'",
            )
        )
    fan = fans(shape)[mode == "fan_out"]
    return gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform(
    shape: Shape,
    *,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
) -> np.ndarray:
    """He's even spread: ``w ~ U[-b, b)`` with ``b = gain · √(3 / fan)``.

    Args:
        shape: (O, I, *kernel), at least two axes.
        a: slope of the leaky ReLU that follows (0: ReLU).
        mode: "fan_in" or "fan_out".
        nonlinearity: what follows, for :func:`gain`.
        seed: a whole number, a stream to go on with, or None for a fresh one.
        dtype: float32 or float64.

    Source: He et al., 2015, equation 10.

    >>> bool(np.all(np.abs(kaiming_uniform((5, 6), seed=0)) <= 1))
    True
    """
    bound = math.sqrt(3) * _kaiming_deviation(shape, a, mode, nonlinearity)
    return uniform(shape, low=-bound, high=bound, seed=seed, dtype=dtype)


def kaiming_normal(
    shape: Shape,
    *,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    seed: Seed = None,
    dtype: DTypeLike = np.float32,
) -> np.ndarray:
    """He's bell curve: ``w ~ N(0, s²)`` with ``s = gain / √fan``.

    Args and source as for :func:`kaiming_uniform`.

    >>> kaiming_normal((5, 6), mode="fan_out", nonlinearity="relu", seed=0).shape
    (5, 6)
    """
    deviation = _kaiming_deviation(shape, a, mode, nonlinearity)
    return normal(shape, std=deviation, seed=seed, dtype=dtype)


def orthogonal(
    shape: Shape, *, gain: float = 1.0, seed: Seed = None, dtype: DTypeLike = np.float32
) -> np.ndarray:
    """Rows (or columns, if there are more rows) at right angles, each of length ``gain``.

    ``W Wᵀ = gain² I`` for W of shape (rows, columns) with rows ≤ columns; axes after the first
    count as columns. Uniform among all such matrices.

    Args:
        shape: at least two axes.
        gain: length of the rows.
        seed: a whole number, a stream to go on with, or None for a fresh one.
        dtype: float32 or float64.

    Source: Saxe et al., 2014; the signs as in Mezzadri, 2007.

    >>> W = orthogonal((2, 5), seed=0, dtype=np.float64)
    >>> bool(np.allclose(W @ W.T, np.eye(2)))
    True
    """
    fans(shape)
    rows, columns = shape[0], math.prod(shape[1:])
    drawn = normal((max(rows, columns), min(rows, columns)), seed=seed, dtype=np.float64)
    q, r = np.linalg.qr(drawn)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return _shaped(gain * (q if rows >= columns else q.T), shape, dtype)


def _shaped(values: Any, shape: Shape, dtype: DTypeLike) -> np.ndarray:
    return np.ascontiguousarray(values.reshape(shape), dtype)

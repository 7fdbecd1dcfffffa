"""Points at which gradients are compared: random numbers like those that the user gave.

A check at the user's own numbers is fooled by zeros, ones and equal sizes; a check at arbitrary numbers is
unfair to a gradient that rightly uses what its arguments are: labels, one-hot rows, probabilities, symmetric
matrices. So each array is classified by its numbers and drawn again within its class. Knows arrays; knows no
function.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
SPREAD = 0.5
"""The spread of new numbers, relative to that of the old ones."""


def resampled(x: Any, random: np.random.Generator, spread: float = SPREAD) -> Any:
    """Other numbers of the same kind, shape and dtype.

    Integers, truth values and one-hot rows change places; rows of probabilities stay rows of probabilities;
    what is symmetric, sorted, positive, or between 0 and 1 stays so; other numbers get noise of their own
    size.

    >>> resampled(np.eye(3)[[0, 2]], np.random.default_rng(0)).sum(axis=1)
    array([1., 1.])
    """
    array = np.asarray(x)
    if array.dtype.kind not in "fc" or array.size == 0:
        return _moved(array, random)
    found = _real(array.real.astype(np.float64), random, spread)
    if array.dtype.kind == "c":
        found = found + 1j * _real(array.imag.astype(np.float64), random, spread)
    found = found.astype(array.dtype)
    return found if isinstance(x, np.ndarray) else type(x)(found)


def _real(x: Array, random: np.random.Generator, spread: float) -> Array:
    axis = _probability_axis(x)
    if axis is not None:
        return _probabilities(x, axis, random)
    values = np.unique(x)
    if x.size > 2 and len(values) == 2 and np.all(values == np.round(values)):
        return _moved(x, random)
    noise = random.normal(size=x.shape)
    if x.size and x.min() > 0 and x.max() < 1 and x.max() > 1e-3:
        odds = np.log(x / (1 - x)) + 2 * spread * noise
        return 1 / (1 + np.exp(-odds))
    if x.size and (x.min() > 0 or x.max() < 0):
        return x * np.exp(spread * noise)
    size = float(np.sqrt(np.mean(x * x)))
    drawn = x + (spread * size if size else SPREAD) * noise
    if x.size > 2 and x.min() >= 0:
        drawn = np.abs(drawn)
    if x.ndim == 2 and len(x) > 1 and x.shape[0] == x.shape[1] and np.array_equal(x, x.T):
        drawn = _symmetric(x, drawn, random)
    if x.ndim == 1 and x.size > 3 and np.all(np.diff(x) > 0):
        drawn = np.sort(drawn)
    return drawn


def _symmetric(x: Array, drawn: Array, random: np.random.Generator) -> Array:
    """A symmetric matrix again; positive definite if the old one was, and no identity."""
    if np.linalg.eigvalsh(x).min() <= 0 or np.array_equal(x, np.eye(len(x))):
        return (drawn + drawn.T) / 2
    factor = random.normal(size=x.shape)
    return x + 0.3 * float(np.trace(x)) / len(x) * (factor @ factor.T) / len(x)


def _probability_axis(x: Array) -> int | None:
    """The last axis along which all sums are 1 and no number is negative."""
    if x.ndim == 0 or x.size < 2 or x.min() < 0:
        return None
    for axis in reversed(range(x.ndim)):
        if x.shape[axis] > 1 and np.allclose(x.sum(axis=axis), 1, rtol=0, atol=1e-5):
            return axis
    return None


def _probabilities(x: Array, axis: int, random: np.random.Generator) -> Array:
    """One-hot rows with their ones elsewhere; other rows of probabilities drawn again."""
    if np.all((x == 0) | (x == 1)):
        moved = np.moveaxis(x, axis, -1)
        hot = random.permutation(np.argmax(moved, axis=-1).ravel())
        hot = (hot + random.integers(moved.shape[-1])) % moved.shape[-1]
        return np.moveaxis(np.eye(moved.shape[-1])[hot].reshape(moved.shape), -1, axis)
    drawn = (x + 0.05 / x.shape[axis]) * np.exp(SPREAD * random.normal(size=x.shape))
    return drawn / drawn.sum(axis=axis, keepdims=True)


def _moved(x: Array, random: np.random.Generator) -> Any:
    """The same values at other places."""
    if x.ndim == 0 or x.size < 2:
        return x[()] if x.ndim == 0 else x
    return random.permutation(x.ravel()).reshape(x.shape)

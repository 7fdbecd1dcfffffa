"""Layers that shrink images and sequences, and the one that flattens them.

Knows windows and shapes; there is nothing to learn in them.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from boxgrad.errors import ShapeError, message
from boxgrad.functions import avg_pool, max_pool
from boxgrad.nn import expect
from boxgrad.nn.module import Module
from boxgrad.nn.summary import describe

Sizes = int | tuple[int, ...]


class _Pool(Module):
    """What pooling layers share: the window. A subclass says over how many axes it slides."""

    _axes: int

    def _each(self, value: Sizes) -> tuple[int, ...]:
        return (value,) * self._axes if isinstance(value, int) else tuple(value)

    def _pool(self, function: Any, x: Any) -> Any:
        expect.image(self, x, self._axes)
        stride = self.kernel_size if self.stride is None else self.stride
        return function(x, self._each(self.kernel_size), self._each(stride), self._each(self.padding))


class _MaxPool(_Pool):
    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding

    def __call__(self, x: Any) -> Any:
        return self._pool(max_pool, x)


class _AvgPool(_Pool):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        *,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.count_include_pad = count_include_pad

    def __call__(self, x: Any) -> Any:
        y = self._pool(avg_pool, x)
        if self.count_include_pad:
            return y
        return y / self._pool(avg_pool, np.ones((1, 1, *x.shape[2:]), x.dtype))


class MaxPool1d(_MaxPool):
    """The largest element of each window along one axis; equal ones share the gradient.

    ``y[n, c, t] = max_k x[n, c, s·t + k - p]``, x (N, C, L), y (N, C, T),
    ``T = ⌊(L + 2p - K) / s⌋ + 1``, k from 0 to K - 1.

    Args:
        kernel_size: K.
        stride: s; K if None.
        padding: p on both sides, where nothing is ever the largest.

    Raises:
        ShapeError: x is not (N, C, L), or the window does not fit.

    Source: PyTorch's ``nn.MaxPool1d``.

    >>> MaxPool1d(2)(np.array([[[1.0, 5.0, 2.0, 3.0]]]))
    array([[[5., 3.]]])
    """

    _axes = 1


class MaxPool2d(_MaxPool):
    """The largest element of each window of an image; equal ones share the gradient.

    ``y[n, c, i, j] = max_kl x[n, c, s·i + k - p, s·j + l - p]``, x (N, C, H, W), y (N, C, H', W'),
    ``H' = ⌊(H + 2p - K) / s⌋ + 1`` and W' likewise.

    Args:
        kernel_size: K and L; one number for both.
        stride: s; the kernel's size if None.
        padding: p on each side, where nothing is ever the largest.

    Raises:
        ShapeError: x is not (N, C, H, W), or the window does not fit.

    Source: PyTorch's ``nn.MaxPool2d``.

    >>> MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """

    _axes = 2


class AvgPool1d(_AvgPool):
    """The mean of each window along one axis.

    ``y[n, c, t] = 1/K Σ_k x[n, c, s·t + k - p]``, x (N, C, L), y (N, C, T),
    ``T = ⌊(L + 2p - K) / s⌋ + 1``.

    Args:
        kernel_size: K.
        stride: s; K if None.
        padding: p zeros on both sides.
        count_include_pad: whether these zeros count in the mean.

    Raises:
        ShapeError: x is not (N, C, L), or the window does not fit.

    Source: PyTorch's ``nn.AvgPool1d``.

    >>> AvgPool1d(2)(np.array([[[1.0, 5.0, 2.0, 3.0]]]))
    array([[[3. , 2.5]]])
    """

    _axes = 1


class AvgPool2d(_AvgPool):
    """The mean of each window of an image.

    ``y[n, c, i, j] = 1/(K L) Σ_kl x[n, c, s·i + k - p, s·j + l - p]``, x (N, C, H, W),
    y (N, C, H', W'), ``H' = ⌊(H + 2p - K) / s⌋ + 1`` and W' likewise.

    Args:
        kernel_size: K and L; one number for both.
        stride: s; the kernel's size if None.
        padding: p zeros on each side.
        count_include_pad: whether these zeros count in the mean.

    Raises:
        ShapeError: x is not (N, C, H, W), or the window does not fit.

    Source: PyTorch's ``nn.AvgPool2d``.

    >>> AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """

    _axes = 2


@cache
def _averages(size: int, pieces: int, dtype: np.dtype[Any]) -> np.ndarray:
    """The matrix (pieces, size) whose rows average stretches of nearly equal length."""
    matrix = np.zeros((pieces, size), dtype)
    for piece in range(pieces):
        start, stop = piece * size // pieces, -(-(piece + 1) * size // pieces)
        matrix[piece, start:stop] = 1 / (stop - start)
    matrix.flags.writeable = False
    return matrix


class AdaptiveAvgPool2d(Module):
    """Means over a grid of a given size, whatever the size of the image.

    ``y[n, c, i, j] = mean x[n, c, ⌊i H / P⌋ : ⌈(i + 1) H / P⌉, ⌊j W / Q⌋ : ⌈(j + 1) W / Q⌉]``,
    x (N, C, H, W), y (N, C, P, Q). As a product: ``y = A x Bᵀ``, A (P, H), B (Q, W).

    Args:
        output_size: P and Q; one number for both, None keeps the size of an axis.

    Raises:
        ShapeError: x is not (N, C, H, W).

    Source: PyTorch's ``nn.AdaptiveAvgPool2d``.

    >>> AdaptiveAvgPool2d(1)(np.arange(6.0).reshape(1, 1, 2, 3))
    array([[[[2.5]]]])
    """

    def __init__(self, output_size: int | tuple[int | None, int | None] | None) -> None:
        self.output_size = output_size

    def __call__(self, x: Any) -> Any:
        expect.image(self, x, 2)
        size = self.output_size
        rows, columns = size if isinstance(size, tuple) else (size, size)
        if (rows, columns) == (1, 1):
            return np.mean(x, axis=(2, 3), keepdims=True)
        if rows is not None:
            x = _averages(x.shape[2], rows, x.dtype) @ x
        if columns is not None:
            x = x @ _averages(x.shape[3], columns, x.dtype).T
        return x


class Flatten(Module):
    """Several axes become one.

    ``y = x.reshape(N, A·B·…)`` for x (N, A, B, …) with the defaults.

    Args:
        start_dim: the first axis that is taken in.
        end_dim: the last one.

    Raises:
        ShapeError: x has no such axes.

    Source: PyTorch's ``nn.Flatten``.

    >>> Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def __call__(self, x: Any) -> Any:
        first = self.start_dim + (x.ndim if self.start_dim < 0 else 0)
        last = self.end_dim + (x.ndim if self.end_dim < 0 else 0)
        if not 0 <= first <= last < x.ndim:
            raise ShapeError(
                message(
                    f"{describe(self)} cannot join axes {self.start_dim} to {self.end_dim} "
                    f"of x, whose shape is {tuple(x.shape)}",
                    "x must have these axes, in this order",
                    "x[None] adds an axis for the batch",
                )
            )
        joined = math.prod(x.shape[first : last + 1])
        return x.reshape((*x.shape[:first], joined, *x.shape[last + 1 :]))

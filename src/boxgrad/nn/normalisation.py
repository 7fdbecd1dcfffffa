"""Layers that make numbers have mean 0 and variance 1, over different axes.

Knows means, variances and the running averages of them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from boxgrad.errors import ShapeError, message
from boxgrad.functions import Random
from boxgrad.nn import expect
from boxgrad.nn.module import Module
from boxgrad.nn.summary import describe


def _reset(layer: Any) -> None:
    if layer.weight is not None:
        layer.weight[...] = 1
    if layer.bias is not None:
        layer.bias[...] = 0


class _BatchNorm(Module):
    """What batch normalisation over one and two axes shares."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.weight = np.ones(num_features, dtype) if affine else None
        self.bias = np.zeros(num_features, dtype) if affine else None
        if track_running_stats:
            self.register_buffer("running_mean", np.zeros(num_features, dtype))
            self.register_buffer("running_var", np.ones(num_features, dtype))
            self.register_buffer("num_batches_tracked", np.zeros((), np.int64))

    def reset_parameters(self, random: Random) -> None:
        _reset(self)
        if self.track_running_stats:
            self.running_mean[...] = 0
            self.running_var[...] = 1
            self.num_batches_tracked[...] = 0

    def _normalise(self, x: Any) -> Any:
        column = (self.num_features,) + (1,) * (x.ndim - 2)
        if self.training or not self.track_running_stats:
            axes = (0, *range(2, x.ndim))
            count = x.size // self.num_features
            if count < 2:
                raise ShapeError(
                    message(
                        f"{describe(self)} cannot normalise one value per channel, "
                        f"x of shape {tuple(x.shape)}",
                        "its variance over the batch would be 0",
                        "use larger batches (drop a last batch of one), or model.eval()",
                    )
                )
            mean = np.mean(x, axis=axes, keepdims=True)
            centred = x - mean
            variance = np.mean(np.square(centred), axis=axes, keepdims=True)
            if self.training and self.track_running_stats:
                self._track(mean.reshape(-1), variance.reshape(-1), count)
        else:
            centred = x - self.running_mean.reshape(column)
            variance = self.running_var.reshape(column)
        scale = 1 / np.sqrt(variance + self.eps)
        if not self.affine:
            return centred * scale
        return centred * (scale * self.weight.reshape(column)) + self.bias.reshape(column)

    def _track(self, mean: Any, variance: Any, count: int) -> None:
        self.num_batches_tracked += 1
        share = self.momentum
        if share is None:
            share = (1 / self.num_batches_tracked).astype(self.running_mean.dtype)
        unbiased = variance * (count / (count - 1))
        self.running_mean += share * (mean - self.running_mean)
        self.running_var += share * (unbiased - self.running_var)


class BatchNorm1d(_BatchNorm):
    """Each feature is normalised over the batch (and over time, if there is time).

    ``y = (x - μ) / √(σ² + ε) · γ + β``, with x and y (N, C) or (N, C, L); μ and σ² (C,) the mean
    and the variance (over N and L, divided by their number); γ = weight, β = bias (C,).
    In evaluation μ and σ² are the running averages ``r ← (1 - m) r + m · new`` kept in training,
    where the new variance is the unbiased one.

    Args:
        num_features: C.
        eps: ε.
        momentum: m; None for the plain average over all batches.
        affine: whether there are γ (1 at first) and β (0 at first).
        track_running_stats: whether averages are kept; if not, evaluation is as training.
        dtype: of parameters and averages.

    Raises:
        ShapeError: x does not fit, or in training there is only one value per feature.

    Source: Ioffe and Szegedy, 2015; PyTorch's ``nn.BatchNorm1d``.

    >>> layer = BatchNorm1d(2, eps=0.0)
    >>> layer(np.array([[1.0, 0.0], [3.0, 8.0]], np.float32))
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    >>> layer.running_mean
    array([0.2, 0.4], dtype=float32)
    """

    def __call__(self, x: Any) -> Any:
        wanted = ("N", self.num_features) if x.ndim == 2 else ("N", self.num_features, "L")
        expect.shape(self, "x", x, wanted)
        return self._normalise(x)


class BatchNorm2d(_BatchNorm):
    """Each channel of images is normalised over the batch and the pixels.

    ``y = (x - μ) / √(σ² + ε) · γ + β``, with x and y (N, C, H, W); μ and σ² (C,) the mean and the
    variance over N, H and W; γ = weight, β = bias (C,). Running averages as for
    :class:`BatchNorm1d`.

    Args:
        num_features: C.
        eps: ε.
        momentum: share of a new batch in the running averages; None for the plain average.
        affine: whether there are γ (1 at first) and β (0 at first).
        track_running_stats: whether averages are kept; if not, evaluation is as training.
        dtype: of parameters and averages.

    Raises:
        ShapeError: x does not fit, or in training there is only one value per channel.

    Source: Ioffe and Szegedy, 2015; PyTorch's ``nn.BatchNorm2d``.

    >>> x = np.arange(16.0, dtype=np.float32).reshape(2, 2, 2, 2)
    >>> y = BatchNorm2d(2)(x)
    >>> bool(np.allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-6)), y.shape
    (True, (2, 2, 2, 2))
    """

    def __call__(self, x: Any) -> Any:
        expect.image(self, x, 2, self.num_features)
        return self._normalise(x)


class LayerNorm(Module):
    """Each sample is normalised over its last axes, whatever else is in the batch.

    ``y = (x - μ) / √(σ² + ε) · γ + β``, with x and y (…, *S); μ and σ² (…) the mean and the
    variance over the axes of S; γ = weight, β = bias of shape S.

    Args:
        normalized_shape: S; a number for the last axis alone.
        eps: ε.
        elementwise_affine: whether there are γ (1 at first) and β (0 at first).
        bias: whether there is β.
        dtype: of the parameters.

    Raises:
        ShapeError: the last axes of x are not S.

    Source: Ba, Kiros and Hinton, 2016; PyTorch's ``nn.LayerNorm``.

    >>> LayerNorm(2, eps=0.0)(np.array([[1.0, 3.0], [8.0, 0.0]], np.float32))
    array([[-1.,  1.],
           [ 1., -1.]], dtype=float32)
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        shape = normalized_shape
        self.normalized_shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight = np.ones(self.normalized_shape, dtype) if elementwise_affine else None
        self.bias = np.zeros(self.normalized_shape, dtype) if elementwise_affine and bias else None

    def reset_parameters(self, random: Random) -> None:
        _reset(self)

    def __call__(self, x: Any) -> Any:
        count = len(self.normalized_shape)
        if tuple(x.shape[-count:]) != self.normalized_shape:
            raise ShapeError(
                message(
                    f"{describe(self)} expected the last axes of x to be {self.normalized_shape}, "
                    f"found x of shape {tuple(x.shape)}",
                    "each sample is normalised over these axes, with a weight for each element",
                    f"build it as LayerNorm({tuple(x.shape[-count:])})",
                )
            )
        axes = tuple(range(-count, 0))
        centred = x - np.mean(x, axis=axes, keepdims=True)
        variance = np.mean(np.square(centred), axis=axes, keepdims=True)
        y = centred * (1 / np.sqrt(variance + self.eps))
        if self.weight is not None:
            y = y * self.weight
        return y if self.bias is None else y + self.bias


class GroupNorm(Module):
    """Each sample is normalised over groups of its channels.

    ``y = (x - μ) / √(σ² + ε) · γ + β``, with x and y (N, C, *S); μ and σ² (N, G) the mean and the
    variance over the C/G channels of a group and over S; γ = weight, β = bias (C,).

    Args:
        num_groups: G.
        num_channels: C, a multiple of G.
        eps: ε.
        affine: whether there are γ (1 at first) and β (0 at first).
        dtype: of the parameters.

    Raises:
        ShapeError: C is not a multiple of G, or axis 1 of x is not C.

    Source: Wu and He, 2018; PyTorch's ``nn.GroupNorm``.

    >>> y = GroupNorm(2, 4)(np.arange(24.0).reshape(2, 4, 3))
    >>> bool(np.allclose(y.reshape(2, 2, -1).mean(axis=-1), 0, atol=1e-6))
    True
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if num_channels % num_groups:
            raise ShapeError(
                message(
                    f"GroupNorm: {num_channels} channels cannot form {num_groups} groups",
                    "each group takes an equal share of the channels",
                    "choose a number of groups that divides the number of channels",
                )
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self.weight = np.ones(num_channels, dtype) if affine else None
        self.bias = np.zeros(num_channels, dtype) if affine else None

    def reset_parameters(self, random: Random) -> None:
        _reset(self)

    def __call__(self, x: Any) -> Any:
        space = tuple(x.shape[2:])
        expect.shape(self, "x", x, ("N", self.num_channels, *space))
        inside = math.prod(space) * (self.num_channels // self.num_groups)
        grouped = x.reshape((x.shape[0], self.num_groups, inside))
        centred = grouped - np.mean(grouped, axis=2, keepdims=True)
        variance = np.mean(np.square(centred), axis=2, keepdims=True)
        y = (centred * (1 / np.sqrt(variance + self.eps))).reshape(x.shape)
        if not self.affine:
            return y
        column = (self.num_channels,) + (1,) * len(space)
        return y * self.weight.reshape(column) + self.bias.reshape(column)

"""Convolution layers, channels first.

Knows weights, biases and how padding is named; the arithmetic is in ``conv`` and
``conv_transpose``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from boxgrad.errors import ShapeError, message
from boxgrad.functions import Random, conv, conv_transpose
from boxgrad.nn import expect, init
from boxgrad.nn.linear import reset_affine
from boxgrad.nn.module import Module

Sizes = int | tuple[int, ...]


def _each(value: Sizes, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def _check_groups(layer: str, in_channels: int, out_channels: int, groups: int) -> None:
    if in_channels % groups or out_channels % groups:
        raise ShapeError(
            message(
                f"{layer}: {in_channels} and {out_channels} channels cannot form {groups} groups",
                "each group takes an equal share of the channels in and out",
                "choose groups that divides both",
            )
        )


class _Convolution(Module):
    """What convolutions over one, two and three axes share: a subclass says how many."""

    _axes: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        seed: init.Seed = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        _check_groups(type(self).__name__, in_channels, out_channels, groups)
        kernel = _each(kernel_size, self._axes)
        if padding == "same" and _each(stride, self._axes) != (1,) * self._axes:
            raise ShapeError(
                message(
                    f"{type(self).__name__}: padding='same' with stride {stride}",
                    "with a stride the output cannot have the size of the input",
                    "stride=1, or padding as a number",
                )
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.groups = groups
        self.weight = np.empty((out_channels, in_channels // groups, *kernel), dtype)
        self.bias = np.empty(out_channels, dtype) if bias else None
        self.reset_parameters(init.stream(seed))

    def reset_parameters(self, random: Random) -> None:
        reset_affine(self.weight, self.bias, random)

    def _pairs(self) -> Any:
        if self.padding == "same":
            reach = (
                d * (k - 1)
                for d, k in zip(_each(self.dilation, self._axes), self.weight.shape[2:], strict=True)
            )
            return tuple((total // 2, total - total // 2) for total in reach)
        return 0 if self.padding == "valid" else self.padding

    def __call__(self, x: Any) -> Any:
        expect.image(self, x, self._axes, self.in_channels)
        y = conv(x, self.weight, self.stride, self._pairs(), self.dilation, self.groups)
        return y if self.bias is None else y + self.bias.reshape((-1,) + (1,) * self._axes)


class Conv1d(_Convolution):
    """A window of weights slides along one axis.

    ``y[n, o, t] = b[o] + Σ_c Σ_k x[n, c, s·t + d·k - p] W[o, c, k]``, with x (N, C, L),
    W = weight (O, C/groups, K), b = bias (O,), y (N, O, T),
    ``T = ⌊(L + 2p - d (K - 1) - 1) / s⌋ + 1``.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: K.
        stride: s, how far the window moves.
        padding: p zeros on both sides; "same" keeps the length, "valid" is 0.
        dilation: d, the distance between the window's elements.
        groups: into how many independent parts the channels are split.
        bias: whether b is added.
        seed: of the initial values, ``U[-a, a)``, ``a = 1 / √(C/groups · K)``; None for fresh ones.
        dtype: of the parameters.

    Raises:
        ShapeError: x is not (N, C, L), or the window does not fit.

    Source: PyTorch's ``nn.Conv1d``.

    >>> Conv1d(2, 4, 3, padding=1)(np.ones((5, 2, 7), np.float32)).shape
    (5, 4, 7)
    """

    _axes = 1


class Conv2d(_Convolution):
    """A window of weights slides over an image.

    ``y[n, o, i, j] = b[o] + Σ_c Σ_kl x[n, c, s·i + d·k - p, s·j + d·l - p] W[o, c, k, l]``,
    with x (N, C, H, W), W = weight (O, C/groups, K, L), b = bias (O,), y (N, O, H', W'),
    ``H' = ⌊(H + 2p - d (K - 1) - 1) / s⌋ + 1`` and W' likewise.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: K and L; one number for both.
        stride: s, how far the window moves; one number or one per axis, as the next two.
        padding: p zeros on each side; "same" keeps the size, "valid" is 0.
        dilation: d, the distance between the window's elements.
        groups: into how many independent parts the channels are split.
        bias: whether b is added.
        seed: of the initial values, ``U[-a, a)``, ``a = 1 / √(C/groups · K L)``, or None.
        dtype: of the parameters.

    Raises:
        ShapeError: x is not (N, C, H, W), or the window does not fit.

    Source: PyTorch's ``nn.Conv2d``.

    >>> layer = Conv2d(1, 32, 3, seed=0)
    >>> layer(np.ones((5, 1, 28, 28), np.float32)).shape
    (5, 32, 26, 26)
    >>> layer
    Conv2d(1, 32, 3)  weight f32[32,1,3,3], bias f32[32]  320 parameters
    """

    _axes = 2


class Conv3d(_Convolution):
    """A window of weights slides through a volume (or a film).

    ``y[n, o, t] = b[o] + Σ_c Σ_k x[n, c, s·t + d·k - p] W[o, c, k]``, with t and k triples,
    x (N, C, D, H, W), W = weight (O, C/groups, K₁, K₂, K₃), b = bias (O,), y (N, O, D', H', W'),
    sizes as for :class:`Conv2d`.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: K₁, K₂, K₃; one number for all.
        stride: s, how far the window moves; one number or one per axis, as the next two.
        padding: p zeros on each side; "same" keeps the size, "valid" is 0.
        dilation: d, the distance between the window's elements.
        groups: into how many independent parts the channels are split.
        bias: whether b is added.
        seed: of the initial values, ``U[-a, a)``, ``a = 1 / √fan_in``; None for fresh ones.
        dtype: of the parameters.

    Raises:
        ShapeError: x is not (N, C, D, H, W), or the window does not fit.

    Source: PyTorch's ``nn.Conv3d``.

    >>> Conv3d(1, 2, (1, 3, 3))(np.ones((1, 1, 4, 5, 6), np.float32)).shape
    (1, 2, 4, 3, 4)
    """

    _axes = 3


class ConvTranspose2d(Module):
    """A convolution run backwards: every pixel paints a window of weights.

    ``y[n, o, s·i + d·k - p, s·j + d·l - p] += x[n, c, i, j] W[c, o, k, l]``, then ``+ b[o]``;
    x (N, C, H, W), W = weight (C, O/groups, K, L), b = bias (O,), y (N, O, H', W'),
    ``H' = (H - 1) s - 2p + d (K - 1) + q + 1`` and W' likewise. It is the adjoint of
    :class:`Conv2d` in x, not its inverse.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: K and L; one number for both.
        stride: s, how far the window moves; one number or one per axis, as the next.
        padding: p, how much is cut off on each side.
        output_padding: q, added on one side, smaller than stride or dilation.
        groups: into how many independent parts the channels are split.
        bias: whether b is added.
        dilation: d, the distance between the window's elements.
        seed: of the initial values, ``U[-a, a)``, ``a = 1 / √(O/groups · K L)``, or None.
        dtype: of the parameters.

    Raises:
        ShapeError: x is not (N, C, H, W), or the sizes are impossible.

    Source: PyTorch's ``nn.ConvTranspose2d`` (the order of arguments too).

    >>> ConvTranspose2d(4, 2, 2, stride=2)(np.ones((1, 4, 5, 6), np.float32)).shape
    (1, 2, 10, 12)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        *,
        seed: init.Seed = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        _check_groups("ConvTranspose2d", in_channels, out_channels, groups)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.output_padding = output_padding
        self.groups = groups
        self.dilation = dilation
        kernel = _each(kernel_size, 2)
        self.weight = np.empty((in_channels, out_channels // groups, *kernel), dtype)
        self.bias = np.empty(out_channels, dtype) if bias else None
        self.reset_parameters(init.stream(seed))

    def reset_parameters(self, random: Random) -> None:
        reset_affine(self.weight, self.bias, random)

    def __call__(self, x: Any) -> Any:
        expect.image(self, x, 2, self.in_channels)
        y = conv_transpose(
            x, self.weight, self.stride, self.padding, self.output_padding, self.dilation, self.groups
        )
        return y if self.bias is None else y + self.bias.reshape((-1, 1, 1))

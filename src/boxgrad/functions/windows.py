"""Convolution and pooling as people call them: arguments checked and normalised, then one primitive."""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad.errors import ShapeError
from boxgrad.functions import window_primitives as window
from boxgrad.functions.window_primitives import Pairs, Sizes
from boxgrad.graph.primitive import Primitive
from boxgrad.types import is_integer


def _each_axis(value: Any, axes: int, name: str) -> Sizes:
    values: tuple[Any, ...] = (value,) * axes if is_integer(value) else tuple(value)
    if len(values) != axes:
        raise ShapeError.because(
            f"{name}={value!r} has {len(values)} entries for {axes} spatial axes",
            "there is one number for all axes, or one for each",
            f"{name}=1 or {name}={(1,) * axes}",
        )
    return tuple(int(n) for n in values)


def _pairs(padding: Any, axes: int) -> Pairs:
    if is_integer(padding):
        return ((int(padding), int(padding)),) * axes
    entries: tuple[Any, ...] = tuple(padding)
    pairs: tuple[Any, ...] = tuple((p, p) if is_integer(p) else tuple(p) for p in entries)
    if len(pairs) != axes:
        _each_axis(entries, axes, "padding")
    return tuple((int(before), int(after)) for before, after in pairs)


def _check(x: Any, w: Any, channels: int, groups: int, divided: int) -> None:
    if np.ndim(w) < 3 or np.ndim(x) != np.ndim(w) or channels != x.shape[1] or divided % groups:
        raise ShapeError.because(
            f"a convolution of x {x.shape} with w {w.shape}, groups={groups}",
            "x is (batch, channels, *spatial) and w has as many axes; the channels of x and w must agree "
            f"(x has {x.shape[1] if np.ndim(x) > 1 else 'none'}, w asks for {channels}) and be "
            "divisible by groups",
            f"w of shape (outputs, {x.shape[1] if np.ndim(x) > 1 else 'channels'} // groups, *kernel)",
        )


def conv(x: Any, w: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Any:
    """Convolution (cross-correlation, as in all deep learning) over any number of spatial axes.

    ``y[n, o, s] = Σ_c Σ_k x[n, c, stride·s + dilation·k - padding] w[o, c, k]``

    Args:
        x: (N, C, *S). w: (O, C/groups, *K).
        stride, dilation: one integer, or one for each spatial axis.
        padding: zeros on both sides: an integer, one an axis, or a pair (before, after) an axis.
        groups: channels are split into so many independent convolutions.

    Returns:
        (N, O, *T) with T = ⌊(S + padding before and after - dilation (K - 1) - 1)/stride⌋ + 1.

    Raises:
        ShapeError: shapes that do not fit, or a kernel larger than the padded input.

    >>> conv(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)))[0, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    axes = max(np.ndim(w) - 2, 0)
    _check(x, w, (w.shape[1] if axes else 0) * groups, groups, w.shape[0])
    return window.conv(
        x,
        w,
        stride=_each_axis(stride, axes, "stride"),
        padding=_pairs(padding, axes),
        dilation=_each_axis(dilation, axes, "dilation"),
        groups=int(groups),
    )


def conv_transpose(
    x: Any,
    w: Any,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """The adjoint of :func:`conv` in its input: what a "deconvolution" layer computes.

    Args:
        x: (N, C, *S). w: (C, O/groups, *K), the layout of PyTorch's ConvTranspose.
        output_padding: added to one side of each output axis; smaller than stride or dilation.

    Returns:
        (N, O, *T) with T = (S - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1.

    Raises:
        ShapeError: shapes that do not fit.

    >>> conv_transpose(np.ones((1, 1, 2)), np.ones((1, 1, 2)), stride=2)[0, 0]
    array([1., 1., 1., 1.])
    """
    axes = max(np.ndim(w) - 2, 0)
    _check(x, w, w.shape[0] if axes else 0, groups, w.shape[0])
    steps, gaps = _each_axis(stride, axes, "stride"), _each_axis(dilation, axes, "dilation")
    pairs, extra = _pairs(padding, axes), _each_axis(output_padding, axes, "output_padding")
    sizes = tuple(
        (n - 1) * s - sum(p) + d * (k - 1) + e + 1
        for n, k, s, d, p, e in zip(x.shape[2:], w.shape[2:], steps, gaps, pairs, extra, strict=True)
    )
    if any(e >= max(s, d) for e, s, d in zip(extra, steps, gaps, strict=True)) or min(sizes) < 1:
        raise ShapeError.because(
            f"conv_transpose of x {x.shape} with w {w.shape} would give the spatial shape {sizes} "
            f"(output_padding {extra}, stride {steps}, dilation {gaps})",
            "output_padding must be smaller than stride or dilation, and padding must leave something",
            "a smaller padding or output_padding",
        )
    return window.conv_input_gradient(
        x, w, shape=sizes, stride=steps, padding=pairs, dilation=gaps, groups=int(groups)
    )


def _pooling(primitive: Primitive, x: Any, size: Any, stride: Any, padding: Any) -> Any:
    axes = max(np.ndim(x) - 2, 1) if isinstance(size, (int, np.integer)) else len(tuple(size))
    sizes = _each_axis(size, axes, "size")
    pairs = _pairs(padding, axes)
    if np.ndim(x) < axes or any(2 * max(p) > k for p, k in zip(pairs, sizes, strict=True)):
        raise ShapeError.because(
            f"pooling x {np.shape(x)} with size {sizes} and padding {pairs}",
            "there must be an axis for each size, and padding at most half of the size, "
            "or a window would hold padding only",
            "a smaller padding",
        )
    steps = sizes if stride is None else _each_axis(stride, axes, "stride")
    return primitive(x, size=sizes, stride=steps, padding=pairs)


def max_pool(x: Any, size: Any, stride: Any = None, padding: Any = 0) -> Any:
    """The largest element of each window; ties share the gradient evenly.

    ``y[…, s] = max_k x[…, stride·s + k - padding]``

    Args:
        x: (N, C, *S). size: one integer for all axes after the second, or a tuple for the last axes.
        stride: size unless given. padding: as in :func:`conv`; it counts as -∞.

    Returns:
        (N, C, *T) with T = ⌊(S + 2 padding - size)/stride⌋ + 1.

    Raises:
        ShapeError: a window larger than the padded input, or padding over half of it.

    >>> max_pool(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    return _pooling(window.max_pool, x, size, stride, padding)


def avg_pool(x: Any, size: Any, stride: Any = None, padding: Any = 0) -> Any:
    """The mean of each window; padded zeros count, as in PyTorch's default.

    ``y[…, s] = 1/|K| Σ_k x[…, stride·s + k - padding]``; arguments and shapes as in :func:`max_pool`.

    >>> avg_pool(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    return _pooling(window.avg_pool, x, size, stride, padding)

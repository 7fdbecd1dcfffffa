"""Convolution and pooling as primitives, channels first: x (N, C, *spatial).

The three passes of convolution are adjoint to each other, so the derivative of each is made of the other
two, to any order. Pooling likewise: ``max_pool_scatter`` and ``max_pool_select`` are adjoint, and both
are constant in the values they compare. The arithmetic stands in ``windows``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad.errors import ShapeError
from boxgrad.graph.primitive import Call, Infix, Primitive
from boxgrad.ops.elementwise import zero
from boxgrad.types import ArrayType, is_integer
from boxgrad.windows import convolution as windows
from boxgrad.windows import pooling as pools

Sizes = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


# ---- convolution
def _conv_type(
    x: ArrayType, w: ArrayType, *, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> ArrayType:
    sizes = windows.windows_shape(x.shape[2:], w.shape[2:], stride, padding, dilation)
    return ArrayType((x.shape[0], w.shape[0], *sizes), np.result_type(x.dtype, w.dtype))


def _input_type(g: ArrayType, w: ArrayType, *, shape: Sizes, groups: int, **rest: Any) -> ArrayType:
    return ArrayType((g.shape[0], w.shape[1] * groups, *shape), np.result_type(g.dtype, w.dtype))


def _filter_type(x: ArrayType, g: ArrayType, *, kernel: Sizes, groups: int, **rest: Any) -> ArrayType:
    return ArrayType((g.shape[1], x.shape[1] // groups, *kernel), np.result_type(x.dtype, g.dtype))


def _conv_to_input(g: Any, y: Any, x: Any, w: Any, **p: Any) -> Any:
    return _conv_input(g, w, shape=x.shape[2:], **p)


def _conv_to_filter(g: Any, y: Any, x: Any, w: Any, **p: Any) -> Any:
    return _conv_filter(x, g, kernel=w.shape[2:], **p)


def _input_to_conv(g: Any, y: Any, x: Any, w: Any, shape: Sizes, **p: Any) -> Any:
    return _conv(g, w, **p)


def _input_to_filter(g: Any, y: Any, x: Any, w: Any, shape: Sizes, **p: Any) -> Any:
    return _conv_filter(g, x, kernel=w.shape[2:], **p)


def _filter_to_input(g: Any, y: Any, x: Any, z: Any, kernel: Sizes, **p: Any) -> Any:
    return _conv_input(z, g, shape=x.shape[2:], **p)


def _filter_to_conv(g: Any, y: Any, x: Any, z: Any, kernel: Sizes, **p: Any) -> Any:
    return _conv(x, g, **p)


_conv = Primitive(
    "conv",
    windows.conv,
    _conv_type,
    (_conv_to_input, _conv_to_filter),
    Infix("⋆", 3),
    (),
)
_conv_input = Primitive(
    "conv_input_gradient",
    windows.conv_input_gradient,
    _input_type,
    (_input_to_conv, _input_to_filter),
    Infix("∗", 3),
    (),
)
_conv_filter = Primitive(
    "conv_filter_gradient",
    windows.conv_filter_gradient,
    _filter_type,
    (_filter_to_input, _filter_to_conv),
    Infix("⋆", 3),
    (),
)


# ---- pooling
def _pooled_type(x: ArrayType, *, size: Sizes, stride: Sizes, padding: Pairs) -> ArrayType:
    lead = x.shape[: len(x.shape) - len(size)]
    sizes = windows.windows_shape(x.shape[len(lead) :], size, stride, padding, (1,) * len(size))
    return ArrayType((*lead, *sizes), x.dtype)


def _spread_type(g: ArrayType, x: ArrayType, **p: Any) -> ArrayType:
    return ArrayType(x.shape, x.dtype)


def _selected_type(t: ArrayType, x: ArrayType, **p: Any) -> ArrayType:
    return _pooled_type(x, **p)


def _unpooled_type(g: ArrayType, *, shape: Sizes, **p: Any) -> ArrayType:
    return ArrayType((*g.shape[: len(g.shape) - len(shape)], *shape), g.dtype)


def _max_to_input(g: Any, y: Any, x: Any, **p: Any) -> Any:
    return _max_scatter(g, x, **p)


def _scatter_to_g(g: Any, y: Any, x: Any, z: Any, **p: Any) -> Any:
    return _max_select(g, z, **p)


def _select_to_t(g: Any, y: Any, x: Any, z: Any, **p: Any) -> Any:
    return _max_scatter(g, z, **p)


def _avg_to_input(g: Any, y: Any, x: Any, size: Sizes, **p: Any) -> Any:
    return _avg_input(g, shape=x.shape[x.ndim - len(size) :], size=size, **p)


def _input_to_avg(g: Any, y: Any, x: Any, shape: Sizes, **p: Any) -> Any:
    return _avg_pool(g, **p)


_max_pool = Primitive(
    "max_pool",
    pools.max_pool,
    _pooled_type,
    (_max_to_input,),
    Call("maxpool"),
    (),
)
_max_scatter = Primitive(
    "max_pool_scatter",
    pools.max_pool_scatter,
    _spread_type,
    (_scatter_to_g, zero),
    Call("maxpool'"),
    (),
)
_max_select = Primitive(
    "max_pool_select",
    pools.max_pool_select,
    _selected_type,
    (_select_to_t, zero),
    Call("maxpool-select"),
    (),
)
_avg_pool = Primitive(
    "avg_pool",
    pools.avg_pool,
    _pooled_type,
    (_avg_to_input,),
    Call("avgpool"),
    (),
)
_avg_input = Primitive(
    "avg_pool_input_gradient",
    pools.avg_pool_input_gradient,
    _unpooled_type,
    (_input_to_avg,),
    Call("avgpool'"),
    (),
)


# ---- the public functions
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
    return _conv(
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
    return _conv_input(x, w, shape=sizes, stride=steps, padding=pairs, dilation=gaps, groups=int(groups))


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
    return _pooling(_max_pool, x, size, stride, padding)


def avg_pool(x: Any, size: Any, stride: Any = None, padding: Any = 0) -> Any:
    """The mean of each window; padded zeros count, as in PyTorch's default.

    ``y[…, s] = 1/|K| Σ_k x[…, stride·s + k - padding]``; arguments and shapes as in :func:`max_pool`.

    >>> avg_pool(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    return _pooling(_avg_pool, x, size, stride, padding)

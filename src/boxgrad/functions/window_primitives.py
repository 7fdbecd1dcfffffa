"""Convolution and pooling as primitives, channels first: x (N, C, *spatial).

The three passes of convolution are adjoint to each other, so the derivative of each is made of the other
two, to any order. Pooling likewise: ``max_pool_scatter`` and ``max_pool_select`` are adjoint, and both
are constant in the values they compare. The arithmetic stands in ``windows``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad.graph.primitive import Call, Infix, Primitive
from boxgrad.ops.elementwise import zero
from boxgrad.types import ArrayType
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
    return conv_input_gradient(g, w, shape=x.shape[2:], **p)


def _conv_to_filter(g: Any, y: Any, x: Any, w: Any, **p: Any) -> Any:
    return conv_filter_gradient(x, g, kernel=w.shape[2:], **p)


def _input_to_conv(g: Any, y: Any, x: Any, w: Any, shape: Sizes, **p: Any) -> Any:
    return conv(g, w, **p)


def _input_to_filter(g: Any, y: Any, x: Any, w: Any, shape: Sizes, **p: Any) -> Any:
    return conv_filter_gradient(g, x, kernel=w.shape[2:], **p)


def _filter_to_input(g: Any, y: Any, x: Any, z: Any, kernel: Sizes, **p: Any) -> Any:
    return conv_input_gradient(z, g, shape=x.shape[2:], **p)


def _filter_to_conv(g: Any, y: Any, x: Any, z: Any, kernel: Sizes, **p: Any) -> Any:
    return conv(x, g, **p)


conv = Primitive("conv", windows.conv, _conv_type, (_conv_to_input, _conv_to_filter), Infix("⋆", 3), ())
conv_input_gradient = Primitive(
    "conv_input_gradient",
    windows.conv_input_gradient,
    _input_type,
    (_input_to_conv, _input_to_filter),
    Infix("∗", 3),
    (),
)
conv_filter_gradient = Primitive(
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
    return max_pool_scatter(g, x, **p)


def _scatter_to_g(g: Any, y: Any, x: Any, z: Any, **p: Any) -> Any:
    return max_pool_select(g, z, **p)


def _select_to_t(g: Any, y: Any, x: Any, z: Any, **p: Any) -> Any:
    return max_pool_scatter(g, z, **p)


def _avg_to_input(g: Any, y: Any, x: Any, size: Sizes, **p: Any) -> Any:
    return avg_pool_input_gradient(g, shape=x.shape[x.ndim - len(size) :], size=size, **p)


def _input_to_avg(g: Any, y: Any, x: Any, shape: Sizes, **p: Any) -> Any:
    return avg_pool(g, **p)


max_pool = Primitive("max_pool", pools.max_pool, _pooled_type, (_max_to_input,), Call("maxpool"), ())
max_pool_scatter = Primitive(
    "max_pool_scatter", pools.max_pool_scatter, _spread_type, (_scatter_to_g, zero), Call("maxpool'"), ()
)
max_pool_select = Primitive(
    "max_pool_select", pools.max_pool_select, _selected_type, (_select_to_t, zero), Call("maxpool-select"), ()
)
avg_pool = Primitive("avg_pool", pools.avg_pool, _pooled_type, (_avg_to_input,), Call("avgpool"), ())
avg_pool_input_gradient = Primitive(
    "avg_pool_input_gradient",
    pools.avg_pool_input_gradient,
    _unpooled_type,
    (_input_to_avg,),
    Call("avgpool'"),
    (),
)

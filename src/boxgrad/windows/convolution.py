"""Where the windows of an n-dimensional kernel lie, and what convolution means, in plain NumPy.

Knows arrays and where a window lies; knows nothing of boxes, derivative rules or default
arguments. Arrays are laid out (images, channels, *spatial), and each spatial axis has its own
kernel size, stride, dilation and padding ``(before, after)``, so that window ``i`` meets with its
element ``k`` (its *tap*) the input position

    i · stride + k · dilation − before

Everything here and in ``pooling`` is one loop over the taps: for a fixed ``k`` that
formula is a strided slice, so a tap costs one NumPy call however many windows there are. Positions
in the padding belong to no slice; padding is therefore never stored.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxgrad.errors import ShapeError

Array = NDArray[Any]
Sizes = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]

# Work is done in blocks of images whose intermediate values stay in the cache.
BLOCK_BYTES = 2 << 20


# Where windows lie ---------------------------------------------------------------------------


def windows_shape(sizes: Sizes, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes) -> Sizes:
    """How many windows fit along each spatial axis.

    windows = ⌊(size + before + after − (dilation · (kernel − 1) + 1)) / stride⌋ + 1

    Args:
        sizes: spatial shape of the input, in elements.
        kernel, stride, dilation: one positive number of elements per spatial axis.
        padding: elements added (before, after) each spatial axis.

    Raises:
        ShapeError: if the kernel has another number of axes than the input, if a number that must
            be positive is not, or if not even one window fits.

    Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016).

    >>> windows_shape((28, 28), (3, 3), (1, 2), ((0, 0), (1, 1)), (1, 1))
    (26, 14)
    """
    if not len(sizes) == len(kernel) == len(stride) == len(padding) == len(dilation):
        raise ShapeError.because(
            f"kernel {kernel} slid over an input of spatial shape {sizes}",
            f"the input has {len(sizes)} spatial axes; the kernel has {len(kernel)}, stride "
            f"{len(stride)}, padding {len(padding)} and dilation {len(dilation)}",
            "give one number per spatial axis: an input is (images, channels, *spatial)",
        )
    for name, numbers in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        if any(number < 1 for number in numbers):
            raise ShapeError.because(
                f"kernel {kernel} slid over an input of spatial shape {sizes}",
                f"{name} {numbers} has a number below 1",
                f"let every number of {name} be at least 1",
            )
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    room = [size + sum(pad) for size, pad in zip(sizes, padding, strict=True)]
    for axis, (span, available) in enumerate(zip(spans, room, strict=True)):
        if span > available:
            lack = [max(0, s - r) for s, r in zip(spans, room, strict=True)]
            enough = tuple(
                (before + n // 2, after + n - n // 2)
                for (before, after), n in zip(padding, lack, strict=True)
            )
            raise ShapeError.because(
                f"kernel {kernel} does not fit into an input of spatial shape {sizes}",
                f"along spatial axis {axis} the kernel spans {span} elements (dilation "
                f"{dilation[axis]}), but the input with padding {padding[axis]} has only "
                f"{available}",
                f"use a smaller kernel or dilation, a larger input, or padding={enough}",
            )
    return tuple((r - s) // step + 1 for r, s, step in zip(room, spans, stride, strict=True))


class Tap(NamedTuple):
    """One element of the kernel, the windows in which it meets the input, and what it meets."""

    offset: Sizes
    windows: tuple[slice, ...]
    inputs: tuple[slice, ...]


def find_taps(sizes: Sizes, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes) -> list[Tap]:
    """Every tap that meets the input at all; one that only ever meets padding is left out."""
    counts = windows_shape(sizes, kernel, stride, padding, dilation)
    per_axis = [
        list(_axis_taps(*numbers))
        for numbers in zip(sizes, kernel, stride, padding, dilation, counts, strict=True)
    ]
    return [Tap(*zip(*parts, strict=True)) for parts in itertools.product(*per_axis)]


def _axis_taps(
    size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int, count: int
) -> Iterator[tuple[int, slice, slice]]:
    for k in range(kernel):
        shift = k * dilation - padding[0]
        first = max(0, -(shift // stride))  # the first window with 0 ≤ i · stride + shift
        last = min(count - 1, (size - 1 - shift) // stride)  # … and the last one with < size
        if first <= last:
            inputs = slice(first * stride + shift, last * stride + shift + 1, stride)
            yield k, slice(first, last + 1), inputs


def blocks(count: int, bytes_each: int) -> Iterator[slice]:
    """Cut ``count`` images into slices of about ``BLOCK_BYTES``."""
    step = max(1, BLOCK_BYTES // max(1, bytes_each))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


# Convolution ---------------------------------------------------------------------------------
#
# The values that the windows of a block of images see are written side by side as columns, after
# which a convolution is a matrix product (Chellapilla, Puri and Simard, "High performance
# convolutional neural networks for document processing", 2006):
#
#     y = filters · columns        (outputs, inputs · taps) · (inputs · taps, images · windows)


def conv(x: Array, w: Array, *, stride: Sizes, padding: Padding, dilation: Sizes, groups: int) -> Array:
    """Cross-correlate images with filters.

    y[n, o, i] = Σ_c Σ_k x[n, c, i · stride + k · dilation − before] · w[o, c, k]

    where c runs over the channels of o's group and x is 0 outside itself.

    Args:
        x: images, shape (N, C, *S).
        w: filters, shape (O, C / groups, *K).
        stride, padding, dilation: as for :func:`windows_shape`.
        groups: number of equal parts that the channels of x and of y are cut into; a part of y
            sees only its part of x.

    Returns:
        y, shape (N, O, *windows).

    Raises:
        ShapeError: if the kernel does not fit.

    >>> x, w = np.array([[[1.0, 2.0, 4.0]]]), np.array([[[1.0, 10.0]]])
    >>> conv(x, w, stride=(1,), padding=((0, 0),), dilation=(1,), groups=1)
    array([[[21., 42.]]])
    """
    kernel = w.shape[2:]
    windows = windows_shape(x.shape[2:], kernel, stride, padding, dilation)
    taps = find_taps(x.shape[2:], kernel, stride, padding, dilation)
    filters = _by_group(w, groups)
    y = np.empty((len(x), len(w), *windows), np.result_type(x, w))
    for images in blocks(len(x), _column_bytes(x, kernel, windows)):
        columns = _columns(x[images], kernel, windows, taps, groups)
        product = filters @ columns
        block = _channels_first(y[images])
        block[...] = product.reshape(block.shape)
    return y


def conv_input_gradient(
    g: Array, w: Array, *, shape: Sizes, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> Array:
    """The adjoint of :func:`conv` in x: every window adds itself back to where it was read.

    dx[n, c, p] = Σ_o Σ_k g[n, o, i] · w[o, c, k]   over i · stride + k · dilation − before = p

    Args:
        g: gradient with respect to y, shape (N, O, *windows).
        w: filters, shape (O, C / groups, *K).
        shape: S, the spatial shape of x, which y does not tell when the stride is above 1.
        stride, padding, dilation, groups: as for :func:`conv`.

    Returns:
        dx, shape (N, C, *S).

    Raises:
        ShapeError: if the kernel does not fit.

    >>> g, w = np.array([[[1.0, 2.0]]]), np.array([[[1.0, 10.0]]])
    >>> none = ((0, 0),)
    >>> conv_input_gradient(g, w, shape=(3,), stride=(1,), padding=none, dilation=(1,), groups=1)
    array([[[ 1., 12., 20.]]])
    """
    kernel, windows = w.shape[2:], g.shape[2:]
    taps = find_taps(shape, kernel, stride, padding, dilation)
    filters = _by_group(w, groups).swapaxes(1, 2)
    dx = np.zeros((len(g), groups * w.shape[1], *shape), np.result_type(g, w))
    for images in blocks(len(g), _column_bytes(dx, kernel, windows)):
        rows = _rows(g[images], groups)
        # With one output channel per group the product is an outer one, faster by broadcasting.
        columns = filters * rows if rows.shape[1] == 1 else filters @ rows
        block = _channels_first(dx[images])
        columns = columns.reshape(len(block), *kernel, block.shape[1], *windows)
        for tap in taps:
            block[(..., *tap.inputs)] += columns[(slice(None), *tap.offset, ..., *tap.windows)]
    return dx


def conv_filter_gradient(
    x: Array, g: Array, *, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> Array:
    """The adjoint of :func:`conv` in w: every tap correlates what it met with what came of it.

    dw[o, c, k] = Σ_n Σ_i g[n, o, i] · x[n, c, i · stride + k · dilation − before]

    Args:
        x: images, shape (N, C, *S).
        g: gradient with respect to y, shape (N, O, *windows).
        kernel: K, the spatial shape of w.
        stride, padding, dilation, groups: as for :func:`conv`.

    Returns:
        dw, shape (O, C / groups, *K).

    Raises:
        ShapeError: if the kernel does not fit.

    >>> x, g = np.array([[[1.0, 2.0, 4.0]]]), np.array([[[1.0, 10.0]]])
    >>> none = ((0, 0),)
    >>> conv_filter_gradient(x, g, kernel=(2,), stride=(1,), padding=none, dilation=(1,), groups=1)
    array([[[21., 42.]]])
    """
    windows = g.shape[2:]
    taps = find_taps(x.shape[2:], kernel, stride, padding, dilation)
    dw = np.zeros((g.shape[1], x.shape[1] // groups, *kernel), np.result_type(x, g))
    total = _by_group(dw, groups)
    for images in blocks(len(x), _column_bytes(x, kernel, windows)):
        columns = _columns(x[images], kernel, windows, taps, groups)
        total += _rows(g[images], groups) @ columns.swapaxes(1, 2)
    return dw


def _columns(x: Array, kernel: Sizes, windows: Sizes, taps: list[Tap], groups: int) -> Array:
    """What the windows see: (groups, channels per group · taps, images · windows)."""
    channels = x.shape[1]
    columns = np.zeros((channels, *kernel, len(x), *windows), x.dtype)
    for tap in taps:
        into = columns[(slice(None), *tap.offset, ..., *tap.windows)]
        into[...] = _channels_first(x)[(..., *tap.inputs)]
    depth = channels // groups * math.prod(kernel)
    return columns.reshape(groups, depth, len(x) * math.prod(windows))


def _rows(g: Array, groups: int) -> Array:
    """One row per output channel: (groups, channels per group, images · windows)."""
    count = len(g) * math.prod(g.shape[2:])
    return _channels_first(g).reshape(groups, g.shape[1] // groups, count)


def _by_group(w: Array, groups: int) -> Array:
    """Filters as matrices: (groups, outputs per group, inputs per group · taps)."""
    return w.reshape(groups, len(w) // groups, math.prod(w.shape[1:]))


def _channels_first(x: Array) -> Array:
    """The same values seen as (channels, images, *spatial)."""
    return x.swapaxes(0, 1)


def _column_bytes(x: Array, kernel: Sizes, windows: Sizes) -> int:
    return x.shape[1] * math.prod(kernel) * math.prod(windows) * x.itemsize

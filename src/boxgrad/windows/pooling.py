"""What maximum and average pooling mean, in plain NumPy, and their gradients.

Knows arrays, and from ``convolution`` where windows lie; knows nothing of boxes, derivative rules
or default arguments. The last ``len(size)`` axes are pooled, whatever comes before them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from boxgrad.errors import ShapeError
from boxgrad.windows.convolution import Array, Padding, Sizes, Tap, blocks, find_taps, windows_shape


def max_pool(x: Array, *, size: Sizes, stride: Sizes, padding: Padding) -> Array:
    """The largest value of every window over the last ``len(size)`` axes.

    y[…, i] = max_k x[…, i · stride + k − before]

    Padding counts as −∞ (for integers, as the smallest one), and a NaN makes its windows NaN.

    Args:
        x: shape (…, *S), with real elements.
        size: the kernel's shape.
        stride, padding: as for :func:`windows_shape`.

    Returns:
        y, shape (…, *windows), dtype of x.

    Raises:
        ShapeError: if the window does not fit, or if x is complex.

    >>> max_pool(np.array([3, 1, 4, 1, 5]), size=(2,), stride=(2,), padding=((0, 0),))
    array([3, 4])
    """
    leading, sizes = _split(x, size)
    y = np.full((*leading, *_pooled(sizes, size, stride, padding)), _lowest(x.dtype), x.dtype)
    for tap in find_taps(sizes, size, stride, padding, _ones(size)):
        best = y[(..., *tap.windows)]
        np.maximum(best, x[(..., *tap.inputs)], out=best)
    return y


def max_pool_scatter(g: Array, x: Array, *, size: Sizes, stride: Sizes, padding: Padding) -> Array:
    """The gradient of :func:`max_pool`: a window's g, split evenly over its largest elements.

    dx[…, p] = Σ_i g[…, i] · [x[…, p] = y[…, i]] / ties[…, i]   over the windows i that see p

    In a window that holds NaN the largest elements are the NaN; padding never takes a share.

    Args:
        g: gradient with respect to y, shape (…, *windows).
        x: what was pooled, shape (…, *S), of floating dtype.
        size, stride, padding: as for :func:`max_pool`.

    Returns:
        dx, shape and dtype of x.

    Raises:
        ShapeError: if the window does not fit, or if x is not of floating dtype.

    >>> g, x = np.array([6.0, 1.0]), np.array([4.0, 4.0, 1.0, 5.0])
    >>> max_pool_scatter(g, x, size=(2,), stride=(2,), padding=((0, 0),))
    array([3., 3., 0., 1.])
    """
    _require_floating(x)
    leading, sizes = _split(x, size)
    dx = np.zeros((math.prod(leading), *sizes), x.dtype)
    g, x = g.reshape(len(dx), *g.shape[len(leading) :]), x.reshape(dx.shape)
    taps = find_taps(sizes, size, stride, padding, _ones(size))
    only = _selector(g)
    for rows in blocks(len(dx), math.prod(sizes) * x.itemsize):
        ties, count = _ties(x[rows], size, stride, padding, taps)
        share = g[rows] / count
        for tap, tied in zip(taps, ties, strict=True):
            dx[rows][(..., *tap.inputs)] += only(tied, share[(..., *tap.windows)])
    return dx.reshape(*leading, *sizes)


def max_pool_select(t: Array, x: Array, *, size: Sizes, stride: Sizes, padding: Padding) -> Array:
    """The adjoint of :func:`max_pool_scatter` in g: the mean of t over a window's largest elements.

    s[…, i] = Σ_p t[…, p] · [x[…, p] = y[…, i]] / ties[…, i]   over the positions p in window i

    Args:
        t: shape of x.
        x: what was pooled, shape (…, *S), of floating dtype.
        size, stride, padding: as for :func:`max_pool`.

    Returns:
        s, shape (…, *windows), dtype of x; 0 for a window that sees only padding.

    Raises:
        ShapeError: if the window does not fit, or if x is not of floating dtype.

    >>> t, x = np.array([1.0, 2.0, 3.0, 4.0]), np.array([4.0, 4.0, 1.0, 5.0])
    >>> max_pool_select(t, x, size=(2,), stride=(2,), padding=((0, 0),))
    array([1.5, 4. ])
    """
    _require_floating(x)
    leading, sizes = _split(x, size)
    windows = _pooled(sizes, size, stride, padding)
    s = np.zeros((math.prod(leading), *windows), x.dtype)
    t, x = t.reshape(len(s), *sizes), x.reshape(len(s), *sizes)
    taps = find_taps(sizes, size, stride, padding, _ones(size))
    only = _selector(t)
    for rows in blocks(len(s), math.prod(sizes) * x.itemsize):
        ties, count = _ties(x[rows], size, stride, padding, taps)
        for tap, tied in zip(taps, ties, strict=True):
            s[rows][(..., *tap.windows)] += only(tied, t[rows][(..., *tap.inputs)])
        s[rows] /= count
    return s.reshape(*leading, *windows)


def avg_pool(x: Array, *, size: Sizes, stride: Sizes, padding: Padding) -> Array:
    """The mean of every window over the last ``len(size)`` axes, padded zeros counted.

    y[…, i] = Σ_k x[…, i · stride + k − before] / Π size

    Args:
        x: shape (…, *S), of floating or complex dtype.
        size, stride, padding: as for :func:`max_pool`.

    Returns:
        y, shape (…, *windows), dtype of x.

    Raises:
        ShapeError: if the window does not fit, or if x holds integers.

    >>> avg_pool(np.array([3.0, 1.0, 4.0, 2.0]), size=(2,), stride=(2,), padding=((0, 0),))
    array([2., 3.])
    """
    _require_floating(x, complex_too=True)
    leading, sizes = _split(x, size)
    y = np.zeros((*leading, *_pooled(sizes, size, stride, padding)), x.dtype)
    for tap in find_taps(sizes, size, stride, padding, _ones(size)):
        y[(..., *tap.windows)] += x[(..., *tap.inputs)]
    y /= math.prod(size)
    return y


def avg_pool_input_gradient(g: Array, *, shape: Sizes, size: Sizes, stride: Sizes, padding: Padding) -> Array:
    """The adjoint of :func:`avg_pool`: every window hands out its g in equal parts.

    dx[…, p] = Σ_i g[…, i] / Π size   over the windows i that see p

    Args:
        g: gradient with respect to y, shape (…, *windows), of floating or complex dtype.
        shape: S, the last ``len(size)`` sizes of x.
        size, stride, padding: as for :func:`avg_pool`.

    Returns:
        dx, shape (…, *S), dtype of g.

    Raises:
        ShapeError: if the window does not fit, or if g holds integers.

    >>> g = np.array([2.0, 4.0])
    >>> avg_pool_input_gradient(g, shape=(4,), size=(2,), stride=(2,), padding=((0, 0),))
    array([1., 1., 2., 2.])
    """
    _require_floating(g, complex_too=True)
    share = g / math.prod(size)
    dx = np.zeros((*_split(g, size)[0], *shape), g.dtype)
    for tap in find_taps(shape, size, stride, padding, _ones(size)):
        dx[(..., *tap.inputs)] += share[(..., *tap.windows)]
    return dx


def _ties(
    x: Array, size: Sizes, stride: Sizes, padding: Padding, taps: list[Tap]
) -> tuple[list[Array], Array]:
    """In which windows each tap holds a largest element; how many do per window (at least 1)."""
    y = max_pool(x, size=size, stride=stride, padding=padding)
    ties = [x[(..., *tap.inputs)] == y[(..., *tap.windows)] for tap in taps]
    if np.isnan(y).any():
        for tap, tied in zip(taps, ties, strict=True):
            tied |= np.isnan(x[(..., *tap.inputs)])
    count = np.zeros(y.shape, x.dtype)
    for tap, tied in zip(taps, ties, strict=True):
        count[(..., *tap.windows)] += tied
    return ties, np.maximum(count, 1, out=count)


def _selector(values: Array) -> Callable[[Array, Array], Array]:
    """How to keep values where a mask holds: a product is twice as fast, but 0 · ∞ is NaN."""
    if np.isfinite(values).all():
        return np.multiply
    return lambda mask, chosen: np.where(mask, chosen, 0)


def _split(x: Array, size: Sizes) -> tuple[Sizes, Sizes]:
    """The shape of x before the pooled axes, and theirs."""
    first = max(0, x.ndim - len(size))
    return x.shape[:first], x.shape[first:]


def _pooled(sizes: Sizes, size: Sizes, stride: Sizes, padding: Padding) -> Sizes:
    return windows_shape(sizes, size, stride, padding, _ones(size))


def _ones(size: Sizes) -> Sizes:
    return (1,) * len(size)


def _lowest(dtype: np.dtype[Any]) -> Any:
    """The value that a maximum starts from."""
    if dtype.kind == "f":
        return -np.inf
    if dtype.kind in "iu":
        return np.iinfo(dtype).min
    if dtype.kind == "b":
        return False
    raise ShapeError.because(
        f"max_pool of an array of dtype {dtype}",
        "a maximum needs an order, and complex numbers have none",
        "pool np.abs(x), or x.real and x.imag each by itself",
    )


def _require_floating(x: Array, complex_too: bool = False) -> None:
    if x.dtype.kind not in ("fc" if complex_too else "f"):
        raise ShapeError.because(
            f"a mean over windows of an array of dtype {x.dtype} and shape {x.shape}",
            f"a mean is a fraction, which dtype {x.dtype} cannot hold",
            "convert first: x.astype(np.float32)",
        )

"""The functions that a standalone file needs and NumPy lacks: their text is copied into the file.

Written to be read: a convolution is a product of windows and filters. They know arrays only, and each other.
"""

# mypy: ignore-errors
# pyright: basic
# ruff: noqa: B905

from __future__ import annotations

import numpy as np


def conv(x, w):
    """x (N, C, *S) with filters w (O, C, *K): each window times each filter, summed."""
    axes = tuple(range(2, w.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axes)  # (N, C, *positions, *K)
    y = np.tensordot(windows, w, ([1, *range(-len(axes), 0)], [1, *axes]))  # (N, *positions, O)
    return np.moveaxis(y, -1, 1)


def conv_input(g, w):
    """The gradient of conv in x: g with the flipped filters, wherever they meet at all."""
    margin = [(0, 0), (0, 0), *((k - 1, k - 1) for k in w.shape[2:])]
    flipped = np.flip(w, tuple(range(2, w.ndim)))
    return conv(np.pad(g, margin), flipped.swapaxes(0, 1))


def conv_filter(x, g):
    """The gradient of conv in w: x with g in the place of the filters, summed over the images."""
    return conv(x.swapaxes(0, 1), g.swapaxes(0, 1)).swapaxes(0, 1)


def padded(x, padding, value=0.0):
    """x with (before, after) elements added to each of its last axes."""
    if padding is None:
        return x
    whole = [(0, 0)] * (x.ndim - len(padding))
    return np.pad(x, [*whole, *padding], constant_values=value)


def cropped(x, padding):
    """x without the padding of its last axes."""
    if padding is None:
        return x
    inside = tuple(slice(before, n - after) for (before, after), n in zip(padding, x.shape[-len(padding) :]))
    return x[(..., *inside)]


def windows_of(x, size, stride=None, dilation=None):
    """Every window over the last axes of x, as a view (..., *positions, *size)."""
    axes, one = len(size), (1,) * len(size)
    span = [(k - 1) * d + 1 for k, d in zip(size, dilation or one)]
    view = np.lib.stride_tricks.sliding_window_view(x, span, tuple(range(-axes, 0)))
    every = tuple(slice(None, None, s) for s in stride or one)
    inside = tuple(slice(None, None, d) for d in dilation or one)
    return view[(..., *every, *inside)]


def met_by(offset, counts, stride=None, dilation=None):
    """Where the element of a window at that offset stands, for all windows."""
    one = (1,) * len(offset)
    return tuple(
        slice(k * d, k * d + (n - 1) * s + 1, s)
        for k, n, s, d in zip(offset, counts, stride or one, dilation or one)
    )


def conv_general(x, w, stride=None, padding=None, dilation=None):
    """x (N, C, *S) with filters w (O, C, *K): each window times each filter, summed."""
    k = w.ndim - 2
    windows = windows_of(padded(x, padding), w.shape[2:], stride, dilation)  # (N, C, *positions, *K)
    y = np.tensordot(windows, w, ([1, *range(-k, 0)], [1, *range(2, w.ndim)]))  # (N, *positions, O)
    return np.moveaxis(y, -1, 1)


def conv_input_general(g, w, shape, stride=None, padding=None, dilation=None):
    """The gradient of conv in x: each window hands g back, through its filter, to where it was read."""
    around = padding or [(0, 0)] * len(shape)
    sizes = [n + before + after for n, (before, after) in zip(shape, around)]
    dx = np.zeros((g.shape[0], w.shape[1], *sizes), g.dtype)
    for offset in np.ndindex(*w.shape[2:]):
        share = np.tensordot(g, w[(slice(None), slice(None), *offset)], (1, 0))  # (N, *positions, C)
        dx[(..., *met_by(offset, g.shape[2:], stride, dilation))] += np.moveaxis(share, -1, 1)
    return cropped(dx, padding)


def conv_filter_general(x, g, kernel, stride=None, padding=None, dilation=None):
    """The gradient of conv in w: what each element of a filter met, times what came of it."""
    windows = windows_of(padded(x, padding), kernel, stride, dilation)  # (N, C, *positions, *K)
    axes = [0, *range(2, 2 + len(kernel))]
    return np.tensordot(g, windows, (axes, axes))  # (O, C, *K)


def in_groups(function, x, y, groups, axes, result, **options):
    """The function for each group of channels by itself; axes and result say where the channels are."""
    parts = zip(np.split(x, groups, axes[0]), np.split(y, groups, axes[1]))
    return np.concatenate([function(a, b, **options) for a, b in parts], axis=result)


def max_pool(x, size, stride=None, padding=None):
    """The largest element of each window; padding never wins."""
    windows = windows_of(padded(x, padding, -np.inf), size, stride or size)
    return windows.max(axis=tuple(range(-len(size), 0)))


def max_pool_input(g, x, size, stride=None, padding=None):
    """The gradient of max_pool: to the largest element of each window, in equal parts at a tie."""
    x, axes = padded(x, padding, -np.inf), tuple(range(-len(size), 0))
    windows = windows_of(x, size, stride or size)
    largest = windows == windows.max(axis=axes, keepdims=True)
    share = g / largest.sum(axis=axes)
    dx = np.zeros(x.shape, g.dtype)
    for offset in np.ndindex(*size):
        place = met_by(offset, g.shape[-len(size) :], stride or size)
        dx[(..., *place)] += share * largest[(..., *offset)]
    return cropped(dx, padding)


def max_pool_select(t, x, size, stride=None, padding=None):
    """The elements of t at the largest element of each window of x, their mean at a tie."""
    axes = tuple(range(-len(size), 0))
    windows = windows_of(padded(x, padding, -np.inf), size, stride or size)
    largest = windows == windows.max(axis=axes, keepdims=True)
    chosen = windows_of(padded(t, padding), size, stride or size) * largest
    return chosen.sum(axis=axes) / largest.sum(axis=axes)


def avg_pool(x, size, stride=None, padding=None):
    """The mean of each window, padded zeros counted."""
    return windows_of(padded(x, padding), size, stride or size).mean(axis=tuple(range(-len(size), 0)))


def avg_pool_input(g, shape, size, stride=None, padding=None):
    """The gradient of avg_pool: each window hands g out in equal parts."""
    around = padding or [(0, 0)] * len(size)
    sizes = [n + before + after for n, (before, after) in zip(shape, around)]
    dx = np.zeros((*g.shape[: -len(size)], *sizes), g.dtype)
    for offset in np.ndindex(*size):
        dx[(..., *met_by(offset, g.shape[-len(size) :], stride or size))] += g / np.prod(size)
    return cropped(dx, padding)


def log_softmax(x):
    """log(exp(x) / Σ exp(x)) for each row; the largest score is taken out first, so nothing overflows."""
    shifted = x - x.max(axis=1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))


def erf(x):
    """2/√π ∫₀ˣ exp(-t²) dt, by the series exp(-x²) Σ 2ⁿ x²ⁿ⁺¹ / (1·3·…·(2n+1)); beyond 6 it is ±1."""
    x = np.clip(x, -6.0, 6.0)
    term = total = x
    for n in range(1, 160):
        term = term * 2 * x * x / (2 * n + 1)
        total = total + term
    return 2 / np.sqrt(np.pi) * np.exp(-x * x) * total


def erfc(x):
    """1 - erf(x); from 2 on by the continued fraction exp(-x²)/√π / (x + ½/(x + 1/(x + 3⁄2/…)))."""
    far = np.maximum(x, 2.0)
    tail = far
    for n in range(160, 0, -1):
        tail = far + n / 2 / tail
    return np.where(x < 2, 1 - erf(x), np.exp(-far * far) / np.sqrt(np.pi) / tail)


def erfinv(y):
    """The x with erf(x) = y, by Newton's method from an approximation with elementary functions."""
    s = np.log1p(-y * y)
    a = 2 / (np.pi * 0.147) + s / 2
    x = np.sign(y) * np.sqrt(np.sqrt(a * a - s / 0.147) - a)
    for _ in range(4):
        x = x - (erf(x) - y) * np.sqrt(np.pi) / 2 * np.exp(x * x)
    return x


def gammaln(x):
    """log Γ(x) for x > 0, by Stirling's series at x + 15."""
    z = x + 15
    series = sum(
        c / z ** (2 * n + 1) for n, c in enumerate((1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188))
    )
    return (z - 0.5) * np.log(z) - z + np.log(2 * np.pi) / 2 + series - sum(np.log(x + k) for k in range(15))


def polygamma(x, order):
    """The derivative of log Γ, differentiated so many times, for x > 0, by its series at x + 15."""
    bernoulli, factorial = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6), [1.0]
    for n in range(1, order + 20):
        factorial.append(factorial[-1] * n)
    z, sign, f = x + 15, -((-1) ** order), factorial
    if order == 0:
        y = np.log(z) - 1 / (2 * z) - sum(b / (2 * k * z ** (2 * k)) for k, b in enumerate(bernoulli, 1))
    else:
        y = f[order - 1] / z**order + f[order] / (2 * z ** (order + 1))
        for k, b in enumerate(bernoulli, 1):
            y = y + b * f[2 * k + order - 1] / f[2 * k] / z ** (2 * k + order)
        y = sign * y
    return y + sign * f[order] * sum(1 / (x + k) ** (order + 1) for k in range(15))


def cofactor(x):
    """det(x) x⁻ᵀ, by singular values, so that it is exact where x has no inverse."""
    u, s, v = np.linalg.svd(x)
    rest = other_factors_of_rows(s)
    sign = np.linalg.det(u) * np.linalg.det(v)
    return sign[..., np.newaxis, np.newaxis] * ((u * rest[..., np.newaxis, :]) @ v)


def other_factors_of_rows(s):
    """For each element the product of all the others in its row."""
    return np.stack([np.prod(np.delete(s, i, -1), axis=-1) for i in range(s.shape[-1])], axis=-1)


def other_factors(x, axis):
    """For each element the product of all the others along the axes; no division, so zeros are right."""
    rest = np.ones(x.shape)
    for shift in np.ndindex(*[x.shape[i] for i in axis]):
        if any(shift):
            rest = rest * np.roll(x, shift, axis)
    return rest


def cumprod_input(g, x, axis):
    """The gradient of a running product: dx[i] = P[i-1] s[i] with s[i] = g[i] + x[i+1] s[i+1]."""
    g, x = np.moveaxis(g, axis, 0), np.moveaxis(x, axis, 0)
    before = np.concatenate([np.ones_like(x[:1]), np.cumprod(x, axis=0)[:-1]])
    dx, s = np.zeros(x.shape), np.zeros(x.shape[1:])
    for i in reversed(range(len(x))):
        s = g[i] + (x[i + 1] * s if i + 1 < len(x) else 0)
        dx[i] = before[i] * s
    return np.moveaxis(dx, 0, axis)


def sinc_slope(x):
    """(cos πx - sinc x) / x; near 0 its series, which the quotient would cancel."""
    near = np.abs(x) < 1e-2
    safe, u = np.where(near, 1.0, x), np.pi * np.where(near, x, 0.0)
    series = np.pi * u * (-1 / 3 + u * u * (1 / 30 - u * u * (1 / 840 - u * u / 45360)))
    return np.where(near, series, (np.cos(np.pi * safe) - np.sinc(safe)) / safe)


def placed(x, key, shape):
    """Zeros of a shape, with x at the key."""
    y = np.zeros(shape, x.dtype)
    y[key] = x
    return y


def added_at(x, key, shape):
    """Zeros of a shape, with x added at the key; repeated positions add up."""
    y = np.zeros(shape, x.dtype)
    np.add.at(y, key, x)
    return y


def replaced(x, key, value):
    """x with the value at the key."""
    y = x.copy()
    y[key] = value
    return y


def random_bits(key, counter, shape):
    """Threefry-2x32, 20 rounds: random words as a function of key and counter."""
    size = int(np.prod(shape))
    number = np.arange((size + 1) // 2, dtype=np.uint64) + np.uint64(counter)
    x, y = (number & np.uint64(0xFFFFFFFF)).astype(np.uint32), (number >> np.uint64(32)).astype(np.uint32)
    a, b = np.uint32(key[0]), np.uint32(key[1])
    keys = (a, b, a ^ b ^ np.uint32(0x1BD11BDA))
    with np.errstate(over="ignore"):
        x, y = x + keys[0], y + keys[1]
        for group in range(5):
            for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
                x = x + y
                y = (y << np.uint32(rotation)) | (y >> np.uint32(32 - rotation))
                y = y ^ x
            x = x + keys[(group + 1) % 3]
            y = y + keys[(group + 2) % 3] + np.uint32(group + 1)
    return np.stack([x, y], axis=-1).reshape(-1)[:size].reshape(shape)

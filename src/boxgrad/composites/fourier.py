"""``np.fft`` as plain NumPy over the transform along one axis.

Lengths, factors and the halves of real transforms are slices, zeros and products.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from boxgrad.composites.reductions import array, one_axis
from boxgrad.errors import ShapeError
from boxgrad.ops import fourier
from boxgrad.trace.table import implements


def _fitted(a: Any, n: Any, axis: int) -> Any:
    """The first n elements along an axis; zeros where there are fewer."""
    have = a.shape[axis]
    if n is None or n == have:
        return a
    lead = (slice(None),) * axis
    if n < have:
        return a[(*lead, slice(n))]
    return np.pad(a, [(0, n - have if i == axis else 0) for i in range(a.ndim)])


def _factor(n: int, norm: Any, inverse: bool) -> float:
    if norm not in (None, "backward", "ortho", "forward"):
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    if norm == "ortho":
        return 1 / math.sqrt(n)
    return 1 / n if inverse == (norm in (None, "backward")) else 1.0


def _transform(a: Any, n: Any, axis: int, norm: Any, inverse: bool) -> Any:
    a = array(a)
    axis = one_axis(a.ndim, axis)
    a = _fitted(a, n, axis)
    if not a.shape[axis]:
        raise ShapeError.because(
            f"a Fourier transform of {a.shape[axis]} points", "there is nothing to transform", "n >= 1"
        )
    factor = _factor(a.shape[axis], norm, inverse)
    y = fourier.fft(a, axis=axis, inverse=inverse)
    return y if factor == 1 else y * factor


def _into(out: Any, y: Any) -> Any:
    if out is None:
        return y
    out[...] = y
    return out


@implements(np.fft.fft)
def fft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return _into(out, _transform(a, n, axis, norm, False))


@implements(np.fft.ifft)
def ifft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return _into(out, _transform(a, n, axis, norm, True))


# ---- of real arrays: half of the result says all
@implements(np.fft.rfft)
def rfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    y = _transform(a, n, axis, norm, False)
    axis = one_axis(y.ndim, axis)
    return _into(out, y[(*(slice(None),) * axis, slice(y.shape[axis] // 2 + 1))])


@implements(np.fft.irfft)
def irfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """The other half is the conjugate, in the opposite order; of the first and the middle the real part."""
    a = array(a)
    axis = one_axis(a.ndim, axis)
    n = 2 * (a.shape[axis] - 1) if n is None else int(n)
    half = _fitted(a, n // 2 + 1, axis)
    lead = (slice(None),) * axis
    ends = [half[(*lead, slice(0, 1))].real]
    inner = half[(*lead, slice(1, (n + 1) // 2))]
    middle = [half[(*lead, slice(n // 2, n // 2 + 1))].real] if n % 2 == 0 and n > 1 else []
    whole = [*ends, inner, *middle, np.conjugate(np.flip(inner, axis))]
    return _into(out, _transform(np.concatenate(whole, axis=axis), n, axis, norm, True).real)


_OTHER = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}


@implements(np.fft.hfft)
def hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return irfft(np.conjugate(array(a)), n, axis, _OTHER[norm], out)


@implements(np.fft.ihfft)
def ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return _into(out, np.conjugate(rfft(a, n, axis, _OTHER[norm])))


# ---- along several axes
def _axes(a: Any, s: Any, axes: Any) -> list[tuple[int, Any]]:
    """Each axis with its length."""
    if axes is None:
        axes = range(-len(s), 0) if s is not None else range(a.ndim)
    sizes = [None] * len(axes) if s is None else [None if n == -1 else n for n in s]
    return [(one_axis(a.ndim, i), n) for i, n in zip(axes, sizes, strict=True)]


@implements(np.fft.fftn)
def fftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    for axis, n in reversed(_axes(array(a), s, axes)):
        a = fft(a, n, axis, norm)
    return _into(out, a)


@implements(np.fft.ifftn)
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    for axis, n in reversed(_axes(array(a), s, axes)):
        a = ifft(a, n, axis, norm)
    return _into(out, a)


@implements(np.fft.rfftn)
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    *rest, (axis, n) = _axes(array(a), s, axes)
    a = rfft(a, n, axis, norm)
    for axis, n in reversed(rest):
        a = fft(a, n, axis, norm)
    return _into(out, a)


@implements(np.fft.irfftn)
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    *rest, (last, length) = _axes(array(a), s, axes)
    for axis, n in rest:
        a = ifft(a, n, axis, norm)
    return irfft(a, length, last, norm, out)


def _plane(function: Any) -> Any:
    def along_two(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
        return function(a, s, axes, norm, out)

    return along_two


for _two, _many in (
    (np.fft.fft2, fftn), (np.fft.ifft2, ifftn), (np.fft.rfft2, rfftn), (np.fft.irfft2, irfftn),
):  # fmt: skip
    implements(_two)(_plane(_many))


@implements(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    axes = _shifted(x, axes)
    return np.roll(x, tuple(x.shape[i] // 2 for i in axes), axes)


@implements(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    axes = _shifted(x, axes)
    return np.roll(x, tuple(-(x.shape[i] // 2) for i in axes), axes)


def _shifted(x: Any, axes: Any) -> tuple[int, ...]:
    axes = range(x.ndim) if axes is None else (axes,) if isinstance(axes, int) else axes
    return tuple(one_axis(x.ndim, i) for i in axes)

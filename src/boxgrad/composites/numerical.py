"""Differences, integrals, interpolation, convolution of sequences, polynomials, ranges of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad.composites.reductions import array, axes_of, one_axis
from boxgrad.errors import ShapeError
from boxgrad.functions.windows import conv
from boxgrad.ops.index import Slot, gather
from boxgrad.trace.table import implements, refuse

refuse(
    "the roots of a polynomial are eigenvalues of a matrix that is not symmetric",
    "the roots of plain arrays; their derivative is -p_k(r)/p'(r) by the implicit function theorem",
    np.roots,
)


def taken(a: Any, positions: Any) -> Any:
    """The elements of an array of one axis at some positions, either of which may be traced."""
    return gather(a, array(positions), key=(Slot(0),))


def _at(axis: int, part: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, part)


# ---- differences and integrals
@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    y = np.diff(np.ravel(array(ary)))
    parts = [np.ravel(array(x)) for x in (to_begin, to_end) if x is not None]
    if not parts:
        return y
    begin = [] if to_begin is None else [parts[0]]
    end = [] if to_end is None else [parts[-1]]
    return np.concatenate([*begin, y, *end]).astype(y.dtype)


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Central differences inside, one-sided ones of first or second order at the ends."""
    f = array(f)
    f = f if f.dtype.kind in "fc" else f.astype(float)
    axes = axes_of(f, tuple(axis) if isinstance(axis, list) else axis)
    spacings = varargs * len(axes) if len(varargs) == 1 and np.ndim(varargs[0]) == 0 else varargs
    spacings = spacings or (1.0,) * len(axes)
    if len(spacings) != len(axes) or edge_order > 2:
        raise ShapeError.because(
            f"np.gradient with {len(varargs)} spacings along {len(axes)} axes, edge_order={edge_order}",
            "there is one spacing for all axes, or one for each; edge_order is 1 or 2",
            "np.gradient(f, dx)",
        )
    results = [_slope(f, h, i, edge_order) for i, h in zip(axes, spacings, strict=True)]
    return results[0] if len(results) == 1 else tuple(results)


def _slope(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    n = f.shape[axis]
    if n < edge_order + 1:
        raise ValueError("Shape of array too small to calculate a numerical gradient, at least "
                         "(edge_order + 1) elements are required.")  # fmt: skip
    p = [f[_at(axis, slice(i, n - 2 + i))] for i in range(3)]
    first = [f[_at(axis, slice(i, i + 1))] for i in range(edge_order + 1)]
    last = [f[_at(axis, slice(n - 1 - i, n - i))] for i in range(edge_order + 1)]
    if np.ndim(h) == 0:
        inner = (p[2] - p[0]) / (2.0 * h)
        if edge_order == 1:
            ends = (first[1] - first[0]) / h, (last[0] - last[1]) / h
        else:
            ends = (
                (-1.5 / h) * first[0] + (2.0 / h) * first[1] - (0.5 / h) * first[2],
                (0.5 / h) * last[2] - (2.0 / h) * last[1] + (1.5 / h) * last[0],
            )
        return np.concatenate([ends[0], inner, ends[1]], axis=axis)
    steps = np.diff(array(h))
    shape = (-1, *(1,) * (f.ndim - axis - 1))
    d1, d2 = steps[:-1].reshape(shape), steps[1:].reshape(shape)
    inner = -d2 / (d1 * (d1 + d2)) * p[0] + (d2 - d1) / (d1 * d2) * p[1] + d1 / (d2 * (d1 + d2)) * p[2]
    a, b = steps[0], steps[-1]
    if edge_order == 1:
        ends = (first[1] - first[0]) / a, (last[0] - last[1]) / b
    else:
        c, d = steps[1], steps[-2]
        ends = (
            -(2.0 * a + c) / (a * (a + c)) * first[0]
            + (a + c) / (a * c) * first[1]
            - a / (c * (a + c)) * first[2],
            b / (d * (d + b)) * last[2]
            - (b + d) / (d * b) * last[1]
            + (2.0 * b + d) / (b * (d + b)) * last[0],
        )
    return np.concatenate([ends[0], inner, ends[1]], axis=axis)


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = array(y)
    place = one_axis(y.ndim, axis)
    d: Any = dx
    if x is not None:
        x = array(x)
        d = np.diff(x).reshape((-1, *(1,) * (y.ndim - place - 1))) if x.ndim == 1 else np.diff(x, axis=axis)
    pairs = y[_at(place, slice(1, None))] + y[_at(place, slice(None, -1))]
    return np.sum(d * pairs / 2.0, axis=axis)


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * np.pi) -> Any:
    """The corrections are whole periods, which are constant."""
    p = p if p.dtype.kind == "f" else p.astype(float)
    axis = one_axis(p.ndim, axis)
    d = np.diff(p, axis=axis)
    half = period / 2
    folded = np.remainder(d + half, period) - half
    folded = np.where((folded == -half) & (d > 0), half, folded)
    correction = np.where(np.abs(d) < (half if discont is None else discont), 0, folded - d)
    rest = p[_at(axis, slice(1, None))] + np.cumsum(correction, axis=axis)
    return np.concatenate([p[_at(axis, slice(0, 1))], rest], axis=axis)


@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Piecewise linear; the derivative at a knot is that of the piece to its right."""
    x, xp, fp = array(x), array(xp), array(fp)
    if xp.ndim != 1 or xp.shape != fp.shape:
        raise ValueError("fp and xp are not of the same length.")
    if period is not None:
        x, xp = x % abs(period), xp % abs(period)
        order = np.argsort(xp, kind="stable")
        xp, fp = taken(xp, order), taken(fp, order)
        xp = np.concatenate((xp[-1:] - abs(period), xp, xp[0:1] + abs(period)))
        fp = np.concatenate((fp[-1:], fp, fp[0:1]))
        left = right = None
    low, high = fp[0] if left is None else left, fp[-1] if right is None else right
    if len(xp) == 1:
        inside = fp[0] + 0.0 * x
    else:
        place = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, len(xp) - 2)
        (x0, y0), (x1, y1) = ([taken(p, place + i) for p in (xp, fp)] for i in (0, 1))
        inside = (y1 - y0) / (x1 - x0) * (x - x0) + y0
        inside = np.where(x == xp[-1], fp[-1] + 0.0 * inside, inside)
    return np.where(x < xp[0], low, np.where(x > xp[-1], high, inside))


# ---- convolution of sequences
def _convolved(a: Any, v: Any) -> Any:
    """All n + m - 1 sums of products."""
    if a.dtype.kind == "c" or v.dtype.kind == "c":
        return (_convolved(a.real, v.real) - _convolved(a.imag, v.imag)) + 1j * (
            _convolved(a.real, v.imag) + _convolved(a.imag, v.real)
        )
    return conv(a[None, None, :], v[None, None, ::-1], padding=len(v) - 1)[0, 0]


def _cut(full: Any, n: int, m: int, mode: Any) -> Any:
    longer, shorter = max(n, m), min(n, m)
    if mode in ("full", 2):
        return full
    if mode in ("same", 1):
        start = (shorter - 1) // 2
        return full[start : start + longer]
    if mode in ("valid", 0):
        return full[shorter - 1 : longer]
    raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    a, v = np.atleast_1d(array(a)), np.atleast_1d(array(v))
    if not len(a) or not len(v):
        raise ValueError("a cannot be empty" if not len(a) else "v cannot be empty")
    a, v = (v, a) if len(v) > len(a) else (a, v)
    return _cut(_convolved(a, v), len(a), len(v), mode)


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    a, v = np.atleast_1d(array(a)), np.conjugate(np.atleast_1d(array(v)))
    if len(v) > len(a):
        return _cut(_convolved(v, a[::-1]), len(v), len(a), mode)[::-1]
    return _cut(_convolved(a, v[::-1]), len(a), len(v), mode)


# ---- polynomials, coefficients of the highest power first
@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    p, x = array(p), array(x)
    y: Any = np.zeros_like(x)
    for i in range(p.shape[0]):
        y = y * x + p[i]
    return y


def _aligned(a: Any, b: Any) -> tuple[Any, Any]:
    a, b = np.atleast_1d(array(a)), np.atleast_1d(array(b))
    n = max(len(a), len(b))
    return np.pad(a, (n - len(a), 0)), np.pad(b, (n - len(b), 0))


@implements(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    a, b = _aligned(a1, a2)
    return a + b


@implements(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    a, b = _aligned(a1, a2)
    return a - b


@implements(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    """Leading zeros are left out first, which is a matter of values."""
    return np.convolve(*(_trimmed(array(a)) for a in (a1, a2)))


def _trimmed(p: Any) -> Any:
    p = np.trim_zeros(np.atleast_1d(p), "f")
    return p if len(p) else np.zeros(1)


@implements(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    p = array(p)
    for _ in range(m):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


@implements(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    p = array(p)
    constants = [0.0] * m if k is None else np.ravel(np.broadcast_to(k, m) if np.size(k) == 1 else k).tolist()
    for c in constants:
        p = np.concatenate([p / np.arange(len(p), 0, -1), [c]])
    return p


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """The monic polynomial with given roots; of a square matrix its characteristic polynomial."""
    if seq_of_zeros.ndim != 1:
        raise ShapeError.because(
            "np.poly of a matrix", "its eigenvalues may be complex", "np.poly(np.linalg.eigvalsh(a))"
        )
    y: Any = np.ones(1, seq_of_zeros.dtype)
    for i in range(len(seq_of_zeros)):
        y = np.concatenate([y, [0.0]]) - np.concatenate([[0.0], y * seq_of_zeros[i]])
    return y


@implements(np.polydiv)
def polydiv(u: Any, v: Any) -> Any:
    u, v = np.atleast_1d(array(u)) + 0.0, np.atleast_1d(array(v)) + 0.0
    rest, divisor, quotient = list(u), list(v), []
    for k in range(len(rest) - len(divisor) + 1):
        d = (1.0 / divisor[0]) * rest[k]
        quotient.append(d)
        for i, c in enumerate(divisor):
            rest[k + i] = rest[k + i] - d * c
    while len(rest) > 1 and np.allclose(rest[0], 0, rtol=1e-14):  # a matter of values
        rest.pop(0)
    return np.stack(quotient or [np.zeros(())]), np.stack(rest)


@implements(np.polyfit)
def polyfit(
    x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:
    """Least squares in powers of x, each scaled to length 1."""
    if full or cov:
        raise ShapeError.because(
            "np.polyfit with full= or cov=", "only the coefficients are traced", "np.polyfit(x, y, deg)"
        )
    x, y = array(x) + 0.0, array(y) + 0.0
    powers = np.vander(x, int(deg) + 1)
    if w is not None:
        powers = powers * array(w)[:, None]
        y = y * array(w) if y.ndim == 1 else y * array(w)[:, None]
    length = np.sqrt(np.sum(powers * powers, axis=0))
    scaled = np.linalg.pinv(powers / length, len(x) * np.finfo(float).eps if rcond is None else rcond)
    c = scaled @ y
    return c / length if y.ndim == 1 else c / length[:, None]


# ---- ranges
@implements(np.linspace)
def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
    axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    start, stop = array(start) * 1.0, array(stop) * 1.0
    pieces = num - 1 if endpoint else num
    delta = stop - start
    step = delta / pieces if pieces > 0 else np.nan * delta
    count = np.arange(num).reshape((-1, *(1,) * np.ndim(delta)))
    y = count * (step if pieces > 0 else delta) + start
    if endpoint and num > 1:
        y = np.concatenate([y[:-1], np.broadcast_to(stop, np.shape(delta))[None]])
    y = np.moveaxis(y, 0, axis) if axis else y
    y = y if dtype is None else y.astype(dtype)
    return (y, step) if retstep else y


@implements(np.logspace)
def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None,
    axis: int = 0,
) -> Any:  # fmt: skip
    y = np.power(base, np.linspace(start, stop, num, endpoint, axis=axis))
    return y if dtype is None else y.astype(dtype)


@implements(np.geomspace)
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    start, stop = array(start) * 1.0, array(stop) * 1.0
    share = np.linspace(0.0, 1.0, num, endpoint).reshape((-1, *(1,) * max(np.ndim(start), np.ndim(stop))))
    y = start * (stop / start) ** share
    if endpoint and num > 1:
        y = np.concatenate([y[:-1], np.broadcast_to(stop, y.shape[1:])[None]])
    y = np.moveaxis(y, 0, axis) if axis else y
    return y if dtype is None else y.astype(dtype)

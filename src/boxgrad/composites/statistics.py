"""Order statistics, statistics that leave NaN out, covariance: plain NumPy over primitives.

A quantile is a weighted mean of two sorted elements; its derivative goes to those two.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from boxgrad.composites.reductions import array, axes_of
from boxgrad.errors import TraceError
from boxgrad.trace.table import implements, writes_out

_NO_VALUE: Any = np._NoValue  # type: ignore[attr-defined]  # NumPy's own "not given"


# ---- quantiles
def _last(a: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """The axes to be reduced as one last axis, and the shape of the result with axes of size 1."""
    axes = axes_of(a, tuple(axis) if isinstance(axis, list) else axis)
    rest = [i for i in range(a.ndim) if i not in axes]
    flat = np.transpose(a, (*rest, *axes)).reshape((*(a.shape[i] for i in rest), -1))
    return flat, tuple(1 if i in axes else n for i, n in enumerate(a.shape))


# Where the quantile q of n sorted elements lies: n q + α + q (1 - α - β) - 1. Source: R. J. Hyndman, Y. Fan,
# "Sample quantiles in statistical packages", The American Statistician 50 (1996).
_CONTINUOUS = {
    "linear": (1, 1), "hazen": (0.5, 0.5), "weibull": (0, 0), "interpolated_inverted_cdf": (0, 1),
    "median_unbiased": (1 / 3, 1 / 3), "normal_unbiased": (3 / 8, 3 / 8),
}  # fmt: skip


def _position(n: Any, q: Any, method: str) -> Any:
    if method in _CONTINUOUS:
        alpha, beta = _CONTINUOUS[method]
        return (n - 1) * q if method == "linear" else n * q + (alpha + q * (1 - alpha - beta)) - 1
    place = (n - 1) * q
    if method == "lower":
        return np.floor(place)
    if method == "higher":
        return np.ceil(place)
    if method == "midpoint":
        return 0.5 * (np.floor(place) + np.ceil(place))
    if method == "nearest":
        return np.rint(place)
    if method == "inverted_cdf":
        return np.ceil(n * q) - 1
    raise TraceError.because(
        f"np.quantile with method={method!r}",
        "only continuous methods, inverted_cdf, lower, higher, midpoint and nearest are traced",
        "method='linear'",
    )


def _chosen(ordered: Any, n: Any, q: Any, method: str) -> Any:
    """The quantile q of the first n elements along the last axis; n is a number, or one for each row."""
    place = np.clip(_position(n, q, method), 0, n - 1)
    low = np.floor(place)
    weight = (place - low).astype(ordered.dtype) if hasattr(place, "astype") else place - low
    high = np.minimum(low + 1, n - 1).astype(np.intp)
    low = low.astype(np.intp)
    if hasattr(n, "node"):
        first = np.take_along_axis(ordered, low[..., None], axis=-1)[..., 0]
        second = np.take_along_axis(ordered, high[..., None], axis=-1)[..., 0]
    else:
        first, second = ordered[..., int(low)], ordered[..., int(high)]
    step = second - first
    return np.where(weight >= 0.5, second - step * (1 - weight), first + step * weight)


def _quantile(a: Any, q: Any, axis: Any, keepdims: Any, method: str, skip: bool) -> Any:
    levels = np.asarray(q)
    if np.any((levels < 0) | (levels > 1)):
        raise ValueError("Quantiles must be in the range [0, 1]")
    a = array(a)
    a = a if a.dtype.kind == "f" else a.astype(float)
    flat, kept = _last(a, axis)
    ordered = np.sort(flat, axis=-1)
    n: Any = np.float64(flat.shape[-1])
    if skip:
        n = np.sum(~np.isnan(flat), axis=-1).astype(float)
        n = np.where(n == 0, 1, n)  # of nothing but NaN the result is NaN
    results = [_chosen(ordered, n, p, method) for p in levels.ravel().tolist()]
    if not skip:
        results = [np.where(np.isnan(ordered[..., -1]), np.nan, y) for y in results]
    y = np.stack(results).astype(a.dtype) if levels.ndim else results[0].astype(a.dtype)
    shape = kept if keepdims is True else y.shape[bool(levels.ndim) :]
    return y.reshape((*levels.shape, *shape))


def _refuse_weights(weights: Any) -> None:
    if weights is not None:
        raise TraceError.because(
            "a quantile with weights=",
            "only quantiles without weights are traced",
            "np.repeat, then np.quantile",
        )


def _quantiles(skip: bool, percent: bool) -> Any:
    def quantile(
        a: Any, q: Any, axis: Any = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: Any = False, *, weights: Any = None,
    ) -> Any:  # fmt: skip
        _refuse_weights(weights)
        return _quantile(a, np.true_divide(q, 100) if percent else q, axis, keepdims, method, skip)

    return writes_out(3)(quantile)


for _function, _skip, _percent in (
    (np.quantile, False, False), (np.percentile, False, True),
    (np.nanquantile, True, False), (np.nanpercentile, True, True),
):  # fmt: skip
    implements(_function)(_quantiles(_skip, _percent))


@implements(np.median)
@writes_out(2)
def median(a: Any, axis: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    a = array(a)
    a = a if a.dtype.kind == "f" else a.astype(float)
    flat, kept = _last(a, axis)
    ordered, n = np.sort(flat, axis=-1), flat.shape[-1]
    middle = ordered[..., n // 2]
    y = middle if n % 2 else (ordered[..., n // 2 - 1] + middle) / 2
    y = np.where(np.isnan(ordered[..., -1]), np.nan, y).astype(a.dtype)
    return y.reshape(kept) if keepdims is True else y


@implements(np.nanmedian)
@writes_out(2)
def nanmedian(a: Any, axis: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    return _quantile(a, 0.5, axis, keepdims, "linear", True)


# ---- NaN left out
def _filled(a: Any, value: Any) -> Any:
    a = array(a)
    return np.where(np.isnan(a), value, a) if a.dtype.kind in "fc" else a


def _present(a: Any, where: Any) -> Any:
    present = ~np.isnan(a)
    return present if where is True or where is _NO_VALUE else present & where


@implements(np.nansum)
@writes_out(3)
def nansum(a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False, **options: Any) -> Any:
    return np.sum(_filled(a, 0), axis=axis, dtype=dtype, keepdims=keepdims, **options)


@implements(np.nanprod)
@writes_out(3)
def nanprod(a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False, **options: Any) -> Any:
    return np.prod(_filled(a, 1), axis=axis, dtype=dtype, keepdims=keepdims, **options)


@implements(np.nancumsum)
@writes_out(3)
def nancumsum(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    return np.cumsum(_filled(a, 0), axis=axis, dtype=dtype)


@implements(np.nancumprod)
@writes_out(3)
def nancumprod(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    return np.cumprod(_filled(a, 1), axis=axis, dtype=dtype)


def _nan_extremum(extremum: Any, least: float) -> Any:
    def over(a: Any, axis: Any = None, keepdims: Any = False, **options: Any) -> Any:
        a = array(a)
        y = extremum(_filled(a, least), axis=axis, keepdims=keepdims, **options)
        if a.dtype.kind != "f":
            return y
        return np.where(np.all(np.isnan(a), axis=axis, keepdims=keepdims), np.nan, y).astype(a.dtype)

    return writes_out(2)(over)


implements(np.nanmax)(_nan_extremum(np.max, -np.inf))
implements(np.nanmin)(_nan_extremum(np.min, np.inf))


def _nan_position(position: Any, least: float) -> Any:
    def over(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
        return position(_filled(a, least), axis=axis, keepdims=keepdims)

    return writes_out(2)(over)


implements(np.nanargmax)(_nan_position(np.argmax, -np.inf))
implements(np.nanargmin)(_nan_position(np.argmin, np.inf))


@implements(np.nanmean)
@writes_out(3)
def nanmean(a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    if array(a).dtype.kind not in "fc":
        return np.mean(a, axis=axis, dtype=dtype, keepdims=keepdims, where=where)
    return np.mean(_filled(a, 0), axis=axis, dtype=dtype, keepdims=keepdims, where=_present(a, where))


@implements(np.nanvar)
@writes_out(3)
def nanvar(
    a: Any, axis: Any = None, dtype: Any = None, ddof: Any = 0, keepdims: Any = False, *, where: Any = True,
    **options: Any,
) -> Any:  # fmt: skip
    present = _present(a, where)
    return np.var(
        _filled(a, 0), axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims, where=present, **options
    )


@implements(np.nanstd)
@writes_out(3)
def nanstd(
    a: Any, axis: Any = None, dtype: Any = None, ddof: Any = 0, keepdims: Any = False, *, where: Any = True,
    **options: Any,
) -> Any:  # fmt: skip
    present = _present(a, where)
    return np.std(
        _filled(a, 0), axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims, where=present, **options
    )


# ---- covariance
@implements(np.cov)
def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None, fweights: Any = None,
    aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    """``C = (X - mean) W (X - mean)ᴴ / Σ w``; rows are variables."""
    parts = [np.atleast_2d(array(x)) for x in (m, y) if x is not None]
    parts = [x.T if not rowvar and np.ndim(x0) > 1 else x for x, x0 in zip(parts, (m, y), strict=False)]
    x = np.concatenate(parts, axis=0) if len(parts) > 1 else parts[0]
    x = x.astype(dtype or np.result_type(x.dtype, np.float64))
    ddof = (0 if bias else 1) if ddof is None else ddof
    w: Any = None
    for given in (fweights, aweights):
        if given is not None:
            w = given if w is None else w * given
    if w is None:
        total: Any = x.shape[1]
        factor = total - ddof
        middle = np.mean(x, axis=1, keepdims=True)
    else:
        total = np.sum(w)
        factor = total - (
            0 if ddof == 0 else ddof if aweights is None else ddof * np.sum(w * aweights) / total
        )
        middle = np.sum(x * w, axis=1, keepdims=True) / total
    x = x - middle
    right = (x if w is None else x * w).T
    return np.squeeze(np.dot(x, np.conjugate(right)) / factor)


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    c = np.cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    scale = np.sqrt(np.diagonal(c).real)
    c = c / scale[:, None] / scale[None, :]
    return np.clip(c, -1, 1) if c.dtype.kind != "c" else c


# ---- running sums with the array API's names
def _cumulative(running: Any, start: float) -> Any:
    def along(x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Any:
        if axis is None and np.ndim(x) > 1:
            raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
        y = running(x, axis=axis, dtype=dtype)
        if include_initial:
            axis = 0 if axis is None else axis % y.ndim
            edge = (*y.shape[:axis], 1, *y.shape[axis + 1 :])
            y = np.concatenate([np.full(edge, start, y.dtype), y], axis=axis)
        return y

    return writes_out(99)(along)


implements(np.cumulative_sum)(_cumulative(np.cumsum, 0))
implements(np.cumulative_prod)(_cumulative(np.cumprod, 1))


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """The sum of the weights of each integer; how many there are is a matter of values."""
    x = array(x)
    size = max(int(np.max(x)) + 1 if math.prod(x.shape) else 0, minlength)
    if weights is None:
        return np.sum(x[:, None] == np.arange(size), axis=0)
    weights = array(weights)
    y = np.zeros(size, like=weights) if hasattr(weights, "node") else np.zeros(size, like=x)
    np.add.at(y, x, weights.astype(float))
    return y

"""NumPy functions as plain NumPy over primitives: reductions, statistics, selection, products.

Each has the parameters of the function it stands for. Primitives are called with keyword parameters and
already normalised axes; everything else here is NumPy.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from boxgrad import tree
from boxgrad.errors import ShapeError, TraceError
from boxgrad.graph.primitive import Primitive, Traced
from boxgrad.ops import elementwise, reduce
from boxgrad.ops.index import Slot, gather
from boxgrad.ops.typing import reduced_shape
from boxgrad.trace.box import OwnBox
from boxgrad.trace.table import implements, writes_out

_NO_VALUE: Any = np._NoValue  # type: ignore[attr-defined]  # NumPy's own "not given"


def array(x: Any) -> Any:
    """A traced value or an array as it is; a number as an array, and a list, also of traced values."""
    if isinstance(x, (list, tuple)) and holds_traced(x):
        return np.stack([array(part) for part in x])
    return x if hasattr(x, "ndim") else np.asarray(x)


def holds_traced(x: Any) -> bool:
    """Whether a value is traced, or a list that has traced values inside."""
    return builtins.any(map(holds_traced, x)) if isinstance(x, (list, tuple)) else isinstance(x, Traced)


def axes_of(x: Any, axis: Any) -> tuple[int, ...]:
    """The axes named by NumPy's ``axis``, counted from 0."""
    ndim = x.ndim if tree.is_array(x) else np.ndim(x)
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    if not ndim and len(axes) == 1 and axes[0] in (0, -1):
        return ()  # NumPy lets a number be reduced along an axis that it has not
    return tuple(one_axis(ndim, a) for a in axes)


def one_axis(ndim: int, axis: Any) -> int:
    """One axis counted from 0."""
    position = axis.__index__()
    if not -ndim <= position < ndim:
        raise ShapeError.because(
            f"axis {position} of an array with {ndim} axes",
            "axes are numbered 0 … ndim-1, or from the end -1 … -ndim",
            f"an axis below {ndim}" if ndim else "no axis: the value is a scalar",
        )
    return position + ndim if position < 0 else position


def _reduce(
    primitive: Primitive, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any, neutral: Any
) -> Any:
    """A reduction: ``where=`` replaces the elements left out by the neutral one."""
    if where is not True and where is not _NO_VALUE:
        fill = neutral if neutral is not None else initial
        if fill is _NO_VALUE:
            raise TraceError.because(
                f"{primitive.name} with where= and no initial=",
                "there is no neutral element to stand for what is left out",
                "initial=-np.inf (max) or initial=np.inf (min)",
            )
        a = np.where(where, a, fill)
    y = primitive(a, axis=axes_of(a, axis), keepdims=bool(keepdims) if keepdims is not _NO_VALUE else False)
    return y


def _small_integers(a: Any, dtype: Any) -> Any:
    """Sums and products of narrow integers are taken in the platform's integer, as in NumPy."""
    return a if dtype is None else a.astype(dtype)


@implements(np.sum)
@writes_out(3)
def sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    keepdims: Any = False,
    initial: Any = _NO_VALUE,
    where: Any = True,
) -> Any:
    y = _reduce(reduce.sum, _small_integers(a, dtype), axis, keepdims, initial, where, 0)
    return y if initial is _NO_VALUE else y + initial


@implements(np.prod)
@writes_out(3)
def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    keepdims: Any = False,
    initial: Any = _NO_VALUE,
    where: Any = True,
) -> Any:
    y = _reduce(reduce.prod, _small_integers(a, dtype), axis, keepdims, initial, where, 1)
    return y if initial is _NO_VALUE else y * initial


def _extremum(
    primitive: Primitive, larger: Any, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any
) -> Any:
    """``initial`` takes part in the comparison, and is the result where there is nothing to compare."""
    axes = axes_of(a, axis)
    if initial is not _NO_VALUE and 0 in (a.shape[i] for i in axes):
        return np.full_like(a, initial, shape=reduced_shape(a.shape, axes, keepdims is True))
    y = _reduce(primitive, a, axis, keepdims, initial, where, None)
    return y if initial is _NO_VALUE else larger(y, initial)


@implements(np.max, np.amax)
@writes_out(2)
def max(a: Any, axis: Any = None, keepdims: Any = False, initial: Any = _NO_VALUE, where: Any = True) -> Any:
    return _extremum(reduce.max, np.maximum, a, axis, keepdims, initial, where)


@implements(np.min, np.amin)
@writes_out(2)
def min(a: Any, axis: Any = None, keepdims: Any = False, initial: Any = _NO_VALUE, where: Any = True) -> Any:
    return _extremum(reduce.min, np.minimum, a, axis, keepdims, initial, where)


@implements(np.any)
@writes_out(2)
def any(a: Any, axis: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    return _reduce(reduce.any, a, axis, keepdims, _NO_VALUE, where, False)


@implements(np.all)
@writes_out(2)
def all(a: Any, axis: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    return _reduce(reduce.all, a, axis, keepdims, _NO_VALUE, where, True)


def _count(a: Any, axis: Any, keepdims: Any, where: Any) -> Any:
    if where is True or where is _NO_VALUE:
        return math.prod(a.shape[i] for i in axes_of(a, axis))
    return np.sum(np.broadcast_to(where, a.shape), axis=axis, keepdims=keepdims)


def _real_sum_dtype(a: Any, dtype: Any) -> Any:
    return np.dtype(np.float64) if dtype is None and a.dtype.kind in "iub" else dtype


@implements(np.mean)
@writes_out(3)
def mean(a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    number = _count(a, axis, keepdims, where)
    total = sum(a, axis=axis, dtype=_real_sum_dtype(a, dtype), keepdims=keepdims, where=where)
    return _divided(total, number)


def _divided(total: Any, number: Any) -> Any:
    """total/number in the dtype of the total."""
    return total / (number.astype(total.dtype) if hasattr(number, "astype") else number)


@implements(np.var)
@writes_out(3)
def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    ddof: float = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = _NO_VALUE,
    correction: Any = _NO_VALUE,
) -> Any:
    ddof = ddof if correction is _NO_VALUE else correction
    number = _count(a, axis, keepdims, where)
    middle = np.mean(a, axis=axis, dtype=dtype, keepdims=True, where=where) if mean is _NO_VALUE else mean
    d = a - middle
    squares = d * d if d.dtype.kind != "c" else (d * np.conjugate(d)).real
    total = np.sum(squares, axis=axis, dtype=dtype, keepdims=keepdims, where=where)
    return _divided(total, np.maximum(number - ddof, 0))


@implements(np.std)
@writes_out(3)
def std(
    a: Any, axis: Any = None, dtype: Any = None, ddof: float = 0, keepdims: Any = False, **options: Any
) -> Any:
    return np.sqrt(np.var(a, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims, **options))


@implements(np.average)
def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False
) -> Any:
    if weights is None:
        result, total = np.mean(a, axis=axis, keepdims=keepdims), _count(a, axis, keepdims, True)
    else:
        if np.ndim(weights) == 1 and np.ndim(a) > 1:
            axis = one_axis(np.ndim(a), axis)
            weights = np.reshape(weights, (-1, *(1,) * (np.ndim(a) - axis - 1)))
        weights = np.broadcast_to(weights, np.shape(a))
        total = np.sum(weights, axis=axis, keepdims=keepdims)
        result = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (result, total * np.ones_like(result)) if returned else result


@implements(np.ptp)
@writes_out(2)
def ptp(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return np.sum(a != 0, axis=axis, keepdims=keepdims)


def _along(primitive: Primitive, a: Any, axis: Any, **parameters: Any) -> Any:
    """A function along one axis; ``axis=None`` means the flattened array."""
    a, axis = (np.ravel(a), 0) if axis is None else (np.atleast_1d(a), axis)
    return primitive(a, axis=one_axis(a.ndim, axis), **parameters)


def _position(primitive: Primitive, a: Any, axis: Any, keepdims: Any) -> Any:
    y = _along(primitive, a, axis)
    if keepdims is not True:
        return y
    return np.reshape(y, (1,) * np.ndim(a)) if axis is None else np.expand_dims(y, axis)


@implements(np.argmax)
@writes_out(2)
def argmax(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return _position(reduce.argmax, a, axis, keepdims)


@implements(np.argmin)
@writes_out(2)
def argmin(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return _position(reduce.argmin, a, axis, keepdims)


@implements(np.cumsum)
@writes_out(3)
def cumsum(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    return _along(reduce.cumsum, _small_integers(a, dtype), axis)


@implements(np.cumprod)
@writes_out(3)
def cumprod(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    return _along(reduce.cumprod, _small_integers(a, dtype), axis)


@implements(np.sort)
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    return _along(reduce.sort, a, axis)


@implements(np.argsort)
def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    return _along(reduce.argsort, a, axis)


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = _NO_VALUE, append: Any = _NO_VALUE) -> Any:
    axis = one_axis(np.ndim(a), axis)
    edge = (*np.shape(a)[:axis], 1, *np.shape(a)[axis + 1 :])
    parts = [
        x if np.ndim(x) else np.broadcast_to(x, edge) for x in (prepend, a, append) if x is not _NO_VALUE
    ]
    a = np.concatenate(parts, axis=axis) if len(parts) > 1 else a
    lead = (slice(None),) * axis
    for _ in range(n):
        later, earlier = a[(*lead, slice(1, None))], a[(*lead, slice(None, -1))]
        a = later != earlier if a.dtype.kind == "b" else later - earlier
    return a


# ---- selection
@implements(np.where)
def where(condition: Any, *choices: Any) -> Any:
    if not choices:
        return np.nonzero(condition)
    y = elementwise.where(condition, *choices)
    return OwnBox(y.node, scalar=False) if isinstance(y, OwnBox) else y  # also without axes an array


@implements(np.nonzero)
def nonzero(a: Any) -> Any:
    return a.nonzero()


@implements(np.clip)
@writes_out(3)
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = _NO_VALUE, max: Any = _NO_VALUE) -> Any:
    """The derivative is 1 inside and at the bounds."""
    low = a_min if min is _NO_VALUE else min
    high = a_max if max is _NO_VALUE else max
    if low is not None:
        a = np.where(a < low, low, a)
    if high is not None:
        a = np.where(a > high, high, a)
    return a


@implements(np.round, np.around)
@writes_out(2)
def round(a: Any, decimals: int = 0) -> Any:
    scale = 10.0 ** abs(decimals)
    if a.dtype.kind in "iu":
        return a if decimals >= 0 else (np.rint(a / scale) * scale).astype(a.dtype)
    if decimals == 0:
        return np.rint(a)
    return np.rint(a * scale) / scale if decimals > 0 else np.rint(a / scale) * scale


@implements(np.take)
@writes_out(3)
def take(a: Any, indices: Any, axis: Any = None, mode: str = "raise") -> Any:
    if mode != "raise":
        size = np.size(a) if axis is None else a.shape[axis]
        indices = np.clip(indices, 0, size - 1) if mode == "clip" else np.remainder(indices, size)
    if not hasattr(a, "ndim"):
        a = np.asarray(a)
    a, axis = (np.ravel(a), 0) if axis is None else (a, one_axis(a.ndim, axis))
    indices = indices if hasattr(indices, "dtype") else np.asarray(indices)
    indices = indices.astype(np.intp) if indices.dtype.kind == "b" else indices
    return gather(a, indices, key=(*(slice(None),) * axis, Slot(0)))


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    if axis is None:
        return np.take(arr, indices)
    axis = one_axis(np.ndim(arr), axis)
    others = [
        np.arange(n).reshape((-1, *(1,) * (np.ndim(arr) - i - 1)))
        for i, n in enumerate(np.shape(arr))
        if i != axis and n != 1
    ]
    arrays = iter(others)
    key = [
        indices if i == axis else (np.zeros((1,) * np.ndim(arr), np.intp) if n == 1 else next(arrays))
        for i, n in enumerate(np.shape(arr))
    ]
    return gather(arr, *key, key=tuple(Slot(i) for i in range(len(key))))


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    if x.dtype.kind != "f":
        return x.copy() if copy else x
    limits = np.finfo(x.dtype)
    y = np.where(np.isnan(x), nan, x)
    y = np.where(y == np.inf, limits.max if posinf is None else posinf, y)
    y = np.where(y == -np.inf, limits.min if neginf is None else neginf, y)
    if not copy:
        x[...] = y
    return y


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    finite = np.isfinite(a) & np.isfinite(b)
    distance = np.abs(np.where(finite, a, 0) - np.where(finite, b, 0))
    close = (distance <= atol + rtol * np.abs(np.where(finite, b, 0))) & finite | (a == b)
    return close | (np.isnan(a) & np.isnan(b)) if equal_nan else close


@implements(np.allclose)
def allclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    return np.all(np.isclose(a, b, rtol, atol, equal_nan))


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    a1, a2 = array(a1), array(a2)
    if np.shape(a1) != np.shape(a2):
        return False
    return np.all((a1 == a2) | ((a1 != a1) & (a2 != a2)) if equal_nan else a1 == a2)

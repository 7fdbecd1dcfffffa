"""The methods of ufuncs on boxes: calls with options, reduce, accumulate, outer, at."""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad.errors import TraceError
from boxgrad.trace import indexing
from boxgrad.trace.apply import Holder
from boxgrad.trace.table import composites, methods
from boxgrad.trace.ufunc import call_plain, refusal

_REDUCE: dict[np.ufunc, Any] = {
    np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min,
    np.logical_and: np.all, np.logical_or: np.any,
}  # fmt: skip
_ACCUMULATE: dict[np.ufunc, Any] = {np.add: np.cumsum, np.multiply: np.cumprod}


def _call(
    ufunc: np.ufunc,
    *inputs: Any,
    out: Any,
    where: Any = True,
    dtype: Any = None,
    casting: str = "same_kind",
    **others: Any,
) -> Any:
    if others:
        raise refusal(f"np.{ufunc.__name__} with {', '.join(others)}=")
    if dtype is not None:
        inputs = tuple(x.astype(dtype) if isinstance(x, Holder) else np.asarray(x, dtype) for x in inputs)
    traced = any(isinstance(x, Holder) for x in inputs)
    result = call_plain(ufunc, inputs) if traced else ufunc(*inputs)
    if out is None:
        if where is not True:
            raise TraceError.because(
                f"np.{ufunc.__name__} with where= and no out=",
                "where the condition is false the result is not initialised",
                "np.where(condition, result, other)",
            )
        return result
    kept = result if where is True else np.where(where, result, out)
    if np.shape(kept) != out.shape or not np.can_cast(kept.dtype, out.dtype, casting):
        raise TraceError.because(
            f"np.{ufunc.__name__}(…, out=) has a result {kept.dtype}{np.shape(kept)} for a target "
            f"{out.dtype}{out.shape}",
            "the target must have the shape of the result and a dtype of its kind",
            "a target made with np.empty_like(result)",
        )
    out[...] = kept
    return out


def _outer(ufunc: np.ufunc, a: Any, b: Any, out: Any, **options: Any) -> Any:
    left = np.reshape(a, (*np.shape(a), *(1,) * np.ndim(b)))
    return _call(ufunc, left, b, out=out, **options)


def _at(ufunc: np.ufunc, target: Any, key: Any, value: Any = None, out: Any = None) -> None:
    """``np.add.at``: repeated positions add up."""
    if ufunc not in (np.add, np.subtract) or not isinstance(target, Holder):
        raise refusal(f"np.{ufunc.__name__}.at")
    target[...] = ufunc(target, target.made(indexing.add_at(target, key, value)))


def _along(table: dict[np.ufunc, Any]) -> Any:
    def method(ufunc: np.ufunc, x: Any, axis: Any = 0, dtype: Any = None, *, out: Any, **options: Any) -> Any:
        if ufunc not in table:
            raise refusal(f"np.{ufunc.__name__}.{'reduce' if table is _REDUCE else 'accumulate'}")
        if dtype is not None:
            options["dtype"] = dtype
        return composites[table[ufunc]](x, axis=axis, out=out, **options)

    return method


methods.update(__call__=_call, outer=_outer, at=_at)
methods.update(reduce=_along(_REDUCE), accumulate=_along(_ACCUMULATE))

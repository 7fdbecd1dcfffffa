"""NumPy's two protocols: from a NumPy callable and its arguments to a primitive or a composite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from boxgrad.errors import TraceError, message
from boxgrad.graph.primitive import primitive_named, primitive_of
from boxgrad.trace import indexing
from boxgrad.trace.apply import Holder, context
from boxgrad.trace.table import composites, refused

_REDUCE: dict[np.ufunc, Any] = {
    np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min,
    np.logical_and: np.all, np.logical_or: np.any,
}  # fmt: skip
_ACCUMULATE: dict[np.ufunc, Any] = {np.add: np.cumsum, np.multiply: np.cumprod}
_SCIPY = {"erf": "erf"}


def call_ufunc(ufunc: np.ufunc, method: str, inputs: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """``__array_ufunc__`` of a box."""
    if method == "__call__" and not kwargs:
        return _plain(ufunc, inputs)
    out: Any = kwargs.pop("out", None)
    if out is not None:
        out = out[0]
        if not _is_traced(out):
            raise TraceError.because(
                f"np.{ufunc.__name__} was to write a traced value into a plain ndarray (+=, out=)",
                "the ndarray cannot remember how its elements were computed, so the gradient would be lost",
                "h = h + x for h += x; or make the target with np.zeros_like(x) or np.zeros(n, like=x)",
            )
    if method == "__call__":
        return _with_options(ufunc, inputs, out, **kwargs)
    if method == "at":
        return _at(ufunc, *inputs)
    if method == "outer":
        return _outer(ufunc, *inputs)
    table = {"reduce": _REDUCE, "accumulate": _ACCUMULATE}.get(method, {})
    if ufunc not in table:
        raise _refusal(f"np.{ufunc.__name__}.{method}")
    axis = inputs[1] if len(inputs) > 1 else kwargs.pop("axis", 0)
    if kwargs.get("dtype", ...) is None:
        del kwargs["dtype"]
    result = composites[table[ufunc]](inputs[0], axis=axis, **kwargs)
    if out is None:
        return result
    out[...] = result
    return out


def _is_traced(x: Any) -> bool:
    return isinstance(x, Holder)


def _plain(ufunc: np.ufunc, inputs: Sequence[Any]) -> Any:
    primitive = primitive_of(ufunc)
    if primitive is not None:
        holder = next(x for x in inputs if isinstance(x, Holder))
        return holder.bind(primitive, tuple(inputs), {})
    composite = composites.get(ufunc)
    if composite is not None:
        return compose(composite, inputs, {})
    if ufunc.__name__ in _SCIPY:
        return primitive_named(_SCIPY[ufunc.__name__])(*inputs)
    raise _refusal(f"np.{ufunc.__name__}", ufunc)


def _with_options(
    ufunc: np.ufunc,
    inputs: Sequence[Any],
    out: Any,
    where: Any = True,
    dtype: Any = None,
    casting: str = "same_kind",
    **others: Any,
) -> Any:
    if others:
        raise _refusal(f"np.{ufunc.__name__} with {', '.join(others)}=")
    if dtype is not None:
        inputs = tuple(_cast(x, dtype) for x in inputs)
    holder = next((x for x in inputs if isinstance(x, Holder)), None)
    result = ufunc(*inputs) if holder is None else _plain(ufunc, inputs)
    if out is None:
        if where is not True:
            raise TraceError.because(
                f"np.{ufunc.__name__} with where= and no out=",
                "where the condition is false the result is not initialised",
                "np.where(condition, result, other)",
            )
        return result
    kept = result if where is True else _where(where, result, out)
    if np.shape(kept) != out.shape or not np.can_cast(kept.dtype, out.dtype, casting):  # type: ignore[arg-type]
        raise TraceError.because(
            f"np.{ufunc.__name__}(…, out=) has a result {kept.dtype}{np.shape(kept)} for a target "
            f"{out.dtype}{out.shape}",
            "the target must have the shape of the result and a dtype of its kind",
            "a target made with np.empty_like(result)",
        )
    out[...] = kept
    return out


def _where(condition: Any, x: Any, z: Any) -> Any:
    return composites[np.where](condition, x, z)


def _cast(x: Any, dtype: Any) -> Any:
    return cast("Any", x).astype(dtype) if isinstance(x, Holder) else np.asarray(x, dtype)


def _outer(ufunc: np.ufunc, a: Any, b: Any) -> Any:
    left = np.reshape(a, (*np.shape(a), *(1,) * np.ndim(b)))
    return ufunc(left, b)


def _at(ufunc: np.ufunc, target: Any, key: Any, value: Any = None) -> None:
    """``np.add.at``: repeated positions add up."""
    if ufunc not in (np.add, np.subtract) or not isinstance(target, Holder):
        raise _refusal(f"np.{ufunc.__name__}.at")
    spread = target.made(indexing.add_at(target, key, value))  # type: ignore[attr-defined]
    target[...] = ufunc(target, spread)  # type: ignore[index,operator]


def compose(composite: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Call a composite. Where names are read, only its result is the value of the user's line."""
    if not context.whole_stack or context.inside:
        return composite(*args, **kwargs)
    context.inside = True
    try:
        result = composite(*args, **kwargs)
    finally:
        context.inside = False
    if isinstance(result, Holder) and context.origin is None:
        result.node.derived = False
    return result


def call_function(function: Any, args: Any, kwargs: Any) -> Any:
    """``__array_function__`` of a box."""
    composite = composites.get(function)
    if composite is not None:
        return compose(composite, args, kwargs)
    primitive = primitive_of(function)
    if primitive is not None and not kwargs:
        return primitive(*args)
    module = getattr(function, "__module__", "numpy") or "numpy"
    raise _refusal(f"{module.replace('numpy', 'np')}.{function.__name__}", function)


def _refusal(name: str, function: Any = None) -> TraceError:
    known = refused.get(function)
    reason, instead = known or (
        "boxgrad has no derivative rule for it",
        "the same computation with functions that boxgrad traces (np.sum, @, np.where, slices …); or "
        "call it on plain arrays, outside of the traced function",
    )
    return TraceError(message(f"{name} on a traced value", reason, instead))

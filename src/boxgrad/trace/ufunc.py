"""NumPy's two protocols: from a NumPy callable and its arguments to a primitive or a composite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from boxgrad.errors import TraceError, message
from boxgrad.graph.primitive import primitive_of
from boxgrad.trace.apply import Holder, context
from boxgrad.trace.table import by_name, composites, methods, refused


def call_ufunc(ufunc: np.ufunc, method: str, inputs: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """``__array_ufunc__`` of a box."""
    if method == "__call__" and not kwargs:
        return call_plain(ufunc, inputs)
    out = kwargs.pop("out", (None,))[0]
    if out is not None and not _is_traced(out):
        return methods["into_array"](ufunc, *inputs, out=out, **kwargs)
    if method not in methods:
        raise refusal(f"np.{ufunc.__name__}.{method}")
    return methods[method](ufunc, *inputs, out=out, **kwargs)


def _is_traced(x: Any) -> bool:
    return isinstance(x, Holder)


def call_plain(ufunc: np.ufunc, inputs: Sequence[Any]) -> Any:
    """A ufunc without options."""
    primitive = primitive_of(ufunc)
    if primitive is not None:
        holder = next(x for x in inputs if isinstance(x, Holder))
        return holder.bind(primitive, tuple(inputs), {})
    composite = composites.get(ufunc)
    if composite is not None:
        return compose(composite, inputs, {})
    if ufunc.__name__ in by_name and getattr(np, ufunc.__name__, None) is not ufunc:
        return compose(by_name[ufunc.__name__], inputs, {})
    own = getattr(np, ufunc.__name__, None) is ufunc
    raise refusal(f"np.{ufunc.__name__}" if own else ufunc.__name__, ufunc)


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
    raise refusal(f"{module.replace('numpy', 'np')}.{function.__name__}", function)


def refusal(name: str, function: Any = None) -> TraceError:
    """The error for what is not in the table, with the reason where one is known."""
    known = refused.get(function)
    reason, instead = known or (
        "boxgrad has no derivative rule for it",
        "the same computation with functions that boxgrad traces (np.sum, @, np.where, slices …); or "
        "call it on plain arrays, outside of the traced function",
    )
    return TraceError(message(f"{name} on a traced value", reason, instead))

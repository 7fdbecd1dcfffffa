"""What is the same for all values of a box: facts of its type, printed text, files; and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad.composites.reductions import array
from boxgrad.graph.primitive import Traced
from boxgrad.trace.apply import Holder
from boxgrad.trace.table import constant, implements, refuse


# ---- facts of the type
@implements(np.can_cast)
def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    return np.can_cast(from_.dtype if isinstance(from_, Holder) else from_, to, casting)


@implements(np.common_type)
def common_type(*arrays: Any) -> Any:
    return np.common_type(*(np.empty(0, x.dtype) for x in arrays))


@implements(np.min_scalar_type)
def min_scalar_type(a: Any, /) -> Any:
    return a.dtype if a.ndim else np.min_scalar_type(_value(a, "np.min_scalar_type"))


@implements(np.iscomplex)
def iscomplex(x: Any) -> Any:
    return x.imag != 0 if x.dtype.kind == "c" else np.zeros(x.shape, bool, like=x)


@implements(np.isreal)
def isreal(x: Any) -> Any:
    return x.imag == 0 if x.dtype.kind == "c" else np.ones(x.shape, bool, like=x)


@implements(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    """A complex result is real where its imaginary part is small: a matter of values."""
    if a.dtype.kind != "c":
        return a
    tol = np.finfo(a.dtype).eps * tol if tol > 1 else tol
    return a.real if bool(np.all(np.abs(a.imag) < tol)) else a


@implements(np.einsum_path)
def einsum_path(*operands: Any, optimize: Any = "greedy", einsum_call: bool = False) -> Any:
    plain = [np.empty(x.shape, x.dtype) if isinstance(x, Holder) else x for x in operands]
    return np.einsum_path(*plain, optimize=optimize, einsum_call=einsum_call)


# ---- new arrays
def _joined(x: Any) -> Any:
    """Nested lists of traced values as one array."""
    if not isinstance(x, (list, tuple)):
        return array(x)
    return np.stack([_joined(part) for part in x]) if len(x) else np.zeros(0)


def _array(object: Any, dtype: Any = None, *, copy: Any = True, like: Any = None, **options: Any) -> Any:
    y = np.copy(_joined(object))
    y = y if isinstance(y, Traced) else np.add(np.zeros_like(like, shape=y.shape, dtype=y.dtype), y)
    y = y if dtype is None else y.astype(dtype)
    least = options.get("ndmin", 0)
    return y.reshape((1,) * (least - y.ndim) + y.shape) if y.ndim < least else y


for _function in (np.array, np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray):
    implements(_function)(_array)


@implements(np.astype)
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    return x.astype(dtype, copy=copy)


@implements(np.tri)
def tri(N: int, M: Any = None, k: int = 0, dtype: Any = float, *, like: Any = None) -> Any:
    return np.add(np.zeros_like(like, shape=(N, N if M is None else M), dtype=dtype), np.tri(N, M, k, dtype))


# ---- text and files: of the values
def _value(x: Any, wanted: str) -> Any:
    return x._value(wanted) if isinstance(x, Holder) else x  # type: ignore[attr-defined]


def _with_values(function: Any) -> Any:
    def on_values(*args: Any, **kwargs: Any) -> Any:
        name = f"np.{function.__name__}"
        return function(
            *(_value(x, name) for x in args), **{key: _value(x, name) for key, x in kwargs.items()}
        )

    return on_values


for _function in (
    np.array2string, np.array_repr, np.array_str, np.save, np.savez, np.savez_compressed, np.savetxt,
):  # fmt: skip
    implements(_function)(_with_values(_function))


# ---- whose results do not vary: truth values, positions, facts of the type, text
constant.update({
    np.all, np.allclose, np.any, np.arange, np.argmax, np.argmin, np.argpartition, np.argsort,
    np.argwhere, np.array2string, np.array_equal, np.array_equiv, np.array_repr, np.array_str,
    np.can_cast, np.common_type, np.count_nonzero, np.diag_indices_from, np.digitize,
    np.einsum_path, np.empty, np.empty_like, np.eye, np.flatnonzero, np.identity, np.isclose,
    np.iscomplex, np.iscomplexobj, np.isin, np.isneginf, np.isposinf, np.isreal, np.isrealobj,
    np.lexsort, np.linalg.matrix_rank, np.min_scalar_type, np.nanargmax, np.nanargmin,
    np.ndim, np.nonzero, np.ones, np.ones_like, np.ravel_multi_index, np.result_type, np.save,
    np.savetxt, np.savez, np.savez_compressed, np.searchsorted, np.shape, np.size, np.tri,
    np.tril_indices_from, np.triu_indices_from, np.unravel_index, np.zeros, np.zeros_like,
})  # fmt: skip

# ---- refused, with the reason
refuse(
    "whether two boxes share memory is not a matter of their values, and a compiled function has none",
    "the same question about plain arrays",
    np.may_share_memory,
    np.shares_memory,
)
refuse(
    "the counts jump with the values, and the bins depend on their smallest and largest",
    "np.histogram of the plain array, outside of the traced function; or a sum of smooth kernels",
    np.histogram,
    np.histogram2d,
    np.histogramdd,
    np.histogram_bin_edges,
)
refuse("bits carry no derivative", "the same call on plain arrays", np.packbits, np.unpackbits)
refuse(
    "the exponent jumps with the value, and the mantissa with it",
    "np.log2(np.abs(x)) for the size of x",
    np.frexp,
)
refuse(
    "it asks for the spacing of floating-point numbers, which is no function of real numbers",
    "np.finfo(x.dtype).eps * np.abs(x)",
    np.spacing,
    np.nextafter,
)
refuse(
    "the Bessel functions are not among boxgrad's special functions",
    "np.i0 of plain arrays, for a window that is a constant",
    np.i0,
)
refuse(
    "boxgrad computes with numbers, and dates are not",
    "the same call on plain arrays",
    np.busday_count,
    np.busday_offset,
    np.is_busday,
    np.datetime_as_string,
    np.isnat,
)

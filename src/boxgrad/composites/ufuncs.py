"""The methods of ufuncs on boxes: calls with options, reduce, accumulate, reduceat, outer, at.

The reductions that have primitives use them; the others go along the axis, one element after the other.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from boxgrad.composites.reductions import array, axes_of, one_axis
from boxgrad.conversion import rebinds
from boxgrad.errors import TraceError
from boxgrad.ops.control import scan
from boxgrad.trace import indexing
from boxgrad.trace.apply import Holder, lift
from boxgrad.trace.box import OwnBox
from boxgrad.trace.table import composites, implements, methods
from boxgrad.trace.ufunc import call_plain, refusal

_REDUCE: dict[np.ufunc, Any] = {
    np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min,
    np.logical_and: np.all, np.logical_or: np.any,
}  # fmt: skip
_ACCUMULATE: dict[np.ufunc, Any] = {np.add: np.cumsum, np.multiply: np.cumprod}
_LAYOUT = {"order", "subok"}
"""Options that say how results lie in memory, not what they are."""


def _call(
    ufunc: np.ufunc, *inputs: Any, out: Any, where: Any = True, dtype: Any = None, casting: str = "same_kind",
    **others: Any,
) -> Any:  # fmt: skip
    if ufunc.signature is not None and out is None and where is True and dtype is None:
        return composites[ufunc](*inputs, **{key: x for key, x in others.items() if key not in _LAYOUT})
    if set(others) - _LAYOUT:
        raise refusal(f"np.{ufunc.__name__} with {', '.join(others)}=")
    if ufunc.nout > 1 and out is not None:
        raise refusal(f"np.{ufunc.__name__} with out=")
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
    if np.broadcast_shapes(np.shape(kept), out.shape) != out.shape or not np.can_cast(
        kept.dtype, out.dtype, casting
    ):
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


# ---- h += x, where h is a plain array
_references: list[int] = []
"""How often an array is referred to where ``h`` in ``h += x`` is its only name; found out once."""


def _into_array(ufunc: np.ufunc, *inputs: Any, out: Any, **options: Any) -> Any:
    """The name is bound to a box of the result: right where nothing else sees the array's memory."""
    count, frame = sys.getrefcount(out), sys._getframe(3)
    if frame.f_code is _sole_name.__code__:
        _references.append(count)
    if not _references:
        _sole_name(next(x for x in inputs if isinstance(x, Holder)))
    if out.base is None and count <= _references[0] and rebinds(frame.f_code, frame.f_lasti):
        target = OwnBox(lift(out), scalar=False)
        return _call(ufunc, target, *inputs[1:], out=target, **options)
    raise TraceError.because(
        f"np.{ufunc.__name__} was to write a traced value into a plain ndarray (+=, out=) that other names, "
        "views or containers may refer to",
        "the ndarray cannot remember how its elements were computed, so the gradient would be lost",
        "h = h + x for h += x; or make the target with np.zeros_like(x) or np.zeros(n, like=x)",
    )


def _sole_name(x: Any) -> None:
    h = np.zeros(x.shape, x.dtype)
    h += x


# ---- at: positions may repeat
def _at(ufunc: np.ufunc, target: Any, key: Any, value: Any = None, out: Any = None) -> None:
    """``np.add.at``: repeated positions add up; for other ufuncs the repetitions come one after the other."""
    if not isinstance(target, Holder):
        raise TraceError.because(
            f"np.{ufunc.__name__}.at was to write a traced value into a plain ndarray",
            "the ndarray cannot remember how its elements were computed, so the gradient would be lost",
            "a target made with np.zeros_like(x) or np.zeros(n, like=x)",
        )
    box: Any = target
    if ufunc in (np.add, np.subtract):
        box[...] = ufunc(box, box.made(indexing.add_at(target, key, value)))
        return
    positions = np.arange(box.size).reshape(box.shape)[_plain_key(key)]
    flat = positions.ravel()
    values = None if value is None else np.ravel(np.broadcast_to(value, positions.shape))
    for chosen in _rounds(flat):
        old = np.take(np.ravel(box), flat[chosen])
        new = ufunc(old) if values is None else ufunc(old, np.take(values, chosen))
        box.flat[flat[chosen]] = new.astype(box.dtype)


def _plain_key(key: Any) -> Any:
    """The key with known index arrays in place of boxes."""
    if isinstance(key, tuple):
        return tuple(_plain_key(part) for part in key)
    return np.asarray(key.tolist()) if isinstance(key, Holder) else key  # type: ignore[attr-defined]


def _rounds(flat: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """The numbers of the writes, split so that within one round each position is written once."""
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    new = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(flat) else np.zeros(0, bool)
    start = np.maximum.accumulate(np.where(new, np.arange(len(flat)), 0)) if len(flat) else new
    rank = np.arange(len(flat)) - start
    return [order[rank == r] for r in range(int(rank.max()) + 1 if len(flat) else 0)]


# ---- along an axis
def _checked(ufunc: np.ufunc, method: str) -> None:
    if (
        ufunc.nin != 2
        or ufunc.nout != 1
        or np.bool_ is ufunc.resolve_dtypes((np.dtype(float),) * 2 + (None,))[-1].type
    ):
        raise refusal(f"np.{ufunc.__name__}.{method}")


def _reduce(
    ufunc: np.ufunc,
    x: Any,
    axis: Any = 0,
    dtype: Any = None,
    *,
    out: Any,
    keepdims: bool = False,
    **options: Any,
) -> Any:
    if ufunc in _REDUCE:
        if dtype is not None:
            options["dtype"] = dtype
        return composites[_REDUCE[ufunc]](x, axis=axis, out=out, keepdims=keepdims, **options)
    _checked(ufunc, "reduce")
    if options:
        raise refusal(f"np.{ufunc.__name__}.reduce with {', '.join(options)}=")
    x = x if dtype is None else x.astype(dtype)
    axes = axes_of(x, axis)
    flat = np.moveaxis(x, axes, tuple(range(len(axes)))).reshape(
        (-1, *(n for i, n in enumerate(x.shape) if i not in axes))
    )
    if not flat.shape[0]:
        raise ValueError(f"zero-size array to reduction operation {ufunc.__name__} which has no identity")
    y = scan(lambda c, v: (ufunc(c, v), ()), flat[0], flat[1:])[0] if flat.shape[0] > 1 else flat[0]
    y = np.expand_dims(y, axes) if keepdims else y
    if out is None:
        return y
    out[...] = y
    return out


def _accumulate(ufunc: np.ufunc, x: Any, axis: Any = 0, dtype: Any = None, *, out: Any) -> Any:
    if ufunc in _ACCUMULATE:
        return composites[_ACCUMULATE[ufunc]](x, axis=axis, dtype=dtype, out=out)
    _checked(ufunc, "accumulate")
    x = x if dtype is None else x.astype(dtype)
    axis = one_axis(x.ndim, axis)
    moved = np.moveaxis(x, axis, 0)
    if moved.shape[0] > 1:
        rest = scan(lambda c, v: (ufunc(c, v), ufunc(c, v)), moved[0], moved[1:])[1]
        moved = np.concatenate([moved[:1], rest])
    y = np.moveaxis(moved, 0, axis)
    if out is None:
        return y
    out[...] = y
    return out


def _reduceat(ufunc: np.ufunc, x: Any, indices: Any, axis: Any = 0, dtype: Any = None, *, out: Any) -> Any:
    """Each index begins a part that ends before the next one; a part that would be empty is one element."""
    x = array(x)
    moved = np.moveaxis(x, axis, 0)
    starts = _plain_key(np.asarray(indices)).tolist()
    ends = [*starts[1:], moved.shape[0]]
    parts = [
        _reduce(ufunc, moved[a:b], 0, dtype, out=None) if a < b else moved[a]
        for a, b in zip(starts, ends, strict=True)
    ]
    y = np.moveaxis(np.stack(parts), 0, axis)
    if out is None:
        return y
    out[...] = y
    return out


methods.update(
    __call__=_call,
    into_array=_into_array,
    outer=_outer,
    at=_at,
    reduce=_reduce,
    accumulate=_accumulate,
    reduceat=_reduceat,
)


# ---- ufuncs, and functions of their kind, that are made of others
@implements(np.divmod)
def divmod(x: Any, y: Any) -> Any:
    return x // y, x % y


@implements(np.modf)
def modf(x: Any) -> Any:
    whole = np.trunc(x)
    return x - whole, whole


@implements(np.heaviside)
def heaviside(x: Any, h: Any) -> Any:
    """0 below 0, 1 above, h at 0."""
    return np.where(np.isnan(x), x, np.where(x == 0, h, (x > 0) * 1.0))


@implements(np.ldexp)
def ldexp(x: Any, i: Any) -> Any:
    """x · 2ⁱ; a product with a power of 2 is exact."""
    y = x * np.exp2(i)
    return y if array(x).dtype.kind != "f" else y.astype(array(x).dtype)


@implements(np.fix)
def fix(x: Any, out: Any = None) -> Any:
    return np.trunc(x) if out is None else np.trunc(x, out=out)


@implements(np.isneginf)
def isneginf(x: Any, out: Any = None) -> Any:
    return np.equal(x, -np.inf, out=out)


@implements(np.isposinf)
def isposinf(x: Any, out: Any = None) -> Any:
    return np.equal(x, np.inf, out=out)


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    y = np.arctan2(z.imag, z.real)
    return y * (180 / np.pi) if deg else y

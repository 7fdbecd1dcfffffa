"""Primitives that rearrange elements: reshape, transpose, broadcast, concatenate."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from boxgrad.graph.primitive import Call, EachInput, Primitive, Same, Superscript
from boxgrad.types import ArrayType, is_ndarray

Shape = tuple[int, ...]


def _reshape_type(x: ArrayType, *, shape: Shape) -> ArrayType:
    result = ArrayType(shape, x.dtype)
    if result.size != x.size:
        raise ValueError(f"cannot reshape {x.shape} ({x.size} elements) into {shape}")
    return result


reshape = Primitive(
    "reshape",
    lambda x, shape: x.reshape(shape),
    _reshape_type,
    (lambda g, y, x, shape: g.reshape(x.shape),),
    Call("reshape"),
    (),
)


@lru_cache(maxsize=1024)
def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes one."""
    return tuple(axes.index(i) for i in range(len(axes)))


transpose = Primitive(
    "transpose",
    lambda x, axes: x.transpose(axes),
    lambda x, axes: ArrayType(tuple(x.shape[i] for i in axes), x.dtype),
    (lambda g, y, x, axes: g.transpose(inverse(axes)),),
    Superscript("ᵀ"),
    (),
)


@lru_cache(maxsize=4096)
def unbroadcast_axes(shape: Shape, target: Shape) -> tuple[int, ...]:
    """The axes of ``shape`` along which a value of shape ``target`` was repeated."""
    lead = len(shape) - len(target)
    inner = (i + lead for i, n in enumerate(target) if n == 1 and shape[i + lead] != 1)
    return (*range(lead), *inner)


def unbroadcast(g: Any, shape: Shape) -> Any:
    """Sum a gradient over the axes along which the value of that shape was repeated."""
    axes = unbroadcast_axes(g.shape, shape)
    if axes:
        g = np.add.reduce(g, axis=axes)
    return g if g.shape == shape else g.reshape(shape)


def _broadcast(x: Any, *, shape: Shape) -> Any:
    """A read-only view without copies; NumPy's broadcast_to, of which this skips the checks."""
    if x.size == 1 and is_ndarray(x) and x.flags.c_contiguous:
        view = np.ndarray(shape, x.dtype, x, 0, (0,) * len(shape))
        view.flags.writeable = False
        return view
    spread: Any = np.broadcast_to(x, shape)
    return spread


def _broadcast_type(x: ArrayType, *, shape: Shape) -> ArrayType:
    if np.broadcast_shapes(x.shape, shape) != shape:
        raise ValueError(f"cannot broadcast {x.shape} to {shape}")
    return ArrayType(shape, x.dtype)


broadcast = Primitive(
    "broadcast", _broadcast, _broadcast_type, (lambda g, y, x, shape: unbroadcast(g, x.shape),), Same(), ()
)


def _concatenate(*xs: Any, axis: int) -> Any:
    return np.concatenate(xs, axis=axis)


def _concatenate_type(*xs: ArrayType, axis: int) -> ArrayType:
    first = xs[0].shape
    for x in xs:
        if len(x.shape) != len(first) or any(
            a != b for i, (a, b) in enumerate(zip(x.shape, first, strict=True)) if i != axis
        ):
            raise ValueError(
                f"concatenate along axis {axis} needs shapes equal along the other axes: "
                + ", ".join(str(x.shape) for x in xs)
            )
    size = sum(x.shape[axis] for x in xs)
    return ArrayType((*first[:axis], size, *first[axis + 1 :]), np.result_type(*(x.dtype for x in xs)))


def _concatenate_rule(g: Any, y: Any, index: int, *xs: Any, axis: int) -> Any:
    start = sum(x.shape[axis] for x in xs[:index])
    return g[(slice(None),) * axis + (slice(start, start + xs[index].shape[axis]),)]


concatenate = Primitive(
    "concatenate", _concatenate, _concatenate_type, EachInput(_concatenate_rule), Call("concat"), ()
)

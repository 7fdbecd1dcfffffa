"""Indexing a box: which keys make views, which copies, and how each is written to.

A key of slices, integers, None and ellipsis is basic: it makes a view. Integer and boolean arrays make a
copy. A boolean array with known values is replaced by the positions of its true elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from boxgrad.errors import BranchError, IndexingError, ShapeError, TraceError
from boxgrad.graph.node import Node
from boxgrad.ops import index as primitives
from boxgrad.ops import shape as shapes
from boxgrad.ops.index import Slot
from boxgrad.trace.apply import Holder, apply, lift
from boxgrad.types import ArrayType, is_integer, is_slice, is_tuple

_BASIC = (int, np.integer, slice, type(None), type(...))


def _parts(key: Any) -> tuple[Any, ...]:
    return key if is_tuple(key) else (key,)


def _integer(value: Any) -> Any:
    return int(value) if is_integer(value) else value


def _plain_slice(part: slice[Any, Any, Any]) -> slice[Any, Any, Any]:
    """A slice with its bounds as Python integers, which traced and NumPy integers become."""
    return slice(*(None if x is None else x.__index__() for x in (part.start, part.stop, part.step)))


def basic_key(key: Any) -> tuple[Any, ...] | None:
    """The key with plain integers, or None if it holds arrays."""
    parts = _parts(key)
    for part in parts:
        if type(part) is bool or not isinstance(part, _BASIC):
            return None
    return tuple(_plain_slice(part) if is_slice(part) else _integer(part) for part in parts)


def advanced_key(key: Any, shape: tuple[int, ...]) -> tuple[tuple[Any, ...], list[Any]]:
    """The key with slots, and the index arrays that fill them."""
    template: list[Any] = []
    arrays: list[Any] = []
    parts = _parts(key)
    for number, part in enumerate(parts):
        if type(part) is not bool and isinstance(part, _BASIC):
            template.append(_plain_slice(part) if is_slice(part) else _integer(part))
            continue
        if isinstance(part, Holder):
            array: Any = part
        else:
            array = np.asarray(part)
            array = array.astype(np.intp) if array.size == 0 and array.dtype.kind == "f" else array
        if array.dtype.kind == "b":
            _check_mask(array.shape, parts, number, shape)
            found = _positions(array)
        elif array.dtype.kind in "iu":
            found = [array]
        else:
            raise IndexingError.because(
                f"an index of dtype {array.dtype}",
                "only integers, slices, None, ellipsis, integer and boolean arrays are indices",
                "x[i.astype(int)]",
            )
        for positions in found:
            template.append(Slot(len(arrays)))
            arrays.append(positions)
    return tuple(template), arrays


def _check_mask(mask: tuple[int, ...], parts: Sequence[Any], number: int, shape: tuple[int, ...]) -> None:
    """A boolean array must have the sizes of the axes that it stands for."""
    axes = [0 if x is None or x is ... else np.ndim(x) if _is_mask(x) else 1 for x in parts]
    after_ellipsis = any(x is ... for x in parts[:number])
    first = len(shape) - sum(axes[number:]) if after_ellipsis else sum(axes[:number])
    if shape[first : first + len(mask)] != mask:
        raise IndexingError.because(
            f"a boolean index of shape {mask} for axes of shape {shape[first : first + len(mask)]}",
            "it has one truth value for each element to choose from",
            "a condition on the array itself: x[x > 0]",
        )


def _is_mask(part: Any) -> bool:
    array = part if hasattr(part, "dtype") else np.asarray(part)
    return not isinstance(part, _BASIC) and array.dtype.kind == "b"


def _positions(mask: Any) -> list[Any]:
    """The positions of the true elements, one array an axis, as constants."""
    value = mask.node.value if isinstance(mask, Holder) else mask
    if value is None:
        raise BranchError.because(
            "a boolean index whose values are not known",
            "the number of selected elements would depend on values, and a compiled function "
            "must know every shape",
            "np.where(mask, x, 0) in place of x[mask], np.where(mask, v, x) for x[mask] = v",
        )
    value = np.asarray(value)
    if value.ndim == 0:
        raise TraceError.because(
            "a 0-d boolean index", "it would add an axis of size 0 or 1", "x[None] or x[None][:0]"
        )
    return list(np.nonzero(value))


def get(box: Any, key: Any) -> Any:
    """``box[key]``"""
    basic = basic_key(key)
    if basic is None:
        template, arrays = advanced_key(key, box.shape)
        return box.made(apply(primitives.gather, (box, *arrays), {"key": template}))
    parameters = {"key": basic}
    node = box.node
    made = apply(primitives.slice, (node,), parameters)
    if not made.shape and ... not in basic:
        return box.made(made)

    def put(now: Node, value: Node) -> Node:
        return apply(primitives.put_slice, (now, value), parameters)

    return box.view_through(primitives.slice, parameters, put, made)


def set(box: Any, key: Any, value: Any) -> None:
    """``box[key] = value``"""
    if box.is_scalar:
        raise TypeError(f"'{np.dtype(box.dtype).type.__name__}' object does not support item assignment")
    basic = basic_key(key)
    if basic is not None:
        if getattr(value, "base", None) is box and value.parameters.get("key") == basic:
            return  # the second half of  x[key] += y : the view has already written through
        place = ArrayType.of(np.broadcast_to(np.zeros((), box.dtype), box.shape)[basic]).shape
        node = _fitting(box, value, place)
        box.write(apply(primitives.put_slice, (box.node, node), {"key": basic}))
        return
    template, arrays = advanced_key(key, box.shape)
    box.write(apply(primitives.put, (box.node, _real(box, value), *arrays), {"key": template}))


def _real(box: Any, value: Any) -> Node:
    node = value.node if isinstance(value, Holder) else lift(value)
    if not np.can_cast(node.dtype, box.dtype, "same_kind") and node.dtype.kind == "c":
        raise TraceError.because(
            f"complex values were to be written into a box of dtype {box.dtype}",
            "the imaginary part would be lost",
            "x = x.astype(complex) before, or value.real",
        )
    return node


def _fitting(box: Any, value: Any, place: tuple[int, ...]) -> Node:
    """The value as a node that broadcasts to the place; NumPy drops leading axes of size 1."""
    node = _real(box, value)
    extra = len(node.shape) - len(place)
    if extra > 0 and all(n == 1 for n in node.shape[:extra]):
        node = apply(shapes.reshape, (node,), {"shape": node.shape[extra:]})
    if len(node.shape) > len(place) or np.broadcast_shapes(node.shape, place) != place:
        raise ShapeError.because(
            f"could not write {node.type!r} into a place of shape {place}",
            "the value must broadcast to the place",
            f"a value of shape {place}",
        )
    return node


def add_at(box: Any, key: Any, value: Any) -> Node:
    """The node of ``np.add.at(box, key, value)`` on a box of zeros."""
    template, arrays = advanced_key(key, box.shape)
    shape = ArrayType.of(
        np.broadcast_to(np.zeros((), box.dtype), box.shape)[
            primitives.filled(template, tuple(np.zeros(np.shape(a), np.intp) for a in arrays))
        ]
    ).shape
    node = _fitting(box, value, shape)
    if node.shape != shape:
        node = apply(shapes.broadcast, (node,), {"shape": shape})
    if not arrays:
        return apply(primitives.embed, (node,), {"key": template, "shape": box.shape})
    return apply(primitives.scatter_add, (node, *arrays), {"key": template, "shape": box.shape})

"""What layers demand of their inputs, said before NumPy stumbles over it.

Knows shapes and dtypes; knows no arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad.boxed import current_tracer
from boxgrad.errors import IndexingError, ShapeError, message
from boxgrad.nn.summary import describe
from boxgrad.tree import is_array


def array(value: Any) -> Any:
    """The value itself if it is an array or a traced box, else a NumPy array made from it."""
    return value if is_array(value) else np.asarray(value)


def last(layer: Any, x: Any, size: int) -> None:
    """Demand that the last axis of ``x`` has ``size`` elements."""
    if x.ndim == 0 or x.shape[-1] != size:
        raise ShapeError(
            message(
                f"{describe(layer)} expected x of shape (…, {size}), found {_shape(x)}",
                f"it works on the last axis, which must have {size} elements",
                _repair_last(x, size),
            )
        )


def _repair_last(x: Any, size: int) -> str:
    if x.ndim > 2 and int(np.prod(x.shape[1:])) == size:
        return "flatten what comes before: x.reshape(len(x), -1), or nn.Flatten()"
    if size in x.shape:
        return f"move the axis of {size} to the end, for example np.swapaxes(x, 1, -1)"
    found = x.shape[-1] if x.ndim else 1
    return f"give x that many features, or build the layer for {found}"


def image(layer: Any, x: Any, spatial: int, channels: int | None = None) -> None:
    """Demand a batch (N, C, *spatial), with a given number of channels if one is given."""
    axes = ("L",) if spatial == 1 else ("D", "H", "W")[3 - spatial :]
    wanted = f"(N, {channels or 'C'}, {', '.join(axes)})"
    if x.ndim == spatial + 2 and channels in (None, x.shape[1]):
        return
    if x.ndim == spatial + 1 and channels in (None, x.shape[0]):
        repair = "add the batch axis: x[None]"
    elif x.ndim == spatial + 1 and channels == 1:
        repair = "add the axis of channels: x[:, None]"
    elif x.ndim == spatial + 2 and x.shape[-1] == channels:
        repair = "move the channels to axis 1: np.moveaxis(x, -1, 1)"
    else:
        repair = "bring x to that shape, or build the layer for the channels x has"
    raise ShapeError(
        message(
            f"{describe(layer)} expected x of shape {wanted}, found {_shape(x)}",
            "axis 0 is the batch, axis 1 the channels, and the window moves over the others",
            repair,
        )
    )


def shape(layer: Any, name: str, x: Any, wanted: tuple[int | str, ...]) -> None:
    """Demand a shape; a string in it is the name of a free size."""
    fits = x.ndim == len(wanted) and all(
        isinstance(size, str) or size == found for size, found in zip(wanted, x.shape, strict=False)
    )
    if not fits:
        text = ", ".join(map(str, wanted))
        raise ShapeError(
            message(
                f"{describe(layer)} expected {name} of shape ({text}), found {_shape(x)}",
                "each axis has one meaning, and its size is set by the layer or by the other input",
                f"bring {name} to that shape with reshape, transpose or {name}[None]",
            )
        )


def same(what: str, x: Any, y: Any) -> None:
    """Demand that predictions and targets have the same shape, rather than broadcast them."""
    if x.shape != y.shape:
        raise ShapeError(
            message(
                f"{what} expected input and target of one shape, found {_shape(x)} and {_shape(y)}",
                "broadcasting would pair every element with many others and give another loss",
                f"target.reshape({_shape(x)}), if it has as many elements"
                if x.size == y.size
                else "bring both to one shape; np.broadcast_to says so where copies are meant",
            )
        )


def indices(what: str, values: Any, size: int, allowed: int | None = None) -> Any:
    """Demand whole numbers from 0 to ``size`` - 1 (or ``allowed``), where values are present.

    Where they are not, in a compiled function, the look-up refuses what is too large; a negative number is
    made one that it refuses too, for NumPy would count from the end.
    """
    if values.dtype.kind not in "iu":
        raise ShapeError(
            message(
                f"{what} expected whole numbers, found dtype {values.dtype}",
                f"they are positions among {size}",
                "cast them: indices.astype(np.int64)",
            )
        )
    if type(values) is not np.ndarray:
        tracer = current_tracer()
        if tracer is None or not tracer.compiling or values.dtype.kind == "u":
            return values
        return np.where(values < 0, values.astype(np.int64) - size, values)
    wrong = (values < 0) | (values >= size)
    if allowed is not None:
        wrong &= values != allowed
    if wrong.any():
        raise IndexingError(
            message(
                f"{what} found the index {values[wrong][0]}, with {size} to choose from",
                f"indices go from 0 to {size - 1}",
                "renumber them from 0, or make room for more",
            )
        )
    return values


def _shape(x: Any) -> str:
    return str(tuple(x.shape))

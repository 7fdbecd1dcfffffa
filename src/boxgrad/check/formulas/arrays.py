"""Functions of whole arrays that formulas may use, by their printed names: softmax, reshape_{2×3}, maxpool₂ …

Each takes the index that is printed beside its name, and arrays. Knows NumPy and boxgrad's public functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from boxgrad.autodiff.derived import vjp
from boxgrad.functions import avg_pool, conv, conv_transpose, max_pool

Array = np.ndarray[Any, Any]


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in text.split("×") if n)


def _options(note: str, axes: int) -> dict[str, Any]:
    """s=2,p=1 as stride and padding."""
    names = {"s": "stride", "p": "padding", "d": "dilation", "g": "groups"}
    found: dict[str, Any] = {}
    for part in note.split(","):
        key, equals, value = part.partition("=")
        if equals:
            sizes = _sizes(value)
            found[names[key]] = sizes[0] if len(sizes) == 1 else sizes
    return found


def _softmax(note: str, x: Array) -> Array:
    axis = "ijklmn".index(note) if note else -1
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


def _one_hot(note: str, y: Array) -> Array:
    return (np.asarray(y)[..., None] == np.arange(int(note))).astype(np.float64)


def _permuted(note: str, x: Array) -> Array:
    before, after = note.split("→")
    return np.transpose(x, [before.index(c) for c in after])


def _flip(note: str, x: Array) -> Array:
    """A kernel turned round in its spatial axes; a matrix or vector in all."""
    axes = tuple(range(2, x.ndim)) if x.ndim > 2 else None
    return np.flip(x, _sizes(note.replace(",", "×")) if note else axes)


def _pool(pool: Callable[..., Any]) -> Callable[..., Array]:
    def pooled(note: str, x: Array) -> Array:
        return np.asarray(_pooling(pool, note, x.ndim)(x))

    return pooled


def _pooling(pool: Callable[..., Any], note: str, dimensions: int) -> Callable[[Any], Any]:
    size, *rest = note.split(",")
    sizes = _sizes(size)
    options = {key: value for key, value in _options(",".join(rest), dimensions).items() if key != "groups"}
    return lambda x: pool(x, sizes[0] if len(sizes) == 1 else sizes, **options)


def _pool_slope(pool: Callable[..., Any]) -> Callable[..., Array]:
    """The upstream gradient carried back; without the pooled array the note has its shape."""

    def carried(note: Any, g: Array, x: Array | None = None) -> Array:
        if x is None:
            note, shape = note
            x = np.zeros(shape)
        return np.asarray(vjp(_pooling(pool, note, np.ndim(x)), x)[1](g)[0])

    return carried


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "softmax": _softmax,
    "onehot": _one_hot,
    "reshape": lambda note, x: np.reshape(x, _sizes(note)),
    "permute": _permuted,
    "concat": lambda note, *xs: np.concatenate(xs, axis="ijklmn".index(note) if note else -1),
    "clip": lambda note, x, low, high: np.clip(x, low, high),
    "outer": lambda note, a, b: np.multiply.outer(a, b),
    "diag": lambda note, x: np.diag(x),
    "flip": _flip,
    "rot": _flip,
    "spread": lambda note, x: np.broadcast_to(x, _sizes(note)),
    "maxpool": _pool(max_pool),
    "avgpool": _pool(avg_pool),
    "maxpool′": _pool_slope(max_pool),
    "avgpool′": _pool_slope(avg_pool),
}


def convolved(mark: tuple[str, str, tuple[int, ...] | None], a: Array, b: Array) -> Array:
    """x ⋆ w, its adjoint g ∗ w (the gradient of x), or x ⋆ g as the gradient of a kernel of this shape."""
    kind, note, shape = mark
    options = _options(note, b.ndim - 2)
    if kind == "forward":
        return np.asarray(conv(a, b, **options))
    if kind == "transposed":
        return np.asarray(conv_transpose(a, b, **options))
    if kind == "input":
        return np.asarray(vjp(lambda x: conv(x, b, **options), np.zeros(shape or ()))[1](a)[0])
    return np.asarray(vjp(lambda w: conv(a, w, **options), np.zeros(shape or ()))[1](b)[0])

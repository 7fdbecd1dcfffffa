"""Keeping gradients small: by their common norm, or value by value.

Knows trees of gradients; knows no optimiser. Gradients are not changed: new trees are returned.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad import tree
from boxgrad.errors import message
from boxgrad.optim.parameters import is_floating, named_arrays


def clip_by_norm(gradients: Any, maximum: float) -> tuple[Any, Any]:
    """Scale all gradients by one factor, so that their common norm is at most a maximum.

    n = √(Σᵢ gᵢ²) over all values of all gradients, then g ← g · min(1, maximum / (n + 10⁻⁶))

    Where the gradients are a module, n is that of its parameters, buffers do not count. A norm that
    is not finite makes the gradients 0 or NaN: look at it if that can happen.

    Args:
        gradients: Any tree; arrays of floats of any shape are scaled, other leaves stay.
        maximum: The largest norm allowed, > 0.

    Returns:
        The scaled gradients, of the same structure, shapes and dtypes, and the norm n before the
        scaling, a float64 scalar.

    Raises:
        ValueError: if the maximum is not positive.

    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks",
    2013 (arXiv:1211.5063); PyTorch's ``clip_grad_norm_``.

    >>> clipped, norm = clip_by_norm({"w": np.array([3.0, 0.0]), "b": np.array([4.0])}, 1.0)
    >>> float(norm)
    5.0
    >>> clipped["w"].round(4), clipped["b"].round(4)
    (array([0.6, 0. ]), array([0.8]))
    """
    _require_positive("maximum", maximum)
    squares = np.zeros((), np.float64)
    for _, leaf in named_arrays(gradients):
        squares = squares + np.sum(np.square(leaf)).astype(np.float64)
    norm = np.sqrt(squares)
    factor = np.minimum(1.0, maximum / (norm + 1e-6))
    casts: dict[Any, Any] = {}

    def scale(leaf: Any) -> Any:
        if not is_floating(leaf):
            return leaf
        if leaf.dtype not in casts:
            casts[leaf.dtype] = factor.astype(leaf.dtype)
        return leaf * casts[leaf.dtype]

    return tree.map(scale, gradients), norm


def clip_by_value(gradients: Any, bound: float) -> Any:
    """Keep every value of every gradient between two bounds: g ← min(max(g, -bound), bound).

    Args:
        gradients: Any tree; arrays of floats of any shape are clipped, other leaves stay.
        bound: The largest absolute value allowed, > 0.

    Returns:
        The clipped gradients, of the same structure, shapes and dtypes.

    Raises:
        ValueError: if the bound is not positive.

    Source: PyTorch's ``clip_grad_value_``.

    >>> clip_by_value([np.array([-3.0, 0.5]), None], 1.0)
    [array([-1. ,  0.5]), None]
    """
    _require_positive("bound", bound)

    def clip(leaf: Any) -> Any:
        return np.clip(leaf, -bound, bound) if is_floating(leaf) else leaf

    return tree.map(clip, gradients)


def _require_positive(name: str, value: float) -> None:
    if isinstance(value, (int, float)) and not value > 0:
        raise ValueError(message(f"{name} is {value!r}", "no gradient would be left", f"pass {name}=1.0"))

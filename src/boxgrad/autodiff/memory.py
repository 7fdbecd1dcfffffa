"""Who holds which memory: results that are the caller's own, and values that a later walk still needs.

NumPy arrays are mutable, so a gradient must not be a view of something else that the caller can see, and
what a derivative will read must not change when the function's writes are carried out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from boxgrad.graph.node import Node, ordered
from boxgrad.types import is_ndarray, is_tuple


def _owner(array: Any) -> Any:
    while is_ndarray(array.base):
        array = array.base
    return array


def owned(values: Iterable[Any], others: Iterable[Any]) -> list[Any]:
    """The values, copied where one is read-only or shares memory with another or with ``others``."""
    seen = {id(_owner(x)) for x in others if is_ndarray(x)}
    found: list[Any] = []
    for value in values:
        if is_ndarray(value):
            if not value.flags.writeable or id(_owner(value)) in seen:
                value = value.copy()
            seen.add(id(_owner(value)))
            value = value if value.shape else value[()]
        found.append(value)
    return found


def copied(value: Any, arrays: Sequence[Any]) -> Any:
    """The value, or a copy where it shares memory with one of the arrays."""
    if is_tuple(value):
        return tuple(copied(part, arrays) for part in value)
    shares = is_ndarray(value) and any(np.may_share_memory(value, array) for array in arrays)
    return value.copy() if shares else value


def detach(outputs: Iterable[Node], arrays: Sequence[Any]) -> None:
    """Let the values that outputs are computed from be independent of arrays about to be written."""
    if arrays:
        for node in ordered(outputs):
            node.value = copied(node.value, arrays)

"""Who holds which memory: NumPy arrays are mutable, so a result must not be a view of what others see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

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

"""Rows of a table by their numbers, whether the table, the numbers, both or neither are traced.

Knows one gap of NumPy: indexing a plain array with a traced one does not reach boxgrad.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def rows(table: Any, indices: Any) -> Any:
    """``table[indices]``: table (V, *S), indices (…) whole numbers, result (…, *S).

    >>> rows(np.array([0.5, 1.0, 2.0]), np.array([[2, 0]]))
    array([[2. , 0.5]])
    """
    if type(table) is not np.ndarray or type(indices) is np.ndarray:
        return table[indices]
    # take_along_axis, unlike indexing and take, dispatches on its indices.
    column = indices.reshape((-1,) + (1,) * (table.ndim - 1))
    return np.take_along_axis(table, column, axis=0).reshape((*indices.shape, *table.shape[1:]))

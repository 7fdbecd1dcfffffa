"""The type of a value: its shape and dtype, printed ``f32[3,4]``.

A *weak* type is that of a Python number, which in NumPy's promotion (NEP 50) gives way to the
dtype of the array it meets; it is printed with a tilde, ``f64[]~``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeGuard

import numpy as np

_KINDS = {"f": "f", "i": "i", "u": "u", "c": "c", "b": "bool"}
_PATTERN = re.compile(r"^(bool|[fiuc]\d+)\[([\d,]*)\](~?)$")


@cache
def dtype_name(dtype: np.dtype[Any]) -> str:
    """The short name of a dtype: ``f32``, ``i64``, ``bool``."""
    kind = _KINDS.get(dtype.kind)
    if kind is None:
        raise TypeError(f"boxgrad computes with numbers; dtype {dtype} is not one")
    return kind if kind == "bool" else f"{kind}{8 * dtype.itemsize}"


@cache
def dtype_of_name(name: str) -> np.dtype[Any]:
    """The dtype that :func:`dtype_name` calls ``name``."""
    return np.dtype(bool) if name == "bool" else np.dtype(f"{name[0]}{int(name[1:]) // 8}")


@dataclass(frozen=True, slots=True)
class ArrayType:
    """Shape and dtype of an array; ``weak`` marks a Python number.

    >>> ArrayType((3, 4), np.dtype("float32"))
    f32[3,4]
    >>> ArrayType.parse("i64[]").shape
    ()
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    weak: bool = False

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __repr__(self) -> str:
        sizes = ",".join(map(str, self.shape))
        return f"{dtype_name(self.dtype)}[{sizes}]{'~' if self.weak else ''}"

    @staticmethod
    def parse(text: str) -> ArrayType:
        """Read what ``repr`` printed."""
        found = _PATTERN.match(text)
        if found is None:
            raise ValueError(f"not a type: {text!r}; write it as f32[3,4]")
        shape = tuple(int(size) for size in found[2].split(",") if size)
        return ArrayType(shape, dtype_of_name(found[1]), bool(found[3]))

    @staticmethod
    def of(value: Any) -> ArrayType:
        """The type of an array, a NumPy scalar or a Python number."""
        if isinstance(value, (bool, np.bool_)):
            return ArrayType((), np.dtype(bool))
        if isinstance(value, (int, float, complex)) and not isinstance(value, np.generic):
            return ArrayType((), np.dtype(type(value)), weak=True)
        return ArrayType(value.shape, value.dtype)


# ---- kinds of values, for code that takes anything
def is_ndarray(value: Any) -> TypeGuard[np.ndarray[Any, np.dtype[Any]]]:
    """Whether a value is a plain array."""
    return isinstance(value, np.ndarray)


def is_scalar(value: Any) -> TypeGuard[np.generic[Any]]:
    """Whether a value is a NumPy scalar."""
    return isinstance(value, np.generic)


def is_integer(value: Any) -> TypeGuard[int | np.integer[Any]]:
    """Whether a value is a Python or NumPy integer."""
    return isinstance(value, (int, np.integer))


def is_tuple(value: Any) -> TypeGuard[tuple[Any, ...]]:
    """Whether a value is a tuple."""
    return isinstance(value, tuple)


def is_dtype(value: Any) -> TypeGuard[np.dtype[Any]]:
    """Whether a value is a dtype."""
    return isinstance(value, np.dtype)


def is_slice(value: Any) -> TypeGuard[slice[Any, Any, Any]]:
    """Whether a value is a slice."""
    return isinstance(value, slice)

"""Type rules that primitives of several families share. Shapes and dtypes only, no values."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from boxgrad.types import ArrayType

Axes = tuple[int, ...]


@lru_cache(maxsize=4096)
def _ufunc_dtype(ufunc: np.ufunc, operands: tuple[Any, ...]) -> np.dtype[Any]:
    return ufunc.resolve_dtypes((*operands, *(None,) * ufunc.nout))[-1]


def _operand(x: ArrayType) -> Any:
    """A dtype, or for a Python number its Python type, which NumPy's promotion treats as weak."""
    if not x.weak:
        return x.dtype
    return {"i": int, "f": float, "c": complex}[x.dtype.kind]


def ufunc_type(ufunc: np.ufunc) -> Callable[..., ArrayType]:
    """The type rule of a ufunc: broadcast shapes, NumPy's own dtype resolution (NEP 50)."""

    def rule(*inputs: ArrayType) -> ArrayType:
        shape = np.broadcast_shapes(*(x.shape for x in inputs))
        operands = tuple(_operand(x) for x in inputs)
        if all(x.weak for x in inputs):
            operands = tuple(x.dtype for x in inputs)
        return ArrayType(shape, _ufunc_dtype(ufunc, operands))

    return rule


def like_first(x: ArrayType, *others: ArrayType, **parameters: Any) -> ArrayType:
    """The type of the first input."""
    return ArrayType(x.shape, x.dtype)


def promoted(*inputs: ArrayType) -> np.dtype[Any]:
    """The dtype in which NumPy combines the inputs, Python numbers being weak."""
    zeros = [_operand(x)(0) if x.weak else x.dtype for x in inputs]
    return np.result_type(*zeros)


def real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the real part: complex64 is two of float32."""
    return np.dtype(dtype.char.lower()) if dtype.kind == "c" else dtype


def reduced_shape(shape: tuple[int, ...], axis: Axes, keepdims: bool) -> tuple[int, ...]:
    """The shape after reducing over some axes."""
    if keepdims:
        return tuple(1 if i in axis else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axis)


def by_example(meaning: Callable[..., Any]) -> Callable[..., ArrayType]:
    """The type rule of a function that only moves elements: run it on arrays that take no memory.

    Every element of the example shares one byte, so the rule costs what the output costs at most.
    """

    def rule(*inputs: ArrayType, **parameters: Any) -> ArrayType:
        examples = [np.broadcast_to(np.zeros((), x.dtype), x.shape) for x in inputs]
        return ArrayType.of(meaning(*examples, **parameters))

    return rule

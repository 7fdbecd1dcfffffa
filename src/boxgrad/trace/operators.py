"""The operators of a box, those in place included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from boxgrad import tree
from boxgrad.errors import ShapeError, TraceError
from boxgrad.graph.node import Node
from boxgrad.graph.primitive import Primitive
from boxgrad.ops import contract, elementwise, shape
from boxgrad.ops.contract import matmul_subscripts
from boxgrad.trace.apply import apply
from boxgrad.trace.box import Box, OwnBox, wrap

_PYTHON = (float, int, complex)
_KNOWN = {OwnBox, float, int, np.ndarray}


def _weak(x: Any) -> bool:
    return type(x) in _PYTHON or (isinstance(x, Box) and x.node.weak)


def _number(primitive: Primitive, *numbers: Any) -> Any:
    """An operator on Python numbers gives a Python number, which stays weak in promotion."""
    node = apply(primitive, numbers)
    node.weak = node.dtype.kind != "b"
    if node.value is not None:
        node.value = np.asarray(node.value).item()
    return OwnBox(node)


def _operator(primitive: Primitive) -> tuple[Any, Any, Any]:
    def forward(self: Box, other: Any) -> Any:
        if type(other) not in _KNOWN and _foreign(other):
            return NotImplemented
        if self.node.weak and _weak(other):
            return _number(primitive, self, other)
        return OwnBox(apply(primitive, (self, other)))

    def reflected(self: Box, other: Any) -> Any:
        if type(other) not in _KNOWN and _foreign(other):
            return NotImplemented
        if self.node.weak and _weak(other):
            return _number(primitive, other, self)
        return OwnBox(apply(primitive, (other, self)))

    def in_place(self: Box, other: Any) -> Any:
        result = forward(self, other)
        if result is NotImplemented or self.is_scalar or self.node.weak:
            return result
        assign(self, result.node)
        return self

    return forward, reflected, in_place


def _foreign(other: Any) -> bool:
    """Whether another library's object should have the first word."""
    return not isinstance(other, Box) and getattr(cast("Any", type(other)), "__array_ufunc__", ...) is None


def assign(target: Box, node: Node) -> None:
    """Write a node into a box as NumPy writes into an array: same shape, same-kind casts only."""
    have = target.node
    if node.shape != have.shape:
        if np.broadcast_shapes(node.shape, have.shape) != have.shape:
            raise ShapeError.because(
                f"an in-place operation would turn {have.type!r} into {node.type!r}",
                "an array keeps its shape",
                "x = x + y, which makes a new array",
            )
        node = apply(shape.broadcast, (node,), {"shape": have.shape})
    if node.dtype != have.dtype:
        if not np.can_cast(node.dtype, have.dtype, "same_kind"):
            raise TraceError.because(
                f"an in-place operation would turn {have.type!r} into {node.dtype}",
                "an array keeps its dtype, and NumPy casts in place only within a kind",
                "x = x + y, or x.astype(...) before",
            )
        node = apply(elementwise.cast, (node,), {"dtype": have.dtype})
    target.write(node)


def product(left: Any, right: Any) -> Any:
    """``np.matmul``"""
    a, b = _axes(left), _axes(right)
    if a == 0 or b == 0:
        raise ShapeError.because(
            "matmul of a scalar",
            "a product of matrices needs at least one axis on both sides",
            "x * y for a product with a number",
        )
    return wrap(apply(contract.contract, (left, right), {"subscripts": matmul_subscripts(a, b)}))


def _axes(x: Any) -> int:
    return x.ndim if tree.is_array(x) else np.ndim(x)


def _reflected_product(right: Any, left: Any) -> Any:
    return product(left, right)


def _product_in_place(self: Box, other: Any) -> Any:
    assign(self, product(self, other).node)
    return self


def _unary(primitive: Primitive) -> Callable[[Box], Any]:
    def operator(self: Box) -> Any:
        return _number(primitive, self) if self.node.weak else wrap(apply(primitive, (self,)))

    return operator


def _install() -> None:
    """Give Box its operators."""
    binary = {
        "add": elementwise.add, "sub": elementwise.subtract, "mul": elementwise.multiply,
        "truediv": elementwise.divide, "floordiv": elementwise.floor_divide,
        "mod": elementwise.remainder, "pow": elementwise.power, "and": elementwise.bitwise_and,
        "or": elementwise.bitwise_or, "xor": elementwise.bitwise_xor,
        "lshift": elementwise.left_shift, "rshift": elementwise.right_shift,
    }  # fmt: skip
    for name, primitive in binary.items():
        for prefix, method in zip(("", "r", "i"), _operator(primitive), strict=True):
            setattr(Box, f"__{prefix}{name}__", method)
    comparisons = {
        "eq": elementwise.equal, "ne": elementwise.not_equal, "lt": elementwise.less,
        "le": elementwise.less_equal, "gt": elementwise.greater, "ge": elementwise.greater_equal,
    }  # fmt: skip
    for name, primitive in comparisons.items():
        setattr(Box, f"__{name}__", _operator(primitive)[0])
    unary = {
        "neg": elementwise.negative, "pos": elementwise.positive,
        "abs": elementwise.absolute, "invert": elementwise.invert,
    }  # fmt: skip
    for name, primitive in unary.items():
        setattr(Box, f"__{name}__", _unary(primitive))
    setattr(Box, "__imatmul__", _product_in_place)  # noqa: B010
    setattr(Box, "__matmul__", product)  # noqa: B010
    setattr(Box, "__rmatmul__", _reflected_product)  # noqa: B010


_install()

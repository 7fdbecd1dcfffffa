"""Types of elementwise boxes against NumPy's promotion (NEP 50), over shapes, dtypes and Python numbers."""

from __future__ import annotations

import operator

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as some
import numpy as np
import pytest
from hypothesis import given

import boxgrad as bg
from boxgrad.graph.primitive import all_primitives
from boxgrad.types import ArrayType
from numeric import assert_within_units

UFUNCS = [p.callables[0] for p in all_primitives() if p.callables and isinstance(p.callables[0], np.ufunc)]
DTYPES = [np.dtype(name) for name in ("float32", "float64", "int64", "int32", "uint8", "int8", "bool")]
NUMBERS = (True, 3, 1.5)


@some.composite
def operands(draw, count):
    """Arrays of shapes that broadcast, NumPy scalars, and Python numbers; at least one array."""
    shapes = draw(arrays.mutually_broadcastable_shapes(num_shapes=count, max_dims=3, min_side=0, max_side=3))
    found = []
    for shape in shapes.input_shapes:
        kind = draw(some.sampled_from(["array", "array", "number", "scalar"]))
        dtype = draw(some.sampled_from(DTYPES))
        number = draw(some.sampled_from(NUMBERS))
        found.append(
            np.ones(shape, dtype) if kind == "array" else dtype.type(1) if kind == "scalar" else number
        )
    if not any(isinstance(x, np.ndarray) for x in found):
        found[0] = np.ones(shapes.input_shapes[0], draw(some.sampled_from(DTYPES)))
    return found


def numpy_type(function, inputs):
    """The type of NumPy's result, or the exception that NumPy raises."""
    try:
        with np.errstate(all="ignore"):
            return ArrayType.of(np.asarray(function(*inputs)))
    except (TypeError, ValueError, OverflowError) as error:
        return type(error)


def traced_type(function, inputs, keep_values):
    try:
        with np.errstate(all="ignore"):
            (node,) = bg.trace(function, *inputs, keep_values=keep_values).outputs
    except (TypeError, ValueError, OverflowError):
        return None
    return ArrayType(node.shape, node.dtype)


def agree(function, inputs):
    wanted = numpy_type(function, inputs)
    for keep_values in (False, True):
        got = traced_type(function, inputs, keep_values)
        if isinstance(wanted, type):
            assert got is None, f"NumPy raises {wanted.__name__}"
        else:
            assert got == wanted
    if not isinstance(wanted, type):
        with np.errstate(all="ignore"):
            plain = function(*inputs)
            result, native = (bg.compile(function, engine=name)(*inputs) for name in ("numpy", "native"))
        assert ArrayType.of(np.asarray(result)) == wanted
        np.testing.assert_array_equal(result, plain)
        assert_within_units(native, plain)


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda ufunc: ufunc.__name__)
@given(data=some.data())
def test_ufuncs(ufunc, data):
    agree(ufunc, data.draw(operands(ufunc.nin)))


OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
    operator.and_, operator.or_, operator.xor, operator.lt, operator.le, operator.eq, operator.ne,
    operator.gt, operator.ge, operator.neg, operator.pos, operator.abs, operator.invert, divmod,
]  # fmt: skip


@pytest.mark.parametrize("function", OPERATORS, ids=lambda f: f.__name__)
@given(data=some.data())
def test_operators(function, data):
    count = 1 if function in (operator.neg, operator.pos, operator.abs, operator.invert) else 2
    call = (lambda x, z: divmod(x, z)[0]) if function is divmod else function
    agree(call, data.draw(operands(count)))


@given(data=some.data())
def test_where(data):
    condition, x, z = data.draw(operands(3))
    agree(np.where, [condition, x, z])


@pytest.mark.parametrize(
    "function",
    [
        lambda lr, x: -lr * x, lambda lr, x: abs(lr) * x, lambda lr, x: (1 - lr) * x, lambda lr, x: lr**2 * x,
        lambda lr, x: x * (lr + 1) / 2, lambda lr, x: x - lr * 0.5 * x, lambda lr, x: np.where(x > lr, x, lr),
        lambda lr, x: np.maximum(x, lr), lambda lr, x: np.exp(lr) * x, lambda lr, x: lr // 2 + x,
        lambda lr, x: (lr > 0) * x, lambda lr, x: bg.stop_gradient(lr) * x, lambda lr, x: x ** (2 * lr),
        lambda lr, x: np.clip(x, -lr, lr), lambda lr, x: x.astype(np.float64) * lr, lambda lr, x: +lr + x,
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_python_numbers_give_way(function, dtype):
    """A Python float is weak however it is computed with Python's operators, traced and compiled."""
    x = np.array([0.5, 1.5], dtype)
    wanted = function(0.25, x)
    assert traced_type(function, [0.25, x], False) == ArrayType.of(wanted)
    for got in (bg.compile(function)(0.25, x), bg.vjp(function, 0.25, x)[0]):
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("start", [0, 0.0, np.float32(0), np.zeros((), np.float32), np.zeros(2, np.float32)])
def test_carries_take_the_dtype_of_what_they_meet(start):
    xs = np.ones((3, *np.shape(start)), np.float32)
    run = lambda xs: bg.scan(lambda c, x: (c * 0.5 + x, c * 2 + x), start, xs)
    for got in (bg.compile(run)(xs), bg.vjp(run, xs)[0]):
        assert [y.dtype for y in got] == [np.float32, np.float32]
        if np.ndim(start):
            for a, b in zip(got, run(xs), strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_have_the_dtype_of_their_argument(dtype):
    x, z = np.ones(3, dtype), np.ones(3, np.float32)
    gradients = bg.grad(lambda x, z, s: np.sum(x * z * s), (0, 1, 2))(x, z, 2.0)
    assert [g.dtype for g in gradients] == [dtype, np.float32, np.float64]

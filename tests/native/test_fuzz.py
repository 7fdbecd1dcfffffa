"""Random programs on random shapes, dtypes and layouts: the native engine against NumPy.

``BOXGRAD_FUZZ=10000`` runs as many cases of each; by default there are fewer.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import boxgrad as bg

CASES = int(os.environ.get("BOXGRAD_FUZZ", "80"))
thorough = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
DTYPES = ("float32", "float64", "int64", "int32", "int8", "uint8", "bool")
UNARY = (
    np.negative,
    np.square,
    np.abs,
    np.sign,
    np.isnan,
    np.floor,
    np.sqrt,
    np.exp,
    np.tanh,
    np.logical_not,
)
BINARY = (np.add, np.subtract, np.multiply, np.maximum, np.minimum, np.less, np.equal, np.logical_or)


@st.composite
def arrays(draw, shape, dtypes=DTYPES):
    """An array of a shape that broadcasts to ``shape``, of any strides."""
    rank = draw(st.integers(0, len(shape)))
    own = [n if draw(st.integers(0, 3)) else 1 for n in shape[len(shape) - rank :]]
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    steps = [draw(st.sampled_from([1, 1, 2, -1, -2])) for _ in own]
    order = draw(st.permutations(range(rank)))
    whole = [abs(step) * n for n, step in zip(own, steps, strict=True)]
    random = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    values = random.normal(0, 3, [whole[i] for i in order])
    x = (values > 0) if dtype.kind == "b" else np.abs(values) if dtype.kind == "u" else values
    x = x.astype(dtype).transpose(np.argsort(order))
    return x[tuple(slice(None, None, step) for step in steps)]


def shapes(most=20):
    return st.lists(st.integers(0, most), max_size=4).map(tuple)


def assert_near(got, wanted, narrowest=np.float64):
    """``narrowest`` is the dtype of the shortest intermediate result."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, wanted)
        return
    finite = np.abs(wanted[np.isfinite(wanted)])
    unit = 200 * max(np.finfo(got.dtype).eps, np.finfo(narrowest).eps)
    np.testing.assert_allclose(got, wanted, rtol=unit, atol=unit * np.max(finite, initial=1e-30))


@thorough
@given(st.data())
def test_elementwise_and_reductions(data):
    shape = data.draw(shapes(9))
    inputs = [data.draw(arrays(shape)) for _ in range(data.draw(st.integers(1, 3)))]
    number = st.integers(0, 20)
    choice = st.tuples(st.sampled_from([*UNARY, *BINARY]), number, number)
    choices = data.draw(st.lists(choice, min_size=1, max_size=8))
    axis = data.draw(st.integers(-1, 4))

    def program(*inputs):
        values = list(inputs)
        for function, i, j in choices:
            x, z = values[i % len(values)], values[j % len(values)]
            if function in (np.sqrt, np.exp, np.tanh, np.floor):
                x = np.clip(x, 0, 3).astype(np.float32)
            if function in (np.negative, np.subtract, np.sign):  # which truth values do not have
                x, z = x * 1, z * 1
            values.append(function(x) if function in UNARY else function(x, z))
        last = values[-1]
        if 0 <= axis < np.ndim(last) and last.shape[axis]:
            values.append(np.sum(last, axis=axis))
            values.append(np.max(last, axis=axis))
        return tuple(values[len(inputs) :])

    with np.errstate(all="ignore"):
        wanted = program(*inputs)
        got = bg.compile(program, engine="native")(*inputs)
    for x, z in zip(got, wanted, strict=True):
        assert_near(x, z, np.float32)


def centred(x, z):
    return x * x.shape[-1] - np.sum(x, axis=-1, keepdims=True)


def weighed(x, z):
    return np.maximum(x, 0) - np.sum(z, axis=0) // 2


def turned(x, z):
    return (x @ np.eye(x.shape[1])[::-1]).T[::-1].T + z


@thorough
@given(st.data())
def test_values_that_meet_again(data):
    """Sums, products and views whose results are used again, in numbers that are exact in float64."""
    draw = data.draw
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 20)))
    random = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    x = random.integers(-4, 5, shape).astype(np.float64)
    functions = st.sampled_from([np.add, np.subtract, np.maximum, np.minimum, centred, weighed, turned])
    number = st.integers(0, 20)
    choices = draw(st.lists(st.tuples(functions, number, number), min_size=1, max_size=12))
    kept = draw(st.integers(1, 4))

    def program(x):
        values = [x]
        for function, i, j in choices:
            values.append(np.clip(function(values[i % len(values)], values[j % len(values)]), -1e6, 1e6))
        return tuple(values[-kept:]), np.sum(values[-1], axis=0)

    got, wanted = bg.compile(program, engine="native")(x), program(x)
    for left, right in zip((*got[0], got[1]), (*wanted[0], wanted[1]), strict=True):
        np.testing.assert_array_equal(left, right)


@thorough
@given(st.data())
def test_convolutions(data):
    draw = data.draw
    axes = draw(st.integers(1, 2))
    groups = draw(st.integers(1, 3))
    kernel = [draw(st.integers(1, 4)) for _ in range(axes)]
    dilation = [draw(st.integers(1, 2)) for _ in range(axes)]
    stride = [draw(st.integers(1, 3)) for _ in range(axes)]
    padding = [(draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(axes)]
    sizes = [(k - 1) * d + 1 + draw(st.integers(0, 9)) for k, d in zip(kernel, dilation, strict=True)]
    images, inputs, outputs = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(1, 20))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    random = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    x = random.normal(size=(images, inputs * groups, *sizes)).astype(dtype)
    w = random.normal(size=(outputs * groups, inputs, *kernel)).astype(dtype)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}

    def program(x, w):
        y, pullback = bg.vjp(lambda x, w: np.maximum(bg.conv(x, w, **options), 0), x, w)
        return y, *pullback(y * y)

    with np.errstate(all="ignore"):
        for got, wanted in zip(bg.compile(program, engine="native")(x, w), program(x, w), strict=True):
            assert_near(got, wanted)


@thorough
@given(st.data())
def test_pooling(data):
    draw = data.draw
    size = [draw(st.integers(1, 3)) for _ in range(2)]
    stride = [draw(st.integers(1, 3)) for _ in range(2)]
    shape = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 9)),
        draw(st.integers(3, 9)),
        draw(st.integers(3, 9)),
    )
    x = np.random.default_rng(draw(st.integers(0, 1 << 30))).integers(0, 4, shape).astype(np.float32)
    pool = draw(st.sampled_from([bg.max_pool, bg.avg_pool]))

    def program(x):
        y, pullback = bg.vjp(lambda x: pool(x, size, stride), x)
        return y, pullback(y * y)[0]

    for got, wanted in zip(bg.compile(program, engine="native")(x), program(x), strict=True):
        assert_near(got, wanted)


@thorough
@given(st.data())
def test_rows_by_index(data):
    draw = data.draw
    rows, width, count = draw(st.integers(1, 9)), draw(st.integers(1, 40)), draw(st.integers(0, 12))
    random = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    table = random.normal(size=(rows, width)).astype(np.float32)
    index = random.integers(-rows, rows, (count, 2))
    program = bg.grad(lambda t, i: np.sum(np.tanh(t[i]) ** 2))
    assert_near(bg.compile(program, engine="native")(table, index), program(table, index))


@pytest.mark.parametrize("bad", [5, -6])
def test_an_index_out_of_range(bad):
    table = np.ones((5, 3), np.float32)
    look_up = bg.compile(lambda t, i: t[i] * 2, engine="native")
    look_up(table, np.array([4, -5]))
    with pytest.raises(IndexError):
        look_up(table, np.array([0, bad]))
    np.testing.assert_array_equal(look_up(table, np.array([1])), 2 * np.ones((1, 3)))

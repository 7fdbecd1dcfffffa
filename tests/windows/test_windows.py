"""Window operations against their definitions, written as loops over one window at a time."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxgrad.errors import ShapeError
from boxgrad.windows import convolution
from boxgrad.windows.convolution import conv, conv_filter_gradient, conv_input_gradient, windows_shape
from boxgrad.windows.pooling import (
    avg_pool,
    avg_pool_input_gradient,
    max_pool,
    max_pool_scatter,
    max_pool_select,
)

quick = settings(max_examples=200, deadline=None, derandomize=True)


# The definitions --------------------------------------------------------------------------------


def every_window(x, size, stride, padding, dilation, fill):
    """Yield (i, window) over the last axes of x: the window is cut out of a padded copy."""
    leading = x.ndim - len(size)
    padded = np.pad(x, [(0, 0)] * leading + list(padding), constant_values=fill)
    counts = [
        (length - d * (k - 1) - 1) // s + 1
        for length, k, s, d in zip(padded.shape[leading:], size, stride, dilation, strict=True)
    ]
    for i in itertools.product(*map(range, counts)):
        cut = tuple(
            slice(a * s, a * s + d * (k - 1) + 1, d)
            for a, k, s, d in zip(i, size, stride, dilation, strict=True)
        )
        yield i, padded[(..., *cut)]


def naive_conv(x, w, stride, padding, dilation, groups):
    per_group = len(w) // groups
    found = {}
    for i, window in every_window(x, w.shape[2:], stride, padding, dilation, 0):
        parts = np.split(window, groups, axis=1)
        for n, o in np.ndindex(len(x), len(w)):
            found[(n, o, *i)] = np.sum(parts[o // per_group][n] * w[o])
    return collect(found, np.result_type(x, w))


def naive_pool(reduce, x, size, stride, padding, fill):
    axes = tuple(range(-len(size), 0))
    windows = every_window(x, size, stride, padding, (1,) * len(size), fill)
    found = {i: reduce(window, axis=axes) for i, window in windows}
    counts = tuple(max(index) + 1 for index in zip(*found, strict=True))
    y = np.empty((*x.shape[: x.ndim - len(size)], *counts), x.dtype)
    for i, value in found.items():
        y[(..., *i)] = value
    return y


def collect(found, dtype):
    y = np.empty(tuple(max(index) + 1 for index in zip(*found, strict=True)), dtype)
    for index, value in found.items():
        y[index] = value
    return y


def matrix_of(linear, shape):
    """The matrix of a linear function of an array of ``shape``, one column per element."""
    columns = [linear(e.reshape(shape)).ravel() for e in np.eye(math.prod(shape))]
    return np.stack(columns, axis=1)


def naive_ties(x, size, stride, padding):
    """The matrix of max_pool's derivative at x: a row per window, 1/ties where x is largest."""
    numbers = np.arange(x.size).reshape(x.shape)
    places = every_window(numbers, size, stride, padding, (1,) * len(size), -1)
    rows = {}
    for i, window in places:
        for lead in np.ndindex(window.shape[: x.ndim - len(size)]):
            seen = window[lead].ravel()
            seen = seen[seen >= 0]  # the padding is nobody's
            values = x.ravel()[seen]
            row = np.zeros(x.size)
            if len(seen):
                largest = np.isnan(values) if np.isnan(values).any() else values == values.max()
                row[seen[largest]] = 1 / largest.sum()
            rows[(*lead, *i)] = row
    return np.stack([rows[index] for index in sorted(rows)])


# Parameters -------------------------------------------------------------------------------------


@st.composite
def geometries(draw, dilated=True):
    """(sizes, kernel, stride, padding, dilation) of which at least one window fits."""
    axes = draw(st.integers(1, 3))
    largest = {1: 8, 2: 5, 3: 3}[axes]
    per_axis = []
    for _ in range(axes):
        kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 4))
        dilation = draw(st.integers(1, 2)) if dilated else 1
        padding = draw(st.integers(0, 4 if axes < 3 else 1)), draw(st.integers(0, 2))
        lack = dilation * (kernel - 1) + 1 - sum(padding)
        size = draw(st.integers(max(1, lack), max(largest, lack)))
        per_axis.append((size, kernel, stride, padding, dilation))
    return tuple(zip(*per_axis, strict=True))


@st.composite
def convolutions(draw):
    """(x, w, keywords) of a convolution in float64."""
    sizes, kernel, stride, padding, dilation = draw(geometries())
    images, groups = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    inputs, outputs = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    x = random.standard_normal((images, groups * inputs, *sizes))
    w = random.standard_normal((groups * outputs, inputs, *kernel))
    keywords = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return x, w, keywords


@st.composite
def pools(draw):
    """(x, keywords) of a pooling; x holds few different values, so that ties are common."""
    sizes, size, stride, padding, _ = draw(geometries(dilated=False))
    leading = draw(st.sampled_from([(), (2,), (2, 3), (0, 2)]))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    x = random.integers(-2, 2, (*leading, *sizes)).astype(float)
    return x, {"size": size, "stride": stride, "padding": padding}


def inner(a, b):
    return np.vdot(a, b)


def assert_adjoint(*products):
    for product in products[1:]:
        np.testing.assert_allclose(product, products[0], rtol=1e-12, atol=1e-12)


@pytest.fixture(params=[1, 2 << 20], ids=["image by image", "all at once"])
def block_bytes(request, monkeypatch):
    monkeypatch.setattr(convolution, "BLOCK_BYTES", request.param)


# Convolution ------------------------------------------------------------------------------------


@quick
@given(convolutions())
def test_conv_is_its_definition(case):
    x, w, keywords = case
    y = conv(x, w, **keywords)
    windows = windows_shape(
        x.shape[2:], w.shape[2:], *(keywords[k] for k in ("stride", "padding", "dilation"))
    )
    assert y.shape == (len(x), len(w), *windows)
    if len(x):
        np.testing.assert_allclose(y, naive_conv(x, w, **keywords), rtol=1e-12, atol=1e-12)


@quick
@given(convolutions())
def test_conv_gradients_are_adjoints(case):
    x, w, keywords = case
    y = conv(x, w, **keywords)
    g = np.random.default_rng(7).standard_normal(y.shape)
    dx = conv_input_gradient(g, w, shape=x.shape[2:], **keywords)
    dw = conv_filter_gradient(x, g, kernel=w.shape[2:], **keywords)
    assert (dx.shape, dw.shape) == (x.shape, w.shape)
    assert_adjoint(inner(y, g), inner(x, dx), inner(w, dw))


@pytest.mark.usefixtures("block_bytes")
def test_conv_in_blocks_of_any_size():
    random = np.random.default_rng(0)
    x, w = random.standard_normal((5, 4, 6, 5)), random.standard_normal((6, 2, 3, 2))
    keywords = {"stride": (2, 1), "padding": ((1, 0), (0, 2)), "dilation": (1, 2), "groups": 2}
    y = conv(x, w, **keywords)
    np.testing.assert_allclose(y, naive_conv(x, w, **keywords), rtol=1e-12, atol=1e-12)
    g = random.standard_normal(y.shape)
    dx = conv_input_gradient(g, w, shape=(6, 5), **keywords)
    dw = conv_filter_gradient(x, g, kernel=(3, 2), **keywords)
    assert_adjoint(inner(y, g), inner(x, dx), inner(w, dw))


def test_conv_gradients_element_by_element():
    """Against the transposed Jacobian of the definition, so that adjointness is not alone."""
    random = np.random.default_rng(1)
    x, w = random.standard_normal((2, 2, 4)), random.standard_normal((2, 1, 2))
    keywords = {"stride": (2,), "padding": ((1, 2),), "dilation": (2,), "groups": 2}
    g = random.standard_normal(conv(x, w, **keywords).shape)
    by_x = matrix_of(lambda x: naive_conv(x, w, **keywords), x.shape).T @ g.ravel()
    by_w = matrix_of(lambda w: naive_conv(x, w, **keywords), w.shape).T @ g.ravel()
    dx = conv_input_gradient(g, w, shape=(4,), **keywords)
    dw = conv_filter_gradient(x, g, kernel=(2,), **keywords)
    np.testing.assert_allclose(dx.ravel(), by_x, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dw.ravel(), by_w, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64, np.int32])
def test_conv_preserves_dtype(dtype):
    x = np.arange(24).reshape(2, 3, 4).astype(dtype)
    w = np.arange(6).reshape(3, 1, 2).astype(dtype)
    keywords = {"stride": (1,), "padding": ((1, 0),), "dilation": (1,), "groups": 3}
    y = conv(x, w, **keywords)
    dx = conv_input_gradient(y, w, shape=(4,), **keywords)
    dw = conv_filter_gradient(x, y, kernel=(2,), **keywords)
    assert y.dtype == dx.dtype == dw.dtype == dtype
    np.testing.assert_array_equal(y, naive_conv(x, w, **keywords))


@pytest.mark.parametrize(("images", "inputs", "outputs"), [(0, 2, 4), (2, 0, 4), (2, 2, 0)])
def test_conv_without_images_or_channels(images, inputs, outputs):
    keywords = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 2}
    x, w = np.ones((images, inputs, 5)), np.ones((outputs, inputs // 2, 3))
    y = conv(x, w, **keywords)
    dx = conv_input_gradient(np.ones_like(y), w, shape=(5,), **keywords)
    dw = conv_filter_gradient(x, np.ones_like(y), kernel=(3,), **keywords)
    assert (y.shape, dx.shape, dw.shape) == ((images, outputs, 3), x.shape, w.shape)
    assert not any(map(np.any, (y, dx, dw)))


def test_conv_of_nothing_but_padding():
    """An axis of size 0 is allowed as long as the padding gives the kernel room."""
    keywords = {"stride": (1,), "padding": ((1, 1),), "dilation": (1,), "groups": 1}
    y = conv(np.ones((1, 1, 0)), np.ones((1, 1, 2)), **keywords)
    np.testing.assert_array_equal(y, [[[0.0]]])


def test_inputs_may_be_strided_and_are_left_alone():
    random = np.random.default_rng(2)
    x = random.standard_normal((5, 6, 4, 2)).transpose(3, 2, 0, 1)[:, ::2]
    w = random.standard_normal((3, 2, 2, 3)).swapaxes(2, 3)[..., ::-1, :]
    keywords = {"stride": (1, 2), "padding": ((1, 1), (0, 0)), "dilation": (1, 1), "groups": 1}
    window = {"size": (2, 2), "stride": (2, 2), "padding": ((1, 0), (0, 0))}
    solid_x, solid_w = x.copy(), w.copy()
    for array in (x, w):
        array.flags.writeable = False
    y = conv(x, w, **keywords)
    pooled = max_pool(x, **window)
    y.flags.writeable = pooled.flags.writeable = False
    results = [
        (y, conv(solid_x, solid_w, **keywords)),
        (
            conv_input_gradient(y[::-1], w, shape=(5, 6), **keywords),
            conv_input_gradient(y[::-1].copy(), solid_w, shape=(5, 6), **keywords),
        ),
        (
            conv_filter_gradient(x, y[::-1], kernel=(3, 2), **keywords),
            conv_filter_gradient(solid_x, y[::-1].copy(), kernel=(3, 2), **keywords),
        ),
        (pooled, max_pool(solid_x, **window)),
        (max_pool_scatter(pooled, x, **window), max_pool_scatter(pooled, solid_x, **window)),
        (max_pool_select(x, x, **window), max_pool_select(solid_x, solid_x, **window)),
        (avg_pool(x, **window), avg_pool(solid_x, **window)),
        (
            avg_pool_input_gradient(pooled, shape=(5, 6), **window),
            avg_pool_input_gradient(pooled.copy(), shape=(5, 6), **window),
        ),
    ]
    for strided, solid in results:
        np.testing.assert_allclose(strided, solid, rtol=1e-12, atol=1e-12)


# Pooling ----------------------------------------------------------------------------------------


@quick
@given(pools())
def test_pools_are_their_definitions(case):
    x, window = case
    np.testing.assert_array_equal(max_pool(x, **window), naive_pool(np.max, x, **window, fill=-np.inf))
    np.testing.assert_allclose(
        avg_pool(x, **window), naive_pool(np.mean, x, **window, fill=0), rtol=1e-12, atol=1e-12
    )


@quick
@given(pools())
def test_pool_gradients_are_adjoints(case):
    x, window = case
    random = np.random.default_rng(3)
    g, t = random.standard_normal(max_pool(x, **window).shape), random.standard_normal(x.shape)
    sizes = x.shape[x.ndim - len(window["size"]) :]
    scattered, selected = max_pool_scatter(g, x, **window), max_pool_select(t, x, **window)
    assert (scattered.shape, selected.shape) == (x.shape, g.shape)
    assert_adjoint(inner(t, scattered), inner(selected, g))
    spread = avg_pool_input_gradient(g, shape=sizes, **window)
    assert spread.shape == x.shape
    assert_adjoint(inner(avg_pool(t, **window), g), inner(t, spread))


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize("special", [None, np.nan, np.inf, -np.inf])
def test_max_pool_gradient_is_shared_by_ties(special):
    random = np.random.default_rng(4)
    x = random.integers(0, 2, (2, 2, 5, 4)).astype(float)
    if special is not None:
        x[random.random(x.shape) < 0.5] = special
    window = {"size": (3, 2), "stride": (2, 1), "padding": ((3, 1), (0, 1))}
    expected = naive_ties(x, **window)
    y = max_pool(x, **window)
    g, t = random.standard_normal(y.shape), random.standard_normal(x.shape)
    np.testing.assert_allclose(
        max_pool_scatter(g, x, **window).ravel(), expected.T @ g.ravel(), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(
        max_pool_select(t, x, **window).ravel(), expected @ t.ravel(), rtol=1e-12, atol=1e-12
    )


def test_max_pool_of_nan_and_of_padding_alone():
    x = np.array([1.0, np.nan, 3.0, 4.0])
    y = max_pool(x, size=(2,), stride=(2,), padding=((2, 0),))
    np.testing.assert_array_equal(y, [-np.inf, np.nan, 4.0])


def test_an_infinite_gradient_stays_with_the_largest():
    x, window = np.array([1.0, 2.0]), {"size": (2,), "stride": (2,), "padding": ((0, 0),)}
    np.testing.assert_array_equal(max_pool_scatter(np.array([np.inf]), x, **window), [0, np.inf])
    np.testing.assert_array_equal(max_pool_select(np.array([np.nan, 5.0]), x, **window), [5.0])


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.array([-5, -3, 7], np.int8), np.array([-128, -3, 7], np.int8)),
        (np.array([5, 3, 7], np.uint8), np.array([0, 5, 7], np.uint8)),
        (np.array([False, True, False]), np.array([False, True, False])),
    ],
)
def test_max_pool_of_integers_pads_with_the_smallest(x, expected):
    y = max_pool(x, size=(2,), stride=(2,), padding=((2, 1),))
    np.testing.assert_array_equal(y, expected)
    assert y.dtype == x.dtype


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_pools_preserve_dtype(dtype):
    x = np.arange(8).reshape(2, 4).astype(dtype)
    window = {"size": (2,), "stride": (1,), "padding": ((1, 0),)}
    y = max_pool(x, **window)
    for result in (
        y,
        avg_pool(x, **window),
        max_pool_scatter(y, x, **window),
        max_pool_select(x, x, **window),
        avg_pool_input_gradient(y, shape=(4,), **window),
    ):
        assert result.dtype == dtype


# Errors -----------------------------------------------------------------------------------------


def test_windows_shape_counts_as_floor():
    assert windows_shape((28, 7, 5), (3, 2, 5), (2, 3, 1), ((1, 1), (0, 1), (0, 0)), (1, 3, 1)) == (14, 2, 1)


def test_kernel_that_does_not_fit_says_what_would():
    with pytest.raises(ShapeError) as caught:
        conv(
            np.ones((1, 1, 8, 3)),
            np.ones((1, 1, 3, 3)),
            stride=(1, 1),
            padding=((0, 0), (0, 1)),
            dilation=(2, 3),
            groups=1,
        )
    text = str(caught.value)
    assert "kernel (3, 3) does not fit into an input of spatial shape (8, 3)" in text
    assert "along spatial axis 1 the kernel spans 7 elements (dilation 3)" in text
    assert "only 4" in text
    assert "padding=((0, 0), (1, 3))" in text
    assert windows_shape((8, 3), (3, 3), (1, 1), ((0, 0), (1, 3)), (2, 3)) == (4, 1)


@pytest.mark.parametrize(
    ("geometry", "complaint"),
    [
        (((5, 5), (3,), (1,), ((0, 0),), (1,)), "the input has 2 spatial axes; the kernel has 1"),
        (((5,), (3,), (0,), ((0, 0),), (1,)), "stride (0,) has a number below 1"),
        (((5,), (0,), (1,), ((0, 0),), (1,)), "kernel (0,) has a number below 1"),
        (((5,), (3,), (1,), ((0, 0),), (-1,)), "dilation (-1,) has a number below 1"),
    ],
)
def test_geometries_without_meaning(geometry, complaint):
    with pytest.raises(ShapeError) as caught:
        windows_shape(*geometry)
    assert complaint in str(caught.value)


def test_pools_refuse_dtypes_without_their_meaning():
    window = {"size": (2,), "stride": (2,), "padding": ((0, 0),)}
    x = np.arange(4)
    with pytest.raises(ShapeError, match="complex numbers have none"):
        max_pool(x.astype(complex), **window)
    for refused in (
        lambda: avg_pool(x, **window),
        lambda: max_pool_scatter(x[:2], x, **window),
        lambda: max_pool_select(x, x, **window),
        lambda: avg_pool_input_gradient(x[:2], shape=(4,), **window),
    ):
        with pytest.raises(ShapeError, match=r"x\.astype\(np\.float32\)"):
            refused()

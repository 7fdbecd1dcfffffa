"""Every NumPy function that is traced, against NumPy itself: values, types, compilation, gradients."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import tree
from numeric import assert_near, direction, inner, is_real, richardson
from numpy_calls import NumpyCall, calls

CALLS = list(calls())
every = pytest.mark.parametrize("row", CALLS, ids=[row.text for row in CALLS])


def parts(result):
    return [np.asarray(leaf) for leaf in tree.leaves(result)]


def same(got, wanted, exact):
    """Equal in shapes and dtypes, and in every element (up to rounding where it is not exact)."""
    got, wanted = parts(got), parts(wanted)
    assert [(x.shape, x.dtype) for x in got] == [(x.shape, x.dtype) for x in wanted]
    for a, b in zip(got, wanted, strict=True):
        if exact:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-6 if a.dtype == np.float32 else 1e-13, atol=1e-14)


@every
def test_as_numpy(row: NumpyCall):
    """Traced with values, and compiled without by the NumPy engine: NumPy's result, dtype and shape."""
    wanted = row.call(*row.inputs)
    graph = bg.trace(row.call, *row.inputs, keep_values=True)
    same([node.value for node in graph.outputs], wanted, row.exact)
    if row.compiles:
        same(bg.compile(row.call, engine="numpy")(*row.inputs), wanted, row.exact)


def weighted(row, weights):
    """The sum of all real results, each element times a weight of its own."""

    def total(*xs):
        results = tree.leaves(row.call(*xs))
        return sum(np.sum(y * w) for y, w in zip(results, weights, strict=True) if w is not None)

    return total


def differentiable(row):
    """Calls with real results at finite double-precision arguments, where nothing jumps."""
    reals = [x for x in row.inputs if is_real(x)]
    finite = reals and all(np.all(np.isfinite(x)) and np.asarray(x).dtype == float for x in reals)
    results = parts(row.call(*row.inputs))
    exact = any(y.dtype == float for y in results) and all(y.dtype != np.float32 for y in results)
    return finite and exact and "round" not in row.text


SMOOTH = [row for row in CALLS if differentiable(row)]


@pytest.mark.parametrize("row", SMOOTH, ids=[row.text for row in SMOOTH])
def test_gradients(row: NumpyCall):
    """The gradient with random weights of the results, against differences."""
    random = np.random.default_rng(7)
    chosen = [i for i, x in enumerate(row.inputs) if is_real(x)]
    weights = [
        random.normal(size=y.shape) if y.dtype.kind == "f" else None for y in parts(row.call(*row.inputs))
    ]
    total = weighted(row, weights)
    gradients = bg.grad(total, argnums=chosen)(*row.inputs)
    vs = direction(row.inputs, random)
    got = inner(gradients, [vs[i] for i in chosen])
    assert_near(got, richardson(total, row.inputs, vs, 0.004), "gradient", 1e-8)
    for i, d in zip(chosen, gradients, strict=True):
        assert (type(d) is np.ndarray) == (type(row.inputs[i]) is np.ndarray)
        assert np.shape(d) == np.shape(row.inputs[i])


@pytest.mark.parametrize("row", SMOOTH, ids=[row.text for row in SMOOTH])
def test_second_derivatives(row: NumpyCall):
    """The derivative of the gradient, against differences of the gradient."""
    random = np.random.default_rng(8)
    chosen = [i for i, x in enumerate(row.inputs) if is_real(x)]
    weights = [
        random.normal(size=y.shape) if y.dtype.kind == "f" else None for y in parts(row.call(*row.inputs))
    ]
    total = weighted(row, weights)
    vs, ws = direction(row.inputs, random), direction(row.inputs, random)

    def slope(*xs):
        gradients = bg.grad(total, argnums=chosen)(*xs)
        along = sum(np.sum(d * vs[i]) for d, i in zip(gradients, chosen, strict=True))
        return along + 0.0 * sum(np.sum(xs[i]) for i in chosen)  # of what is linear the slope is 0

    got = inner(bg.grad(slope, argnums=chosen)(*row.inputs), [ws[i] for i in chosen])
    assert_near(got, richardson(slope, row.inputs, ws, 0.004), "second derivative", 1e-7)

"""Tables multiplied instead of their rows: the same values, fewer operations, the same errors."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad.bench.flops import flops
from boxgrad.engines.native.engine import prepared

V, D, F = 7, 96, 40
random = np.random.default_rng(3)
E = random.normal(size=(V, D))
W = random.normal(size=(D, F))
B = random.normal(size=F)
FLAT = random.integers(0, V, 300)
GRID = random.integers(-V, V, (25, 12))
G = {shape: random.normal(size=(*shape, F)) for shape in ((300,), (25, 12), (12, 25))}


def flat(e, w, b, i):
    return np.sum((e[i] @ w + b) * G[i.shape])


def grid(e, w, b, i):
    """As an embedding and a recurrent layer's projection: rows are reshaped, multiplied, reshaped back."""
    x = e[i].reshape(-1, D) @ w + b
    return np.sum(np.tanh(x.reshape(*i.shape, F)) * G[i.shape])


def swapped(e, w, b, i):
    """Time and batch change places before the product."""
    x = np.swapaxes(e[i], 0, 1)
    return np.sum(np.einsum("tbd,df->btf", x, w) * G[i.shape] + b)


def scaled(e, w, b, i):
    """Through a factor and a bias, from the left."""
    x = (3.0 * e[i] - b[0]).reshape(-1, D) * np.arange(1.0, D + 1)
    return np.sum((w.T @ x.T).T * G[(300,)]) + np.sum(b)


def columns(e, w, b, i):
    """Rows along the second axis of a transposed table."""
    x = e.T[:, i]
    return np.sum(np.einsum("d...,df->...f", x, w) * G[i.shape] + b)


def two_products(e, w, b, i):
    """As a layer that runs in two directions: the gradient of the rows is a sum of two products."""
    x = e[i].reshape(-1, D)
    return np.sum(np.tanh(x @ w) * (x @ (w * b)) * G[(300,)])


def also_used(e, w, b, i):
    """The rows are needed elsewhere as well."""
    x = e[i].reshape(-1, D)
    return np.sum((x @ w + b) * G[(300,)]) + np.sum(np.tanh(x) ** 2)


CASES = [
    (flat, FLAT), (flat, GRID), (grid, GRID), (swapped, GRID), (scaled, GRID), (columns, FLAT),
    (columns, GRID), (two_products, GRID), (also_used, GRID),
]  # fmt: skip


def derivative(function):
    return bg.value_and_grad(function, argnums=(0, 1, 2))


def flat_results(results):
    value, gradients = results
    return [np.asarray(value), *gradients]


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize(("function", "index"), CASES)
def test_same_values_and_gradients(function, index, engine):
    step = bg.compile(derivative(function), engine=engine)
    got = flat_results(step(E, W, B, index))
    wanted = flat_results(derivative(function)(E, W, B, index))
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * np.abs(b).max())
    assert flops(prepared(step.graph)) < 0.5 * flops(step.graph)


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64])
def test_dtypes_of_indices(dtype, engine):
    index = FLAT.astype(dtype)
    step = bg.compile(derivative(flat), engine=engine)
    for a, b in zip(
        flat_results(step(E, W, B, index)), flat_results(derivative(flat)(E, W, B, index)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_second_derivative():
    def slope(e, w, b, i):
        d_e, d_w = bg.grad(grid, argnums=(0, 1))(e, w, b, i)
        return np.sum(d_e**2) + np.sum(d_w * w)

    wanted = flat_results(derivative(slope)(E, W, B, GRID))
    for engine in ("numpy", "native"):
        step = bg.compile(derivative(slope), engine=engine)
        for a, b in zip(flat_results(step(E, W, B, GRID)), wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(b).max()))
        assert flops(prepared(step.graph)) < flops(step.graph)


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize("wrong", [V, -V - 1])
def test_index_out_of_range(wrong, engine):
    index = GRID.copy()
    index[3, 4] = wrong
    with pytest.raises(IndexError, match="out of bounds for axis 0 with size 7"):
        bg.compile(derivative(grid), engine=engine)(E, W, B, index)


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_rows_that_no_index_names_do_not_count(engine):
    table = E.copy()
    table[5] = np.nan
    table[6] = np.inf
    index = np.where(GRID % V > 4, 0, GRID)
    step = bg.compile(derivative(grid), engine=engine)
    with np.errstate(invalid="ignore"):
        got = flat_results(step(table, W, B, index))
    for a, b in zip(got, flat_results(derivative(grid)(table, W, B, index)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
        assert np.all(np.isfinite(a))


def test_what_does_not_win_is_left_alone():
    """A table of more rows than there are indices; an index that both operands have; a single row."""
    large = random.normal(size=(1000, D))
    few = bg.compile(derivative(flat), engine="numpy")
    few(large, W, B, FLAT)
    assert flops(prepared(few.graph)) == flops(few.graph)

    def paired(e, w, i):
        return np.sum(np.einsum("nd,nd->n", e[i], w[i]))

    both = bg.compile(bg.grad(paired), engine="numpy")
    np.testing.assert_allclose(both(E, E, FLAT), bg.grad(paired)(E, E, FLAT), rtol=1e-12)
    assert flops(prepared(both.graph)) == flops(both.graph)
    one = bg.compile(lambda e, w, i: e[i] @ w, engine="numpy")
    np.testing.assert_allclose(one(E, W, np.int64(3)), E[3] @ W, rtol=1e-12)
    assert flops(prepared(one.graph)) == flops(one.graph)


def test_explanations_show_the_graph_as_written():
    step = bg.compile(derivative(flat), engine="numpy")
    step(E, W, B, FLAT)
    shapes = [node.shape for node in step.graph.nodes if node.primitive and node.primitive.name == "contract"]
    assert (300, F) in shapes


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_embedding_and_recurrent_layers(engine):
    """Both directions, batch first, and an embedding with a row for padding."""
    x = random.integers(0, 5, (16, 20))
    y = random.integers(0, 5, 16)
    layers = bg.nn.Embedding(5, 24, padding_idx=1, seed=0, dtype=np.float64)
    network = bg.nn.LSTM(24, 16, num_layers=2, bidirectional=True, batch_first=True, seed=1, dtype=np.float64)

    def loss(parts):
        table, network = parts
        return bg.nn.cross_entropy(np.mean(network(table(x))[0], axis=1)[:, :5], y)

    wanted, slopes = bg.value_and_grad(loss)((layers, network))
    got, found = bg.compile(bg.value_and_grad(loss), engine=engine)((layers, network))
    np.testing.assert_allclose(got, wanted, rtol=1e-12)
    for a, b in zip(found, slopes, strict=True):
        state = b.state_dict()
        for name, value in a.state_dict().items():
            np.testing.assert_allclose(value, state[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_long_chains_do_not_recurse():
    """Thousands of boxes between a table and its product, and between a gradient and its rows."""

    def long(e, w, b, i):
        x = e[i]
        for _ in range(1500):
            x = x * 0.999 + 0.001
        return np.sum((x @ w + b) * G[i.shape])

    step = bg.compile(derivative(long), engine="numpy")
    wanted = flat_results(derivative(long)(E, W, B, FLAT))
    for a, b in zip(flat_results(step(E, W, B, FLAT)), wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * np.abs(b).max())

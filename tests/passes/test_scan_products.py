"""What leaves a loop: the same values, and the products where they should be."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad.engines.native.engine import prepared

random = np.random.default_rng(11)
T, N, D, H, K = 9, 3, 5, 4, 2
X = random.normal(size=(T, N, D))
P = {
    "wx": random.normal(size=(D, H)),
    "wh": random.normal(size=(H, H)) / 2,
    "b": random.normal(size=H),
    "wy": random.normal(size=(H, K)),
    "h": random.normal(size=(N, H)),
}
TOKENS = random.integers(0, 6, (T, N))


def plain(p, x):
    def cell(h, x):
        h = np.tanh(x @ p["wx"] + h @ p["wh"] + p["b"])
        return h, h @ p["wy"]

    h, y = bg.scan(cell, p["h"], x)
    return np.sum(y**2) + np.sum(h)


def backwards(p, x):
    def cell(h, x):
        h = np.tanh(np.einsum("nd,dh->nh", x, p["wx"]) + np.dot(h, p["wh"].T))
        return h, (np.tanh(h @ p["wy"]) * 2, x[:, 0], x)

    h, (y, first, same) = bg.scan(cell, p["h"], x, reverse=True)
    return np.sum(y * first[..., None]) + np.sum(h) + np.sum(same * x)


def gated(p, x):
    """A product that meets a gate made of the input alone, a norm, and a carry that is the input."""

    def cell(carry, x):
        h, before = carry
        gate = 1 / (1 + np.exp(-(x[:, :1] * 2 + 1)))
        z = np.concatenate([x, before], axis=1) @ np.concatenate([p["wx"], p["wx"]])
        h = gate * np.tanh(z / np.sqrt(1 + np.mean(z**2, axis=1, keepdims=True)) + h @ p["wh"])
        return (h, x), np.sum(h * gate)

    (h, last), y = bg.scan(cell, (p["h"], x[0]), x)
    return np.sum(y) + np.sum(h) + np.sum(last)


def totals(p, x):
    """Sums that grow step by step: of a product, of a row sum, and one that is read on the way."""

    def cell(carry, x):
        h, a, b, c = carry
        h = np.tanh(x @ p["wx"] + h @ p["wh"])
        c = c + np.sum(h, axis=0)
        return (h, a + x.T @ h, b + np.sum(h, axis=0), c), (h, c * 2)

    start = p["h"], p["wx"] * 3, p["b"], p["b"]
    (_, a, b, c), (hs, cs) = bg.scan(cell, start, x)
    return np.sum(a**2) + np.sum(b * c) + np.sum(hs) + np.sum(cs**2)


def same_each_step(p, x):
    """Nothing of the second product depends on the step."""

    def cell(h, _):
        h = np.tanh(h @ (p["wh"] @ p["wh"].T) + np.exp(p["b"]))
        return h, p["wh"] @ p["wy"]

    h, y = bg.scan(cell, p["h"], None, length=4)
    return np.sum(h) + np.sum(y * np.arange(4.0)[:, None, None]) + np.sum(x)


def of_single_vectors(p, x):
    """No batch: vectors times matrices, and a matrix that varies times one that does not."""

    def cell(h, x):
        h = np.tanh(x[0] @ p["wx"] + p["wh"] @ h)
        return h, (np.dot(h, p["b"]), np.outer(x[1], p["b"]), x.T @ p["h"])

    h, (a, b, c) = bg.scan(cell, p["h"][0], x)
    return np.sum(h) + np.sum(a**2) + np.sum(b**3) + np.sum(c**2)


def nested(p, x):
    def outer(h, x):
        def inner(g, row):
            g = np.tanh(g @ p["wh"] + row @ p["wx"])
            return g, g @ p["wy"]

        h, y = bg.scan(inner, h, np.stack([x, x * 2]))
        return h, (np.sum(y), x @ p["wx"])

    h, (y, z) = bg.scan(outer, p["h"], x)
    return np.sum(h) + np.sum(y**2) + np.sum(z**2)


FUNCTIONS = [plain, backwards, gated, totals, same_each_step, of_single_vectors, nested]


def compare(found, wanted):
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_values_and_gradients(function, engine):
    derivative = bg.value_and_grad(function, argnums=(0, 1))
    wanted, (slopes, slope) = derivative(P, X)
    got, (found, other) = bg.compile(derivative, engine=engine)(P, X)
    np.testing.assert_allclose(got, wanted, rtol=1e-12)
    compare({**found, "x": other}, {**slopes, "x": slope})


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize("function", [plain, gated, totals])
def test_second_derivatives(function, engine):
    def slope(p, x):
        return sum(np.sum(g**2) for g in bg.grad(function)(p, x).values())

    derivative = bg.value_and_grad(slope, argnums=(0, 1))
    wanted, (slopes, other) = derivative(P, X)
    got, (found, of_x) = bg.compile(derivative, engine=engine)(P, X)
    np.testing.assert_allclose(got, wanted, rtol=1e-10)
    compare({**found, "x": of_x}, {**slopes, "x": other})


def loops_of(graph):
    return [node for node in graph.nodes if node.primitive and node.primitive.name == "scan"]


def products(graph):
    return [node for node in graph.nodes if node.primitive and node.primitive.name == "contract"]


def test_one_product_is_left_in_each_direction():
    """Of a cell ``x @ Wx + h @ Wh`` with a head, the loops keep what the carry needs."""
    step = bg.compile(bg.value_and_grad(plain, argnums=(0, 1)), engine="numpy")
    step(P, X)
    before, after = step.graph, prepared(step.graph)
    assert [len(products(loop.parameters["body"])) for loop in loops_of(before)] == [3, 3]
    assert [len(products(loop.parameters["body"])) for loop in loops_of(after)] == [1, 1]
    # Outside: projection, head, its gradient; those of the input and of three weights.
    assert len(products(after)) == 7
    assert [loop.parameters["carries"] for loop in loops_of(after)] == [1, 1]


def test_tokens_in_a_cell():
    """A table looked up in the cell is multiplied once, before the loop."""
    wide, rows = 80, 3000
    tokens = random.integers(0, 6, (60, rows // 60))
    table, weight = random.normal(size=(6, wide)), random.normal(size=(wide, 8))

    def loss(table, weight):
        def cell(h, i):
            return np.tanh(table[i] @ weight + h * 0.5), None

        return np.sum(bg.scan(cell, np.zeros((rows // 60, 8)), tokens)[0])

    derivative = bg.value_and_grad(loss, argnums=(0, 1))
    wanted, slopes = derivative(table, weight)
    for engine in ("numpy", "native"):
        step = bg.compile(derivative, engine=engine)
        got, found = step(table, weight)
        np.testing.assert_allclose(got, wanted, rtol=1e-12)
        for a, b in zip(found, slopes, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
        after = prepared(step.graph)
        assert not any(products(loop.parameters["body"]) for loop in loops_of(after))
        assert all(node.shape != (*tokens.shape, wide) for node in after.nodes)


def test_large_operands_stay_in_the_loop():
    """A product whose operands would have to be kept from every step, and are much more than its result."""

    def f(h, w):
        def cell(h, _):
            h = np.tanh(h * 0.9)
            return h, np.exp(h) @ w

        return bg.scan(cell, h, None, length=5)[1]

    h, w = random.normal(size=(3, 50)), random.normal(size=(50, 2))
    step = bg.compile(f, engine="numpy")
    np.testing.assert_allclose(step(h, w), f(h, w), rtol=1e-12)
    (loop,) = loops_of(prepared(step.graph))
    assert len(products(loop.parameters["body"])) == 1
    assert all(x.shape == (5, 3, 2) for x in prepared(step.graph).outputs)


def test_errors_in_a_cell_are_raised():
    table, weight = random.normal(size=(4, 3)), random.normal(size=(3, 2))
    index = np.array([[0, 1], [3, 4]])

    def f(table, weight, index):
        return bg.scan(lambda h, i: (h + table[i] @ weight, None), np.zeros((2, 2)), index)[0]

    for engine in ("numpy", "native"):
        with pytest.raises(IndexError, match="index 4 is out of bounds for axis 0 with size 4"):
            bg.compile(f, engine=engine)(table, weight, index)


def test_boxes_of_numpy_in_a_native_loop():
    """A loop runs natively around a box without a kernel: an inverse, in both directions."""

    def f(h, x, w):
        def cell(h, x):
            inner, _ = bg.scan(lambda g, row: (np.tanh(g + row), None), h[0], x)
            turned = h @ np.linalg.inv(np.eye(4) + 0.1 * np.tanh(h.T @ h + w))
            return np.tanh(turned) * 0.5 + inner, (np.sum(turned), x * 2)

        h, (y, z) = bg.scan(cell, h, x, reverse=True)
        return np.sum(h) + np.sum(y**2) + np.sum(z * x)

    h, x, w = random.normal(size=(3, 4)), random.normal(size=(7, 3, 4)), random.normal(size=(4, 4))
    derivative = bg.value_and_grad(f, argnums=(0, 1, 2))
    step = bg.compile(derivative, engine="native")
    wanted, slopes = derivative(h, x, w)
    for _ in range(2):
        got, found = step(h, x, w)
        np.testing.assert_allclose(got, wanted, rtol=1e-12)
        for a, b in zip(found, slopes, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    rows = {row.box: row.count for row in step.report().rows}
    assert rows["solve"] == 7  # in the loop forward, and in the one of the derivative


def test_large_products_stay_in_a_loop():
    """A loop over large parts, as somebody writes it to save memory."""

    def f(w, x):
        return np.sum(bg.scan(lambda total, x: (total + np.sum(np.tanh(x @ w)), None), 0.0, x)[0])

    w, x = random.normal(size=(2, 3)), random.normal(size=(4, 600, 2))
    step = bg.compile(f, engine="numpy")
    np.testing.assert_allclose(step(w, x), f(w, x), rtol=1e-12)
    (loop,) = loops_of(prepared(step.graph))
    assert len(products(loop.parameters["body"])) == 1

"""Arguments that a compiled function writes: over their own memory where safe, and never otherwise."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn, optim


def momentum(p, m, g):
    m *= 0.9
    m += g
    p -= 0.1 * m
    return np.sum(p)


def arrays(n=1000):
    random = np.random.default_rng(0)
    return [random.normal(size=n).astype(np.float32) for _ in range(3)]


def test_a_step_in_place():
    step = bg.compile(momentum, engine="native")
    p, m, g = arrays()
    expected = [x.copy() for x in (p, m, g)]
    for _ in range(3):
        wanted = momentum(*expected)
        np.testing.assert_allclose(step(p, m, g), wanted, rtol=1e-5)
        for got, exact in zip((p, m, g), expected, strict=True):
            np.testing.assert_array_equal(got, exact)
    (program,) = [entry.run for entry in step._entries.values()]
    assert sorted(program._written) == [0, 1]


@pytest.mark.parametrize("layout", ["strided", "transposed", "reversed", "part of another", "unaligned"])
def test_any_layout_is_written(layout):
    base = np.arange(2000, dtype=np.float32)
    p = {
        "strided": lambda: base[::2],
        "transposed": lambda: base.reshape(50, 40).T,
        "reversed": lambda: base[::-1],
        "part of another": lambda: base[3:900],
        "unaligned": lambda: np.frombuffer(bytearray(1 + 4 * 100), np.float32, 100, 1),
    }[layout]()
    step = bg.compile(lambda p: p.__imul__(2) is None, engine="native")
    expected = p * 2
    step(p)
    np.testing.assert_array_equal(p, expected)


def test_arguments_that_share_memory():
    """The other argument is read as it was before the call, as in the NumPy engine."""

    def shift(p, x):
        p[...] = x * 2
        return np.sum(x)

    first = np.arange(100, dtype=np.float32)
    step = bg.compile(shift, engine="native")
    step(first[:50].copy(), first[50:].copy())
    total = step(first[:50], first[25:75])
    assert total == np.arange(25, 75).sum()
    np.testing.assert_array_equal(first[:50], 2 * np.arange(25, 75))


def test_a_read_only_argument_is_refused():
    p, m, g = arrays()
    step = bg.compile(momentum, engine="native")
    step(*(x.copy() for x in (p, m, g)))
    p.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        step(p, m, g)


def test_an_argument_that_became_read_only():
    """An array that the program has seen, and may no longer write."""
    p, m, g = arrays()
    step = bg.compile(momentum, engine="native")
    step(p, m, g)
    step(p, m, g)
    before = p.copy()
    p.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        step(p, m, g)
    np.testing.assert_array_equal(p, before)


def test_results_are_not_the_arguments():
    def step(p):
        p += 1
        return p, p * 2

    p = np.zeros(5, np.float32)
    result, _ = bg.compile(step, engine="native")(p)
    result += 10
    np.testing.assert_array_equal(p, np.ones(5))


def test_an_error_leaves_the_arguments_as_they_were():
    def step(p, index):
        p += np.sum(p[index])
        return p[index] * 2

    p = np.ones(5, np.float32)
    compiled = bg.compile(step, engine="native")
    compiled(p, np.array([4]))
    before = p.copy()
    with pytest.raises(IndexError):
        compiled(p, np.array([5]))
    np.testing.assert_array_equal(p, before)


def test_whole_steps_follow_the_numpy_engine():
    """Losses over twenty steps of Adam, from the same weights on the same data."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(32, 20)).astype(np.float32), random.integers(0, 5, 32)

    def losses(engine):
        model = nn.Sequential(nn.Linear(20, 33, seed=1), nn.Tanh(), nn.Linear(33, 5, seed=2))
        optimizer = optim.Adam(model, lr=1e-2)

        @bg.compile(engine=engine)
        def step(model, optimizer, x, y):
            loss, gradients = bg.value_and_grad(lambda model: nn.cross_entropy(model(x), y))(model)
            optimizer.update(model, gradients)
            return loss

        return [float(step(model, optimizer, x, y)) for _ in range(20)]

    np.testing.assert_allclose(losses("native"), losses("numpy"), rtol=2e-5)


@pytest.mark.parametrize("shape", [(3, 40, 40), (2, 100, 100), (5, 64, 64)])
def test_a_product_is_not_written_over_its_operands(shape):
    """A batch of square products: result and operands have one shape and layout, and are read throughout."""
    random = np.random.default_rng(0)
    x, w = (random.normal(size=shape) / shape[-1] ** 0.5 for _ in range(2))

    def left(x, w):
        return ((np.tanh(x @ w) @ w) @ w) @ w

    def right(x, w):
        return w @ (w @ (w @ np.tanh(w @ x)))

    for f in (left, right):
        run = bg.compile(f, engine="native")
        for _ in range(2):
            np.testing.assert_allclose(run(x, w), f(x, w), atol=1e-12)

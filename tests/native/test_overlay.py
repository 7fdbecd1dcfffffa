"""Loops that write over what they read: right for every kind of cell, and used where nobody can tell."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn
from boxgrad.engines.native import engine, loops, overlay

STEPS, ROWS, WIDTH = 5, 3, 8


def gates(c, x):
    z = x + 0.1 * c
    i, f, g = np.tanh(z[:, :2]), np.exp(z[:, 2:5] * 0.1), np.sin(z[:, 5:])
    return c + np.sum(i * f[:, :2]), (i, f, g)


def one(c, x):
    return c + 1, (np.tanh(x + c),)


def swapped(c, x):
    return c + 1, (np.tanh(x[:, 4:]) + c, x[:, :4] * 2)


def backwards(c, x):
    return c + 1, (x[:, ::-1] * c,)


def rows_turned(c, x):
    return c + 1, (np.roll(x, 1, axis=0) + c,)


def centred(c, x):
    return c + np.sum(x), (x - np.mean(x, axis=1, keepdims=True),)


def halves_of_means(c, x):
    mean = np.mean(x, axis=1, keepdims=True)
    return c + 1, (x[:, :4] - mean, x[:, 4:] + mean)


def running(c, x):
    return c + 1, (np.cumsum(x, axis=1) * c,)


def ordered(c, x):
    return c + 1, (np.sort(x, axis=1) + c,)


def multiplied(c, x):
    square = np.linspace(-1, 1, WIDTH * WIDTH).reshape(WIDTH, WIDTH)
    return c + 1, (x @ square + c,)


def squared(c, x):
    return c + 1, (x @ np.swapaxes(x, -1, -2)[:, :3] @ x + c,)


def late(c, x):
    y = np.tanh(x)
    return c + np.sum(y @ np.ones((WIDTH, 2))), (y, c + np.sum(x @ np.ones((WIDTH, 3))))


def handed_on(c, x):
    return c + 1, (x[:, 4:], x[:, :4])


def in_a_loop(c, x):
    inner, y = bg.scan(lambda d, row: (d + row, row * d), np.zeros(WIDTH), x)
    return c + np.sum(inner), (y + x,)


def mixed(c, x):
    return c + 1, (x[:, :4] + x[:, 4:], x[:, 4:] * c)


CELLS = [
    gates, one, swapped, backwards, rows_turned, centred, halves_of_means, running, ordered, multiplied,
    squared, late, handed_on, in_a_loop, mixed,
]  # fmt: skip


def stepped(cell, reverse):
    def function(x, w):
        final, saved = bg.scan(cell, np.ones(()), np.tanh(x @ w), reverse=reverse)
        return final, *saved

    def loss(x, w):
        return sum(np.sum(np.sin(value)) for value in function(x, w))

    return function, loss


def arrays(seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(STEPS, ROWS, 6)), random.normal(size=(6, WIDTH))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
def test_every_kind_of_cell(cell, reverse):
    function, loss = stepped(cell, reverse)
    for f in (function, bg.grad(loss, argnums=(0, 1))):
        expected, found = (bg.compile(f, engine=name) for name in ("numpy", "native"))
        for seed in range(3):
            for a, b in zip(found(*arrays(seed)), expected(*arrays(seed)), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def overlaid(f, *args):
    """The loops of a compiled function that write over what they read."""
    found = []
    kept = overlay.hold

    def spy(lowering, steps):
        result = kept(lowering, steps)
        found.append((len(lowering.overlays), result))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "hold", spy)
        bg.compile(f, engine="native")(*args)
    return found


@pytest.mark.parametrize("cell", [gates, one], ids=lambda cell: cell.__name__)
def test_gates_lie_where_their_products_lay(cell):
    function, _ = stepped(cell, False)
    assert overlaid(function, *arrays()) == [(1, True)]


def test_a_step_that_would_read_too_late_is_lowered_again():
    function, _ = stepped(swapped, False)
    assert overlaid(function, *arrays()) == [(1, False), (0, True)]


def test_what_others_want_is_not_written_over():
    def function(x, w):
        z = np.tanh(x @ w)
        return *bg.scan(one, np.ones(()), z)[1], np.sum(z)

    def result(x, w):
        z = np.tanh(x @ w)
        return *bg.scan(one, np.ones(()), z)[1], z

    def argument(x, w):
        return bg.scan(one, np.ones(()), x)[1]

    for f in (function, result, argument):
        assert overlaid(f, *arrays()) == [(0, True)]
        for a, b in zip(bg.compile(f, engine="native")(*arrays()), f(*arrays()), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers(layer):
    """Two layers and their gradients against the NumPy engine; gates, and then their gradients, in place."""
    model = layer(5, 7, num_layers=2).initialise(seed=0)
    x = np.random.default_rng(0).normal(size=(6, 3, 5)).astype(np.float32)

    def loss(model, x):
        return np.sum(np.sin(model(x)[0]))

    f = bg.value_and_grad(loss)
    value, expected = bg.compile(f, engine="numpy")(model, x)
    run = bg.compile(f, engine="native")
    for _ in range(3):
        got, found = run(model, x)
        np.testing.assert_allclose(got, value, rtol=1e-5)
        for (name, g), (_, e) in zip(found.named_parameters(), expected.named_parameters(), strict=True):
            np.testing.assert_allclose(g, e, rtol=2e-4, atol=1e-5, err_msg=name)
    if layer is nn.LSTM:
        assert overlaid(f, model, x) == [(4, True)]


def test_the_same_bits_with_overlays_and_without(monkeypatch):
    model = nn.LSTM(8, 16, num_layers=2).initialise(seed=0)
    x = np.random.default_rng(0).normal(size=(7, 4, 8)).astype(np.float32)
    f = bg.value_and_grad(lambda model: np.sum(np.sin(model(x)[0])))

    def found():
        return [np.array(g) for _, g in bg.compile(f, engine="native")(model)[1].named_parameters()]

    shared = found()
    monkeypatch.setattr(loops, "overlays", lambda *args: [])
    for a, b in zip(shared, found(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_derivatives_of_derivatives():
    _, loss = stepped(gates, False)

    def second(x, w):
        return bg.grad(lambda w: np.sum(bg.grad(loss, argnums=1)(x, w) ** 2))(w)

    expected, found = (bg.compile(second, engine=name)(*arrays()) for name in ("numpy", "native"))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)

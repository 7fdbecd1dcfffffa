"""What a function writes into its arguments reaches the caller, and what it returns is the caller's own."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import tree


class Counter:
    """A registered class, as a layer or an optimiser is."""

    def __init__(self):
        self.weight = np.array([1.0, 2.0])
        self.total = np.zeros(2)
        self.calls = np.zeros((), np.int64)
        self.name = "counter"


tree.register(Counter)


def used(module, x):
    module.total += module.weight * x
    module.calls += 1
    module.weight = module.weight * 0.5
    return np.sum(module.weight * x + module.total)


@pytest.mark.parametrize(
    "run",
    [
        used,
        bg.compile(used),
        lambda m, x: bg.value_and_grad(used)(m, x)[0],
        bg.compile(bg.value_and_grad(used)),
    ],
    ids=["plain", "compile", "grad", "compile of grad"],
)
def test_modules_are_written_back(run):
    module, total = Counter(), None
    total = module.total
    for _ in range(3):
        run(module, np.array([1.0, -1.0]))
    np.testing.assert_array_equal(module.weight, [0.125, 0.25])
    np.testing.assert_array_equal(module.total, [1.75, -3.5])
    assert module.total is total, "written in place"
    assert module.calls == 3
    assert (type(module.weight), module.calls.dtype) == (np.ndarray, np.int64)


def test_containers_are_written_back():
    def update(state, x):
        state["a"][0] += x
        state["b"][1][...] *= 2
        return np.sum(state["a"])

    for run in (update, bg.compile(update), bg.grad(update)):
        state = {"a": np.ones(2), "b": [np.ones(1), np.full(2, 3.0)]}
        run(state, np.array(2.0))
        np.testing.assert_array_equal(state["a"], [3.0, 1.0])
        np.testing.assert_array_equal(state["b"][1], [6.0, 6.0])


def test_one_array_at_two_places_is_one():
    def tied(pair):
        pair[0][0] += 1.0
        return np.sum(pair[1] * 2)

    for run in (tied, bg.compile(tied), lambda p: bg.value_and_grad(tied)(p)[0]):
        x = np.zeros(2)
        assert run((x, x)) == 2.0
        np.testing.assert_array_equal(x, [1.0, 0.0])


@pytest.mark.parametrize("size", [3, 20_000])
@pytest.mark.parametrize("wrap", [lambda f: f, bg.compile], ids=["eager", "compiled"])
def test_plain_arrays_that_change_between_uses(size, wrap):
    """A derivative is of the values that were used, though the function overwrites its plain arrays."""
    buffer = np.ones(size)

    def f(x):
        buffer[:] = 1.0
        total = np.sum(x * buffer)
        buffer[:] = 3.0
        return total + np.sum(x * buffer) + np.sum(x * buffer)

    np.testing.assert_array_equal(wrap(bg.grad(f))(np.ones(size)), np.full(size, 7.0))


@pytest.mark.parametrize("size", [3, 20_000])
def test_a_compiled_function_keeps_the_constants_it_was_traced_with(size):
    constant = np.ones(size)
    f = bg.compile(lambda x: x + constant)
    f(np.zeros(size))
    constant[:] = 5.0
    np.testing.assert_array_equal(f(np.zeros(size)), np.ones(size))


# ---- results belong to the caller
def test_results_share_no_memory():
    x = np.arange(3.0)

    def several(x):
        return np.ones(3), x * 2, x * 2, x.copy(), x.reshape(3, 1), np.broadcast_to(x[:1], (3,))

    compiled = bg.compile(several)
    first = [y.copy() for y in compiled(x)]
    for y in compiled(x):
        y += 100
    for got, wanted in zip(compiled(x), first, strict=True):
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(x, np.arange(3.0))


@pytest.mark.parametrize("wrap", [lambda f: f, bg.compile], ids=["plain", "compile"])
def test_gradients_share_no_memory(wrap):
    x, y = np.arange(3.0), np.ones(3)
    gradients = wrap(bg.grad(lambda x, y: np.sum(x + y), (0, 1)))(x, y)
    gradients[0][...] = 5.0
    np.testing.assert_array_equal(gradients[1], np.ones(3))
    g = np.ones(3)
    pulled = bg.vjp(lambda x: x.reshape(3) * 1, x)[1](g)[0]
    pulled += 1
    np.testing.assert_array_equal(g, np.ones(3))


def test_auxiliary_results_are_copies_where_numpy_copies():
    x = np.ones(3)

    def f(x):
        before = x.copy()
        x += 1
        return np.sum(x * before), before

    (_, before), _ = bg.value_and_grad(f, has_aux=True)(x)
    np.testing.assert_array_equal(before, np.ones(3))
    np.testing.assert_array_equal(x, np.full(3, 2.0))

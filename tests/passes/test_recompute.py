"""What a backward loop computes again instead of reading it."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn
from boxgrad.engines.native.engine import prepared

random = np.random.default_rng(5)
X = random.normal(size=(6, 3, 4))


def loops_of(graph):
    return [node for node in graph.nodes if node.primitive and node.primitive.name == "scan"]


def through_affine(w, x):
    """Saved: t, and 2 − 3 t, which is arithmetic on it; the carry itself; and an exponential."""

    def cell(h, x):
        t = np.tanh(x @ w + h)
        u = 2.0 - t * 3.0
        v = np.exp(u)
        return h * t + u * v, (u * t, v)

    h, (y, v) = bg.scan(cell, np.zeros((3, 4)), x)
    return np.sum(h) + np.sum(y * v)


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_values_and_gradients(engine):
    w = random.normal(size=(4, 4)) / 2
    derivative = bg.value_and_grad(through_affine, argnums=(0, 1))
    wanted, slopes = derivative(w, X)
    got, found = bg.compile(derivative, engine=engine)(w, X)
    np.testing.assert_allclose(got, wanted, rtol=1e-12)
    for a, b in zip(found, slopes, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_gates_are_not_kept_twice(engine):
    """Of an LSTM's step: h, c, the state before, four activations and tanh c; not the gates beside them."""
    network = nn.LSTM(4, 5, seed=0, dtype=np.float64)

    def loss(network, x):
        outputs, (h, c) = network(x)
        return np.sum(outputs**2) + np.sum(h * c)

    derivative = bg.value_and_grad(loss, argnums=(0, 1))
    step = bg.compile(derivative, engine=engine)
    got, (found, of_x) = step(network, X)
    wanted, (slopes, slope) = derivative(network, X)
    np.testing.assert_allclose(got, wanted, rtol=1e-12)
    np.testing.assert_allclose(of_x, slope, rtol=1e-9, atol=1e-12)
    for name, value in found.state_dict().items():
        np.testing.assert_allclose(value, slopes.state_dict()[name], rtol=1e-9, atol=1e-12, err_msg=name)
    before, after = (loops_of(graph)[0].parameters["body"] for graph in (step.graph, prepared(step.graph)))
    assert len(before.outputs) - len(after.outputs) >= 3


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("wanted", ["before", "after", "both", "neither", "swapped"])
def test_carries_that_are_kept_from_every_step(wanted, reverse):
    """A carry before a step, after it, or both; results do not share memory."""

    def f(h, x):
        def cell(carry, x):
            h, g = carry
            new = np.tanh(h + x) + g * 0.5
            outputs = {
                "before": (h, g), "after": (new, h), "both": (h, new, new), "neither": np.sum(new),
                "swapped": (g, h, new),
            }[wanted]  # fmt: skip
            return (new, h), outputs

        return bg.scan(cell, (h, h * 2), x, reverse=reverse)

    h = random.normal(size=(3, 4))
    (a, b), outputs = f(h, X)
    compiled = bg.compile(f, engine="native")
    for _ in range(2):
        (c, d), found = compiled(h, X)
        results = [c, d, *(found if isinstance(found, tuple) else (found,))]
        for x, y in zip(
            results, [a, b, *(outputs if isinstance(outputs, tuple) else (outputs,))], strict=True
        ):
            np.testing.assert_allclose(x, y, rtol=1e-12)
        for i, x in enumerate(results):
            assert not any(np.shares_memory(x, y) for y in results[i + 1 :])

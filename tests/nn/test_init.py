"""Initialisers against their distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from boxgrad.errors import BoxgradError, ShapeError
from boxgrad.nn import init

SHAPE = (64, 20, 3, 2)  # fan_in 120, fan_out 384

UNIFORM = {
    "xavier": (init.xavier_uniform, {"gain": 2.0}, 2 * math.sqrt(6 / 504)),
    "kaiming": (init.kaiming_uniform, {}, math.sqrt(6 / 120)),
    "kaiming fan_out": (init.kaiming_uniform, {"mode": "fan_out"}, math.sqrt(6 / 384)),
    "kaiming of Linear": (init.kaiming_uniform, {"a": math.sqrt(5)}, 1 / math.sqrt(120)),
    "uniform": (init.uniform, {"low": -0.3, "high": 0.3}, 0.3),
}
NORMAL = {
    "xavier": (init.xavier_normal, {"gain": 2.0}, 2 * math.sqrt(2 / 504)),
    "kaiming": (init.kaiming_normal, {"nonlinearity": "relu"}, math.sqrt(2 / 120)),
    "kaiming tanh": (
        init.kaiming_normal,
        {"nonlinearity": "tanh", "mode": "fan_out"},
        5 / 3 / math.sqrt(384),
    ),
    "normal": (init.normal, {"std": 0.02}, 0.02),
}


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_distributions(name):
    draw, options, bound = UNIFORM[name]
    drawn = draw(SHAPE, seed=0, **options)
    assert drawn.dtype == np.float32
    assert np.abs(drawn).max() <= bound * (1 + 1e-6)
    assert drawn.max() > 0.99 * bound
    assert drawn.min() < -0.99 * bound
    np.testing.assert_allclose(drawn.std(), bound / math.sqrt(3), rtol=0.03)


@pytest.mark.parametrize("name", NORMAL)
def test_normal_distributions(name):
    draw, options, deviation = NORMAL[name]
    drawn = draw(SHAPE, seed=0, dtype=np.float64, **options)
    assert drawn.dtype == np.float64
    np.testing.assert_allclose(drawn.std(), deviation, rtol=0.03)
    np.testing.assert_allclose(drawn.mean(), 0, atol=0.05 * deviation)
    beyond = np.mean(np.abs(drawn) > 1.96 * deviation)
    np.testing.assert_allclose(beyond, 0.05, atol=0.01)


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (4, 4), (5, 2, 3)])
def test_orthogonal(shape):
    drawn = init.orthogonal(shape, gain=2.0, seed=1, dtype=np.float64).reshape(shape[0], -1)
    rows, columns = drawn.shape
    product = drawn @ drawn.T if rows <= columns else drawn.T @ drawn
    np.testing.assert_allclose(product, 4 * np.eye(min(rows, columns)), atol=1e-6)


def test_seeds():
    np.testing.assert_array_equal(init.normal((3,), seed=4), init.normal((3,), seed=4))
    assert np.any(init.normal((3,), seed=4) != init.normal((3,), seed=5))
    assert np.any(init.normal((3,)) != init.normal((3,)))
    stream = init.stream(4)
    first, second = init.normal((3,), seed=stream), init.normal((3,), seed=stream)
    np.testing.assert_array_equal(first, init.normal((3,), seed=4))
    assert np.any(first != second)


def test_zeros_and_ones():
    np.testing.assert_array_equal(init.zeros((2, 1)), [[0], [0]])
    np.testing.assert_array_equal(init.ones((2,), dtype=np.float64), [1, 1])


@pytest.mark.parametrize(
    ("name", "slope", "gain"),
    [
        ("linear", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, 2**0.5),
        ("leaky_relu", None, math.sqrt(2 / 1.0001)),
        ("leaky_relu", 1.0, 1),
    ],
)
def test_gains(name, slope, gain):
    assert init.gain(name, slope) == pytest.approx(gain)


def test_errors():
    with pytest.raises(ShapeError, match="no fan-in"):
        init.xavier_uniform((3,))
    with pytest.raises(ShapeError, match="no fan-in"):
        init.orthogonal((3,))
    with pytest.raises(BoxgradError, match="no mode 'fan'"):
        init.kaiming_normal((3, 2), mode="fan")
    with pytest.raises(BoxgradError, match="nonlinearity 'cosine'"):
        init.gain("cosine")

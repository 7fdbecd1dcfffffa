"""check_grad: which method is taken, how near it is, kinks, and gradients that are wrong on purpose."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn
from boxgrad.check import differences
from numeric import complex_step, richardson

_random = np.random.default_rng(4)
X, W = _random.normal(size=(3, 3)), _random.normal(size=(3, 2))


def loss(X, W):
    return np.sum(1 / (1 + np.exp(-(X @ W))))


def double(model):
    return bg.tree.map(lambda a: a.astype(np.float64), model)


def test_analytic_functions_are_checked_to_rounding():
    result = bg.check_grad(loss, X, W)
    assert result.ok
    assert result.method == "complex step"
    assert set(result.errors) == {"X", "W"}
    assert max(result.errors.values()) < 1e-14
    assert bool(result) is True
    result.raise_if_wrong()
    assert "right" in str(result)
    assert "W  relative error" in str(result)


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda x: np.sum(np.abs(x) ** 3), _random.normal(size=5)),
        (lambda x: np.linalg.norm(x) + 1, _random.normal(size=4)),
        (lambda x: float(np.sum(np.real(x) ** 2)) if np.iscomplexobj(x) else np.sum(x**2), np.ones(3)),
        (lambda x: np.sum(np.logaddexp(x, 0)), _random.normal(size=4)),
        (lambda x: np.arctan2(x[0], x[1]) * np.cbrt(x[2]), np.array([0.3, -1.2, 2.0])),
    ],
)
def test_other_functions_are_checked_by_extrapolated_differences(function, x):
    result = bg.check_grad(function, x)
    assert result.ok, str(result)
    assert result.method == "Richardson"
    assert max(result.errors.values()) < 1e-7


def test_the_two_references_of_the_tests_agree_with_it():
    v = np.ones_like(X)
    own = bg.grad(loss)(X, W)
    assert abs(complex_step(loss, [X, W], [v, None]) - np.sum(own)) < 1e-12
    assert abs(richardson(loss, [X, W], [v, None]) - np.sum(own)) < 1e-8


def test_a_wrong_derivative_is_found():
    def cut(x):
        return np.sum(bg.stop_gradient(np.sin(x)) * x)

    result = bg.check_grad(cut, np.array([0.7, 1.1]))
    assert result.ok is False
    assert result.errors["x"] > 0.1
    assert "✗" in str(result)
    assert "不符" in str(bg.check_grad(cut, np.array([0.7]), lang="zh"))
    with pytest.raises(AssertionError, match="differs"):
        result.raise_if_wrong()


def test_only_the_wrong_argument_is_blamed():
    def half(a, b):
        return np.sum(a * b) + np.sum(bg.stop_gradient(b) ** 2)

    result = bg.check_grad(half, np.ones(3), np.arange(3.0))
    assert result.errors["a"] < 1e-12 < 0.1 < result.errors["b"]
    assert bg.check_grad(half, np.ones(3), np.arange(3.0), wrt="a").ok


def test_kinks_are_said():
    at = bg.check_grad(lambda x: np.sum(np.maximum(x, 0)), np.array([0.0, 1.0, -1.0]))
    assert at.ok
    assert at.kinks
    assert "kink" in str(at)
    near = bg.check_grad(lambda x: np.sum(np.abs(x)), np.array([3e-5, 1.0, -1.0]))
    assert near.ok, str(near)
    assert "near a kink" in str(near)
    smooth = bg.check_grad(lambda x: np.sum(np.abs(x) ** 3), np.array([0.5, 1.0, -1.0]))
    assert not smooth.kinks
    assert not smooth.notes


def test_single_precision_is_checked_in_double():
    result = bg.check_grad(loss, X.astype(np.float32), W)
    assert result.ok
    assert max(result.errors.values()) < 1e-12
    assert "X: single precision, checked in double copies" in str(result)


def test_modules_and_their_parameters():
    model = double(nn.Sequential(nn.Linear(3, 4, seed=0), nn.Tanh(), nn.Linear(4, 2, seed=1)))
    result = bg.check_grad(lambda model, x, y: nn.cross_entropy(model(x), y), model, X, np.array([0, 1, 1]))
    assert result.ok, str(result)
    assert set(result.errors) == {"model.0.weight", "model.0.bias", "model.2.weight", "model.2.bias", "x"}
    assert set(bg.check_grad(lambda m, x: np.sum(m(x)), model, X, wrt="m.0.bias").errors) == {"m.0.bias"}


def test_arguments_are_not_touched():
    def careless(x):
        x *= 2
        return np.sum(x**2)

    x = np.array([1.0, 2.0])
    assert bg.check_grad(careless, x).ok
    np.testing.assert_array_equal(x, [1.0, 2.0])


def test_large_arguments_are_compared_along_directions(monkeypatch):
    monkeypatch.setattr(differences, "SECONDS", 0.0)
    result = bg.check_grad(loss, X, W)
    assert result.ok
    assert "along random directions" in str(result)


def test_what_cannot_be_told():
    random = np.random.default_rng(0)
    result = bg.check_grad(lambda x: np.sum(x) * random.random(), np.ones(2))
    assert result.ok is None
    assert "another value at each call" in str(result)
    with pytest.raises(AssertionError):
        result.raise_if_wrong()
    with pytest.raises(bg.DerivativeError, match="no real argument is called 'Q'"):
        bg.check_grad(loss, X, W, wrt="Q")
    with pytest.raises(bg.DerivativeError, match="one real number"):
        bg.check_grad(lambda x: x * 2, X)
    with pytest.raises(bg.TraceError, match="lang="):
        bg.check_grad(loss, X, W, lang="xx")

"""Activation functions against ONNX, closed forms, and at the ends of the number line."""

from __future__ import annotations

import math

import numpy as np
import pytest
from onnx_reference import onnx_run

from boxgrad import nn

AGAINST_ONNX = {
    "ReLU": (nn.ReLU(), "Relu", {}),
    "LeakyReLU": (nn.LeakyReLU(0.25), "LeakyRelu", {"alpha": 0.25}),
    "ELU": (nn.ELU(0.75), "Elu", {"alpha": 0.75}),
    "GELU": (nn.GELU(), "Gelu", {}),
    "GELU tanh": (nn.GELU("tanh"), "Gelu", {"approximate": "tanh"}),
    "Sigmoid": (nn.Sigmoid(), "Sigmoid", {}),
    "Tanh": (nn.Tanh(), "Tanh", {}),
    "Softplus": (nn.Softplus(), "Softplus", {}),
    "Softmax": (nn.Softmax(), "Softmax", {"axis": -1}),
    "Softmax axis": (nn.Softmax(dim=1), "Softmax", {"axis": 1}),
    "LogSoftmax": (nn.LogSoftmax(1), "LogSoftmax", {"axis": 1}),
}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", AGAINST_ONNX)
def test_against_onnx(name, batch):
    layer, operator, attributes = AGAINST_ONNX[name]
    x = np.random.default_rng(0).normal(0, 2, (batch, 4, 5))
    y = layer(x)
    assert y.dtype == np.float64
    # The evaluator computes erf, and the constants of the approximation, in float32.
    tolerance = 1e-6 if name.startswith("GELU") else 1e-13
    expected = onnx_run(operator, x, **attributes)[0]
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)


def test_silu_is_x_times_sigmoid():
    x = np.linspace(-5, 5, 11)
    np.testing.assert_allclose(nn.SiLU()(x), x / (1 + np.exp(-x)), rtol=1e-14)


def test_softplus_with_beta():
    x = np.linspace(-5, 5, 11)
    np.testing.assert_allclose(nn.Softplus(3)(x), np.log1p(np.exp(3 * x)) / 3, rtol=1e-12)


def test_gelu_is_exact_in_float64():
    for x in (-3.0, -0.5, 0.1, 2.0):
        exact = 0.5 * x * math.erfc(-x / math.sqrt(2))
        np.testing.assert_allclose(nn.gelu(np.array(x)), exact, rtol=1e-12)
    with pytest.raises(ValueError, match="approximate must be"):
        nn.gelu(np.ones(2), "erf")


FUNCTIONS = [
    nn.relu,
    nn.leaky_relu,
    nn.elu,
    nn.gelu,
    nn.sigmoid,
    nn.silu,
    nn.tanh,
    nn.softplus,
    nn.softmax,
    nn.log_softmax,
]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_numbers_stay_finite_and_dtypes_stay(function, dtype):
    x = np.array([-1e4, -90, -1, 0, 1, 90, 1e4], dtype)
    y = function(x)
    assert y.dtype == dtype
    assert np.all(np.isfinite(y))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nan_is_not_hidden(function):
    with np.errstate(invalid="ignore"):
        assert np.isnan(function(np.array([np.nan]))).all()


def test_sigmoid_keeps_its_digits_on_the_left():
    x = np.array([-80.0, -20.0, -1.0], np.float32)
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    np.testing.assert_allclose(nn.sigmoid(x), exact, rtol=1e-5)
    np.testing.assert_allclose(nn.sigmoid(np.array([-700.0])), np.exp([-700.0]), rtol=1e-12)


def test_softmax_of_masked_scores():
    y = nn.softmax(np.array([[0.0, -np.inf, 0.0]]))
    np.testing.assert_array_equal(y, [[0.5, 0, 0.5]])
    np.testing.assert_array_equal(nn.log_softmax(np.array([0.0, -np.inf])), [0, -np.inf])


def test_python_numbers_and_lists_are_welcome():
    assert nn.relu(-1.0) == 0
    np.testing.assert_array_equal(nn.relu([-1, 2]), [0, 2])
    np.testing.assert_allclose(nn.softmax([1.0, 1.0]), 0.5)
    assert nn.sigmoid(0) == 0.5

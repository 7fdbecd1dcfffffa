"""The fully connected layer."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_reference import onnx_run

from boxgrad import nn
from boxgrad.errors import ShapeError


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_against_onnx(batch, bias):
    layer = nn.Linear(5, 4, bias, seed=0, dtype=np.float64)
    x = np.random.default_rng(1).normal(size=(batch, 5))
    expected = onnx_run("Gemm", x, layer.weight, layer.bias, transB=1)[0]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-12)


def test_any_number_of_axes_before_the_last():
    layer = nn.Linear(5, 4, seed=0)
    x = np.random.default_rng(1).normal(size=(2, 3, 5)).astype(np.float32)
    y = layer(x)
    assert y.shape == (2, 3, 4)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y[1, 2], layer(x[1, 2]), rtol=1e-6)


def test_beginning():
    layer = nn.Linear(100, 50, seed=3)
    assert np.abs(layer.weight).max() <= 0.1
    assert 0.09 < np.abs(layer.bias).max() <= 0.1
    np.testing.assert_array_equal(layer.weight, nn.Linear(100, 50, seed=3).weight)
    assert nn.Linear(100, 50, dtype=np.float64).bias.dtype == np.float64
    assert nn.Linear(2, 3, bias=False).bias is None


def test_shape_errors_name_the_layer_the_shapes_and_the_repair():
    layer = nn.Linear(12, 4)
    with pytest.raises(ShapeError) as error:
        layer(np.zeros((2, 3, 4)))
    text = str(error.value)
    assert "Linear(12, 4) expected x of shape (…, 12), found (2, 3, 4)" in text
    assert "nn.Flatten()" in text
    assert "test_linear.py" in text
    with pytest.raises(ShapeError, match="swapaxes"):
        layer(np.zeros((12, 3)))
    with pytest.raises(ShapeError, match="build the layer for 5"):
        layer(np.zeros((2, 5)))
    with pytest.raises(ShapeError, match="build the layer for 1"):
        layer(np.zeros(()))

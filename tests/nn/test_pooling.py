"""Pooling layers and Flatten."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_reference import onnx_run

from boxgrad import nn
from boxgrad.errors import ShapeError

rng = np.random.default_rng(0)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("options", [{}, {"stride": 1}, {"stride": 2, "padding": 1}], ids=str)
@pytest.mark.parametrize("axes", [1, 2])
def test_max_and_mean_against_onnx(axes, options, batch):
    x = rng.normal(size=(batch, 2, *(9, 7)[:axes]))
    kernel = (3, 2)[:axes]
    stride, padding = options.get("stride", kernel), options.get("padding", 0)
    attributes = {
        "kernel_shape": list(kernel),
        "strides": [stride] * axes if isinstance(stride, int) else list(stride),
        "pads": [padding] * 2 * axes,
    }
    largest = (nn.MaxPool1d, nn.MaxPool2d)[axes - 1](kernel, **options)
    np.testing.assert_array_equal(largest(x), onnx_run("MaxPool", x, **attributes)[0])
    for counted in (True, False):
        mean = (nn.AvgPool1d, nn.AvgPool2d)[axes - 1](kernel, **options, count_include_pad=counted)
        expected = onnx_run("AveragePool", x, **attributes, count_include_pad=int(counted))[0]
        np.testing.assert_allclose(mean(x), expected, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 3, (2, 5), (None, 1), (7, None), (10, 4)], ids=str)
def test_adaptive_mean(size):
    x = rng.normal(size=(2, 3, 7, 8))
    rows, columns = size if isinstance(size, tuple) else (size, size)
    rows, columns = rows or 7, columns or 8
    expected = np.empty((2, 3, rows, columns))
    for i in range(rows):
        for j in range(columns):
            down = slice(i * 7 // rows, int(np.ceil((i + 1) * 7 / rows)))
            across = slice(j * 8 // columns, int(np.ceil((j + 1) * 8 / columns)))
            expected[:, :, i, j] = x[:, :, down, across].mean(axis=(2, 3))
    found = nn.AdaptiveAvgPool2d(size)(x)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert nn.AdaptiveAvgPool2d(size)(x.astype(np.float32)).dtype == np.float32


def test_flatten():
    x = np.zeros((2, 3, 4, 5))
    assert nn.Flatten()(x).shape == (2, 60)
    assert nn.Flatten(0, -2)(x).shape == (24, 5)
    assert nn.Flatten(-3, 2)(x).shape == (2, 12, 5)
    with pytest.raises(ShapeError, match="cannot join axes 1 to -1"):
        nn.Flatten()(np.zeros(3))


def test_shape_errors():
    with pytest.raises(ShapeError, match=r"MaxPool2d\(2\) expected x of shape \(N, C, H, W\)"):
        nn.MaxPool2d(2)(np.zeros((4, 4)))
    with pytest.raises(ShapeError, match=r"add the batch axis"):
        nn.AvgPool1d(2)(np.zeros((4, 4)))
    with pytest.raises(ShapeError, match="AdaptiveAvgPool2d"):
        nn.AdaptiveAvgPool2d(2)(np.zeros((4, 4)))

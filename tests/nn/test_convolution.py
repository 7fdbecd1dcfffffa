"""Convolution layers."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_reference import onnx_run

from boxgrad import nn
from boxgrad.errors import ShapeError

OPTIONS = [
    {},
    {"stride": 2, "padding": 1},
    {"padding": 2, "dilation": 2},
    {"groups": 2, "bias": False},
    {"padding": "same"},
    {"padding": "same", "dilation": 3},
    {"padding": "valid", "groups": 4},
]
LAYERS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def _pads(layer, axes):
    if layer.padding == "same":
        reach = [layer.dilation * (size - 1) for size in layer.weight.shape[2:]]
        return [total // 2 for total in reach] + [total - total // 2 for total in reach]
    return [0 if layer.padding == "valid" else layer.padding] * (2 * axes)


@pytest.mark.parametrize("axes", LAYERS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("batch", [1, 3])
def test_against_onnx(axes, options, batch):
    kernel = (2, 3, 3)[:axes]
    layer = LAYERS[axes](4, 8, kernel, **options, seed=0, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(batch, 4, *(9, 8, 7)[:axes]))
    expected = onnx_run(
        "Conv",
        x,
        layer.weight,
        layer.bias,
        strides=[layer.stride] * axes,
        dilations=[layer.dilation] * axes,
        pads=_pads(layer, axes),
        group=layer.groups,
    )[0]
    found = layer(x)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    if layer.padding == "same":
        assert found.shape[2:] == x.shape[2:]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"dilation": 2, "bias": False},
        {"groups": 2, "stride": (2, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("batch", [1, 3])
def test_transpose_against_onnx(options, batch):
    layer = nn.ConvTranspose2d(4, 6, (2, 3), **options, seed=0, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(batch, 4, 5, 3))

    def both(value):
        return [value] * 2 if isinstance(value, int) else list(value)

    # The evaluator's own groups do not work: run one after the other.
    expected = [
        onnx_run(
            "ConvTranspose",
            part,
            weight,
            strides=both(layer.stride),
            dilations=both(layer.dilation),
            pads=both(layer.padding) * 2,
            output_padding=both(layer.output_padding),
        )[0]
        for part, weight in zip(
            np.split(x, layer.groups, 1), np.split(layer.weight, layer.groups, 0), strict=True
        )
    ]
    bias = 0 if layer.bias is None else layer.bias[:, None, None]
    found = layer(x)
    np.testing.assert_allclose(found, np.concatenate(expected, 1) + bias, rtol=1e-10, atol=1e-12)


def test_layouts_and_beginnings():
    layer = nn.Conv2d(6, 8, (3, 5), groups=2, seed=1)
    assert layer.weight.shape == (8, 3, 3, 5)
    bound = 1 / np.sqrt(3 * 3 * 5)
    assert 0.95 * bound < np.abs(layer.weight).max() <= bound
    assert 0.5 * bound < np.abs(layer.bias).max() <= bound
    assert nn.ConvTranspose2d(6, 8, 3, groups=2).weight.shape == (6, 4, 3, 3)
    x = np.ones((1, 6, 5, 5), np.float32)
    assert layer(x).dtype == np.float32


def test_shape_errors():
    layer = nn.Conv2d(1, 4, 3)
    with pytest.raises(ShapeError, match=r"expected x of shape \(N, 1, H, W\), found \(2, 8, 8\)") as e:
        layer(np.zeros((2, 8, 8)))
    assert "add the axis of channels: x[:, None]" in str(e.value)
    with pytest.raises(ShapeError, match=r"add the batch axis: x\[None\]"):
        layer(np.zeros((1, 8, 8)))
    with pytest.raises(ShapeError, match=r"np.moveaxis\(x, -1, 1\)"):
        layer(np.zeros((2, 8, 8, 1)))
    with pytest.raises(ShapeError, match="build the layer for the channels x has"):
        layer(np.zeros((2, 3, 8, 8)))
    with pytest.raises(ShapeError, match=r"\(N, 4, L\)"):
        nn.Conv1d(4, 2, 3)(np.zeros((2, 3, 8)))
    with pytest.raises(ShapeError, match="cannot form 3 groups"):
        nn.Conv2d(4, 6, 3, groups=3)
    with pytest.raises(ShapeError, match="padding='same' with stride 2"):
        nn.Conv2d(4, 6, 3, stride=2, padding="same")

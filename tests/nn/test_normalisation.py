"""Normalisation layers, in training and in evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_reference import onnx_run

from boxgrad import nn
from boxgrad.errors import ShapeError

rng = np.random.default_rng(0)
EPS = 2.0**-10  # ONNX keeps it in float32


def _filled(layer):
    for array in layer.parameters():
        array[...] = rng.uniform(0.5, 2, array.shape)
    return layer


def _batch_norm(axes, **options):
    cls = nn.BatchNorm2d if axes == 2 else nn.BatchNorm1d
    return _filled(cls(4, EPS, dtype=np.float64, **options))


@pytest.mark.parametrize("axes", [0, 1, 2])
@pytest.mark.parametrize("batch", [2, 3])
def test_batch_norm_in_training_against_onnx(axes, batch):
    layer = _batch_norm(axes, momentum=0.25)
    x = rng.normal(3, 2, (batch, 4, *(5, 6)[:axes]))
    state = layer.state_dict()
    expected, mean, var = onnx_run(
        "BatchNormalization",
        x,
        layer.weight,
        layer.bias,
        layer.running_mean,
        layer.running_var,
        outputs=3,
        epsilon=EPS,
        momentum=0.75,
        training_mode=1,
    )
    np.testing.assert_allclose(layer(x), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-12)
    count = x.size // 4  # ONNX averages the biased variance, PyTorch the unbiased one
    old = 0.75 * state["running_var"]
    np.testing.assert_allclose(layer.running_var, old + (var - old) * count / (count - 1))
    assert layer.num_batches_tracked == 1


@pytest.mark.parametrize("axes", [0, 1, 2])
@pytest.mark.parametrize("batch", [1, 3])
def test_batch_norm_in_evaluation_against_onnx(axes, batch):
    layer = _batch_norm(axes).eval()
    layer.running_mean[...] = rng.normal(size=4)
    layer.running_var[...] = rng.uniform(1, 2, 4)
    state = layer.state_dict()
    x = rng.normal(3, 2, (batch, 4, *(5, 6)[:axes]))
    expected = onnx_run(
        "BatchNormalization", x, layer.weight, layer.bias, layer.running_mean, layer.running_var, epsilon=EPS
    )[0]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-10, atol=1e-12)
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, state[name])


def test_batch_norm_with_the_plain_average():
    layer = _batch_norm(0, momentum=None)
    batches = rng.normal(size=(3, 5, 4))
    for x in batches:
        layer(x)
    np.testing.assert_allclose(layer.running_mean, batches.mean(axis=(0, 1)))
    np.testing.assert_allclose(layer.running_var, batches.var(axis=1, ddof=1).mean(axis=0))
    assert layer.num_batches_tracked == 3


def test_batch_norm_without_parameters_and_without_averages():
    layer = nn.BatchNorm1d(4, affine=False, track_running_stats=False).eval()
    assert layer.state_dict() == {}
    x = rng.normal(3, 2, (50, 4)).astype(np.float32)
    y = layer(x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=0), 1, rtol=1e-4)


def test_batch_norm_names_dtypes_and_beginning():
    layer = nn.BatchNorm2d(3)
    names = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(layer.state_dict()) == names
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    layer(rng.normal(size=(2, 3, 4, 4)).astype(np.float32))
    assert layer.running_mean.dtype == np.float32
    layer.initialise(0)
    np.testing.assert_array_equal(layer.running_mean, 0)
    np.testing.assert_array_equal(layer.running_var, 1)
    assert layer.num_batches_tracked == 0


@pytest.mark.parametrize("shape", [5, (4, 5)])
@pytest.mark.parametrize("batch", [1, 3])
def test_layer_norm_against_onnx(shape, batch):
    layer = _filled(nn.LayerNorm(shape, EPS, dtype=np.float64))
    x = rng.normal(3, 2, (batch, 4, 5))
    axis = -len(layer.normalized_shape)
    expected = onnx_run("LayerNormalization", x, layer.weight, layer.bias, axis=axis, epsilon=EPS)[0]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-6)
    centred = x - x.mean(axis=tuple(range(axis, 0)), keepdims=True)
    variance = x.var(axis=tuple(range(axis, 0)), keepdims=True)
    closed = centred / np.sqrt(variance + EPS) * layer.weight + layer.bias
    np.testing.assert_allclose(layer(x), closed, rtol=1e-12, atol=1e-13)


def test_layer_norm_without_parameters():
    assert list(nn.LayerNorm(3, elementwise_affine=False).parameters()) == []
    assert list(nn.LayerNorm(3, bias=False).state_dict()) == ["weight"]


@pytest.mark.parametrize("space", [(), (5,), (5, 6)])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("batch", [1, 3])
def test_group_norm_against_onnx(space, groups, batch):
    layer = _filled(nn.GroupNorm(groups, 4, EPS, dtype=np.float64))
    x = rng.normal(3, 2, (batch, 4, *space))
    if space:
        expected = onnx_run(
            "GroupNormalization", x, layer.weight, layer.bias, opset=21, num_groups=groups, epsilon=EPS
        )[0]
        np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)  # in float32
    grouped = x.reshape(batch, groups, -1)
    centred = grouped - grouped.mean(axis=-1, keepdims=True)
    closed = (centred / np.sqrt(grouped.var(axis=-1, keepdims=True) + EPS)).reshape(x.shape)
    column = (4,) + (1,) * len(space)
    closed = closed * layer.weight.reshape(column) + layer.bias.reshape(column)
    np.testing.assert_allclose(layer(x), closed, rtol=1e-11, atol=1e-12)


def test_a_large_mean_does_not_spoil_the_variance():
    x = (rng.normal(size=(64, 4)) + 1000).astype(np.float32)
    exact = x.astype(np.float64)
    exact = (exact - exact.mean(axis=0)) / np.sqrt(exact.var(axis=0) + 1e-5)
    np.testing.assert_allclose(nn.BatchNorm1d(4)(x), exact, atol=1e-3)


def test_shape_errors():
    with pytest.raises(ShapeError, match="one value per channel"):
        nn.BatchNorm1d(4)(np.zeros((1, 4)))
    with pytest.raises(ShapeError, match=r"expected x of shape \(N, 4\), found \(2, 3\)"):
        nn.BatchNorm1d(4)(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"expected x of shape \(N, 4, H, W\)"):
        nn.BatchNorm2d(4)(np.zeros((2, 3, 4, 4)))
    with pytest.raises(ShapeError, match=r"build it as LayerNorm\(\(3,\)\)"):
        nn.LayerNorm(4)(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="cannot form 3 groups"):
        nn.GroupNorm(3, 4)
    with pytest.raises(ShapeError, match=r"GroupNorm\(2, 4\) expected x of shape \(N, 4, 5\)"):
        nn.GroupNorm(2, 4)(np.zeros((2, 3, 5)))

"""Attention against its formula written with einsum, and its masks."""

from __future__ import annotations

import numpy as np
import pytest

from boxgrad import nn
from boxgrad.errors import ShapeError

rng = np.random.default_rng(0)


def _formula(layer, query, key, value, mask):
    """Batch first; mask (N, H, L, S) to add. Returns outputs and weights per head."""
    size, heads = layer.embed_dim, layer.num_heads
    if hasattr(layer, "in_proj_weight"):
        weights = np.split(layer.in_proj_weight, 3)
    else:
        weights = [layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight]
    biases = np.zeros((3, size))
    if layer.in_proj_bias is not None:
        biases = layer.in_proj_bias.reshape(3, size)
    q, k, v = (
        (x @ w.T + b).reshape(*x.shape[:2], heads, size // heads)
        for x, w, b in zip((query, key, value), weights, biases, strict=True)
    )
    scores = np.einsum("nlhd,nshd->nhls", q, k) / np.sqrt(size / heads) + mask
    powers = np.exp(scores)
    probabilities = powers / powers.sum(axis=-1, keepdims=True)
    joined = np.einsum("nhls,nshd->nlhd", probabilities, v).reshape(*query.shape[:2], size)
    y = joined @ layer.out_proj.weight.T
    return y if layer.out_proj.bias is None else y + layer.out_proj.bias, probabilities


def _filled(layer):
    for array in layer.parameters():
        array[...] = rng.normal(size=array.shape)
    return layer


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"bias": False}, {"kdim": 5}, {"kdim": 5, "vdim": 3, "bias": False}], ids=str
)
def test_against_the_formula(batch, batch_first, options):
    layer = _filled(nn.MultiheadAttention(8, 2, batch_first=batch_first, dtype=np.float64, **options))
    query = rng.normal(size=(batch, 4, 8))
    key = rng.normal(size=(batch, 7, options.get("kdim", 8)))
    value = rng.normal(size=(batch, 7, options.get("vdim", 8)))
    expected, probabilities = _formula(layer, query, key, value, 0)
    arrays = [query, key, value]
    if not batch_first:
        arrays = [np.swapaxes(x, 0, 1) for x in arrays]
        expected = np.swapaxes(expected, 0, 1)
    y, weights = layer(*arrays)
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(weights, probabilities.mean(axis=1), rtol=1e-10)
    np.testing.assert_allclose(layer(*arrays, average_attn_weights=False)[1], probabilities)
    y, weights = layer(*arrays, need_weights=False)
    assert weights is None


@pytest.mark.parametrize("batch_first", [True, False])
def test_one_array_three_times_is_the_same_as_three_arrays(batch_first):
    layer = _filled(nn.MultiheadAttention(8, 4, batch_first=batch_first, dtype=np.float64))
    x = rng.normal(size=(3, 5, 8))
    np.testing.assert_allclose(layer(x, x, x)[0], layer(x, x.copy(), x.copy())[0], rtol=1e-10)


@pytest.mark.parametrize("kind", ["bool", "float"])
@pytest.mark.parametrize("per_head", [False, True])
def test_masks(kind, per_head):
    layer = _filled(nn.MultiheadAttention(8, 2, batch_first=True, dtype=np.float64))
    x = rng.normal(size=(3, 5, 8))
    causal = np.triu(np.ones((5, 5), bool), 1)
    padding = np.zeros((3, 5), bool)
    padding[1, 3:] = True
    if kind == "bool":
        added = np.where(causal, -np.inf, 0.0)
        mask, padded = causal, padding
    else:
        added = mask = rng.normal(size=(5, 5))
        padded = np.where(padding, -np.inf, 0.0)
    total = added + np.where(padding, -np.inf, 0.0)[:, None, None]
    if per_head:
        mask = np.broadcast_to(mask, (6, 5, 5))
    expected, probabilities = _formula(layer, x, x, x, np.broadcast_to(total, (3, 2, 5, 5)))
    y, weights = layer(x, x, x, key_padding_mask=padded, attn_mask=mask)
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(weights, probabilities.mean(axis=1), rtol=1e-10)
    assert np.all(weights[1, :, 3:] == 0)


def test_names_layouts_and_beginning():
    layer = nn.MultiheadAttention(8, 2, seed=0)
    names = ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"]
    assert list(layer.state_dict()) == names
    assert layer.in_proj_weight.shape == (24, 8)
    bound = np.sqrt(6 / 32)
    for begun in (layer, layer.initialise(1)):
        assert 0.9 * bound < np.abs(begun.in_proj_weight).max() <= bound
        assert not np.any(begun.in_proj_bias)
        assert not np.any(begun.out_proj.bias)
    assert list(nn.MultiheadAttention(8, 2, kdim=3).state_dict())[:3] == [
        "q_proj_weight",
        "k_proj_weight",
        "v_proj_weight",
    ]


def test_dropout_in_training_alone():
    layer = nn.MultiheadAttention(8, 2, dropout=0.5, seed=0)
    x = rng.normal(size=(5, 3, 8)).astype(np.float32)
    assert np.any(layer(x, x, x)[0] != layer(x, x, x)[0])
    layer.eval()
    y, weights = layer(x, x, x)
    np.testing.assert_array_equal(y, layer(x, x, x)[0])
    assert y.dtype == np.float32
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)


def test_errors():
    with pytest.raises(ShapeError, match="8 features cannot form 3 heads"):
        nn.MultiheadAttention(8, 3)
    layer = nn.MultiheadAttention(8, 2)
    x = np.zeros((5, 3, 8))
    with pytest.raises(ShapeError, match=r"expected query of shape \(L, N, 8\), found \(5, 3, 7\)"):
        layer(np.zeros((5, 3, 7)), x, x)
    with pytest.raises(ShapeError, match=r"expected key of shape \(S, 3, 8\)"):
        layer(x, np.zeros((5, 2, 8)), x)
    with pytest.raises(ShapeError, match=r"expected value of shape \(5, 3, 8\)"):
        layer(x, x, np.zeros((4, 3, 8)))
    with pytest.raises(ShapeError, match=r"expected attn_mask of shape \(5, 5\)"):
        layer(x, x, x, attn_mask=np.zeros((5, 4)))
    with pytest.raises(ShapeError, match=r"expected key_padding_mask of shape \(3, 5\)"):
        layer(x, x, x, key_padding_mask=np.zeros((5, 3), bool))

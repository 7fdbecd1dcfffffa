"""Losses against ONNX and closed forms, and where the numbers are large."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_reference import onnx_run

from boxgrad import nn
from boxgrad.errors import BoxgradError, IndexingError, ShapeError

rng = np.random.default_rng(0)
REDUCTIONS = ["mean", "sum", "none"]


def _pair(shape=(3, 4)):
    return rng.normal(size=shape), rng.normal(size=shape)


def _reduced(values, reduction):
    return {"mean": np.mean, "sum": np.sum, "none": lambda v: v}[reduction](values)


ELEMENTWISE = {
    "mse": (nn.mse, lambda x, y: (x - y) ** 2),
    "l1": (nn.l1, lambda x, y: np.abs(x - y)),
    "huber": (
        lambda *args: nn.huber(*args, delta=0.7),
        lambda x, y: np.where(np.abs(x - y) < 0.7, 0.5 * (x - y) ** 2, 0.7 * (np.abs(x - y) - 0.35)),
    ),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("batch", [1, 3])
def test_differences(name, reduction, batch):
    loss, formula = ELEMENTWISE[name]
    x, y = _pair((batch, 4))
    np.testing.assert_allclose(loss(x, y, reduction), _reduced(formula(x, y), reduction))


@pytest.mark.parametrize(
    "loss", [nn.mse, nn.l1, nn.huber, nn.binary_cross_entropy, nn.binary_cross_entropy_with_logits, nn.kl_div]
)
def test_nothing_is_broadcast(loss):
    with pytest.raises(ShapeError, match=r"found \(3, 1\) and \(3,\)") as error:
        loss(np.full((3, 1), 0.5), np.full(3, 0.5))
    assert "target.reshape((3, 1))" in str(error.value)


def test_unknown_reduction():
    with pytest.raises(BoxgradError, match="no reduction 'avg'"):
        nn.mse(np.zeros(2), np.zeros(2), "avg")


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("shape", [(1, 5), (3, 5), (3, 5, 2, 4)])
def test_cross_entropy_and_nll_of_indices_against_onnx(reduction, weighted, ignored, shape):
    x = rng.normal(size=shape)
    t = rng.integers(0, 5, (shape[0], *shape[2:]))
    t.flat[-1] = 2
    if ignored and t.size > 1:
        t.flat[0] = -100
    weight = rng.uniform(0.5, 2, 5) if weighted else None
    options = {"reduction": reduction, "ignore_index": -100}
    expected = onnx_run("SoftmaxCrossEntropyLoss", x, t, weight, **options)[0]
    found = nn.cross_entropy(x, t, reduction, weight=weight)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    log_p = nn.log_softmax(x, 1)
    expected = onnx_run("NegativeLogLikelihoodLoss", log_p, t, weight, **options)[0]
    np.testing.assert_allclose(nn.nll(log_p, t, reduction, weight=weight), expected, rtol=1e-6)


def test_cross_entropy_of_probabilities():
    x, q = rng.normal(size=(3, 5, 2)), nn.softmax(rng.normal(size=(3, 5, 2)), 1)
    losses = -np.sum(q * np.log(nn.softmax(x, 1)), axis=1)
    np.testing.assert_allclose(nn.cross_entropy(x, q, "none"), losses)
    np.testing.assert_allclose(nn.cross_entropy(x, q), losses.mean())
    weight = rng.uniform(0.5, 2, 5)
    losses = -np.sum(weight[:, None] * q * np.log(nn.softmax(x, 1)), axis=1)
    np.testing.assert_allclose(nn.cross_entropy(x, q, weight=weight), losses.mean())


def test_indices_and_certain_probabilities_agree():
    x, t = rng.normal(size=(4, 5)), rng.integers(0, 5, 4)
    q = np.eye(5)[t]
    for smoothing in (0.0, 0.1, 1.0):
        np.testing.assert_allclose(
            nn.cross_entropy(x, t, label_smoothing=smoothing),
            nn.cross_entropy(x, q, label_smoothing=smoothing),
        )


def test_label_smoothing_with_weights_and_ignored_targets():
    x, t = rng.normal(size=(4, 3)), np.array([0, 2, -100, 1])
    weight = np.array([0.5, 1.0, 2.0])
    log_p = nn.log_softmax(x, 1)
    kept = [0, 1, 3]
    right = sum(-weight[t[n]] * log_p[n, t[n]] for n in kept)
    spread = sum(-(weight * log_p[n]).sum() for n in kept)
    expected = (0.9 * right + 0.1 / 3 * spread) / sum(weight[t[n]] for n in kept)
    np.testing.assert_allclose(nn.cross_entropy(x, t, weight=weight, label_smoothing=0.1), expected)


def test_cross_entropy_without_a_batch():
    x = rng.normal(size=5)
    np.testing.assert_allclose(nn.cross_entropy(x, 2), nn.cross_entropy(x[None], np.array([2])))
    q = nn.softmax(rng.normal(size=5))
    np.testing.assert_allclose(nn.cross_entropy(x, q), nn.cross_entropy(x[None], q[None]))


def test_cross_entropy_of_large_scores_in_float32():
    x = np.array([[1e4, 1e4, -1e4], [-1e4, 1e4, 0]], np.float32)
    found = nn.cross_entropy(x, np.array([0, 0]), "none")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [np.log(2), 2e4], rtol=1e-6)
    assert nn.cross_entropy(x, np.array([0, 1])).dtype == np.float32
    q = np.array([[0.5, 0.5, 0], [0, 1, 0]], np.float32)
    np.testing.assert_allclose(nn.cross_entropy(x, q, "none"), [np.log(2), 0], rtol=1e-6)


def test_cross_entropy_errors():
    x = np.zeros((3, 5))
    with pytest.raises(ShapeError, match=r"targets of dtype float64 and shape \(3,\)"):
        nn.cross_entropy(x, np.array([0.0, 1.0, 2.0]))
    with pytest.raises(IndexingError, match="found the index 5, with 5 to choose from"):
        nn.cross_entropy(x, np.array([0, 1, 5]))
    with pytest.raises(IndexingError, match="found the index -1"):
        nn.cross_entropy(x, np.array([0, 1, -1]))
    with pytest.raises(ShapeError, match=r"indices of shape \(3,\), found \(3, 1\)"):
        nn.cross_entropy(x, np.zeros((3, 1), int))
    with pytest.raises(ShapeError, match="one score per class"):
        nn.cross_entropy(1.0, 0)
    with pytest.raises(ShapeError, match="nll expected whole numbers"):
        nn.nll(x, np.zeros(3))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_cross_entropies_agree_with_their_formula(reduction):
    x = rng.normal(size=(3, 4))
    y, weight, pos_weight = rng.uniform(size=(3, 4)), rng.uniform(size=4), rng.uniform(size=4)
    p = 1 / (1 + np.exp(-x))
    formula = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    np.testing.assert_allclose(nn.binary_cross_entropy(p, y, reduction), _reduced(formula, reduction))
    np.testing.assert_allclose(
        nn.binary_cross_entropy_with_logits(x, y, reduction), _reduced(formula, reduction)
    )
    weighted = _reduced(weight * formula, reduction)
    np.testing.assert_allclose(nn.binary_cross_entropy(p, y, reduction, weight=weight), weighted)
    formula = -weight * (pos_weight * y * np.log(p) + (1 - y) * np.log(1 - p))
    np.testing.assert_allclose(
        nn.binary_cross_entropy_with_logits(x, y, reduction, weight=weight, pos_weight=pos_weight),
        _reduced(formula, reduction),
    )


def test_binary_cross_entropy_at_certainty():
    p, y = np.array([0, 1, 0, 1], np.float32), np.array([0, 1, 1, 0], np.float32)
    np.testing.assert_array_equal(nn.binary_cross_entropy(p, y, "none"), [0, 0, 100, 100])
    x = np.array([-1e4, 1e4, -1e4, 1e4], np.float32)
    np.testing.assert_array_equal(nn.binary_cross_entropy_with_logits(x, y, "none"), [0, 0, 1e4, 1e4])


def test_kl_div():
    p, q = nn.softmax(rng.normal(size=(3, 4))), nn.softmax(rng.normal(size=(3, 4)))
    formula = q * np.log(q / p)
    for reduction in REDUCTIONS:
        expected = _reduced(formula, reduction)
        np.testing.assert_allclose(nn.kl_div(np.log(p), q, reduction), expected)
        np.testing.assert_allclose(nn.kl_div(np.log(p), np.log(q), reduction, log_target=True), expected)
    np.testing.assert_allclose(nn.kl_div(np.log(p), q, "batchmean"), formula.sum() / 3)
    assert nn.kl_div(np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]]), "sum") == np.log(2)

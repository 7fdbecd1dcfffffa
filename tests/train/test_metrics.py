import math

import numpy as np
import pytest

from boxgrad.errors import ShapeError
from boxgrad.train.metrics import Means, accuracy, binary_accuracy, named


def test_accuracy_of_each_kind_of_targets():
    scores = np.array([[0.0, 3.0, 1.0], [2.0, 0.0, 1.0], [0.0, 0.0, 5.0]], np.float32)
    assert accuracy(scores, np.array([1, 0, 0])) == np.float32(2 / 3)
    assert accuracy(scores, np.eye(3)[[1, 0, 0]]) == np.float32(2 / 3)
    time_major = np.stack([scores, scores])
    assert accuracy(time_major, np.array([[1, 0, 2], [1, 1, 1]])) == np.float32(4 / 6)
    channels = scores.reshape(3, 3, 1).repeat(4, axis=2)
    assert accuracy(channels, np.array([1, 0, 0])[:, None].repeat(4, axis=1)) == np.float32(2 / 3)
    assert accuracy(scores, np.array([1, 0, 0])).dtype == np.float32


def test_accuracy_of_shapes_that_do_not_fit_says_what_fits():
    with pytest.raises(ShapeError, match=r"metrics=\['binary_accuracy'\]"):
        accuracy(np.zeros((4, 3)), np.zeros(5))


def test_binary_accuracy_ignores_a_trailing_axis():
    assert binary_accuracy(np.array([[2.0], [-2.0], [3.0]]), np.array([1.0, 1.0, 0.0])) == (np.float32(1 / 3))


def test_means_are_weighted_by_batch_size():
    means = Means(named(["accuracy", "perplexity"]))
    means.add(64, np.float32(1.0), [np.float32(0.5)])
    means.add(32, np.float32(4.0), [np.float32(1.0)])
    found = means.result("val_")
    assert found["val_loss"] == 2.0
    assert found["val_accuracy"] == pytest.approx(2 / 3)
    assert found["val_perplexity"] == pytest.approx(math.exp(2.0))
    assert Means(()).result() == {}


def test_functions_are_metrics_under_their_names():
    def top_score(outputs, targets):
        return np.max(outputs)

    assert [metric.name for metric in named([top_score, accuracy, "loss"])] == ["top_score", "accuracy"]


def test_an_unknown_metric_names_the_known_ones():
    with pytest.raises(ValueError, match="accuracy, binary_accuracy"):
        named(["acuracy"])

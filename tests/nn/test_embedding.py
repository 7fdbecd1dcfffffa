"""The table of vectors."""

from __future__ import annotations

import numpy as np
import pytest

from boxgrad import nn
from boxgrad.errors import IndexingError, ShapeError


def test_rows():
    layer = nn.Embedding(50, 40, seed=0)
    np.testing.assert_allclose(layer.weight.std(), 1, rtol=0.1)
    indices = np.array([[1, 4, 4], [0, 49, 2]])
    y = layer(indices)
    assert y.shape == (2, 3, 40)
    np.testing.assert_array_equal(y[0, 2], layer.weight[4])
    np.testing.assert_array_equal(layer(3), layer.weight[3])
    np.testing.assert_array_equal(layer([3, 1]), layer.weight[[3, 1]])


def test_padding():
    layer = nn.Embedding(5, 3, padding_idx=-1, seed=0)
    assert layer.padding_idx == 4
    np.testing.assert_array_equal(layer.weight[4], 0)
    assert np.all(layer.weight[:4] != 0)
    layer.weight[4] = 7
    np.testing.assert_array_equal(layer(np.array([4, 1])), layer.weight[[4, 1]])


def test_errors():
    layer = nn.Embedding(5, 3)
    with pytest.raises(IndexingError, match=r"Embedding\(5, 3\) found the index 5, with 5 to choose"):
        layer(np.array([0, 5]))
    with pytest.raises(IndexingError, match="found the index -1"):
        layer(np.array([-1]))
    with pytest.raises(ShapeError, match="expected whole numbers, found dtype float64"):
        layer(np.array([0.5]))
    with pytest.raises(ShapeError, match="no row 5 among 5"):
        nn.Embedding(5, 3, padding_idx=5)

"""Dropout and its stream."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from boxgrad import nn, tree
from boxgrad.errors import BoxgradError


def test_training_keeps_the_mean_and_drops_the_right_share():
    x = np.ones((200, 100), np.float32)
    y = nn.Dropout(0.25, seed=0)(x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(np.unique(y), [0, 4 / 3], rtol=1e-6)
    np.testing.assert_allclose(np.mean(y == 0), 0.25, atol=0.01)
    np.testing.assert_allclose(y.mean(), 1, atol=0.02)


def test_evaluation_and_zero_do_nothing():
    x = np.ones(5)
    assert nn.Dropout(0.9).eval()(x) is x
    assert nn.Dropout(0)(x) is x


def test_each_call_draws_afresh_and_a_seed_repeats_it_all():
    x = np.ones(100)
    layer, twin = nn.Dropout(seed=1), nn.Dropout(seed=1)
    first, second = layer(x), layer(x)
    assert np.any(first != second)
    np.testing.assert_array_equal(twin(x), first)
    np.testing.assert_array_equal(copy.deepcopy(twin)(x), second)
    assert np.any(nn.Dropout()(x) != nn.Dropout()(x))


def test_the_stream_is_in_the_tree_but_neither_parameter_nor_state():
    layer = nn.Dropout(seed=1)
    assert len(tree.leaves(layer)) == 2
    assert list(layer.parameters()) == list(layer.buffers()) == []
    assert layer.state_dict() == {}


def test_initialise_starts_the_stream_again():
    model = nn.Sequential(nn.Dropout(), nn.Dropout())
    x = np.ones(1000)
    first = model.initialise(3)(x)
    np.testing.assert_array_equal(model.initialise(3)(x), first)
    kept = model[0].initialise(3)(x) != 0
    np.testing.assert_allclose(np.mean(model.initialise(3)[1](x)[kept] != 0), 0.5, atol=0.1)


@pytest.mark.parametrize("p", [-0.1, 1, 2])
def test_impossible_probabilities(p):
    with pytest.raises(BoxgradError, match="is not a probability below 1"):
        nn.Dropout(p)

"""Clipping by norm and by value."""

import numpy as np
import pytest

from boxgrad import nn, tree
from boxgrad.optim import clip_by_norm, clip_by_value


def test_norm_is_global_and_the_direction_stays():
    random = np.random.default_rng(0)
    gradients = {"w": random.normal(size=(3, 4)), "b": [random.normal(size=4), None]}
    flat = np.concatenate([gradients["w"].ravel(), gradients["b"][0]])
    clipped, norm = clip_by_norm(gradients, 0.5)
    assert norm == pytest.approx(np.linalg.norm(flat), rel=1e-14)
    after = np.concatenate([clipped["w"].ravel(), clipped["b"][0]])
    np.testing.assert_allclose(after, flat * (0.5 / (norm + 1e-6)), rtol=1e-14)
    assert clipped["b"][1] is None


def test_small_gradients_stay_and_nothing_is_changed_in_place():
    gradients = [np.array([3.0, 4.0], np.float32)]
    clipped, norm = clip_by_norm(gradients, 10.0)
    np.testing.assert_array_equal(clipped[0], gradients[0])
    assert norm == 5.0
    clip_by_norm(gradients, 1.0)
    clip_by_value(gradients, 1.0)
    np.testing.assert_array_equal(gradients[0], [3.0, 4.0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtypes_stay(dtype):
    gradients = {"w": np.ones(4, dtype), "count": np.arange(2), "s": dtype(3.0)}
    for clipped in (clip_by_norm(gradients, 0.1)[0], clip_by_value(gradients, 0.1)):
        assert clipped["w"].dtype == clipped["s"].dtype == dtype
        np.testing.assert_array_equal(clipped["count"], [0, 1])


def test_buffers_of_a_module_do_not_count():
    class Normalise(nn.Module):
        def __init__(self):
            self.weight = np.array([3.0, 4.0])
            self.temperature = np.float64(7.0)  # a constant
            self.register_buffer("running_mean", np.full(2, 100.0))

        def __call__(self, x):
            return x * self.weight

    for gradients in (Normalise(), nn.Sequential(Normalise()), {"a": [Normalise()]}):
        clipped, norm = clip_by_norm(gradients, 1.0)
        assert norm == 5.0
        assert type(clipped) is type(gradients)
        np.testing.assert_allclose(tree.named_leaves(clipped)[0][1], [0.6, 0.8], rtol=1e-6)


def test_one_array_in_two_places_counts_twice():
    shared = np.array([3.0, 4.0])
    assert clip_by_norm([shared, shared], 1.0)[1] == pytest.approx(np.sqrt(50))


def test_zero_gradients():
    clipped, norm = clip_by_norm([np.zeros(3)], 1.0)
    np.testing.assert_array_equal(clipped[0], 0)
    assert norm == 0


def test_value():
    clipped = clip_by_value({"w": np.array([-2.0, -0.5, 0.5, 2.0, np.nan])}, 1.0)
    np.testing.assert_array_equal(clipped["w"], [-1.0, -0.5, 0.5, 1.0, np.nan])


@pytest.mark.parametrize("bound", [0, -1.0, float("nan")])
def test_bounds_out_of_range(bound):
    with pytest.raises(ValueError, match="instead:"):
        clip_by_norm([np.ones(1)], bound)
    with pytest.raises(ValueError, match="instead:"):
        clip_by_value([np.ones(1)], bound)

"""Gradients of the bench models in float32, beside the NumPy engine in float64; and what rounding decides."""

from dataclasses import replace

import numpy as np
import pytest

from boxgrad.bench import accuracy
from boxgrad.bench.accuracy import Errors, errors, flips, gradients, trained, truth
from boxgrad.bench.models import CASES, Case
from boxgrad.bench.steps import boxgrad_step

SMALL = {
    "mlp": CASES["mlp"],
    "lenet": replace(CASES["lenet"], shape=(1, 28, 28)),
    "lstm": replace(CASES["lstm-small"], shape=(7, 3)),
}


@pytest.mark.parametrize("name", sorted(SMALL))
def test_gradients_are_exact_to_float32(name):
    case = SMALL[name]
    for steps in (0, 3):
        state = trained(case, case.state(), "native", steps)
        found = gradients(case, state, "native")
        error = errors(found, truth(case, state))
        if error.norm > 2e-5:  # a relu or a maximum near a tie
            flipped = flips(case, state, "native")
            assert flipped is not None
            assert flipped.count > 0
            error = flipped.held
        assert error.norm < 2e-5
        assert error.largest < 1e-4


def test_a_flip_is_found_and_explains_the_error():
    """A relu whose input is 1e-9 in float64 and 0 in float32."""
    layers = (("Linear", (2, 1), {}), ("ReLU", (), {}), ("Linear", (1, 10), {}))
    case = Case(layers, (2,), 1)
    state = case.state()
    x, _ = case.data()
    w = np.float32([1.0, 1.0])
    state["0.weight"] = w[None]
    total = x.astype(np.float64) @ w.astype(np.float64)
    rounded = (x @ w).astype(np.float64)
    row = int(np.argmax(np.abs(total - rounded)))
    middle = (total[row] + rounded[row]) / 2
    state["0.bias"] = np.float32([-middle])
    if (np.float32(rounded[row]) + state["0.bias"][0] > 0) == (total[row] + float(state["0.bias"][0]) > 0):
        state["0.bias"] = np.float32([-rounded[row]])
    flipped = flips(case, state, "numpy")
    assert flipped.count >= 1
    assert errors(gradients(case, state, "numpy"), truth(case, state)).norm > 1e-4
    assert flipped.held.norm < 1e-5


def test_a_gradient_that_vanishes_is_measured_by_the_largest():
    true = {"w": np.array([100.0, 0.0]), "b": np.array([1e-14, -1e-14])}
    found = {"w": np.array([100.0, 0.0]), "b": np.array([1e-5, 0.0])}
    assert errors(found, true) == Errors(pytest.approx(1e-7), pytest.approx(1e-7), "b")


def test_losses_in_double_precision_follow_the_numpy_engine():
    case = replace(CASES["mlp"], double=True)
    state = case.state()
    native, numpy = (accuracy.losses(boxgrad_step(case, state, e)[0], 20) for e in ("native", "numpy"))
    np.testing.assert_allclose(native, numpy, rtol=1e-12)


def test_losses_in_single_precision_stay_close():
    case = CASES["mlp"]
    state = case.state()
    ours = accuracy.losses(boxgrad_step(case, state, "native")[0], 100)
    true = accuracy.losses(boxgrad_step(replace(case, double=True), state, "native")[0], 100)
    assert np.max(np.abs(np.array(ours) - true)) < 1e-5
    assert true[-1] < 0.1 * true[0]

"""The vectorised functions at every exponent, at zeros, subnormal numbers, infinities and NaN."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg

ULPS = 2.5
FUNCTIONS = {"exp": np.exp, "log": np.log, "tanh": np.tanh, "sin": np.sin, "cos": np.cos, "erf": bg.erf}


def arguments() -> np.ndarray:
    """A few hundred numbers of each binary exponent, with both signs, and the special ones."""
    random = np.random.default_rng(0)
    patterns = np.arange(0, 255, dtype=np.uint32)[:, None] << 23
    patterns = patterns | random.integers(0, 1 << 23, (255, 600), dtype=np.uint32)
    positive = patterns.reshape(-1).view(np.float32)
    near_one = np.float32(1) + random.normal(0, 0.1, 20_000).astype(np.float32)
    middle = random.uniform(-110, 95, 200_000).astype(np.float32)
    edges = [0.0, 1e-45, 1.1754942e-38, 1.1754944e-38, 0.625, 88.72283, 88.72284, 103.97, 104.0, np.inf]
    quarters = (np.pi / 2 * np.arange(1, 20_000)).astype(np.float32)
    special = np.array([*edges, np.nan, 1.0, np.finfo(np.float32).max], np.float32)
    return np.concatenate(
        [x for part in (positive, near_one, middle, quarters, special) for x in (part, -part)]
    )


def exact(function, x):
    """float64's answer; long enough for float32, also where the result is subnormal."""
    with np.errstate(all="ignore"):
        return function(x.astype(np.float64))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_units_in_the_last_place(name):
    x = arguments()
    got = bg.compile(FUNCTIONS[name], engine="native")(x)
    wanted = exact(FUNCTIONS[name], x)
    with np.errstate(all="ignore"):
        rounded = wanted.astype(np.float32)
    assert got.dtype == np.float32
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    unit = np.spacing(np.abs(rounded[finite])).astype(np.float64)
    error = np.abs(got[finite].astype(np.float64) - wanted[finite]) / unit
    assert error.max() <= ULPS, (x[finite][error.argmax()], error.max())
    zero = rounded == 0
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(rounded[zero]))


@pytest.mark.parametrize("length", [1, 3, 8, 13, 64, 100])
def test_the_same_in_every_kernel(length):
    """A number has one result, in whatever lane, tail or fused kernel it is computed."""
    x = np.random.default_rng(1).normal(0, 3, 100).astype(np.float32)
    alone = bg.compile(np.tanh, engine="native")(x)
    fused = bg.compile(lambda x: (np.tanh(x), np.exp(x) + np.sum(x)), engine="native")(x[:length])
    np.testing.assert_array_equal(fused[0], alone[:length])

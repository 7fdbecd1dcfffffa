"""What the derivative is where there is none: the rules of DESIGN.md, in every form of a function.

relu 0 at 0; ties of maximum, minimum, max and min split evenly; abs 0 at 0; clip 1 inside and at the bounds;
norm 0 at 0; rounding and signs 0 everywhere.
"""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn

ZERO = np.zeros(3)
TIES = np.array([1.0, 3.0, 3.0, 3.0, 2.0])
KINKS = [
    ("relu", nn.relu, np.array([-1.0, 0.0, 2.0]), [0.0, 0.0, 1.0]),
    ("relu by where", lambda x: np.where(x > 0, x, 0), np.array([-1.0, 0.0, 2.0]), [0.0, 0.0, 1.0]),
    ("maximum of a constant", lambda x: np.maximum(x, 0), np.array([-1.0, 0.0, 2.0]), [0.0, 0.5, 1.0]),
    ("minimum of a constant", lambda x: np.minimum(0, x), np.array([-1.0, 0.0, 2.0]), [1.0, 0.5, 0.0]),
    ("maximum of itself", lambda x: np.maximum(x, x), TIES, [1.0] * 5),
    ("fmax", lambda x: np.fmax(x, 3.0), TIES, [0.0, 0.5, 0.5, 0.5, 0.0]),
    ("fmin", lambda x: np.fmin(x, 3.0), TIES, [1.0, 0.5, 0.5, 0.5, 1.0]),
    ("max", np.max, TIES, [0.0, 1 / 3, 1 / 3, 1 / 3, 0.0]),
    ("max of all equal", np.max, ZERO, [1 / 3] * 3),
    ("min", lambda x: np.min(-x), TIES, [0.0, -1 / 3, -1 / 3, -1 / 3, 0.0]),
    ("max along an axis", lambda x: np.max(x.reshape(1, 5), axis=1), TIES, [0.0, 1 / 3, 1 / 3, 1 / 3, 0.0]),
    ("maximum.reduce", np.maximum.reduce, TIES, [0.0, 1 / 3, 1 / 3, 1 / 3, 0.0]),
    ("ptp of equals", np.ptp, ZERO, [0.0] * 3),
    ("max pool", lambda x: bg.max_pool(x[None, None], 3), np.array([2.0, 2, 1, 0, 0]), [0.5, 0.5, 0, 0, 0]),
    ("absolute", np.abs, np.array([-2.0, 0.0, 3.0]), [-1.0, 0.0, 1.0]),
    ("fabs", np.fabs, np.array([-2.0, 0.0, 3.0]), [-1.0, 0.0, 1.0]),
    ("abs of Python", abs, np.array([-2.0, 0.0, 3.0]), [-1.0, 0.0, 1.0]),
    ("norms of numbers", lambda x: np.linalg.norm(x[:, None], axis=1), np.array([-2.0, 0.0]), [-1.0, 0.0]),
    ("clip", lambda x: np.clip(x, -1, 1), np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), [0.0, 1.0, 1.0, 1.0, 0.0]),
    ("clip method", lambda x: x.clip(0, None), np.array([-1.0, 0.0, 1.0]), [0.0, 1.0, 1.0]),
    ("norm", np.linalg.norm, ZERO, [0.0] * 3),
    ("norm of order 1", lambda x: np.linalg.norm(x, 1), ZERO, [0.0] * 3),
    ("norm of order 3", lambda x: np.linalg.norm(x, 3), ZERO, [0.0] * 3),
    ("largest of norm", lambda x: np.linalg.norm(x, np.inf), np.array([2.0, -2.0, 1.0]), [0.5, -0.5, 0.0]),
    ("norms", lambda x: np.linalg.norm(x.reshape(2, 2), axis=1), np.array([0.0, 0, 3, 4]), [0, 0, 0.6, 0.8]),
    ("hypot", lambda x: np.hypot(x, 0.0), ZERO, [0.0] * 3),
    ("sign", np.sign, np.array([-1.0, 0.0, 1.0]), [0.0] * 3),
    ("floor", np.floor, np.array([-1.0, 0.5, 2.0]), [0.0] * 3),
    ("rint", np.rint, np.array([0.5, 1.5, 2.0]), [0.0] * 3),
    ("round", lambda x: np.round(x, 1), np.array([0.25, 1.5, 2.0]), [0.0] * 3),
    ("floor_divide", lambda x: x // 2, np.array([0.0, 2.0, 3.0]), [0.0] * 3),
    ("remainder", lambda x: x % 2, np.array([0.0, 2.0, 3.0]), [1.0] * 3),
    ("sort", lambda x: np.sort(x) * np.arange(5), TIES, [0.0, 2.0, 3.0, 4.0, 1.0]),
    ("sinc", np.sinc, ZERO, [0.0] * 3),
    ("logaddexp", lambda x: np.logaddexp(x, x), ZERO, [1.0] * 3),
    ("logsumexp", bg.logsumexp, ZERO, [1 / 3] * 3),
    ("logsumexp of huge", bg.logsumexp, np.array([1e4, 1e4, -1e4]), [0.5, 0.5, 0.0]),
    ("logsumexp of -inf", lambda x: bg.logsumexp(np.append(-np.inf, 0.0) + 0 * x[:2]), ZERO, [0.0] * 3),
    ("square root far from 0", lambda x: np.where(x > 0, np.sqrt(np.where(x > 0, x, 1)), 0), ZERO, [0.0] * 3),
    ("0 to the power 0", lambda x: x**0, ZERO, [0.0] * 3),
    ("0 to the power 1", lambda x: x**1, ZERO, [1.0] * 3),
    ("0 squared", lambda x: x**2.0, ZERO, [0.0] * 3),
    ("0 to traced powers", lambda x: np.power(0.0, x + 1), ZERO, [0.0] * 3),
    ("product of zeros", np.prod, np.array([0.0, 2.0, 3.0]), [6.0, 0.0, 0.0]),
    ("product of two zeros", np.prod, np.array([0.0, 0.0, 3.0]), [0.0] * 3),
    ("cumprod of zeros", np.cumprod, np.array([2.0, 0.0, 3.0]), [1.0, 8.0, 0.0]),
    ("softplus far out", nn.softplus, np.array([-800.0, 0.0, 800.0]), [0.0, 0.5, 1.0]),
    ("sigmoid far out", nn.sigmoid, np.array([-800.0, 0.0, 800.0]), [0.0, 0.25, 0.0]),
    ("tanh far out", np.tanh, np.array([-400.0, 0.0, 400.0]), [0.0, 1.0, 0.0]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "x", "wanted"), [row[1:] for row in KINKS], ids=[row[0] for row in KINKS]
)
@pytest.mark.parametrize("wrap", [lambda f: f, bg.compile], ids=["eager", "compiled"])
def test_kinks(function, x, wanted, wrap):
    total = lambda x: np.sum(function(x))
    np.testing.assert_allclose(wrap(bg.grad(total))(x), wanted, rtol=1e-14, atol=1e-300)
    narrow = wrap(bg.grad(total))(x.astype(np.float32))
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "x", "z", "wanted"),
    [
        (np.maximum, [1.0, 2.0, 3.0], [2.0, 2.0, 2.0], ([0, 0.5, 1], [1, 0.5, 0])),
        (np.minimum, [1.0, 2.0, 3.0], [2.0, 2.0, 2.0], ([1, 0.5, 0], [0, 0.5, 1])),
        (np.fmax, [np.nan, 2.0, 1.0], [1.0, np.nan, 1.0], ([0, 1, 0.5], [1, 0, 0.5])),
        (np.fmin, [np.nan, 2.0, 1.0], [1.0, np.nan, 1.0], ([0, 1, 0.5], [1, 0, 0.5])),
        (np.hypot, [0.0, 3.0, 0.0], [0.0, 4.0, 2.0], ([0, 0.6, 0], [0, 0.8, 1])),
        (np.logaddexp, [-np.inf, 0.0, 1e3], [0.0, 0.0, -1e3], ([0, 0.5, 1], [1, 0.5, 0])),
        (np.power, [0.0, 2.0, 0.0], [0.0, 1.0, 2.0], ([0, 1, 0], [0, 2 * np.log(2), 0])),
        (lambda x, z: np.clip(x, z, 2.5), [1.0, 2.0, 3.0], [2.0, 2.0, 2.0], ([0, 1, 0], [1, 0, 0])),
        (np.copysign, [1.0, -2.0, 3.0], [-1.0, -1.0, 1.0], ([-1, 1, 1], [0, 0, 0])),
    ],
)
def test_kinks_of_two(function, x, z, wanted):
    x, z = np.array(x), np.array(z)
    gradients = bg.grad(lambda x, z: np.sum(function(x, z)), (0, 1))(x, z)
    np.testing.assert_allclose(gradients, wanted, rtol=1e-14)


@pytest.mark.parametrize(
    "function",
    [
        np.abs,
        np.linalg.norm,
        nn.relu,
        np.max,
        lambda x: np.clip(x, 0, 1),
        lambda x: x**2,
        np.sinc,
        lambda x: x**1,
    ],
)
def test_second_derivatives_at_kinks_are_finite(function):
    second = bg.hessian(lambda x: np.sum(function(x)))(np.zeros(2))
    assert np.all(np.isfinite(second))


def test_nan_is_not_hidden():
    """A NaN among the elements shows in the value, and its gradient goes where the value came from."""
    x = np.array([1.0, np.nan, 2.0])
    assert np.isnan(np.max(x))
    np.testing.assert_array_equal(bg.grad(np.max)(x), [0.0, 1.0, 0.0])
    np.testing.assert_array_equal(bg.grad(np.min)(x), [0.0, 1.0, 0.0])
    assert np.isnan(nn.relu(x)[1])
    assert np.isnan(bg.vjp(lambda x: np.clip(x, 0, 1), x)[0][1])

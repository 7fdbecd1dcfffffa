"""scipy.special on traced values: scipy's own numbers, and derivatives against differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import boxgrad as bg
from boxgrad.trace.table import by_name
from numeric import assert_near, richardson
from sampling import between

ONE = {
    "erf": (-2, 2), "erfc": (-2, 3), "erfinv": (-0.8, 0.8), "gammaln": (0.5, 4), "psi": (0.5, 4),
    "gamma": (0.5, 4), "expit": (-3, 3), "log_expit": (-3, 3), "logit": (0.1, 0.9), "entr": (0.1, 2),
    "ndtr": (-2, 2), "ndtri": (0.1, 0.9), "exp2": (-2, 2), "exp10": (-1, 1), "log1p": (-0.5, 2),
    "expm1": (-1, 1), "cbrt": (0.5, 2), "cosm1": (-1, 1),
}  # fmt: skip
TWO = {
    "xlogy": ((0.2, 2), (0.5, 2)), "xlog1py": ((0.2, 2), (-0.5, 2)), "rel_entr": ((0.2, 2), (0.5, 2)),
    "kl_div": ((0.2, 2), (0.5, 2)), "huber": ((0.9, 1), (-0.5, 0.5)), "pseudo_huber": ((0.5, 1), (-2, 2)),
    "beta": ((0.5, 2), (0.5, 2)), "betaln": ((0.5, 2), (0.5, 2)),
}  # fmt: skip


def test_every_function_is_compared():
    assert {*ONE, *TWO} == {*by_name}


@pytest.mark.parametrize("name", [*ONE, *TWO])
@pytest.mark.parametrize("shape", [(), (3,), (1, 2)])
def test_function(name: str, shape: tuple[int, ...]):
    function = getattr(special, name)
    ranges = (ONE[name],) if name in ONE else TWO[name]
    xs = [between(low, high, shape, f"{name}{i}") for i, (low, high) in enumerate(ranges)]
    chosen = tuple(range(len(xs)))
    got = bg.compile(function)(*xs)
    np.testing.assert_allclose(got, function(*xs), rtol=1e-12, atol=1e-14)
    vs = [between(0.3, 1, shape, f"v{i}") for i in chosen]
    slope = lambda *xs: sum(
        np.sum(d * v) for d, v in zip(bg.grad(lambda *a: np.sum(function(*a)), chosen)(*xs), vs, strict=True)
    )
    assert_near(slope(*xs), richardson(lambda *a: np.sum(function(*a)), xs, vs, 0.01), name, 1e-9)
    second = sum(np.sum(d * v) for d, v in zip(bg.grad(slope, chosen)(*xs), vs, strict=True))
    assert_near(second, richardson(slope, xs, vs, 0.01), f"{name} to second order", 1e-8)


def test_far_out():
    """No overflow, no loss of the small values, right limits."""
    x = np.array([-800.0, -30.0, 0.0, 30.0, 800.0])
    for name in ("expit", "log_expit"):
        np.testing.assert_allclose(bg.compile(getattr(special, name))(x), getattr(special, name)(x), 1e-13)
    assert np.all(np.isfinite(bg.grad(lambda x: np.sum(special.expit(x)))(x)))
    np.testing.assert_array_equal(bg.compile(special.xlogy)(np.zeros(2), np.array([0.0, 1.0])), 0.0)
    negative = np.array([-0.5, -1.5, -2.5])
    np.testing.assert_allclose(bg.compile(special.gamma)(negative), special.gamma(negative), 1e-12)


def test_other_ufuncs_are_refused():
    with pytest.raises(bg.TraceError, match=r"j0[\s\S]*test_special\.py"):
        bg.grad(lambda x: x * special.j0(x))(1.5)

"""Derivatives without rules: references that share no code with what they test.

``complex_step`` is exact to rounding where a function is analytic and NumPy computes it on complex numbers;
``richardson`` extrapolates central differences, for functions that are smooth within a few steps of a point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

Arrays = Sequence[Any]
TINY = 1e-30
STEP = 0.02
LEVELS = 5


def is_real(x: Any) -> bool:
    """Whether a value can be varied: a float or an array of floats."""
    return np.asarray(x).dtype.kind == "f"


def moved(xs: Arrays, vs: Arrays, by: Any) -> list[Any]:
    """x + by · v for each pair; what cannot be varied stays."""
    return [x if v is None else x + by * v for x, v in zip(xs, vs, strict=True)]


def complex_step(f: Callable[..., Any], xs: Arrays, vs: Arrays) -> np.ndarray:
    """The derivative of f along v: Im f(x + ihv)/h (Squire and Trapp, SIAM Review 40, 1998)."""
    return np.imag(np.asarray(f(*moved(xs, vs, 1j * TINY)))) / TINY


def richardson(f: Callable[..., Any], xs: Arrays, vs: Arrays, step: float = STEP) -> np.ndarray:
    """The derivative of f along v from central differences at step, step/2, step/4, …

    Each column of the table removes the next even power of the step.
    """
    steps = [step / 2**level for level in range(LEVELS)]
    row = [
        (np.asarray(f(*moved(xs, vs, h)), np.float64) - np.asarray(f(*moved(xs, vs, -h)), np.float64))
        / (2 * h)
        for h in steps
    ]
    for order in range(1, LEVELS):
        row = [fine + (fine - coarse) / (4**order - 1) for coarse, fine in pairwise(row)]
    return row[0]


def direction(xs: Arrays, random: np.random.Generator) -> list[Any]:
    """A random direction for each float argument, None for the others; no entry is near 0 or above 1."""
    return [
        random.uniform(0.3, 1.0, np.shape(x)) * random.choice([-1.0, 1.0], np.shape(x))
        if is_real(x)
        else None
        for x in xs
    ]


def inner(xs: Arrays, ys: Arrays) -> float:
    """The sum of all products; None counts as 0."""
    pairs = [(x, y) for x, y in zip(xs, ys, strict=True) if x is not None and y is not None]
    return float(sum(np.sum(np.asarray(x) * np.asarray(y)) for x, y in pairs))


def assert_near(got: Any, wanted: Any, what: str = "", relative: float = 1e-9) -> None:
    """Equal to so many digits of the largest entry."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape, f"{what}: shape {got.shape}, wanted {wanted.shape}"
    scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
    np.testing.assert_allclose(got, wanted, rtol=relative, atol=relative * scale, err_msg=what)


def assert_within_units(got: Any, wanted: Any, factor: float = 64, dtype: Any = None) -> None:
    """Equal in type; integers and truth values equal, floats within some units in the last place.

    ``dtype`` is the narrowest in which there were intermediate results.
    """
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    if got.dtype.kind not in "fc":
        np.testing.assert_array_equal(got, wanted)
        return
    unit = np.finfo(dtype or got.dtype).eps * factor
    scale = np.max(np.abs(wanted[np.isfinite(wanted)]), initial=1.0)
    np.testing.assert_allclose(got, wanted, rtol=unit, atol=unit * scale)

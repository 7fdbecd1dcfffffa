"""Every NumPy function that can be compiled, under the native engine: values and gradients."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import tree
from numeric import assert_within_units, is_real
from numpy_calls import NumpyCall, calls

CALLS = [row for row in calls() if row.compiles]
REAL = [row for row in CALLS if any(is_real(x) for x in row.inputs)]


def is_float(y):
    return getattr(y, "dtype", np.dtype(bool)).kind == "f"


def same(got, wanted, factor):
    """Equal in structure, and in every part."""
    got, wanted = tree.leaves(got), tree.leaves(wanted)
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert_within_units(a, b, factor)


@pytest.mark.parametrize("row", CALLS, ids=[row.text for row in CALLS])
def test_values(row: NumpyCall):
    with np.errstate(all="ignore"):
        same(bg.compile(row.call, engine="native")(*row.inputs), row.call(*row.inputs), 64)


@pytest.mark.parametrize("row", REAL, ids=[row.text for row in REAL])
def test_gradients(row: NumpyCall):
    """As the NumPy engine has them; what it refuses, the native engine refuses."""
    chosen = [i for i, x in enumerate(row.inputs) if is_real(x)]
    weights = np.random.default_rng(5)

    def total(*xs):
        results = [y for y in tree.leaves(row.call(*xs)) if is_float(y)]
        return sum(np.sum(y * w) for y, w in zip(results, drawn, strict=True))

    floats = [y for y in map(np.asarray, tree.leaves(row.call(*row.inputs))) if y.dtype.kind == "f"]
    drawn = [weights.normal(size=y.shape) for y in floats]
    gradient = bg.grad(total, argnums=chosen)
    with np.errstate(all="ignore"):
        try:
            wanted = bg.compile(gradient, engine="numpy")(*row.inputs)
        except bg.BoxgradError as error:
            with pytest.raises(type(error)):
                bg.compile(gradient, engine="native")(*row.inputs)
            return
        same(bg.compile(gradient, engine="native")(*row.inputs), wanted, 512)

"""The twenty programs that other libraries are compared on: all of them work, and compile where they can."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

import boxgrad as bg

MADE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "numpy_fidelity.py"))
BY_VALUE = {"masked"}


@pytest.mark.parametrize("name", MADE["PROGRAMS"])
def test_program(name: str):
    _, function, x = MADE["PROGRAMS"][name]
    before = x.copy()
    value, wanted = MADE["reference"](function, x)
    got, gradient = bg.value_and_grad(lambda x: function(np, x))(x)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(got, value, rtol=1e-12)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-7, atol=1e-8)
    if name not in BY_VALUE:
        compiled = bg.compile(bg.grad(lambda x: function(np, x)))
        np.testing.assert_allclose(compiled(x), gradient, rtol=1e-11, atol=1e-12)


def test_there_are_twenty():
    assert len(MADE["PROGRAMS"]) == 20

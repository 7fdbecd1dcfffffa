"""Random programs of views, writes and arithmetic do the same with traced arrays as with plain ones.

The values of all variables are those of NumPy; gradients are those that NumPy itself gives on complex numbers
with a tiny imaginary part. BOXGRAD_PROGRAMS says how many programs (10000 at night); without it 300, always
the same.
"""

from __future__ import annotations

import os

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import boxgrad as bg
from boxgrad.trace import Box
from random_programs import Program, checked, grown

COUNT = os.environ.get("BOXGRAD_PROGRAMS")
SETTINGS = settings(
    max_examples=int(COUNT or 300), deadline=None, database=None, derandomize=COUNT is None,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate],
)  # fmt: skip
SEEDS = given(st.integers(0, 2**32 - 1), st.integers(3, 16))
TINY = 1e-30


@SETTINGS
@SEEDS
def test_as_numpy(seed: int, length: int):
    checked(grown(seed, length), as_numpy)


@SETTINGS
@SEEDS
def test_compiled(seed: int, length: int):
    checked(grown(seed, length), compiled)


def results(space):
    """The arrays and numbers among the variables, by name."""
    return {name: x for name, x in space.items() if isinstance(x, (np.ndarray, np.generic, float, Box))}


def weights(name, shape):
    size = int(np.prod(shape))
    return np.cos(np.arange(size) + len(name) + ord(name[-1])).reshape(shape)


def total(space):
    """A number that depends on every element of every variable."""
    return sum(np.sum(weights(name, np.shape(x)) * x) for name, x in sorted(results(space).items()))


def slope(function, inputs, vs):
    """The derivative of the total along a direction, by complex numbers."""
    moved = [x + 1j * TINY * v for x, v in zip(inputs, vs, strict=True)]
    return np.imag(total(function(*moved))) / TINY


def as_numpy(program: Program) -> None:
    function, inputs = program.function(), list(program.inputs.values())
    wanted = results(function(*inputs))
    seen = {}

    def traced(*xs):
        space = function(*xs)
        seen.update(results(space))
        return total(space)

    value, gradients = bg.value_and_grad(traced, argnums=tuple(range(len(inputs))))(*inputs)
    assert seen.keys() == wanted.keys()
    for name, x in wanted.items():
        got = seen[name].node.value if isinstance(seen[name], Box) else seen[name]
        assert np.shape(got) == np.shape(x), name
        np.testing.assert_allclose(got, x, rtol=1e-13, atol=1e-13, err_msg=name)
    np.testing.assert_allclose(value, total(wanted), rtol=1e-12, atol=1e-12)
    random = np.random.default_rng(0)
    for _ in range(2):
        vs = [random.uniform(-1, 1, x.shape) for x in inputs]
        got = sum(np.sum(g * v) for g, v in zip(gradients, vs, strict=True))
        np.testing.assert_allclose(got, slope(function, inputs, vs), rtol=1e-10, atol=1e-10)


def compiled(program: Program) -> None:
    """Traced on types alone; programs with masks, whose sizes depend on values, are not compiled."""
    if any(" > " in line or " < " in line for line in program.statements):
        return
    function, inputs = program.function(), list(program.inputs.values())
    got = bg.compile(lambda *xs: results(function(*xs)))(*inputs)
    wanted = results(function(*inputs))
    assert got.keys() == wanted.keys()
    for name, x in wanted.items():
        assert np.shape(got[name]) == np.shape(x), name
        np.testing.assert_allclose(got[name], x, rtol=1e-13, atol=1e-13, err_msg=name)
    gradient = bg.grad(lambda *xs: total(function(*xs)), argnums=tuple(range(len(inputs))))
    for a, b in zip(bg.compile(gradient)(*inputs), gradient(*inputs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)

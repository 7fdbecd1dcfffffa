"""The functions of mathematics at every exponent, at zeros, subnormal numbers, infinities and NaN.

The reference is mpmath, which computes with 120 bits (more where an angle is reduced); in float32 also, at
hundreds of numbers of each exponent, NumPy in float64, whose errors are a billionth of what is measured.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn
from boxgrad.engines.native.emitters import EMITTERS

ULPS = 2.5
FUNCTIONS = {"exp": np.exp, "log": np.log, "tanh": np.tanh, "sin": np.sin, "cos": np.cos, "erf": bg.erf}
DTYPES = (np.float32, np.float64)

# ---- every function that is not one instruction, and its exact meaning
UNARY = {
    "exp": mpmath.exp, "exp2": lambda x: mpmath.power(2, x), "expm1": mpmath.expm1, "log": mpmath.log,
    "log2": lambda x: mpmath.log(x, 2), "log10": mpmath.log10, "log1p": mpmath.log1p,
    "sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan, "arcsin": mpmath.asin, "arccos": mpmath.acos,
    "arctan": mpmath.atan, "sinh": mpmath.sinh, "cosh": mpmath.cosh, "tanh": mpmath.tanh,
    "arcsinh": mpmath.asinh, "arccosh": mpmath.acosh, "arctanh": mpmath.atanh, "cbrt": mpmath.cbrt,
    "sqrt": mpmath.sqrt, "erf": mpmath.erf, "deg2rad": mpmath.radians, "radians": mpmath.radians,
    "rad2deg": mpmath.degrees, "degrees": mpmath.degrees, "reciprocal": lambda x: 1 / x,
}  # fmt: skip


def power(x, z):
    """Of a negative number, where it has a value: with a whole exponent."""
    sign = -1 if x < 0 and z % 2 else 1
    return sign * mpmath.power(abs(x), z)


BINARY = {
    "power": power, "float_power": power, "arctan2": mpmath.atan2, "hypot": mpmath.hypot,
    "fmod": lambda x, z: mpmath.fmod(abs(x), abs(z)) * mpmath.sign(x), "divide": lambda x, z: x / z,
}  # fmt: skip
# Where the C library's own float64 function is less exact than that (its manual says 4 and 3 units).
LIBRARY = {"cbrt": 4.0, "sinh": 3.0, "cosh": 3.0, "arcsinh": 3.0, "arccosh": 3.0, "arctanh": 3.0}
EXACT = {
    "add", "subtract", "multiply", "negative", "positive", "square", "absolute", "fabs", "sign", "copysign",
    "floor", "ceil", "trunc", "rint", "maximum", "minimum", "fmax", "fmin", "equal", "not_equal", "less",
    "less_equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_xor", "logical_not",
    "bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift", "isnan", "isinf",
    "isfinite", "signbit", "where", "cast", "identity", "stop_gradient",
}  # fmt: skip
"""One instruction, or a choice."""


def arguments() -> np.ndarray:
    """A few hundred float32 numbers of each binary exponent, with both signs, and the special ones."""
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


def everywhere(dtype: type, each: int = 1) -> np.ndarray:
    """``each`` numbers of every exponent, subnormal ones included, of both signs; and where much happens."""
    limits, random = np.finfo(dtype), np.random.default_rng(1)
    unsigned = {4: np.uint32, 8: np.uint64}[limits.bits // 8]
    exponents = np.arange(0, 2**limits.iexp - 1, dtype=unsigned)[:, None] << unsigned(limits.nmant)
    patterns = exponents | random.integers(0, 1 << limits.nmant, (len(exponents), each), unsigned)
    some = np.concatenate([
        patterns.reshape(-1).view(dtype), random.uniform(0, 20, 200), random.uniform(0.4, 2.5, 200),
        np.log(float(limits.max)) * random.uniform(0.98, 1.03, 50),
        np.pi / 2 * np.arange(1, 60), 2.0 ** random.integers(-60, 60, 40),
        limits.smallest_subnormal * random.integers(1, 100, 20), [limits.tiny, limits.max, 1.0, 0.625],
    ]).astype(dtype)  # fmt: skip
    return np.concatenate([some, -some])


def specials(dtype: type) -> np.ndarray:
    limits = np.finfo(dtype)
    some = np.array(
        [0, 1, np.inf, np.nan, limits.max, limits.tiny, limits.smallest_subnormal, 0.5, 2, 3], dtype
    )
    return np.concatenate([some, -some])


def errors(got: np.ndarray, wanted: list[mpmath.mpf]) -> np.ndarray:
    """In units of the last place of the exact result."""
    limits = np.finfo(got.dtype)
    found = []
    for x, exact in zip(got.tolist(), wanted, strict=True):
        _, exponent = mpmath.frexp(exact)
        unit = mpmath.ldexp(1, max(exponent - limits.nmant - 1, limits.minexp - limits.nmant))
        found.append(float(abs(mpmath.mpf(x) - exact) / unit))
    return np.array(found)


def check(name: str, function, exact, inputs: list[np.ndarray], limit: float) -> None:
    """Finite results within the limit; NaN, infinities and signs of zeros as NumPy has them."""
    with np.errstate(all="ignore"):
        wanted = np.asarray(function(*inputs))
        got = bg.compile(function, engine="native")(*inputs)
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    largest = np.finfo(got.dtype).max
    # Beyond the largest number, both have infinity, or one of them the largest number.
    beyond = np.isinf(wanted) | np.isinf(got)
    assert (np.abs(got[beyond]) >= largest).all()
    assert (np.abs(wanted[beyond]) >= largest).all()
    np.testing.assert_array_equal(np.sign(got[beyond]), np.sign(wanted[beyond]))
    zero = wanted == 0
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(wanted[zero]))
    finite = np.isfinite(wanted) & np.isfinite(got)
    if len(inputs) > 1:  # mpmath has no zero with a sign, and its infinities have no parity
        ends = finite & np.logical_or(*((x == 0) | np.isinf(x) for x in inputs))
        np.testing.assert_allclose(got[ends], wanted[ends], rtol=np.finfo(got.dtype).eps)
        finite &= ~ends
    arguments = [x[finite].tolist() for x in inputs]
    with mpmath.workprec(120):
        results = [exact(*map(mpmath.mpf, numbers)) for numbers in zip(*arguments, strict=True)]
        error = errors(got[finite], results)
    worst = int(error.argmax())
    assert error[worst] <= limit, (name, [x[worst] for x in arguments], error[worst])


def signed_cbrt(x):
    return mpmath.sign(x) * mpmath.cbrt(abs(x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_at_every_exponent(name, dtype):
    function = bg.erf if name == "erf" else getattr(np, name)
    exact = signed_cbrt if name == "cbrt" else UNARY[name]
    x = np.concatenate([everywhere(dtype, 3 if dtype == np.float32 else 1), specials(dtype)])
    limit = LIBRARY.get(name, ULPS) if dtype == np.float64 else ULPS
    check(name, function, exact, [x], limit)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
def test_of_two_numbers(name, dtype):
    random = np.random.default_rng(2)
    wide = everywhere(dtype)[:: 1 if dtype == np.float32 else 4]
    narrow = random.normal(0, 3, 2000).astype(dtype)
    pairs = np.stack(np.meshgrid(specials(dtype), specials(dtype))).reshape(2, -1)
    x = np.concatenate([random.permutation(wide), narrow, pairs[0]])
    z = np.concatenate([random.permutation(wide), random.permutation(narrow), pairs[1]])
    if name == "fmod":  # whose quotient may have two thousand bits
        with np.errstate(all="ignore"):
            near = np.abs(np.log2(np.abs(x)) - np.log2(np.abs(z))) < 60
        x, z = x[near], z[near]
    check(name, getattr(np, name), BINARY[name], [x, z], ULPS)


def test_every_function_is_measured():
    assert set(EMITTERS) == {*UNARY, *BINARY, *EXACT}, set(EMITTERS) ^ {*UNARY, *BINARY, *EXACT}


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid(dtype):
    """Made of exp; also where it is nearly 0."""
    x = np.concatenate([everywhere(dtype, 2), specials(dtype)])
    with np.errstate(all="ignore"):
        got = bg.compile(nn.sigmoid, engine="native")(x)
    assert got.dtype == dtype
    np.testing.assert_array_equal(np.isnan(got), np.isnan(x))
    inside = (np.abs(x) < -math.log(np.finfo(dtype).tiny)) & ~np.isnan(x)
    with mpmath.workprec(120):
        wanted = [1 / (1 + mpmath.exp(-mpmath.mpf(number))) for number in x[inside].tolist()]
        error = errors(got[inside], wanted)
    assert error.max() <= ULPS, (x[inside][error.argmax()], error.max())
    far = ~inside & ~np.isnan(x)
    np.testing.assert_allclose(got[far], x[far] > 0, atol=np.finfo(dtype).tiny)


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

"""Vectorised exp, log, tanh, sin, cos and erf, the same in every kernel.

float32 is computed in float32 by reduction and a polynomial, to within 2 units in the last place over the
whole range: subnormal numbers, zeros, infinities and NaN included. float64 calls the C library lane by lane.
The polynomials are minimax fits of the reduced functions (Cody and Waite, "Software manual for the elementary
functions", 1980, for the scheme; coefficients as in Moshier's Cephes library).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from boxgrad.engines.native.vector import BOOL, FLOAT32, FLOAT64, INT32, INT64, Lanes, Term


def integer_of(dtype: np.dtype) -> np.dtype:
    """The signed integers of a float's size."""
    return INT32 if dtype == FLOAT32 else INT64


def polynomial(e: Lanes, x: Term, coefficients: Sequence[float]) -> Term:
    """Horner's rule, highest power first."""
    result = e.like(coefficients[0], x)
    for coefficient in coefficients[1:]:
        result = e.multiply_add(result, x, e.like(coefficient, x))
    return result


def _power_of_two(e: Lanes, n: Term) -> Term:
    """2**n of an int32 in −126 … 127, by writing the exponent's bits."""
    shifted = e.op("shl", e.op("add", n, e.like(127, n)), e.like(23, n))
    return e.bits(shifted, FLOAT32)


_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
# ln 2 in two parts, of which the first has so few bits that its products are exact.
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4


def exp(e: Lanes, x: Term) -> Term:
    """e**x = 2**n e**r with n the nearest integer to x / ln 2.

    2**n is applied in two halves, so that results down to the smallest subnormal number come out.
    """
    if x.dtype != FLOAT32:
        return e.each("exp", x)
    n, r = _reduced(e, _clipped(e, x, -104.0, 89.0))
    y = _near_zero(e, r)
    half = e.op("ashr", n, e.like(1, n))
    y = e.op("fmul", e.op("fmul", y, _power_of_two(e, half)), _power_of_two(e, e.op("sub", n, half)))
    return e.choose(e.compare("uno", x, x), x, y)


def _clipped(e: Lanes, x: Term, low: float, high: float) -> Term:
    """x within bounds; NaN becomes the lower one."""
    x = e.choose(e.compare("ogt", x, e.like(low, x)), x, e.like(low, x))
    return e.choose(e.compare("olt", x, e.like(high, x)), x, e.like(high, x))


def _reduced(e: Lanes, x: Term) -> tuple[Term, Term]:
    """n as int32 and r with x = n ln 2 + r, |r| ≤ ln 2 / 2."""
    whole = e.intrinsic("roundeven", e.op("fmul", x, e.like(1 / math.log(2), x)))
    r = e.multiply_add(whole, e.like(-_LN2_HIGH, x), x)
    r = e.multiply_add(whole, e.like(-_LN2_LOW, x), r)
    text = f"fptosi {e.type(FLOAT32)} {whole.text} to {e.type(INT32)}"
    return Term(e.function.value(text), INT32), r


def _near_zero(e: Lanes, r: Term) -> Term:
    """e**r for |r| ≤ ln 2 / 2: 1 + r + r² P(r)."""
    square = e.op("fmul", r, r)
    return e.op("fadd", e.multiply_add(polynomial(e, r, _EXP), square, r), e.like(1, r))


_LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip


def log(e: Lanes, x: Term) -> Term:
    """ln x = n ln 2 + ln m with √½ ≤ m < √2; subnormal numbers are scaled up first."""
    if x.dtype != FLOAT32:
        return e.each("log", x)
    small = e.compare("olt", x, e.like(2.0**-126, x))
    scaled = e.choose(small, e.op("fmul", x, e.like(2.0**23, x)), x)
    bits = e.bits(scaled, INT32)
    # Subtracting the bits of √½ makes the exponent count from there.
    offset = e.op("sub", bits, e.like(0x3F3504F3, bits))
    n = e.op("ashr", offset, e.like(23, bits))
    m = e.bits(e.op("sub", bits, e.op("shl", n, e.like(23, bits))), FLOAT32)
    whole = Term(e.function.value(f"sitofp {e.type(INT32)} {n.text} to {e.type(FLOAT32)}"), FLOAT32)
    whole = e.choose(small, e.op("fsub", whole, e.like(23, whole)), whole)
    r = e.op("fsub", m, e.like(1, m))
    square = e.op("fmul", r, r)
    tail = e.op("fmul", e.op("fmul", polynomial(e, r, _LOG), r), square)
    tail = e.multiply_add(whole, e.like(_LN2_LOW, r), tail)
    tail = e.multiply_add(square, e.like(-0.5, r), tail)
    y = e.multiply_add(whole, e.like(_LN2_HIGH, r), e.op("fadd", r, tail))
    y = e.choose(e.compare("oeq", x, e.like(0, x)), e.like(-math.inf, x), y)
    y = e.choose(e.compare("olt", x, e.like(0, x)), e.like(math.nan, x), y)
    unchanged = e.compare("ueq", x, e.like(math.inf, x))  # infinity, or NaN
    return e.choose(unchanged, x, y)


_TANH = (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)


def tanh(e: Lanes, x: Term) -> Term:
    """An odd polynomial up to 0.625, then 1 − 2 / (e**2|x| + 1) with the sign of x."""
    if x.dtype != FLOAT32:
        return e.each("tanh", x)
    size = e.intrinsic("fabs", x)
    n, r = _reduced(e, _clipped(e, e.op("fadd", size, size), -1.0, 40.0))
    grown = e.op("fmul", _near_zero(e, r), _power_of_two(e, n))
    one = e.like(1, x)
    large = e.op("fsub", one, e.op("fdiv", e.like(2, x), e.op("fadd", grown, one)))
    square = e.op("fmul", x, x)
    small = e.multiply_add(e.op("fmul", polynomial(e, square, _TANH), square), x, x)
    y = e.choose(e.compare("olt", size, e.like(0.625, x)), small, large)
    y = e.intrinsic("copysign", y, x)
    return e.choose(e.compare("uno", x, x), x, y)


# ---- float32 functions that are computed in float64
# π/2 in three parts, of which two have so few bits that their products with n < 2²⁰ are exact.
_HALF_PI = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21)
_FAR = 1e6
_SINE = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(6, 0, -1))
_COSINE = tuple((-1) ** k / math.factorial(2 * k) for k in range(7, 0, -1))


def sin(e: Lanes, x: Term) -> Term:
    """The sine or cosine of what is left of x after n quarters of a turn; by the library beyond a million."""
    return _quarters(e, x, 0, "sin")


def cos(e: Lanes, x: Term) -> Term:
    """The sine, a quarter of a turn further on."""
    return _quarters(e, x, 1, "cos")


def _quarters(e: Lanes, x: Term, turned: int, symbol: str) -> Term:
    if x.dtype != FLOAT32:
        return e.each(symbol, x)
    far = e.op("xor", e.compare("olt", e.intrinsic("fabs", x), e.like(_FAR, x)), e.constant(True, BOOL))
    wide = e.cast(e.choose(far, e.like(0, x), x), FLOAT64)
    n = e.intrinsic("roundeven", e.op("fmul", wide, e.like(2 / math.pi, wide)))
    r = wide
    for part in _HALF_PI:
        r = e.multiply_add(n, e.like(-part, n), r)
    square = e.op("fmul", r, r)
    sine = e.multiply_add(e.op("fmul", polynomial(e, square, _SINE), square), r, r)
    cosine = e.multiply_add(polynomial(e, square, _COSINE), square, e.like(1, r))
    quarter = Term(e.function.value(f"fptosi {e.type(FLOAT64)} {n.text} to {e.type(INT64)}"), INT64)
    quarter = e.op("add", quarter, e.like(turned, quarter))
    odd = e.cast(e.op("and", quarter, e.like(1, quarter)), BOOL)
    lower = e.cast(e.op("and", quarter, e.like(2, quarter)), BOOL)
    y = e.choose(odd, cosine, sine)
    y = e.cast(e.choose(lower, e.op("fneg", y), y), FLOAT32)
    if not turned:  # the sign of a zero
        y = e.choose(e.compare("oeq", x, e.like(0, x)), x, y)
    return _except(e, far, x, y, symbol)


def _except(e: Lanes, wrong: Term, x: Term, y: Term, symbol: str) -> Term:
    """y, but the library's result in the few lanes where it would be wrong."""
    f, kind = e.function, e.type(x.dtype)
    result = f.slot(kind)
    f.store(kind, y.text, result, 64)
    bits = f.value(f"bitcast {e.type(BOOL)} {wrong.text} to i{e.count}")
    with f.when(f.value(f"icmp ne i{e.count} {bits}, 0")):
        f.store(kind, e.choose(wrong, e.each(symbol, x), y).text, result, 64)
    return Term(f.load(kind, result, 64), x.dtype)


# erf(x) / x in x², up to 1; erf in (x − 2.5) / 1.5 from there to 4, where it is 1 in float32.
# Least-squares fits at Chebyshev nodes, to within 2e-8.
_ERF_NEAR = (
    1.0595276285023253e-06, -1.3911700880401591e-05, 0.00011956946708639195, -0.00085426705517870527,
    0.0052237850060261031, -0.026866133625120463, 0.1128379131349283, -0.37612638889868799,
    1.1283791670946954,
)  # fmt: skip
_ERF_FAR = (
    0.00025985707948631868, 9.7030901261776416e-05, -0.0020395178267889062, 0.0015362171715488473,
    0.0046766619432118753, -0.010403472539737365, 0.0066309699177303835, 0.0095742783615078639,
    -0.031865896369485537, 0.046391051234701546, -0.043651934257239233, 0.028187222659494429,
    -0.012252799467983258, 0.0032672769189078521, 0.99959304763227863,
)  # fmt: skip


def erf(e: Lanes, x: Term) -> Term:
    """Two polynomials in float64, with the sign of x."""
    if x.dtype != FLOAT32:
        return e.each("erf", x)
    wide = e.cast(x, FLOAT64)
    size = e.intrinsic("fabs", wide)
    near = e.op("fmul", polynomial(e, e.op("fmul", wide, wide), _ERF_NEAR), wide)
    bounded = e.choose(e.compare("olt", size, e.like(4, size)), size, e.like(4, size))
    shifted = e.op("fmul", e.op("fsub", bounded, e.like(2.5, size)), e.like(1 / 1.5, size))
    far = e.intrinsic("copysign", polynomial(e, shifted, _ERF_FAR), wide)
    y = e.cast(e.choose(e.compare("olt", size, e.like(1, size)), near, far), FLOAT32)
    return e.choose(e.compare("uno", x, x), x, y)

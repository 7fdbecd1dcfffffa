"""Elementwise primitives: this file is the table of their derivatives.

In a rule ``g`` is the gradient of the output, ``y`` the output, ``x`` and ``z`` the inputs; the
result may have the output's shape, for broadcasting is undone once, in the backward walk.

Kinks (the same in every engine): ties of maximum and minimum are split evenly, ``abs`` has 0 at 0,
``sign``, ``floor``, ``ceil``, ``rint`` and ``trunc`` have 0 everywhere.
"""

from __future__ import annotations

import math
from typing import Any, TypeGuard

import numpy as np

from boxgrad.graph.primitive import (
    Call,
    Delimited,
    Derivative,
    Fraction,
    Infix,
    NoDerivative,
    Notation,
    Prefix,
    Primitive,
    Rule,
    Same,
    Superscript,
)
from boxgrad.ops.typing import promoted, real_dtype, ufunc_type
from boxgrad.types import ArrayType, is_ndarray


def elementwise(ufunc: np.ufunc, *, vjp: Derivative, notation: Notation) -> Primitive:
    """The record of a ufunc: NumPy already knows its name, meaning and types."""
    return Primitive(ufunc.__name__, ufunc, ufunc_type(ufunc), vjp, notation, (ufunc,))


def zero(*values: Any, **parameters: Any) -> None:
    """A derivative that is 0 everywhere."""


def step(ufunc: np.ufunc, notation: Notation) -> Primitive:
    """A piecewise constant function: its derivative is 0 wherever it has one, and 0 at the jumps."""
    return elementwise(ufunc, vjp=(zero,), notation=notation)


def discrete(ufunc: np.ufunc, notation: Notation) -> Primitive:
    """A function into integers or truth values."""
    return elementwise(ufunc, vjp=NoDerivative("its values are not real numbers"), notation=notation)


def lowered(z: Any) -> Any:
    """The exponent of the derivative of x**z; where z is 0 any exponent serves, for z factors it."""
    if isinstance(z, (int, float)):
        return z - 1 if z else 1
    return np.where(z == 0, 1, z - 1).astype(z.dtype)


def _float_type(x: ArrayType) -> ArrayType:
    return ArrayType(x.shape, np.sqrt(np.zeros((), x.dtype)).dtype)


def _real_type(x: ArrayType) -> ArrayType:
    return ArrayType(x.shape, real_dtype(x.dtype))


def _real(x: Any) -> Any:
    return x.real


def _imag(x: Any) -> Any:
    return x.imag


def _sign_rule(g: Any, y: Any, x: Any) -> Any:
    """A real sign is constant; a complex one, x/|x|, turns with its argument."""
    if y.dtype.kind == "c":
        return np.where(x == 0, 0, (g - y.conjugate() * (g * y).real) / np.where(x == 0, 1, np.abs(x)))
    return None


def where_positive(x: Any, value: Any) -> Any:
    """log's argument: 1 where x has no logarithm, so that 0 · log 0 counts as 0."""
    return np.where(
        x != 0 if np.iscomplexobj(x) else x > 0, value, np.ones((), x.dtype) if hasattr(x, "dtype") else 1.0
    )


LN2, LN10 = math.log(2), math.log(10)

# ---- arithmetic
add = elementwise(np.add, vjp=(lambda g, y, x, z: g, lambda g, y, x, z: g), notation=Infix("+", 1))
subtract = elementwise(np.subtract, vjp=(lambda g, y, x, z: g, lambda g, y, x, z: -g), notation=Infix("-", 1))
multiply = elementwise(
    np.multiply, vjp=(lambda g, y, x, z: g * z, lambda g, y, x, z: g * x), notation=Infix("⊙", 2)
)
divide = elementwise(
    np.divide, vjp=(lambda g, y, x, z: g / z, lambda g, y, x, z: -g * y / z), notation=Fraction()
)
negative = elementwise(np.negative, vjp=(lambda g, y, x: -g,), notation=Prefix("-", 2))
positive = elementwise(np.positive, vjp=(lambda g, y, x: g,), notation=Same())
power = elementwise(
    np.power,
    vjp=(
        lambda g, y, x, z: g * z * np.power(x, lowered(z)),
        lambda g, y, x, z: g * y * np.log(where_positive(x, x)),
    ),
    notation=Superscript(None),
)
float_power = elementwise(np.float_power, vjp=power.vjp, notation=Superscript(None))
reciprocal = elementwise(np.reciprocal, vjp=(lambda g, y, x: -g * y * y,), notation=Superscript("-1"))
square = elementwise(np.square, vjp=(lambda g, y, x: g * 2 * x,), notation=Superscript("2"))
floor_divide = elementwise(np.floor_divide, vjp=(zero, zero), notation=Infix("//", 2))
remainder = elementwise(
    np.remainder,
    vjp=(lambda g, y, x, z: g, lambda g, y, x, z: -g * np.floor(np.divide(x, z))),
    notation=Infix("mod", 2),
)
fmod = elementwise(
    np.fmod,
    vjp=(lambda g, y, x, z: g, lambda g, y, x, z: -g * np.trunc(np.divide(x, z))),
    notation=Call("fmod"),
)

# ---- roots, exponentials, logarithms
sqrt = elementwise(np.sqrt, vjp=(lambda g, y, x: g / (2 * y),), notation=Call("√"))
cbrt = elementwise(np.cbrt, vjp=(lambda g, y, x: g / (3 * y * y),), notation=Call("∛"))
exp = elementwise(np.exp, vjp=(lambda g, y, x: g * y,), notation=Call("exp"))
exp2 = elementwise(np.exp2, vjp=(lambda g, y, x: g * y * LN2,), notation=Call("exp2"))
expm1 = elementwise(np.expm1, vjp=(lambda g, y, x: g * (y + 1),), notation=Call("expm1"))
log = elementwise(np.log, vjp=(lambda g, y, x: g / x,), notation=Call("log"))
log2 = elementwise(np.log2, vjp=(lambda g, y, x: g / (x * LN2),), notation=Call("log2"))
log10 = elementwise(np.log10, vjp=(lambda g, y, x: g / (x * LN10),), notation=Call("log10"))
log1p = elementwise(np.log1p, vjp=(lambda g, y, x: g / (1 + x),), notation=Call("log1p"))


def _shares(power: np.ufunc) -> tuple[Rule, Rule]:
    """Each argument's share exp(x - y) is at most 1; infinite arguments give it 0 or an even split."""
    return (
        lambda g, y, x, z: g * power(x - np.where(np.isinf(y), 0, y)),
        lambda g, y, x, z: g * power(z - np.where(np.isinf(y), 0, y)),
    )


logaddexp = elementwise(np.logaddexp, vjp=_shares(np.exp), notation=Call("logaddexp"))
logaddexp2 = elementwise(np.logaddexp2, vjp=_shares(np.exp2), notation=Call("logaddexp2"))

# ---- trigonometric and hyperbolic
sin = elementwise(np.sin, vjp=(lambda g, y, x: g * np.cos(x),), notation=Call("sin"))
cos = elementwise(np.cos, vjp=(lambda g, y, x: -g * np.sin(x),), notation=Call("cos"))
tan = elementwise(np.tan, vjp=(lambda g, y, x: g * (1 + y * y),), notation=Call("tan"))
arcsin = elementwise(np.arcsin, vjp=(lambda g, y, x: g / np.sqrt(1 - x * x),), notation=Call("arcsin"))
arccos = elementwise(np.arccos, vjp=(lambda g, y, x: -g / np.sqrt(1 - x * x),), notation=Call("arccos"))
arctan = elementwise(np.arctan, vjp=(lambda g, y, x: g / (1 + x * x),), notation=Call("arctan"))
arctan2 = elementwise(
    np.arctan2,
    vjp=(lambda g, y, x, z: g * z / (x * x + z * z), lambda g, y, x, z: -g * x / (x * x + z * z)),
    notation=Call("arctan2"),
)
sinh = elementwise(np.sinh, vjp=(lambda g, y, x: g * np.cosh(x),), notation=Call("sinh"))
cosh = elementwise(np.cosh, vjp=(lambda g, y, x: g * np.sinh(x),), notation=Call("cosh"))
tanh = elementwise(np.tanh, vjp=(lambda g, y, x: g * (1 - y * y),), notation=Call("tanh"))
arcsinh = elementwise(np.arcsinh, vjp=(lambda g, y, x: g / np.sqrt(1 + x * x),), notation=Call("arcsinh"))
arccosh = elementwise(np.arccosh, vjp=(lambda g, y, x: g / np.sqrt(x * x - 1),), notation=Call("arccosh"))
arctanh = elementwise(np.arctanh, vjp=(lambda g, y, x: g / (1 - x * x),), notation=Call("arctanh"))
hypot = elementwise(
    np.hypot,
    vjp=(
        lambda g, y, x, z: g * x / np.where(y == 0, 1, y),
        lambda g, y, x, z: g * z / np.where(y == 0, 1, y),
    ),
    notation=Call("hypot"),
)
deg2rad = elementwise(np.deg2rad, vjp=(lambda g, y, x: np.deg2rad(g),), notation=Call("deg2rad"))
rad2deg = elementwise(np.rad2deg, vjp=(lambda g, y, x: np.rad2deg(g),), notation=Call("rad2deg"))
radians = elementwise(np.radians, vjp=(lambda g, y, x: np.radians(g),), notation=Call("radians"))
degrees = elementwise(np.degrees, vjp=(lambda g, y, x: np.degrees(g),), notation=Call("degrees"))
sinc = Primitive(
    "sinc", np.sinc, _float_type, (lambda g, y, x: g * _sinc_slope(x),), Call("sinc"), (np.sinc,)
)


def _sinc_slope(x: Any) -> Any:
    """sinc′(x) = (cos πx − sinc x)/x; below 1e-2 its series, which the quotient would cancel."""
    near = np.abs(x) < 1e-2
    safe = np.where(near, 1, x)
    u = math.pi * np.where(near, x, 0)
    series = math.pi * u * (-1 / 3 + u * u * (1 / 30 - u * u * (1 / 840 - u * u / 45360)))
    return np.where(near, series, (np.cos(math.pi * safe) - np.sinc(safe)) / safe)


# ---- complex numbers: dL = Re(g dy)
conjugate = elementwise(np.conjugate, vjp=(lambda g, y, x: np.conjugate(g),), notation=Superscript("∗"))
real = Primitive("real", _real, _real_type, (lambda g, y, x: g,), Call("Re"), ())
imag = Primitive("imag", _imag, _real_type, (lambda g, y, x: g * -1j,), Call("Im"), ())

# ---- kinks
absolute = elementwise(
    np.absolute, vjp=(lambda g, y, x: g * np.sign(x).conjugate(),), notation=Delimited("|", "|")
)
fabs = elementwise(np.fabs, vjp=(lambda g, y, x: g * np.sign(x),), notation=Delimited("|", "|"))
sign = elementwise(np.sign, vjp=(_sign_rule,), notation=Call("sign"))
floor = step(np.floor, Delimited("⌊", "⌋"))
ceil = step(np.ceil, Delimited("⌈", "⌉"))
rint = step(np.rint, Call("rint"))
trunc = step(np.trunc, Call("trunc"))


def _winner(g: Any, x: Any, z: Any, wins: Any) -> Any:
    """The gradient of the argument that won; half of it at a tie."""
    return np.where(wins, g, np.where(x == z, g / 2, 0))


maximum = elementwise(
    np.maximum,
    vjp=(lambda g, y, x, z: _winner(g, x, z, x > z), lambda g, y, x, z: _winner(g, x, z, z > x)),
    notation=Call("max"),
)
minimum = elementwise(
    np.minimum,
    vjp=(lambda g, y, x, z: _winner(g, x, z, x < z), lambda g, y, x, z: _winner(g, x, z, z < x)),
    notation=Call("min"),
)
fmax = elementwise(
    np.fmax,
    vjp=(
        lambda g, y, x, z: _winner(g, x, z, (x > z) | np.isnan(z)),
        lambda g, y, x, z: _winner(g, x, z, (z > x) | np.isnan(x)),
    ),
    notation=Call("fmax"),
)
fmin = elementwise(
    np.fmin,
    vjp=(
        lambda g, y, x, z: _winner(g, x, z, (x < z) | np.isnan(z)),
        lambda g, y, x, z: _winner(g, x, z, (z < x) | np.isnan(x)),
    ),
    notation=Call("fmin"),
)
copysign = elementwise(
    np.copysign,
    vjp=(lambda g, y, x, z: g * np.sign(x) * np.copysign(np.ones_like(x), z), zero),
    notation=Call("copysign"),
)

# ---- comparison, logic, tests
equal = discrete(np.equal, Infix("=", 0))
not_equal = discrete(np.not_equal, Infix("≠", 0))
less = discrete(np.less, Infix("<", 0))
less_equal = discrete(np.less_equal, Infix("≤", 0))
greater = discrete(np.greater, Infix(">", 0))
greater_equal = discrete(np.greater_equal, Infix("≥", 0))
logical_and = discrete(np.logical_and, Infix("∧", 0))
logical_or = discrete(np.logical_or, Infix("∨", 0))
logical_xor = discrete(np.logical_xor, Infix("⊻", 0))
logical_not = discrete(np.logical_not, Prefix("¬", 3))
bitwise_and = discrete(np.bitwise_and, Infix("&", 0))
bitwise_or = discrete(np.bitwise_or, Infix("|", 0))
bitwise_xor = discrete(np.bitwise_xor, Infix("^", 0))
invert = discrete(np.invert, Prefix("~", 3))
left_shift = discrete(np.left_shift, Infix("<<", 0))
right_shift = discrete(np.right_shift, Infix(">>", 0))
isnan = discrete(np.isnan, Call("isnan"))
isinf = discrete(np.isinf, Call("isinf"))
isfinite = discrete(np.isfinite, Call("isfinite"))
signbit = discrete(np.signbit, Call("signbit"))
bitwise_count = discrete(np.bitwise_count, Call("bitcount"))
gcd = discrete(np.gcd, Call("gcd"))
lcm = discrete(np.lcm, Call("lcm"))


# ---- functions that are not ufuncs of NumPy
_WORDS = {4: np.uint32, 8: np.uint64}


def _where(condition: Any, x: Any, z: Any) -> Any:
    """NumPy's where; large choices against 0 go by bits, for a branch on each element is mispredicted."""
    if type(condition) is np.ndarray and condition.dtype == bool and condition.size > 4096:
        if isinstance(x, int) and x == 0 and _maskable(z, condition):
            return _masked(z, condition.view(np.int8).astype(_WORDS[z.itemsize]) - 1)
        if isinstance(z, int) and z == 0 and _maskable(x, condition):
            return _masked(x, -condition.view(np.int8).astype(_WORDS[x.itemsize]))
    return np.where(condition, x, z)


def _maskable(x: Any, condition: Any) -> TypeGuard[np.ndarray[Any, np.dtype[Any]]]:
    if not is_ndarray(x) or x.dtype.kind != "f" or x.itemsize not in _WORDS or x.shape != condition.shape:
        return False
    return x.flags.c_contiguous and condition.flags.c_contiguous


def _masked(x: Any, mask: Any) -> Any:
    np.bitwise_and(x.view(mask.dtype), mask, out=mask)
    return mask.view(x.dtype)


where = Primitive(
    "where",
    _where,
    lambda c, x, z: ArrayType(np.broadcast_shapes(c.shape, x.shape, z.shape), promoted(x, z)),
    (
        NoDerivative("a condition is not a real number"),
        lambda g, y, c, x, z: np.where(c, g, 0),
        lambda g, y, c, x, z: np.where(c, 0, g),
    ),
    Call("where"),
    (),
)


def _cast(x: Any, *, dtype: np.dtype[Any]) -> Any:
    return np.asarray(x).astype(dtype)[()]


cast = Primitive(
    "cast", _cast, lambda x, dtype: ArrayType(x.shape, dtype), (lambda g, y, x, dtype: g,), Same(), ()
)


def _itself(x: Any) -> Any:
    return x


def _same_type(x: ArrayType) -> ArrayType:
    return ArrayType(x.shape, x.dtype, x.weak)


identity = Primitive("identity", _itself, _same_type, (lambda g, y, x: g,), Same(), ())
stop_gradient = Primitive(
    "stop_gradient",
    _itself,
    _same_type,
    NoDerivative("stop_gradient was asked to stop it"),
    Call("stop_gradient"),
    (),
)

"""What each elementwise primitive is in vector instructions: the native engine's table of emitters.

An emitter gets the vector writer and its operands, already of the dtype in which NumPy computes, and answers
a vector. It knows nothing of memory, loops or shapes. The functions of ``mathematics`` are vectorised; those
of the C library run lane by lane in float64 and are rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from boxgrad.engines.native import mathematics
from boxgrad.engines.native.vector import BOOL, Lanes, Term

Emitter = Callable[..., Term]


def _by_kind(floats: str | None, integers: str | None, truths: str | None = None) -> Emitter:
    """One instruction for floats, one for integers, one for truth values."""
    names = {"f": floats, "i": integers, "u": integers, "b": truths}

    def emit(e: Lanes, x: Term, z: Term) -> Term:
        name = names[x.dtype.kind]
        if name is None:
            raise NotImplementedError(x.dtype)
        return e.op(name, x, z)

    return emit


def _comparison(floats: str, others: str) -> Emitter:
    """NumPy compares int64 with uint64 as numbers: a negative one is less than any without a sign."""

    def emit(e: Lanes, x: Term, z: Term) -> Term:
        if x.dtype.kind == z.dtype.kind:
            return e.compare(floats if x.dtype.kind == "f" else others, x, z)
        left = x.dtype.kind == "i"
        signed, other = (x, z) if left else (z, x)
        negative = e.compare("lt", signed, e.like(0, signed))
        alike = Term(signed.text, other.dtype)
        result = e.compare(others, *((alike, z) if left else (x, alike)))
        holds = others == "ne" or others[0] == ("l" if left else "g")
        return e.choose(negative, e.constant(holds, BOOL), result)

    return emit


def _floats_only(emit: Emitter) -> Emitter:
    def checked(e: Lanes, x: Term, *rest: Term) -> Term:
        if x.dtype.kind != "f":
            raise NotImplementedError(x.dtype)
        return emit(e, x, *rest)

    return checked


def _intrinsic(name: str) -> Emitter:
    return _floats_only(lambda e, *terms: e.intrinsic(name, *terms))


def _library(symbol: str) -> Emitter:
    return _floats_only(lambda e, *terms: e.each(symbol, *terms))


def is_nan(e: Lanes, x: Term) -> Term:
    return e.compare("uno", x, x)


def _nonzero(e: Lanes, x: Term) -> Term:
    return e.cast(x, BOOL)


def _negative(e: Lanes, x: Term) -> Term:
    return e.op("fneg", x) if x.dtype.kind == "f" else e.op("sub", e.like(0, x), x)


def absolute(e: Lanes, x: Term) -> Term:
    if x.dtype.kind == "f":
        return e.intrinsic("fabs", x)
    if x.dtype.kind != "i":
        return x
    return e.choose(e.compare("lt", x, e.like(0, x)), e.op("sub", e.like(0, x), x), x)


def _extremum(float_predicate: str, predicate: str, nan_wins: bool) -> Emitter:
    """maximum and minimum pass a NaN on; fmax and fmin prefer the number."""

    def emit(e: Lanes, x: Term, z: Term) -> Term:
        if x.dtype.kind == "b":
            return e.op("or" if predicate == "ge" else "and", x, z)
        if x.dtype.kind != "f":
            return e.choose(e.compare(predicate, x, z), x, z)
        # The comparison and the choice are one instruction, whose answer is z where either is NaN.
        best = e.choose(e.compare(float_predicate, x, z), x, z)
        return e.choose(is_nan(e, x if nan_wins else z), x, best)

    return emit


def _sign(e: Lanes, x: Term) -> Term:
    if x.dtype.kind == "u":
        return e.choose(e.compare("eq", x, e.like(0, x)), x, e.like(1, x))
    above, below = ("ogt", "olt") if x.dtype.kind == "f" else ("gt", "lt")
    zero = e.like(0, x)
    rest = e.choose(e.compare(below, x, zero), e.like(-1, x), zero)
    result = e.choose(e.compare(above, x, zero), e.like(1, x), rest)
    return e.choose(is_nan(e, x), x, result) if x.dtype.kind == "f" else result


def _shift(name: str) -> Emitter:
    """Shifts by as many bits as there are, or more, empty the number."""

    def emit(e: Lanes, x: Term, z: Term) -> Term:
        bits = 8 * x.dtype.itemsize
        signed = x.dtype.kind == "i"
        inside = e.op("icmp ult", z, e.like(bits, z), dtype=BOOL)
        instruction = "shl" if name == "left" else ("ashr" if signed else "lshr")
        shifted = e.op(instruction, x, e.choose(inside, z, e.like(0, z)))
        beyond = e.like(0, x)
        if name == "right" and signed:
            beyond = e.op("ashr", x, e.like(bits - 1, x))
        return e.choose(inside, shifted, beyond)

    return emit


def _sign_bit(e: Lanes, x: Term) -> Term:
    if x.dtype.kind == "f":
        x = e.bits(x, mathematics.integer_of(x.dtype))
    return e.compare("lt", x, e.like(0, x))


def _scaled(factor: float) -> Emitter:
    return _floats_only(lambda e, x: e.op("fmul", x, e.like(factor, x)))


def _magnitude_is(predicate: str) -> Emitter:
    return _floats_only(lambda e, x: e.compare(predicate, e.intrinsic("fabs", x), e.like(math.inf, x)))


def _where(e: Lanes, condition: Term, x: Term, z: Term) -> Term:
    return e.choose(condition, x, z)


def _power(e: Lanes, x: Term, z: Term) -> Term:
    if x.dtype.kind != "f":
        raise NotImplementedError(x.dtype)
    return e.each("pow", x, z)


_maximum = _extremum("ogt", "ge", True)
_to_radians, _to_degrees = _scaled(math.pi / 180), _scaled(180 / math.pi)

ADD = _by_kind("fadd", "add", "or")
MULTIPLY = _by_kind("fmul", "mul", "and")
MAXIMUM, MINIMUM = _maximum, _extremum("olt", "le", True)

EMITTERS: dict[str, Emitter] = {
    # ---- arithmetic
    "add": ADD, "subtract": _by_kind("fsub", "sub"), "multiply": MULTIPLY, "divide": _by_kind("fdiv", None),
    "negative": _negative, "positive": lambda e, x: x,
    "square": lambda e, x: MULTIPLY(e, x, x),
    "reciprocal": _floats_only(lambda e, x: e.op("fdiv", e.like(1, x), x)),
    "absolute": absolute, "fabs": _intrinsic("fabs"), "sign": _sign, "copysign": _intrinsic("copysign"),
    "power": _power, "float_power": _power, "fmod": _library("fmod"), "hypot": _library("hypot"),
    "deg2rad": _to_radians, "radians": _to_radians, "rad2deg": _to_degrees, "degrees": _to_degrees,
    # ---- rounding
    "floor": _intrinsic("floor"), "ceil": _intrinsic("ceil"), "trunc": _intrinsic("trunc"),
    "rint": _intrinsic("roundeven"),
    # ---- roots, exponentials, logarithms
    "sqrt": _intrinsic("sqrt"), "cbrt": _library("cbrt"),
    "exp": mathematics.exp, "exp2": _library("exp2"), "expm1": _library("expm1"), "log": mathematics.log,
    "log2": _library("log2"), "log10": _library("log10"), "log1p": _library("log1p"),
    # ---- trigonometric and hyperbolic
    "sin": mathematics.sin, "cos": mathematics.cos, "tan": _library("tan"), "arcsin": _library("asin"),
    "arccos": _library("acos"), "arctan": _library("atan"), "arctan2": _library("atan2"),
    "sinh": _library("sinh"), "cosh": _library("cosh"), "tanh": mathematics.tanh,
    "arcsinh": _library("asinh"), "arccosh": _library("acosh"), "arctanh": _library("atanh"),
    "erf": mathematics.erf,
    # ---- the larger, the smaller
    "maximum": MAXIMUM, "minimum": MINIMUM,
    "fmax": _extremum("ogt", "ge", False), "fmin": _extremum("olt", "le", False),
    # ---- comparison, logic, bits, tests
    "equal": _comparison("oeq", "eq"), "not_equal": _comparison("une", "ne"),
    "less": _comparison("olt", "lt"), "less_equal": _comparison("ole", "le"),
    "greater": _comparison("ogt", "gt"), "greater_equal": _comparison("oge", "ge"),
    "logical_and": lambda e, x, z: e.op("and", _nonzero(e, x), _nonzero(e, z)),
    "logical_or": lambda e, x, z: e.op("or", _nonzero(e, x), _nonzero(e, z)),
    "logical_xor": lambda e, x, z: e.op("xor", _nonzero(e, x), _nonzero(e, z)),
    "logical_not": lambda e, x: e.op("xor", _nonzero(e, x), e.constant(True, BOOL)),
    "bitwise_and": _by_kind(None, "and", "and"), "bitwise_or": _by_kind(None, "or", "or"),
    "bitwise_xor": _by_kind(None, "xor", "xor"),
    "invert": lambda e, x: e.op("xor", x, e.like(True if x.dtype.kind == "b" else -1, x)),
    "left_shift": _shift("left"), "right_shift": _shift("right"),
    "isnan": _floats_only(is_nan), "isinf": _magnitude_is("oeq"), "isfinite": _magnitude_is("olt"),
    "signbit": _floats_only(_sign_bit),
    # ---- choice; casts are made of operands before they arrive
    "where": _where, "cast": lambda e, x: x, "identity": lambda e, x: x, "stop_gradient": lambda e, x: x,
}  # fmt: skip

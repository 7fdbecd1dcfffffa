"""Quotients, remainders and powers of whole numbers, and a few functions with cases, as NumPy defines them.

Knows vectors; knows no memory and no loop. A quotient is rounded towards −∞ and a remainder has the sign of
the divisor. An integer divided by 0 is 0, as in NumPy; the processor would stop the program.
"""

from __future__ import annotations

import math
from typing import Any

from boxgrad.engines.native import emitters, mathematics
from boxgrad.engines.native.layout import Value
from boxgrad.engines.native.lowering import Lowering, RefusedError, operand_dtypes
from boxgrad.engines.native.steps import Literal, Operand
from boxgrad.engines.native.vector import BOOL, Lanes, Term
from boxgrad.graph.node import Node


def _numbers(x: Term) -> None:
    if x.dtype.kind not in "iuf":
        raise NotImplementedError(x.dtype)


def _not(e: Lanes, x: Term) -> Term:
    return e.op("xor", x, e.constant(True, BOOL))


def _zero(e: Lanes, x: Term) -> Term:
    return e.compare("oeq" if x.dtype.kind == "f" else "eq", x, e.like(0, x))


def _divided(e: Lanes, x: Term, z: Term) -> tuple[Term, Term]:
    """The quotient of integers, rounded towards 0, and what remains; both 0 where the divisor is 0.

    The smallest number divided by −1 wraps around; that is a negation.
    """
    signed = x.dtype.kind == "i"
    never = _zero(e, z)
    turned = e.compare("eq", z, e.like(-1, z)) if signed else never
    safe = e.choose(e.op("or", never, turned) if signed else never, e.like(1, z), z)
    quotient = e.op("sdiv" if signed else "udiv", x, safe)
    rest = e.op("sub", x, e.op("mul", quotient, safe))
    if signed:
        quotient = e.choose(turned, e.op("sub", e.like(0, x), x), quotient)
    zero = e.like(0, x)
    return e.choose(never, zero, quotient), e.choose(never, zero, rest)


def _opposite(e: Lanes, rest: Term, z: Term) -> Term:
    """Where an integer remainder is not 0 and has another sign than the divisor."""
    differ = e.compare("lt", e.op("xor", rest, z), e.like(0, z))
    return e.op("and", differ, e.compare("ne", rest, e.like(0, rest)))


def floor_divide(e: Lanes, x: Term, z: Term) -> Term:
    _numbers(x)
    if x.dtype.kind == "f":
        return _float_division(e, x, z)[0]
    quotient, rest = _divided(e, x, z)
    if x.dtype.kind == "u":
        return quotient
    return e.choose(_opposite(e, rest, z), e.op("sub", quotient, e.like(1, x)), quotient)


def remainder(e: Lanes, x: Term, z: Term) -> Term:
    _numbers(x)
    if x.dtype.kind == "f":
        return _float_division(e, x, z)[1]
    _, rest = _divided(e, x, z)
    if x.dtype.kind == "u":
        return rest
    return e.choose(_opposite(e, rest, z), e.op("add", rest, z), rest)


def fmod(e: Lanes, x: Term, z: Term) -> Term:
    """The remainder with the sign of the dividend."""
    _numbers(x)
    return e.each("fmod", x, z) if x.dtype.kind == "f" else _divided(e, x, z)[1]


def _float_division(e: Lanes, x: Term, z: Term) -> tuple[Term, Term]:
    """⌊x / z⌋ and x − z ⌊x / z⌋ from ``fmod``, which is exact; where z is 0, x / z and NaN."""
    exact, zero = e.each("fmod", x, z), e.like(0, x)
    whole = _zero(e, exact)
    wrong = e.op("xor", e.compare("olt", z, zero), e.compare("olt", exact, zero))
    wrong = e.op("and", wrong, _not(e, whole))
    rest = e.choose(wrong, e.op("fadd", exact, z), exact)
    rest = e.choose(whole, e.intrinsic("copysign", zero, z), rest)
    ratio = e.op("fdiv", e.op("fsub", x, exact), z)
    ratio = e.choose(wrong, e.op("fsub", ratio, e.like(1, x)), ratio)
    floor = e.intrinsic("floor", ratio)
    above = e.compare("ogt", e.op("fsub", ratio, floor), e.like(0.5, x))
    floor = e.choose(above, e.op("fadd", floor, e.like(1, x)), floor)
    plain = e.op("fdiv", x, z)
    floor = e.choose(_zero(e, ratio), e.intrinsic("copysign", zero, plain), floor)
    never = _zero(e, z)
    return e.choose(never, plain, floor), e.choose(never, exact, rest)


# ---- powers
def power(lowering: Lowering, node: Node) -> Value:
    """Floats by the library; integers only to a known power, for a negative one is an error in NumPy."""
    x, z = node.inputs
    dtypes = operand_dtypes(node)
    base, exponent = lowering.within(x, dtypes[0]), lowering.within(z, dtypes[1])
    known = isinstance(exponent, Literal) and int(exponent.number) >= 0
    if node.dtype.kind not in "iuf":
        raise RefusedError(f"power of {node.dtype} has no kernel")
    if node.dtype.kind != "f" and not known:
        raise RefusedError("an integer to an unknown power, which NumPy refuses where it is negative")
    operands = [Operand(base, dtypes[0]), Operand(exponent, dtypes[1])]
    emit: Any = emitters.EMITTERS["float_power"]
    if node.dtype.kind != "f":
        assert isinstance(exponent, Literal)
        emit, operands = _power(int(exponent.number)), operands[:1]
    spread = tuple(
        Operand(o.source.spread(node.shape) if isinstance(o.source, Value) else o.source, o.dtype)
        for o in operands
    )
    place = lowering.result(node, [o.source for o in spread])
    lowering.add("power", node.shape, spread, emit, place)
    return place


def _power(exponent: int) -> Any:
    """By squaring; what exceeds the dtype wraps around, as in NumPy."""

    def emit(e: Lanes, x: Term) -> Term:
        result, left = e.like(1, x), exponent
        while left:
            result = e.op("mul", result, x) if left & 1 else result
            x, left = e.op("mul", x, x), left >> 1
        return result

    return emit


# ---- functions with cases
def _added(exp: str, log1p: Any, of_two: float) -> Any:
    """log(eˣ + eᶻ) = max(x, z) + log(1 + e^−|x − z|); equal infinities have no difference."""

    def emit(e: Lanes, x: Term, z: Term) -> Term:
        if x.dtype.kind != "f":
            raise NotImplementedError(x.dtype)
        difference = e.op("fsub", x, z)
        grown = e.op("fneg", e.intrinsic("fabs", difference))
        grown = mathematics.exp(e, grown) if exp == "exp" else e.each(exp, grown)
        larger = e.choose(e.compare("oge", x, z), x, z)
        result = e.op("fadd", larger, log1p(e, grown))
        equal = e.compare("oeq", x, z)
        result = e.choose(equal, e.op("fadd", x, e.like(of_two, x)), result)
        return e.choose(e.op("or", emitters.is_nan(e, difference), emitters.is_nan(e, x)),
                        e.choose(equal, result, difference), result)  # fmt: skip

    return emit


def _log1p_of_two(e: Lanes, x: Term) -> Term:
    return e.op("fmul", e.each("log1p", x), e.like(1 / math.log(2), x))


logaddexp = _added("exp", lambda e, x: e.each("log1p", x), math.log(2))
logaddexp2 = _added("exp2", _log1p_of_two, 1.0)


def sinc(e: Lanes, x: Term) -> Term:
    """sin πx / πx, and at 0 as NumPy has it: of a number so small that the quotient is 1."""
    if x.dtype.kind != "f":
        raise NotImplementedError(x.dtype)
    y = e.op("fmul", e.like(math.pi, x), x)
    y = e.choose(_zero(e, y), e.like(1e-20, y), y)
    return e.op("fdiv", mathematics.sin(e, y), y)


def bitwise_count(e: Lanes, x: Term) -> Term:
    """The bits that are 1 in an integer's magnitude."""
    if x.dtype.kind not in "iu":
        raise NotImplementedError(x.dtype)
    return e.intrinsic("ctpop", emitters.absolute(e, x))

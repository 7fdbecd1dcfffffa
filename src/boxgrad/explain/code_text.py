"""Terms as Python text: precedence, matrix products with ``@`` and ``.T``, indices, numbers.

Knows Python's and NumPy's spelling; knows nothing of graphs or statements.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from boxgrad.explain.code_terms import Shape, Term

COMPARE, OR, XOR, AND, SHIFT, ADD, MULTIPLY, SIGN, POWER, POSTFIX, ATOM = range(4, 15)
_METHODS = {"sum", "max", "min", "prod", "any", "all"}
_NAMED = {math.pi: "np.pi", -math.pi: "-np.pi", math.e: "np.e", math.inf: "np.inf", -math.inf: "-np.inf"}


def text(x: Term) -> str:
    """The term as Python."""
    return _write(x)[0]


def _at(x: Term, precedence: int) -> str:
    """The term as an operand of something that binds so tightly."""
    found, own = _write(x)
    return found if own >= precedence else f"({found})"


def number_text(value: Any, dtype: str | None = None) -> str:
    """A number as Python writes it."""
    if isinstance(value, bool):
        plain = str(value)
    elif isinstance(value, complex):
        plain = repr(value)
    elif isinstance(value, float):
        plain = _NAMED.get(value) or ("np.nan" if value != value else repr(value))
        whole = value.is_integer() and abs(value) < 1e6
        plain = f"{int(value)}.0" if whole else plain
    else:
        plain = repr(value)
    return f"np.{dtype}({plain})" if dtype else plain


def _number(x: Term) -> tuple[str, int]:
    found = number_text(x.data[1], x.data[2])
    return found, SIGN if found.startswith("-") else ATOM


def shape_text(shape: Shape) -> str:
    """A shape as a tuple."""
    return repr(tuple(int(n) for n in shape))


def _write(x: Term) -> tuple[str, int]:
    return _WRITERS[x.op](x)


def _name(x: Term) -> tuple[str, int]:
    return x.data, ATOM


def _binary(x: Term) -> tuple[str, int]:
    symbol, precedence = x.data
    first, second = x.args
    right = (
        precedence if symbol in ("+", "*", "&", "|", "^") and _symbol(second) == symbol else precedence + 1
    )
    if precedence == COMPARE:
        return f"{_at(first, COMPARE + 1)} {symbol} {_at(second, COMPARE + 1)}", COMPARE
    return f"{_at(first, precedence)} {symbol} {_at(second, right)}", precedence


def _symbol(x: Term) -> str:
    return x.data[0] if x.op == "binary" else ""


def _unary(x: Term) -> tuple[str, int]:
    inner = x.args[0]
    if x.data == "-" and inner.op == "binary" and inner.data[0] in ("*", "/"):
        return f"-{_binary(inner)[0]}", MULTIPLY
    return f"{x.data}{_at(inner, SIGN)}", SIGN


def _power(x: Term) -> tuple[str, int]:
    return f"{_at(x.args[0], POSTFIX)} ** {_at(x.args[1], SIGN)}", POWER


def _coefficient(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e6 else value


def _product(x: Term) -> tuple[str, int]:
    top, bottom, exponents = x.data
    top, bottom = _coefficient(top), _coefficient(bottom)
    above = [(a, e) for a, e in zip(x.args, exponents, strict=True) if e > 0]
    below = [(a, -e) for a, e in zip(x.args, exponents, strict=True) if e < 0]
    sign = "-" if top < 0 else ""
    parts = [_factor(a, e) for a, e in above]
    if abs(top) != 1 or not parts:
        parts.insert(0, number_text(abs(top)))
    under = ([number_text(bottom)] if bottom != 1 else []) + [_factor(a, e) for a, e in below]
    precedence = MULTIPLY if len(parts) > 1 or under else POWER
    found = sign + " * ".join(parts)
    if len(under) == 1:
        found += f" / {under[0]}"
    elif under:
        found += f" / ({' * '.join(under)})"
    return found, min(precedence, SIGN) if sign and precedence > MULTIPLY else precedence


def _factor(x: Term, exponent: int) -> str:
    return _at(x, MULTIPLY + 1) if exponent == 1 else f"{_at(x, POSTFIX)} ** {exponent}"


def _sum(x: Term) -> tuple[str, int]:
    found = ""
    for part, sign in zip(x.args, x.data, strict=True):
        word = _at(part, ADD if sign > 0 else MULTIPLY)
        if found:
            found += f" {'+' if sign > 0 else '-'} {word}"
        else:
            found = word if sign > 0 else f"-{_at(part, SIGN)}"
    return found, ADD


def _call(x: Term) -> tuple[str, int]:
    function, extra = x.data
    arguments = [text(a) for a in x.args] + ([extra] if extra else [])
    return f"{function}({', '.join(arguments)})", ATOM


def _index(x: Term) -> tuple[str, int]:
    key = x.data.format(*[text(a) for a in x.args[1:]])
    return f"{_at(x.args[0], POSTFIX)}[{key}]", ATOM


def _cast(x: Term) -> tuple[str, int]:
    return f"{_at(x.args[0], POSTFIX)}.astype({x.data})", ATOM


def _broadcast(x: Term) -> tuple[str, int]:
    inner = x.args[0]
    if inner.op == "number" and inner.data[1] in (0, 1):
        kind = f", {dtype_text(x.dtype)}" if x.dtype != np.float64 else ""
        return f"np.{'ones' if inner.data[1] else 'zeros'}({shape_text(x.shape)}{kind})", ATOM
    if not inner.shape:
        return f"np.full({shape_text(x.shape)}, {text(inner)})", ATOM
    return f"np.broadcast_to({text(inner)}, {shape_text(x.shape)})", ATOM


def _reshape(x: Term) -> tuple[str, int]:
    inner = x.args[0]
    key = _new_axes(inner.shape, x.shape)
    if key and inner.shape:
        return f"{_at(inner, POSTFIX)}[{key}]", ATOM
    if math.prod(x.shape) == 1 and not inner.shape:
        return f"np.reshape({text(inner)}, {shape_text(x.shape)})", ATOM
    shape = f"{x.shape[0]}" if len(x.shape) == 1 else shape_text(x.shape)
    return f"{_at(inner, POSTFIX)}.reshape({shape})", ATOM


def _new_axes(before: Shape, after: Shape) -> str | None:
    """The index that only inserts axes of size 1, if that is what a reshape does; of few axes."""
    if len(after) > 4 or len(after) <= len(before):
        return None
    key: list[str] = []
    left = list(before)
    for n in after:
        if left and n == left[0]:
            key.append(":")
            left.pop(0)
        elif n == 1:
            key.append("np.newaxis")
        else:
            return None
    return None if left else ", ".join(key)


def _transpose(x: Term) -> tuple[str, int]:
    inner, axes = _at(x.args[0], POSTFIX), x.data
    if axes == tuple(range(len(axes)))[::-1]:
        return f"{inner}.T", ATOM
    moved = [i for i, axis in enumerate(axes) if i != axis]
    if len(moved) == 2:
        a, b = moved
        if len(axes) - b == 1 and len(axes) - a == 2:
            a, b = -2, -1
        return f"{inner}.swapaxes({a}, {b})", ATOM
    return f"{inner}.transpose{shape_text(axes)}", ATOM


def _reduce(x: Term) -> tuple[str, int]:
    name, axis, keepdims = x.data
    inner = x.args[0]
    options: list[str] = []
    if axis is not None and (len(axis) < len(inner.shape) or not inner.shape):
        options.append(f"axis={axis[0] if len(axis) == 1 else shape_text(axis)}")
    if keepdims:
        options.append("keepdims=True")
    if inner.op == "name" and options and name in _METHODS:
        return f"{inner.data}.{name}({', '.join(options)})", ATOM
    return f"np.{name}({', '.join([text(inner), *options])})", ATOM


def dtype_text(dtype: np.dtype[Any]) -> str:
    """A dtype as Python."""
    if dtype == np.float64:
        return "float"
    return {"bool": "bool", "int64": "int"}.get(dtype.name, f"np.{dtype.name}")


# ---- products with subscripts
def _contract(x: Term) -> tuple[str, int]:
    operands, result = x.data.split("->")
    a, b = operands.split(",")
    first, second = x.args
    return (
        _matrices(first, a, second, b, result)
        or _matrices(second, b, first, a, result)
        or _elementwise(first, a, second, b, result)
        or (f'np.einsum("{x.data}", {text(first)}, {text(second)})', ATOM)
    )


def _matrices(a: Term, left: str, b: Term, right: str, result: str) -> tuple[str, int] | None:
    """The product as ``a @ b``, where the operands' last axes are those of matrices."""
    inner = [c for c in left if c in right and c not in result]
    rows = [c for c in left if c not in right]
    columns = [c for c in right if c not in left]
    batch = [c for c in left if c in right and c in result]
    if len(inner) != 1:
        return _outer(a, left, b, right, result) if not inner and not batch else None
    if not batch and len(rows) > 1 and len(columns) <= 1 and result == "".join(rows + columns):
        # A stack of matrices times one matrix.
        if left == "".join(rows + inner) and right in ("".join(inner + columns), "".join(columns + inner)):
            second = _at(b, POSTFIX) if right == "".join(inner + columns) else f"{_at(b, POSTFIX)}.T"
            return f"{_at(a, MULTIPLY)} @ {second}", MULTIPLY
        return None
    if len(rows) > 1 or len(columns) > 1 or "".join(batch + rows + columns) != result:
        return None
    if batch and (len(rows) != 1 or len(columns) != 1):
        return None
    if left[: len(batch)] != "".join(batch) or right[: len(batch)] != "".join(batch):
        return None
    if batch and a.shape[: len(batch)] != b.shape[: len(batch)]:
        return None
    n = len(batch)
    first = _oriented(a, left[n:], "".join(rows + inner), n)
    second = _oriented(b, right[n:], "".join(inner + columns), n)
    if a.shape[left.index(inner[0])] != b.shape[right.index(inner[0])]:
        return None
    chained = a.op == "contract" and first[1] == MULTIPLY
    return f"{first[0] if chained else _wrapped(first)} @ {_wrapped(second)}", MULTIPLY


def _wrapped(found: tuple[str, int]) -> str:
    return found[0] if found[1] > MULTIPLY else f"({found[0]})"


def _oriented(x: Term, have: str, want: str, batch: int) -> tuple[str, int]:
    """A matrix, transposed if need be."""
    if have == want:
        return _write(x)
    return f"{_at(x, POSTFIX)}{'.swapaxes(-1, -2)' if batch else '.T'}", ATOM


def _outer(a: Term, left: str, b: Term, right: str, result: str) -> tuple[str, int] | None:
    if len(left) == len(right) == 1 and result == left + right:
        return f"np.outer({text(a)}, {text(b)})", ATOM
    return None


def _elementwise(a: Term, left: str, b: Term, right: str, result: str) -> tuple[str, int] | None:
    """A product of elements, summed over some axes, where both have the same axes."""
    if left != right or a.shape != b.shape:
        return None
    found = f"{_at(a, MULTIPLY)} * {_at(b, MULTIPLY + 1)}"
    kept = "".join(c for c in left if c in result)
    if kept != result:
        return None
    if result == left:
        return found, MULTIPLY
    axis = tuple(i for i, c in enumerate(left) if c not in result)
    option = "" if not result else f", axis={axis[0] if len(axis) == 1 else shape_text(axis)}"
    return f"np.sum({found}{option})", ATOM


def _helper(x: Term) -> tuple[str, int]:
    name, options = x.data
    return f"{name}({', '.join([*map(text, x.args), *options])})", ATOM


def _joined(x: Term) -> tuple[str, int]:
    function, extra = x.data
    pieces = ", ".join(map(text, x.args)) + ("," if len(x.args) == 1 else "")
    return f"{function}(({pieces}){', ' + extra if extra else ''})", ATOM


def _at_key(x: Term) -> tuple[str, int]:
    """Zeros with a value at a key, or an array with a value replaced, inside an expression."""
    if x.op == "put":
        base, new, *indices = x.args
        key = x.data.format(*map(text, indices))
        return f"replaced({text(base)}, np.s_[{key}], {text(new)})", ATOM
    key = x.data[0].format(*map(text, x.args[1:]))
    function = "placed" if x.op == "embed" else "added_at"
    return f"{function}({text(x.args[0])}, np.s_[{key}], {shape_text(x.data[1])})", ATOM


_WRITERS = {
    "name": _name, "number": _number, "binary": _binary, "unary": _unary, "power": _power,
    "product": _product, "sum": _sum, "call": _call, "index": _index, "cast": _cast,
    "broadcast": _broadcast, "reshape": _reshape, "transpose": _transpose, "reduce": _reduce,
    "contract": _contract, "helper": _helper, "text": lambda x: (x.data, ATOM), "joined": _joined,
    "put": _at_key, "embed": _at_key, "scatter_add": _at_key,
}  # fmt: skip

"""Terms: expressions of NumPy code, simplified as they are made.

A term is a small tree that prints as Python. Products are kept in a normal form (a coefficient, factors with
whole exponents), sums as lists of terms, so that ``* 1``, ``+ 0`` and double signs never arise. Knows NumPy's
algebra; knows nothing of graphs, names or statements.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

Shape = tuple[int, ...]


class Term:
    """An operation: its name, its arguments, what else it needs (hashable), and the type of its result."""

    __slots__ = ("_hash", "args", "data", "dtype", "op", "shape", "size")

    def __init__(self, op: str, args: Sequence[Term], data: Any, shape: Shape, dtype: np.dtype[Any]) -> None:
        self.op, self.args, self.data, self.shape, self.dtype = op, tuple(args), data, tuple(shape), dtype
        self.size: int = 1 + sum(x.size for x in self.args)
        self._hash = hash((op, self.args, data, self.shape))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Term)
            and self._hash == other._hash
            and (self.op, self.data, self.shape) == (other.op, other.data, other.shape)
            and self.args == other.args
        )

    def over(self, args: Sequence[Term]) -> Term:
        """The same operation on other arguments."""
        return Term(self.op, args, self.data, self.shape, self.dtype)

    def walk(self) -> Iterator[Term]:
        """This term and all inside it."""
        yield self
        for x in self.args:
            yield from x.walk()


FLOAT = np.dtype(np.float64)


def variable(name: str, shape: Shape, dtype: np.dtype[Any]) -> Term:
    """A name."""
    return Term("name", (), name, shape, dtype)


def number(value: Any, dtype: np.dtype[Any] | None = None) -> Term:
    """A Python number; one with a dtype of its own is printed with it."""
    plain = value.item() if isinstance(value, (np.generic, np.ndarray)) else value
    key = (type(plain).__name__, plain, None if dtype is None else str(dtype))
    return Term("number", (), key, (), dtype or np.dtype(type(plain)))


def value_of(x: Term) -> Any:
    """The number that a term is, else None; a broadcast number counts."""
    if x.op == "broadcast" and not x.args[0].args:
        x = x.args[0]
    if x.op == "product" and not x.args:
        return x.data[0] / x.data[1]
    return x.data[1] if x.op == "number" and x.data[2] is None else None


def is_name(x: Term) -> bool:
    """Whether a term is a name."""
    return x.op == "name"


# ---- products
def _parts(x: Term) -> tuple[float, float, list[tuple[Term, int]]]:
    """Numerator and denominator of the coefficient, and the factors with their exponents."""
    if x.op == "product":
        top, bottom, exponents = x.data
        return top, bottom, list(zip(x.args, exponents, strict=True))
    value = value_of(x) if not x.shape else None
    if value is not None and not isinstance(value, bool):
        return value, 1, []
    if x.op == "binary" and x.data[0] in ("*", "/") and x.dtype.kind in "fc":
        found = [_parts(part) for part in x.args]
        if x.data[0] == "/":
            top, bottom, parts = found[1]
            found[1] = (bottom, top, [(base, -e) for base, e in parts])
        (a, b, first), (c, d, second) = found
        return a * c, b * d, [*first, *second]
    if x.op == "power" and isinstance(value_of(x.args[1]), (int, float)):
        exponent = value_of(x.args[1])
        if float(exponent).is_integer() and abs(exponent) < 20:
            return 1, 1, [(x.args[0], int(exponent))]
    return 1, 1, [(x, 1)]


def stripped(x: Term) -> Term:
    """A term that broadcasts to what the given one is spread over."""
    if x.op == "broadcast":
        x = x.args[0]
    if x.op == "reshape" and x.args[0].shape and x.shape[-len(x.args[0].shape) :] == x.args[0].shape:
        return x.args[0]
    return x


def product(factors: Iterable[tuple[Term, int]], shape: Shape, dtype: np.dtype[Any]) -> Term:
    """The product of factors to whole powers, of a shape."""
    top: Any = 1
    bottom: Any = 1
    found: dict[Term, int] = {}
    order: list[Term] = []
    for factor, exponent in factors:
        above, below, parts = _parts(stripped(factor))
        if exponent < 0:
            above, below = below, above
        top, bottom = top * above, bottom * below
        for base, power in parts:
            if base not in found:
                order.append(base)
            found[base] = found.get(base, 0) + exponent * power
    left = [(base, found[base]) for base in order if found[base]]
    if top == 0:
        return spread(number(0.0), shape)
    if isinstance(bottom, float) and bottom.is_integer() and abs(bottom) < 2**31:
        bottom = int(bottom)
    if isinstance(top, float) and top.is_integer() and abs(top) < 2**31:
        top = int(top)
    if bottom < 0:
        top, bottom = -top, -bottom
    if isinstance(top, int) and isinstance(bottom, int) and top % bottom == 0:
        top, bottom = top // bottom, 1
    natural = np.broadcast_shapes(*(base.shape for base, _ in left))
    if not left:
        if bottom == 1:
            return spread(number(float(top)), shape)
        return spread(Term("product", (), (top, bottom, ()), (), dtype), shape)
    if (top, bottom) == (1, 1) and len(left) == 1 and left[0][1] == 1:
        made = left[0][0]
    else:
        inner = left[0][0] if len(left) == 1 and left[0][1] == 1 else None
        if inner is not None and inner.op == "sum" and (top, bottom) == (-1, 1):
            return spread(
                total([(x, -s) for x, s in zip(inner.args, inner.data, strict=True)], natural, dtype), shape
            )
        if inner is not None and inner.op in ("embed", "scatter_add"):
            moved = product(
                [(number(top), 1), (number(bottom), -1), (inner.args[0], 1)], inner.args[0].shape, dtype
            )
            made = Term(inner.op, (moved, *inner.args[1:]), inner.data, inner.shape, inner.dtype)
        else:
            made = Term(
                "product", [x for x, _ in left], (top, bottom, tuple(e for _, e in left)), natural, dtype
            )
    return spread(made, shape)


def multiplied(a: Term, b: Term, shape: Shape, dtype: np.dtype[Any]) -> Term:
    """a * b."""
    return product([(a, 1), (b, 1)], shape, dtype)


def negated(x: Term) -> Term:
    """-x."""
    return product([(number(-1), 1), (x, 1)], x.shape, x.dtype)


# ---- sums
def total(terms: Iterable[tuple[Term, int]], shape: Shape, dtype: np.dtype[Any]) -> Term:
    """The sum of terms with signs, of a shape."""
    found: list[tuple[Term, int]] = []
    for x, sign in terms:
        x = stripped(x)
        value = value_of(x)
        if value == 0:
            continue
        if isinstance(value, (int, float)) and value < 0 and x.op == "number":
            x, sign = number(-value), -sign
        if x.op == "sum":
            found += [(inner, sign * s) for inner, s in zip(x.args, x.data, strict=True)]
        elif x.op == "product" and x.data[0] < 0:
            found.append((negated(x), -sign))
        else:
            found.append((x, sign))
    found = _alike(found, dtype)
    if not found:
        return spread(number(0.0), shape)
    natural = np.broadcast_shapes(*(x.shape for x, _ in found))
    if len(found) == 1:
        return spread(found[0][0] if found[0][1] > 0 else negated(found[0][0]), shape)
    found.sort(key=lambda item: item[1] < 0 and not any(s > 0 for _, s in found[:1]))
    return spread(Term("sum", [x for x, _ in found], tuple(s for _, s in found), natural, dtype), shape)


def _alike(terms: list[tuple[Term, int]], dtype: np.dtype[Any]) -> list[tuple[Term, int]]:
    """Multiples of one term, and terms put at one place, taken together."""
    groups: dict[Any, list[tuple[Term, int]]] = {}
    for x, sign in terms:
        if x.op == "embed":
            key: Any = ("embed", x.data, x.args[1:])
        elif x.op == "product":
            key = (x.args, x.data[2])
        else:
            key = ((x,), (1,))
        groups.setdefault(key, []).append((x, sign))
    found: list[tuple[Term, int]] = []
    for key, members in groups.items():
        first = members[0][0]
        if len(members) == 1:
            found += members
        elif key[0] == "embed":
            inner = total([(x.args[0], sign) for x, sign in members], first.args[0].shape, dtype)
            found.append((Term("embed", (inner, *first.args[1:]), first.data, first.shape, dtype), 1))
        else:
            parts = [(*(x.data[:2] if x.op == "product" else (1, 1)), sign) for x, sign in members]
            below = parts[0][1] if len({bottom for _, bottom, _ in parts}) == 1 else 1
            share = sum(sign * top / (bottom / below) for top, bottom, sign in parts)
            if share:
                factors = [(number(below), -1), *zip(key[0], key[1], strict=True)]
                made = product([(number(abs(share)), 1), *factors], first.shape, dtype)
                found.append((made, 1 if share > 0 else -1))
    return found


# ---- shapes
def spread(x: Term, shape: Shape) -> Term:
    """The term broadcast to a shape."""
    if x.op == "broadcast":
        x = x.args[0]
    if x.shape == tuple(shape):
        return x
    if math.prod(x.shape) == math.prod(shape) and x.shape:
        return reshaped(x, shape)
    if math.prod(x.shape) == 1 and x.op == "reshape":
        x = x.args[0] if not x.args[0].shape else x
    return Term("broadcast", (x,), tuple(shape), shape, x.dtype)


def _parted(x: Term) -> Term:
    """The number that is broadcast."""
    return x.args[0] if x.op == "broadcast" else x


def reshaped(x: Term, shape: Shape) -> Term:
    """The elements in another shape."""
    shape = tuple(shape)
    if x.op == "reshape":
        x = x.args[0]
    if x.shape == shape:
        return x
    value = value_of(x)
    if value is not None:
        return spread(_parted(x), shape)
    if x.op == "broadcast" and math.prod(x.args[0].shape) == 1:
        return spread(reshaped(x.args[0], ()), shape)
    if x.op == "product" and all(not a.shape for a in x.args):
        return Term("reshape", (x,), shape, shape, x.dtype)
    if x.op == "reduce" and x.data[0] == "sum" and not x.data[2]:
        kept = tuple(1 if i in x.data[1] else n for i, n in enumerate(x.args[0].shape))
        if kept == shape:
            return Term("reduce", x.args, ("sum", x.data[1], True), shape, x.dtype)
    if x.op == "reduce" and x.data[0] == "sum" and x.data[2]:
        kept = tuple(n for i, n in enumerate(x.args[0].shape) if i not in x.data[1])
        if kept == shape:
            return Term("reduce", x.args, ("sum", x.data[1], False), shape, x.dtype)
    return Term("reshape", (x,), shape, shape, x.dtype)


def transposed(x: Term, axes: Sequence[int]) -> Term:
    """The axes in another order."""
    axes = tuple(axes)
    if x.op == "transpose":
        return transposed(x.args[0], tuple(x.data[i] for i in axes))
    if axes == tuple(range(len(axes))):
        return x
    shape = tuple(x.shape[i] for i in axes)
    if x.op == "contract":
        operands, result = x.data.split("->")
        return contracted(*x.args, f"{operands}->{''.join(result[i] for i in axes)}", shape, x.dtype)
    if x.op == "broadcast" and math.prod(x.args[0].shape) == 1:
        return spread(reshaped(x.args[0], ()), shape)
    if x.op == "product" and not x.data[2][0] - 1 and all(not a.shape for a in x.args[1:]):
        first = transposed(x.args[0], axes)
        return Term("product", (first, *x.args[1:]), x.data, shape, x.dtype)
    return Term("transpose", (x,), axes, shape, x.dtype)


def contracted(a: Term, b: Term, subscripts: str, shape: Shape, dtype: np.dtype[Any]) -> Term:
    """A product with subscripts; transposed operands are read through, numbers are taken out."""
    operands, result = subscripts.split("->")
    parts: list[Term] = []
    letters: list[str] = []
    factor: list[tuple[Term, int]] = []
    for x, word in zip((a, b), operands.split(","), strict=True):
        if x.op == "transpose":
            letter = dict(zip(x.data, word, strict=True))
            x, word = x.args[0], "".join(letter[i] for i in range(len(word)))
        if x.op == "product" and len(x.args) == 1 and x.data[2] == (1,):
            factor += [(number(x.data[0]), 1), (number(x.data[1]), -1)]
            x = x.args[0]
        parts.append(x)
        letters.append(word)
    made = Term("contract", parts, f"{','.join(letters)}->{result}", shape, dtype)
    return product([*factor, (made, 1)], shape, dtype) if factor else made


def reduced(
    x: Term, name: str, axis: Sequence[int], keepdims: bool, shape: Shape, dtype: np.dtype[Any]
) -> Term:
    """A sum, product, maximum … over axes."""
    axis = tuple(axis)
    if name == "sum":
        if not axis or (keepdims and shape == x.shape):
            return x
        if all(x.shape[i] == 1 for i in axis):
            return reshaped(x, shape)
        if x.op == "broadcast" and math.prod(x.args[0].shape) == 1:
            count = math.prod(x.shape[i] for i in axis)
            return product([(number(count), 1), (reshaped(x.args[0], ()), 1)], shape, dtype)
        if x.op == "product" and (x.data[0], x.data[1]) != (1, 1):
            rest = Term("product", x.args, (1, 1, x.data[2]), x.shape, x.dtype)
            rest = product([(rest, 1)], x.shape, x.dtype)
            inner = reduced(rest, name, axis, keepdims, shape, dtype)
            return product([(number(x.data[0]), 1), (number(x.data[1]), -1), (inner, 1)], shape, dtype)
    return Term("reduce", (x,), (name, axis, keepdims), shape, dtype)

"""From a graph to an expression: each primitive written as mathematics writes it.

Knows how the primitives are noted; names come from outside. Does not simplify.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Iterable
from fractions import Fraction as Ratio
from typing import Any

import numpy as np

from boxgrad.explain import convert_arrays as arrays
from boxgrad.explain import expression as x
from boxgrad.explain import placed
from boxgrad.explain.convert_arrays import LETTERS
from boxgrad.explain.expression import Expression
from boxgrad.explain.recognise import Function
from boxgrad.graph.node import Node, ordered
from boxgrad.graph.primitive import Call, Delimited, Fraction, Infix, Prefix, Same, Sum, Superscript
from boxgrad.ops.contract import split

Rule = Callable[[Node, list[Expression]], Expression]


def converted(outputs: Iterable[Node], known: dict[Node, Expression]) -> dict[Node, Expression]:
    """The expression of every node that the outputs depend on; ``known`` ones are not entered."""
    found = dict(known)
    for node in ordered(outputs, known):
        if node not in found:
            found[node] = _leaf(node) if node.primitive is None else _applied(node, found)
    return found


def _leaf(node: Node) -> Expression:
    value = node.value
    if value is None:
        name = node.label or "x"
        return x.Symbol(name, name, shape=node.shape)
    if np.ndim(value) == 0:
        return constant(value)
    array = np.asarray(value)
    if array.size and np.all(array == array.flat[0]):
        return _filled(array.flat[0], array.shape)
    if array.size <= 4 and array.ndim <= 2:
        rows = array.reshape((-1, array.shape[-1]))
        return x.Matrix(tuple(tuple(map(x.number, row)) for row in rows), shape=array.shape)
    return x.Symbol(node.label or "C", node.label or "C", shape=array.shape)


def constant(value: Any) -> Expression:
    """A number in the code as mathematics writes it: 0.7071… is 1/√2."""
    if np.iscomplexobj(value) or not np.isfinite(value):
        return x.number(value)
    number = float(value)
    for power in (number, 1 / number if number else 0.0):
        square = power * power
        whole = round(square)
        if 2 <= whole <= 10**6 and abs(square - whole) < 4e-16 * whole and not power.is_integer():
            root = x.Root(x.number(whole), shape=())
            made = root if power == number else x.fraction(x.number(1), root)
            return x.negative(made) if number < 0 else made
    if math.isfinite(number) and len(f"{number:.17g}") > 12:
        ratio = Ratio(number).limit_denominator(200)
        if float(ratio) == number:  # 1.6666666666666667 is 5/3
            return x.number((ratio.numerator, ratio.denominator))
    return x.number(value)


def _filled(value: Any, shape: tuple[int, ...]) -> Expression:
    one = x.number(value)
    if isinstance(one, x.Negative):
        return x.Negative(x.Fill(one.x.value, shape=shape), shape=shape)  # type: ignore[attr-defined]
    return x.Fill(one.value, shape=shape)  # type: ignore[attr-defined]


def _applied(node: Node, found: dict[Node, Expression]) -> Expression:
    assert node.primitive is not None
    arguments = [found[part] for part in node.inputs]
    if isinstance(node.primitive, Function):
        return x.call(node.primitive.name, *arguments, order=node.primitive.order)
    rule = _RULES.get(node.primitive.name)
    if rule is not None:
        return rule(node, arguments)
    return _by_notation(node, arguments)


def _by_notation(node: Node, arguments: list[Expression]) -> Expression:
    assert node.primitive is not None
    notation, shape = node.primitive.notation, node.shape
    match notation:
        case Same():
            return arguments[0]
        case Infix(symbol, _) if len(arguments) == 2:
            symbol = LOGIC.get(symbol, symbol) if node.dtype.kind == "b" else symbol
            return x.Infix(symbol, tuple(arguments), shape=shape)
        case Prefix(symbol, _):
            return x.Call(symbol, tuple(arguments), shape=shape)
        case Fraction():
            return x.Fraction(*arguments, shape=shape)
        case Superscript(text) if text:
            return x.Call(node.primitive.name, tuple(arguments), shape=shape)
        case Delimited(left, right):
            return x.Delimited(left, arguments[0], right, shape=shape)
        case Sum(symbol):
            parameters = node.parameters
            return x.Reduce(symbol, arguments[0], parameters["axis"], parameters["keepdims"], shape=shape)
        case Call(symbol):
            return x.Call(symbol, tuple(arguments), note=_note(node), shape=shape)
        case _:
            return x.Call(node.primitive.name, tuple(arguments), note=_note(node), shape=shape)


def _note(node: Node) -> str:
    """What a function needs to know beside its arguments, in brief."""
    axis = node.parameters.get("axis")
    size = node.parameters.get("size")
    if size is not None:
        marks = [_same(size)] if len(set(size)) == 1 else ["×".join(map(str, size))]
        stride, padding = node.parameters["stride"], node.parameters["padding"]
        marks += ["s=" + _same(stride)] if tuple(stride) != tuple(size) else []
        marks += ["p=" + _same([a for a, _ in padding])] if any(n for pair in padding for n in pair) else []
        return ",".join(marks)
    return (
        ""
        if axis is None
        else (LETTERS[axis] if isinstance(axis, int) else "".join(LETTERS[i] for i in axis))
    )


def _power(node: Node, arguments: list[Expression]) -> Expression:
    return x.Power(arguments[0], arguments[1], shape=node.shape)


def _fixed_power(exponent: Any) -> Rule:
    return lambda node, arguments: x.Power(arguments[0], x.number(exponent), shape=node.shape)


def _exp(node: Node, arguments: list[Expression]) -> Expression:
    return x.Call("exp", tuple(arguments), shape=node.shape)


# ---- products
def _contract(node: Node, arguments: list[Expression]) -> Expression:
    return contraction(arguments[0], arguments[1], node.parameters["subscripts"], node.shape)


def contraction(a: Expression, b: Expression, subscripts: str, shape: tuple[int, ...]) -> Expression:
    """A contraction as a product of matrices where it is one."""
    first, second, result = split(subscripts)
    if not result and sorted(first) == sorted(second) and len(first) == 1:
        return x.product(a, b)
    if not set(first) & set(second) and result == first + second and len(first) == len(second) == 1:
        return x.Outer(a, b, shape=shape)
    if not set(first) & set(second) and result == second + first and len(first) == len(second) == 1:
        return x.Outer(b, a, shape=shape)
    orders = [(first, second, a, b), (second, first, b, a)]
    if len(first) == 1 and len(second) > 1:
        orders.reverse()  # Xᵀ g, rather than g X
    for left, right, one, other in orders:
        found = _matrix_product(left, right, result, one, other)
        if found is not None:
            return found
    return x.Contract(a, b, _tidy(subscripts), shape=shape)


def _matrix_product(first: str, second: str, result: str, a: Expression, b: Expression) -> Expression | None:
    """a b with transposes, summed over leading axes where both have them and the result does not."""
    if not first or not second or (len(first) < 2 and len(second) < 2):
        return None
    rows = [c for c in result if c in first and c not in second]
    columns = [c for c in result if c in second and c not in first]
    shared = [c for c in first if c in second]
    last = [c for c in shared if c not in result]
    if not last:
        return None
    lead_a, lead_b = first[:-2] if len(first) > 2 else "", second[:-2] if len(second) > 2 else ""
    core_a, core_b = first[len(lead_a) :], second[len(lead_b) :]
    inner = [c for c in core_a if c in core_b]
    if len(inner) != 1 or inner[0] in result:
        return None
    (k,) = inner
    left = a if core_a.endswith(k) else x.transpose(a)
    right = b if core_b.startswith(k) else x.transpose(b)
    row = core_a.replace(k, "")
    column = core_b.replace(k, "")
    if lead_a and lead_b and lead_a != lead_b:
        return None
    lead = lead_a or lead_b
    if row + column != result[len(result) - len(row + column) :] or (len(row + column) == 0 and lead):
        return None
    kept = result[: len(result) - len(row + column)]
    if (len(row) == 0 and lead_a) or (len(column) == 0 and lead_b):
        return None
    if not (set(rows) <= set(row + lead) and set(columns) <= set(column + lead)):
        return None
    made = x.product(left, right)
    if kept == lead:
        return made
    if any(c not in lead for c in kept) or [c for c in lead if c in kept] != list(kept):
        return None
    axes = tuple(i for i, c in enumerate(lead) if c not in kept)
    shape = tuple(n for i, n in enumerate(made.shape) if i not in axes)
    return x.Reduce("Σ", made, axes, shape=shape)


def _tidy(subscripts: str) -> str:
    """The letters in the order i, j, k …, the result's first."""
    order = dict.fromkeys(c for c in subscripts.split("->")[1] + subscripts if c in string.ascii_letters)
    table = {c: (LETTERS + "abcdefgh")[i] for i, c in enumerate(order)}
    return "".join(table.get(c, c) for c in subscripts)


def _convolution(symbol: str) -> Rule:
    """x ⋆ w, or the adjoint g ∗ w: where stride leaves places at the end unreached, q tells how many."""

    def rule(node: Node, arguments: list[Expression]) -> Expression:
        return x.Convolve(symbol, arguments[0], arguments[1], _window(node), shape=node.shape)

    return rule


def _window(node: Node) -> str:
    """Stride, padding, dilation and groups, where they are not the plain ones."""
    p = node.parameters
    marks = []
    if any(n != 1 for n in p["stride"]):
        marks.append("s=" + _same(p["stride"]))
    if any(n for pair in p["padding"] for n in pair):
        marks.append("p=" + _same([a if a == b else f"{a}/{b}" for a, b in p["padding"]]))
    if any(n != 1 for n in p["dilation"]):
        marks.append("d=" + _same(p["dilation"]))
    if p["groups"] != 1:
        marks.append(f"g={p['groups']}")
    if "shape" in p:
        g, w = (part.shape[2:] for part in node.inputs)
        each = zip(p["shape"], g, w, p["stride"], p["padding"], p["dilation"], strict=True)
        left = [n - ((m - 1) * s + d * (k - 1) + 1 - sum(pad)) for n, m, k, s, pad, d in each]
        marks += ["q=" + _same(left)] if any(left) else []
    return ",".join(marks)


def _same(values: Any) -> str:
    texts = list(map(str, values))
    return texts[0] if len(set(texts)) == 1 else "×".join(texts)


def _numeric(e: Expression) -> Expression:
    """A truth value among numbers: 1 or 0."""
    truth = isinstance(e, x.Infix) and e.symbol in TRUTH
    return x.Indicator(e, shape=e.shape) if truth else e


TRUTH = set("=≠<>≤≥∧∨⊻")
LOGIC = {"&": "∧", "|": "∨", "^": "⊻"}
"""What operators on bits are among truth values."""


def _cast(node: Node, arguments: list[Expression]) -> Expression:
    return _numeric(arguments[0]) if node.dtype.kind != "b" else arguments[0]


def _sum(node: Node, arguments: list[Expression]) -> Expression:
    parameters = node.parameters
    body = _numeric(arguments[0])
    return x.Reduce("Σ", body, parameters["axis"], parameters["keepdims"], shape=node.shape)


def _slope(name: str) -> Rule:
    """The derivative of a function of windows, applied to what arrives."""
    return lambda node, arguments: x.Call(name, tuple(arguments), 1, _note(node), shape=node.shape)


def _logaddexp(node: Node, arguments: list[Expression]) -> Expression:
    """log(eᵃ + eᵇ); e⁰ is 1."""
    zero = x.number(0)
    powers = [x.number(1) if part == zero else x.call("exp", part) for part in arguments]
    one_first = sorted(powers, key=lambda part: not isinstance(part, x.Number))
    return x.Call("log", (x.Add(tuple(one_first), shape=node.shape),), shape=node.shape)


def _running(symbol: str, after: bool = False) -> Rule:
    return lambda node, arguments: placed.Running(
        symbol, arguments[0], node.parameters["axis"], after, shape=node.shape
    )


def _where(node: Node, arguments: list[Expression]) -> Expression:
    condition, first, second = arguments
    return x.Cases(((first, condition), (second, None)), shape=node.shape)


_RULES: dict[str, Rule] = {
    "add": lambda node, a: x.Add(tuple(a), shape=node.shape),
    "subtract": lambda node, a: x.Add((a[0], x.negative(a[1])), shape=node.shape),
    "multiply": lambda node, a: x.Times(tuple(map(_numeric, a)), shape=node.shape),
    "negative": lambda node, a: x.negative(a[0]),
    "power": _power,
    "float_power": _power,
    "square": _fixed_power(2),
    "reciprocal": lambda node, a: x.Fraction(x.number(1), a[0], shape=node.shape),
    "sqrt": lambda node, a: x.Root(a[0], shape=node.shape),
    "cast": _cast,
    "sum": _sum,
    "reshape": arrays.reshape_,
    "broadcast": arrays.broadcast_,
    "transpose": arrays.transpose,
    "slice": arrays.slice_,
    "embed": arrays.embed,
    "put_slice": arrays.put,
    "put": arrays.put,
    "gather": arrays.gather,
    "scatter_add": arrays.scatter,
    "item": arrays.item,
    "concatenate": arrays.concatenate,
    "contract": _contract,
    "max_pool_scatter": _slope("maxpool"),
    "avg_pool_input_gradient": _slope("avgpool"),
    "conv": _convolution("⋆"),
    "conv_input_gradient": _convolution("∗"),
    "conv_filter_gradient": _convolution("⋆"),
    "where": _where,
    "logaddexp": _logaddexp,
    "sigmoid": lambda node, a: x.Call("σ", tuple(a), shape=node.shape),
    "cumsum": _running("Σ"),
    "cumprod": _running("Π"),
    "sums after": _running("Σ", True),
    "others": lambda node, a: placed.Others(a[0], node.parameters["axis"], shape=node.shape),
    "products after": lambda node, a: placed.RunningOthers(*a, node.parameters["axis"], shape=node.shape),
    "unsorted": arrays.unsorted,
}

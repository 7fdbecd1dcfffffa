"""From nodes of a graph to terms of code: how each primitive is written in NumPy.

What the user computed keeps the form it has; what derivative rules made is simplified. Knows primitives by
their name; knows nothing of statements.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from boxgrad.explain.code_terms import (
    Term,
    contracted,
    multiplied,
    negated,
    number,
    product,
    reduced,
    reshaped,
    spread,
    total,
    transposed,
    value_of,
)
from boxgrad.explain.code_text import ADD, AND, COMPARE, MULTIPLY, OR, SHIFT, XOR, dtype_text, shape_text
from boxgrad.graph.node import Node
from boxgrad.ops.index import Slot

_BINARY = {
    "add": ("+", ADD), "subtract": ("-", ADD), "multiply": ("*", MULTIPLY), "divide": ("/", MULTIPLY),
    "floor_divide": ("//", MULTIPLY), "remainder": ("%", MULTIPLY),
    "equal": ("==", COMPARE), "not_equal": ("!=", COMPARE), "less": ("<", COMPARE),
    "less_equal": ("<=", COMPARE), "greater": (">", COMPARE), "greater_equal": (">=", COMPARE),
    "bitwise_and": ("&", AND), "bitwise_or": ("|", OR), "bitwise_xor": ("^", XOR),
    "left_shift": ("<<", SHIFT), "right_shift": (">>", SHIFT),
}  # fmt: skip
_ARRANGING = {"reshape", "transpose", "broadcast", "contract", "identity", "cast"}


class Converter:
    """Terms of nodes, where some nodes have names.

    ``forward`` are the nodes of the user's function; ``constant`` gives the term of a captured array.
    """

    def __init__(self, forward: Collection[Node], constant: Callable[[Node], Term]) -> None:
        self.forward, self.constant = forward, constant

    def term(self, node: Node, known: Mapping[Node, Term]) -> Term:
        """The term of a node; ``known`` ones are not entered."""
        return self.terms([node], known)[0]

    def terms(self, nodes: Sequence[Node], known: Mapping[Node, Term]) -> list[Term]:
        """The terms of some nodes."""
        found: dict[Node, Term] = {}
        for node in _inside(nodes, known):
            if node.primitive is None:
                found[node] = self.leaf(node)
            else:
                found[node] = self.applied(node, [known[x] if x in known else found[x] for x in node.inputs])
        return [known[node] if node in known else found[node] for node in nodes]

    def leaf(self, node: Node) -> Term:
        """A constant."""
        value = node.value
        if np.ndim(value) == 0:
            plain = node.weak or node.dtype in (np.float64, np.int64, np.bool_, np.complex128)
            return number(value, None if plain else node.dtype)
        array = np.asarray(value)
        if array.size and np.all(array == array.flat[0]) and array.dtype == np.float64:
            return spread(number(array.flat[0]), array.shape)
        return self.constant(node)

    def applied(self, node: Node, args: list[Term]) -> Term:
        """A primitive applied to terms."""
        assert node.primitive is not None
        name = node.primitive.name
        own = node in self.forward
        if not own or name in _ARRANGING:
            found = _simplified(name, node, args)
            if found is not None:
                return found
        return _written(name, node, args)


def _inside(nodes: Sequence[Node], known: Mapping[Node, Term]) -> list[Node]:
    """What the nodes depend on beyond the known ones, in order."""
    seen: set[Node] = set()
    stack = [node for node in nodes if node not in known]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend([x for x in node.inputs if x not in known])
    return sorted(seen, key=lambda node: node.number)


# ---- what derivative rules make, simplified
def _simplified(name: str, node: Node, args: list[Term]) -> Term | None:
    shape, dtype, p = node.shape, node.dtype, node.parameters
    if dtype.kind == "c" and name not in _ARRANGING:
        return None
    if name == "multiply":
        return multiplied(*args, shape, dtype) if dtype.kind == "f" else None
    if name == "divide" and dtype.kind == "f":
        return product([(args[0], 1), (args[1], -1)], shape, dtype)
    if name == "negative":
        return negated(args[0])
    if name in ("add", "subtract") and dtype.kind == "f":
        return total([(args[0], 1), (args[1], 1 if name == "add" else -1)], shape, dtype)
    if name == "power":
        exponent = value_of(args[1])
        if exponent is not None and float(exponent).is_integer() and 0 < exponent < 20:
            return product([(args[0], int(exponent))], shape, dtype)
        return None
    if name in ("square", "reciprocal"):
        return product([(args[0], 2 if name == "square" else -1)], shape, dtype)
    if name in ("identity", "positive", "stop_gradient"):
        return args[0]
    if name == "cast":
        return args[0] if args[0].dtype == p["dtype"] and args[0].op != "number" else None
    if name == "reshape":
        return reshaped(args[0], p["shape"])
    if name == "transpose":
        return transposed(args[0], p["axes"])
    if name == "broadcast":
        return spread(args[0], p["shape"])
    if name == "contract":
        return contracted(*args, p["subscripts"], shape, dtype)
    if name in ("sum", "prod", "max", "min"):
        return reduced(args[0], name, p["axis"], p["keepdims"], shape, dtype)
    if name == "where":
        return _choice(node, args)
    if name in ("slice", "embed"):
        return _moved(name, node, args[0])
    return None


def _choice(node: Node, args: list[Term]) -> Term:
    condition, first, second = args
    if first == second or (value_of(first) == 0 and value_of(second) == 0):
        return spread(first, node.shape)
    share = _won(condition, first, second)
    if share is not None:
        return product([(first, 1), (share, 1)], node.shape, node.dtype)
    parts = [condition, *(x.args[0] if x.op == "broadcast" else x for x in (first, second))]
    shape = np.broadcast_shapes(*(x.shape for x in parts))
    return spread(Term("call", parts, ("np.where", ""), shape, node.dtype), node.shape)


def _won(condition: Term, first: Term, second: Term) -> Term | None:
    """The share of the larger of two values: 1, or ½ at a tie, which is Heaviside's step."""
    inner = second.args[0] if second.op == "broadcast" else second
    if condition.op != "binary" or condition.data[0] not in "<>" or inner.op != "call":
        return None
    if inner.data[0] != "np.where" or inner.args[0].op != "binary" or inner.args[0].data[0] != "==":
        return None
    half = product([(first, 1), (number(2), -1)], first.shape, first.dtype)
    large, small = condition.args if condition.data[0] == ">" else condition.args[::-1]
    if (
        {large, small} != {*inner.args[0].args}
        or half.args != inner.args[1].args
        or value_of(inner.args[2]) != 0
    ):
        return None
    difference = total([(large, 1), (small, -1)], condition.shape, first.dtype)
    return Term("call", (difference, number(0.5)), ("np.heaviside", ""), condition.shape, first.dtype)


def _moved(name: str, node: Node, x: Term) -> Term | None:
    """A slice that only drops or adds axes of size 1, or its adjoint, is another shape."""
    large = node.inputs[0].shape if name == "slice" else node.parameters["shape"]
    if math.prod(large) != math.prod(node.shape if name == "slice" else x.shape):
        return None
    whole = all(
        part is None
        or part is Ellipsis
        or part == slice(None)
        or (isinstance(part, (int, np.integer)) and part in (0, -1))
        for part in node.parameters["key"]
    )
    return reshaped(x, node.shape) if whole else None


# ---- as the user wrote it
def _written(name: str, node: Node, args: list[Term]) -> Term:
    shape, dtype, p = node.shape, node.dtype, node.parameters

    def made(op: str, data: Any, parts: list[Term] = args) -> Term:
        return Term(op, parts, data, shape, dtype)

    if name in _BINARY:
        return _without_effect(name, node, args) or made("binary", _BINARY[name])
    if name == "power":
        return made("power", None)
    if name == "square":
        return made("power", None, [args[0], number(2)])
    if name == "reciprocal":
        return made("binary", ("/", MULTIPLY), [number(1.0), args[0]])
    if name in ("negative", "invert"):
        return made("unary", "-" if name == "negative" else "~")
    if name in ("positive", "identity", "stop_gradient"):
        return args[0]
    if name == "cast":
        return made("call", (f"np.{dtype.name}", "")) if not shape else made("cast", dtype_text(p["dtype"]))
    if name in ("sum", "prod", "max", "min", "any", "all"):
        return made("reduce", (name, p["axis"], p["keepdims"]))
    if name in ("cumsum", "cumprod", "argmax", "argmin"):
        return made("call", (f"np.{name}", f"axis={p['axis']}"))
    if name in ("sort", "argsort"):
        return made("call", (f"np.{name}", f'axis={p["axis"]}, kind="stable"'))
    if name == "concatenate":
        return _joined(node, args)
    if name == "where":
        return made("call", ("np.where", ""))
    if name == "slice":
        return made("index", key_text(p["key"]))
    if name == "gather":
        return made("index", key_text(p["key"]))
    if name in ("embed", "scatter_add"):
        return made(name, (key_text(p["key"]), tuple(p["shape"])))
    if name in ("put_slice", "put"):
        return made("put", key_text(p["key"]))
    if name in _CALLS:
        function, option = _CALLS[name]
        return made("call", (function, option(p)))
    if name == "item":
        return made("index", str(p["index"]))
    if name in _HELPERS:
        return _HELPERS[name](node, args)
    assert node.primitive is not None
    for function in node.primitive.callables:
        if isinstance(function, np.ufunc) or function is np.sinc:
            return made("call", (f"np.{function.__name__}", ""))
    raise NotImplementedError(f"no code for the primitive {name}")


def _without_effect(name: str, node: Node, args: list[Term]) -> Term | None:
    """The other operand, where one adds 0 or multiplies by 1."""
    neutral = {"add": 0, "subtract": 0, "multiply": 1, "divide": 1}.get(name)
    if neutral is None:
        return None
    places = (0, 1) if name in ("add", "multiply") else (1,)
    for i in places:
        other = args[1 - i]
        alike = other.shape == node.shape and other.dtype == node.dtype
        if alike and args[i].op == "number" and value_of(args[i]) == neutral:
            return other
    return None


def _joined(node: Node, args: list[Term]) -> Term:
    """A concatenation; pieces that were given a new axis of size 1 for it were stacked."""
    axis = node.parameters["axis"]
    plain: list[Term] = []
    for x in args:
        if x.shape[axis] != 1 or x.op != "reshape":
            break
        inner = x.args[0]
        if inner.shape != x.shape[:axis] + x.shape[axis + 1 :]:
            break
        plain.append(inner)
    stacked = len(plain) == len(args)
    function = "np.stack" if stacked else "np.concatenate"
    extra = f"axis={axis}" if axis else ""
    return Term("joined", plain if stacked else args, (function, extra), node.shape, node.dtype)


def key_text(key: Any) -> str:
    """An index as Python writes it, with ``{0}`` where the first index array stands."""
    parts = [_key_part(part) for part in (key if isinstance(key, tuple) else (key,))]
    while len(parts) > 1 and parts[-1] == "...":
        parts.pop()
    return ", ".join(parts) or "..."


def _key_part(part: Any) -> str:
    if isinstance(part, slice):
        ends = ["" if end is None else str(int(end)) for end in (part.start, part.stop)]
        return ":".join(ends + ([] if part.step in (None, 1) else [str(int(part.step))]))
    if part is None:
        return "np.newaxis"
    if part is Ellipsis:
        return "..."
    return f"{{{part.number}}}" if isinstance(part, Slot) else str(int(part))


# ---- functions that the file defines
def _options(p: dict[str, Any], *names: str) -> tuple[str, ...]:
    return tuple(f"{name}={_pretty(p[name])}" for name in names if not _usual(name, p[name]))


def _usual(name: str, value: Any) -> bool:
    return all(n == ((0, 0) if name == "padding" else 1) for n in value)


def _pretty(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_pretty, value)) + ("," if len(value) == 1 else "") + ")"
    return str(int(value))


def _helper(node: Node, name: str, args: list[Term], *options: str) -> Term:
    return Term("helper", args, (name, tuple(options)), node.shape, node.dtype)


def _convolution(function: str, axes: tuple[int, int], result: int, first: str | None) -> Any:
    """A convolution: in its plain form, with a stride and padding, or in groups."""

    def make(node: Node, args: list[Term]) -> Term:
        p = node.parameters
        options = _options(p, "stride", "padding", "dilation")
        name = function
        plain = not options and (first != "kernel" or _covers(node))
        if not plain:
            name = f"{function}_general"
            options = (*([_pretty(p[first])] if first else []), *options)
        if p["groups"] == 1:
            return _helper(node, name, args, *options)
        groups = [f"groups={p['groups']}", f"axes={_pretty(axes)}", f"result={result}"]
        named = [f"{first}={options[0]}", *options[1:]] if first and not plain else options
        inner = Term("name", (), name, (), np.dtype(object))
        return _helper(node, "in_groups", [inner, *args], *groups, *named)

    return make


def _covers(node: Node) -> bool:
    """Whether the windows reach the end of the input, so that its size tells that of the kernel."""
    x, g = node.inputs
    return all(
        n - m + 1 == k for n, m, k in zip(x.shape[2:], g.shape[2:], node.parameters["kernel"], strict=True)
    )


def _pooled(function: str, *before: str) -> Any:
    def make(node: Node, args: list[Term]) -> Term:
        p = node.parameters
        given = [_pretty(p[name]) for name in (*before, "size")]
        stride = () if p["stride"] == p["size"] else (f"stride={_pretty(p['stride'])}",)
        return _helper(node, function, args, *given, *stride, *_options(p, "padding"))

    return make


def _no_option(p: dict[str, Any]) -> str:
    return ""


_CALLS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    **{name: (f"np.linalg.{name}", _no_option) for name in (
        "solve", "det", "slogdet", "cholesky", "eigh", "qr", "pinv",
    )},
    "svd": ("np.linalg.svd", lambda p: "full_matrices=False"),
    "real": ("np.real", _no_option),
    "imag": ("np.imag", _no_option),
}  # fmt: skip
"""Functions of NumPy, each with how its parameters are written."""


def _transformed(node: Node, args: list[Term]) -> Term:
    """Without a factor in either direction, which for the inverse has to be said."""
    p = node.parameters
    name, extra = ("np.fft.ifft", ', norm="forward"') if p["inverse"] else ("np.fft.fft", "")
    return Term("call", args, (name, f"axis={p['axis']}{extra}"), node.shape, node.dtype)


_HELPERS: dict[str, Callable[[Node, list[Term]], Term]] = {
    "conv": _convolution("conv", (1, 0), 1, None),
    "conv_input_gradient": _convolution("conv_input", (1, 0), 1, "shape"),
    "conv_filter_gradient": _convolution("conv_filter", (1, 1), 0, "kernel"),
    "max_pool": _pooled("max_pool"),
    "max_pool_scatter": _pooled("max_pool_input"),
    "max_pool_select": _pooled("max_pool_select"),
    "avg_pool": _pooled("avg_pool"),
    "avg_pool_input_gradient": _pooled("avg_pool_input", "shape"),
    "fft": _transformed,
    **{
        name: lambda node, args, name=name: _helper(node, name, args)
        for name in ("erf", "erfc", "erfinv", "gammaln", "cofactor")
    },
    "polygamma": lambda node, args: _helper(node, "polygamma", args, str(node.parameters["order"])),
    "random_bits": lambda node, args: _helper(node, "random_bits", args, shape_text(node.shape)),
}

"""How one element of a value, or of a gradient, came about: what a page shows when one points at it.

A formula is a small tree of lists that a page can evaluate at an index (page.js does): named values,
numbers, operations, sums and products over axes. Where that would not be readable there is none.

Knows the notation of primitives; knows nothing of pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from boxgrad.explain.boxes import Box, Model, Value
from boxgrad.explain.steps import mark
from boxgrad.graph.node import Node
from boxgrad.graph.primitive import (
    Call,
    Contraction,
    Delimited,
    Fraction,
    Infix,
    Prefix,
    Same,
    Sum,
    Superscript,
)
from boxgrad.ops.contract import split

SIZE = 400
"""The largest number of elements that is sent along with a page."""
TREE = 24
"""The largest formula, in operations."""

Formula = list[Any]


def numbers(model: Model) -> dict[str, Any]:
    """The numbers of all small values and gradients: ``{mark: [shape, flat values]}``."""
    found: dict[str, Any] = {}
    for value in model.values.values():
        if value.node.dtype.kind not in "fiub" or int(np.prod(value.shape)) > SIZE:
            continue
        for name, node in ((mark(value), value.node), (mark(value, True), value.gradient)):
            if node is not None and node.value is not None:
                flat = np.asarray(node.value, np.float64).ravel()
                found[name] = [list(value.shape), [_short(number) for number in flat.tolist()]]
    return found


def _short(number: float) -> float | str:
    return float(f"{number:.6g}") if np.isfinite(number) else str(number)


def formulas(model: Model) -> dict[str, Formula]:
    """For each small value and gradient the formula of its elements, where there is a readable one."""
    found: dict[str, Formula] = {}
    parts: dict[Value, list[Formula | None]] = {}
    for box in _all(model.boxes):
        sources = {value.node: mark(value) for value in box.inputs}
        results = {value.node: mark(value) for value in box.outputs}
        arriving = {value.gradient: mark(value, True) for value in box.outputs if value.gradient is not None}
        for value in box.outputs:
            made = _Writer(sources).start(value.node)
            if made is not None and _is_small(value):
                found.setdefault(mark(value), made)
        for value, node in box.local.items():
            if _is_small(value) and box in model.boxes:
                parts.setdefault(value, []).append(_Writer({**sources, **results, **arriving}).write(node))
    for value, terms in parts.items():
        written = [term for term in terms if term is not None]
        if len(written) == len(terms):
            whole = written[0]
            for term in written[1:]:
                whole = ["op", "+", 1, whole, term]
            found[mark(value, True)] = whole
    return found


def _all(boxes: list[Box]) -> Iterator[Box]:
    for box in boxes:
        yield box
        yield from _all(box.inner)


def _is_small(value: Value) -> bool:
    return int(np.prod(value.shape)) <= SIZE


class _Writer:
    """Writes nodes as formulas down to the values that are known by name."""

    def __init__(self, known: dict[Node, str]) -> None:
        self._known = known
        self._left = TREE

    def start(self, node: Node) -> Formula | None:
        """The formula of a node, even if the node itself is known."""
        return None if node.primitive is None else self._expand(node)

    def write(self, node: Node) -> Formula | None:
        """The formula of a node."""
        if node in self._known:
            return ["value", self._known[node], list(node.shape)]
        if node.primitive is not None:
            return self._expand(node)
        if node.value is not None and np.size(node.value) == 1 and np.ndim(node.value) == 0:
            return ["number", _short(float(np.real(node.value)))]
        if node.value is not None and np.ptp(node.value) == 0:
            return ["number", _short(float(np.ravel(node.value)[0]))]
        return None

    def _expand(self, node: Node) -> Formula | None:
        self._left -= 1
        assert node.primitive is not None
        inputs = [self.write(x) for x in node.inputs] if self._left > 0 else [None]
        if any(x is None for x in inputs) or not node.inputs:
            return None
        notation, name, parameters = node.primitive.notation, node.primitive.name, node.parameters
        shape = list(node.shape)
        if name == "where":
            return None
        if name == "transpose":
            return ["transpose", list(parameters["axes"]), inputs[0]]
        if name == "reshape":
            return ["reshape", list(node.inputs[0].shape), shape, inputs[0]]
        match notation:
            case Contraction():
                return ["product", *split(parameters["subscripts"]), list(_sizes(node)), *inputs]
            case Sum() if name == "sum":
                return self._sum(node, inputs[0])
            case Infix(symbol, precedence) if len(inputs) == 2 and "conv" not in name:
                return ["op", symbol.replace("⊙", "·").replace("-", "−"), precedence, *inputs]
            case Fraction():
                return ["op", "/", 2, *inputs]
            case Prefix(symbol, _):
                return ["prefix", symbol.replace("-", "−"), inputs[0]]
            case Superscript(text) if name in ("power", "square", "reciprocal"):
                return ["power", inputs[0], inputs[1] if text is None else ["number", float(text)]]
            case Delimited(left, right) if len(inputs) == 1:
                return ["call", left, right, inputs[0]]
            case Same() if name in ("broadcast", "cast", "identity", "positive"):
                return inputs[0]
            case Call(symbol) if node.primitive.callables and isinstance(
                node.primitive.callables[0], np.ufunc
            ):
                return ["call", f"{symbol}(", ")", *inputs]
        return None

    def _sum(self, node: Node, x: Formula | None) -> Formula | None:
        inside = node.inputs[0].shape
        return ["sum", list(node.parameters["axis"]), node.parameters["keepdims"], list(inside), x]


def _sizes(node: Node) -> Iterator[int]:
    """The sizes of the letters that are summed over, in the order of the first operand."""
    first, _, result = split(node.parameters["subscripts"])
    for letter, size in zip(first, node.inputs[0].shape, strict=True):
        if letter not in result:
            yield size

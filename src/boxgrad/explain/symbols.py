"""What is written on the boxes of a diagram: a symbol, a name, and the local factor of each gradient.

The factor is what a box does to the gradient that passes it, read off its local expression: ``· Wᵀ``,
``⊙ σ′(N)``, ``× 1``. Where it does not fit in a few marks nothing is written, and the formulas say it.

Knows boxes and short formulas; knows nothing of places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from boxgrad.explain.boxes import Box, Value, is_light
from boxgrad.explain.document import Run, Runs, text_width
from boxgrad.explain.recognise import SCOPES, recognised
from boxgrad.explain.words import Words, word
from boxgrad.graph.node import Node
from boxgrad.graph.primitive import Call, Delimited, Fraction, Infix, Prefix, Same, Superscript
from boxgrad.graph.walk import depending
from boxgrad.ops.contract import split

LIMIT = 22
"""The most marks of a formula on a box."""

NAMES: Words = {
    "contract": {"en": "product", "zh": "矩阵乘"},
    "sum": {"en": "sum", "zh": "求和"},
    "prod": {"en": "product", "zh": "连乘"},
    "max": {"en": "maximum", "zh": "最大值"},
    "min": {"en": "minimum", "zh": "最小值"},
    "conv": {"en": "convolution", "zh": "卷积"},
    "max_pool": {"en": "max pool", "zh": "最大池化"},
    "avg_pool": {"en": "mean pool", "zh": "平均池化"},
    "reshape": {"en": "reshape", "zh": "变形"},
    "transpose": {"en": "transpose", "zh": "转置"},
    "broadcast": {"en": "repeat", "zh": "扩展"},
    "concatenate": {"en": "join", "zh": "拼接"},
    "slice": {"en": "part", "zh": "切片"},
    "gather": {"en": "look up", "zh": "查表"},
    "put_slice": {"en": "put", "zh": "写入"},
    "cumsum": {"en": "running sum", "zh": "累加"},
    "sort": {"en": "sort", "zh": "排序"},
    "scan": {"en": "loop × {length}", "zh": "循环 × {length}"},
    "sigmoid": {"en": "sigmoid", "zh": "sigmoid"},
    "failed": {"en": "fails here", "zh": "在此出错"},
    "unused": {"en": "unused", "zh": "未使用"},
    "repeated": {"en": "repeated", "zh": "次重复"},
    "elided": {"en": "left out", "zh": "从略"},
}
_SYMBOLS = {
    "contract": "@", "sum": "Σ", "prod": "Π", "max": "max", "min": "min", "conv": "⋆", "max_pool": "max",
    "avg_pool": "mean", "reshape": "▭", "concatenate": "‖", "slice": "[ ]", "gather": "[ ]",
    "put_slice": "[ ]", "transpose": "T", "not_equal": "≠", "equal": "=", "less": "<", "less_equal": "≤",
    "greater": ">", "greater_equal": "≥", "cast": "≈", "maximum": "max", "minimum": "min",
    "add": "+", "subtract": "−", "multiply": "×", "divide": "÷", "negative": "−", "cumsum": "Σ↓", "sort": "↕",
    "broadcast": "⇉", "scan": "↻", "power": "xⁿ", "square": "x²", "sqrt": "√", "where": "where",
    "absolute": "| |", "identity": "=",
}  # fmt: skip

_PRODUCTS = ("contract", "conv_input_gradient", "conv_filter_gradient")
Write = Callable[[Value], Runs]


class TooLongError(Exception):
    """A formula that does not fit on a box."""


class Writer:
    """Writes nodes as short formulas; ``values`` says which nodes have names, ``write`` how they look."""

    def __init__(self, values: dict[Node, Value], write: Write) -> None:
        self._values, self._write = values, write
        self._arrays = {id(node.value): value for node, value in values.items() if value.role == "constant"}

    def formula(self, node: Node, top: bool = True) -> Runs | None:
        """The formula of a node, or nothing where it is too long."""
        try:
            return self.text(node, 0, 0 if top else 1)
        except TooLongError:
            return None

    def text(self, node: Node, tight: int = 0, depth: int = 1) -> Runs:
        """A node in runs, in brackets where what is around binds more tightly than it."""
        value = self._values.get(node)
        if value is not None and depth:
            return self._write(value)
        if node.primitive is None:
            value = self._arrays.get(id(node.value))
            if value is not None:
                return self._write(value)
            if node.value is None or np.size(node.value) != 1:
                raise TooLongError
            return (Run(number(np.reshape(node.value, ())[()])),)
        if depth > 5:
            raise TooLongError
        found = recognised(node, False)
        if found is not None:
            return _fit((Run(found[0] + "("), *self.text(found[1], 0, depth + 1), Run(")")))
        runs, binding = self._application(node, depth + 1)
        return _fit((Run("("), *runs, Run(")")) if binding < tight else runs)

    def _application(self, node: Node, depth: int) -> tuple[Runs, int]:
        assert node.primitive is not None
        notation, name = node.primitive.notation, node.primitive.name
        inputs = node.inputs
        if name == "contract":
            first, second, _ = split(node.parameters["subscripts"])
            if len(first) > 2 or len(second) > 2:
                raise TooLongError
            return (*self.text(inputs[0], 2, depth), Run(" "), *self.text(inputs[1], 3, depth)), 2
        if name == "transpose" and node.parameters["axes"] == (1, 0):
            return (*self.text(inputs[0], 9, depth), Run("T", shift=1)), 9
        if name == "slice":
            return (*self.text(inputs[0], 9, depth), Run("[…]")), 9
        if isinstance(notation, Same) or name in ("reshape", "broadcast", "cast", "stop_gradient"):
            return self.text(inputs[0], 0, depth), 0 if inputs[0] not in self._values else 9
        if name == "power" and _constant(inputs[1]) == 1:
            return self.text(inputs[0], 3, depth), 3
        if name == "multiply" and inputs[0] is inputs[1]:
            return (*self.text(inputs[0], 9, depth), Run("2", shift=1)), 9
        if isinstance(notation, Infix):
            return self._infix(node, notation, depth)
        if isinstance(notation, Prefix):
            sign = Run("−" if notation.symbol == "-" else notation.symbol)
            return (sign, *self.text(inputs[0], 2, depth)), 1
        if isinstance(notation, Fraction):
            return (*self.text(inputs[0], 2, depth), Run(" / "), *self.text(inputs[1], 3, depth)), 2
        if isinstance(notation, Superscript):
            above = notation.text or number(_constant(inputs[1]))
            return (*self.text(inputs[0], 9, depth), Run(above.replace("-", "−"), shift=1)), 9
        if isinstance(notation, Delimited):
            return (Run(notation.left), *self.text(inputs[0], 0, depth), Run(notation.right)), 9
        if isinstance(notation, Call) and name != "where" and len(inputs) <= 2:
            inside = self.text(inputs[0], 0, depth)
            for x in inputs[1:]:
                inside = (*inside, Run(", "), *self.text(x, 0, depth))
            return (Run(notation.symbol + "("), *inside, Run(")")), 9
        raise TooLongError

    def _infix(self, node: Node, notation: Infix, depth: int) -> tuple[Runs, int]:
        first, second = node.inputs[0], node.inputs[1]
        symbol = {"-": "−", "⊙": "⊙" if node.shape else "·"}.get(notation.symbol, notation.symbol)
        if symbol in "⊙·" and second.primitive is None and _constant(second) is not None:
            first, second = second, first
        scaled = symbol in "⊙·" and first.primitive is None and _constant(first) is not None
        left = self.text(first, notation.precedence, depth)
        right = self.text(second, notation.precedence + (symbol in "−"), depth)
        return (*left, Run(" " if scaled else f" {symbol} "), *right), notation.precedence


def _fit(runs: Runs) -> Runs:
    if sum(len(run.text) for run in runs) > LIMIT:
        raise TooLongError
    return runs


def _constant(node: Node) -> Any:
    if node.primitive is None and node.label is None and node.value is not None and np.size(node.value) == 1:
        return np.reshape(node.value, ())[()]
    return None


def number(value: Any) -> str:
    """A number in few digits, with a true minus sign.

    >>> number(-0.5), number(3.0), number(1 / 3)
    ('−0.5', '3', '0.333')
    """
    if value is None:
        raise TooLongError
    if np.iscomplexobj(value):
        return f"{complex(value):.3g}".replace("j", "i").replace("-", "−")
    return f"{float(value):.3g}".replace("-", "−")


def head(box: Box) -> Node:
    """The node that says what a box does."""
    heavy = [node for node in box.nodes if not is_light(node)]
    return (heavy or box.nodes)[-1]


def operands(box: Box) -> dict[Value, int]:
    """The place of each input among the operands of the node that says what a box does."""
    if not box.nodes:
        return {}
    own = set(box.nodes)
    place: dict[Node, int] = {}
    for number, operand in enumerate(head(box).inputs):
        stack = [operand]
        while stack:
            node = stack.pop()
            if node not in place:
                place[node] = number
                stack.extend(node.inputs if node in own else ())
    return {value: place[value.node] for value in box.inputs if value.node in place}


def symbol(box: Box, writer: Writer, lang: str) -> tuple[Runs, Runs]:
    """The symbol of a box and what is written under it; either may be empty."""
    if not box.nodes:
        return (Run(box.title),), (Run(word("failed", lang, NAMES)),)
    if box.kind == "closed":
        known = SCOPES.get(box.title)
        if known is not None and known.lower() == box.title.replace("_", ""):
            return (Run(known),), ()
        return ((Run(known),) if known else ()), (Run(box.title),)
    node = head(box)
    name = node.primitive.name if node.primitive is not None else box.title
    if box.kind == "loop":
        loops = [one for one in box.nodes if "length" in one.parameters]
        return (Run("↻"),), (Run(word("scan", lang, NAMES, length=loops[0].parameters["length"])),)
    if box.kind == "elementwise":
        return _elementwise(box, node, name, writer)
    said = (Run(word(name, lang, NAMES)),) if name in NAMES else (Run(name.replace("_", " ")),)
    inner = node.inputs[0] if node.inputs else node
    if name in ("sum", "max", "min", "prod", "contract") and len(box.nodes) > 1:
        body = writer.formula(node if name == "contract" else inner, top=name == "contract")
        said = body if body is not None and text_width(body, 12) < 120 else said
    shown = _SYMBOLS.get(name)
    return ((Run(shown),) if shown else ()), said


def _elementwise(box: Box, node: Node, name: str, writer: Writer) -> tuple[Runs, Runs]:
    found = recognised(box.nodes[-1], False) if len(box.nodes) > 1 else None
    if found is not None and {found[1]} == {value.node for value in box.inputs}:
        said = {"σ": "sigmoid"}.get(found[0], "")
        return (Run(found[0]),), (Run(said),) if said else ()
    if len(box.nodes) == 1:
        return _single(node, name), ()
    body = writer.formula(box.nodes[-1])
    return (body, ()) if body is not None else ((Run("f", variable=True),), ())


def _single(node: Node, name: str) -> Runs:
    """The symbol of one elementwise step, with the number it combines with."""
    constants = [_constant(x) for x in node.inputs]
    if name == "power" and constants[1] is not None:
        return (Run("x", variable=True), Run(number(constants[1]), shift=1))
    if len(constants) == 2 and any(c is not None for c in constants) and name in _SYMBOLS:
        sign = _SYMBOLS[name].replace("÷", "/")
        if constants[1] is not None:
            return (Run(f"{sign} {number(constants[1])}"),)
        if name in ("add", "multiply"):
            return (Run(f"{sign} {number(constants[0])}"),)
        return (Run(f"{number(constants[0])} {sign} "), Run("x", variable=True))
    if name == "multiply":
        return (Run("⊙" if node.shape else "×"),)
    return (Run(_SYMBOLS.get(name, name)),)


# ---- local factors
def factor(box: Box, value: Value, writer: Writer) -> Runs:
    """What a box does to the gradient on its way to one input; empty where no few marks say it."""
    expression = box.local.get(value)
    if expression is None:
        return ()
    leaves = {out.gradient for out in box.outputs if out.gradient is not None}
    known = SCOPES.get(box.title) if box.kind == "closed" else None
    if known is None and box.kind == "elementwise" and len(box.nodes) > 1:
        found = recognised(box.nodes[-1], False)
        known = found[0] if found is not None and found[0] in ("σ", "softplus", "ReLU") else None
    if known is not None and len(box.local) == 1:
        return (Run(("⊙ " if value.shape else "× ") + known + "′("), *writer.text(value.node), Run(")"))
    try:
        return _Factor(writer, leaves).read(expression, value.shape)
    except TooLongError:
        return ()


class _Factor:
    """Follows an expression down to the gradient it passes on, noting what is done on the way."""

    def __init__(self, writer: Writer, leaves: set[Node]) -> None:
        self._writer, self._leaves = writer, leaves
        self._path: set[Node] = set()

    def read(self, expression: Node, shape: tuple[int, ...]) -> Runs:
        """The factor in runs; raises TooLongError."""
        scale, above, below, before, after, summed = 1.0, [], [], (), (), False
        node, turned = expression, False
        self._path = set(depending([expression], self._leaves))
        for _ in range(12):
            if node in self._leaves:
                break
            inside = [x for x in node.inputs if x in self._path]
            if len(inside) != 1 or node.primitive is None:
                raise TooLongError
            at, name = node.inputs.index(inside[0]), node.primitive.name
            other = node.inputs[1 - at] if len(node.inputs) == 2 else None
            if name == "negative":
                scale = -scale
            elif name == "multiply" and other is not None:
                c = _constant(other)
                scale, above = (scale * float(c), above) if c is not None else (scale, [*above, other])
            elif name == "divide" and at == 0 and other is not None:
                below = [*below, other]
            elif name == "sum":
                summed = True
            elif name == "transpose":
                turned = not turned if node.parameters["axes"] == (1, 0) else _fail()
            elif name in _PRODUCTS and not (before or after):
                before, after = self._product(node, at, turned)
                turned = False
            elif name not in ("broadcast", "reshape", "cast", "identity"):
                raise TooLongError
            node = inside[0]
        else:
            raise TooLongError
        if before or after:
            return _fit((*before, *after)) if scale == 1 and not above and not below else _fail()
        return self._scaled(scale, above, below, summed, shape, node.shape)

    def _scaled(
        self, scale: float, above: Sequence[Node], below: Sequence[Node], summed: bool,
        shape: tuple[int, ...], source: tuple[int, ...],
    ) -> Runs:  # fmt: skip
        sign: Runs = (Run("⊙ " if shape and above else "× "),)
        ends: Runs = ()
        for node in below:
            ends = (*ends, Run(" / "), *self._writer.text(node, 3))
        if not above:
            if summed and scale == 1 and not below:
                return (Run("Σ"),)
            if scale == 1 and ends:
                return ends[:1] and (Run("/ "), *ends[1:])
            one = "𝟏" if scale == 1 and shape != source else _scale(scale)
            return _fit((*sign, Run(one), *ends))
        factors = [self._writer.text(node, 2) for node in above if not _is_one(node)]
        product: Runs = () if scale == 1 else (Run("−" if scale == -1 else number(scale) + " "),)
        if above[1:] == above[:1]:
            product = (*product, *self._writer.text(above[0], 9), Run("2", shift=1))
        else:
            for i, part in enumerate(factors):
                product = (*product, *((Run(" "),) if i else ()), *part)
        if scale < 0:
            product = (Run("("), *product, Run(")"))
        return _fit((*((Run("Σ "),) if summed else ()), *sign, *product, *ends))

    def _product(self, node: Node, at: int, turned: bool) -> tuple[Runs, Runs]:
        """What stands before and after the gradient in a product."""
        assert node.primitive is not None
        name, other = node.primitive.name, node.inputs[1 - at]
        if name == "conv_input_gradient":
            return (), (Run("∗ "), *self._writer.text(other, 3))
        if name == "conv_filter_gradient":
            return (*self._writer.text(other, 3), Run(" ⋆")), ()
        first, second, result = split(node.parameters["subscripts"])
        mine, theirs = (first, second) if at == 0 else (second, first)
        text = self._writer.text(other, 3)
        if len(mine) == 0:
            return (), (Run("× "), *text)
        if len(mine) == 1 and len(theirs) == 1:
            return (), (Run("⊗ " if result else "· "), *text)
        if max(len(mine), len(theirs), len(result)) > 2 or not result:
            raise TooLongError
        left = result[0] in mine  # the gradient gives the rows
        rest = theirs.replace(result[-1] if left else result[0], "")
        flipped = len(theirs) == 2 and (theirs[0] != rest if left else theirs[1] != rest)
        whole = len(mine) == 2
        mine_flipped = whole and (mine[0] != result[0] if left else mine[1] != result[-1])
        if turned:  # (A B)ᵀ = Bᵀ Aᵀ
            left, flipped, mine_flipped = not left, not flipped, not mine_flipped
        if flipped and len(theirs) == 2:
            stripped = other.primitive is not None and other.primitive.name == "transpose"
            text = self._writer.text(other.inputs[0], 9) if stripped else (*text, Run("T", shift=1))
        mark: Runs = (Run("(·)"), Run("T", shift=1), Run(" ")) if mine_flipped and whole else ()
        if left:
            return (), (*(mark or (Run("· "),)), *text)
        return (*text, *((Run(" "), *mark[:2]) if mark else (Run(" ·"),))), ()


def _fail() -> Any:
    raise TooLongError


def _is_one(node: Node) -> bool:
    return _constant(node) == 1


def _scale(scale: float) -> str:
    return f"({number(scale)})" if scale < 0 else number(scale)

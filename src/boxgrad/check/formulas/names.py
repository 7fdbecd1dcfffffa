"""The names that a formula about a function may use: its values, its functions, its result.

Every spelling is understood: W1, W_1, W₁, W^{(1)}; alpha, α; weight_0 as W₀, as the views print it. Knows
names and functions; knows no notation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from boxgrad.autodiff.loops import scan_backward
from boxgrad.autodiff.reverse import Walk
from boxgrad.boxed import activate
from boxgrad.check.tape import compute
from boxgrad.explain import unicode
from boxgrad.explain.boxes import Model, Value, is_elementwise
from boxgrad.explain.chain import Chain
from boxgrad.explain.naming import GREEK
from boxgrad.explain.recognise import Function
from boxgrad.functions import erf
from boxgrad.graph.node import Node, input_node, ordered
from boxgrad.trace.apply import noting
from boxgrad.trace.box import Box as TracedBox
from boxgrad.trace.box import OwnBox
from boxgrad.trace.tracer import Tracing

Array = np.ndarray[Any, Any]
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", "0123456789+-=()aehijklmnoprstuvx", strict=True))
SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "0123456789+-=()ni", strict=True))
_FLAT = str.maketrans({**SUBSCRIPTS, **SUPERSCRIPTS})
COUNTS = {"N", "n", "m", "M", "B", "T", "K", "C", "d", "D", "batch", "size"}
"""The letters that a number of examples may have."""
OUTPUTS = ("L", "loss", "Loss", "J", "ℓ", "E", "cost")
"""What a result may be called, where no value has that name."""


def _sigma(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


KNOWN: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "σ": (_sigma, lambda x: _sigma(x) * (1 - _sigma(x))),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "ReLU": (lambda x: np.maximum(x, 0), lambda x: np.where(x > 0, 1.0, 0.0)),
    "exp": (np.exp, np.exp),
    "log": (np.log, lambda x: 1 / x),
    "log1p": (np.log1p, lambda x: 1 / (1 + x)),
    "expm1": (np.expm1, np.exp),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda x: -np.sin(x)),
    "tan": (np.tan, lambda x: 1 / np.cos(x) ** 2),
    "sinh": (np.sinh, np.cosh),
    "cosh": (np.cosh, np.sinh),
    "arctan": (np.arctan, lambda x: 1 / (1 + x * x)),
    "abs": (np.abs, np.sign),
    "sign": (np.sign, np.zeros_like),
    "square": (np.square, lambda x: 2 * x),
    "softplus": (lambda x: np.logaddexp(x, 0), _sigma),
    "erf": (lambda x: np.asarray(erf(x)), lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x)),
}
"""Functions of one number, with their derivatives."""
_ALIASES = {
    "sigma": "σ", "sigmoid": "σ", "logistic": "σ", "relu": "ReLU", "ln": "log", "th": "tanh", "sgn": "sign",
    "LeakyReLU": "LeakyReLU", "leaky_relu": "LeakyReLU", "leakyrelu": "LeakyReLU", "elu": "ELU",
    "gelu": "GELU", "silu": "SiLU", "swish": "SiLU", "absolute": "abs", "fabs": "abs",
}  # fmt: skip
WHOLE = {
    "softmax", "onehot", "reshape", "permute", "concat", "maxpool", "avgpool", "max", "min", "clip", "outer",
    "diag", "flip", "spread", "where", "logaddexp", "rot",
}  # fmt: skip
"""Functions of whole arrays, or of several numbers."""


def flat(text: str) -> str:
    """A spelling without marks: W₁, W_1, W^{(1)} are W1, and alpha is α.

    >>> flat("W₁"), flat("W_{1}"), flat("z⁽²⁾"), flat("alpha_1"), flat("b_{ih,l0}")
    ('W1', 'W1', 'z2', 'α1', 'bihl0')
    """
    plain = re.sub(r"[A-Za-z]+", lambda m: GREEK.get(m[0], m[0]), text.translate(_FLAT))
    return re.sub(r"[\s_{}(),^]", "", plain)


class Vocabulary:
    """The names of one function."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.chain = Chain(model)
        self.output = model.output.name
        self.values = {value.name: value for value in model.values.values()}
        self.printed = {key: unicode.line(self.chain.symbol(value)) for key, value in self.values.items()}
        self._spellings: dict[str, str] = {}
        for key in self.values:
            self._spellings[flat(key)] = key
        for key, printed in self.printed.items():
            self._spellings[flat(printed)] = key
        self.functions = {one.name: one for one in self._functions()}
        self.loss: set[str] = {name for name in OUTPUTS if self.key(name) is None}
        """Names that the result has in formulas."""

    def _functions(self) -> Iterator[Function]:
        for step in self.chain.steps:
            yield from step.functions

    # ---- values
    def key(self, spelling: str) -> str | None:
        """The value that a spelling names."""
        if spelling in self.values:
            return spelling
        return self._spellings.get(flat(spelling))

    def is_output(self, spelling: str) -> bool:
        return spelling in self.loss or self.key(spelling) == self.output

    def symbol(self, key: str) -> Any:
        """The symbol of a value in mathematics: base, subscript, superscript."""
        return self.chain.symbol(self.values[key])

    @property
    def wrt(self) -> list[str]:
        return [value.name for value in self.model.wrt]

    # ---- functions
    def function(self, spelling: str) -> str | None:
        """The canonical name of a function of one number."""
        plain = GREEK.get(spelling, spelling)
        for one in (plain, _ALIASES.get(plain, ""), _ALIASES.get(plain.lower(), "")):
            if one in self.functions or one in KNOWN:
                return one
        return None

    def compute(self, function: str, x: Array, order: int = 0) -> Array:
        """f(x), or f′(x), element by element: as the function itself has it, if it is one of its own."""
        own = self.functions.get(function)
        if own is None:
            return KNOWN[function][order](x)
        if order == 0:
            return run(own.inside, {own.argument: x})
        root, seed = self._slope(own)
        return np.broadcast_to(run(root, {own.argument: x, seed: np.ones(np.shape(x))}), np.shape(x))

    def _slope(self, function: Function) -> tuple[Node, Node]:
        found = pullback(function.inside, function.argument)
        assert found is not None
        return found

    def applied_to(self, key: str) -> Value | None:
        """The value that is a function of this one alone, element by element, if there is just one."""
        argument = self.values[key]
        found = [
            step.outputs[0]
            for step in self.chain.steps
            if step.inputs == [argument] and len(step.outputs) == 1 and all(map(is_elementwise, step.nodes))
        ]
        return found[0] if len(found) == 1 and found[0].shape == argument.shape else None

    def user_of(self, keys: list[str]) -> Value | None:
        """The value that is computed from these."""
        wanted = {self.values[key] for key in keys}
        found = [step.outputs[0] for step in self.chain.steps if wanted <= set(step.inputs)]
        return found[0] if found else None


def pullback(result: Node, argument: Node) -> tuple[Node, Node] | None:
    """The graph of g ↦ g ∂(result)/∂(argument), and its leaf g; None where nothing depends on it."""
    if argument not in set(ordered([result])):
        return None
    seed = input_node(result.type, "g")  # type: ignore[arg-type]
    with activate(Tracing()), noting(origin=(), scope=None):
        (found,) = Walk(True, scan_backward).run([result], [OwnBox(seed)], [argument])
    return (found.node, seed) if isinstance(found, TracedBox) else None


def run(root: Node, numbers: dict[Node, Any]) -> Array:
    """The value of a node, some others given."""
    known = dict(numbers)
    with np.errstate(all="ignore"):
        compute(ordered([root], known), known)
    return np.asarray(known[root])

"""Evaluates a printed formula: reads the text that the terminal shows and computes it with NumPy.

It shares no code with what prints. Understood: names with subscripts, numbers, + − · ⊙ ⊗, fractions with /,
powers, ᵀ, functions and their primes, [condition], {cases}, Σ and max over indices, elements x_{ij}, 𝟏.
Two arrays side by side, or with a dot between them, are a product of matrices; a number beside an array
scales it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from formula_arrays import (
    adjoint_shape,
    correlate,
    input_gradient,
    kernel_gradient,
    permuted,
    pooled,
    sliced,
    softmax,
)
from formula_places import bound, is_computed, joined, picked, split
from scipy.special import erf

SUB = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", "0123456789+-=()aehijklmnoprstuvx")
SUP = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "0123456789+-=()ni")
_SUBS, _SUPS = "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ"
_TOKEN = re.compile(
    rf"""(?P<space>\s+)
    |(?P<number>[0-9]+\.?[0-9]*)
    |(?P<big>[ΣΠ](?=[{_SUBS}_]) | max(?=[{_SUBS}_]) | min(?=[{_SUBS}_]))
    |(?P<name>(?:expm1|log1p|stop_gradient)(?=\()|[A-Za-zα-ωΑ-Ω]+|𝟏|𝟎|∞)
    |(?P<sub>[{_SUBS}]+|_\{{(?:[^{{}}]|\{{[^{{}}]*\}})*\}}|_\w)
    |(?P<sup>[{_SUPS}]+|\^\{{\([^}}]*\)\}})
    |(?P<prime>′+)
    |(?P<mark>[-+−·⊙⊗⊘/^(),=≠<>≤≥\[\]{{}};ᵀ√∂⋆∗|∧∨:…])""",
    re.VERBOSE,
)


class CannotEvaluateError(Exception):
    """The notation is not one that is understood here."""


@dataclass
class Named:
    """An array whose axes have letters (for formulas with indices)."""

    array: Any
    axes: tuple[str, ...] = ()

    bracket: bool = False
    """Whether it is [condition]: 0 times anything, even what does not exist, is 0."""

    @property
    def plain(self) -> bool:
        return not self.axes


def _aligned(a: Named, b: Named) -> tuple[Any, Any, tuple[str, ...]]:
    axes = tuple(dict.fromkeys((*a.axes, *b.axes)))

    def spread(one: Named) -> Any:
        present = [c for c in axes if c in one.axes]
        moved = np.transpose(one.array, [one.axes.index(c) for c in present])
        return moved.reshape([moved.shape[present.index(c)] if c in present else 1 for c in axes])

    return spread(a), spread(b), axes


def _times(a: Named, b: Named) -> Named:
    """An element-by-element product."""
    if not (a.bracket or b.bracket):
        return _both(np.multiply, a, b)

    def product(left: Any, right: Any) -> Any:
        for factor, bracket in ((left, a.bracket), (right, b.bracket)):
            if bracket:
                left, right = (np.where(factor == 0, 0.0, part) for part in (left, right))
        return left * right

    made = _both(product, a, b)
    made.bracket = a.bracket and b.bracket
    return made


def _both(operation: Callable[[Any, Any], Any], a: Named, b: Named) -> Named:
    if a.plain and b.plain:
        return Named(operation(a.array, b.array))
    if (a.plain and np.ndim(a.array)) or (b.plain and np.ndim(b.array)):
        raise CannotEvaluateError("an array with letters beside one without")
    left, right, axes = _aligned(a, b)
    return Named(operation(left, right), axes)


def _matmul(a: Named, b: Named) -> Named:
    if np.ndim(a.array) == 0 or np.ndim(b.array) == 0 or not (a.plain and b.plain):
        return _times(a, b)
    return Named(np.matmul(a.array, b.array))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "sign": np.sign,
    "erf": erf,
    "expm1": np.expm1,
    "log1p": np.log1p,
    "arctan": np.arctan,
    "logaddexp": np.logaddexp,
    "arctan2": np.arctan2,
    "stop_gradient": lambda x: x,
    "isinf": np.isinf,
}


WHOLE = (
    "softmax", "onehot", "reshape", "permute", "concat", "clip", "maxpool", "avgpool", "sort", "argsort",
    "rank",
)  # fmt: skip


@dataclass
class Formulas:
    """What is known: values by their printed name, functions by theirs (with primes)."""

    values: dict[str, Any] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """The shapes that the text states, of values that are still to come."""
    shape: tuple[int, ...] | None = None
    gradient: bool = False
    letters: dict[str, int] = field(default_factory=dict)
    """How far the letters on the left side run, where they are used as numbers."""
    from_one: bool = False
    """Whether a whole number as an index counts from 1, as steps of time do."""

    def define(self, text: str) -> None:
        """Learn a definition f(x) = … from its printed line."""
        left, _, right = text.partition(" = ")
        self.functions[left[: left.index("(")]] = right

    def evaluate(self, text: str) -> tuple[str, Any]:
        """The name on the left of a printed equation, and the value of its right side in that shape."""
        left, _, right = text.partition(" = ")
        name, letters = self._target(left)
        self.shape = np.shape(self.values[name]) if name in self.values else self.shapes.get(name)
        self.gradient = name.startswith("∂")
        long = [n for n in self.shape or () if n != 1]
        self.letters = dict(zip(letters, long, strict=True)) if len(long) == len(letters) else {}
        over = re.match(r"^(−?)Σₜ₌₁([⁰¹²³⁴⁵⁶⁷⁸⁹]+) (.*)$", right)
        if over is not None:
            terms = [self._at(over[3], t) for t in range(1, int(over[2].translate(SUP)) + 1)]
            total = sum(np.asarray(_Parser(term, self).all().array) for term in terms)
            return name, -total if over[1] else total
        value = _Parser(right, self).all()
        if letters:
            if sorted(value.axes) != sorted(letters):
                missing = tuple(c for c in letters if c not in value.axes)
                if set(value.axes) - set(letters) or not set(missing) <= set(self.letters):
                    raise CannotEvaluateError(f"the axes {value.axes} for {letters}")
                long = [self.letters[c] for c in missing]  # the same for every such index
                value = Named(
                    np.broadcast_to(value.array, (*long, *value.array.shape)), (*missing, *value.axes)
                )
            return name, np.transpose(value.array, [value.axes.index(c) for c in letters])
        if value.axes:
            raise CannotEvaluateError(f"axes {value.axes} left over")
        return name, value.array

    @staticmethod
    def _at(text: str, time: int) -> str:
        """A formula at one time: t and t − 1 in its indices become numbers."""
        digits = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
        text = re.sub(
            r"_\{t([−+])1\}", lambda m: str(time + (1 if m[1] == "+" else -1)).translate(digits), text
        )
        text = re.sub(r"ₜ([₊₋])₁", lambda m: str(time + (1 if m[1] == "₊" else -1)).translate(digits), text)
        text = re.sub(r",t([−+])1\}", lambda m: f",{time + (1 if m[1] == '+' else -1)}}}", text)
        return re.sub(r",t\}", f",{time}}}", text).replace("ₜ", str(time).translate(digits))

    def _target(self, left: str) -> tuple[str, str]:
        if left in self.values or left in self.shapes:
            return left, ""
        head = "∂L/∂" if left.startswith("∂") and "/∂" in left else ""
        if head:
            head, _, rest = left.partition("/∂")
            head += "/∂"
        else:
            rest = left
        whole, letters = self.element(rest)
        return head + whole, letters

    def element(self, text: str) -> tuple[str, str]:
        """x⁽¹⁾ᵢⱼ is an element of X₁: the name of the whole and its letters."""
        if text in self.values or text in self.shapes or not re.search(rf"[{_SUBS}]|_", text):
            return text, ""
        found = re.match(rf"^([A-Za-zα-ωΑ-Ω]+)(⁽[^⁾]*⁾|\^\{{[^}}]*\}})?([{_SUBS}]+|_\{{[^}}]*\}}|_\w)$", text)
        if found is None:
            return text, ""
        base, mark, index = found[1], found[2] or "", found[3]
        letters = index.translate(SUB).strip("_{}").replace(",", "")
        own = mark.translate(SUP).strip("^{}").strip("()")
        for candidate in (base, base.upper()):
            for known in {**self.values, **self.shapes}:
                if "/∂" not in known and _plain(known) == candidate + own and letters.isalpha():
                    return known, letters
        return text, ""


def marks(index: str) -> str:
    """What an index says, in plain characters."""
    if index.startswith("_"):
        return index[2:-1] if index.startswith("_{") else index[1:]
    return index.translate(SUB).replace("-", "−")


def _plain(name: str) -> str:
    return re.sub(r"[_{}]", "", name.translate(SUB))


class _Parser:
    """Recursive descent over one printed expression."""

    def __init__(self, text: str, known: Formulas, local: Mapping[str, Named] | None = None) -> None:
        self.tokens: list[tuple[str, str, bool]] = []
        self.known, self.local = known, dict(local or {})
        position, spaced = 0, False
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise CannotEvaluateError(f"{text[position:]!r}")
            position = found.end()
            if found.lastgroup == "space":
                spaced = True
                continue
            self.tokens.append((str(found.lastgroup), found[0], spaced))
            spaced = False
        self.at = 0
        self.bars = 0

    # ---- tokens
    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place][1] if place < len(self.tokens) else ""

    def kind(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place][0] if place < len(self.tokens) else ""

    def take(self, wanted: str | None = None) -> str:
        if wanted is not None and self.peek() != wanted:
            raise CannotEvaluateError(f"{wanted!r} expected, {self.peek()!r} found")
        self.at += 1
        return self.tokens[self.at - 1][1]

    def all(self) -> Named:
        value = self.condition()
        if self.at != len(self.tokens):
            raise CannotEvaluateError(f"{self.peek()!r} left over")
        return value

    # ---- grammar
    def condition(self) -> Named:
        value = self.comparison()
        while self.peek() in ("∧", "∨"):
            operation = np.logical_and if self.take() == "∧" else np.logical_or
            value = _both(operation, value, self.comparison())
        return value

    def comparison(self) -> Named:
        left = self.sum()
        operations = {
            "=": np.equal,
            "≠": np.not_equal,
            "<": np.less,
            ">": np.greater,
            "≤": np.less_equal,
            "≥": np.greater_equal,
        }
        value: Named | None = None
        while self.peek() in operations:
            operation, right = operations[self.take()], self.sum()
            found = _both(operation, left, right)
            value = found if value is None else _both(np.logical_and, value, found)
            left = right
        return left if value is None else value

    def sum(self) -> Named:
        sign = -1 if self.peek() in ("−", "-") and self.take() else 1
        value = self.elementwise()
        value = Named(value.array * sign, value.axes) if sign < 0 else value
        while self.peek() in ("+", "−"):
            operation = np.add if self.take() == "+" else np.subtract
            value = _both(operation, value, self.elementwise())
        return value

    def elementwise(self) -> Named:
        value = self.scaled()
        while self.peek() == "⊙":
            self.take()
            value = _times(value, self.scaled())
        return value

    def scaled(self) -> Named:
        factors = [self.factor()]
        while True:
            mark = self.peek()
            if mark == "⊗":
                self.take()
                a, b = factors.pop(), self.factor()
                factors.append(Named(np.multiply.outer(a.array, b.array)))
            elif mark == "·":
                self.take()
                factors.append(self.factor())
            elif mark in ("⋆", "∗"):
                sign = self.take()
                note = self.take().translate(SUB).strip("_{}") if self.kind() == "sub" else ""
                a, b = factors.pop(), self.factor()
                factors.append(Named(self.convolved(sign, a.array, b.array, note)))
            elif self._starts():
                factors.append(self.factor())
            else:
                break
        value = factors[-1]
        for factor in reversed(factors[:-1]):
            value = _matmul(factor, value)
        return value

    def spread_shape(self, g: Any, note: str) -> tuple[int, ...]:
        """The shape of what was pooled: that asked for, or else windows side by side."""
        size, *rest = note.split(",")
        axes = g.ndim - 2
        sizes = [int(n) for n in size.split("×")]
        sizes = sizes * axes if len(sizes) == 1 else sizes
        if rest and self.known.shape is not None:
            return self.known.shape
        return (*g.shape[:2], *(n * m for n, m in zip(g.shape[2:], sizes, strict=True)))

    def convolved(self, sign: str, a: Any, b: Any, note: str) -> Any:
        """x ⋆ w; where the shape asked for is that of a kernel, the gradient x ⋆ ∂L/∂y; g ∗ w its adjoint."""
        shape = self.known.shape
        if sign == "∗":
            wanted = adjoint_shape(a, b, note)
            return input_gradient(a, b, wanted, note)
        if (
            shape is not None
            and self.known.gradient
            and len(shape) == a.ndim
            and self._is_kernel(a, b, shape, note)
        ):
            return kernel_gradient(a, b, shape, note)
        return correlate(a, b, note)

    def _is_kernel(self, a: Any, b: Any, shape: tuple[int, ...], note: str) -> bool:
        """Whether b has the shape that x ⋆ (a kernel of this shape) has."""
        try:
            return correlate(a, np.zeros(shape), note).shape == b.shape
        except (ValueError, IndexError):
            return False

    def _starts(self) -> bool:
        if self.peek() in ("if", "otherwise"):
            return False
        return self.kind() in ("number", "name", "big") or (
            self.peek() in ("(", "∂", "√", "[", "{") or (self.peek() == "|" and not self.bars)
        )

    def factor(self) -> Named:
        if self.kind() == "big":
            return self.big()
        value = self.powered()
        while self.peek() == "/":
            self.take()
            value = _both(np.divide, value, self.powered())
        return value

    def powered(self) -> Named:
        value = self.atom()
        while True:
            if self.peek() == "ᵀ":
                self.take()
                value = Named(np.swapaxes(value.array, -1, -2))
            elif self.kind() == "sup":
                exponent = float(self.take().translate(SUP))
                value = Named(value.array**exponent, value.axes)
            elif self.peek() == "^":
                self.take()
                value = _both(np.power, value, self.atom())
            elif self.kind() == "sub" and not value.axes:
                value = self.indexed(value, self.take())
            else:
                return value

    def indexed(self, value: Named, index: str) -> Named:
        letters = marks(index)
        if is_computed(letters):
            return self.at_places(value.array, letters)
        if re.search(r"\d|∗|…|::|:[-\d]|[-\d]:", letters) and value.plain:
            if self.known.from_one and letters.isdigit():
                return Named(value.array[int(letters) - 1])
            return Named(sliced(value.array, letters))
        parts = letters.split(",") if "," in letters else list(letters)
        shape = [n for n in np.shape(value.array) if n != 1]
        if all(part.isalpha() or part == ":" for part in parts):
            sizes = np.shape(value.array) if len(parts) == np.ndim(value.array) else shape
            if len(parts) == len(sizes) and any(
                p != ":" and self.range_of(p, n) != n for p, n in zip(parts, sizes, strict=True)
            ):
                return self.at_places(value.array, ",".join(parts))
            if len(parts) == np.ndim(value.array):
                return Named(value.array, tuple(p if p != ":" else f":{i}" for i, p in enumerate(parts)))
            if len(parts) == len(shape):
                return Named(np.reshape(value.array, shape), tuple(parts))
        raise CannotEvaluateError(f"the index {index}")

    def at_places(self, array: Any, text: str) -> Named:
        """An element at computed places: u_{i−1}, p_{i,yᵢ}, counted from 0."""
        parts = split(text)
        long = [n for n in np.shape(array) if n != 1]
        sizes = long if len(long) == len(parts) else np.shape(array)
        places = [self.place(part, n) for part, n in zip(parts, sizes, strict=True)]
        return Named(*picked(array, [(place.array, place.axes) for place in places]))

    def place(self, text: str, size: int) -> Named:
        """An index; a letter of which nothing else is known runs along the whole axis."""
        free = len(text) == 1 and text.isalpha() and text not in self.local and text not in self.known.letters
        return Named(np.arange(size), (text,)) if free else self.inner(text)

    def inner(self, text: str) -> Named:
        return _Parser(text.replace("-", "−"), self.known, self.local).all()

    def big(self) -> Named:
        symbol = self.take()
        letters = [c for c in self.take().translate(SUB).strip("_{}").split(",") if c]
        conditions = [c for c in letters if len(c) > 1]
        letters = bound(letters)
        before = dict(self.local)
        self.learn(letters)
        body = self.elementwise_of_sum() if symbol in ("Σ", "Π") else self.scaled()
        if conditions:
            neutral = {"Σ": 0.0, "Π": 1.0}[symbol]
            for condition in joined(conditions):
                flags = self.holds(condition)
                left, right, axes = _aligned(flags, body)
                body = Named(np.where(left, right, neutral), axes)
        self.local = before
        operation = {"Σ": np.sum, "Π": np.prod, "max": np.max, "min": np.min}[symbol]
        missing = [c for c in letters if c not in body.axes]
        if missing:
            raise CannotEvaluateError(f"the axes {missing} of {symbol}")
        array = operation(body.array, axis=tuple(body.axes.index(c) for c in letters))
        kept = tuple(c for c in body.axes if c not in letters)
        return Named(array, () if all(c.startswith(":") for c in kept) else kept)

    def learn(self, letters: list[str]) -> None:
        """How far bound letters run, from the first array that has them as indices."""
        start, wanted = self.at, set(letters)
        for at in range(start, len(self.tokens)):
            if not wanted:
                break
            self.at = at
            if self.kind() not in ("name", "sub") and self.peek() != "∂":
                continue
            try:
                if self.kind() == "sub":
                    inside = [_Parser(part, self.known, self.local) for part in split(marks(self.peek()))]
                    for one in inside:
                        one.learn(sorted(wanted))
                        self.local.update({c: one.local[c] for c in wanted if c in one.local})
                    wanted -= set(self.local)
                    continue
                value = self.derivative() if self.peek() == "∂" else self.lookup(self.base())
            except (CannotEvaluateError, IndexError):
                continue
            for axis, c in enumerate(value.axes):
                if c in wanted:
                    self.local[c] = Named(np.arange(np.shape(value.array)[axis]), (c,))
                    wanted.discard(c)
        self.at = start
        for place, (kind, text, _) in enumerate(self.tokens[start:], start):
            for condition in joined(split(marks(text))) if kind == "sub" else []:
                pair = re.fullmatch(r"(\w)[≤≥](\w)", condition)
                if pair is not None and pair[2] in wanted:  # Σᵢ Π_{j≤i} xⱼ: i runs as far as j
                    self.at = place
                    self.learn([pair[1]])
                    self.at = start
                    if pair[1] in self.local:
                        self.local[pair[2]] = Named(self.local[pair[1]].array, (pair[2],))
                        del self.local[pair[1]]

    def range_of(self, letter: str, otherwise: int) -> int:
        """How far a letter runs: as far as on the left side, or in its sum; else as far as the array."""
        if letter in self.local:
            return len(self.local[letter].array)
        return self.known.letters.get(letter, otherwise)

    def holds(self, condition: str) -> Named:
        """j ≤ i, or (k,l) ≠ (i,j)."""
        found = re.fullmatch(r"\(([^)]*)\)≠\(([^)]*)\)", condition)
        if found is None:
            return _Parser(condition, self.known, self.local).comparison()
        pairs = zip(found[1].split(","), found[2].split(","), strict=True)
        flags = [self.holds(f"{a}≠{b}") for a, b in pairs]
        value = flags[0]
        for flag in flags[1:]:
            value = _both(np.logical_or, value, flag)
        return value

    def elementwise_of_sum(self) -> Named:
        """What stands after Σ: everything up to the next + or −."""
        return self.elementwise()

    def atom(self) -> Named:
        mark = self.peek()
        if self.kind() == "number":
            return Named(np.float64(self.take()))
        if mark == "(":
            self.take()
            value = self.condition()
            self.take(")")
            return value
        if mark == "[":
            self.take()
            value = self.condition()
            self.take("]")
            return Named(np.where(value.array, 1.0, 0.0), value.axes, True)
        if mark == "|":
            self.take()
            self.bars += 1
            value = self.sum()
            self.bars -= 1
            self.take("|")
            return Named(np.abs(value.array), value.axes)
        if mark == "{":
            return self.cases()
        if mark == "√":
            self.take()
            value = self.powered_atom()
            return Named(np.sqrt(value.array), value.axes)
        if mark == "∂":
            return self.derivative()
        if self.kind() == "name":
            return self.name()
        raise CannotEvaluateError(f"{mark!r}")

    def powered_atom(self) -> Named:
        return self.atom()

    def cases(self) -> Named:
        self.take("{")
        branches: list[tuple[Named, Named]] = []
        while True:
            value = self.sum()
            word = self.take()
            condition = Named(np.True_) if word == "otherwise" else self.condition()
            branches.append((value, condition))
            if self.peek() != ";":
                break
            self.take()
        self.take("}")
        result = Named(np.float64(np.nan))
        for value, condition in reversed(branches):
            if value.plain and result.plain and condition.plain:
                result = Named(np.where(condition.array, value.array, result.array))
                continue
            left, right, axes = _aligned(value, result)
            both = Named(np.stack(np.broadcast_arrays(left, right)), ("#", *axes))
            flags, pair, names = _aligned(condition, Named(both.array[0], axes))
            other = _aligned(condition, Named(both.array[1], axes))[1]
            result = Named(np.where(flags, pair, other), names)
        return result

    def derivative(self) -> Named:
        text = self.take("∂") + self.take()
        while self.kind() == "sub":
            text += self.take()
        text += self.take("/") + self.take("∂")
        return self.lookup(text + self.base())

    def base(self) -> str:
        """The longest printed name here: base, mark, subscript."""
        text = self.take()
        if text == "e" and self.kind() == "sup":
            return text
        while self.kind() in ("sup", "sub", "prime"):
            if self.kind() == "sup" and not self.peek().startswith(("⁽", "^{(")):
                break
            text += self.take()
        return text

    def lookup(self, text: str) -> Named:
        if text in self.local:
            return self.local[text]
        if len(text) == 1 and text in self.known.letters:
            return Named(np.arange(self.known.letters[text]), (text,))
        if text in self.known.values:
            return Named(self.known.values[text])
        head, _, rest = text.rpartition("/∂")
        head = head + "/∂" if head else ""
        found = re.match(rf"^(.*?)([{_SUBS}]+|_\{{.*\}}|_\w)$", rest)
        if found is not None and is_computed(marks(found[2])):
            name, _ = self.known.element(found[1] + "_i") if found[1] else ("", "")
            name = found[1] if head + found[1] in self.known.values else name
            if head + name in self.known.values:
                return self.at_places(self.known.values[head + name], marks(found[2]))
        whole, letters = self.known.element(rest)
        if letters and head + whole in self.known.values:
            array = np.asarray(self.known.values[head + whole])
            shape = [n for n in array.shape if n != 1]
            if len(letters) != len(shape):
                raise CannotEvaluateError(f"{text} has {len(letters)} indices for {array.shape}")
            if any(self.range_of(c, n) != n for c, n in zip(letters, shape, strict=True)):
                places = [(np.arange(self.range_of(c, n)), (c,)) for c, n in zip(letters, shape, strict=True)]
                return Named(*picked(array, places))
            return Named(array.reshape(shape), tuple(letters))
        raise CannotEvaluateError(f"the name {text}")

    def whole(self) -> Named | None:
        """Functions of whole arrays, with their index: softmax, onehot₅, reshape_{2×3}, permute, concat."""
        name = self.peek()
        if name not in WHOLE:
            return None
        slope = 1 if self.kind(1) == "prime" else 0
        ahead = slope + (1 if self.kind(1 + slope) == "sub" else 0)
        if self.peek(1 + ahead) != "(":
            return None
        self.take()
        if slope:
            self.take()
        index = self.take().translate(SUB).strip("_{}") if ahead > slope else ""
        self.take("(")
        arguments = [self.sum()]
        while self.peek() == ",":
            self.take()
            arguments.append(self.sum())
        self.take(")")
        if not all(argument.plain for argument in arguments):
            raise CannotEvaluateError(f"{name} of elements")
        arrays = [argument.array for argument in arguments]
        if name in ("maxpool", "avgpool"):
            if not slope:
                return Named(pooled(name, index, arrays[0]))
            whole = arrays[1] if len(arrays) > 1 else np.zeros(self.spread_shape(arrays[0], index))
            return Named(pooled(name, index, whole, arrays[0]))
        if name == "softmax":
            return Named(softmax(arrays[0], "ijklmn".index(index) if index else -1))
        if name in ("sort", "argsort", "rank"):
            axis = "ijklmn".index(index)
            order = np.argsort(arrays[0], axis=axis, kind="stable")
            if name == "sort":
                return Named(np.take_along_axis(arrays[0], order, axis))
            return Named(order if name == "argsort" else np.argsort(order, axis=axis))
        if name == "onehot":
            return Named((arrays[0][:, None] == np.arange(int(index))).astype(float))
        if name == "reshape":
            return Named(np.reshape(arrays[0], [int(n) for n in index.split("×")]))
        if name == "permute":
            return Named(permuted(arrays[0], index))
        if name == "concat":
            return Named(np.concatenate(arrays, axis="ijklmn".index(index) if index else -1))
        if name == "clip":
            return Named(np.clip(*arrays))
        raise CannotEvaluateError(f"{name}_{index}")

    def name(self) -> Named:
        found = self.whole()
        if found is not None:
            return found
        start = self.at
        text = self.base()
        if text in self.local or text in self.known.values:
            return self.lookup(text)
        if text == "∞":
            return Named(np.float64(np.inf))
        if text[0] in "𝟏𝟎":
            sizes = text[1:].translate(SUB).strip("_{}").split("×")
            return Named(np.full([int(n) for n in sizes], 1.0 if text[0] == "𝟏" else 0.0))
        if text == "e" and self.peek() in ("^", ""):
            return Named(np.float64(np.e))
        if text == "e" and self.kind() == "sup":
            return Named(np.float64(np.e))
        function = text
        power = 1.0
        if self.kind() == "sup":
            power = float(self.take().translate(SUP))
        if self.peek() == "(" and (
            function in self.known.functions or function.rstrip("′") in FUNCTIONS | {"max": 1, "min": 1}
        ):
            value = self.call(function)
            return Named(value.array**power, value.axes) if power != 1 else value
        self.at = start
        text = self.base()
        try:
            return self.lookup(text)
        except CannotEvaluateError:
            if self.tokens[self.at - 1][0] != "sub":
                raise
            self.at -= 1  # the index belongs to the whole array: X_{i,:}
            return self.lookup(text[: -len(self.peek())])

    def call(self, function: str) -> Named:
        self.take("(")
        arguments = [self.sum()]
        while self.peek() == ",":
            self.take()
            arguments.append(self.sum())
        self.take(")")
        if function in ("max", "min"):
            operation = np.maximum if function == "max" else np.minimum
            return _both(operation, arguments[0], arguments[1])
        if function in self.known.functions:
            (argument,) = arguments
            flat = _Parser(self.known.functions[function], self.known, {"x": argument})
            return flat.all() if not argument.plain or np.ndim(argument.array) == 0 else _each(flat, argument)
        if len(arguments) == 2:
            return _both(FUNCTIONS[function], *arguments)
        return Named(FUNCTIONS[function](arguments[0].array), arguments[0].axes)


def _each(parser: _Parser, argument: Named) -> Named:
    """A formula of one number, on every element: juxtaposition in it is no product of matrices."""
    axes = tuple(f"@{i}" for i in range(np.ndim(argument.array)))
    parser.local["x"] = Named(argument.array, axes)
    value = parser.all()
    if value.axes != axes:
        return Named(np.broadcast_to(value.array, np.shape(argument.array)).copy())
    return Named(value.array)


def close(a: Any, b: Any) -> bool:
    """Whether two gradients are equal to 1e-9 of the largest element; an infinite one is itself."""
    b = np.asarray(b, float)
    a = np.broadcast_to(np.asarray(a, float), b.shape)
    endless = np.isinf(b)
    if not np.array_equal(a[endless], b[endless]):
        return False
    scale = np.max(np.abs(b[~endless]), initial=1e-3)
    return bool(np.max(np.abs(a[~endless] - b[~endless]), initial=0.0) <= 1e-9 * scale)

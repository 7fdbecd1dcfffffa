"""The value of a formula at a point: NumPy on the numbers of the function's values and true gradients.

An array is plain, or its axes have letters (a formula with indices); axes with letters are aligned by them.
Knows operations; every value is computed once, so that edits of a formula cost only what they change.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from boxgrad.check.formulas.arrays import FUNCTIONS, convolved
from boxgrad.check.formulas.names import Vocabulary, pullback, run
from boxgrad.check.formulas.terms import Term
from boxgrad.check.subject import Point, Subject
from boxgrad.graph.node import Node

Array = np.ndarray[Any, Any]


class UnfitError(Exception):
    """Operands whose shapes do not go together, or an operation that is not there."""

    def __init__(self, term: Term, shapes: Sequence[tuple[int, ...]] = ()) -> None:
        super().__init__(str(term))
        self.term, self.shapes = term, tuple(shapes)


class Lettered(NamedTuple):
    """An array whose axes have letters."""

    array: Array
    axes: tuple[str, ...]


Value = Any
LARGEST = 10**7
"""The most elements that an array written as 𝟏 may have."""
_ELEMENTWISE: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "power": np.power,
    "both": np.logical_and, "either": np.logical_or,
}  # fmt: skip
_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, ">": np.greater, "<=": np.less_equal,
    ">=": np.greater_equal,
}  # fmt: skip
_REDUCED: dict[str, Callable[..., Any]] = {
    "Σ": np.sum, "Π": np.prod, "max": np.max, "min": np.min, "mean": np.mean,
}  # fmt: skip


def array_of(value: Value) -> Array:
    return value.array if isinstance(value, Lettered) else value


def shape_of(value: Value) -> tuple[int, ...]:
    return np.shape(array_of(value))


class Evaluator:
    """The values of terms at one point."""

    def __init__(self, subject: Subject, vocabulary: Vocabulary, point: Point) -> None:
        self.vocabulary = vocabulary
        with np.errstate(all="ignore"):
            subject.prepare(point)
        self.values = subject.values(point)
        self.gradients = subject.gradients(point)
        self.size = max((float(np.max(np.abs(g), initial=0.0)) for g in self.gradients.values()), default=0.0)
        """How large the gradients are here."""
        self._numbers = point.numbers
        self._known: dict[Term, Value | UnfitError] = {}
        self._pullbacks: dict[tuple[str, str], tuple[Node, Node] | None] = {}

    def value(self, term: Term) -> Value:
        """The value of a term.

        Raises:
            UnfitError: it, or something in it, cannot be computed.
        """
        known = self._known.get(term)
        if known is None:
            try:
                known = self._compute(term)
            except UnfitError as error:
                known = error
            except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError):
                known = UnfitError(term, [shape_of(self.value(part)) for part in term.parts])
            self._known[term] = known
        if isinstance(known, UnfitError):
            raise known
        return known

    def fits(self, term: Term) -> bool:
        """Whether a term has a value."""
        try:
            self.value(term)
        except UnfitError:
            return False
        return True

    def shape(self, term: Term) -> tuple[int, ...] | None:
        """The shape of a term, None where it has none."""
        try:
            return shape_of(self.value(term))
        except UnfitError:
            return None

    # ---- operations
    def _compute(self, term: Term) -> Value:
        op, mark = term.op, term.mark
        if op == "name":
            return np.asarray(self.values[mark], np.float64)
        if op == "gradient":
            return np.asarray(self.gradients[mark]) if mark in self.gradients else self._missing(term)
        if op == "number":
            return np.asarray(mark)
        if op == "counted":
            return np.asarray(float(mark[1]))
        if op == "ones":
            return np.ones(mark) if math.prod(mark) <= LARGEST else self._missing(term)
        if op == "partial":
            return self.through(mark, np.ones(self.vocabulary.values[mark[0]].shape))
        with np.errstate(all="ignore"):
            return self._operation(term, [self.value(part) for part in term.parts])

    def _missing(self, term: Term) -> Value:
        raise UnfitError(term)

    def _operation(self, term: Term, parts: list[Value]) -> Value:
        op, mark = term.op, term.mark
        if op in _ELEMENTWISE:
            return self._both(term, _ELEMENTWISE[op], *parts)
        if op == "compare":
            found = self._both(term, _COMPARED[mark], *parts)
            return _mapped(found, lambda a: np.asarray(a, np.float64))
        if op == "negative":
            return _mapped(parts[0], operator.neg)
        if op == "indicator":
            return _mapped(parts[0], lambda a: (a != 0).astype(np.float64))
        if op == "matmul":
            return self._matmul(term, *parts)
        if op == "outer":
            return np.multiply.outer(*map(_plain, parts))
        if op == "transpose":
            x = _plain(parts[0])
            return x if x.ndim < 2 else np.swapaxes(x, -1, -2)
        if op == "through":
            return self.through(mark, _plain(parts[0]))
        if op == "slope":
            return self._slope(mark, parts[0])
        if op == "call":
            return self._call(mark, parts)
        if op == "sum":
            kind, axes, keep = mark
            return np.asarray(_REDUCED[kind](_plain(parts[0]), axis=axes, keepdims=keep))
        if op == "reduce":
            return self._reduce(term, parts[0])
        if op == "index":
            return _indexed(term, parts[0])
        if op == "item":
            return np.asarray(_plain(parts[0])[_key(*mark)])
        if op == "where":
            return self._where(term, parts)
        if op == "matrix":
            return np.array([_plain(part).item() for part in parts]).reshape(mark)
        if op == "conv":
            return convolved(mark, _plain(parts[0]), _plain(parts[1]))
        raise UnfitError(term)

    def _both(self, term: Term, operation: Callable[[Any, Any], Any], a: Value, b: Value) -> Value:
        if not isinstance(a, Lettered) and not isinstance(b, Lettered):
            return np.asarray(operation(a, b))
        if any(not isinstance(one, Lettered) and np.ndim(one) for one in (a, b)):
            raise UnfitError(term, [shape_of(a), shape_of(b)])
        left, right, axes = _aligned(_lettered(a), _lettered(b))
        return Lettered(np.asarray(operation(left, right)), axes)

    def _matmul(self, term: Term, a: Value, b: Value) -> Value:
        if isinstance(a, Lettered) or isinstance(b, Lettered) or not np.ndim(a) or not np.ndim(b):
            return self._both(term, np.multiply, a, b)
        return np.asarray(np.matmul(a, b))

    def _slope(self, mark: tuple[str, str], x: Value) -> Value:
        function, key = mark
        if function != "applied":
            return _mapped(x, lambda a: self.vocabulary.compute(function, a, 1))
        result = self.vocabulary.applied_to(key)
        if result is None:
            raise UnfitError(Term("slope", (), mark))
        found = self._pullback(result.name, key)
        argument = self.vocabulary.values[key].node
        return run(found[0], {argument: _plain(x), found[1]: np.ones(np.shape(x))})

    def through(self, mark: tuple[str, str], g: Array) -> Array:
        """The upstream gradient g carried back from one value to another."""
        root, seed = self._pullback(*mark)
        if np.shape(g) != self.vocabulary.values[mark[0]].shape:
            raise UnfitError(Term("through", (), mark), [np.shape(g)])
        return run(root, {**self._numbers, seed: g})

    def _pullback(self, of: str, by: str) -> tuple[Node, Node]:
        if (of, by) not in self._pullbacks:
            values = self.vocabulary.values
            self._pullbacks[of, by] = pullback(values[of].node, values[by].node)
        found = self._pullbacks[of, by]
        if found is None:
            raise UnfitError(Term("partial", (), (of, by)))
        return found

    def _call(self, mark: tuple[str, Any], parts: list[Value]) -> Value:
        function, note = mark
        if len(parts) == 1 and self.vocabulary.function(function) is not None:
            return _mapped(parts[0], lambda a: self.vocabulary.compute(function, a))
        if function in ("max", "min", "logaddexp", "arctan2") and len(parts) == 2:
            operation = {"max": np.maximum, "min": np.minimum}.get(function) or getattr(np, function)
            return self._both(Term("call", (), mark), operation, *parts)
        return np.asarray(FUNCTIONS[function](note, *map(_plain, parts)))

    def _reduce(self, term: Term, body: Value) -> Value:
        symbol, letters = term.mark
        if not isinstance(body, Lettered) or any(c not in body.axes for c in letters):
            raise UnfitError(term, [shape_of(body)])
        array = _REDUCED[symbol](body.array, axis=tuple(body.axes.index(c) for c in letters))
        kept = tuple(c for c in body.axes if c not in letters)
        return array if all(c.startswith(":") for c in kept) else Lettered(array, kept)

    def _where(self, term: Term, parts: list[Value]) -> Value:
        result: Value = np.asarray(np.nan)
        for value, condition in reversed(list(zip(parts[::2], parts[1::2], strict=True))):
            chosen = _mapped(condition, lambda a: (a != 0).astype(np.float64))
            mine = self._both(term, lambda c, v: np.where(c != 0, v, 0.0), chosen, value)
            other = self._both(term, lambda c, v: np.where(c != 0, 0.0, v), chosen, result)
            result = self._both(term, np.add, mine, other)
        return result


def _plain(value: Value) -> Array:
    if isinstance(value, Lettered):
        raise TypeError("letters where whole arrays are meant")
    return value


def _lettered(value: Value) -> Lettered:
    return value if isinstance(value, Lettered) else Lettered(value, ())


def _mapped(value: Value, function: Callable[[Any], Any]) -> Value:
    if isinstance(value, Lettered):
        return Lettered(np.asarray(function(value.array)), value.axes)
    return np.asarray(function(value))


def _aligned(a: Lettered, b: Lettered) -> tuple[Array, Array, tuple[str, ...]]:
    axes = tuple(dict.fromkeys((*a.axes, *b.axes)))

    def spread(one: Lettered) -> Array:
        present = [c for c in axes if c in one.axes]
        moved = np.transpose(one.array, [one.axes.index(c) for c in present])
        return moved.reshape([moved.shape[present.index(c)] if c in present else 1 for c in axes])

    return spread(a), spread(b), axes


def _indexed(term: Term, value: Value) -> Lettered:
    """Letters for the axes; axes of size 1 may be left out."""
    x = _plain(value)
    letters = tuple(c if c != ":" else f":{i}" for i, c in enumerate(term.mark))
    if "∗" in letters:
        raise UnfitError(term, [x.shape])
    if len(letters) != x.ndim:
        kept = [size for size in x.shape if size != 1]
        if len(kept) != len(letters):
            raise UnfitError(term, [x.shape])
        x = x.reshape(kept)
    if len(set(letters)) < len(letters):
        once = list(dict.fromkeys(letters))
        codes = [once.index(c) for c in letters]
        return Lettered(np.einsum(x, codes, list(range(len(once)))), tuple(once))
    return Lettered(x, letters)


def settled(value: Value, letters: Sequence[str], shape: tuple[int, ...]) -> Array:
    """The plain array of a right side, its letters in the order of those on the left.

    Raises:
        ValueError: other letters than those on the left.
    """
    if isinstance(value, Lettered) and not letters:
        return value.array  # ∂L/∂b = Σ_i (∂L/∂N)_{ij}: j is left
    if isinstance(value, Lettered):
        extra = [c for c in value.axes if c not in letters]
        if extra:
            raise ValueError(f"letters {extra}")
        full = _aligned(Lettered(np.ones((1,) * len(letters)), tuple(letters)), value)[1]
        sizes = [n for n in shape if n != 1] if len(shape) != len(letters) else list(shape)
        return np.broadcast_to(full, sizes).reshape(shape) if math.prod(sizes) == math.prod(shape) else full
    if letters and np.ndim(value) == 0 and shape:
        return np.broadcast_to(value, shape)
    return value


def _key(text: str, first: int) -> tuple[Any, ...]:
    """The index of x₁₂, x_{1:-1}, x_{…,0:4}; ``first`` is the number of the first element."""
    key: list[Any] = []
    for part in text.split(","):
        if part == "…":
            key.append(Ellipsis)
        elif part in ("∗", "None"):
            key.append(None)
        elif ":" in part:
            key.append(slice(*[int(n) if n else None for n in part.split(":")]))
        else:
            key.append(int(part) - first)
    if first and any(isinstance(part, int) and part < 0 for part in key):
        raise IndexError(text)
    return tuple(key)


def digits(text: str) -> str:
    """x₁₂ has the indices 1 and 2."""
    return ",".join(text) if re.fullmatch(r"\d\d+", text) else text

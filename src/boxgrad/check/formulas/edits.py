"""The small changes of a formula among which its repair is looked for, each with its cost and its kind.

The cheapest are what people get wrong most often: a transpose, the order of two factors, a name, the value at
which a derivative is taken, a sign, a sum. Knows trees, and the shapes of their parts; knows no truth.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from boxgrad.check.formulas.names import Vocabulary
from boxgrad.check.formulas.terms import Path, Term, gradient, name, number, transposed
from boxgrad.check.formulas.value import Evaluator

FLAT = (False, False)
NAMES = 18
"""How many values are tried in place of others: those nearest to the gradient in question."""


@dataclass(frozen=True)
class Edit:
    """``old`` becomes ``new``: ``key`` is the sentence that says so, ``kind`` the mistake it repairs."""

    cost: float
    kind: str
    key: str
    path: Path
    old: Term
    new: Term
    tree: Term
    """The whole formula after it."""


class Edits:
    """The edits of formulas about one function and one gradient."""

    def __init__(self, vocabulary: Vocabulary, evaluator: Evaluator, target: str) -> None:
        self.vocabulary, self.evaluator, self.target = vocabulary, evaluator, target
        values = [v for v in vocabulary.values.values() if v.node.dtype.kind in "fc"]
        at = vocabulary.values[target].node.number
        near = sorted(values, key=lambda v: (v.automatic, abs(v.node.number - at)))
        own = [v for v in near if not v.automatic][:NAMES] + [v for v in near if v.automatic][: NAMES // 2]
        self.names = [name(v.name) for v in own if v is not vocabulary.model.output]
        known = evaluator.gradients
        self.gradients = [gradient(v.name) for v in own if v.name in known and v.name != target]
        self.shape = np.shape(known[target]) if target in known else ()
        self.slopes = list(self._slopes())
        self.paths = list(self._paths())

    def _slopes(self) -> Iterator[Term]:
        """f′(V) for each value V that a function of one number is applied to."""
        for step in self.vocabulary.chain.steps:
            for function in step.functions:
                key = next((v.name for v in step.inputs if v.node is function.argument), None)
                if key is not None:
                    yield Term("slope", (name(key),), (function.name, ""))

    def _paths(self) -> Iterator[Term]:
        """What each user of the target passes back to it."""
        for step in self.vocabulary.chain.steps:
            for value in step.local:
                if value.name == self.target and len(step.outputs) == 1:
                    key = step.outputs[0].name
                    if key in self.evaluator.gradients:
                        yield Term("through", (gradient(key),), (key, self.target))

    def of(self, tree: Term) -> Iterator[Edit]:
        """All edits of a formula."""
        for path, term in tree.walk():
            for cost, kind, key, new in self._at(term, path, tree):
                if new != term:
                    yield Edit(cost, kind, key, path, term, new, tree.put(path, new))
        for share in self.paths:
            yield Edit(1.5, "path dropped", "path", (), tree, share, Term("add", (tree, share), "+"))

    def _at(self, term: Term, path: Path, tree: Term) -> Iterator[tuple[float, str, str, Term]]:
        shape = self.evaluator.shape(term)
        flat = shape is None or len(shape) < 2
        op, parts = term.op, term.parts
        if op == "index":
            yield from self._letters(term)
        if op == "transpose":
            yield 1.0, "transposed", "not transposed", parts[0]
        elif not flat and op == "matmul":
            new = Term("matmul", (transposed(parts[1]), transposed(parts[0])), (None, FLAT))
            yield 1.1, "transposed", "whole transposed", new
        elif not flat and op != "number" and not (path and self._op(tree, path[:-1]) == "transpose"):
            summed = bool(path) and self._op(tree, path[:-1]) in ("sum", "reduce")
            cost = 1.4 if summed else 1.0 if op in ("name", "gradient") else 1.15
            yield cost, "transposed", "transposed", transposed(term)
        yield from self._names(term, shape, path, tree)
        if op in ("matmul", "multiply", "outer"):
            yield from self._products(term)
        elif op in ("add", "subtract"):
            yield from self._sums(term)
        elif op == "divide":
            yield 1.4, "operator", "operator", Term("multiply", parts, (None, FLAT))
            yield 1.4, "operator", "swapped quotient", Term("divide", (parts[1], parts[0]), term.mark)
            yield 1.6, "constant factor", "extra", parts[0]
        elif op == "negative":
            yield 1.0, "sign", "sign", parts[0]
        elif op == "power":
            yield 1.6, "operator", "extra", parts[0]
        elif op in ("sum", "reduce"):
            yield from self._reductions(term)
        elif op == "conv":
            yield from self._convolutions(term)
        elif op in ("slope", "call") and len(parts) == 1:
            yield from self._functions(term)
        if op != "number" and not (path and self._op(tree, path[:-1]) in ("slope", "negative")):
            yield from self._wrapped(term, shape, path)

    @staticmethod
    def _op(tree: Term, path: Path) -> str:
        for step in path:
            tree = tree.parts[step]
        return tree.op

    # ---- leaves
    def _names(
        self, term: Term, shape: tuple[int, ...] | None, path: Path, tree: Term
    ) -> Iterator[tuple[float, str, str, Term]]:
        if term.op not in ("name", "gradient", "ones"):
            return
        inside = bool(path) and self._op(tree, path[:-1]) in ("slope", "call")
        for other in self.names:
            same = self.evaluator.shape(other) == shape
            if term.op == "name":
                cost = (0.9 if inside else 1.1) if same else 1.3
                yield cost, "wrong value" if inside else self._swapped(term, other), "name", other
            else:
                yield 1.5, "wrong upstream", "name", other
        for other in self.gradients:
            same = self.evaluator.shape(other) == shape
            if not inside:
                yield (
                    (1.1 if term.op != "name" else 1.2) + (0 if same else 0.2),
                    "wrong upstream",
                    "name",
                    other,
                )
        if term.op == "name" and not inside:
            for slope in self.slopes:
                if self.evaluator.shape(slope) == shape:
                    yield 1.3, "derivative left out", "name", slope

    def _swapped(self, term: Term, other: Term) -> str:
        """One parameter for another, or one value for another."""
        inputs = {value.name for value in self.vocabulary.model.inputs}
        return "parameter swapped" if {term.mark, other.mark} <= inputs else "wrong value"

    # ---- operations
    def _products(self, term: Term) -> Iterator[tuple[float, str, str, Term]]:
        (a, b), mark = term.parts, (term.mark[0] if isinstance(term.mark, tuple) else None, FLAT)
        if term.op != "multiply":
            yield 1.0, "factors swapped", "swapped", Term(term.op, (b, a), mark)
            yield 1.2, "operator", "elementwise", Term("multiply", (a, b), (None, FLAT))
        else:
            yield 1.2, "operator", "matrix product", Term("matmul", (a, b), (None, FLAT))
            yield 1.3, "operator", "matrix product", Term("matmul", (b, a), (None, FLAT))
            yield 1.5, "operator", "operator", Term("divide", (a, b), "/")
        yield from self._regrouped(term)
        for kept, left in ((a, b), (b, a)):
            numeric = all(part.op not in ("name", "gradient") for _, part in left.walk())
            yield 1.4, "constant factor" if numeric else "wrong value", "extra", kept

    def _regrouped(self, term: Term) -> Iterator[tuple[float, str, str, Term]]:
        """The same factors with other brackets: (a ⊙ b) c for a (b ⊙ c)."""
        a, b = term.parts
        triples = []
        if a.op in ("matmul", "multiply"):
            triples.append((*a.parts, b, True))
        if b.op in ("matmul", "multiply"):
            triples.append((a, *b.parts, False))
        for x, y, z, right in triples:
            for first in ("multiply", "matmul"):
                for second in ("multiply", "matmul"):
                    inner = Term(first, (y, z) if right else (x, y), (None, FLAT))
                    new = Term(second, (x, inner) if right else (inner, z), (None, FLAT))
                    if self.evaluator.fits(new):
                        yield 1.25, "operator", "grouped", new

    def _sums(self, term: Term) -> Iterator[tuple[float, str, str, Term]]:
        a, b = term.parts
        other = "subtract" if term.op == "add" else "add"
        yield 1.1, "sign", "sign", Term(other, (a, b), "+")
        if term.op == "subtract":
            yield 1.1, "sign", "swapped difference", Term("subtract", (b, a), term.mark)
            yield 1.6, "term missing", "extra", Term("negative", (b,))
        yield 1.5, "counted twice" if a == b else "term missing", "extra", a
        yield 1.5, "counted twice" if a == b else "term missing", "extra", b

    def _reductions(self, term: Term) -> Iterator[tuple[float, str, str, Term]]:
        body = term.parts[0]
        yield 1.2, "sum too wide", "no sum", body
        if term.op == "reduce":
            symbol, letters = term.mark
            inside = {c for _, one in body.walk() if one.op == "index" for c in one.mark if c != ":"}
            for chosen in itertools.combinations(sorted(inside), len(letters)):
                if set(chosen) != set(letters):
                    yield 1.1, "wrong axis", "axis", Term("reduce", (body,), (symbol, chosen))
            return
        kind, axes, keep = term.mark
        shape = self.evaluator.shape(body) or ()
        for axis in range(len(shape)):
            if axes != (axis,):
                what = "wrong axis" if axes is not None and len(axes) == 1 else "sum too wide"
                yield 1.1, what, "axis", Term("sum", (body,), (kind, (axis,), keep))
        if kind in ("Σ", "mean"):
            other = "mean" if kind == "Σ" else "Σ"
            yield (
                1.3,
                "constant factor",
                "mean" if other == "mean" else "sum",
                Term("sum", (body,), (other, axes, keep)),
            )

    def _convolutions(self, term: Term) -> Iterator[tuple[float, str, str, Term]]:
        """The kernel turned round or not, and the gradient of the kernel itself."""
        (a, b), (kind, note, _) = term.parts, term.mark
        for other in ("forward", "input", "kernel"):
            new = Term("conv", (a, b), (other, note, None if other == "forward" else self.shape))
            if other != kind and self.evaluator.fits(new):
                yield 1.1, "kernel not flipped", "flip" if other == "input" else "instead", new

    def _letters(self, term: Term) -> Iterator[tuple[float, str, str, Term]]:
        """Indices in another order."""
        if len(term.mark) > 1:
            for order in itertools.permutations(term.mark):
                yield 1.0, "transposed", "instead", Term("index", term.parts, order)

    def _functions(self, term: Term) -> Iterator[tuple[float, str, str, Term]]:
        function, _ = term.mark
        argument = term.parts[0]
        if term.op == "call" and self.vocabulary.function(function) is not None:
            yield 1.2, "derivative left out", "name", Term("slope", (argument,), (function, ""))
            yield 1.6, "wrong value", "extra", argument
        if term.op == "slope":
            yield 1.4, "wrong value", "name", Term("call", (argument,), (function, ""))
            shape = self.evaluator.shape(term)
            for value in self.names:
                if self.evaluator.shape(value) == shape:
                    yield 1.4, "wrong value", "name", value
        for other in dict.fromkeys(slope.mark[0] for slope in self.slopes):
            if other != function:
                yield 1.3, "wrong value", "function", Term("slope", (argument,), (other, ""))

    # ---- around a term
    def _wrapped(
        self, term: Term, shape: tuple[int, ...] | None, path: Path
    ) -> Iterator[tuple[float, str, str, Term]]:
        """Something around a term: a factor, a sum, a sign that is missing."""
        if not path and not any(part.op == "negative" for part in _factors(term)):
            yield 1.0, "sign", "sign", Term("negative", (term,))
        if shape is None:
            return
        for slope in self.slopes:
            if self.evaluator.shape(slope) == shape:
                result = self.vocabulary.applied_to(slope.parts[0].mark)
                own = term.op == "gradient" and result is not None and result.name == term.mark
                new = Term("multiply", (term, slope), (None, FLAT))
                yield 1.0 if own else 1.25, "derivative left out", "factor", new
        for axis in range(len(shape)):
            if len(path) <= 1:
                yield 1.2, "sum missing", "sum over", Term("sum", (term,), ("Σ", (axis,), False))
                yield 1.4, "sum missing", "sum over", Term("sum", (term,), ("Σ", (axis,), True))
        if len(shape) > 2 and len(path) <= 1:
            for axis in range(len(shape)):
                axes = tuple(i for i in range(len(shape)) if i != axis)
                yield 1.4, "sum missing", "sum over", Term("sum", (term,), ("Σ", axes, False))
            if "conv" in term.op or term.op == "name":
                yield 1.3, "kernel not flipped", "flip", Term("call", (term,), ("flip", ""))
        for other in (*self.names, *self.gradients):
            other_shape = self.evaluator.shape(other)
            if other_shape is None:
                continue
            cost = 1.6 if other_shape == shape or not other_shape else 1.8
            kind = "wrong upstream" if other.op == "gradient" else "derivative left out"
            if _broadcasts(shape, other_shape) and term.op in ("name", "gradient", "slope", "multiply"):
                yield cost, kind, "factor", Term("multiply", (term, other), (None, FLAT))
            if len(shape) == len(other_shape) == 2:
                for factor in (other, transposed(other)):
                    size = self.evaluator.shape(factor) or ()
                    if shape[1] == size[0]:
                        yield 1.8, kind, "factor", Term("matmul", (term, factor), (None, FLAT))
                    if size[1] == shape[0]:
                        yield 1.8, kind, "factor", Term("matmul", (factor, term), (None, FLAT))
            if other.op == "name" and other_shape == shape and not path:
                rest = Term("subtract", (number(1), other), "-")
                yield 1.9, "derivative left out", "factor", Term("multiply", (term, rest), (None, FLAT))
            if not path and not shape and other_shape == self.shape:
                yield cost, kind, "factor", Term("multiply", (term, other), (None, FLAT))
            if not path and other_shape == shape:
                yield 1.8, "term missing", "term", Term("add", (term, other), "+")


def _factors(term: Term) -> Iterator[Term]:
    """A product with its factors."""
    yield term
    if term.op in ("multiply", "matmul", "outer"):
        for part in term.parts:
            yield from _factors(part)


def _broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(a, b) == a
    except ValueError:
        return False

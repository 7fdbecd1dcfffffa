"""What a formula may mean: juxtaposition, × and · are products of elements or of matrices, whichever fits.

``readings`` gives the trees without anything undecided that have a value, the most natural first;
``natural`` gives one where none has. Knows shapes; whether a reading is right is decided elsewhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from boxgrad.check.formulas.names import COUNTS
from boxgrad.check.formulas.terms import Term, number
from boxgrad.check.formulas.value import Evaluator, Lettered, array_of, digits

Reading = tuple[float, Term]
LIMIT = 16
"""The most readings of one term that are followed."""
LONG = 8
"""The most factors whose products are grouped in all ways."""
_MATRIX = {"·", "", "@"}


class Readings:
    """The readings of terms at a point."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        shapes = {np.shape(value) for value in evaluator.values.values()}
        self.shapes = sorted(shapes, key=len)
        """The shapes that a value may have."""
        inputs = [np.shape(evaluator.values[v.name]) for v in evaluator.vocabulary.model.inputs]
        sizes = [size for shape in (*inputs, *self.shapes) for size in shape]
        self.sizes = list(dict.fromkeys(size for size in sizes if size > 1))
        """What a count may be: the sizes of axes, those of the first inputs first."""

    def of(self, term: Term) -> list[Term]:
        """All readings that have a value, the most natural first."""
        if any(part.op == "divide" for _, part in term.walk()):
            other = self._with_sizes(term)
            if other != term:  # 1/N, where N is also the name of a value
                return list(dict.fromkeys([*self._either(term), *Readings(self.evaluator)._either(other)]))
        return self._either(term)

    def _with_sizes(self, term: Term, below: bool = False) -> Term:
        """The values in denominators that have the name of a count taken as one."""
        if below and term.op == "name" and term.mark in COUNTS and np.ndim(self.evaluator.values[term.mark]):
            return Term("count", (), term.mark)
        if term.op == "divide":
            top, bottom = term.parts
            return term.with_parts((self._with_sizes(top, below), self._with_sizes(bottom, True)))
        return term.over(lambda part: self._with_sizes(part, below))

    def _either(self, term: Term) -> list[Term]:
        if any(part.op == "pick" for _, part in term.walk()):  # elements are counted from 0 or from 1
            both = [Readings(self.evaluator)._from(term, first) for first in (0, 1)]
            return list(dict.fromkeys([*both[0], *both[1]]))
        return self._from(term, 0)

    def _from(self, term: Term, first: int) -> list[Term]:
        self.first = first
        counts = sorted({part.mark for _, part in term.walk() if part.op == "count"})
        found: list[Reading] = []
        for penalty, sizes in self._counted(counts):
            chosen = dict(zip(counts, sizes, strict=True))
            found += [(penalty + more, one) for more, one in self._read(_with_counts(term, chosen))]
        found.sort(key=lambda reading: reading[0])
        return list(dict.fromkeys(one for _, one in found))

    def _counted(self, counts: Sequence[str]) -> Iterator[tuple[float, tuple[int, ...]]]:
        if not counts:
            yield 0.0, ()
            return
        for place, sizes in enumerate(
            itertools.islice(itertools.product(self.sizes, repeat=len(counts)), 24)
        ):
            yield 0.1 * place, sizes

    # ---- by kind of term
    def _read(self, term: Term) -> list[Reading]:
        if term.op == "chain":
            return self._chain(term)
        found: list[Reading] = []
        options = [self._read(part) for part in term.parts]
        for combination in itertools.islice(itertools.product(*options), 4 * LIMIT):
            penalty = sum(part[0] for part in combination)
            made = term.with_parts(tuple(part[1] for part in combination))
            found += [(penalty + more, one) for more, one in self._alternatives(made)]
        return self._kept(found)

    def _kept(self, found: list[Reading]) -> list[Reading]:
        fitting = [reading for reading in found if self.evaluator.fits(reading[1])]
        return sorted(fitting, key=lambda reading: reading[0])[:LIMIT]

    def _alternatives(self, term: Term) -> Iterator[Reading]:
        """The readings of a term whose parts are decided."""
        op, vocabulary = term.op, self.evaluator.vocabulary
        if op == "reduce":
            yield 0.0, term
            yield from self._loose_sum(term)
        elif op == "pick":
            text = digits(term.mark) if self.first else term.mark
            counted = text.replace(",", "").isdigit()
            yield 0.0, Term("item", term.parts, (text, self.first if counted else 0))
        elif op == "slope" and term.mark[0] not in vocabulary.functions and term.parts[0].op == "name":
            yield 0.0, term
            key = term.parts[0].mark
            if term.mark[0] != "applied" and vocabulary.applied_to(key) is not None:
                yield 0.3, Term("slope", term.parts, ("applied", key))
        elif op == "call" and term.mark == ("onehot", ""):
            for place, size in enumerate(self.sizes):
                yield 0.1 * place, Term("call", term.parts, ("onehot", str(size)))
        elif op == "call" and term.mark[0] in ("maxpool′", "avgpool′") and len(term.parts) == 1:
            for shape in self.shapes:
                yield 0.0, Term("call", term.parts, (term.mark[0], (term.mark[1], shape)))
        else:
            yield 0.0, term

    def _loose_sum(self, term: Term) -> Iterator[Reading]:
        """Σ_i of a whole array: i is its first axis, j its second, as far as that fits."""
        symbol, letters = term.mark
        try:
            value = self.evaluator.value(term.parts[0])
        except Exception:
            return
        if isinstance(value, Lettered) or not np.ndim(value):
            return
        axes = tuple(range(np.ndim(value)))
        natural = tuple("ijkl".index(c) for c in letters if c in "ijkl")
        for count in {len(letters), *((len(axes),) if not letters else ())}:
            for chosen in itertools.combinations(axes, count):
                yield (
                    0.1 + (0.0 if chosen == natural else 0.2),
                    Term("sum", term.parts, (symbol, chosen, False)),
                )
        yield 0.5, Term("sum", term.parts, (symbol, None, False))

    # ---- products
    def _chain(self, term: Term) -> list[Reading]:
        """All ways to take a chain of products that fit, by intervals of factors."""
        factors = [self._read(part) for part in term.parts]
        signs: tuple[str, ...] = term.mark
        if not all(factors):
            return []
        if len(factors) > LONG:
            return self._from_left(factors, signs)
        table: dict[tuple[int, int], list[Reading]] = {(i, i): one for i, one in enumerate(factors)}
        count = len(factors)
        for length in range(2, count + 1):
            for first in range(count - length + 1):
                last = first + length - 1
                found: list[Reading] = []
                for middle in range(last - 1, first - 1, -1):
                    bare = (middle > first, middle + 1 < last)
                    for left in table[first, middle]:
                        for right in table[middle + 1, last]:
                            base = left[0] + right[0] + 0.02 * (last - 1 - middle)
                            if middle == first and _is_number(left[1]):  # 2 (P Bᵀ), not (2 P) Bᵀ
                                base -= 0.04 * (length - 1)
                            for more, made in self._products(signs[middle], left[1], right[1], bare):
                                found.append((base + more, made))
                unique = {one: penalty for penalty, one in sorted(found, key=lambda r: -r[0])}
                table[first, last] = self._kept([(penalty, one) for one, penalty in unique.items()])
        return table[0, count - 1]

    def _from_left(self, factors: list[list[Reading]], signs: Sequence[str]) -> list[Reading]:
        """The readings of a long chain: from left to right only."""
        found = factors[0]
        for place, (sign, options) in enumerate(zip(signs, factors[1:], strict=True)):
            bare = (place > 0, False)
            found = self._kept(
                [
                    (left[0] + right[0] + more, made)
                    for left in found[:4]
                    for right in options[:4]
                    for more, made in self._products(sign, left[1], right[1], bare)
                ]
            )
        return found

    def _products(self, sign: str, a: Term, b: Term, bare: tuple[bool, bool]) -> Iterator[Reading]:
        """The products that a sign may mean between two terms."""
        evaluator = self.evaluator
        x, y = evaluator.value(a), evaluator.value(b)
        n, m = np.ndim(array_of(x)), np.ndim(array_of(y))
        mark = (sign, bare)
        if sign[:1] in ("⋆", "∗") and sign:
            yield from self._convolutions(sign, a, b)
            return
        for g, partial, penalty in ((a, b, 0.0), (b, a, 0.1)):
            if partial.op == "partial" and np.shape(array_of(evaluator.value(g))) == self._result(partial):
                yield penalty, Term("through", (g,), partial.mark)
        multiply, matmul = Term("multiply", (a, b), mark), Term("matmul", (a, b), mark)
        if isinstance(x, Lettered) or isinstance(y, Lettered) or not n or not m:
            yield 0.0, multiply
            return
        equal = np.shape(x) == np.shape(y)
        if sign == "⊗":
            yield 0.0, Term("outer", (a, b), mark)
        elif sign == "@":
            yield 0.0, matmul
        elif sign in ("⊙", "*"):
            yield (0.0 if equal else 0.3), multiply
            if sign == "*":
                yield 0.6, matmul
        else:
            matrix = sign in _MATRIX
            yield (0.4 if matrix else 0.0) + (0.0 if equal else 0.3), multiply
            yield (0.0 if matrix else 0.2), matmul
            if n == m == 1:
                yield (0.0 if b.op == "transpose" else 0.3), Term("outer", (a, b), mark)

    def _result(self, partial: Term) -> tuple[int, ...]:
        return np.shape(self.evaluator.values[partial.mark[0]])

    def _convolutions(self, sign: str, a: Term, b: Term) -> Iterator[Reading]:
        """x ⋆ w and g ∗ w as they are printed, and x ⋆ g as the gradient of a kernel."""
        symbol, note = sign[0], sign[1:]
        forward = 0.0 if symbol == "⋆" else 0.4
        if symbol == "⋆":
            yield forward, Term("conv", (a, b), ("forward", note, None))
        else:
            yield 0.05, Term("conv", (a, b), ("transposed", note, None))
            yield forward, Term("conv", (a, b), ("forward", note, None))
        for shape in self.shapes:
            if len(shape) >= 3:
                kind = "kernel" if symbol == "⋆" else "input"
                yield 0.1, Term("conv", (a, b), (kind, note, shape))
        if symbol == "∗":
            for shape in self.shapes:
                if len(shape) >= 3:
                    yield 0.5, Term("conv", (a, b), ("kernel", note, shape))


def _is_number(term: Term) -> bool:
    """Whether a term has no value of the function in it."""
    return all(part.op in ("number", "counted", "divide", "negative") for _, part in term.walk())


def _with_counts(term: Term, sizes: dict[str, int]) -> Term:
    if term.op == "count":
        return Term("counted", (), (term.mark, sizes[term.mark]))
    return term.over(lambda part: _with_counts(part, sizes))


def natural(term: Term, evaluator: Evaluator) -> Term:
    """One reading of a formula that has no value: products from left to right, of the kind their sign
    suggests."""
    if term.op == "count":
        return number(1)
    parts = tuple(natural(part, evaluator) for part in term.parts)
    if term.op == "pick":
        return Term("item", parts, (term.mark, 0))
    if term.op != "chain":
        return term.with_parts(parts)
    readings = Readings(evaluator)
    whole = parts[0]
    for place, (sign, part) in enumerate(zip(term.mark, parts[1:], strict=True)):
        bare = (place > 0, False)
        found: list[Reading] = []
        if evaluator.fits(whole) and evaluator.fits(part):
            options = list(readings._products(sign, whole, part, bare))
            found = sorted((r for r in options if evaluator.fits(r[1])), key=lambda r: r[0])
        if found:
            whole = found[0][1]
        elif sign[:1] in ("⋆", "∗") and sign:
            whole = Term("conv", (whole, part), ("forward", sign[1:], None))
        else:
            op = "multiply" if sign in ("⊙", "×", "*") else "outer" if sign == "⊗" else "matmul"
            whole = Term(op, (whole, part), (sign, bare))
    return whole

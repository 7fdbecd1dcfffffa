"""The mathematics of a function and its gradient, as a document of lines.

Forward definitions with the user's names, each step of the chain rule, the closed form by substitution, the
elements of small matrices, with letters and with numbers. Knows what is said and in which order; how a
formula looks is known by ``latex``, ``mathml`` and ``unicode``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from boxgrad.explain import expression as x
from boxgrad.explain import indexing, special, unicode
from boxgrad.explain.boxes import Model, Value
from boxgrad.explain.chain import Chain, Step
from boxgrad.explain.expand import NotExpandedError, elements, letters, matrix, size
from boxgrad.explain.expression import Expression
from boxgrad.explain.formulas import ARGUMENT, formula, table
from boxgrad.explain.lines import Line, Math
from boxgrad.explain.loops import Loop, Recurrence
from boxgrad.explain.simplify import Step as Rewriting
from boxgrad.explain.simplify import simplify
from boxgrad.explain.words import word

CLOSED_SIZE = 70
"""The largest closed form that is printed, in marks."""
EXPANDED_SIZE = 200
"""The largest matrix of written-out elements, in marks."""
EXPANDED_ELEMENTS = 12
EXPANDED_TOTAL = 2500
"""The most that is written out element by element in one document, in marks."""
UNROLLED_STEPS = 12
"""The number of steps of a loop that are written one by one."""


def math_of(model: Model, lang: str = "en", expand: str | bool = "auto", unrolled: bool = False) -> Math:
    """The mathematics of a model of :func:`boxgrad.explain.explanation.modelled`.

    Args:
        model: boxes and values, with gradients.
        lang: language of the words, "en" or "zh".
        expand: whether small matrices are written out element by element: "auto", True or False.
        unrolled: whether loops are written step by step instead of as a recurrence.

    Returns:
        Math, with ``text``, ``latex``, ``mathml`` and structured ``lines``.
    """
    return _Document(model, lang, expand, unrolled).math()


class _Document:
    """The lines of one model, section by section."""

    def __init__(self, model: Model, lang: str, expand: str | bool, unrolled: bool) -> None:
        self.model, self.lang, self.expand, self.unrolled = model, lang, expand, unrolled
        self.chain = Chain(model)
        self.remarks: dict[str, list[str]] = {}
        self.totals: dict[Value, Expression] = {}
        self.definitions: dict[Value, Expression] = {}
        self._loops: dict[Step, Loop] = {}
        self._extra: dict[Expression, Expression] = {}

    def math(self) -> Math:
        lines = [*self._forward(), *self._functions(), *self._backward()]
        lines += self._closed()
        if self.expand:
            lines += self._expanded()
        return Math([replace(line, lang=self.lang) for line in lines], self.remarks, self.lang)

    def _say(self, section: str, key: str, **values: Any) -> None:
        self.remarks.setdefault(section, []).append(word(key, self.lang, **values))

    # ---- forward
    def _forward(self) -> Iterator[Line]:
        for step in self.chain.steps:
            if step.is_loop:
                self._loops[step] = Loop(self.chain, step)
                yield from self._looped(step, self._formulas(step, False))
            for symbol, expression in step.whole.before if step.whole else ():
                self._extra[symbol] = expression
                yield Line(
                    "forward", _equation(symbol, expression), step.box, note="×".join(map(str, symbol.shape))
                )
            for value, expression in step.forward.items():
                self.definitions[value] = expression
                sides = (self.chain.symbol(value), expression)
                yield Line("forward", _equation(*sides), step.box, value, note=_shape_note(value))
        for symbol, meaning in self.chain.names.legend:
            self.remarks.setdefault("forward", []).append(f"{unicode.line(symbol)}: {meaning}")

    def _formulas(self, step: Step, backward: bool) -> Iterator[Recurrence]:
        loop = self._loops[step]
        if not self.unrolled:
            return loop.backward() if backward else loop.forward()
        if loop.length > UNROLLED_STEPS and not backward:
            self._say("forward", "math_unrolled_cut", limit=UNROLLED_STEPS, count=loop.length)
        return loop.unrolled(backward, UNROLLED_STEPS)

    def _looped(self, step: Step, formulas: Iterable[Recurrence]) -> Iterator[Line]:
        section = "forward"
        loop = self._loops[step]
        for one in formulas:
            section = "backward" if one.backward else "forward"
            outer = one.value if one.value in self._outer_values else None
            note = f"t = 1, …, {loop.length}" if one.kind == "step" else ""
            sides = one.expression.sides  # type: ignore[attr-defined]
            yield Line(section, _equation(*sides), step.box, outer, one.backward, note)

    @cached_property
    def _outer_values(self) -> set[Value]:
        return set(self.model.values.values())

    def _functions(self) -> Iterator[Line]:
        seen: set[tuple[str, int]] = set()
        used: set[str] = set()
        calls = {
            p.function
            for e in (*self.definitions.values(), *self._extra.values())
            for p in x.parts_of(e)
            if isinstance(p, x.Call)
        }
        whole = [*self.definitions.values(), *(e for step in self.chain.steps for e in step.local.values())]
        signs = {part.symbol for e in whole for part in x.parts_of(e) if isinstance(part, x.Convolve)}
        for equation in (*special.definitions(calls), *special.convolutions(signs)):
            yield Line("functions", equation)
        if "∗" in signs:
            self._say("functions", "math_convolution")
        steps = [*self.chain.steps, *(one for loop in self._loops.values() for one in loop.steps)]
        for step in steps:
            for function in sorted(step.functions, key=lambda one: one.order):
                for order in (0, 1):
                    if (function.name, order) in seen:
                        continue
                    seen.add((function.name, order))
                    one = type(function)(function.name, order, function.inside, function.argument)
                    found = formula(one)
                    if found is not None:
                        used |= {part.function for part in x.parts_of(found) if isinstance(part, x.Call)}
                        left = x.call(function.name, ARGUMENT, order=order)
                        yield Line("functions", _equation(left, found), step.box)
        for name in sorted(used - {name for name, _ in seen}):
            known = table(name)
            if known is not None:
                yield Line("functions", _equation(x.call(name, ARGUMENT), known))

    # ---- backward
    def _backward(self) -> Iterator[Line]:
        chain = self.chain
        found = chain.contributions()
        last: dict[Step, list[Value]] = {}
        for value, parts in found.items():
            last.setdefault(parts[-1][0], []).append(value)
        if not found:
            return
        yield Line(
            "backward",
            _equation(x.Derivative(chain.output, chain.output, shape=()), x.number(1)),
            None,
            self.model.output,
            True,
        )
        for step in reversed(chain.steps):
            if step.is_loop:
                yield from self._looped(step, self._formulas(step, True))
            for value in last.get(step, []):
                rewritings: list[Rewriting] = []
                for one, _ in found[value]:
                    rewritings += one.rewritings.get(value, [])
                total = simplify(x.add(*(part for _, part in found[value])), rewritings)
                self.totals[value] = total
                note = _shape_note(value)
                yield Line(
                    "backward",
                    _equation(self._partial(value), total),
                    step.box,
                    value,
                    True,
                    note,
                    tuple(rewritings),
                )
        self._say(
            "backward",
            "math_shape_rule",
            x=unicode.line(self._partial(self.model.wrt[0])) if self.model.wrt else "∂L/∂X",
            value=unicode.line(chain.symbol(self.model.wrt[0])) if self.model.wrt else "X",
        )

    def _partial(self, value: Value) -> Expression:
        return x.Derivative(self.chain.output, self.chain.symbol(value), shape=value.shape)

    # ---- closed form
    def _closed(self) -> Iterator[Line]:
        forward = {self.chain.symbol(v): e for v, e in self.definitions.items() if v is not self.model.output}
        forward |= self._extra
        backward = {self._partial(value): total for value, total in self.totals.items()}
        for one in special.differences(self.model):
            gap = x.add(self.chain.symbol(one.probabilities), x.negative(self.chain.symbol(one.targets)))
            line = _equation(self._partial(one.scores), simplify(x.times(x.number((1, one.count)), gap)))
            yield Line("closed", line, None, one.scores, True, word("math_cancels", self.lang))
        cut = False
        for value in self.model.wrt:
            total = self.totals.get(value)
            if total is None:
                continue
            whole, complete = _substituted(total, backward, CLOSED_SIZE)
            rewritings: list[Rewriting] = []
            whole = simplify(whole, rewritings)
            deeper, all_through = _substituted(whole, forward, CLOSED_SIZE)
            if all_through:
                whole = simplify(deeper, rewritings)
            if any(isinstance(part, x.Derivative) for part in x.parts_of(whole)):
                continue  # it comes out of a loop, whose recurrence is the form it has
            cut = cut or not (complete and all_through)
            if (complete and whole != total) or (all_through and whole != total):
                line = _equation(self._partial(value), whole)
                yield Line("closed", line, None, value, True, _shape_note(value), tuple(rewritings))
        if cut:
            self._say("closed", "math_cut", limit=CLOSED_SIZE)

    # ---- element by element
    def _expanded(self) -> Iterator[Line]:
        chain = self.chain
        limit = EXPANDED_SIZE if self.expand == "auto" else 4 * EXPANDED_SIZE
        lines: list[Line] = []
        total = 0
        for gradient, lines_of in ((False, self.definitions), (True, self.totals)):
            for value, expression in lines_of.items():
                left = self._partial(value) if gradient else chain.symbol(value)
                if np.prod(value.shape) > EXPANDED_ELEMENTS or len(value.shape) > 2 or not _worth(expression):
                    continue
                arrays = any(part.shape for part in x.parts_of(expression))
                found = self._elements(expression, letters, limit) if total <= EXPANDED_TOTAL else None
                if found is None:
                    continue
                total += size(found)
                sides = [left, matrix(letters(left)), matrix(found)] if value.shape else [left, matrix(found)]
                if arrays:
                    lines.append(Line("expanded", _equation(*sides), None, value, gradient))
                numbers = self._elements(expression, self._number_of, limit)
                known = self._value_of(left)
                if numbers is not None and known is not None:
                    sides = [left, matrix(numbers)]
                    line = x.Relation((_equation(*sides), matrix(_rounded(known))), "≈", shape=value.shape)
                    lines.append(Line("numbers", line, None, value, gradient))
        if total > EXPANDED_TOTAL:
            self._say("expanded", "math_expanded_cut")
        return iter(lines)

    def _elements(self, expression: Expression, named: Any, limit: int) -> Any:
        try:
            found = elements(expression, named)
        except (NotExpandedError, KeyError):
            return None
        wide = (
            max((size(row) for row in found.reshape((-1, *found.shape[-1:]))), default=0) if found.ndim else 0
        )
        return found if size(found) <= limit and wide <= limit // 2 else None

    def _value_of(self, symbol: Expression) -> Any:
        """The number that a named value, or its gradient, has here."""
        if isinstance(symbol, x.Derivative):
            symbol, gradient = symbol.by, True
        else:
            gradient = False
        value = self._by_symbol.get(symbol)
        if value is None:
            return None
        node = value.gradient if gradient else value.node
        return None if node is None or node.value is None else np.asarray(node.value)

    @cached_property
    def _by_symbol(self) -> dict[Expression, Value]:
        return {self.chain.symbol(value): value for value in self.model.values.values()}

    def _number_of(self, symbol: Expression) -> Any:
        known = self._value_of(symbol)
        if known is None:
            raise NotExpandedError("a value that is not known")
        return _rounded(known)


def _rounded(values: Any) -> Any:
    """Numbers to four significant digits, as expressions."""
    found = np.empty(np.shape(values), object)
    for place in np.ndindex(found.shape):
        value = np.asarray(values)[place]
        found[place] = x.number(value if np.iscomplexobj(value) else float(f"{float(value):.4g}"))
    return found


def _worth(e: Expression) -> bool:
    """Whether writing the elements out says more than the formula does."""
    return any(isinstance(part, (x.Product, x.Reduce, x.Outer, x.Times, x.Call)) for part in x.parts_of(e))


def _substituted(e: Expression, table: dict[Expression, Expression], limit: int) -> tuple[Expression, bool]:
    """The expression with names replaced by what they stand for until none is left, or it grows too large."""
    while True:
        names = {part for part in x.parts_of(e) if part in table}
        if not names:
            return e, True
        after = x.substitute(e, {name: table[name] for name in names})
        if after.size > 3 * limit:
            return e, False
        e = simplify(after)
        if e.size > limit:
            return e, False


def _equation(*sides: Expression) -> Expression:
    """An equation; with indices where whole arrays would not say which axis is meant."""
    if len(sides) == 2 and indexing.needs_indices(sides[1]):
        indexed = indexing.equation(*sides)
        sides = sides if indexing.needs_indices(indexed[1]) else indexed
    return x.Relation(tuple(sides), shape=sides[0].shape)


def _shape_note(value: Value) -> str:
    return "×".join(map(str, value.shape))

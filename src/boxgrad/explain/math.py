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
from boxgrad.explain.closed import closed_forms, in_order, needed, substituted
from boxgrad.explain.expand import NotExpandedError, elements, letters, matrix, size
from boxgrad.explain.expression import Expression
from boxgrad.explain.folding import ENDS, left_out
from boxgrad.explain.folds import Folds
from boxgrad.explain.formulas import ARGUMENT, formula, table
from boxgrad.explain.lines import Line, Math
from boxgrad.explain.loops import Loop
from boxgrad.explain.notation import remarks
from boxgrad.explain.recurrence import Recurrence
from boxgrad.explain.simplify import Step as Rewriting
from boxgrad.explain.simplify import simplify
from boxgrad.explain.timed import has_time
from boxgrad.explain.words import word

CLOSED_SIZE = 70
"""The largest closed form, in marks, in which values of the forward pass are written out too."""
LONGEST_FORM = 100
"""The largest closed form, in marks; a longer one has names for the gradients in it."""
SHORT_CONSTANT = 8
"""The most elements of a constant that are written out."""
MOST_GRADIENTS = 150
"""The most gradients of a function of which closed forms are sought."""
MOST_NAMED = 12
"""The most gradients that are named for the sake of closed forms."""
EXPANDED_SIZE = 200
"""The largest matrix of written-out elements, in marks."""
EXPANDED_ELEMENTS = 12
EXPANDED_TOTAL = 2500
"""The most that is written out element by element in one document, in marks."""


def math_of(model: Model, lang: str = "en", expand: str | bool = "auto", unrolled: bool = False) -> Math:
    """The mathematics of a model of :func:`boxgrad.explain.explanation.modelled`.

    Args:
        model: boxes and values, with gradients.
        lang: language of the words, "en" or "zh".
        expand: whether small matrices are written out element by element: "auto", True or False.
        unrolled: whether loops are written step by step instead of as a recurrence; of more than ten steps,
            three at each end are written.

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
        self._say_constants(lines)
        for key in remarks(line.expression for line in lines if line.direction != "functions"):
            self._say("functions", key)
        if self.expand:
            lines += self._expanded()
        folds = Folds(self.model)
        lines = [replace(line, lang=self.lang, fold=folds.of(line.box, line.mark)) for line in lines]
        return Math(lines, self.remarks, self.lang, self.unrolled)

    def _say_constants(self, lines: Iterable[Line]) -> None:
        """What constant arrays without a name of the user's are."""
        shown = {part for line in lines for part in x.parts_of(line.expression)}
        for value in self.model.values.values():
            if value.role == "constant" and value.automatic and self.chain.symbol(value) in shown:
                array = np.asarray(value.node.value)
                short = array.ndim == 1 and array.size <= SHORT_CONSTANT
                text = f"[{', '.join(f'{n:.4g}' for n in array)}]" if short else _shape_note(value)
                name = unicode.line(self.chain.symbol(value))
                self._say("forward", "math_constant", name=name, text=text)

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
            for symbol, law in step.drawn.items():
                note = "×".join(map(str, symbol.shape))
                yield Line("forward", x.Relation((symbol, law), "∼", shape=symbol.shape), step.box, note=note)
            if step.drawn:
                names = ", ".join(map(unicode.line, step.drawn))
                self._say("forward", "math_drawn", names=names)
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
        if left_out(loop.length) and not backward:
            self._say("forward", "math_unrolled_cut", ends=ENDS, count=loop.length)
        return loop.unrolled(backward)

    def _looped(self, step: Step, formulas: Iterable[Recurrence]) -> Iterator[Line]:
        section, beyond = "forward", False
        loop = self._loops[step]
        for one in formulas:
            section = "backward" if one.backward else "forward"
            if one.kind == "gap":
                note = word("math_left_out", self.lang, count=len(left_out(loop.length)))
                yield Line(section, one.expression, step.box, None, one.backward, note)
                continue
            outer = one.value if one.value in self._outer_values else None
            every = one.kind == "step" or (not self.unrolled and has_time(one.expression))
            note = f"t = 1, …, {loop.length}" if every else ""
            if one.backward and not self.unrolled and loop.reads_beyond(one.expression):
                beyond = True
            sides = one.expression.sides  # type: ignore[attr-defined]
            yield Line(section, _equation(*sides), step.box, outer, one.backward, note)
        if beyond:
            self._say("backward", "math_beyond", t=loop.beyond)

    @property
    def _has_gradients(self) -> bool:
        """Whether there is a backward pass."""
        return self.model.output.gradient is not None

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
        for equation in (
            *special.definitions(calls),
            *special.one_hot([*whole, *self._extra.values()]),
            *special.convolutions(signs),
        ):
            yield Line("functions", equation)
        if "∗" in signs:
            self._say("functions", "math_convolution")
        steps = [*self.chain.steps, *(one for loop in self._loops.values() for one in loop.steps)]
        for step in steps:
            for function in sorted(step.functions, key=lambda one: one.order):
                for order in (0, 1) if self._has_gradients else (0,):
                    if (function.name, order) in seen:
                        continue
                    seen.add((function.name, order))
                    one = type(function)(function.name, order, function.inside, function.argument)
                    found = formula(one)
                    if found is not None:
                        used |= {part.function for part in x.parts_of(found) if isinstance(part, x.Call)}
                        left = x.call(function.name, ARGUMENT, order=order)
                        yield Line("functions", _equation(left, found), step.box)
        used |= {
            part.function
            for e in whole
            for part in x.parts_of(e)
            if isinstance(part, x.Call) and not part.order
        }
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
            made: dict[Value, list[Rewriting]] = {}
            totals: dict[Expression, Expression] = {}
            for value in last.get(step, []):
                made[value] = [one for part, _ in found[value] for one in part.rewritings.get(value, [])]
                total = simplify(x.add(*(part for _, part in found[value])), made[value])
                totals[self._partial(value)] = total
            of = {self._partial(value): value for value in made}
            for partial in in_order(totals):
                value, total = of[partial], totals[partial]
                self.totals[value] = total
                note = _shape_note(value)
                yield Line(
                    "backward",
                    _equation(self._partial(value), total),
                    step.box,
                    value,
                    True,
                    note,
                    tuple(made[value]),
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
        shown: dict[Value, Line] = {}
        for one in special.differences(self.model):
            gap = x.add(
                self.chain.symbol(one.probabilities), x.negative(special.picked(one, self.chain.symbol))
            )
            form = simplify(x.times(x.number((1, one.count)), gap))
            line = _equation(self._partial(one.scores), form)
            shown[one.scores] = Line("closed", line, None, one.scores, True, word("math_cancels", self.lang))
        forward = {self.chain.symbol(v): e for v, e in self.definitions.items() if v is not self.model.output}
        forward |= self._extra
        totals = {self._partial(value): total for value, total in self.totals.items()}
        if len(totals) > MOST_GRADIENTS:
            self._say("closed", "math_cut", limit=LONGEST_FORM)
            totals = {}
        forms, made = closed_forms(totals, LONGEST_FORM, _clear)
        forms |= {self._partial(v): line.expression.sides[1] for v, line in shown.items()}  # type: ignore[attr-defined]
        wanted: dict[Expression, Value] = {}
        named: set[Expression] = set()
        for value in self.model.wrt:
            parts = needed(forms, [self._partial(value)])
            if parts is None:
                continue  # it comes out of a loop, whose recurrence is the form it has
            if len(named | set(parts)) > MOST_NAMED:
                self._say("closed", "math_cut", limit=LONGEST_FORM)
                continue
            wanted[self._partial(value)] = value
            named |= set(parts)
        named -= set(wanted)
        if not named and not shown and all(forms[symbol] == totals[symbol] for symbol in wanted):
            return
        yield from (line for value, line in shown.items() if self._partial(value) not in wanted)
        of = {self._partial(value): value for value in self.totals}
        for symbol in [*(one for one in forms if one in named), *wanted]:
            form, steps, value = forms[symbol], made[symbol], of[symbol]
            if value in shown:
                yield shown[value]
                continue
            deeper, through = substituted(form, forward, CLOSED_SIZE)
            if symbol in wanted and through and _clear(symbol, deeper):
                form = simplify(deeper, steps)
            yield Line("closed", _equation(symbol, form), None, value, True, _shape_note(value), tuple(steps))

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
        if any(np.prod(part.shape, dtype=int) > 4 * limit for part in x.parts_of(expression)):
            return None
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


def _clear(left: Expression, right: Expression) -> bool:
    """Whether an equation says which elements are meant."""
    return not indexing.needs_indices(right) or not indexing.needs_indices(indexing.equation(left, right)[1])


def _equation(*sides: Expression) -> Expression:
    """An equation; with indices where whole arrays would not say which axis is meant."""
    if len(sides) == 2 and indexing.needs_indices(sides[1]):
        indexed = indexing.equation(*sides)
        sides = sides if indexing.needs_indices(indexed[1]) else indexed
    return x.Relation(tuple(sides), shape=sides[0].shape)


def _shape_note(value: Value) -> str:
    return "×".join(map(str, value.shape))

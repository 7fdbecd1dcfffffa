"""The lines of a mathematical document, and the document in every medium.

Knows how lines stand together; knows nothing of where formulas come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from boxgrad.explain import latex, mathml, unicode
from boxgrad.explain.boxes import Box, Value
from boxgrad.explain.expression import (
    GAP,
    Add,
    Derivative,
    Expression,
    Item,
    Matrix,
    Relation,
    Symbol,
    Words,
    parts_of,
)  # fmt: skip
from boxgrad.explain.folds import Fold, shown
from boxgrad.explain.simplify import Step as Rewriting
from boxgrad.explain.steps import mark
from boxgrad.explain.words import word

FITTED = 220
"""The longest row of LaTeX, in characters, that surely fits a page."""


LONG = 400
"""The size of a formula, in marks, from which a sum of many terms is shortened."""
TERMS = 6
"""The longest sum that is never shortened."""

SECTIONS = ("forward", "functions", "backward", "closed", "expanded", "numbers")


@dataclass(frozen=True)
class Line:
    """One formula. ``direction`` is one of SECTIONS; ``box`` and ``value`` tell what it belongs to.

    ``gradient`` says whether the line gives ∂L/∂(value) rather than the value; ``note`` is a remark, such as
    the shapes; ``rewritings`` are the steps by which the formula was made simple.
    """

    direction: str
    expression: Expression
    box: Box | None = None
    value: Value | None = None
    gradient: bool = False
    note: str = ""
    rewritings: tuple[Rewriting, ...] = field(default=(), repr=False)
    lang: str = "en"
    fold: Fold | None = field(default=None, repr=False)
    """The repetition in which it is folded away, if it is."""

    @property
    def mark(self) -> str:
        """What it finds, as all views mark it: a value, a gradient, or those of one step of a loop."""
        return mark(self.value, self.gradient) if self.value is not None else _marked(self._left)

    @property
    def part(self) -> str:
        """The mark of that of which it finds a part: of ∂L/∂x where it gives (∂L/∂x)ₜ."""
        return _marked(self._left.x) if isinstance(self._left, Item) else ""

    @property
    def _left(self) -> Expression:
        return self.expression.sides[0] if isinstance(self.expression, Relation) else self.expression

    @property
    def shortened(self) -> Line:
        """The line without the middle of a sum of many terms."""
        if not isinstance(self.expression, Relation) or self.expression.size < LONG:
            return self
        sides = self.expression.sides
        kept = tuple(
            replace(side, terms=(*side.terms[:2], Words("⋯", shape=()), side.terms[-1]))
            if isinstance(side, Add) and len(side.terms) > TERMS
            else side
            for side in sides
        )
        return self if kept == sides else replace(self, expression=replace(self.expression, sides=kept))

    def derivation(self, lang: str = "en") -> list[tuple[str, str, str]]:
        """How the formula was made simple: what was done, to which part, with what result."""
        return [
            (word(f"rule_{step.rule}", lang), unicode.line(step.before), unicode.line(step.after))
            for step in self.simplifying
        ]

    @property
    def simplifying(self) -> list[Rewriting]:
        """The steps by which the formula was made simple, each once, without those that nobody would see."""
        made: dict[tuple[str, str], Rewriting] = {}
        for step in self.rewritings:
            texts = unicode.line(step.before), unicode.line(step.after)
            if texts[0] != texts[1]:
                made.setdefault(texts, step)
        return list(made.values())

    @property
    def latex(self) -> str:
        return latex.fragment(self.expression, self.lang)

    @property
    def mathml(self) -> str:
        return mathml.element(self.expression, lang=self.lang)

    @property
    def text(self) -> str:
        return unicode.line(self.expression, self.lang)


def _marked(e: Expression) -> str:
    """The mark of what an expression names."""
    if isinstance(e, Derivative):
        return f"∂{e.by.key}" if isinstance(e.by, Symbol) else ""
    return e.key if isinstance(e, Symbol) else ""


class Math:
    """The mathematics of a function: lines, and the document in every medium."""

    def __init__(
        self, lines: list[Line], remarks: dict[str, list[str]], lang: str, unrolled: bool = False
    ) -> None:
        self.lines = lines
        self.lang = lang
        self.unrolled = unrolled
        self.remarks = remarks
        """Sentences under a section's heading or after its lines, by section."""

    def section(self, name: str) -> list[Line]:
        """The lines of one section."""
        return [line for line in self.lines if line.direction == name]

    def sections(self) -> Iterator[tuple[str, str, list[Line], list[str]]]:
        """Each section that has something to say: its name, heading, lines and sentences.

        Repetitions are folded, with a gap in the place of their lines, and the longest sums are shortened;
        ``lines`` has them all.
        """
        for name in SECTIONS:
            folded = ((line.fold, line.shortened) for line in self.section(name))
            lines = list(shown(folded, self.unrolled, self._gap))
            if lines or self.remarks.get(name):
                alone = name == "functions" and not self.section("backward")
                heading = word(f"math_{name}_alone" if alone else f"math_{name}", self.lang)
                yield name, heading, lines, self.remarks.get(name, [])

    def _gap(self, count: int) -> Line:
        note = word("math_lines_left_out", self.lang, count=count)
        return Line("", GAP, note=note, lang=self.lang)

    @cached_property
    def text(self) -> str:
        """The document for a terminal."""
        parts: list[str] = []
        for _, heading, lines, remarks in self.sections():
            parts += [heading, "─" * _width(heading)]
            if any(isinstance(part, Matrix) for line in lines for part in parts_of(line.expression)):
                parts += [f"  {row}" for line in lines for row in unicode.block(line.expression, line.lang)]
                parts += [*(f"  {remark}" for remark in remarks), ""]
                continue
            texts = [line.text for line in lines]
            room = min(max((len(text) for text in texts), default=0), 64)
            for line, text in zip(lines, texts, strict=True):
                parts.append(f"  {text.ljust(room)}   {line.note}".rstrip() if line.note else f"  {text}")
            parts += [f"  {remark}" for remark in remarks]
            parts.append("")
        return "\n".join(parts).rstrip()

    @cached_property
    def steps(self) -> str:
        """How each formula was made simple, step by step, for a terminal.

        >>> import numpy as np
        >>> from boxgrad.explain.modelling import modelled
        >>> from boxgrad.explain.math import math_of
        >>> print(math_of(modelled(lambda x: np.sum(3 * x), (np.ones(2),))).steps)
        ∂L/∂x = 3 𝟏₂
          shapes repeat it by themselves          spread₂(1)  →  𝟏₂
        """
        parts: list[str] = []
        for _, _, lines, _ in self.sections():
            for line in lines:
                if line.simplifying:
                    parts.append(line.text)
                    parts += [f"  {rule:38}  {a}  →  {b}" for rule, a, b in line.derivation(self.lang)]
        return "\n".join(parts)

    @cached_property
    def body(self) -> str:
        """The document in LaTeX without its preamble."""
        parts: list[str] = []
        for _, heading, lines, remarks in self.sections():
            parts.append(rf"\subsection*{{{latex.escaped(heading)}}}")
            rows = [latex.aligned(line.expression, line.note, self.lang) for line in lines]
            if any(len(row) > FITTED for row in rows):
                parts += [rf"\fit{{{line.latex}}}" for line in lines]
            elif lines:
                parts.append("\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}")
            parts += [latex.prose(remark) + r"\par" for remark in remarks]
        return "\n".join(parts)

    @property
    def latex(self) -> str:
        """A complete LaTeX document."""
        return latex.document(word("mathematics", self.lang), self.body, self.lang == "zh")

    @cached_property
    def mathml(self) -> str:
        """The document as HTML with MathML."""
        parts: list[str] = []
        for name, heading, lines, remarks in self.sections():
            parts.append(f'<section class="math-{name}"><h3>{mathml.escape(heading)}</h3>')
            for line in lines:
                note = f'<span class="note">{mathml.escape(line.note)}</span>' if line.note else ""
                parts.append(f'<div class="line">{line.mathml}{note}</div>')
            parts += [f"<p>{mathml.escape(remark)}</p>" for remark in remarks]
            parts.append("</section>")
        return "\n".join(parts)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Math of {len(self.lines)} lines>"

    def _repr_latex_(self) -> str:
        shown = [line for name, _, lines, _ in self.sections() if name in SECTIONS[:4] for line in lines]
        rows = [latex.aligned(line.expression) for line in shown]
        return "$$\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}$$"


def _width(text: str) -> int:
    return sum(2 if ord(c) > 0x2E80 else 1 for c in text)

"""The mathematics on a page: rows of formulas with their step and shape, and sentences in both languages.

Knows lines of formulas; knows nothing of how they were found.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from html import escape

from boxgrad.explain import mathml, unicode
from boxgrad.explain.boxes import Box, Model
from boxgrad.explain.expression import Derivative, Relation, parts_of
from boxgrad.explain.folds import Fold
from boxgrad.explain.html_parts import (
    DIRECTIONS,
    Explained,
    Piece,
    attributed,
    both,
    folded,
    names_of,
    translations,
)  # fmt: skip
from boxgrad.explain.math import Line
from boxgrad.explain.naming import Names
from boxgrad.explain.steps import mark, paths
from boxgrad.explain.unroll import can_unroll, loop_of
from boxgrad.explain.words import LANGUAGES, word

FOLDED = ("expanded", "numbers")
"""Sections of the mathematics that a reader opens."""
SIDES = ("forward", "backward")
LEAST = 2
"""From how many steps on it is shown how a formula was made simple."""
LARGEST = 20_000
"""The longest formula, in characters of MathML, that is shown whole."""


def math_html(explained: Explained) -> str:
    """The sections of the mathematics; formulas are the same in both languages, words are there in both."""
    model = explained.model
    diagram = explained.diagram_in(explained.lang, DIRECTIONS[0], ())
    order = {each: step.number for step in diagram.steps for each in step.marks}
    loops = Loops(explained, diagram.opened)
    names = names_of(model)
    written = {f"{unicode.line(symbol)}: {meaning}" for symbol, meaning in names.legend}
    parts: list[str] = []
    math = explained.math_in(explained.lang, False)
    for name, heading, _, remarks in math.sections():
        title = translations(heading)
        lines = math.section(name)
        kept = _in_order(lines, order) if name == "backward" else lines
        rows = "".join(folded(loops.pieces(name, kept), loops.gap, diagram.opened))
        rows = f'<div class="ordered">{rows}</div>' if name == "backward" else rows
        said = "".join(f'<p class="note">{translations(each)}</p>' for each in remarks if each not in written)
        if name == "forward":
            said += _legend(names)
        elif name == "backward":
            said = _shape_rule(model, lines)
        if name in FOLDED:
            parts.append(f'<details class="fold"><summary>{title}</summary>{rows}{said}</details>')
            continue
        side = {"forward": ' class="fwd"', "backward": ' class="bwd"'}.get(name, "")
        parts.append(f"<h3{side}>{title}</h3>{rows}{said}")
    return "\n".join(parts)


class Loops:
    """The rows of loops, folded and unrolled, with the control that switches between both."""

    def __init__(self, explained: Explained, opened: Collection[str]) -> None:
        self._explained, self._opened = explained, opened
        self._paths = {box: path for path, box in paths(explained.model.boxes) if can_unroll(box)}
        self._aliases = explained.model.aliases

    def pieces(self, section: str, lines: Sequence[Line]) -> Iterator[Piece]:
        """The rows of a section."""
        begun: set[Box] = set()
        for line in lines:
            path = self._paths.get(line.box) if line.box is not None and section in SIDES else None
            if path is None or line.box is None:
                yield Piece(_row(line), line.fold)
                continue
            if line.box not in begun:
                begun.add(line.box)
                yield Piece(self._control(path, f"↻ × {_length(line.box)}"))
                for each in self._explained.math_in(self._explained.lang, True).section(section):
                    if each.box is line.box:
                        yield Piece(self._within(path, each))
            yield Piece(attributed(_row(line), path, False, self._opened))

    def _within(self, path: str, line: Line) -> str:
        row = re.sub(
            'data-k="(∂?)([^"]*\\])"',
            lambda found: f'data-k="{found[1]}{self._aliases.get(found[2], found[2])}"',
            _row(line, self._aliases),
        )
        return attributed(row, path, True, self._opened)

    def gap(self, fold: Fold) -> str:
        """What stands in the place of what is folded away."""
        if fold.path:
            return self._control(fold.path, "⋮")
        said = both({lang: word("page_left_out", lang) for lang in LANGUAGES})
        return (
            '<div class="row"><span class="no"></span><div class="mx">⋮</div>'
            f'<span class="sh">{said}</span></div>'
        )

    def _control(self, path: str, what: str) -> str:
        """The button that unrolls a loop or a repetition, or folds it."""
        opened = path in self._opened
        said = "page_fold" if opened else "page_unroll"
        return (
            f'<div class="row fold"><span class="no"></span><div>{what} <button data-toggle="{path}" '
            f'aria-expanded="{str(opened).lower()}" data-w="{said}"></button></div></div>'
        )


def _how(line: Line) -> str:
    """The steps by which a formula was made simple, to be opened."""
    made = [
        (step.rule, *(mathml.element(side, display=False) for side in (step.before, step.after)))
        for step in line.simplifying
    ]
    if len(made) < LEAST or any(len(before) + len(after) > LARGEST // 4 for _, before, after in made):
        return ""
    said = both({lang: word("page_simplified", lang, count=len(made)) for lang in LANGUAGES})
    rows = "".join(
        f"<li>{both({lang: word(f'rule_{rule}', lang) for lang in LANGUAGES})}"
        f"<div>{before}<b>→</b>{after}</div></li>"
        for rule, before, after in made
    )
    return f'<details class="how"><summary>{said}</summary><ol>{rows}</ol></details>'


def _length(box: Box) -> int:
    loop = loop_of(box)
    return 0 if loop is None else loop.parameters["length"]


def _in_order(lines: Sequence[Line], order: dict[str, int]) -> list[Line]:
    """Lines by their steps; those without a step of their own stay behind the line before them."""
    keyed: list[tuple[int, int, Line]] = []
    at = 0
    for position, line in enumerate(lines):
        at = order.get(mark(line.value, line.gradient) if line.value is not None else "", at)
        keyed.append((at, position, line))
    return [line for _, _, line in sorted(keyed, key=lambda one: one[:2])]


def _shape_rule(model: Model, lines: Sequence[Line]) -> str:
    """∂L/∂X has the shape of X, said of the first gradient that has one."""
    shaped = [
        line for line in lines if line.value in model.wrt and line.value is not None and line.value.shape
    ]
    if not shaped:
        return ""
    line = min(shaped, key=lambda one: model.wrt.index(one.value) if one.value is not None else 0)
    assert line.value is not None
    assert isinstance(line.expression, Relation)
    gradient = next(part for part in parts_of(line.expression.sides[0]) if isinstance(part, Derivative))
    by = gradient.by
    first, second = (mathml.element(side, display=False) for side in (gradient, by))
    shape = f"<b>{'×'.join(map(str, line.value.shape))}</b>"
    said = {lang: word("page_shape", lang, gradient=first, value=second, shape=shape) for lang in LANGUAGES}
    return f'<p class="note" data-s="{escape(mark(line.value, True))}">{both(said)}</p>'


def _legend(names: Names) -> str:
    """What names that are written shorter stand for: W for weight."""
    if not names.legend:
        return ""
    known = dict.fromkeys((symbol.base, meaning.partition(" ")[0]) for symbol, meaning in names.legend)
    shown = (f"<span><i>{escape(base)}</i> {escape(full)}</span>" for base, full in known)
    return f'<p class="names">{"".join(shown)}</p>'


def _row(line: Line, aliases: dict[str, str] | None = None) -> str:
    shown = _whole_or_begun(line)
    if line.direction in FOLDED:
        return f'<div class="mx">{shown}</div>'
    note = f'<span class="sh">{translations(line.note)}</span>'
    if aliases is not None and line.mark.endswith("]"):
        gradient, name = line.mark.startswith("∂"), line.mark.lstrip("∂")
        own = escape("∂" * gradient + aliases.get(name, name))
        return _marked(own, gradient, shown, note)
    if aliases is not None:  # a part of a value, such as that of one step: it stands with its step
        own = escape(line.part)
        step = f' data-s="{own}"' if own else ""
        return f'<div class="row"{step}><span class="no"></span><div class="mx">{shown}</div>{note}</div>'
    if line.value is None:
        # The x of σ(x) is not the user's x.
        formula = shown if line.direction in SIDES else re.sub(' data-k="[^"]*"', "", shown)
        own = _step_of(line)
        step = f' data-s="{escape(own)}"' if own else ""
        return f'<div class="row"{step}><span class="no"></span><div class="mx">{formula}</div>{note}</div>'
    return _marked(escape(mark(line.value, line.gradient)), line.gradient, shown, note, _how(line))


def _marked(own: str, gradient: bool, shown: str, note: str, how: str = "") -> str:
    """The row of a value or a gradient."""
    side = "bwd" if gradient else "fwd"
    return (
        f'<div class="row {side}" data-s="{own}" data-row="{own}" tabindex="0">'
        f'<span class="no" data-of="{own}"></span><div class="mx">{_aligned(shown)}{how}</div>{note}</div>'
    )


def _whole_or_begun(line: Line) -> str:
    """The formula of a line; of one that nobody would read to its end, the left side."""
    line = line.shortened
    shown = line.mathml
    if len(shown) <= LARGEST or not isinstance(line.expression, Relation):
        return shown
    left = mathml.element(line.expression.sides[0], display=False)
    return left.replace("</math>", "<mo>=</mo><mo>⋯</mo></math>")


def _step_of(line: Line) -> str:
    """The mark of the step of a line that finds no value of its own, such as one inside of a loop."""
    if line.box is None or line.direction not in SIDES or not line.box.outputs:
        return ""
    if line.direction == "forward":
        return mark(line.box.outputs[0])
    return mark(next(iter(line.box.local)), True) if line.box.local else ""


def _aligned(formula: str) -> str:
    """A formula with room for a short left side, so that the equals signs stand below each other."""
    left, equals, right = formula.partition("<mo>=</mo>")
    begin = left.find("<mrow>") + len("<mrow>")
    parts = re.sub("<[^>]*>", " ", left[begin:]).split()
    if not equals or max((len(part) for part in parts), default=9) > 1 or len(parts) > 4:
        return formula
    return f'{left[:begin]}<mpadded width="2.1em">{left[begin:]}</mpadded>{equals}{right}'

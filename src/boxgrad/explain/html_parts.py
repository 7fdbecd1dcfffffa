"""What the parts of a page share: texts in both languages, names, and what a folded diagram leaves out.

Knows models and words; knows nothing of how a page is put together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Protocol, TypeVar

from boxgrad.explain.boxes import Box, Model, Value
from boxgrad.explain.code import Code
from boxgrad.explain.diagram import Diagram
from boxgrad.explain.math import Math
from boxgrad.explain.naming import Names
from boxgrad.explain.steps import mark, paths
from boxgrad.explain.words import LANGUAGES, translated

TAGS = {"en": "en", "zh": "zh-CN"}
DIRECTIONS = ("right", "down")
Item = TypeVar("Item")


class Explained(Protocol):
    """What a page is made of."""

    model: Model
    lang: str
    failure: str

    @property
    def title(self) -> str: ...
    def math_in(self, lang: str) -> Math: ...
    def code_in(self, lang: str) -> Code: ...
    def diagram_in(self, lang: str, direction: str, open: Sequence[str]) -> Diagram: ...
    def notes(self, lang: str) -> list[str]: ...


class LeftOut:
    """What is inside of folded repetitions, which a diagram does not show."""

    def __init__(self, diagram: Diagram) -> None:
        self.boxes: set[Box] = set()
        if any(figure.kind == "folded" for figure in diagram.document.boxes):
            shown = {step.box for step in diagram.steps if step.box is not None}
            shown |= {inner for box in diagram.closed.values() for inner in inside(box)}
            self.boxes = {box for _, box in paths(diagram.model.boxes)} - shown
        values = [value for box in self.boxes for value in box.outputs]
        self.marks = {mark(value, back) for value in values for back in (False, True)}
        self._counted: dict[str, int] = {}

    def holds(self, box: Box | None, own: str) -> bool:
        """Whether a line about a box and a mark is left out; of many lines about one mark, two are kept."""
        if not self.boxes:
            return False
        if box is None and own:
            self._counted[own] = self._counted.get(own, 0) + 1
        return box in self.boxes or own in self.marks or self._counted.get(own, 0) > 2


def folded(items: Sequence[tuple[bool, Item]], write: Callable[[Item], str], gap: str) -> Iterator[str]:
    """Each item written; those that are left out become one gap."""
    before = False
    for out, item in items:
        if not out:
            yield write(item)
        elif not before:
            yield gap
        before = out


def names_of(model: Model) -> Names:
    """How the names are written, the same as in the diagram."""
    return Names([(value.name, value.shape) for value in model.values.values()])


def written(names: Names, value: Value) -> str:
    """A value's name as it is written, with its mark."""
    symbol = names.symbol(value.name, value.shape)
    below = f"<sub>{escape(symbol.subscript)}</sub>" if symbol.subscript else ""
    return f'<span data-k="{escape(value.name)}">{escape(symbol.base)}{below}</span>'


def translations(text: str) -> str:
    """A text of the views, in both languages."""
    return both({lang: escape(translated(text, lang)) for lang in LANGUAGES})


def both(texts: dict[str, str]) -> str:
    """Text in both languages, of which style shows one."""
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "".join(f'<span class="{lang}" lang="{TAGS[lang]}">{text}</span>' for lang, text in texts.items())


def value_html(name: str) -> str:
    return f'<span data-k="{escape(name)}">{escape(name)}</span>'


def inside(box: Box) -> Iterator[Box]:
    for inner in box.parts:
        yield inner
        yield from inside(inner)

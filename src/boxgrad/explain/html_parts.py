"""What the parts of a page share: texts in both languages, names, and what is folded away.

Knows models and words; knows nothing of how a page is put together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from html import escape
from typing import NamedTuple, Protocol

from boxgrad.explain.boxes import Box, Model, Value
from boxgrad.explain.code import Code
from boxgrad.explain.diagram import Diagram
from boxgrad.explain.folds import Fold
from boxgrad.explain.math import Math
from boxgrad.explain.naming import Names, names_for
from boxgrad.explain.words import LANGUAGES, translated

TAGS = {"en": "en", "zh": "zh-CN"}
DIRECTIONS = ("right", "down")


class Explained(Protocol):
    """What a page is made of."""

    model: Model
    lang: str
    failure: str

    @property
    def title(self) -> str: ...
    def math_in(self, lang: str, unrolled: bool | None = None) -> Math: ...
    def code_in(self, lang: str) -> Code: ...
    def diagram_in(
        self, lang: str, direction: str, open: Sequence[str], unrolled: bool | None = None
    ) -> Diagram: ...
    def notes(self, lang: str) -> list[str]: ...


class Piece(NamedTuple):
    """A row or a line as HTML, and the repetition in which it is folded away, if it is."""

    html: str
    fold: Fold | None = None


def folded(
    pieces: Iterable[Piece], gap: Callable[[Fold], str], opened: Collection[str] = ()
) -> Iterator[str]:
    """The pieces in order; those that are folded away have a gap in their place.

    What is there only while a repetition is unrolled is marked ``data-within``, what is there only while it
    is not ``data-unless``; what stays away is a gap within. ``opened`` are those that are unrolled now.
    """
    closed = gone = ""
    for html, fold in pieces:
        if fold is None:
            closed = gone = ""
            yield html
            continue
        if closed != (fold.path or "?"):
            closed = fold.path or "?"
            yield gap(fold)
        if fold.gone:
            if gone != closed and fold.path:
                yield attributed(gap(Fold("", True)), fold.path, True, opened)
            gone = closed
        else:
            gone = ""
            yield attributed(html, fold.path, True, opened)


def attributed(html: str, path: str, within: bool, opened: Collection[str]) -> str:
    """An element that is there only while a box is open, or only while it is not."""
    if not path:
        return html
    kind = "within" if within else "unless"
    hidden = " hidden" if (path in opened) != within else ""
    return html.replace("<div ", f'<div data-{kind}="{path}"{hidden} ', 1)


def names_of(model: Model) -> Names:
    """How the names are written, the same as in the diagram."""
    return names_for(tuple((value.name, value.shape) for value in model.everything.values()))


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

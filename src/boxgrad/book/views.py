"""The three views of an explanation within a page: mathematics, diagram, code, made by ``explain``.

Knows which of them a page asks for; knows nothing of how they are made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from boxgrad.book.errors import BookError
from boxgrad.book.words import word
from boxgrad.explain.explanation import Explanation
from boxgrad.explain.html_code import code_html
from boxgrad.explain.html_math import math_html
from boxgrad.explain.svg import svg
from boxgrad.explain.words import word as explain_word

OPTIONS = ("open", "unfold", "only", "stacked")
BESIDE = 64
"""The longest line of code, in characters, that stands beside the mathematics."""
SMALLEST = 0.68
"""A drawing that is too wide is made smaller to this scale; one that is wider still is scrolled."""
_VIEWS = ("mathematics", "diagram", "code")


def three_views(explanation: Explanation, options: dict[str, list[str]], lang: str, link: str | None) -> str:
    """A function three ways, as HTML.

    Args:
        explanation: of :func:`boxgrad.explain`.
        options: ``open``, paths of boxes that are drawn opened; ``unfold``, that the elements and numbers
            are shown at once; ``only``, the views that are wanted; ``stacked``, that code does not stand
            beside the mathematics.
        lang: the language of the words.
        link: the address of the page that steps through it.
    """
    unknown = {*options} - {*OPTIONS}
    if unknown:
        raise BookError(f"an explain block has the options {', '.join(OPTIONS)}, not {', '.join(unknown)}")
    _title, *code_lines = explanation.code_in(lang).source.splitlines()
    beside = not {"unfold", "stacked"} & {*options} and max(map(len, code_lines)) <= BESIDE
    wanted = options.get("only") or list(_VIEWS)
    opened = tuple(options.get("open", ()))
    parts: list[str] = []
    if "mathematics" in wanted:
        parts.append(_view("mathematics", _math(explanation, lang, opened, "unfold" in options), lang))
    if "diagram" in wanted:
        parts.append(_view("diagram", _diagrams(explanation, lang, opened), lang))
    if "code" in wanted:
        code = f'<pre tabindex="0">{_numbered(code_html(explanation), explanation, lang, opened)}</pre>'
        parts.append(_view("code", code, lang))
    walk = f'<a class="walk-link" data-walk href="{escape(link)}">{word("walk", lang)} ▸</a>' if link else ""
    name = escape(word("three", lang, name=explanation.title))
    return (
        f'<section class="views{" beside" * beside}" aria-label="{name}">'
        f'<header><span class="function">{escape(explanation.title)}</span>{walk}</header>'
        f"{''.join(parts)}</section>"
    )


def _view(name: str, body: str, lang: str) -> str:
    return f'<div class="view {name}"><h4>{explain_word(name, lang)}</h4>{body}</div>'


def _math(explanation: Explanation, lang: str, opened: Sequence[str], unfold: bool) -> str:
    text = math_html(explanation)
    if unfold:
        text = text.replace('<details class="fold">', '<details class="fold" open>')
    text = re.sub(' tabindex="0"', "", text)
    return _numbered(text.replace("<h3", "<h5").replace("</h3", "</h5"), explanation, lang, opened)


def _numbered(text: str, explanation: Explanation, lang: str, opened: Sequence[str]) -> str:
    """Rows with the numbers that their steps have in the diagram."""
    steps = explanation.diagram_in(lang, "right", opened).steps
    order = {escape(mark): step.number for step in steps for mark in step.marks}
    return re.sub(
        r'class="no" data-of="([^"]*)">', lambda found: f"{found[0]}{order.get(found[1], '')}", text
    )


def _diagrams(explanation: Explanation, lang: str, opened: Sequence[str]) -> str:
    """The diagram twice: to the right, and downwards for narrow screens."""
    found: list[str] = []
    for direction, kind in (("right", "wide"), ("down", "narrow")):
        drawn = svg(explanation.diagram_in(lang, direction, opened).document, standalone=False)
        found.append(f'<div class="canvas {kind}" tabindex="0">{_still(drawn)}</div>')
    return "".join(found)


def _still(drawn: str) -> str:
    """A drawing whose boxes do not open, as nothing here opens them; made smaller to fit, to a limit."""
    width = float(re.findall(r'viewBox="\S+ \S+ (\S+)', drawn)[0])
    size = f"width:min({width:g}px,max(100%,{SMALLEST * width:g}px));height:auto"
    drawn = re.sub(r' (role="button"|tabindex="\d+"|aria-expanded="\w+")', "", drawn)
    return drawn.replace("<svg", f'<svg style="{size}"', 1)

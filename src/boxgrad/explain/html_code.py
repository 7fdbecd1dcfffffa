"""The code on a page: its lines coloured, with their steps, and their names marked as values.

Knows Python's look; knows nothing of how code is made.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape
from types import MappingProxyType

from boxgrad.explain.boxes import Model
from boxgrad.explain.code_lines import Line as CodeLine
from boxgrad.explain.folds import Folds
from boxgrad.explain.html_parts import DIRECTIONS, Explained, Piece, attributed, both, folded
from boxgrad.explain.steps import BACKWARD, mark
from boxgrad.explain.words import LANGUAGES, word

COMMENTS = 44
"""The column where comments of the code stand, at the most."""
LONGEST = 12
"""How many lines of one statement are shown whole."""
_TOKENS = re.compile(r'(?P<comment>#.*$)|(?P<text>"""(?:.|\n)*?"""|"[^"\n]*")|(?P<name>[^\W\d]\w*)', re.M)


def code_html(explained: Explained) -> str:
    """The code in both languages, which differ in their comments."""
    marks = _code_marks(explained.model)
    opened = explained.diagram_in(explained.lang, DIRECTIONS[0], ()).opened
    found = {
        lang: "".join(_code_lines(explained.code_in(lang).lines, marks, Folds(explained.model), opened))
        for lang in LANGUAGES
    }
    if found["en"] == found["zh"]:
        return found["en"]
    return "".join(f'<div class="{lang}">{text}</div>' for lang, text in found.items())


def _code_marks(model: Model) -> dict[str, str]:
    """What the names in the code stand for, as marks."""
    found: dict[str, str] = {}
    for value in model.values.values():
        found[value.name] = mark(value)
        found[f"d{model.output.name}_d{value.name}"] = mark(value, True)
    return found


def _code_lines(
    lines: Sequence[CodeLine], marks: dict[str, str], folds: Folds, opened: Collection[str]
) -> Iterator[str]:
    """The lines without what a page need not say: the file's docstring, and more than one blank line."""
    begin = next((i for i, line in enumerate(lines) if line.text.startswith(("import", "def"))), 0)
    ends = [line.text.find("  # ") for line in lines[begin:] if "\n" not in line.text]
    column = min(max(ends, default=0), COMMENTS)
    pairs = zip(lines[begin:], lines[begin + 1 :] + lines[:1], strict=True)
    kept = [line for line, after in pairs if line.text.strip() or after.text.strip()]
    items = [(folds.of(line.box, _code_mark(line)), line) for line in kept]
    begin = next((i for i, line in enumerate(kept) if line.text.startswith("def forward")), 0)
    helpers = [_code_line(line, {}, column) for line in kept[1:begin] if line.text.strip()]
    if helpers:
        yield _code_line(kept[0], {}, column)
        said = both({lang: word("page_helpers", lang) for lang in LANGUAGES})
        yield f'<details class="helpers"><summary>{said}</summary>{"".join(helpers)}</details>'
        items = items[begin:]
    gap = '<div class="ln"><span class="no"></span><span class="c">    # ⋮</span></div>'
    pieces = (Piece(_code_line(line, marks, column), fold) for fold, line in items)
    yield from folded(pieces, lambda fold: attributed(gap, fold.path, False, opened), opened)


def _code_mark(line: CodeLine) -> str:
    return "" if line.value is None else ("∂" if line.direction == BACKWARD else "") + line.value


def coloured(text: str, marks: Mapping[str, str] = MappingProxyType({})) -> str:
    """Python as HTML: keywords, comments and texts told apart, and the names that have marks."""

    def token(found: re.Match[str]) -> str:
        text = escape(found[0], quote=False)
        if found["comment"] or found["text"]:
            return f'<span class="c">{text}</span>'
        if keyword.iskeyword(found[0]):
            return f'<span class="k">{text}</span>'
        if found[0] in marks:
            return f'<span data-k="{escape(marks[found[0]])}">{text}</span>'
        return text

    pieces: list[str] = []
    at = 0
    for found in _TOKENS.finditer(text):
        pieces += [escape(text[at : found.start()], quote=False), token(found)]
        at = found.end()
    return "".join([*pieces, escape(text[at:], quote=False)])


def _code_line(line: CodeLine, marks: dict[str, str], column: int) -> str:
    own = _code_mark(line)
    whole = line.text.split("\n")
    if len(whole) > LONGEST:
        whole[3:-2] = ["        …"]
    written = "\n".join(whole)
    code, hash, comment = written.partition("  # ")
    text = (
        f"{code.ljust(column)}{hash}{comment}" if hash and code.strip() and "\n" not in written else written
    )
    body = coloured(text, marks)
    if not own:
        return f'<div class="ln"><span class="no"></span><span>{body}</span></div>'
    side = "bwd" if line.direction == BACKWARD else "fwd"
    key = escape(own)
    return (
        f'<div class="ln {side}" data-s="{key}"><span class="no" data-of="{key}"></span>'
        f"<span>{body}</span></div>"
    )

"""The page of an explanation: one HTML file that holds all it needs, with its three views linked.

Knows the page's parts and in which order they stand; what they look like is in page.css, what they do in
page.js. Knows nothing of how views are made.
"""

from __future__ import annotations

import base64
import gzip
import json
import keyword
import re
from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources
from typing import Any, Protocol

from boxgrad.explain import mathml
from boxgrad.explain.boxes import Box, Model, Value
from boxgrad.explain.captions import caption
from boxgrad.explain.code import Code
from boxgrad.explain.code_lines import Line as CodeLine
from boxgrad.explain.diagram import Diagram
from boxgrad.explain.elements import formula, numbers
from boxgrad.explain.expression import Derivative, Relation
from boxgrad.explain.math import Line, Math
from boxgrad.explain.steps import BACKWARD, Step, mark, paths
from boxgrad.explain.svg import STYLE, svg
from boxgrad.explain.words import LANGUAGES, WORDS, word

FOLDED = ("expanded", "numbers")
"""Sections of the mathematics that a reader opens."""
DIRECTIONS = ("right", "down")
COMMENTS = 44
"""The column where comments of the code stand, at the most."""
OPENINGS = 40
"""How many sets of opened boxes have a drawing; boxes beyond that stay closed."""
_HEADINGS = ("diagram", "mathematics", "code")
_TAGS = {"en": "en", "zh": "zh-CN"}


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


def page(explained: Explained) -> str:
    """The whole page, as one file that needs no network."""
    lang, model = explained.lang, explained.model
    title = explained.title
    data = _data(explained)
    parts = {
        "LANG": _TAGS[lang],
        "TITLE": escape(word("page_title", lang, name=title)),
        "CSS": _resource("page.css") + STYLE,
        "NAME": _name(title, model),
        "DRAWING": svg(explained.diagram_in(lang, "right", ()).document, standalone=False),
        "DRAWING_NAME": f"{lang} right",
        "NOTES": _notes(explained),
        "VIEWS": _failure(explained.failure) if explained.failure else _views(explained),
        "DATA": json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/"),
        "JS": _resource("page.js"),
    }
    filled = re.sub(r"%%(\w+)%%", lambda found: parts[found[1]], _resource("page.html"))
    return _in_language(filled, lang)


def _resource(name: str) -> str:
    return resources.files("boxgrad.explain").joinpath(name).read_text(encoding="utf-8")


def _in_language(text: str, lang: str) -> str:
    """Fill in the words of elements with data-w and data-label, so that they are there without a script."""
    text = re.sub(r'data-w="(\w+)">', lambda found: f"{found[0]}{escape(WORDS[found[1]][lang])}", text)
    return re.sub(
        r'data-label="(\w+)"', lambda found: f'{found[0]} aria-label="{escape(WORDS[found[1]][lang])}"', text
    )


def _name(title: str, model: Model) -> str:
    """The function and its arguments, as a heading."""
    function, _, rest = title.partition("(")
    known = {value.name for value in model.inputs}
    arguments = [name.strip() for name in rest.rstrip(")").split(",") if name.strip()]
    comma = '<span class="p">, </span>'
    shown = comma.join(_value(name) if name in known else escape(name) for name in arguments)
    return f'{escape(function)}<span class="p">(</span>{shown}<span class="p">)</span>'


def _value(name: str) -> str:
    return f'<span data-k="{escape(name)}">{escape(name)}</span>'


def _notes(explained: Explained) -> str:
    pairs = zip(*(explained.notes(lang) for lang in LANGUAGES), strict=True)
    return "".join(
        f'<p class="note">{_both(dict(zip(LANGUAGES, map(escape, pair), strict=True)))}</p>' for pair in pairs
    )


def _failure(text: str) -> str:
    """What stopped the function, in place of formulas and code."""
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("  picture:"))
    return f'<section class="failure"><h2 data-w="page_error"></h2><pre>{escape(kept, quote=False)}</pre></section>'


def _views(explained: Explained) -> str:
    """Formulas and code side by side."""
    return (
        '<div class="two"><section aria-labelledby="heading-math">'
        f'<h2 id="heading-math" data-w="mathematics"></h2>\n{_math(explained)}</section>'
        '<section aria-labelledby="heading-code"><div class="codebar"><h2 id="heading-code" data-w="code"></h2>'
        '<button data-copy data-w="page_copy"></button></div>'
        f'<pre tabindex="0" aria-labelledby="heading-code">{_code(explained)}</pre></section></div>'
    )


# ---- mathematics
def _math(explained: Explained) -> str:
    texts = {lang: explained.math_in(lang) for lang in LANGUAGES}
    found = {lang: {name: rest for name, *rest in texts[lang].sections()} for lang in LANGUAGES}
    parts: list[str] = []
    for name, (_, lines, _) in found[explained.lang].items():
        other = {lang: sections[name] for lang, sections in found.items()}
        heading = _both({lang: escape(other[lang][0]) for lang in LANGUAGES})
        rows = "".join(map(_row, lines))
        remarks = "".join(
            f'<p class="note">{_both(dict(zip(LANGUAGES, map(escape, pair), strict=True)))}</p>'
            for pair in zip(*(other[lang][2] for lang in LANGUAGES), strict=True)
        )
        if name == "backward":
            remarks = _shape_rule(lines)
        if name in FOLDED:
            parts.append(f'<details class="fold"><summary>{heading}</summary>{rows}{remarks}</details>')
            continue
        side = {"forward": " fwd", "backward": " bwd"}.get(name, "")
        legend = " legend-list" if name == "forward" else ""
        parts.append(
            f'<h3 class="{side.strip()}">{heading}</h3>{rows}<div class="{legend.strip()}">{remarks}</div>'
        )
    return "\n".join(parts)


def _shape_rule(lines: Sequence[Line]) -> str:
    """∂L/∂X has the shape of X, said of the last gradient that has one."""
    shaped = [line for line in lines if line.value is not None and line.value.shape]
    if not shaped:
        return ""
    line = shaped[-1]
    assert line.value is not None and isinstance(line.expression, Relation)
    gradient = line.expression.sides[0]
    assert isinstance(gradient, Derivative)
    first, second = (mathml.element(side, display=False) for side in (gradient, gradient.by))
    shape = f"<b>{line.note}</b>"
    said = {lang: word("page_shape", lang, gradient=first, value=second, shape=shape) for lang in LANGUAGES}
    return f'<p class="note" data-s="{escape(mark(line.value, True))}">{_both(said)}</p>'


def _both(texts: dict[str, str]) -> str:
    """Text in both languages, of which style shows one."""
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "".join(f'<span class="{lang}" lang="{_TAGS[lang]}">{text}</span>' for lang, text in texts.items())


def _row(line: Line) -> str:
    if line.direction in FOLDED:
        return f'<div class="mx">{line.mathml}</div>'
    note = f'<span class="sh">{escape(line.note)}</span>' if line.note else '<span class="sh"></span>'
    if line.value is None:
        # The x of σ(x) is not the user's x.
        formula = re.sub(' data-k="[^"]*"', "", line.mathml)
        return f'<div class="row"><span class="no"></span><div class="mx">{formula}</div>{note}</div>'
    own = escape(mark(line.value, line.gradient))
    side = "bwd" if line.gradient else "fwd"
    return (
        f'<div class="row {side}" data-s="{own}" data-row="{own}" tabindex="0">'
        f'<span class="no" data-of="{own}"></span><div class="mx">{_aligned(line.mathml)}</div>{note}</div>'
    )


def _aligned(formula: str) -> str:
    """A formula with room for a short left side, so that the equals signs stand below each other."""
    left, equals, right = formula.partition("<mo>=</mo>")
    begin = left.find("<mrow>") + len("<mrow>")
    parts = re.sub("<[^>]*>", " ", left[begin:]).split()
    if not equals or max((len(part) for part in parts), default=9) > 1 or len(parts) > 4:
        return formula
    return f'{left[:begin]}<mpadded width="2.1em">{left[begin:]}</mpadded>{equals}{right}'


# ---- code
_TOKENS = re.compile(r'(?P<comment>#.*$)|(?P<text>"""(?:.|\n)*?"""|"[^"\n]*")|(?P<name>[^\W\d]\w*)', re.M)


def _code(explained: Explained) -> str:
    """The code in both languages, which differ in their comments."""
    marks = _code_marks(explained.model)
    found = {lang: "".join(_code_lines(explained.code_in(lang).lines, marks)) for lang in LANGUAGES}
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


def _code_lines(lines: Sequence[CodeLine], marks: dict[str, str]) -> Iterator[str]:
    """The lines without what a page need not say: the file's docstring, and more than one blank line."""
    begin = next((i for i, line in enumerate(lines) if line.text.startswith("import")), 0)
    ends = [line.text.find("  # ") for line in lines[begin:] if "\n" not in line.text]
    column = min(max(ends, default=0), COMMENTS)
    blank = False
    for line in lines[begin:]:
        if line.text.strip() or not blank:
            yield _code_line(line, marks, column)
        blank = not line.text.strip()


def _code_line(line: CodeLine, marks: dict[str, str], column: int) -> str:
    def coloured(found: re.Match[str]) -> str:
        text = escape(found[0], quote=False)
        if found["comment"] or found["text"]:
            return f'<span class="c">{text}</span>'
        if keyword.iskeyword(found[0]):
            return f'<span class="k">{text}</span>'
        if found[0] in marks:
            return f'<span data-k="{escape(marks[found[0]])}">{text}</span>'
        return text

    own = "" if line.value is None else ("∂" if line.direction == BACKWARD else "") + line.value
    code, hash, comment = line.text.partition("  # ")
    text = (
        f"{code.ljust(column)}{hash}{comment}"
        if hash and code.strip() and "\n" not in line.text
        else line.text
    )
    pieces: list[str] = []
    at = 0
    for found in _TOKENS.finditer(text):
        pieces += [escape(text[at : found.start()], quote=False), coloured(found)]
        at = found.end()
    body = "".join([*pieces, escape(text[at:], quote=False)])
    if not own:
        return f'<div class="ln"><span class="no"></span><span>{body}</span></div>'
    side = "bwd" if line.direction == BACKWARD else "fwd"
    key = escape(own)
    return (
        f'<div class="ln {side}" data-s="{key}"><span class="no" data-of="{key}"></span>'
        f"<span>{body}</span></div>"
    )


# ---- elsewhere: a cell of a notebook, a file of text
def fragment(explained: Explained) -> str:
    """A compact form for notebooks: diagram, formulas and code, without a script."""
    lang = explained.lang
    math = explained.math_in(lang)
    rows: list[str] = []
    for name, heading, lines, _ in math.sections():
        if name in ("forward", "backward"):
            shown = "".join(
                f'<div style="margin:6px 0;overflow-x:auto">{line.mathml}</div>' for line in lines
            )
            rows.append(f'<div><div style="opacity:.7;font-size:13px">{escape(heading)}</div>{shown}</div>')
    notes = "".join(f"<p>{escape(note)}</p>" for note in explained.notes(lang))
    code = escape(explained.code_in(lang).source, quote=False)
    return (
        f'<div class="boxgrad" lang="{_TAGS[lang]}"><div style="overflow-x:auto">'
        f"{explained.diagram_in(lang, 'right', ()).svg}</div>{notes}"
        f'<div style="display:flex;flex-wrap:wrap;gap:8px 64px;margin:12px 0">{"".join(rows)}</div>'
        f"<details><summary>{escape(word('code', lang))}</summary><pre>{code}</pre></details></div>"
    )


def markdown(explained: Explained) -> str:
    """The explanation as Markdown: formulas in LaTeX, the diagram in Mermaid, the code."""
    lang = explained.lang
    parts = [f"# {word('page_title', lang, name=explained.title)}", *explained.notes(lang)]
    parts += [
        f"## {word('diagram', lang)}",
        f"```mermaid\n{explained.diagram_in(lang, 'right', ()).mermaid}\n```",
    ]
    parts.append(f"## {word('mathematics', lang)}")
    for name, heading, lines, remarks in explained.math_in(lang).sections():
        if name not in FOLDED:
            parts += [f"### {heading}", *(f"$${line.latex}$$" for line in lines), *remarks]
    parts += [f"## {word('code', lang)}", f"```python\n{explained.code_in(lang).source.rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"


# ---- what the script works with
def _data(explained: Explained) -> dict[str, Any]:
    model, lang = explained.model, explained.lang
    known = numbers(model)
    return {
        "lang": lang,
        "words": {key: WORDS[key] for key in WORDS if key.startswith("page_") or key in _HEADINGS}
        | {"page_title": {each: word("page_title", each, name=explained.title) for each in LANGUAGES}},
        "output": model.output.name if model.output.gradient is not None else "",
        "numbers": known,
        "formulas": {} if explained.failure else _formulas(explained.math_in(lang), known),
        **_drawn(explained),
        "source": "" if explained.failure else explained.code_in(lang).source,
    }


def _formulas(math: Math, known: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in math.lines:
        if line.direction not in ("forward", "backward") or not isinstance(line.value, Value):
            continue
        if isinstance(line.expression, Relation) and mark(line.value, line.gradient) in known:
            made = formula(line.expression.sides[1], known)
            if made is not None:
                found[mark(line.value, line.gradient)] = made
    return found


# ---- the drawings, and the walk through each
_IMAGE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+")


def _drawn(explained: Explained) -> dict[str, Any]:
    """All drawings, packed, with their images apart; the steps of each; what is said at the steps."""
    model = explained.model
    path_of = {id(box): path for path, box in paths(model.boxes)}
    drawings: dict[str, str] = {}
    images: dict[str, int] = {}
    walks: dict[str, list[Any]] = {}
    said: dict[str, dict[str, str]] = {}
    for opened in _openings(explained):
        name = ",".join(sorted(opened))
        for lang in LANGUAGES:
            for direction in DIRECTIONS:
                text = svg(explained.diagram_in(lang, direction, opened).document, standalone=False)
                lean = _IMAGE.sub(lambda found: f"image:{images.setdefault(found[0], len(images))};", text)
                drawings[f"{lang} {direction} {name}".strip()] = _packed(lean)
        steps = explained.diagram_in(explained.lang, DIRECTIONS[0], opened).steps
        walks[name] = [[key, step.marks, hidden] for key, step, hidden in _walk(steps, path_of)]
        for key, step, _ in _walk(steps, path_of):
            if key not in said:
                said[key] = {each: caption(model, step, each, lambda v: _value(v.name)) for each in LANGUAGES}
    return {"drawings": drawings, "images": list(images), "steps": walks, "say": said}


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def _openings(explained: Explained) -> list[tuple[str, ...]]:
    """Which boxes can be open together: any of a few; of many, each with those around it."""
    found: list[tuple[str, ...]] = [()]
    waiting: list[tuple[str, ...]] = [()]
    few = True
    while waiting and len(found) < OPENINGS:
        opened = waiting.pop(0)
        closed = list(explained.diagram_in(explained.lang, DIRECTIONS[0], opened).closed)
        few = few and len(closed) <= 3
        for path in closed:
            if few or not opened or path.startswith(f"{opened[-1]}."):
                more = (*opened, path)
                if {*more} not in map(set, found):
                    found.append(more)
                    waiting.append(more)
    return found[:OPENINGS]


def _walk(steps: list[Step], path_of: dict[int, str]) -> Iterator[tuple[str, Step, list[str]]]:
    """Each step with the key of what is said at it, and the marks inside closed boxes that it covers."""
    shown = {mark for step in steps for mark in step.marks}
    last = {id(step.box): step for step in steps}
    for step in steps:
        if step.box is None:
            yield ("∂" if step.direction == BACKWARD else ""), step, []
            continue
        path = path_of.get(id(step.box), "?")
        if step.direction == BACKWARD:
            inner = [
                mark(v, True) for box in _inside(step.box) for v in box.local if last[id(step.box)] is step
            ]
            yield path + step.marks[0], step, [each for each in dict.fromkeys(inner) if each not in shown]
        else:
            inner = [mark(value) for box in _inside(step.box) for value in box.outputs]
            yield path, step, [each for each in dict.fromkeys(inner) if each not in shown]


def _inside(box: Box) -> Iterator[Box]:
    for inner in box.inner:
        yield inner
        yield from _inside(inner)

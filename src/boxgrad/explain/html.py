"""The page of an explanation: one HTML file that holds all it needs, with its three views linked.

Knows the page's parts and in which order they stand; what they look like is in page.css, what they do in
page.js. Knows nothing of how views are made.
"""

from __future__ import annotations

import json
import re
from html import escape
from importlib import resources
from typing import Any

from boxgrad.explain.boxes import Model, Value
from boxgrad.explain.elements import formula, numbers
from boxgrad.explain.expression import Relation
from boxgrad.explain.folds import Folds
from boxgrad.explain.html_code import code_html
from boxgrad.explain.html_drawings import drawn
from boxgrad.explain.html_math import FOLDED, math_html
from boxgrad.explain.html_parts import DIRECTIONS, TAGS, Explained, both, value_html
from boxgrad.explain.math import Math
from boxgrad.explain.refusals import is_part
from boxgrad.explain.steps import mark
from boxgrad.explain.svg import STYLE, svg
from boxgrad.explain.words import LANGUAGES, WORDS, word

_HEADINGS = ("diagram", "mathematics", "code")


def page(explained: Explained) -> str:
    """The whole page, as one file that needs no network."""
    lang, model = explained.lang, explained.model
    title = explained.title
    data = _data(explained)
    diagram = explained.diagram_in(lang, DIRECTIONS[0], ())
    parts = {
        "LANG": TAGS[lang],
        "TITLE": escape(_title(explained, lang)),
        "CSS": _resource("page.css") + STYLE,
        "NAME": _name(title, model),
        "DRAWING": svg(diagram.document, standalone=False),
        "DRAWING_NAME": f"{lang} right {','.join(sorted(diagram.opened))}".strip(),
        "NOTES": _notes(explained),
        "VIEWS": _failure(explained.failure) if explained.failure else _views(explained),
        "DATA": json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/"),
        "JS": _resource("page.js"),
    }
    template = _resource("page.html")
    if explained.failure:
        template = template.replace("page_subtitle", "page_partial")
    elif model.output.gradient is None:
        template = template.replace("page_subtitle", "page_forward_alone")
    filled = re.sub(r"%%(\w+)%%", lambda found: parts[found[1]], template)
    return _in_language(filled, lang)


def _title(explained: Explained, lang: str) -> str:
    forward_alone = explained.model.output.gradient is None and not explained.failure
    return word("page_title_forward" if forward_alone else "page_title", lang, name=explained.title)


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
    shown = comma.join(value_html(name) if name in known else escape(name) for name in arguments)
    return f'{escape(function)}<span class="p">(</span>{shown}<span class="p">)</span>'


def _notes(explained: Explained) -> str:
    pairs = zip(*(explained.notes(lang) for lang in LANGUAGES), strict=True)
    return "".join(
        f'<p class="remark">{both(dict(zip(LANGUAGES, map(escape, pair), strict=True)))}</p>'
        for pair in pairs
    )


def _failure(text: str, lang: str = "") -> str:
    """What stopped the function, in place of formulas and code; without a language, in that chosen."""
    kept = "\n".join(line for line in text.splitlines() if not is_part(line, "picture"))
    said = f"<pre>{escape(kept, quote=False)}</pre>"
    heading = f"<h2>{word('page_error', lang)}</h2>" if lang else '<h2 data-w="page_error"></h2>'
    return f'<section class="failure">{heading}{said}</section>'


def _views(explained: Explained) -> str:
    """Formulas and code side by side."""
    return (
        '<div class="two"><section aria-labelledby="heading-math">'
        f'<h2 id="heading-math" data-w="mathematics"></h2>\n{math_html(explained)}</section>'
        '<section aria-labelledby="heading-code"><div class="codebar">'
        '<h2 id="heading-code" data-w="code"></h2>'
        '<button data-copy data-w="page_copy"></button></div>'
        f'<pre tabindex="0" aria-labelledby="heading-code">{code_html(explained)}</pre></section></div>'
    )


# ---- elsewhere: a cell of a notebook, a file of text
def fragment(explained: Explained) -> str:
    """A compact form for notebooks: diagram, formulas and code, without a script."""
    lang = explained.lang
    drawing = f'<div style="overflow-x:auto">{explained.diagram_in(lang, "right", ()).svg}</div>'
    if explained.failure:
        return f'<div class="boxgrad" lang="{TAGS[lang]}">{drawing}{_failure(explained.failure, lang)}</div>'
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
        f'<div class="boxgrad" lang="{TAGS[lang]}">{drawing}{notes}'
        f'<div style="display:flex;flex-wrap:wrap;gap:8px 64px;margin:12px 0">{"".join(rows)}</div>'
        f"<details><summary>{escape(word('code', lang))}</summary><pre>{code}</pre></details></div>"
    )


def markdown(explained: Explained) -> str:
    """The explanation as Markdown: formulas in LaTeX, the diagram in Mermaid, the code."""
    lang = explained.lang
    parts = [f"# {_title(explained, lang)}", *explained.notes(lang)]
    parts += [
        f"## {word('diagram', lang)}",
        f"```mermaid\n{explained.diagram_in(lang, 'right', ()).mermaid}\n```",
    ]
    if explained.failure:
        parts += [f"## {word('page_error', lang)}", f"```\n{explained.failure}\n```"]
        return "\n\n".join(parts) + "\n"
    parts.append(f"## {word('mathematics', lang)}")
    for name, heading, lines, remarks in explained.math_in(lang).sections():
        if name not in FOLDED:
            parts += [f"### {heading}", *(f"$${line.latex}$$" for line in lines), *remarks]
    parts += [f"## {word('code', lang)}", f"```python\n{explained.code_in(lang).source.rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"


# ---- what the script works with
def _data(explained: Explained) -> dict[str, Any]:
    model, lang = explained.model, explained.lang
    pictures = drawn(explained)
    gone = Folds(model).gone
    walked = {each for walk in pictures["steps"].values() for _, marks, _ in walk for each in marks}
    inside = {mark(value, back) for value in model.unrolled.values() for back in (False, True)} - walked
    known = {key: value for key, value in numbers(model).items() if key not in gone | inside}
    return {
        "lang": lang,
        "words": {key: WORDS[key] for key in WORDS if key.startswith("page_") or key in _HEADINGS}
        | {"page_title": {each: _title(explained, each) for each in LANGUAGES}},
        "output": model.output.name if model.output.gradient is not None else "",
        "numbers": known,
        "formulas": {} if explained.failure else _formulas(explained.math_in(lang), known),
        **pictures,
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

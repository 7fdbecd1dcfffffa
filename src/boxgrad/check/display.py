"""A verdict as HTML for a notebook or a page: the diagram with the box marked, and the findings beside it.

The diagram is that of ``explain``; a box with a mistake is drawn as one that failed. Knows drawings and HTML;
knows nothing of how findings are made.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from boxgrad.check.words import kind_name, said
from boxgrad.explain.boxes import Box, Model
from boxgrad.explain.diagram import Diagram, diagram_of
from boxgrad.explain.folding import Run, folded
from boxgrad.explain.html_parts import TAGS
from boxgrad.explain.svg import svg

LARGEST = 80
"""The most boxes that are drawn."""
_STYLE = (
    (
        "<style>.bg-verdict{{--good:#1a7f37;--wrong:#b3261e;--quiet:#5c636c;--line:#dcdfe2;line-height:1.5}}"
        "@media (prefers-color-scheme:dark){{.bg-verdict{{--good:#4ac26b;--wrong:#ff8a80;--quiet:#a2a9b1;"
        "--line:#31373d}}}}"
        ".bg-verdict h3{{font-size:1.1em;margin:0 0 .6em}}.bg-verdict .mark{{margin-right:.5em}}"
        ".bg-verdict .finding{{border-left:3px solid var(--wrong);padding:.1em 0 .1em 1em;margin:1em 0}}"
        ".bg-verdict .kind{{font-weight:600}}.bg-verdict .quiet{{color:var(--quiet)}}"
        ".bg-verdict p{{margin:.25em 0}}.bg-verdict dl{{display:grid;grid-template-columns:max-content 1fr;"
        "gap:.2em .9em;margin:.5em 0 0}}.bg-verdict dt{{color:var(--quiet)}}.bg-verdict dd{{margin:0}}"
        ".bg-verdict code{{font-size:.95em;background:none;padding:0;white-space:pre-wrap}}</style>"
    )
    .replace("{{", "{")
    .replace("}}", "}")
)


def html(verdict: Any) -> str:
    """The verdict as a fragment of HTML that needs no script and no network."""
    lang = verdict.lang
    colour, mark = {True: ("good", "✓"), False: ("wrong", "✗"), None: ("quiet", "?")}[verdict.ok]
    head = escape(str(verdict).splitlines()[0])
    heading = f'<h3 style="color:var(--{colour})"><span class="mark">{mark}</span>{head}</h3>'
    findings = "".join(_finding(finding, verdict) for finding in verdict.findings)
    notes = "".join(f'<p class="quiet">{escape(note)}</p>' for note in verdict.notes)
    picture = _picture(verdict)
    return f'<div class="bg-verdict" lang="{TAGS[lang]}">{_STYLE}{heading}{findings}{notes}{picture}</div>'


def _finding(finding: Any, verdict: Any) -> str:
    lang = verdict.lang
    where = finding.where
    place = ""
    if where is not None:
        more = said("comma", lang).join(where.more)
        place = said("or at", lang, box=where.box, more=more) if more else said("at", lang, box=where.box)
        place = f' <span class="quiet">{escape(place)}</span>'
    rows: list[tuple[str, str]] = []
    if where is not None and where.line is not None:
        rows.append((said("line", lang), f"<code>{escape(str(where.line))}</code>"))
    if finding.formula:
        rows.append((said("repair", lang), f"<span>{escape(finding.formula)}</span>"))
    if finding.code:
        rows.append((said("code", lang), f"<code>{escape(finding.code)}</code>"))
    if finding.alternatives:
        names = said("comma", lang).join(
            dict.fromkeys(
                kind_name(other.kind, lang) + (f" ({other.where.box})" if other.where else "")
                for other in finding.alternatives
            )
        )
        rows.append((said("same", lang), escape(names)))
    table = "".join(f"<dt>{escape(name)}</dt><dd>{text}</dd>" for name, text in rows)
    explanation = "".join(f"<p>{escape(line)}</p>" for line in finding.explanation.splitlines())
    return (
        f'<div class="finding"><p><span class="kind">{kind_name(finding.kind, lang)}</span>{place}</p>'
        f"{explanation}{f'<dl>{table}</dl>' if table else ''}</div>"
    )


# ---- the drawing
def _picture(verdict: Any) -> str:
    model = verdict.model
    if model is None or not model.boxes or len(model.boxes) > LARGEST:
        return ""
    names = {
        name for finding in verdict.findings if finding.where is not None for name in [finding.where.box]
    }
    drawn = svg(marked(model, names, verdict.lang).document)
    return f'<div style="overflow-x:auto">{drawn}</div>'


def marked(model: Model, names: Collection[str], lang: str) -> Diagram:
    """The diagram of a model with the boxes of some values marked; closed ones around them are opened."""
    found = [place for name in names if (place := _place(model.boxes, name, "")) is not None]
    diagram = diagram_of(model, lang, open=tuple({path for place in found for path in place.around}))
    paths = {place.path for place in found}
    document = diagram.document
    document.boxes[:] = [
        replace(figure, kind="failed") if figure.path in paths else figure for figure in document.boxes
    ]
    return diagram


@dataclass(frozen=True)
class _Place:
    """The path of a box in a drawing, and those of the boxes that have to be opened for it."""

    path: str
    around: tuple[str, ...] = ()


def _place(boxes: Sequence[Box], name: str, before: str) -> _Place | None:
    for number, box in enumerate(boxes):
        path = f"{before}{number + 1}"
        own = any(value.name == name for value in box.outputs)
        inner = None if own or not box.inner else _place(box.inner, name, f"{path}.")
        if not own and inner is None:
            continue
        run = next(
            (
                part
                for part in folded(boxes)
                if isinstance(part, Run) and part.start + part.period <= number < part.stop - part.period
            ),
            None,
        )
        around = (run.path(before),) if run is not None else ()
        return _Place(path, around) if inner is None else _Place(inner.path, (*around, path, *inner.around))
    return None

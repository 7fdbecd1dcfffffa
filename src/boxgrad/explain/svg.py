"""A diagram as SVG: a standalone, accessible image, and what a page needs to link it.

Text stays text. Colours are CSS variables with light and dark values, so a page may set its own. Every value,
gradient, arrow and box carries the marks of ``steps``: data-k, data-c, data-s, data-box.

Knows documents and SVG; knows nothing of functions.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from html import escape

import numpy as np

from boxgrad.explain.document import (
    Arrow,
    BoxFigure,
    Brackets,
    Cells,
    Document,
    Dot,
    Label,
    Part,
    Point,
    Quotient,
    Raster,
    Runs,
    ValueFigure,
)  # fmt: skip

SANS = (
    '"Inter","Source Sans 3","Helvetica Neue","Segoe UI","Noto Sans","Noto Sans CJK SC","PingFang SC",'
    '"Microsoft YaHei",sans-serif'
)
MATH = '"Latin Modern Math","STIX Two Math","Cambria Math","DejaVu Math TeX Gyre",serif'
_LIGHT = (
    "--bg:#fcfcfa;--ink:#1b1f24;--mute:#5c636c;--faint:#8b929a;--line:#dcdfe2;--f:#0072b2;--f-ink:#00639b;"
    "--b:#d55e00;--b-ink:#b34e00;--neg:#9d6db5;--pos:#5aae74;--hl:#ffedb3;--bad:#c0102a;"
)
_DARK = (
    "--bg:#14171a;--ink:#e9e7e2;--mute:#a2a9b1;--faint:#7b828a;--line:#31373d;--f:#56b4e9;--f-ink:#72c1ee;"
    "--b:#f5824a;--b-ink:#ff9a68;--neg:#8e5ba8;--pos:#3a8f58;--hl:#4a3c0f;--bad:#ff6b6b;"
)
COLOURS = f".bg-dia{{{_LIGHT}}}@media (prefers-color-scheme:dark){{.bg-dia{{{_DARK}}}}}"
"""The colours of a diagram that stands alone; a page that has these variables leaves them out."""
STYLE = f"""
.bg-dia text{{fill:var(--ink);font-family:{SANS}}}
.bg-dia .math{{font-family:{MATH}}}
.bg-dia .word{{font-style:italic;
font-family:"Latin Modern Roman","STIX Two Text",Cambria,"Times New Roman",serif}}
.bg-dia .t-f{{fill:var(--f-ink)}}.bg-dia .t-b{{fill:var(--b-ink)}}.bg-dia .t-m{{fill:var(--mute)}}
.bg-dia .t-x{{fill:var(--bad)}}
.bg-dia .cell text{{text-anchor:middle;font-variant-numeric:tabular-nums}}
.bg-dia .cell .edge{{fill:none;stroke:none}}.bg-dia .paper{{fill:var(--bg)}}
.bg-dia .br{{fill:none;stroke-width:1.4}}
.bg-dia .ring{{fill:none;stroke:none}}.bg-dia .hl .ring{{fill:var(--hl)}}
.bg-dia .arr{{fill:none;stroke-width:1.75;stroke-linejoin:round}}.bg-dia .arr.back{{stroke-dasharray:6 3.5}}
.bg-dia .s-f{{stroke:var(--f)}}.bg-dia .s-b{{stroke:var(--b)}}
.bg-dia .h-f{{fill:var(--f)}}.bg-dia .h-b{{fill:var(--b)}}
.bg-dia .num circle,.bg-dia .open{{fill:var(--bg)}}.bg-dia .num circle{{stroke-width:1.25}}
.bg-dia .num text{{font-size:10px;text-anchor:middle;font-variant-numeric:tabular-nums}}
.bg-dia .box rect{{fill:var(--bg);stroke:var(--ink);stroke-width:1.25}}
.bg-dia .box rect.lid{{fill:none;stroke-width:1}}
.bg-dia .box path{{stroke:var(--ink);stroke-width:1.25;fill:none}}
.bg-dia .box rect.stack{{stroke-width:1}}
.bg-dia .box rect.frame{{fill:none;stroke:var(--faint);stroke-dasharray:2 4}}
.bg-dia .box rect.focus{{fill:none;stroke:none}}
.bg-dia .failed rect{{stroke:var(--bad);stroke-width:2.5}}.bg-dia .failed text{{fill:var(--bad)}}
.bg-dia [role=button]{{cursor:pointer}}.bg-dia [role=button]:focus{{outline:none}}
.bg-dia [role=button]:focus-visible rect.focus{{stroke:var(--ink);stroke-width:2}}
"""
_ITALIC = {"h": "ℎ"}


def svg(document: Document, standalone: bool = True) -> str:
    """The SVG of a diagram; without its own colours and style where it is not ``standalone``."""
    return "".join(_pieces(document, standalone))


def _pieces(document: Document, standalone: bool) -> Iterator[str]:
    w, h = _n(document.width), _n(document.height)
    lang = "zh-CN" if document.language == "zh" else document.language
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="bg-dia" viewBox="0 0 {w} {h}" width="{w}" '
        f'height="{h}" role="group" lang="{lang}" aria-label="{escape(document.title)}">'
        f"<title>{escape(document.title)}</title><desc>{escape(document.description)}</desc>"
    )
    if standalone:
        yield f"<style>{COLOURS}{STYLE}</style>"
        yield f'<rect class="paper" width="{w}" height="{h}"/>'
    for figure in document.frames:
        yield _frame(figure)
    for value in document.values:
        yield _value(value)
    for arrow in document.arrows:
        yield _arrow(arrow)
    for dot in document.dots:
        yield _dot(dot)
    for figure in document.boxes:
        yield _box(figure)
    for figure in document.frames:
        yield _lid(figure)
    yield "</svg>"


@lru_cache(maxsize=8192)
def _n(number: float) -> str:
    text = f"{number:.1f}"
    return text[:-2] if text.endswith(".0") else text


_TONES = {"forward": "t-f", "backward": "t-b", "muted": "t-m", "number": "t-m t-n", "bad": "t-x"}


def _tone(tone: str) -> str:
    return {"forward": "t-f", "backward": "t-b", "muted": "t-m", "number": "t-m t-n", "bad": "t-x"}.get(
        tone, ""
    )


def _spans(runs: Runs, size: float) -> str:
    """The runs of a text; single letters in mathematical italics, longer names in an italic face."""
    found: list[str] = []
    back = 0.0
    for run in runs:
        shift = {1: -0.36, -1: 0.2, 0: 0.0}[run.shift] * size
        attributes = f' dy="{_n(shift - back)}"' if shift != back else ""
        back = shift
        if run.shift:
            attributes += f' font-size="{_n(size * 0.7)}"'
        text = escape(run.text, quote=False)
        if run.variable and len(run.text) == 1 and run.text.isascii() and run.text.isalpha():
            start = 0x1D434 if run.text.isupper() else 0x1D44E
            letter = ord(run.text) - (65 if run.text.isupper() else 97)
            text = _ITALIC.get(run.text, chr(start + letter))
            attributes += ' class="math"'
        elif run.variable:
            attributes += ' class="math"' if not run.text.isascii() else ' class="word"'
        found.append(f"<tspan{attributes}>{text}</tspan>" if attributes else text)
    return "".join(found)


def _label(label: Label) -> str:
    kind = " ".join(part for part in (_tone(label.tone), "math" if label.face == "math" else "") if part)
    weight = ' font-weight="600"' if label.bold else ""
    anchor = f' text-anchor="{label.anchor}"' if label.anchor != "start" else ""
    step = f' data-s="{escape(label.step)}"' if label.step else ""
    x, y = map(_n, label.at)
    return (
        f'<text x="{x}" y="{y}" font-size="{_n(label.size)}"{anchor}{weight}{step}'
        + (f' class="{kind}"' if kind else "")
        + f">{_spans(label.runs, label.size)}</text>"
    )


def _value(figure: ValueFigure) -> str:
    x, y, w, h = map(_n, figure.ground)
    key = escape(figure.mark)
    tone = "b" if figure.gradient else "f"
    parts = "".join(_part(part, tone, key) for part in figure.parts)
    return (
        f'<g class="val {figure.role}" data-k="{key}" data-s="{key}" tabindex="0" role="img" '
        f'aria-label="{escape(figure.description)}">'
        f'<rect class="ring" x="{x}" y="{y}" width="{w}" height="{h}" rx="4"/>{parts}</g>'
    )


def _part(part: Part, tone: str, key: str) -> str:
    if isinstance(part, Label):
        return _label(part)
    if isinstance(part, Quotient):
        return _quotient(part)
    if isinstance(part, Cells):
        return _cells(part, key)
    if isinstance(part, Raster):
        return _raster(part)
    return _brackets(part, tone)


def _quotient(part: Quotient) -> str:
    x, y = part.at
    left, right = _n(x - part.width / 2), _n(x + part.width / 2)
    size = _n(part.size)
    return (
        f'<g text-anchor="middle" font-size="{size}" class="quotient">'
        f'<text class="math t-b" x="{_n(x)}" y="{_n(y - 5)}">{_spans(part.top, part.size)}</text>'
        f'<path class="br s-b" d="M{left} {_n(y)}H{right}"/>'
        f'<text class="math t-b" x="{_n(x)}" y="{_n(y + 15)}">{_spans(part.bottom, part.size)}</text></g>'
    )


def _cells(part: Cells, key: str) -> str:
    (x, y), (w, h) = part.at, part.cell
    columns, rows = len(part.rows[0]), len(part.rows)
    found = [_rect("paper", x, y, w * columns, h * rows, 0)]
    for r, (texts, shades) in enumerate(zip(part.rows, part.levels, strict=True)):
        for c, (text, level) in enumerate(zip(texts, shades, strict=True)):
            left, top = x + c * w, y + r * h
            index = ",".join(map(str, part.indices[r][c]))
            name = "neg" if level < 0 else "pos"
            found.append(
                f'<g class="cell" data-c="{key},{index}">'
                f'<rect class="fill" x="{_n(left)}" y="{_n(top)}" width="{_n(w)}" height="{_n(h)}" '
                f'fill="var(--{name})" fill-opacity="{0.06 + 0.72 * abs(level):.2f}"/>'
                f'<rect class="edge" x="{_n(left + 1)}" y="{_n(top + 1)}" width="{_n(w - 2)}" '
                f'height="{_n(h - 2)}" pointer-events="all"/>'
                f'<text x="{_n(left + w / 2)}" y="{_n(top + h / 2 + part.size * 0.36)}" '
                f'font-size="{_n(part.size)}">{text}</text></g>'
            )
    return "".join(found)


def _brackets(part: Brackets, tone: str) -> str:
    x, y, w, h = part.rectangle
    top, bottom = _n(y - 2.5), _n(y + h + 2.5)
    left, right = x - 4, x + w + 4
    return (
        f'<path class="br s-{tone}" d="M{_n(left + 5)} {top}H{_n(left)}V{bottom}H{_n(left + 5)}'
        f'M{_n(right - 5)} {top}H{_n(right)}V{bottom}H{_n(right - 5)}"/>'
    )


_NEGATIVE, _POSITIVE, _GREY = (157, 109, 181), (90, 174, 116), (128, 128, 128)


def _raster(part: Raster) -> str:
    x, y, w, h = map(_n, part.rectangle)
    levels = np.asarray(part.levels)
    steps = np.clip(np.rint(levels * 31), -31, 31).astype(np.int8)
    data = _png(steps.tobytes(), steps.shape, part.grey)
    return (
        f'<image x="{x}" y="{y}" width="{w}" height="{h}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
    )


@lru_cache(maxsize=512)
def _png(levels: bytes, shape: tuple[int, ...], grey: bool) -> str:
    """Levels from -31 to 31 as a PNG in base64, transparent at 0, so that it lies well on any ground.

    The drawings of one page show the same pictures again and again.
    """
    palette, alpha = bytearray(), bytearray()
    for step in range(-31, 32):
        colour = _GREY if grey else _NEGATIVE if step < 0 else _POSITIVE
        palette += bytes(colour)
        alpha.append(round(255 * abs(step) / 31) if grey else round(255 * (0.04 + 0.96 * abs(step) / 31)))
    rows, columns = shape
    pixels = (np.frombuffer(levels, np.int8).reshape(shape) + 31).astype(np.uint8)
    raw = np.concatenate([np.zeros((rows, 1), np.uint8), pixels], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", bytes(palette)), (b"tRNS", bytes(alpha)),
              (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b""))  # fmt: skip
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def _arrow(arrow: Arrow) -> str:
    tone = "b" if arrow.backward else "f"
    key = escape(arrow.step)
    points = list(arrow.points)
    head = ""
    if arrow.head:
        (ax, ay), (bx, by) = points[-2], points[-1]
        length = max(((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5, 1e-6)
        ux, uy = (bx - ax) / length, (by - ay) / length
        points[-1] = (bx - ux * min(8, length / 2), by - uy * min(8, length / 2))
        corners = [(bx, by)]
        corners += [(bx - ux * 10 - side * uy * 4.5, by - uy * 10 + side * ux * 4.5) for side in (1, -1)]
        head = f'<path class="h-{tone}" d="M' + "L".join(f"{_n(x)} {_n(y)}" for x, y in corners) + 'z"/>'
    badge = ""
    if arrow.badge is not None and arrow.number is not None:
        x, y = arrow.badge
        badge = (
            f'<g class="num"><circle class="c{tone} s-{tone}" cx="{_n(x)}" cy="{_n(y)}" r="8.5"/>'
            f'<text class="t-{tone}" x="{_n(x)}" y="{_n(y + 3.6)}">{arrow.number}</text></g>'
        )
    back = " back" if arrow.backward else ""
    line = f'<path class="arr{back} s-{tone}" d="{_rounded(points)}"/>'
    return f'<g class="wire" data-s="{key}">{line}{head}{badge}</g>'


def _rounded(points: list[Point], radius: float = 8.0) -> str:
    """A line through points with its corners rounded."""
    path = f"M{_n(points[0][0])} {_n(points[0][1])}"
    for i in range(1, len(points) - 1):
        (ax, ay), (bx, by), (cx, cy) = points[i - 1 : i + 2]
        before = ((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5
        after = ((cx - bx) ** 2 + (cy - by) ** 2) ** 0.5
        r = min(radius, before / 2, after / 2)
        if r < 0.5:
            path += f"L{_n(bx)} {_n(by)}"
            continue
        px, py = bx - (bx - ax) / before * r, by - (by - ay) / before * r
        qx, qy = bx + (cx - bx) / after * r, by + (cy - by) / after * r
        path += f"L{_n(px)} {_n(py)}Q{_n(bx)} {_n(by)} {_n(qx)} {_n(qy)}"
    return path + f"L{_n(points[-1][0])} {_n(points[-1][1])}"


def _dot(dot: Dot) -> str:
    x, y = dot.at
    tone = "b" if dot.backward else "f"
    head = f'<g class="dot {dot.kind}" data-s="{escape(dot.step)}">'
    if dot.kind == "sum":
        shape = (
            f'<circle class="open s-b" cx="{_n(x)}" cy="{_n(y)}" r="5.5" stroke-width="1.25"/>'
            f'<path class="s-b" stroke-width="1.25" d="M{_n(x - 3)} {_n(y)}h6M{_n(x)} {_n(y - 3)}v6"/>'
        )
    elif dot.kind == "constant":
        shape = f'<rect class="h-{tone}" x="{_n(x - 4)}" y="{_n(y - 4)}" width="8" height="8"/>'
    elif dot.kind == "input":
        shape = f'<circle class="open s-f" cx="{_n(x)}" cy="{_n(y)}" r="4.5" stroke-width="1.75"/>'
    else:
        size = 3.2 if dot.kind == "fork" else 5
        shape = f'<circle class="h-{tone}" cx="{_n(x)}" cy="{_n(y)}" r="{size}"/>'
    return f"{head}{shape}</g>"


def _rect(kind: str, x: float, y: float, w: float, h: float, r: float) -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<rect{name} x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" height="{_n(h)}" rx="{_n(r)}"/>'


def _box(figure: BoxFigure) -> str:
    x, y, w, h = figure.rectangle
    said = escape(figure.description)
    step = f' data-s="{escape(figure.step)}"' if figure.step else ""
    opens = figure.opens
    role = 'role="button" tabindex="0" aria-expanded="false"' if opens else 'role="img"'
    shapes = _rect("focus", x - 5, y - 5, w + 10, h + 10, 8) if opens else ""
    if figure.kind in ("folded", "elided"):
        shapes += _rect("stack", x + 7, y - 7, w, h, 6) + _rect("stack", x + 3.5, y - 3.5, w, h, 6)
    shapes += _rect("", x, y, w, h, 6)
    if figure.kind == "closed":
        shapes += _rect("lid", x + 3.5, y + 3.5, w - 7, h - 7, 3)
    if opens:
        shapes += f'<path d="M{_n(x + w - 16)} {_n(y + 12)}h7m-3.5 -3.5v7"/>'
    text = "".join(_label(label) for label in (*figure.labels, *figure.rules))
    return (
        f'<g class="box {figure.kind}" data-box="{escape(figure.path)}"{step} {role} aria-label="{said}">'
        f"{shapes}{text}</g>"
    )


def _frame(figure: BoxFigure) -> str:
    return f'<g class="box" aria-hidden="true">{_rect("frame", *figure.rectangle, 8)}</g>'


def _lid(figure: BoxFigure) -> str:
    assert figure.tab is not None
    x, y, w, h = figure.tab
    minus = f'<path d="M{_n(x + w - 18)} {_n(y + h / 2)}h8"/>'
    step = f' data-s="{escape(figure.step)}"' if figure.step else ""
    return (
        f'<g class="box opened" data-box="{escape(figure.path)}"{step} role="button" tabindex="0" '
        f'aria-expanded="true" aria-label="{escape(figure.description)}">'
        f"{_rect('focus', x - 4, y - 4, w + 8, h + 8, 7)}{_rect('', x, y, w, h, 4)}{minus}"
        f"{''.join(map(_label, figure.labels))}</g>"
    )

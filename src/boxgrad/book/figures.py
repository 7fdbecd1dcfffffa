"""Plots: how matplotlib is set while a lesson runs, and its pictures as SVG in the colours of the page."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from html import escape
from typing import Any

_CYCLE = ("#0072b2", "#d55e00", "#5aae74", "#9d6db5")
_INK, _MUTE, _LINE = "#1b1f24", "#5c636c", "#dcdfe2"
COLOURS = dict(
    zip((*_CYCLE, _INK, _MUTE, _LINE), ("f", "b", "pos", "neg", "ink", "mute", "line"), strict=True)
)
"""Colours of a plot, and the variables of the page that they stand for."""
_PIXELS = 1.35
"""Pixels on the page for a point of the plot."""
SETTINGS: dict[str, Any] = {
    "figure.figsize": (7.2, 3.4),
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": _MUTE,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.8,
    "lines.linewidth": 2.0,
    "xtick.color": _MUTE,
    "ytick.color": _MUTE,
    "text.color": _INK,
    "font.size": 11.0,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "boxgrad",
}


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Programs may plot: without a window, in the book's style, and nothing stays open."""
    import matplotlib  # noqa: PLC0415 - slow to load, and only here
    from matplotlib import pyplot  # noqa: PLC0415

    before = matplotlib.get_backend()
    pyplot.switch_backend("agg")
    try:
        with matplotlib.rc_context({**SETTINGS, "axes.prop_cycle": matplotlib.cycler(color=_CYCLE)}):
            yield
    finally:
        pyplot.close("all")
        pyplot.switch_backend(before)


def inline_svg(figure: Any, label: str) -> str:
    """A figure as SVG within a page: text stays text, colours are the page's."""
    import matplotlib  # noqa: PLC0415

    file = io.StringIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.S)
    for colour, name in COLOURS.items():
        text = re.sub(colour, f"var(--{name})", text, flags=re.I)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 var(--sans)", text)
    width, height = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)[0]
    opening = f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {height}"'
    opening += f' style="max-width:{float(width) * _PIXELS:.0f}px"'
    opening += ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return re.sub(r"<svg[^>]*>", opening, text, count=1)

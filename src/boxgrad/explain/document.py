"""A diagram as data: boxes, arrows, values and labels with their places.

Coordinates are in points of an ideal page, y downwards; text is given by its baseline. Knows places and
tones (forward, backward, muted, ink); knows nothing of functions or of any medium.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

Point = tuple[float, float]
Rectangle = tuple[float, float, float, float]
"""x, y, width, height."""


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of text in one style; ``shift`` is 1 for a superscript and -1 for a subscript."""

    text: str
    variable: bool = False
    shift: int = 0


Runs = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Label:
    """Text at a baseline. ``face`` is sans or math; ``step`` is the mark of the step it belongs to."""

    at: Point
    runs: Runs
    size: float = 12.0
    tone: str = "ink"
    anchor: str = "middle"
    face: str = "sans"
    bold: bool = False
    step: str | None = None


@dataclass(frozen=True, slots=True)
class Quotient:
    """∂L/∂X as a fraction, centred at a point of its bar."""

    at: Point
    top: Runs
    bottom: Runs
    width: float
    size: float = 16.0


@dataclass(frozen=True, slots=True)
class Cells:
    """A matrix of numbers: each cell with its text and its level from -1 to 1, between brackets."""

    at: Point
    cell: tuple[float, float]
    rows: tuple[tuple[str, ...], ...]
    levels: tuple[tuple[float, ...], ...]
    size: float
    indices: tuple[tuple[tuple[int, ...], ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Raster:
    """A heat-map or an image: levels from -1 to 1, row by row; ``grey`` for pictures of light."""

    rectangle: Rectangle
    levels: Any
    grey: bool = False


@dataclass(frozen=True, slots=True)
class Brackets:
    """The brackets of a matrix around a rectangle."""

    rectangle: Rectangle


Part = Label | Quotient | Cells | Raster | Brackets


@dataclass(frozen=True, slots=True)
class ValueFigure:
    """A value, or its gradient: name, shape and picture, with the ground that lights up behind it."""

    mark: str
    gradient: bool
    role: str
    ground: Rectangle
    parts: tuple[Part, ...]
    description: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """A wire as a line through points; ``head`` says whether it ends in an arrowhead."""

    step: str
    backward: bool
    points: tuple[Point, ...]
    head: bool
    number: int | None = None
    badge: Point | None = None


@dataclass(frozen=True, slots=True)
class Dot:
    """A mark on a wire: where an input, a parameter or a constant starts, a fork, a sum of gradients."""

    step: str
    kind: str
    at: Point
    backward: bool = False


@dataclass(frozen=True, slots=True)
class BoxFigure:
    """A box; ``tab`` is an opened one's lid.

    Its kind is plain, closed, opened, loop, folded, elided or failed.
    """

    path: str
    kind: str
    rectangle: Rectangle
    labels: tuple[Label, ...]
    rules: tuple[Label, ...]
    description: str
    step: str | None
    tab: Rectangle | None = None
    opens: bool = False


@dataclass(slots=True)
class Document:
    """A whole diagram."""

    width: float
    height: float
    title: str
    description: str
    language: str
    frames: list[BoxFigure] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    boxes: list[BoxFigure] = field(default_factory=list)
    values: list[ValueFigure] = field(default_factory=list)


def plain(runs: Runs) -> str:
    """Text without its style.

    >>> plain((Run("X", variable=True), Run("T", shift=1)))
    'X^T'
    """
    return "".join(("", "^", "_")[run.shift] + run.text for run in runs)


_NARROW, _WIDE = set("iljtfr.,:;'|!()[]  "), set("mwMW@—")


@lru_cache(maxsize=4096)
def text_width(runs: Runs | str, size: float) -> float:
    """About how wide a text is; fonts differ, so it is generous."""
    total = 0.0
    for run in (Run(runs),) if isinstance(runs, str) else runs:
        scale = 0.72 if run.shift else 1.0
        for character in run.text:
            if ord(character) > 0x2E7F:
                width = 1.02
            elif character in _NARROW:
                width = 0.36
            elif character in _WIDE:
                width = 0.9
            elif character.isupper():
                width = 0.82 if run.variable else 0.68
            else:
                width = 0.57
            total += width * scale
    return total * size

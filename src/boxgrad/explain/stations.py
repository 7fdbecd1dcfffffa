"""Values drawn on their wires: picture, name, shape, and the gradient in the same place on the other side.

Knows where the parts of a value stand around its line; knows nothing of boxes.
"""

from __future__ import annotations

from typing import Any

from boxgrad.explain.arrangement import CLEAR, HALF, LABEL, Arranger, Station
from boxgrad.explain.boxes import Value
from boxgrad.explain.document import Label, Part, Quotient, Rectangle, Run, Runs, ValueFigure, text_width
from boxgrad.explain.pictures import draw, scale_of
from boxgrad.explain.steps import mark
from boxgrad.explain.words import Words, word

SAID: Words = {
    "gradient": {
        "en": "gradient of {of} with respect to {name}, {shape}",
        "zh": "{of} 对 {name} 的梯度，{shape}",
    },
    "value": {"en": "{name}, {shape}", "zh": "{name}，{shape}"},
    "start": {"en": "start", "zh": "起点"},
}


def picture_along(station: Station, right: bool) -> float:
    """Where the picture of a value begins along the flow."""
    item = station.item
    assert item is not None
    if not right:
        return item.along + (28 if station.source else LABEL + 8)
    if item.lead is not None:
        return item.along + item.lead
    return item.along + (item.length - station.picture.width) / 2


def begins(station: Station, right: bool) -> float:
    """Where the wire of a source begins: under its picture, or below it when the flow runs down."""
    item = station.item
    assert item is not None
    return picture_along(station, right) if right else item.along + item.length - 46


def badge_at(station: Station, right: bool) -> float:
    """Where the numbers of a value's steps stand along its wire."""
    item = station.item
    assert item is not None
    if right and station.source:
        return picture_along(station, right) + max(station.picture.width, 40) / 2
    return item.along + (item.length - 24 if station.source else item.length / 2)


def draw_station(station: Station, arranger: Arranger) -> list[ValueFigure]:
    """The figures of a value and of its gradient."""
    drawn = _Station(station, arranger)
    found = [drawn.figure(False)]
    if station.value.gradient is not None:
        found.append(drawn.figure(True))
    return found


class _Station:
    def __init__(self, station: Station, arranger: Arranger) -> None:
        self.station, self.arranger = station, arranger
        self.value: Value = station.value
        self.lang = arranger.lang

    def figure(self, gradient: bool) -> ValueFigure:
        value, arranger = self.value, self.arranger
        number: Any = value.gradient.value if gradient and value.gradient is not None else value.node.value
        if arranger.right and self.station.source:
            parts, ground = self._lane(gradient, number)
        elif arranger.right:
            parts, ground = self._above(gradient, number)
        else:
            parts, ground = self._beside(gradient, number)
        shape = arranger.shape_text(value)
        key = "gradient" if gradient else "value"
        said = word(key, self.lang, SAID, of=arranger.model.output.name, name=value.name, shape=shape)
        return ValueFigure(mark(value, gradient), gradient, value.role, ground, tuple(parts), said)

    def _draw(self, gradient: bool, number: Any, x: float, y: float) -> list[Part]:
        tone = "backward" if gradient else "forward"
        return draw(self.station.picture, number, x, y, tone, self.lang)

    def _scale(self, number: Any) -> Runs:
        """The power of ten of the numbers in a picture."""
        power = scale_of(self.station.picture, number)
        return (Run(" ×10"), Run(str(power).replace("-", "−"), shift=1)) if power else ()

    def _extra(self, gradient: bool) -> str:
        """What is said beside a name: the shape, the role, the seed of the backward pass."""
        said = [self.arranger.shape_text(self.value)]
        if gradient and self.value is self.arranger.model.output:
            said = [word("start", self.lang, SAID)]
        elif not gradient and self.station.source and not self.arranger.right:
            said.append(self.arranger.role_text(self.value))
        return " ".join(said)

    def _quotient(self, x: float, y: float, right: bool) -> Quotient:
        """∂L/∂X with its bar at a height, beginning (or ending, when right) at x."""
        top = (Run("∂"), *self.arranger.write(self.arranger.model.output))
        bottom = (Run("∂"), *self.arranger.write(self.value))
        width = max(text_width(top, 16), text_width(bottom, 16)) + 2
        centre = x - width / 2 if right else x + width / 2
        return Quotient((centre, y), top, bottom, width)

    def _lane(self, gradient: bool, number: Any) -> tuple[list[Part], Rectangle]:
        """A source at the left: its name stands before the picture."""
        station, item = self.station, self.station.item
        assert item is not None
        high = max(station.picture.height, 54.0)
        x = picture_along(station, True)
        top = item.line + HALF + CLEAR if gradient else item.line - HALF - CLEAR - high
        picture = top if gradient else top + high - station.picture.height
        parts = self._draw(gradient, number, x, picture)
        edge, middle = x - 16, top + high / 2
        shape = Run(self.arranger.shape_text(self.value))
        if gradient:
            parts.append(self._quotient(edge, middle - 8, True))
            parts.append(Label((edge, middle + 26), (shape, *self._scale(number)), 11.5, "muted", "end"))
        else:
            role = Run(self.arranger.role_text(self.value))
            name = self.arranger.write(self.value)
            parts.append(Label((edge, middle - 6), name, 20, "forward", "end", "math"))
            shaped = (shape, *self._scale(number))
            parts.append(Label((edge, middle + 11), shaped, 11.5, "muted", "end"))
            parts.append(Label((edge, middle + 26), (role,), 11.5, "muted", "end"))
        ground = (item.along - 4, top - 6, item.length - 4, high + 12)
        return parts, ground

    def _above(self, gradient: bool, number: Any) -> tuple[list[Part], Rectangle]:
        """On a wire to the right: the value above the line, the gradient beneath it."""
        station, item = self.station, self.station.item
        assert item is not None
        wide, high = station.picture.width, station.picture.height
        x = item.along + (item.length - wide) / 2
        if wide < station.label:
            x_label = item.along + (item.length - station.label) / 2
        else:
            x_label = x - 3
        extra = (Run(self._extra(gradient)), *self._scale(number))
        left, right = min(x, x_label) - 8, max(x + wide, x_label + station.label) + 8
        if gradient:
            top = item.line + HALF + CLEAR
            parts = self._draw(gradient, number, x, top)
            quotient = self._quotient(x_label, top + high + 25, False)
            parts.append(quotient)
            at = (x_label + quotient.width + 6, top + high + 29)
            parts.append(Label(at, extra, 11.5, "muted", "start"))
            return parts, (left, top - 6, right - left, high + 54)
        top = item.line - HALF - CLEAR - high
        parts = self._draw(gradient, number, x, top)
        parts += self._name(x_label, top - 12, extra)
        return parts, (left, top - 34, right - left, high + 40)

    def _name(self, x: float, y: float, extra: Runs) -> list[Part]:
        name = self.arranger.write(self.value)
        return [
            Label((x, y), name, 20, "forward", "start", "math"),
            Label((x + text_width(name, 20) + 6, y), extra, 11.5, "muted", "start"),
        ]

    def _beside(self, gradient: bool, number: Any) -> tuple[list[Part], Rectangle]:
        """On a wire downwards: the value to the left, the gradient to the right; of sources, beneath it."""
        station, item = self.station, self.station.item
        assert item is not None
        wide, high = station.picture.width, station.picture.height
        extra = (Run(self._extra(gradient)), *self._scale(number))
        y = picture_along(station, False)
        if station.source:
            x = item.line - wide / 2
            y += LABEL + high + 14 if gradient else 0
        else:
            x = item.line + HALF + 24 if gradient else item.line - HALF - 24 - wide
        parts = self._draw(gradient, number, x, y)
        label = x - 3
        if station.source:
            label = min(label, item.line - station.label / 2)
        elif not gradient:
            label = min(label, item.line - HALF - 16 - station.label)
        if gradient:
            quotient = self._quotient(label, y - 25, False)
            parts.append(quotient)
            parts.append(Label((label + quotient.width + 6, y - 21), extra, 11.5, "muted", "start"))
        else:
            parts += self._name(label, y - 12, extra)
        width = max(x + wide, label + station.label) - min(x, label)
        above = 46 if gradient else 32
        return parts, (min(x, label) - 7, y - above, width + 14, high + above + 8)

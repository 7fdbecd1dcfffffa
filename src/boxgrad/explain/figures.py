"""An arrangement drawn: boxes and wires with their places on the page.

Knows where things are and how the parts of a diagram stand to each other; knows no medium. What runs along
the flow is turned into x and y here, once; values are drawn by ``stations``.
"""

from __future__ import annotations

from itertools import pairwise

from boxgrad.explain.arrangement import HALF, LID, PAD, Arrangement, Arranger, Station, Unit, symbol_size
from boxgrad.explain.document import (
    Arrow,
    BoxFigure,
    Document,
    Dot,
    Label,
    Point,
    Rectangle,
    Run,
    Runs,
    plain,
    text_width,
)  # fmt: skip
from boxgrad.explain.layout import Item
from boxgrad.explain.placement import Segment
from boxgrad.explain.stations import badge_at, begins, draw_station
from boxgrad.explain.steps import mark
from boxgrad.explain.wires import Strand, beside, by_source, strands
from boxgrad.explain.words import Words, word

TIP, START = 4.0, 3.0

SAID: Words = {
    "open": {"en": "{name}, closed box, opens", "zh": "{name}，合上的盒子，可打开"},
    "close": {"en": "{name}, opened box, closes", "zh": "{name}，打开的盒子，可合上"},
    "loop": {"en": "{name}, folded, unrolls", "zh": "{name}，已折叠，可展开"},
    "folded": {
        "en": "{count} repetitions folded into one box, unrolls",
        "zh": "{count} 次重复，合成一个盒子，可展开",
    },
    "elided": {"en": "{count} repetitions, left out", "zh": "{count} 次重复，从略"},
}


class Level:
    """One level of boxes with what its drawing looks up again and again."""

    def __init__(self, arrangement: Arrangement) -> None:
        self.units, self.stations = arrangement.units, arrangement.stations
        self.out = by_source(arrangement.placed)
        self.into: dict[Item, list[Segment]] = {}
        for segment in arrangement.placed.segments:
            self.into.setdefault(segment.target, []).append(segment)
        self.exits = set(arrangement.exits.values())
        self.frames = {unit.item for unit in self.units if unit.inside is not None} | self.exits
        self.unit_of = {unit.item: unit for unit in self.units}

    def inlets(self, item: Item) -> dict[str, float]:
        """Where the wires of values meet an item, across, by the name of the value."""
        return {(s.source.relay or s.source).key: s.end for s in self.into.get(item, [])}

    def passes_gradient(self, target: Item, station: Station) -> bool:
        """Whether a gradient comes back from a user of a value."""
        if target in self.exits:
            return True
        return any(station.value in box.local for box in self.unit_of[target].boxes)


class Drawer:
    """Draws arrangements into one document."""

    def __init__(self, arranger: Arranger, document: Document, numbers: dict[str, int]) -> None:
        self._arranger, self._document, self._numbers = arranger, document, numbers
        self._lang, self._right = arranger.lang, arranger.right

    def _at(self, along: float, across: float) -> Point:
        return (along, across) if self._right else (across, along)

    def draw(self, arrangement: Arrangement, along: float, across: float) -> None:
        """Draw a level whose layout begins at a place."""
        arrangement.placed.move(along, across)
        level = Level(arrangement)
        for unit in level.units:
            self._unit(level, unit)
        for station in level.stations.values():
            if (station.item is not None and station.item.after_items) or not station.source:
                self._wire(level, station)
            if not station.silent:
                self._document.values.extend(draw_station(station, self._arranger))

    # ---- boxes
    def _unit(self, level: Level, unit: Unit) -> None:
        item = unit.item
        assert item is not None
        length, breadth = item.length, item.bottom - item.top
        x, y = self._at(item.along, item.top)
        area = (x, y, *self._at(length, breadth))
        step = mark(unit.outputs[0]) if unit.outputs else None
        name = plain(unit.name) or plain(unit.symbol) or unit.boxes[0].title
        if unit.inside is not None:
            self._frame(unit, area, step, name)
            self.draw(unit.inside, item.along + PAD, item.top + LID)
            return
        if unit.kind == "closed":
            name = word("open", self._lang, SAID, name=name)
        elif unit.kind in ("folded", "elided"):
            name = word(unit.kind, self._lang, SAID, count=plain(unit.symbol).strip("× "))
        elif unit.opens:
            name = word("loop", self._lang, SAID, name=name)
        inlets = level.inlets(item)
        labels = self._across_labels(unit, area, inlets) if self._right else self._down_labels(unit, area)
        rules = self._rules(unit, item, inlets) + _note(unit, area, self._right)
        figure = BoxFigure(unit.path, unit.kind, area, labels, rules, name, step, opens=unit.opens)
        self._document.boxes.append(figure)
        if unit.kind == "loop":
            self._loop(area, unit)

    def _frame(self, unit: Unit, area: Rectangle, step: str | None, name: str) -> None:
        shown: Runs = (*unit.symbol, Run("  "), *unit.name) if unit.symbol else unit.name
        tab = (area[0] + 14, area[1] - 12, text_width(shown, 13) + 34, 24.0)
        label = Label((tab[0] + 10, area[1] + 4.5), shown, 13, "ink", "start")
        said = word("close", self._lang, SAID, name=name)
        self._document.frames.append(BoxFigure(unit.path, "opened", area, (label,), (), said, step, tab))

    def _across_labels(self, unit: Unit, area: Rectangle, inlets: dict[str, float]) -> tuple[Label, ...]:
        x, y, w, h = area
        size, centre = symbol_size(unit.symbol), x + w / 2
        middle = _free(area, [at + HALF for at in inlets.values()]) if len(unit.factors) > 1 else y + h / 2
        if not unit.name:
            return (Label((centre, middle + size / 3), unit.symbol, size, face="math"),)
        if not unit.symbol:
            return (Label((centre, middle + 5), unit.name, 14.0),)
        return (
            Label((centre, middle + 1), unit.symbol, size, face="math"),
            Label((centre, middle + 20), unit.name, 12.0, "muted"),
        )

    def _down_labels(self, unit: Unit, area: Rectangle) -> tuple[Label, ...]:
        x, y, w, h = area
        size = symbol_size(unit.symbol)
        base = y + h / 2 + (16 if len(unit.factors) > 1 else 5)
        if not (unit.symbol and unit.name):
            face = "math" if unit.symbol else "sans"
            runs = unit.symbol or unit.name
            return (Label((x + w / 2, base + 1), runs, size if unit.symbol else 14.0, face=face),)
        first, second = text_width(unit.symbol, size), text_width(unit.name, 12)
        left = x + (w - first - second - 8) / 2
        return (
            Label((left, base + 2), unit.symbol, size, anchor="start", face="math"),
            Label((left + first + 8, base), unit.name, 12.0, "muted", "start"),
        )

    def _rules(self, unit: Unit, item: Item, inlets: dict[str, float]) -> tuple[Label, ...]:
        """The local factors: beneath a box of one input, else where each gradient leaves the box."""
        found: list[Label] = []
        for value, runs in unit.factors.items():
            port = inlets.get(value.name, item.line) + HALF
            if not runs:
                continue
            anchor = "middle"
            if len(unit.factors) == 1:
                at = (item.along + item.length / 2, item.bottom + 18)
                if not self._right:
                    at, anchor = (item.bottom + 10, item.along + item.length / 2 + 5), "start"
            elif self._right:
                at, anchor = (item.along + 9, port + 4.5), "start"
            else:
                half = text_width(runs, 13) / 2 + 8
                at = (max(min(port, item.bottom - half), item.top + half), item.along + 20)
            found.append(Label(at, runs, 13, "backward", anchor, "math", step=mark(value, True)))
        return tuple(found)

    def _loop(self, area: Rectangle, unit: Unit) -> None:
        """The carry that goes round: forward on one side of the box, backward on the other."""
        x, y, w, h = area
        value = unit.outputs[0]
        if self._right:
            a, b, end = x + w / 2 + 22, x + w / 2 - 22, y + h
            line = ((a, y - START), (a, y - 18), (b, y - 18), (b, y - TIP))
            back = ((b, end + START), (b, end + 18), (a, end + 18), (a, end + TIP))
        else:
            a, b, end = y + h / 2 + 16, y + h / 2 - 16, x + w
            line = ((x - START, a), (x - 18, a), (x - 18, b), (x - TIP, b))
            back = ((end + START, b), (end + 18, b), (end + 18, a), (end + TIP, a))
        self._document.arrows.append(Arrow(mark(value), False, line, True))
        if value.gradient is not None:
            self._document.arrows.append(Arrow(mark(value, True), True, back, True))

    # ---- wires
    def _wire(self, level: Level, station: Station) -> None:
        item = station.item
        assert item is not None
        made = level.into.get(item, [])
        if made:
            segment = made[0]
            producer = segment.source
            start = [(producer.along + producer.length, segment.start)]
            if segment.leg is not None:
                start += [(segment.leg, segment.start), (segment.leg, segment.end)]
        else:
            producer = None
            start = [(item.along - PAD if station.silent else begins(station, self._right), item.line)]

        def ends(target: Item) -> float:
            if target is item:
                return item.along + item.length
            return target.along + (PAD if target in level.exits else 0)

        framed = producer in level.frames or (station.silent and producer is None)
        for strand in strands(level.out, item, start, ends):
            self._forward(level, station, strand, bool(producer), framed)
            if station.value.gradient is None:
                continue
            if strand.target is None or level.passes_gradient(strand.target, station):
                self._backward(level, station, strand, bool(producer), framed)

    def _line(
        self, level: Level, strand: Strand, shift: float, ends: tuple[float, float]
    ) -> tuple[list[Point], Point]:
        """The line of one direction, shortened at boxes, and the point where it leaves its fork."""
        line = beside(strand, shift)
        joint = line[0]
        line[0] = (line[0][0] + ends[0], line[0][1])
        if strand.target is not None and strand.target not in level.frames:
            line[-1] = (line[-1][0] - ends[1], line[-1][1])
        return line, joint

    def _forward(self, level: Level, station: Station, strand: Strand, made: bool, framed: bool) -> None:
        key, trunk = mark(station.value), not strand.fork
        line, joint = self._line(level, strand, HALF, (START if trunk and made and not framed else 0.0, TIP))
        head = not strand.turns and strand.target not in level.frames
        self._arrow(key, False, line, head, station, trunk)
        if strand.fork and not strand.follows:
            self._document.dots.append(Dot(key, "fork", self._at(*joint)))
        if trunk and not made and not station.silent:
            role = station.value.role
            kind = role if role in ("parameter", "constant") else "input"
            self._document.dots.append(Dot(key, kind, self._at(*line[0])))

    def _backward(self, level: Level, station: Station, strand: Strand, made: bool, framed: bool) -> None:
        key, trunk = mark(station.value, True), not strand.fork
        arrives = trunk and not framed
        line, joint = self._line(level, strand, -HALF, (TIP if arrives and made else 0.0, START))
        self._arrow(key, True, line[::-1], arrives, station, trunk)
        if strand.fork and not strand.follows:
            self._document.dots.append(Dot(key, "sum", self._at(*joint), True))

    def _arrow(
        self, key: str, backward: bool, line: list[Point], head: bool, station: Station, trunk: bool
    ) -> None:
        number = self._numbers.get(key) if trunk and not station.silent else None
        across = line[-1][1] if backward else line[0][1]
        if number is not None and station.item is not None:
            across = station.item.line + (HALF if backward else -HALF)
        badge = self._at(badge_at(station, self._right), across) if number is not None else None
        points = tuple(self._at(*point) for point in line)
        self._document.arrows.append(Arrow(key, backward, points, head, number, badge))


def _note(unit: Unit, area: Rectangle, right: bool) -> tuple[Label, ...]:
    """Why a box failed, in lines beneath or beside it."""
    x, y, w, h = area
    at = (x, y + h + 20) if right else (x + w + 12, y + 14)
    return tuple(
        Label((at[0], at[1] + 17 * number), (Run(line),), 12, "bad", "start")
        for number, line in enumerate(unit.note)
    )


def _free(area: Rectangle, taken: list[float]) -> float:
    """The height nearest to the middle of a box where a symbol does not meet the rows that are taken."""
    _, y, _, h = area
    edges = [y - 10, *sorted(taken), y + h + 10]
    gaps = [(a + 26, b - 31) for a, b in pairwise(edges)]
    fit = [min(max(y + h / 2, low), high) for low, high in gaps if high >= low]
    if fit:
        return min(fit, key=lambda at: abs(at - y - h / 2))
    low, high = max(gaps, key=lambda gap: gap[1] - gap[0])
    return (low + high) / 2

"""The boxes of a model as units with sizes, laid out: what is visible, how large, and where.

A unit is a box as it is drawn: plain, closed, opened with an arrangement of its own inside, a loop, or a run
of repeated boxes folded into one. Values are items too: their pictures stand on their wires.

Knows boxes, sizes of text and pictures, and the layout; draws nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from textwrap import wrap

from boxgrad.explain.boxes import Box, Model, Value
from boxgrad.explain.document import Run, Runs, text_width
from boxgrad.explain.folding import Run as Repeated
from boxgrad.explain.folding import folded
from boxgrad.explain.layout import Item, Link
from boxgrad.explain.naming import Names
from boxgrad.explain.pictures import Picture, picture_of, scale_of
from boxgrad.explain.placement import Placed, Spacing, place
from boxgrad.explain.symbols import NAMES, Writer, factor, operands, symbol
from boxgrad.explain.words import word

HALF = 11.0
"""Half the distance between a forward arrow and the backward arrow beneath it."""
CLEAR = 14.0
LABEL = 36.0
RIGHT = Spacing(across=26.0)
DOWN = Spacing(across=30.0, port=84.0, margin=44.0, relay=18.0, gap=16.0, reach=1600.0)
PAD, LID = 30.0, 22.0


@dataclass(eq=False, slots=True)
class Unit:
    """A box as it is drawn."""

    path: str
    kind: str
    inputs: list[Value]
    outputs: list[Value]
    boxes: list[Box]
    symbol: Runs = ()
    name: Runs = ()
    factors: dict[Value, Runs] = field(default_factory=dict)
    inside: Arrangement | None = None
    item: Item | None = None
    note: tuple[str, ...] = ()
    """What is written beneath the box: why it failed."""


@dataclass(eq=False, slots=True)
class Station:
    """A value as it is drawn on its wire; silent ones are drawn elsewhere and are only passed through."""

    value: Value
    source: bool
    silent: bool
    picture: Picture
    label: float
    """The width of its name and shape."""
    item: Item | None = None


@dataclass(eq=False, slots=True)
class Arrangement:
    """The units and values of one level, and where they are."""

    units: list[Unit]
    stations: dict[Value, Station]
    placed: Placed
    exits: dict[Value, Item]


class Arranger:
    """Arranges the boxes of a model, level by level."""

    def __init__(
        self,
        model: Model,
        names: Names,
        lang: str,
        direction: str,
        opened: Collection[str],
        failure: str = "",
    ) -> None:
        self.model, self.lang, self.direction = model, lang, direction
        self.right = direction == "right"
        self._failure = wrap(" ".join(failure.split()), 44)[:6]
        self._unused: set[Value] = set()
        self._names, self._opened = names, set(opened)
        self.writer = Writer(model.values, self.write)
        self.dense = len(model.boxes) > 9

    def write(self, value: Value) -> Runs:
        """A value's name as it is written in every view."""
        made = self._names.symbol(value.name, value.shape)
        base = Run(made.base, variable=True)
        return (base, Run(made.subscript, shift=-1)) if made.subscript else (base,)

    def units(self, boxes: Sequence[Box], before: str = "") -> list[Unit]:
        """The units of some boxes: repeated ones folded, opened ones arranged inside."""
        found: list[Unit] = []
        for part in folded(boxes):
            if isinstance(part, Repeated) and part.path(before) not in self._opened:
                found.extend(self._repeated(part, boxes, before))
            elif isinstance(part, Repeated):
                found.extend(self._unit(boxes[i], f"{before}{i + 1}") for i in range(part.start, part.stop))
            else:
                found.append(self._unit(boxes[part], f"{before}{part + 1}"))
        return found

    def _unit(self, box: Box, path: str) -> Unit:
        kind = box.kind if box.kind in ("closed", "loop") else "plain"
        if not box.nodes:
            kind = "failed"
        unit = Unit(path, kind, list(box.inputs), list(box.outputs), [box])
        unit.symbol, unit.name = symbol(box, self.writer, self.lang)
        if kind == "failed":
            unit.note = tuple(self._failure)
        if path in self._opened and box.inner:
            unit.kind = "opened"
            unit.inside = self.arrange(box.inner, f"{path}.", unit.inputs, unit.outputs)
        else:
            unit.factors = {value: factor(box, value, self.writer) for value in box.local}
        return unit

    def _repeated(self, run: Repeated, boxes: Sequence[Box], before: str) -> list[Unit]:
        """The first repetition, one box for those between, and the last."""
        first = [self._unit(boxes[i], f"{before}{i + 1}") for i in range(run.start, run.start + run.period)]
        last = [self._unit(boxes[i], f"{before}{i + 1}") for i in range(run.stop - run.period, run.stop)]
        middle = list(boxes[run.start + run.period : run.stop - run.period])
        own = {node for box in middle for node in box.nodes}
        made = {value for box in middle for value in box.outputs}
        later = {value for box in boxes[run.stop - run.period :] for value in box.inputs}
        later.add(self.model.output)
        inputs = dict.fromkeys(v for box in middle for v in box.inputs if v.node not in own)
        outputs = [value for box in middle for value in box.outputs if value in later and value in made]
        unit = Unit(run.path(before), "folded", list(inputs), outputs, middle)
        unit.symbol = (Run(f"× {run.count - 2}"),)
        unit.name = tuple(piece for i, one in enumerate(first) for piece in _joined(i, one))
        unit.factors = {v: () for v in inputs if any(v in box.local for box in middle)}
        if text_width(unit.name, 12) > 120:
            unit.name = (Run(word("repeated", self.lang, NAMES)),)
        return [*first, unit, *last]

    def arrange(
        self, boxes: Sequence[Box], before: str = "", given: Sequence[Value] = (), taken: Sequence[Value] = ()
    ) -> Arrangement:
        """One level: ``given`` and ``taken`` are values drawn outside, which come in and go out."""
        units = self.units(boxes, before)
        stations: dict[Value, Station] = {}
        items: list[Item] = []
        links: list[Link] = []
        exits: dict[Value, Item] = {}
        for value in given:
            self._station(stations, items, value, True, silent=True)
        if not before:
            met = {value for unit in units for value in unit.inputs}
            for value in self.model.inputs:
                if value.role == "unused" and value not in met:
                    self._unused.add(value)
                    self._station(stations, items, value, True)
        for unit in units:
            order = operands(unit.boxes[0]) if len(unit.boxes) == 1 else {}
            inputs = sorted(
                unit.inputs,
                key=lambda value: (0 if before else _ORDER.get(value.role, 0), order.get(value, 99)),
            )
            for value in inputs:
                if value not in stations:
                    self._station(stations, items, value, True)
            unit.item = self._box_item(unit)
            items.append(unit.item)
            main = any(not stations[value].source for value in inputs)
            for value in inputs:
                station = stations[value]
                assert station.item is not None
                light = 0.05 if station.source and not station.silent and main else 1.0
                links.append(Link(station.item, unit.item, weight=light))
            for value in unit.outputs:
                self._station(stations, items, value, False, silent=value in taken)
                made = stations[value].item
                assert made is not None
                links.append(Link(unit.item, made, tight=True))
        for value in taken:
            made = stations[value].item
            assert made is not None
            exits[value] = Item(("exit", value.name), 0.0, HALF + 5, HALF + 5, edge="last")
            items.append(exits[value])
            links.append(Link(made, exits[value], weight=4.0))
        return Arrangement(units, stations, place(items, links, RIGHT if self.right else DOWN), exits)

    def _station(
        self,
        stations: dict[Value, Station],
        items: list[Item],
        value: Value,
        source: bool,
        silent: bool = False,
    ) -> None:
        if value in stations:
            return
        image = source and len(value.shape) >= 3 and value.role == "input"
        picture = picture_of(value.node.value, value.shape, self.dense, image)
        station = Station(
            value, source, silent, picture, 0.0 if silent else self._label_width(value, source, picture)
        )
        station.item = self._value_item(station)
        stations[value] = station
        items.append(station.item)

    def shape_text(self, value: Value) -> str:
        """The shape as it is written beside a name."""
        if value.shape == ():
            return word("scalar", self.lang)
        return "×".join(map(str, value.shape)) if len(value.shape) > 1 else f"{value.shape[0]}"

    def role_text(self, value: Value) -> str:
        """What a source is: an input, a parameter, a constant, or unused."""
        if value in self._unused:
            return word("unused", self.lang, NAMES)
        return word(value.role if value.role in ("parameter", "constant") else "input", self.lang)

    def _label_width(self, value: Value, source: bool, picture: Picture) -> float:
        name, shape = text_width(self.write(value), 20), text_width(self.shape_text(value), 11.5)
        role = text_width(self.role_text(value), 11.5) if value.role in _ORDER else 0.0
        shape += 34 if any(scale_of(picture, number) for number in _numbers_of(value)) else 0
        if source and self.right:
            return max(name, shape, role, 36.0)
        below = text_width((Run("∂"), *self.write(value)), 16) + 8 + shape
        return max(name + 7 + shape + (role + 5 if source else 0), below)

    def _value_item(self, station: Station) -> Item:
        key = station.value.name
        if station.silent:
            return Item(key, 0.0, HALF + 5, HALF + 5, edge="first" if station.source else "")
        graded = station.value.gradient is not None
        wide, high = station.picture.width, station.picture.height
        if not self.right:
            if station.source:
                half = max(wide, station.label) / 2 + 18
                length = 28 + high + ((LABEL + high + 14) if graded else 0) + 56
                return Item(key, length, half, half)
            side = HALF + 24 + max(wide, station.label - 8) + 6
            return Item(key, LABEL + high + 34, side, side if graded else 20.0)
        if station.source:
            high = max(high, 54.0)
            below = HALF + CLEAR + high + 6 if graded else 20.0
            lead = station.label + 20
            return Item(key, lead + wide + 30, HALF + CLEAR + high + 6, below, lead=lead)
        length = max(wide + 40, station.label + 24, 92.0) + (36 if not self._used(station.value) else 0)
        return Item(key, length, HALF + CLEAR + high + LABEL, HALF + CLEAR + high + 46 if graded else 20.0)

    def _used(self, value: Value) -> bool:
        return value is not self.model.output

    def _box_item(self, unit: Unit) -> Item:
        ports = max(len(unit.inputs), len(unit.outputs), 1)
        if unit.inside is not None:
            inner = unit.inside.placed
            half = (inner.breadth + LID + 16) / 2
            item = Item(("box", unit.path), inner.length + 2 * PAD, half, half)
            for value in unit.inputs:
                entry = unit.inside.stations[value].item
                assert entry is not None
                item.inlets[value.name] = entry.line + LID - half
            for value, leaving in unit.inside.exits.items():
                item.outlets[value.name] = leaving.line + LID - half
            return item
        across, along = self.box_size(unit)
        spacing = RIGHT if self.right else DOWN
        across = max(across, (ports - 1) * spacing.port + 2 * spacing.margin)
        loop = 22.0 if unit.kind == "loop" else 0.0
        rules = 22.0 if self.right and len(unit.factors) == 1 and any(unit.factors.values()) else 0.0
        item = Item(("box", unit.path), along, across / 2, across / 2, flexible=True)
        item.margin_before, item.margin_after = loop, max(loop, rules)
        if unit.note:
            wide = max(text_width(line, 12) for line in unit.note) + 8
            if self.right:
                item.length, item.margin_after = max(along, wide), 14 + 17.0 * len(unit.note)
            else:
                item.length, item.margin_after = along, 12 + wide
            return item
        if not self.right:
            side = [text_width(runs, 13) + 16 for runs in unit.factors.values() if runs]
            item.margin_before = 0.0
            item.margin_after = side[0] if len(unit.factors) == 1 and side else 0.0
        return item

    def box_size(self, unit: Unit) -> tuple[float, float]:
        """The least extents of a box: across the flow and along it."""
        single = len(unit.factors) <= 1
        size = symbol_size(unit.symbol)
        text = max(text_width(unit.symbol, size), text_width(unit.name, 12)) + 26
        rules = max((text_width(runs, 13) for runs in unit.factors.values()), default=0.0)
        if self.right:
            return 84.0, max(84.0, text, 0.0 if single else rules + 30)
        if unit.symbol and unit.name:
            text = text_width(unit.symbol, size) + text_width(unit.name, 12) + 36
        return max(100.0, text), 54.0 if single else 66.0


def symbol_size(runs: Runs) -> float:
    """The size of a symbol: short ones are larger."""
    length = sum(len(run.text) for run in runs)
    return 24.0 if length == 1 else 18.0 if length <= 4 else 15.0


def _numbers_of(value: Value) -> list[object]:
    return [value.node.value, value.gradient.value if value.gradient is not None else None]


def _joined(number: int, unit: Unit) -> Runs:
    runs = unit.symbol or unit.name
    return (Run(" · "), *runs) if number else runs


_ORDER = {"input": 1, "constant": 2, "parameter": 3, "unused": 4}

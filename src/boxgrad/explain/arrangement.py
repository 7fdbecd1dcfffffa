"""The boxes of a model as units with sizes, laid out: what is visible, how large, and where.

A unit is a box as it is drawn: plain, closed, opened with an arrangement of its own inside, a loop, or a run
of repeated boxes in one. Values are items too: their pictures stand on their wires.

Knows boxes, sizes of text and pictures, and the layout; draws nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from textwrap import wrap

from boxgrad.explain.boxes import Box, Model, Value
from boxgrad.explain.document import Run, Runs, text_width
from boxgrad.explain.folding import Run as Repeated
from boxgrad.explain.folding import folded, left_out
from boxgrad.explain.layout import Item, Link
from boxgrad.explain.naming import Names
from boxgrad.explain.pictures import Picture, picture_of, scale_of
from boxgrad.explain.placement import Placed, Spacing, place
from boxgrad.explain.symbols import NAMES, Writer, factor, operands, symbol
from boxgrad.explain.unroll import can_unroll
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

    @property
    def opens(self) -> bool:
        """Whether there is something to be seen inside."""
        if self.kind == "loop":
            return can_unroll(self.boxes[0])
        return self.kind in ("closed", "folded") and self.inside is None


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


@dataclass(frozen=True, slots=True)
class Level:
    """Boxes that are arranged together: the mark before their numbers, and which values leave them.

    ``spread`` says that repetitions are shown one by one; ``start`` is the number of the first box.
    """

    boxes: Sequence[Box]
    before: str = ""
    taken: Collection[Value] = frozenset()
    spread: bool = False
    start: int = 0

    def path(self, i: int) -> str:
        """The mark of a box."""
        return f"{self.before}{self.start + i + 1}"


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
        self.writer = Writer(model.everything, self.write)
        self._bundled: set[Value] = set()
        self.dense = len(model.boxes) > 9

    def write(self, value: Value) -> Runs:
        """A value's name as it is written in every view."""
        made = self._names.symbol(value.name, value.shape)
        base = Run(made.base, variable=True)
        return (base, Run(made.subscript, shift=-1)) if made.subscript else (base,)

    def units(self, level: Level) -> list[Unit]:
        """The units of some boxes: repeated ones folded, opened ones arranged inside."""
        found: list[Unit] = []
        for part in folded(level.boxes):
            if isinstance(part, int):
                found.append(self._unit(level.boxes[part], level.path(part)))
            else:
                found.extend(self._repeated(part, level))
        return found

    def _unit(self, box: Box, path: str) -> Unit:
        kind = box.kind if box.kind in ("closed", "loop") else "plain"
        if not box.nodes:
            kind = "failed"
        inputs = [value for value in box.inputs if value not in self._bundled]
        unit = Unit(path, kind, inputs, list(box.outputs), [box])
        unit.symbol, unit.name = symbol(box, self.writer, self.lang)
        if kind == "failed":
            unit.note = tuple(self._failure)
        if path in self._opened and box.parts:
            unit.kind = "opened"
            inside = Level(box.parts, f"{path}.", set(unit.outputs), spread=box.kind == "loop")
            unit.inside = self.arrange(inside, unit.inputs, unit.outputs)
        else:
            unit.factors = {v: factor(box, v, self.writer) for v in box.local if v not in self._bundled}
        return unit

    def _repeated(self, run: Repeated, level: Level) -> list[Unit]:
        """The first repetitions, one box for those between, and the last."""

        def units(numbers: range) -> list[Unit]:
            boxes = range(run.start + numbers.start * run.period, run.start + numbers.stop * run.period)
            return [self._unit(level.boxes[i], level.path(i)) for i in boxes]

        between = left_out(run.count) if level.spread else range(1, run.count - 1)
        if not between:
            return units(range(run.count))
        first = units(range(between.start))
        middle = Repeated(run.start + between.start * run.period, run.period, len(between))
        unit = Unit(middle.whole(level.before, level.start), "folded", [], [], [])
        unit.boxes = list(level.boxes[middle.start : middle.stop])
        unit.symbol = (Run(f"× {middle.count}"),)
        unit.name = tuple(piece for i, one in enumerate(first[: run.period]) for piece in _joined(i, one))
        if text_width(unit.name, 12) > 120:
            unit.name = (Run(word("repeated", self.lang, NAMES)),)
        if level.spread:
            unit.kind, unit.name = "elided", (Run(word("elided", self.lang, NAMES)),)
        later = {v for box in level.boxes[middle.stop :] for v in box.inputs} | {*level.taken}
        later.add(self.model.output)
        if unit.path in self._opened and not level.spread:
            self._ends(unit, middle.period, left_out(middle.count), later)
            start = level.start + middle.start
            inside = Level(unit.boxes, level.before, set(unit.outputs), spread=True, start=start)
            unit.inside = self.arrange(inside, unit.inputs, unit.outputs)
        else:
            self._ends(unit, middle.period, range(middle.count), later)
            unit.factors = {v: () for v in unit.inputs if any(v in box.local for box in unit.boxes)}
        return [*first, unit, *units(range(between.stop, run.count))]

    def _ends(self, unit: Unit, period: int, bundled: range, later: set[Value]) -> None:
        """What comes into repeated boxes and what leaves them; many alike are one wire, that of an end."""
        made = {value for box in unit.boxes for value in box.outputs}
        rows: dict[tuple[int, int, bool], list[Value]] = {}
        for i, box in enumerate(unit.boxes):
            where = i % period if i // period in bundled else -1 - i
            for inward, values in ((True, box.inputs), (False, box.outputs)):
                for j, value in enumerate(values):
                    if (value not in made if inward else value in later) and value not in self._bundled:
                        rows.setdefault((where, j, inward), []).append(value)
        for (_, _, inward), values in rows.items():
            distinct = list(dict.fromkeys(values))
            if len(distinct) > 2:
                kept = distinct[0 if inward else -1]
                self._bundled |= set() if inward else set(distinct) - {kept}
                distinct = [kept]
            ends = unit.inputs if inward else unit.outputs
            ends += [value for value in distinct if value not in ends]

    def arrange(self, level: Level, given: Sequence[Value] = (), taken: Sequence[Value] = ()) -> Arrangement:
        """One level: ``given`` and ``taken`` are values drawn outside, which come in and go out."""
        units, before = self.units(level), level.before
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

"""Wires as lines: the path of each value from its box to its users, twice, side by side.

Works in two directions, along the flow and across it. The forward line lies before the centre line (to the
left, seen along the flow), the backward line behind it; where a wire forks, the forward lines part and the
backward lines meet.

Knows placed items and segments; knows nothing of text or of directions on paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from boxgrad.explain.layout import Item
from boxgrad.explain.placement import SAME, Placed, Segment

Point = tuple[float, float]
_LEVEL = (0.0, -1.0)
"""The normal of a line along the flow."""


@dataclass(eq=False, slots=True)
class Strand:
    """A piece of a wire along a centre line, from a box or a fork to a box, a fork or an open end.

    ``leaves`` is the normal of the line that it leaves at a fork, and ``follows`` says that it goes straight
    on there; ``turns`` are the ways in which it parts itself; ``target`` is the item at its end, None at a
    fork or where the wire ends in the open.
    """

    points: list[Point]
    leaves: Point | None = None
    follows: bool = False
    turns: tuple[int, ...] = ()
    target: Item | None = None

    @property
    def fork(self) -> bool:
        """Whether it begins at a fork."""
        return self.leaves is not None


def by_source(placed: Placed) -> dict[Item, list[Segment]]:
    """The segments that leave each item."""
    found: dict[Item, list[Segment]] = {}
    for segment in placed.segments:
        found.setdefault(segment.source, []).append(segment)
    return found


def strands(
    out: dict[Item, list[Segment]], source: Item, start: list[Point], ends: Callable[[Item], float]
) -> list[Strand]:
    """The strands of the wire of one item, which begins with the points ``start``.

    ``ends(item)`` is where along the flow a wire stops at a user, or in the open at its own item.
    """
    found: list[Strand] = []
    pending = [(Strand(list(start)), source)]
    while pending:
        strand, item = pending.pop()
        segments = out.get(item, [])
        if len(segments) > 1:
            found.append(strand)
            pending.extend(_fork(strand, item, segments, found, ends))
        elif segments:
            pending.extend(_advance(strand, segments[0], found, ends))
        else:
            strand.points.append((ends(item), _kept(strand, item.line)))
            found.append(strand)
    return found


def _kept(strand: Strand, across: float) -> float:
    """Where a strand goes on across: where it is, unless that is another place to the eye."""
    last = strand.points[-1][1]
    return last if abs(last - across) <= SAME else across


def _advance(
    strand: Strand, segment: Segment, found: list[Strand], ends: Callable[[Item], float]
) -> list[tuple[Strand, Item]]:
    """Follow a segment to its target; what goes on through a relay is returned."""
    if segment.leg is not None:
        begins = strand.leaves not in (None, _LEVEL) and abs(strand.points[-1][0] - segment.leg) <= SAME
        if not begins:  # a strand that parts across begins on its leg
            strand.points.append((segment.leg, _kept(strand, segment.start)))
        strand.points.append((segment.leg, segment.end))
    if segment.target.relay is not None:
        return [(strand, segment.target)]
    strand.points.append((ends(segment.target), _kept(strand, segment.end)))
    strand.target = segment.target
    found.append(strand)
    return []


def _fork(
    trunk: Strand, item: Item, segments: list[Segment], found: list[Strand], ends: Callable[[Item], float]
) -> list[tuple[Strand, Item]]:
    """End a strand where it parts; strands that turn the same way part one after the other."""
    level = segments[0].start
    legs = [segment.leg for segment in segments if segment.leg is not None]
    at = legs[0] if legs else item.along + item.length
    level = _kept(trunk, level)
    trunk.points.append((at, level))
    pending: list[tuple[Strand, Item]] = []
    turns: list[int] = []
    for turn in (-1, 1):
        side = [s for s in segments if s.leg is not None and (s.end - s.start) * turn > 0]
        side.sort(key=lambda s: -abs(s.end - s.start))
        turns += [turn] if side else []
        for number, segment in enumerate(side):
            if number:
                strand = Strand([(at, segment.end)], (float(turn), 0.0))
            else:
                strand = Strand([(at, level)], _LEVEL)
            pending += _advance(strand, segment, found, ends)
    for segment in segments:
        if segment.leg is None:
            turns.append(0)
            pending += _advance(Strand([(at, level)], _LEVEL, follows=True), segment, found, ends)
    trunk.turns = tuple(turns)
    return pending


def beside(strand: Strand, shift: float) -> list[Point]:
    """The line beside a strand, by ``shift`` to the left of its course; corners stay square.

    It begins on the line beside the strand that it leaves, and ends where the strands that leave it begin.
    """
    line = _without_stops(strand.points)
    found: list[Point] = []
    for i, (along, across) in enumerate(line):
        before = _normal(line[i - 1], line[i]) if i else None
        after = _normal(line[i], line[i + 1]) if i + 1 < len(line) else None
        if before is None:
            before = strand.leaves
        if before is None or after is None or before == after:
            normal = before or after or (0.0, -1.0)
        else:
            normal = (before[0] + after[0], before[1] + after[1])
        found.append((along + shift * normal[0], across + shift * normal[1]))
    if strand.turns:
        found[-1] = (found[-1][0] + max(shift * turn for turn in strand.turns), found[-1][1])
    return found


def _without_stops(line: list[Point]) -> list[Point]:
    """A line without points that it passes straight through, or twice."""
    kept: list[Point] = []
    for point in line:
        if kept and abs(point[0] - kept[-1][0]) < 0.01 and abs(point[1] - kept[-1][1]) < 0.01:
            continue
        if len(kept) > 1 and _normal(kept[-2], kept[-1]) == _normal(kept[-1], point):
            kept[-1] = point
        else:
            kept.append(point)
    return kept


def _normal(a: Point, b: Point) -> Point:
    """Left of the way from one point to another: before it, when the way leads along the flow."""
    if abs(b[0] - a[0]) >= abs(b[1] - a[1]):
        return (0.0, -1.0) if b[0] >= a[0] else (0.0, 1.0)
    return (1.0, 0.0) if b[1] > a[1] else (-1.0, 0.0)

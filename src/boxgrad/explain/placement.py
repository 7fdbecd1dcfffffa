"""Coordinates for ordered columns: lines across the flow, ports on items, legs of wires between columns.

Lines are found by sweeps; in each, a column is placed as near to its neighbours' lines as the extents of
its items allow (the least sum of weighted distances, by pooling adjacent violators). Items that may grow
then reach for the wires that come to them, so most wires are straight; the others get a leg in the gap.

Knows items, columns and segments; knows nothing of functions or of directions on paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from boxgrad.explain.layout import Item, Link, Ranked, columns_of, order_columns, rank

PASSES = 10
SAME = 0.5
"""Lines that are no further apart count as one."""


@dataclass(frozen=True, slots=True)
class Spacing:
    """Distances: between items across, between columns, between legs, between ports and to their edge."""

    across: float = 22.0
    gap: float = 14.0
    track: float = 42.0
    port: float = 60.0
    margin: float = 30.0
    relay: float = 16.0
    reach: float = 1600.0
    """How tall an item may grow to meet its wires."""


@dataclass(eq=False, slots=True)
class Segment:
    """A wire between neighbouring columns: straight, or with a leg across at ``leg``."""

    source: Item
    target: Item
    start: float
    end: float
    leg: float | None = None


@dataclass(eq=False, slots=True)
class Placed:
    """A finished layout. ``starts[c]`` and ``widths[c]`` are those of column c along the flow."""

    columns: list[list[Item]]
    segments: list[Segment]
    starts: list[float]
    widths: list[float]
    length: float
    breadth: float

    def move(self, along: float, across: float) -> None:
        """Shift everything."""
        for column in self.columns:
            for item in column:
                item.along += along
                item.line, item.top, item.bottom = item.line + across, item.top + across, item.bottom + across
        for segment in self.segments:
            segment.start, segment.end = segment.start + across, segment.end + across
            if segment.leg is not None:
                segment.leg += along
        self.starts = [start + along for start in self.starts]


def place(items: Sequence[Item], links: Sequence[Link], spacing: Spacing = Spacing()) -> Placed:
    """Lay out items joined by links; sets their ``rank``, ``line``, ``along``, ``top`` and ``bottom``."""
    rank(items, links)
    ranked = columns_of(items, links, spacing.relay)
    order_columns(ranked)
    _lines(ranked, spacing)
    _straighten(ranked, spacing)
    segments = _ports(ranked, spacing)
    legs = _tracks(segments, len(ranked.columns))
    placed = _along(ranked.columns, segments, legs, spacing)
    _normalise(placed)
    return placed


def _offset(ports: dict[Any, float], other: Item) -> float:
    return ports.get(other.key if other.relay is None else other.relay.key, 0.0) if ports else 0.0


def _lines(ranked: Ranked, spacing: Spacing) -> None:
    columns = ranked.columns
    for column in columns:
        at = 0.0
        for item in column:
            item.line = at + item.before + item.margin_before
            at = item.line + item.after + item.margin_after + spacing.across
    into: dict[Item, list[tuple[Item, float, float]]] = {}
    out: dict[Item, list[tuple[Item, float, float]]] = {}
    for link in ranked.segments:
        shift = _offset(link.source.outlets, link.target) - _offset(link.target.inlets, link.source)
        weight = 8.0 if link.tight else link.weight
        into.setdefault(link.target, []).append((link.source, shift, weight))
        out.setdefault(link.source, []).append((link.target, -shift, weight))
    passes = 4 if sum(map(len, columns)) > 4000 else PASSES
    for number in range(passes):
        forward = number % 2 == 0
        both = number >= passes - 3
        for column in columns if forward else reversed(columns):
            wishes = []
            for item in column:
                near = (into if forward else out).get(item, [])
                far = (out if forward else into).get(item, [])
                used = [*near, *far] if both or not near else near
                wishes.append([(other.line + shift, weight) for other, shift, weight in used])
            _pool(column, wishes, spacing.across)


def _pool(column: list[Item], wishes: list[list[tuple[float, float]]], space: float) -> None:
    """Move the lines of a column as near to their wishes as the order and the extents allow."""
    blocks: list[tuple[list[tuple[float, float]], float, list[tuple[Item, float]]]] = []
    offset = 0.0
    previous: Item | None = None
    for item, wish in zip(column, wishes, strict=True):
        if previous is not None:
            offset += previous.after + previous.margin_after + space + item.margin_before + item.before
        previous = item
        points = [(line - offset, weight) for line, weight in wish] or [(item.line - offset, 1e-3)]
        members = [(item, offset)]
        at = _median(points)
        while blocks and blocks[-1][1] > at:
            earlier, _, others = blocks.pop()
            points, members = [*earlier, *points], [*others, *members]
            at = _median(points)
        blocks.append((points, at, members))
    for _, at, members in blocks:
        for item, shift in members:
            item.line = at + shift


def _median(points: list[tuple[float, float]]) -> float:
    """The weighted median; the middle where a whole interval is as good."""
    if len(points) == 1:
        return points[0][0]
    points.sort()
    half, total = sum(weight for _, weight in points) / 2, 0.0
    for i, (at, weight) in enumerate(points):
        total += weight
        if abs(total - half) < 1e-9 and i + 1 < len(points):
            return (at + points[i + 1][0]) / 2
        if total > half:
            return at
    return points[-1][0]


def _straighten(ranked: Ranked, spacing: Spacing) -> None:
    """Put the relays of a wire on one line where there is room, best on that of its source."""
    wires: dict[Item, list[Item]] = {}
    ends: dict[Item, list[float]] = {}
    for column in ranked.columns:
        for item in column:
            if item.relay is not None:
                wires.setdefault(item.relay, []).append(item)
    for link in ranked.segments:
        if link.source.relay is not None and link.target.relay is None:
            port = link.target.line + _offset(link.target.inlets, link.source)
            ends.setdefault(link.source.relay, []).append(port)
    for source, relays in wires.items():
        start = source.line
        chain: list[Item] = []
        low, high = float("-inf"), float("inf")
        for relay in [*relays, None]:
            below, above = _room(ranked, relay, spacing) if relay is not None else (1.0, 0.0)
            if relay is not None and max(low, below) <= min(high, above):
                chain.append(relay)
                low, high = max(low, below), min(high, above)
                continue
            wishes = [start, *ends.get(source, [])] if len(chain) == len(relays) else [chain[0].line]
            at = next((wish for wish in wishes if low <= wish <= high), min(max(wishes[0], low), high))
            for member in chain:
                member.line = at
            if len(chain) == len(relays) and not source.before_items and not source.outlets:
                least, most = _room(ranked, source, spacing)
                source.line = at if least <= at <= most else source.line
            start = at
            if relay is not None:
                chain, (low, high) = [relay], (below, above)


def _room(ranked: Ranked, item: Item, spacing: Spacing) -> tuple[float, float]:
    """Between which lines an item may be moved without its neighbours."""
    column = ranked.columns[item.rank]
    grown = item.bottom > item.top  # once items have grown, what counts is how far they reach
    low, high = float("-inf"), float("inf")
    if item.place:
        other = column[item.place - 1]
        edge = other.bottom if grown else other.line + other.after
        low = edge + other.margin_after + spacing.across + item.before
    if item.place + 1 < len(column):
        other = column[item.place + 1]
        edge = other.top if grown else other.line - other.before
        high = edge - other.margin_before - spacing.across - item.after
    return low - 1e-6, high + 1e-6


def _ports(ranked: Ranked, spacing: Spacing) -> list[Segment]:
    """Grow flexible items towards their wires and say where each wire meets its items."""
    for column in ranked.columns:
        for item in column:
            item.top, item.bottom = item.line - item.before, item.line + item.after
        for i, item in enumerate(column):
            if item.flexible:
                above, below = float("-inf"), float("inf")
                if i:
                    above = column[i - 1].bottom + column[i - 1].margin_after + spacing.across
                if i + 1 < len(column):
                    below = column[i + 1].top - column[i + 1].margin_before - spacing.across
                _grow(item, above + item.margin_before, below - item.margin_after, spacing)
    starts: dict[tuple[Item, Item], float] = {}
    ends: dict[tuple[Item, Item], float] = {}
    for column in ranked.columns:
        for item in column:
            for side, ports, found in (
                (item.after_items, item.outlets, starts),
                (item.before_items, item.inlets, ends),
            ):
                if item.flexible:
                    met = _meet(item, side, spacing)
                else:
                    met = [item.line + _offset(ports, other) for other in side]
                for other, at in zip(side, met, strict=True):
                    found[(item, other)] = at
    segments = [
        Segment(link.source, link.target, starts[link.source, link.target], ends[link.target, link.source])
        for link in ranked.segments
    ]
    for segment in segments:
        _snap(ranked, segment, spacing)
    return segments


def _snap(ranked: Ranked, segment: Segment, spacing: Spacing) -> None:
    """Move an item that nothing else holds to the port of its only user, where there is room."""
    item = segment.source
    if segment.start == segment.end or item.flexible or item.before_items or len(item.after_items) > 1:
        return
    line = item.line + segment.end - segment.start
    low, high = _room(ranked, item, spacing)
    if low <= line <= high:
        item.line, item.top, item.bottom = line, line - item.before, line + item.after
        segment.start = segment.end


def _wire(item: Item, towards: Item) -> float:
    """Where the wire of a neighbour comes from."""
    ports = item.outlets if towards.rank > item.rank else item.inlets
    return item.line + _offset(ports, towards)


def _grow(item: Item, above: float, below: float, spacing: Spacing) -> None:
    wires = [*item.before_items, *item.after_items]
    for other in sorted(wires, key=lambda other: abs(_wire(other, item) - item.line)):
        at = _wire(other, item)
        top, bottom = min(item.top, at - spacing.margin), max(item.bottom, at + spacing.margin)
        if top >= above and bottom <= below and bottom - top <= spacing.reach:
            item.top, item.bottom = top, bottom


def _meet(item: Item, side: Sequence[Item], spacing: Spacing) -> list[float]:
    """Ports on one side of a flexible item: where the wires come, within its edges, in order."""
    if not side:
        return []
    low, high = item.top + spacing.margin, item.bottom - spacing.margin
    order = sorted(range(len(side)), key=lambda i: (_wire(side[i], item), side[i].place))
    pitch = min(0.75 * spacing.port, (high - low) / max(len(side) - 1, 1))
    found = [0.0] * len(side)
    at = float("-inf")
    for number, i in enumerate(order):
        room = high - pitch * (len(side) - 1 - number)
        at = max(min(max(_wire(side[i], item), low), room), at + pitch)
        found[i] = at
    return found


def _tracks(segments: list[Segment], columns: int) -> list[list[list[Segment]]]:
    """For each gap its tracks, in order: groups of segments from one port whose legs share a line."""
    gaps: list[dict[tuple[Item, float], list[Segment]]] = [{} for _ in range(max(columns - 1, 0))]
    for segment in segments:
        if abs(segment.start - segment.end) > SAME:
            group = gaps[segment.source.rank].setdefault((segment.source, segment.start), [])
            group.append(segment)
    result: list[list[list[Segment]]] = []
    for gap in gaps:
        legs = sorted((_Leg(group) for group in gap.values()), key=lambda leg: leg.start)
        result.append(_shared(_ordered(legs) if len(legs) <= 24 else legs))
    return result


class _Leg:
    """The legs of the segments from one port: they share a line across."""

    def __init__(self, group: list[Segment]) -> None:
        self.group = group
        self.start = group[0].start
        self.ends = [segment.end for segment in group]
        self.low, self.high = min(self.start, *self.ends), max(self.start, *self.ends)


def _ordered(legs: list[_Leg]) -> list[_Leg]:
    """An order of legs in a gap in which few wires cross, found one leg after the other."""
    ordered: list[_Leg] = []
    for leg in legs:
        cost = sum(_conflict(leg, other) for other in ordered)
        best, least = 0, cost
        for at, other in enumerate(ordered):
            cost += _conflict(other, leg) - _conflict(leg, other)
            if cost < least:
                best, least = at + 1, cost
        ordered.insert(best, leg)
    return ordered


def _conflict(left: _Leg, right: _Leg) -> int:
    """How many wires cross when one leg is left of another."""
    out = sum(right.low < end < right.high for end in left.ends)
    return out + (left.low < right.start < left.high)


def _shared(legs: list[_Leg]) -> list[list[Segment]]:
    """Put legs that do not touch on one track, keeping the order of those that do."""
    tracks: list[list[_Leg]] = []
    for leg in legs:
        at = len(tracks)
        while at > 0 and all(o.high + 30 < leg.low or o.low - 30 > leg.high for o in tracks[at - 1]):
            at -= 1
        if at == len(tracks):
            tracks.append([])
        tracks[at].append(leg)
    return [[segment for leg in track for segment in leg.group] for track in tracks]


def _along(
    columns: list[list[Item]], segments: list[Segment], legs: list[list[list[Segment]]], spacing: Spacing
) -> Placed:
    starts: list[float] = []
    widths: list[float] = []
    at = 0.0
    for number, column in enumerate(columns):
        lead = max((item.lead for item in column if item.lead is not None), default=0.0)
        rest = max((item.length - item.lead for item in column if item.lead is not None), default=0.0)
        width = max(lead + rest, *(item.length for item in column))
        starts.append(at)
        widths.append(width)
        for item in column:
            item.along = at + (width - item.length) / 2
            if item.lead is not None:
                item.along = at + width - rest - item.lead
                item.length = item.lead + rest
        at += width
        if number < len(legs):
            tracks = legs[number]
            at += spacing.gap / 2
            for position, track in enumerate(tracks):
                for segment in track:
                    segment.leg = at + spacing.track * (position + 0.5)
            at += spacing.track * len(tracks) + spacing.gap / 2 + (14 if tracks else 0)
    return Placed(columns, segments, starts, widths, at, 0.0)


def _normalise(placed: Placed) -> None:
    """Start at 0 across."""
    items = [item for column in placed.columns for item in column]
    low = min((item.top - item.margin_before for item in items), default=0.0)
    for item in items:
        item.line, item.top, item.bottom = item.line - low, item.top - low, item.bottom - low
    for segment in placed.segments:
        segment.start, segment.end = segment.start - low, segment.end - low
    placed.breadth = max((item.bottom + item.margin_after for item in items), default=0.0)

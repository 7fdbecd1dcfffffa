"""Layered layout: items in columns along the flow, few crossings, straight wires.

Ranks are longest paths, tightened so that what nothing holds back stands next to its user. Wires that span
several columns pass through each as a relay, shared by all users of one source. The order within columns
comes from barycentre sweeps, of which the one with the fewest crossings is kept. All of it is iterative and
depends on the order of the items only, so the same graph gives the same picture.

Knows lengths along the flow and extents across it; knows nothing of functions, directions on paper or text.
Source: Sugiyama, Tagawa and Toda, 1981; Gansner et al., "A Technique for Drawing Directed Graphs", 1993.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

SWEEPS = 8


@dataclass(eq=False, slots=True)
class Item:
    """Something with a place: a line that wires meet, a length along the flow, extents on both sides.

    ``inlets`` and ``outlets`` fix where the wires of a neighbour (by key) meet it, relative to its line; an
    item that is ``flexible`` may instead grow across, to meet its wires where they come.
    """

    key: Any
    length: float
    before: float
    after: float
    flexible: bool = False
    lead: float | None = None
    """How much of the length comes before a mark; the marks of a column are put on one line."""
    edge: str = ""
    """Whether the item stays in the first or in the last column."""
    margin_before: float = 0.0
    margin_after: float = 0.0
    """Room kept free beside the item, for what is written there."""
    inlets: dict[Any, float] = field(default_factory=dict)
    outlets: dict[Any, float] = field(default_factory=dict)
    relay: Item | None = None
    """The source whose wire this item hands on, for the relays that the layout itself puts in."""
    rank: int = 0
    place: int = 0
    line: float = 0.0
    along: float = 0.0
    top: float = 0.0
    bottom: float = 0.0
    before_items: list[Item] = field(default_factory=list, repr=False)
    after_items: list[Item] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True)
class Link:
    """A wire from one item to another; a tight one joins neighbouring columns and is kept straight."""

    source: Item
    target: Item
    tight: bool = False
    weight: float = 1.0


@dataclass(eq=False, slots=True)
class Ranked:
    """Items in columns, and the wires as segments between neighbouring columns."""

    columns: list[list[Item]]
    segments: list[Link]


def topological(items: Sequence[Item], links: Iterable[Link]) -> list[Item]:
    """The items, sources of links before their targets; otherwise in the given order."""
    users: dict[Item, list[Item]] = {item: [] for item in items}
    waiting = dict.fromkeys(items, 0)
    for link in links:
        users[link.source].append(link.target)
        waiting[link.target] += 1
    ready = [item for item in items if not waiting[item]]
    for item in ready:  # grows while it is read
        for user in users[item]:
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    if len(ready) != len(items):
        raise ValueError("the links go round in a circle")
    return ready


def rank(items: Sequence[Item], links: Sequence[Link]) -> None:
    """Give each item a column: as early as its sources allow, then as late as only its users want."""
    into: dict[Item, list[Link]] = {item: [] for item in items}
    out: dict[Item, list[Link]] = {item: [] for item in items}
    for link in links:
        into[link.target].append(link)
        out[link.source].append(link)
    order = topological(items, links)
    for item in order:
        item.rank = max((link.source.rank + 1 for link in into[item]), default=0)
    for item in reversed(order):
        if item.edge or any(link.tight for link in into[item]):
            continue
        unit = [link.target for link in out[item] if link.tight]
        users = [link.target.rank for moved in (unit or [item]) for link in out[moved]]
        head = (item.rank + 1) if unit else item.rank
        slack = min(users, default=head + 1) - 1 - head
        later = item.rank + slack
        longer = sum(_stretch(link.source, item, later, into, out) for link in into[item])
        if slack > 0 and longer < slack * max(len(unit), 1):
            for moved in (item, *unit):
                moved.rank += slack
    last = max((item.rank for item in items), default=0)
    for item in items:
        if item.edge == "last":
            item.rank = last
    first = min((item.rank for item in items), default=0)
    for item in items:
        item.rank -= first


def _stretch(
    source: Item, user: Item, later: int, into: dict[Item, list[Link]], out: dict[Item, list[Link]]
) -> int:
    """How much longer the wire of a source becomes when one of its users moves to a later column."""
    others = [link.target.rank for link in out[source] if link.target is not user]
    if others:
        return max(0, later - max(others))
    return 0 if not into[source] else later - user.rank


def columns_of(items: Sequence[Item], links: Sequence[Link], relay_extent: float) -> Ranked:
    """Columns with relays where a wire passes, and the segments between neighbours."""
    columns: list[list[Item]] = [[] for _ in range(max((item.rank for item in items), default=-1) + 1)]
    for item in items:
        columns[item.rank].append(item)
    reach: dict[Item, int] = {}
    for link in links:
        reach[link.source] = max(reach.get(link.source, 0), link.target.rank)
    relays: dict[tuple[Item, int], Item] = {}
    segments: list[Link] = []
    for source, last in reach.items():
        previous = source
        for at in range(source.rank + 1, last):
            relay = Item((source.key, at), 0.0, relay_extent, relay_extent, relay=source, rank=at)
            relays[source, at] = relay
            columns[at].append(relay)
            segments.append(Link(previous, relay, weight=4.0))
            previous = relay
    for link in links:
        start = relays.get((link.source, link.target.rank - 1), link.source)
        segments.append(Link(start, link.target, link.tight, link.weight))
    for segment in segments:
        segment.source.after_items.append(segment.target)
        segment.target.before_items.append(segment.source)
    return Ranked(columns, segments)


def order_columns(ranked: Ranked) -> None:
    """Order the items within their columns so that few segments cross."""
    columns = ranked.columns
    for column in columns:
        _number(column)
    big = sum(map(len, columns)) > 4000
    best, fewest = [list(column) for column in columns], crossings(ranked)
    for sweep in range(3 if big else SWEEPS):
        if fewest == 0:
            break
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            _sort(column, forward)
        number = crossings(ranked)
        if number < fewest:
            best, fewest = [list(column) for column in columns], number
    for column, order in zip(columns, best, strict=True):
        column[:] = order
        _number(column)


def _number(column: list[Item]) -> None:
    for place, item in enumerate(column):
        item.place = place


def _port(ports: dict[Any, float], item: Item, other: Item) -> float:
    """Where in its item a wire arrives, as a fraction of a place."""
    key = other.key if other.relay is None else other.relay.key
    offset = ports.get(key, 0.0)
    return 0.8 * offset / (item.before + item.after) if offset else 0.0


def _sort(column: list[Item], forward: bool) -> None:
    """Put items at the mean place of their neighbours; those without any stay where they are."""
    wanted: list[tuple[float, int, Item]] = []
    for item in column:
        neighbours = item.before_items if forward else item.after_items
        if neighbours:
            total = sum(
                other.place + _port(other.outlets if forward else other.inlets, other, item)
                for other in neighbours
            )
            wanted.append((total / len(neighbours), item.place, item))
    sortable = iter(sorted(wanted, key=lambda entry: entry[:2]))
    for place, item in enumerate(column):
        if item.before_items if forward else item.after_items:
            column[place] = next(sortable)[2]
    _number(column)


def crossings(ranked: Ranked) -> int:
    """How often segments cross, counted gap by gap."""
    gaps: dict[int, list[tuple[float, float]]] = {}
    for segment in ranked.segments:
        source, target = segment.source, segment.target
        start = source.place + (_port(source.outlets, source, target) if source.outlets else 0.0)
        end = target.place + (_port(target.inlets, target, source) if target.inlets else 0.0)
        gaps.setdefault(source.rank, []).append((start, end))
    total = 0
    for pairs in gaps.values():
        seen: list[float] = []
        for _, place in sorted(pairs):
            at = bisect_right(seen, place)
            total += len(seen) - at
            seen.insert(at, place)
    return total

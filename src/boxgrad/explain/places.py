"""Places in an array: what a key says about each axis, and the arithmetic of indices.

A written key (``1:-1``, ``…,0``, ``:,∗``) counts from 0, as in the code. Knows no array's values.
"""

from __future__ import annotations

import re
from typing import Any

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Expression
from boxgrad.explain.simplify import simplify

Place = tuple["Expression | None", ...]
"""For each axis an index: a letter, a number or a sum; None along an axis of size 1."""
Marks = list[tuple[Any, ...]]
"""("new",), ("at", k) or ("from", start, step, count) for each part of a key."""

_PART = re.compile(r"∗|-?\d+|(-?\d*):(-?\d*)(?::(-?\d+))?")


def letter(name: str) -> Expression:
    """A letter that stands for a place."""
    return x.Symbol("", name, shape=())


def is_letter(e: Expression) -> bool:
    return isinstance(e, x.Symbol) and not e.key


def marks_of(key: str, shape: tuple[int, ...]) -> Marks | None:
    """What a written key says about each axis of an array of that shape; None where it is another thing."""
    parts = key.split(",") if key else []
    used = sum(part not in ("∗", "…") for part in parts)
    missing = len(shape) - used
    if missing < 0:  # of several results, not of an array
        return None
    if "…" not in parts:
        parts = [*parts, "…"]
    at = parts.index("…")
    parts[at : at + 1] = [":"] * missing
    found: Marks = []
    sizes = iter(shape)
    for part in parts:
        match = _PART.fullmatch(part)
        if match is None:
            return None
        if part == "∗":
            found.append(("new",))
            continue
        n = next(sizes)
        if ":" not in part:
            found.append(("at", int(part) % n))
            continue
        numbers = [int(text) if text else None for text in match.groups()]
        start, stop, step = slice(*numbers).indices(n)
        found.append(("from", start, step, len(range(start, stop, step))))
    return found


def number_of(e: Expression) -> int | None:
    """The whole number that an index is."""
    if isinstance(e, x.Negative):
        inner = number_of(e.x)
        return None if inner is None else -inner
    return e.value if isinstance(e, x.Number) and isinstance(e.value, int) else None


def moved(place: Expression | None, start: int, step: int) -> Expression:
    """start + step · place."""
    if place is None:
        return x.number(start)
    along = x.times(x.number(step), place) if step != 1 else place
    terms = (along, x.number(start)) if step > 0 else (x.number(start), along)
    return simplify(x.add(*terms)) if start else simplify(along)


Range = tuple[int, int]


def within(place: Expression, first: int, last: int, span: Range) -> Expression | None:
    """first ≤ place ≤ last, of a place that lies in a span; None where it always holds."""
    place, first, last, span = _plain(place, first, last, span)
    low, high = x.number(first), x.number(last)
    if first <= span[0] and last >= span[1]:
        return None
    if first == last:
        return x.Infix("=", (place, low), shape=())
    if first <= span[0]:
        return x.Infix("≤", (place, high), shape=())
    if last >= span[1]:
        return x.Infix("≥", (place, low), shape=())
    return x.Infix("≤", (low, place, high), shape=())


def outside(place: Expression, first: int, last: int, span: Range) -> list[Expression]:
    """The conditions of which one holds where ``within`` does not."""
    place, first, last, span = _plain(place, first, last, span)
    if first == last:
        return [x.Infix("≠", (place, x.number(first)), shape=())]
    found: list[Expression] = []
    if first > span[0]:
        found.append(x.Infix("<", (place, x.number(first)), shape=()))
    if last < span[1]:
        found.append(x.Infix(">", (place, x.number(last)), shape=()))
    return found


def _plain(place: Expression, first: int, last: int, span: Range) -> tuple[Expression, int, int, Range]:
    """3 ≤ i + 1 as 2 ≤ i."""
    if isinstance(place, x.Add) and len(place.terms) == 2:
        off = number_of(place.terms[1])
        if off is not None:
            return place.terms[0], first - off, last - off, (span[0] - off, span[1] - off)
    return place, first, last, span


def has_letter(e: Expression, name: str) -> bool:
    """Whether a formula depends on an index."""
    for part in x.parts_of(e):
        if isinstance(part, x.Derivative) and has_letter(part.by, name):
            return True
        if isinstance(part, x.Symbol) and not part.key and part.base == name:
            return True
        if isinstance(part, x.Element) and name in part.indices:
            return True
        if isinstance(part, (x.Item, x.Over)) and name in part.index:
            return True
    return False


def holds(condition: Expression) -> Expression:
    return x.Indicator(condition, shape=())

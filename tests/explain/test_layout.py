"""Layered layouts: nothing overlaps, ranks follow the links, the same every time, large ones quickly."""

from __future__ import annotations

import random
import sys
from itertools import pairwise

import pytest

from boxgrad.explain.layout import Item, Link, Ranked, columns_of, crossings, order_columns, rank, topological
from boxgrad.explain.placement import Placed, Spacing, place


def random_graph(size: int, reach: int, seed: int) -> tuple[list[Item], list[Link]]:
    """Items of different sizes, each linked from one or two of those shortly before it."""
    choose = random.Random(seed)
    items = [
        Item(n, choose.choice((40.0, 90.0)), choose.choice((20.0, 50.0)), 30.0, flexible=n % 2 == 0)
        for n in range(size)
    ]
    links = []
    for n in range(1, size):
        for m in sorted({choose.randrange(max(0, n - reach), n) for _ in range(choose.choice((1, 1, 2)))}):
            links.append(Link(items[m], items[n]))
    return items, links


def check_apart(placed: Placed, spacing: Spacing) -> None:
    """No two items of a column come closer than the spacing; columns follow each other."""
    for column in placed.columns:
        for above, below in pairwise(sorted(column, key=lambda item: item.top)):
            assert below.top - above.bottom >= spacing.across - 1e-3
    for number, (start, width) in enumerate(zip(placed.starts, placed.widths, strict=True)):
        for item in placed.columns[number]:
            assert start - 1e-6 <= item.along
            assert item.along + item.length <= start + width + 1e-6
        if number:
            assert placed.starts[number - 1] + placed.widths[number - 1] < start


@pytest.mark.parametrize("seed", range(12))
def test_items_do_not_overlap_and_ranks_follow_links(seed: int) -> None:
    items, links = random_graph(60, 12, seed)
    placed = place(items, links)
    check_apart(placed, Spacing())
    for link in links:
        assert link.source.rank < link.target.rank
    assert min(item.top for item in items) >= 0
    assert max(item.bottom for item in items) <= placed.breadth + 1e-6


@pytest.mark.parametrize("seed", range(6))
def test_segments_meet_their_items(seed: int) -> None:
    items, links = random_graph(50, 9, seed)
    placed = place(items, links)
    for segment in placed.segments:
        assert segment.target.rank == segment.source.rank + 1
        assert segment.source.top - 1e-6 <= segment.start <= segment.source.bottom + 1e-6
        assert segment.target.top - 1e-6 <= segment.end <= segment.target.bottom + 1e-6
        if segment.leg is None:
            assert abs(segment.start - segment.end) <= 0.5
        else:
            end = placed.starts[segment.source.rank] + placed.widths[segment.source.rank]
            assert end < segment.leg < placed.starts[segment.target.rank]


def test_the_same_graph_gives_the_same_picture() -> None:
    def picture() -> list[tuple[float, float, float]]:
        items, links = random_graph(80, 15, 3)
        place(items, links)
        return [(item.along, item.line, item.top) for item in items]

    assert picture() == picture()


def test_a_chain_is_straight() -> None:
    items = [Item(n, 50, 20 + n, 30) for n in range(6)]
    placed = place(items, [Link(a, b, tight=True) for a, b in pairwise(items)])
    assert len({round(item.line, 6) for item in items}) == 1
    assert all(segment.leg is None for segment in placed.segments)


def test_a_source_stands_next_to_its_user() -> None:
    a, b, c, w = (Item(name, 50, 20, 20) for name in "abcw")
    rank([a, w, b, c], [Link(a, b), Link(b, c), Link(w, c)])
    assert (a.rank, b.rank, c.rank, w.rank) == (0, 1, 2, 1)


def test_a_flexible_item_grows_to_meet_two_sources() -> None:
    x, w = Item("x", 80, 60, 60), Item("w", 80, 60, 60)
    box = Item("box", 84, 42, 42, flexible=True)
    placed = place([x, w, box], [Link(x, box), Link(w, box)])
    assert all(segment.leg is None for segment in placed.segments)
    assert box.top < x.line < w.line < box.bottom
    assert box.line == pytest.approx((x.line + w.line) / 2)


def test_sweeps_undo_crossings() -> None:
    left = [Item(f"l{n}", 40, 20, 20) for n in range(4)]
    right = [Item(f"r{n}", 40, 20, 20) for n in range(4)]
    links = [Link(left[n], right[3 - n]) for n in range(4)]
    rank([*left, *right], links)
    ranked: Ranked = columns_of([*left, *right], links, 10)
    for column in ranked.columns:
        for position, item in enumerate(column):
            item.place = position
    assert crossings(ranked) == 6
    order_columns(ranked)
    assert crossings(ranked) == 0


def test_links_in_a_circle_are_refused() -> None:
    a, b = Item("a", 1, 1, 1), Item("b", 1, 1, 1)
    with pytest.raises(ValueError, match="circle"):
        topological([a, b], [Link(a, b), Link(b, a)])


@pytest.mark.parametrize("reach", [1, 30])
def test_five_thousand_items_without_recursion(reach: int) -> None:
    items, links = random_graph(5000, reach, 1)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(120)
    try:
        placed = place(items, links)
    finally:
        sys.setrecursionlimit(limit)
    check_apart(placed, Spacing())

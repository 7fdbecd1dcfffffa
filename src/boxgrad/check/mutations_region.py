"""Mistakes of several boxes together: a statistic taken as constant, a function's derivative left out whole.

A region is a stretch of boxes between one value and another through which the gradient flows. What a person
derives as one rule (a sigmoid, a softmax, a standardisation) is several boxes to a tracer; these are the
mistakes made in such a rule. Regions are found by shape and by who uses what, not by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad.check.tape import Edge, Numbers, Replacement, Tape, applied
from boxgrad.explain.boxes import is_elementwise
from boxgrad.graph.node import Node


@dataclass(eq=False)
class Group:
    """A mistake that changes several edges."""

    kind: str
    changes: dict[Edge, Replacement]
    rank: float
    node: Node
    key: tuple[Any, ...]
    detail: str = ""


def group_edits(tape: Tape) -> Iterator[Group]:
    """All mistakes of groups of boxes."""
    yield from _statistics(tape)
    yield from _accumulations(tape)
    for u, y, inside in regions(tape):
        yield from _region(tape, u, y, inside)


def _zero(edge: Edge) -> Replacement:
    shape = edge.input.shape
    return lambda now: np.zeros(shape)


# ---- statistics
def _statistics(tape: Tape) -> Iterator[Group]:
    """For a value used more than once: all smaller values computed from it are treated as constants."""
    for u in tape.order:
        if len(tape.into.get(u, [])) < 2:
            continue
        cut = _reductions(tape, u)
        if not cut:
            continue
        changes = {edge: _zero(edge) for edge in tape.edges if edge.node in cut}
        last = max(cut, key=lambda node: node.number)
        yield Group(
            "treated as constant", changes, 0.28 if len(cut) > 1 else 0.2, last, ("statistics", len(cut))
        )


def _reductions(tape: Tape, u: Node) -> set[Node]:
    """The values smaller than u that are computed from it and meet values of its shape again."""
    full: set[Node] = {u}
    small: set[Node] = set()
    cut: set[Node] = set()
    for node in tape.order:
        if node.number <= u.number:
            continue
        sources = [x for x in node.inputs if x in full]
        lesser = [x for x in node.inputs if x in small]
        if not sources and not lesser:
            continue
        if node.shape == u.shape and is_elementwise(node):
            if lesser:
                full.add(node)
                cut.update(lesser)
            elif sources:
                full.add(node)
        elif int(np.prod(node.shape)) < int(np.prod(u.shape)):
            small.add(node)
    return cut


# ---- accumulations
def _accumulations(tape: Tape) -> Iterator[Group]:
    """Of several uses of a value, only the last or only the first counts."""
    for node, edges in tape.into.items():
        for chosen in _bundles(tape, edges):
            for index, word in ((0, "last"), (-1, "first")):
                kept = chosen[index]
                changes = {edge: _zero(edge) for edge in chosen if edge is not kept}
                yield Group("path dropped", changes, 1.5, kept.node, ("only", word, node.number), word)


def _bundles(tape: Tape, edges: list[Edge]) -> Iterator[list[Edge]]:
    if len(edges) > 2:
        yield edges
    sites: dict[Any, list[Edge]] = {}
    for edge in edges:
        sites.setdefault((tape.site(edge.node), edge.node.inputs.index(edge.input)), []).append(edge)
    for bundle in sites.values():
        if len(bundle) > 1 and (len(bundle) < len(edges) or len(bundle) == 2):
            yield bundle


# ---- regions
REGIONS = 4
"""How many values further on a region may end at."""


def regions(tape: Tape) -> Iterator[tuple[Node, Node, list[Node]]]:
    """Stretches from u to a y of its shape through which all of u's gradient comes, and what is between.

    y is a value that a person has a name for, or that ends a box.
    """
    after = _after(tape)
    ends = {box.outputs[-1].node for box in (*tape.boxes, *tape.closed)}
    for u in tape.order:
        if u.shape == () or u not in after:
            continue
        y, count = after[u], 0
        while y is not None and count < REGIONS:
            if y in ends and y.shape == u.shape:
                inside = _between(tape, u, y)
                if len(inside) > 1:
                    yield u, y, inside
                count += 1
            y = after.get(y)


def _after(tape: Tape) -> dict[Node, Node | None]:
    """For each value the next one through which everything that depends on it goes."""
    active = set(tape.order)
    depth: dict[Node, int] = {tape.output: 0}
    found: dict[Node, Node | None] = {tape.output: None}
    for node in reversed(tape.order):
        if node is tape.output:
            continue
        users = [u for u in dict.fromkeys(tape.users.get(node, [])) if u in active and u in depth]
        if not users:
            continue
        meet = users[0]
        for other in users[1:]:
            a, b = meet, other
            while a is not b:
                if depth[a] < depth[b]:
                    a, b = b, a
                following = found[a]
                assert following is not None
                a = following
            meet = a
        found[node], depth[node] = meet, depth[meet] + 1
    return found


def _between(tape: Tape, u: Node, y: Node) -> list[Node]:
    """The nodes on the ways from u to y, y included."""
    forward: set[Node] = {u}
    for node in tape.order:
        if u.number < node.number <= y.number and any(x in forward for x in node.inputs):
            forward.add(node)
    kept: set[Node] = set()
    stack = [y]
    while stack:
        node = stack.pop()
        if node in forward and node is not u and node not in kept:
            kept.add(node)
            stack.extend(node.inputs)
    return sorted(kept, key=lambda node: node.number)


def _region(tape: Tape, u: Node, y: Node, inside: list[Node]) -> Iterator[Group]:
    own = set(inside)
    into = [edge for edge in tape.into.get(u, []) if edge.node in own]
    if not into or y not in tape.gradient:
        return
    last = max(into, key=lambda edge: edge.number)
    g = tape.gradient[y]

    def group(kind: str, rank: float, key: tuple[Any, ...], make: Replacement, detail: str = "") -> Group:
        changes: dict[Edge, Replacement] = {edge: _zero(edge) for edge in into}
        changes[last] = make
        return Group(kind, changes, rank, y, ("region", *key), detail)

    yield group("derivative left out", 0.4, ("left out",), lambda now: now[g], "1")
    pure = all(is_elementwise(n) for n in inside) and _single(tape, u, inside)
    if not pure:
        return
    for name, value, rank in _arguments(tape, u, y):
        yield group(
            "wrong value",
            rank,
            ("at", name),
            _slope_at(tape, u, y, inside, lambda now, v=value: now[v]),
            name,
        )
    form = _polynomial(tape, u, y, inside)
    if form is not None:
        yield from _forms(tape, u, y, form, group, g)


def _single(tape: Tape, u: Node, inside: list[Node]) -> bool:
    own = set(inside)
    return all(x in own or x is u or x not in tape.gradient for n in inside for x in n.inputs)


def _arguments(tape: Tape, u: Node, y: Node) -> Iterator[tuple[str, Node, float]]:
    yield tape.name(y), y, 1.0
    for value in tape.model.values.values():
        node = value.node
        if node.shape == u.shape and node not in (u, y) and not value.automatic and node.dtype.kind == "f":
            yield value.name, node, 3.3


def _slope_at(tape: Tape, u: Node, y: Node, inside: list[Node], value: Any) -> Replacement:
    """The region's derivative, taken where its argument is another value."""
    own = set(inside)
    edges = [edge for edge in tape.edges if edge.node in own and (edge.input in own or edge.input is u)]

    def make(now: Numbers) -> Any:
        moved: Numbers = {u: value(now)}
        for node in inside:
            moved[node] = applied(node, _Layered(moved, now))
        moved[tape.gradient[y]] = now[tape.gradient[y]]
        for edge in edges:
            layered = _Layered(moved, now)
            for leaf in edge.leaves:
                moved.setdefault(leaf, np.zeros(leaf.shape))
            local: Numbers = {}
            look = _Layered(local, layered)
            for node in (*edge.fixed, *edge.moving):
                local[node] = node.value if node.primitive is None else applied(node, look)
            share = look[edge.root]
            leaf = tape.gradient[edge.input]
            moved[leaf] = moved[leaf] + share if leaf in moved else share
        return moved[tape.gradient[u]]

    return make


class _Layered:
    """Numbers over other numbers."""

    __slots__ = ("_below", "_over")

    def __init__(self, over: Any, below: Any) -> None:
        self._over, self._below = over, below

    def __getitem__(self, node: Node) -> Any:
        return self._over[node] if node in self._over else self._below[node]


# ---- rules in terms of the result: s (1 - s), 1 - t²
def _polynomial(tape: Tape, u: Node, y: Node, inside: list[Node]) -> tuple[float, float, float] | None:
    """a, b, c where the derivative is a + b y + c y² for every element; None where it is not."""
    if u.value is None or y.value is None:
        return None
    slope = _slope_at(tape, u, y, inside, lambda now: now[u])
    numbers: Numbers = {node: node.value for node in (u, y, *inside)}
    for node in tape.model.graph.nodes:
        numbers.setdefault(node, node.value)
    numbers[tape.gradient[y]] = np.ones(y.shape)
    probe = np.linspace(-1.7, 1.9, int(np.prod(u.shape))).reshape(u.shape)
    if probe.size < 5:
        return None
    numbers[u] = probe
    try:
        with np.errstate(all="ignore"):
            for node in inside:
                numbers[node] = applied(node, numbers)
            d = np.asarray(slope(numbers)).ravel()
            r = np.asarray(numbers[y]).ravel()
    except (ValueError, TypeError, KeyError):
        return None
    if not (np.all(np.isfinite(d)) and np.all(np.isfinite(r))) or np.ptp(r) == 0 or np.ptp(d) == 0:
        return None
    powers = np.stack([np.ones_like(r), r, r * r], axis=1)
    found, *_ = np.linalg.lstsq(powers, d, rcond=None)
    if np.abs(powers @ found - d).max() > 1e-9 * np.abs(d).max():
        return None
    a, b, c = (round(float(k), 9) for k in found)
    return (a, b, c)


def _forms(
    tape: Tape, u: Node, y: Node, form: tuple[float, float, float], group: Any, g: Node
) -> Iterator[Group]:
    """The mistakes of a rule that is a polynomial in the result."""

    def put(kind: str, rank: float, key: tuple[Any, ...], f: Any, at: Node = y, detail: str = "") -> Group:
        return group(kind, rank, ("form", *key), lambda now: now[g] * f(np.asarray(now[at])), detail)

    def whole(v: Any) -> Any:
        return form[0] + form[1] * v + form[2] * v * v

    for name, value, rank in ((tape.name(u), u, 0.7), *_arguments(tape, u, y)):
        if value is not y:
            yield put("wrong value", rank, ("at", name), whole, value, name)
    yield put("wrong value", 2.4, ("of result",), lambda v: whole(applied_again(tape, u, y, v)))
    a, b, c = form
    if sum(map(bool, form)) > 1:
        for i, k in enumerate(form):
            if k:
                rest = tuple(0.0 if j == i else z for j, z in enumerate(form))
                yield put(
                    "term missing",
                    1.4,
                    ("without", i),
                    lambda v, rest=rest: rest[0] + rest[1] * v + rest[2] * v * v,
                )
                flipped = tuple(-z if j == i else z for j, z in enumerate(form))
                yield put("sign", 2.3, ("flipped", i), lambda v, f=flipped: f[0] + f[1] * v + f[2] * v * v)
    if a == 0 and b == 1 and c == -1:
        yield put("term missing", 1.5, ("1 - y",), lambda v: 1 - v)
        yield put("operator", 2.3, ("y (1 + y)",), lambda v: v * (1 + v))
    if b == 0 and c:
        yield put("term missing", 1.4, ("y for y²",), lambda v: a + c * v)


def applied_again(tape: Tape, u: Node, y: Node, v: Any) -> Any:
    """The region's function of another value."""
    inside = [n for n in tape.order if n.number <= y.number and n.number > u.number]
    numbers: Numbers = {node: node.value for node in tape.model.graph.nodes}
    numbers[u] = v
    for node in inside:
        if any(x is u or x in inside for x in node.inputs):
            numbers[node] = applied(node, numbers)
    return numbers[y]

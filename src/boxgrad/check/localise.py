"""Where a mistake is that has no name: the box from which on the gradient is wrong.

If one wrong gradient, arriving at one value, explains all that is wrong, then the difference between claim
and truth is something that this value can pass back: it lies in the range of the map from its gradient to the
inputs'. That is tested with random tangents, as many as the value has elements and some more. Of the values
that pass, the one furthest back says most. Knows fingerprints and linear algebra; knows no mistake.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from boxgrad.check.budget import Budget
from boxgrad.check.mutations import box_name
from boxgrad.check.mutations_edge import is_constant
from boxgrad.check.search import Search
from boxgrad.check.tape import Edge, Tape
from boxgrad.graph.node import Node

LARGEST = 320
"""The most elements of a value that is tested so."""
MORE = 6
"""How many tangents beyond the number of elements."""


def places(search: Search, seconds: float) -> list[Node]:
    """The nodes in whose box the mistake can be, the likeliest first; no more than two boxes."""
    tape, case = search.case.tape, search.case
    wrong, spoken = set(case.wrong), frozenset(case.wrt)
    if not case.shapes_fit:
        ill = [x for x in case.wrong if np.shape(case.looks[0].claims[x]) != x.shape]
        return [edge.node for edge in tape.into.get(ill[0], [])]
    direct = _boxes(search, [edge for x in case.wrong for edge in tape.into.get(x, [])])
    reachable = [n for n in tape.order if n in tape.gradient and wrong <= tape.reach.get(n, frozenset())]
    exact = [n for n in reachable if tape.reach[n] & spoken == wrong and n not in tape.wrt]
    candidates = exact if len(wrong) == 1 else exact or reachable
    passing, undecided = _explaining(search, candidates, Budget(seconds, every=4))
    others = _boxes(search, passing or undecided)
    if len(wrong) > 1:
        return (others or direct)[:2]
    known = {box_name(tape, node) for node in direct}
    return [*direct[:2], *(node for node in others if box_name(tape, node) not in known)][:2]


def _boxes(search: Search, edges: Iterable[Edge]) -> list[Node]:
    """The boxes whose rule may be wrong, least simple first, without those that truly hand back nothing."""
    tape = search.case.tape
    best: dict[str, tuple[int, int, Node]] = {}
    for edge in edges:
        name = box_name(tape, edge.node)
        score = (-min(_moves(edge), 3), edge.node.number)
        if (name not in best or score < best[name][:2]) and not _cancels(search, edge):
            best[name] = (*score, edge.node)
    return [node for _, _, node in sorted(best.values(), key=lambda one: one[:2])]


def _moves(edge: Edge) -> int:
    """How much a rule does: nothing for an identity or a rearrangement, more for products and functions."""
    read = {x for node in edge.moving for x in node.inputs if x not in edge.moving and x not in edge.leaves}
    return len([x for x in read if not is_constant(x)]) + (len(edge.moving) > 2)


def _cancels(search: Search, edge: Edge) -> bool:
    """Whether what arrives at an edge is 0 but for rounding, as at the maximum that softmax subtracts."""
    look, tape = search.case.looks[0], search.case.tape
    parts = [np.linalg.norm(look.shares[e]) for e in tape.into.get(edge.node, [])]
    total = np.linalg.norm(look.now[tape.gradient[edge.node]])
    return bool(parts) and float(total) <= 1e-9 * float(max(parts))


# ---- the range of a value's way back
def _explaining(search: Search, nodes: list[Node], budget: Budget) -> tuple[list[Edge], list[Edge]]:
    """The edges of which wrong results explain the claim, and those whose range holds every claim."""
    tape, case = search.case.tape, search.case
    size = sum(int(np.prod(x.shape)) for x in case.wrt)
    groups = [edges for n in nodes if n not in tape.wrt and (edges := tape.into.get(n))]
    groups += _lines(tape, set(case.wrong), frozenset(case.wrt))
    undecided = [edge for edges in groups if _size(edges) >= size for edge in edges]
    groups = [edges for edges in groups if _size(edges) < min(size, LARGEST)]
    if not groups:
        return [], undecided
    values = list(dict.fromkeys(edge.input for edges in groups for edge in edges))
    rows = _tangents(search, values, max(map(_size, groups)) + MORE, budget)
    if rows is None:
        return [], [*undecided, *(edge for edges in groups for edge in edges)]
    matrices, targets = rows
    bound = (1e-3 if case.single else 1e-6) * float(np.abs(targets).max())
    passing: list[Edge] = []
    for edges in groups:
        n = _size(edges) + MORE
        inputs = dict.fromkeys(edge.input for edge in edges)
        matrix = np.concatenate([matrices[x][:n] for x in inputs], axis=1)
        found, _, rank, _ = np.linalg.lstsq(matrix, targets[:n], rcond=1e-11)
        if rank < n and np.abs(matrix @ found - targets[:n]).max() <= bound:
            passing += edges
    return passing, undecided


def _size(edges: Iterable[Edge]) -> int:
    """How many numbers can be wrong where some edges lead to."""
    return sum(int(np.prod(x.shape)) for x in dict.fromkeys(edge.input for edge in edges))


def _lines(tape: Tape, wrong: set[Node], spoken: frozenset[Node]) -> list[list[Edge]]:
    """The copies of each edge of a repeated line, if together they reach what is wrong, and no more."""
    found: dict[Any, list[Edge]] = {}
    for edge in tape.edges:
        if tape.copies(edge.node) > 1:
            found.setdefault((tape.site(edge.node), edge.node.inputs.index(edge.input)), []).append(edge)
    lines = []
    for edges in found.values():
        reach = {x for edge in edges for x in tape.reach.get(edge.input, frozenset())}
        if len({edge.input for edge in edges}) > 1 and reach & spoken == wrong:
            lines.append(edges)
    return lines


def _tangents(
    search: Search, nodes: list[Node], count: int, budget: Budget
) -> tuple[dict[Node, np.ndarray[Any, Any]], np.ndarray[Any, Any]] | None:
    """So many random tangents of some values, and what claim and truth differ by along each."""
    transposes, look, wrt = search.transposes, search.case.looks[0], search.case.wrt
    random = np.random.default_rng(11)
    rows: dict[Node, list[Any]] = {node: [] for node in nodes}
    targets: list[float] = []
    with np.errstate(all="ignore"):
        for _ in range(count):
            if budget.spent():
                return None
            directions = {x: random.normal(size=x.shape) for x in wrt}
            found = transposes.tangents(look.point.numbers, directions)
            targets.append(
                sum(
                    float(np.vdot(r, np.asarray(look.claims[x], np.float64) - look.true[x]))
                    for x, r in directions.items()
                )
            )
            for node in nodes:
                t = found.get(node)
                rows[node].append(np.zeros(int(np.prod(node.shape))) if t is None else np.ravel(t))
    return {node: np.array(found) for node, found in rows.items()}, np.array(targets)

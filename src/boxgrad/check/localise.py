"""Where a mistake is that has no name: the box from which on the gradient is wrong.

If one wrong gradient, arriving at one value, explains all that is wrong, then the difference between claim
and truth is something that this value can pass back: it lies in the range of the map from its gradient to the
inputs'. That is tested with random tangents, as many as the value has elements and some more. Of the values
that pass, the one furthest back says most. Knows fingerprints and linear algebra; knows no mistake.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad.check.budget import Budget
from boxgrad.check.fingerprints import Transposes
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
    """The nodes in whose box the mistake can be, the likeliest first."""
    tape, case = search.case.tape, search.case
    wrong = set(case.wrong)
    reachable = [n for n in tape.order if n in tape.gradient and wrong <= tape.reach.get(n, frozenset())]
    if not case.shapes_fit:
        return _above(tape, [x for x in case.wrong if np.shape(case.looks[0].claims[x]) != x.shape][:1])
    spoken = frozenset(case.wrt)
    exact = [n for n in reachable if tape.reach[n] & spoken == wrong]
    candidates = [n for n in exact or reachable if not _idle(search, n)]
    passing, undecided = _explaining(search, candidates, Budget(seconds, every=4))
    found = passing or undecided
    if len(wrong) == 1 or not found:
        found = [*found, *case.wrong]
    return _boxes(search, found)


def _idle(search: Search, node: Node) -> bool:
    """Whether the true gradient of a value is 0, so that nothing hangs on it."""
    look, tape = search.case.looks[0], search.case.tape
    total = look.now.get(tape.gradient[node])
    parts = [look.shares[edge] for edge in tape.into.get(node, [])]
    size = max((float(np.abs(part).max(initial=0.0)) for part in parts), default=0.0)
    return total is not None and bool(np.abs(total).max(initial=0.0) <= 1e-12 * size)


def _boxes(search: Search, passing: list[Node]) -> list[Node]:
    """At most two boxes whose rule may be wrong: those that hand back to the values, least simple first."""
    tape, shares = search.case.tape, search.case.looks[0].shares
    edges = [edge for node in passing for edge in tape.into.get(node, []) if not _idle(search, edge.node)]
    if not edges:
        return passing[:1]
    largest = max(float(np.abs(shares[edge]).max(initial=0.0)) for edge in edges)
    best: dict[object, tuple[float, int, Node]] = {}
    for edge in edges:
        if float(np.abs(shares[edge]).max(initial=0.0)) <= 1e-12 * largest:
            continue
        line = tape.site(tape.box_of[edge.node].outputs[-1].node)
        score = (-_moves(edge), edge.node.number)
        if line not in best or score < best[line][:2]:
            best[line] = (*score, edge.node)
    ordered = [node for _, _, node in sorted(best.values(), key=lambda one: one[:2])]
    names = {box_name(tape, node): node for node in reversed(ordered)}
    return [node for node in ordered if names[box_name(tape, node)] is node][:2]


def _moves(edge: Edge) -> float:
    """How much a rule does: nothing for an identity or a rearrangement, more for products and functions."""
    read = {x for node in edge.moving for x in node.inputs if x not in edge.moving and x not in edge.leaves}
    return len([x for x in read if not is_constant(x)]) + 0.3 * len(edge.moving) + 0.3 * len(edge.fixed)


def _above(tape: Tape, inputs: list[Node]) -> list[Node]:
    """The boxes that use some inputs."""
    return list(dict.fromkeys(edge.node for x in inputs for edge in tape.into.get(x, [])))


def _explaining(search: Search, candidates: list[Node], budget: Budget) -> tuple[list[Node], list[Node]]:
    """The values of which one wrong gradient explains the claim, and those that are too large to tell."""
    tape, look, case = search.case.tape, search.case.looks[0], search.case
    small = [n for n in candidates if int(np.prod(n.shape)) <= LARGEST and n not in tape.wrt]
    if not small:
        return [], candidates
    sizes = sum(int(np.prod(x.shape)) for x in case.wrt)
    count = max(int(np.prod(n.shape)) for n in small) + MORE
    if any(tape.copies(n) > 1 for n in small):
        count = min(max(count, 2 * count), sizes, LARGEST) + MORE
    rows = _tangents(search.transposes, look, case.wrt, small, count, budget)
    if rows is None:
        return [], candidates
    matrices, targets = rows
    scale = float(np.abs(targets).max())
    passing: list[Node] = []
    undecided: list[Node] = []
    size = sum(int(np.prod(x.shape)) for x in case.wrt)
    for node in small:
        n = int(np.prod(node.shape)) + MORE
        matrix, target = matrices[node][:n], targets[:n]
        if n - MORE >= size:
            undecided.append(node)
            continue
        found, _, rank, _ = np.linalg.lstsq(matrix, target, rcond=1e-11)
        if rank < n and np.abs(matrix @ found - target).max() <= (1e-3 if case.single else 1e-6) * scale:
            passing.append(node)
    if passing:
        return passing, undecided
    several, open_lines = _copies(search, small, matrices, targets, scale, size)
    return several, [*undecided, *open_lines]


def _copies(
    search: Search, nodes: list[Node], matrices: Any, targets: Any, scale: float, size: int
) -> tuple[list[Node], list[Node]]:
    """Copies of lines whose wrong gradients together explain the claim, or which are too large to tell."""
    tape = search.case.tape
    lines: dict[Any, list[Node]] = {}
    passing: list[Node] = []
    undecided: list[Node] = []
    for node in nodes:
        lines.setdefault(tape.site(node), []).append(node)
    for copies in lines.values():
        total = sum(int(np.prod(n.shape)) for n in copies)
        if len(copies) < 2:
            continue
        if total + MORE > len(targets) or total >= size:
            undecided += copies
            continue
        matrix = np.concatenate([matrices[n] for n in copies], axis=1)
        found, _, rank, _ = np.linalg.lstsq(matrix, targets, rcond=1e-11)
        if rank < len(targets) and np.abs(matrix @ found - targets).max() <= 1e-6 * scale:
            passing += copies
    return passing, undecided


def _tangents(
    transposes: Transposes, look: Any, wrt: list[Node], nodes: list[Node], count: int, budget: Budget
) -> tuple[dict[Node, np.ndarray[Any, Any]], np.ndarray[Any, Any]] | None:
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

"""Where a mistake is that has no name: the box from which on the gradient is wrong.

If one wrong gradient, arriving at one value, explains all that is wrong, then the difference between claim
and truth is something that this value can pass back: it lies in the range of the map from its gradient to the
inputs'. That is tested with random tangents, as many as the value has elements and some more. Of the values
that pass, the one furthest back says most. Knows fingerprints and linear algebra; knows no mistake.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

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
    inputs = [x for x in case.wrong if len(wrong) == 1]
    if inputs:
        direct = _above(tape, inputs)
        if len({box_name(tape, n) for n in direct}) <= 1:
            return direct[:1]
    candidates = exact or reachable
    passing = _explaining(search, candidates, time.thread_time() + seconds)
    return _boxes(tape, passing or candidates)


def _boxes(tape: Tape, passing: list[Node]) -> list[Node]:
    """At most two boxes whose rule may be wrong: those that hand back to the values, least simple first."""
    edges = [edge for node in passing for edge in tape.into.get(node, [])]
    if not edges:
        return passing[:1]
    best: dict[str, tuple[int, int, Node]] = {}
    for edge in edges:
        name = box_name(tape, edge.node)
        score = (-min(_moves(edge), 3), edge.node.number)
        if name not in best or score < best[name][:2]:
            best[name] = (*score, edge.node)
    return [node for _, _, node in sorted(best.values(), key=lambda one: one[:2])][:2]


def _moves(edge: Edge) -> int:
    """How much a rule does: nothing for an identity or a rearrangement, more for products and functions."""
    read = {x for node in edge.moving for x in node.inputs if x not in edge.moving and x not in edge.leaves}
    return len([x for x in read if not is_constant(x)]) + (len(edge.moving) > 2)


def _above(tape: Tape, inputs: list[Node]) -> list[Node]:
    """The boxes that use some inputs."""
    return list(dict.fromkeys(edge.node for x in inputs for edge in tape.into.get(x, [])))


def _explaining(search: Search, candidates: list[Node], stop: float) -> list[Node]:
    """The values of which one wrong gradient explains the claim, or which are too large to tell."""
    tape, look, case = search.case.tape, search.case.looks[0], search.case
    small = [n for n in candidates if int(np.prod(n.shape)) <= LARGEST and n not in tape.wrt]
    if not small:
        return candidates
    sizes = sum(int(np.prod(x.shape)) for x in case.wrt)
    count = max(int(np.prod(n.shape)) for n in small) + MORE
    if any(tape.copies(n) > 1 for n in small):
        count = min(max(count, 2 * count), sizes, LARGEST) + MORE
    rows = _tangents(search.transposes, look, case.wrt, small, count, stop)
    if rows is None:
        return candidates
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
    return passing or _copies(search, small, matrices, targets, scale, size) or undecided


def _copies(
    search: Search, nodes: list[Node], matrices: Any, targets: Any, scale: float, size: int
) -> list[Node]:
    """The copies of a line of which wrong gradients at all of them together explain the claim."""
    tape = search.case.tape
    lines: dict[Any, list[Node]] = {}
    for node in nodes:
        lines.setdefault(tape.site(node), []).append(node)
    for copies in lines.values():
        total = sum(int(np.prod(n.shape)) for n in copies)
        if len(copies) < 2 or total + MORE > len(targets) or total >= size:
            continue
        matrix = np.concatenate([matrices[n] for n in copies], axis=1)
        found, _, rank, _ = np.linalg.lstsq(matrix, targets, rcond=1e-11)
        if rank < len(targets) and np.abs(matrix @ found - targets).max() <= 1e-6 * scale:
            return copies
    return []


def _tangents(
    transposes: Transposes, look: Any, wrt: list[Node], nodes: list[Node], count: int, stop: float
) -> tuple[dict[Node, np.ndarray[Any, Any]], np.ndarray[Any, Any]] | None:
    random = np.random.default_rng(11)
    rows: dict[Node, list[Any]] = {node: [] for node in nodes}
    targets: list[float] = []
    with np.errstate(all="ignore"):
        for _ in range(count):
            if time.thread_time() > stop:
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

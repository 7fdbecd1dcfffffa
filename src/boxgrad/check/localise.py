"""Where a mistake is that has no name: the box from which on the gradient is wrong.

If one wrong gradient, arriving at one value, explains all that is wrong, then the difference between claim and truth is
something that this value can pass back: it lies in the range of the map from its gradient to the inputs'. That
is tested with random tangents, as many as the value has elements and some more. Of the values that pass, the one
furthest back says most. Knows fingerprints and linear algebra; knows no mistake.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from boxgrad.check.fingerprints import Transposes
from boxgrad.check.mutations import box_name
from boxgrad.check.search import Search
from boxgrad.check.tape import Tape
from boxgrad.graph.node import Node

LARGEST = 320
"""The most elements of a value that is tested so."""
MORE = 6
"""How many tangents beyond the number of elements."""


def places(search: Search, seconds: float) -> list[Node]:
    """The nodes in whose box the mistake can be, the likeliest first; empty where no one place explains it."""
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
        if len({tape.box_of[n] for n in direct}) <= 1:
            return direct
    started = time.thread_time()
    candidates = exact or reachable
    passing = _explaining(search, candidates, started + seconds)
    if not passing:
        return []
    last = min(passing, key=lambda n: n.number)
    found: dict[str, Node] = {}
    front = [last]
    while front and len(found) < 2:
        users = [edge.node for x in front for edge in tape.into.get(x, [])]
        for user in users:
            found.setdefault(box_name(tape, user), user)
        front = users if len({box_name(tape, u) for u in users}) == 1 else []
    return list(found.values())[:2] or [last]


def _above(tape: Tape, inputs: list[Node]) -> list[Node]:
    """The boxes that use some inputs."""
    return list(dict.fromkeys(edge.node for x in inputs for edge in tape.into.get(x, [])))


def _explaining(search: Search, candidates: list[Node], stop: float) -> list[Node]:
    """The values of which one wrong gradient explains the claim, or which are too large to tell."""
    tape, look, case = search.case.tape, search.case.looks[0], search.case
    small = [n for n in candidates if int(np.prod(n.shape)) <= LARGEST and n not in tape.wrt]
    if not small:
        return candidates
    count = max(int(np.prod(n.shape)) for n in small) + MORE
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
    return passing or undecided


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

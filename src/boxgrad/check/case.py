"""A claim beside the truth: at several points, what somebody's gradient gives and what it should be.

Knows which inputs are wrong and whether a set of replaced edges gives exactly the claim; only what a
replacement changes is computed anew. Knows no mistake by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from boxgrad.check.compare import error, noise, same, tolerance
from boxgrad.check.subject import Point, Subject
from boxgrad.check.tape import Edge, Numbers, Replacement, Tape, applied
from boxgrad.graph.node import Node

Claims = Mapping[Node, Any]


class Look:
    """One point: the numbers of the true backward pass, the share of every edge, and the claim."""

    def __init__(self, subject: Subject, point: Point, claims: Claims) -> None:
        tape = subject.tape
        self.point, self.claims = point, claims
        self.now: Numbers = point.now
        self.shares: dict[Edge, Any] = {}
        for edge in tape.edges:
            self.shares[edge] = self.now[edge.root]
        self.true = tape.gradients(self.now)
        self.allowed = {x: tolerance(claims[x], *point.leaves) for x in claims}
        self._subject = subject

    @cached_property
    def noise(self) -> dict[Node, float]:
        """What rounding errors do to each true gradient."""
        return noise(self._subject, self.point, any(a > 1e-6 for a in self.allowed.values()))

    def agrees(self, x: Node, g: Any) -> bool:
        """Whether a gradient of x is the one claimed."""
        if same(self.claims[x], g, self.allowed[x]):
            return True
        return same(self.claims[x], g, self.allowed[x], self.noise.get(x, 0.0))


class Case:
    """A claim about some inputs of a subject, at points where the function does the same."""

    def __init__(self, subject: Subject, points: Sequence[Point], claims: Sequence[Claims]) -> None:
        self.subject = subject
        self.tape: Tape = subject.tape
        self.looks = [Look(subject, point, claim) for point, claim in zip(points, claims, strict=True)]
        self.wrt = list(self.looks[0].claims)
        self.wrong = [x for x in self.wrt if not all(look.agrees(x, look.true[x]) for look in self.looks)]
        self.errors = {x: max(error(look.claims[x], look.true[x]) for look in self.looks) for x in self.wrt}
        self.single = any(a > 1e-6 for look in self.looks for a in look.allowed.values())

    @property
    def shapes_fit(self) -> bool:
        """Whether every claim has the shape of its input."""
        return all(np.shape(self.looks[0].claims[x]) == x.shape for x in self.wrt)

    def explains(self, changes: Mapping[Edge, Replacement], only: Sequence[Node] | None = None) -> bool:
        """Whether the claim, or that of some inputs, is what comes out with edges replaced, at all points."""
        return all(self.gives(look, changes, only) for look in self.looks)

    def gives(
        self, look: Look, changes: Mapping[Edge, Replacement], only: Sequence[Node] | None = None
    ) -> bool:
        """The same at one point; stops at the first input that comes out otherwise."""
        try:
            with np.errstate(all="ignore"):
                found = replay(self.tape, look, changes, look if only is None else None)
        except (ValueError, TypeError, IndexError, KeyError):
            return False
        if found is None:
            return False
        return all(look.agrees(x, found.get(x, look.true[x])) for x in (only or self.wrt))


def replay(
    tape: Tape, look: Look, changes: Mapping[Edge, Replacement], against: Look | None = None
) -> dict[Node, Any] | None:
    """The gradients that some replaced edges change; None as soon as one differs from the claim.

    Only edges below a replaced one are computed again.
    """
    first = min(edge.number for edge in changes)
    own: dict[Edge, Any] = {}
    dirty: set[Node] = set()
    now: Numbers = {}
    totals: dict[Node, Any] = {}

    def gradient(node: Node) -> Any:
        leaf = tape.gradient[node]
        if leaf not in now:
            parts = [own[e] if e in own else look.shares[e] for e in tape.into[node]]
            total = parts[0]
            for part in parts[1:]:
                total = total + part
            now[leaf] = total
        return now[leaf]

    view = _View(now, look.now, lambda leaf: gradient(tape.of[leaf]) if tape.of.get(leaf) in dirty else None)
    for edge in tape.edges[first:]:
        moved = not dirty.isdisjoint(edge.sources)
        replacement = changes.get(edge)
        if not moved and replacement is None:
            continue
        if moved:
            for node in edge.sources:
                if node in dirty:
                    gradient(node)
            for node in edge.moving:
                now[node] = applied(node, view)
        own[edge] = view[edge.root] if replacement is None else replacement(view)
        x = edge.input
        if np.shape(own[edge]) != x.shape and x not in tape.inputs:
            return None
        dirty.add(x)
        if edge.number == tape.complete[x]:
            total = gradient(x)
            if x in tape.inputs:
                totals[x] = total
                if against is not None and x in against.claims and not against.agrees(x, total):
                    return None
    for x in tape.wrt:
        if x in dirty and x not in totals:
            totals[x] = gradient(x)
    return totals


class _View(dict[Node, Any]):
    """Changed numbers over the true ones; a gradient that has changed is added up when it is first read."""

    def __init__(self, over: Numbers, below: Numbers, changed: Callable[[Node], Any]) -> None:
        super().__init__()
        self._over, self._below, self._changed = over, below, changed

    def __missing__(self, node: Node) -> Any:
        if node in self._over:
            return self._over[node]
        found = self._changed(node)
        return self._below[node] if found is None else found

    def __contains__(self, node: object) -> bool:
        return node in self._over or node in self._below

"""The search for the mistake: every mutation against the claim, cheap tests first.

An edit of one edge is weighed by its fingerprint and only then replayed; one of several edges is replayed,
and given up at the first input that comes out otherwise. Knows cases and mutations; says nothing in words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from boxgrad.check.budget import Budget
from boxgrad.check.case import Case
from boxgrad.check.fingerprints import Fingerprints, Transposes
from boxgrad.check.mutations import Mutation, mutations
from boxgrad.check.tape import Edge, Replacement
from boxgrad.graph.node import Node

COMMON = 2.5
"""The rank up to which a mistake of several copies is tried where another explanation is known."""
Weights = np.ndarray[Any, Any]


@dataclass(eq=False)
class Scored:
    """A mutation of one edge with its fingerprint."""

    mutation: Mutation
    weights: Weights


@dataclass(eq=False)
class Search:
    """The mutations of a case, and those that explain it. ``capped`` says that time ran out."""

    case: Case
    seconds: float = 8.0
    capped: bool = False
    hits: list[Mutation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._budget = Budget(self.seconds)
        self.mutations = mutations(self.case.subject)

    def extend(self, seconds: float) -> None:
        """Allow as much time again."""
        self._budget.extend(seconds)

    @property
    def late(self) -> bool:
        """Whether the time is used up."""
        late = self._budget.spent()
        self.capped = self.capped or late
        return late

    @cached_property
    def transposes(self) -> Transposes:
        return Transposes(self.case.tape)

    @cached_property
    def prints(self) -> Fingerprints:
        look = self.case.looks[0]
        with np.errstate(all="ignore"):
            return Fingerprints(self.transposes, look.point.numbers, look.now, self.case.wrt, 3)

    @cached_property
    def target(self) -> Weights:
        """What the claim's fingerprint has beyond the truth's; NaN where shapes differ."""
        look = self.case.looks[0]
        return np.array(
            [
                float(np.vdot(r, np.asarray(look.claims[x], np.float64) - look.true[x]))
                if np.shape(look.claims[x]) == x.shape
                else np.nan
                for x, r in self.prints.directions.items()
            ]
        )

    @cached_property
    def slack(self) -> Weights:
        """How exact the target is, for each input."""
        look = self.case.looks[0]
        return np.array(
            [
                float(np.linalg.norm(r))
                * (10 * look.allowed[x] * float(np.linalg.norm(look.true[x])) + 10 * look.noise.get(x, 0.0))
                for x, r in self.prints.directions.items()
            ]
        )

    # ---- one mistake
    def run(self) -> list[Mutation]:
        """All mutations that give exactly the claim, the likeliest first."""
        wrong = set(self.case.wrong)
        for mutation in sorted(self.mutations, key=lambda m: (m.copies > 1 and m.rank > COMMON, m.rank)):
            if self.late or (self.hits and mutation.copies > 1 and mutation.rank > COMMON):
                break
            if not wrong <= self.reached(mutation.changes):
                continue
            if self.passes(mutation) and self.case.explains(mutation.changes):
                self.hits.append(mutation)
        if not self.late:
            self.hits += self._scaled()
        self.hits.sort(key=lambda m: m.rank)
        return self.hits

    def reached(self, edges: Iterable[Edge]) -> set[Node]:
        """The inputs whose gradients some edges have part in."""
        reach = self.case.tape.reach
        return {x for edge in edges for x in reach.get(edge.input, ())}

    def passes(self, mutation: Mutation) -> bool:
        """Whether the fingerprint allows a mutation to be the mistake."""
        if mutation.copies > 1:
            return True
        ((edge, replacement),) = mutation.changes.items()
        change = self.change(edge, replacement)
        if change is None:
            return not self.case.shapes_fit
        if self.case.shapes_fit:
            rough, size = self.prints.roughly(edge.input, change)
            goal = float(np.sum(self.target))
            if abs(rough - goal) > float(np.sum(self.slack)) + 1e-4 * (abs(goal) + size):
                return False
        return self.close(self.prints.weigh(edge.input, change), self.target)

    @cached_property
    def scored(self) -> list[Scored]:
        """Every mutation of one edge that touches a wrong input, with its fingerprint."""
        wrong = set(self.case.wrong)
        found: list[Scored] = []
        for mutation in self.mutations:
            if self.late:
                break
            if mutation.copies == 1 and self.reached(mutation.changes) & wrong:
                weights = self.weights(mutation)
                if weights is not None:
                    found.append(Scored(mutation, weights))
        return found

    def weights(self, mutation: Mutation) -> Weights | None:
        """The fingerprint of a mutation of one edge; None where it gives no number or another shape."""
        ((edge, replacement),) = mutation.changes.items()
        change = self.change(edge, replacement)
        return None if change is None else self.prints.weigh(edge.input, change)

    def change(self, edge: Edge, replacement: Replacement) -> Any:
        """What a replacement changes in an edge's result at the first point."""
        look = self.case.looks[0]
        try:
            with np.errstate(all="ignore"):
                result = np.asarray(replacement(look.now))
        except (ValueError, TypeError, IndexError, KeyError):
            return None
        if result.shape != edge.input.shape or not np.all(np.isfinite(result)):
            return None
        return result - look.shares[edge]

    def close(self, weights: Weights, target: Weights) -> bool:
        """Whether two fingerprints agree, where both are numbers."""
        known = ~np.isnan(target)
        bound = self.slack + (1e-4 if self.case.single else 1e-6) * (np.abs(target) + np.abs(weights))
        return bool(np.all((np.abs(weights - target) <= bound)[known]))

    def _scaled(self) -> list[Mutation]:
        """Edges that explain the claim when multiplied by some number, and that number."""
        found: list[Mutation] = []
        if not self.case.shapes_fit:
            return found
        wrong = set(self.case.wrong)
        known = {(m.edge, m.copies) for m in self.hits if m.kind in ("constant factor", "sign")}
        for edge in self.case.tape.edges:
            if not wrong <= self.reached([edge]) or (edge, 1) in known or self.late:
                continue
            share = self.case.looks[0].shares[edge]
            weights = self.prints.weigh(edge.input, share)
            size = float(weights @ weights)
            if size == 0 or not np.isfinite(size):
                continue
            factor = 1 + float(weights @ self.target) / size
            if abs(factor) < 1e-9 or not self.close((factor - 1) * weights, self.target):
                continue
            mutation = scaled(self.case, edge, factor)
            if self.case.explains(mutation.changes):
                found.append(mutation)
        return found


def scaled(case: Case, edge: Edge, factor: float) -> Mutation:
    """The mutation that multiplies an edge's result by a number."""

    def make(now: Any) -> Any:
        for node in edge.moving:
            if node not in now:
                raise KeyError(node)
        return factor * now[edge.root]

    kind = "sign" if abs(factor + 1) < 1e-9 else "constant factor"
    return Mutation(kind, case.tape, {edge: make}, 1.9, f"{factor:.6g}", ("scaled", factor), edge.node)

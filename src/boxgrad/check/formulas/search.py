"""The smallest repair of a formula: best-first through its edits until one has the right shape and the right
numbers at every point.

A formula that is a constant times the truth counts as one edit more, whatever the constant: what it equals
in terms of the sizes is named. Knows how to search; what an edit means is known to the edits.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boxgrad.check.formulas.edits import Edit, Edits
from boxgrad.check.formulas.equation import Formula, near
from boxgrad.check.formulas.names import Vocabulary
from boxgrad.check.formulas.terms import Term
from boxgrad.check.formulas.value import Evaluator, UnfitError

SECONDS = 0.7
"""How long is searched for one formula."""
FACTOR_COST = 1.2
CHEAPEST = 0.9
DEPTH = 3
DEAREST = 2.6
"""The cost of edits together beyond which nothing is tried."""
SLACK = 0.25
"""How much dearer another repair may be that is told beside the first."""


@dataclass(frozen=True)
class Repair:
    """Edits that make a formula right, and the constant factor that is then left."""

    cost: float
    edits: tuple[Edit, ...]
    tree: Term
    factor: float = 1.0


class Search:
    """The search for one formula."""

    def __init__(self, formula: Formula, vocabulary: Vocabulary, evaluators: Sequence[Evaluator]) -> None:
        self.formula, self.evaluators = formula, list(evaluators)
        self.edits = Edits(vocabulary, self.evaluators[0], formula.key)
        self.truths = [np.asarray(formula.truth(one)) for one in self.evaluators]
        first = self.truths[0]
        self.pivot = int(np.argmax(np.abs(first))) if first.size else 0

    def repairs(self, seconds: float = SECONDS) -> list[Repair]:
        """The cheapest repairs, the best first."""
        self._end = time.perf_counter() + seconds
        self._found: list[Repair] = []
        self._best = DEAREST
        self._seen = {self.formula.reading}
        self._count = itertools.count()
        self._heap: list[tuple[float, int, Term, tuple[Edit, ...]]] = []
        self._try(0.0, self.formula.reading, ())
        while self._heap and time.perf_counter() < self._end:
            cost, _, tree, edits = heapq.heappop(self._heap)
            if cost + CHEAPEST > self._best + SLACK:
                break
            self._expand(cost, tree, edits)
        found = sorted(self._found, key=lambda one: one.cost)
        return [one for one in found if one.cost <= found[0].cost + SLACK][:6]

    def _expand(self, cost: float, tree: Term, edits: tuple[Edit, ...]) -> None:
        """Try all edits of a formula."""
        for edit in self.edits.of(tree):
            total = cost + edit.cost
            if edits:
                total += 0.1 if self._related(edits[-1], edit) else 0.4
            if total <= self._best + SLACK and edit.tree not in self._seen:
                self._seen.add(edit.tree)
                self._try(total, edit.tree, (*edits, edit))
                if edits and time.perf_counter() > self._end:
                    return

    def _try(self, cost: float, tree: Term, edits: tuple[Edit, ...]) -> None:
        """Keep a formula that is right; leave others to be edited again."""
        factor = self._factor(tree)
        if factor is not None and (edits or factor != 1) and tree not in self.edits.paths:
            total = cost + (0 if factor == 1 else FACTOR_COST)
            self._found.append(Repair(total, edits, tree, factor))
            self._best = min(self._best, total)
            if edits:
                return
        if len(edits) < DEPTH:
            heapq.heappush(self._heap, (cost, next(self._count), tree, edits))

    @staticmethod
    def _related(a: Edit, b: Edit) -> bool:
        """Whether two edits are at one place: the second below or above the first."""
        size = min(len(a.path), len(b.path))
        return a.path[:size] == b.path[:size]

    # ---- right or not
    def _factor(self, tree: Term) -> float | None:
        """1 where a formula is right, c where it is c times the truth, None otherwise."""
        truth = self.truths[0]
        try:
            value = self.formula.value(self.evaluators[0], tree)
        except UnfitError:
            return None
        if np.shape(value) != truth.shape or not truth.size:
            return None
        at, wanted = float(np.ravel(value)[self.pivot]), float(np.ravel(truth)[self.pivot])
        if not np.isfinite(at) or not at or not wanted:
            return None
        factor = at / wanted
        factor = 1.0 if abs(factor - 1) < 1e-8 else factor
        if not 1e-6 < abs(factor) < 1e6 or not near(value, factor * truth):
            return None
        for evaluator, other in zip(self.evaluators[1:], self.truths[1:], strict=True):
            try:
                value = self.formula.value(evaluator, tree)
            except UnfitError:
                return None
            if not near(value, factor * other, evaluator.size):
                return None
        return factor

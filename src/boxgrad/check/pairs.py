"""Two mistakes at once: the smallest set that explains a claim which no single one does.

Mistakes that do not meet on the way back add up in the fingerprint, so pairs of them are found by looking up
what one leaves over. Those that do meet are tried together, beginning with the mistake that brings the claim
nearest. Knows the scored mutations of a search; says nothing in words.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad.check.budget import Budget
from boxgrad.check.case import replay
from boxgrad.check.compare import error
from boxgrad.check.mutations import Mutation
from boxgrad.check.search import Scored, Search
from boxgrad.graph.node import Node

Pair = tuple[Mutation, Mutation]
COMMON = 2.0
"""The rank up to which a mistake is common enough to be one of two."""
FIRST = 16
"""How many first mistakes are combined with all others."""
ENOUGH = 4


def pairs(search: Search, seconds: float) -> list[Pair]:
    """Pairs of mistakes that together give exactly the claim, the likeliest first."""
    if not search.case.shapes_fit:
        return []
    found = _apart(search) or _together(search, seconds)
    return sorted(found, key=lambda pair: pair[0].rank + pair[1].rank)


def cover(search: Search) -> list[list[Mutation]]:
    """Mistakes that each explain some of the wrong gradients and leave the others alone.

    One class of mutations for each group of inputs; empty where some input is left over.
    """
    case, target = search.case, search.target
    wrong = np.array([x in case.wrong for x in case.wrt])
    if np.any(np.isnan(target)):
        return []
    groups: dict[tuple[bool, ...], list[Mutation]] = {}
    for one in search.scored:
        touched = np.abs(one.weights) > search.slack
        if not touched.any() or np.any(touched & ~wrong) or tuple(touched) == tuple(wrong):
            continue
        if search.close(one.weights, np.where(touched, target, 0.0)):
            groups.setdefault(tuple(touched), []).append(one.mutation)
    left, found = wrong.copy(), []
    order = sorted(groups.items(), key=lambda g: (-sum(g[0]), min(m.rank for m in g[1])))
    for touched, mutations in order:
        part = np.array(touched)
        if np.any(part & ~left):
            continue
        only = [x for x, t in zip(case.wrt, part, strict=True) if t]
        hits = [m for m in sorted(mutations, key=lambda m: m.rank) if case.explains(m.changes, only)]
        if hits:
            found.append(hits)
            left &= ~part
    return found if found and not left.any() else []


def _apart(search: Search) -> list[Pair]:
    """Pairs whose fingerprints add up to the claim's."""
    target = search.target
    largest = int(np.argmax(np.abs(target)))
    scored = [
        one for one in search.scored if np.any(np.abs(one.weights) > search.slack) and one.mutation.rank <= 3
    ]
    if not scored:
        return []
    weights = np.array([one.weights for one in scored])
    order = np.argsort(weights[:, largest], kind="stable")
    column = weights[order, largest]
    candidates: list[tuple[float, Scored, Scored]] = []
    for i, one in enumerate(scored):
        rest = target - one.weights
        slack = search.slack[largest] + 1e-6 * (abs(target[largest]) + abs(one.weights[largest]))
        low, high = np.searchsorted(column, [rest[largest] - slack, rest[largest] + slack])
        for j in order[low:high]:
            if i < j and search.close(weights[j], rest):
                candidates.append((one.mutation.rank + scored[j].mutation.rank, one, scored[j]))
    found: list[Pair] = []
    for _, a, b in sorted(candidates, key=lambda c: c[0])[:200]:
        if search.case.explains({**a.mutation.changes, **b.mutation.changes}):
            found.append((a.mutation, b.mutation))
            if len(found) >= ENOUGH:
                break
    return found


def _together(search: Search, seconds: float) -> list[Pair]:
    """Pairs that are tried in full, beginning with the mistakes that bring the claim nearest."""
    case = search.case
    look = case.looks[0]
    common = [m for m in search.mutations if m.rank <= COMMON]
    nearness: list[tuple[float, int, Mutation]] = []
    start = sum(_distance(look.claims[x], look.true[x]) for x in case.wrt)
    nearing, budget = Budget(0.6 * seconds), Budget(seconds)
    for number, mutation in enumerate(common):
        if nearing.spent():
            search.capped = True
            break
        found = _gradients(search, mutation)
        if found is None:
            continue
        rest = sum(_distance(look.claims[x], found.get(x, look.true[x])) for x in case.wrt)
        if rest < start - 1e-9:
            nearness.append((rest + 0.02 * mutation.rank, number, mutation))
    nearness.sort(key=lambda one: one[:2])
    wrong = set(case.wrong)
    result: list[Pair] = []
    for _, _, first in nearness[:FIRST]:
        for second in common:
            if budget.spent():
                search.capped = True
                return result
            if first is second or set(first.changes) & set(second.changes):
                continue
            changes = {**first.changes, **second.changes}
            if wrong <= search.reached(changes) and case.explains(changes):
                result.append((first, second))
                if len(result) >= ENOUGH:
                    return result
    return result


def _gradients(search: Search, mutation: Mutation) -> dict[Node, Any] | None:
    try:
        with np.errstate(all="ignore"):
            return replay(search.case.tape, search.case.looks[0], mutation.changes)
    except (ValueError, TypeError, IndexError, KeyError):
        return None


def _distance(claimed: Any, found: Any) -> float:
    """How far two gradients are apart: 0 where they agree, at most 1."""
    return min(1.0, error(claimed, found))

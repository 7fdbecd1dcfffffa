"""The diagnosis of a wrong gradient: one mistake, another function, several mistakes, or a place.

The explanations are tried in this order; the first kind that fits is given, with everything of its kind that
fits. Knows the order; each search is elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from boxgrad.check.case import Case
from boxgrad.check.compare import same
from boxgrad.check.describe import Describer
from boxgrad.check.forward import Functions
from boxgrad.check.hypotheses import Pair, hypotheses
from boxgrad.check.localise import places
from boxgrad.check.pairs import cover, pairs
from boxgrad.check.search import Search
from boxgrad.check.verdict import Finding
from boxgrad.graph.node import Node

ALSO = 0.5
"""Seconds for other functions where a mistake of the derivative explains the claim already."""
PAIRS, PLACES = 4.0, 3.0
"""Seconds for pairs of mistakes and for places."""


@dataclass
class Result:
    """The findings; ``seconds`` is set where the search was cut short."""

    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0


def diagnosed(case: Case, describer: Describer) -> Result:
    """What explains the claim."""
    search = Search(case)
    hits = search.run()
    if hits:
        functions = Functions(case).search(ALSO, terms=True)
        return _result(search, [describer.mutation(hits, functions=functions)])
    functions = Functions(case).search(3.0)
    if functions:
        return Result([describer.function_edit(functions)], search.seconds if search.capped else 0.0)
    exchanged = results_exchanged(case)
    if exchanged:
        return _result(search, [describer.exchanged(*exchanged)])
    findings = [one for x in case.wrong if (one := whole(case, describer, x)) is not None]
    if len(findings) == len(case.wrong):
        return _result(search, findings)
    search.extend(PAIRS)
    apart = cover(search)
    if apart:
        return _result(search, [describer.mutation(hits, describer.of(hits[0])) for hits in apart])
    both = pairs(search, PAIRS)
    if both:
        return _result(search, describer.pair(both))
    explained = {f.argument for f in findings}
    rest = [x for x in case.wrong if describer.name(x) not in explained]
    findings.append(describer.unknown(places(search, PLACES), rest))
    return _result(search, findings)


def _result(search: Search, findings: list[Finding]) -> Result:
    return Result(findings, search.seconds if search.capped else 0.0)


def results_exchanged(case: Case) -> tuple[Node, Node] | None:
    """Two inputs of which each claim is the other's true gradient, and nothing else is wrong."""
    if len(case.wrong) != 2:
        return None
    a, b = case.wrong
    for look in case.looks:
        swapped = (
            same(look.claims[a], look.true[b], look.allowed[a]),
            same(look.claims[b], look.true[a], look.allowed[b]),
        )
        if not all(swapped):
            return None
    return a, b


def whole(case: Case, describer: Describer, x: Node) -> Finding | None:
    """A hypothesis about one gradient as a whole, or that its shape is impossible."""
    pairs = [
        Pair(
            np.asarray(look.claims[x], np.float64),
            np.asarray(look.true[x], np.float64),
            np.asarray(look.point.numbers[x], np.float64),
            look.allowed[x],
        )
        for look in case.looks
    ]
    found = hypotheses(pairs, describer.sizes)
    if found:
        return describer.hypothesis(x, found)
    if pairs[0].claimed.shape != pairs[0].true.shape:
        return describer.shape(x)
    return None

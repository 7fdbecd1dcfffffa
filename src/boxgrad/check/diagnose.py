"""The diagnosis of a wrong gradient: one mistake, another function, several mistakes, or a place.

The explanations are tried in this order; the first kind that fits is given, with everything of its kind that fits.
Knows the order; each search is elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from boxgrad.check.case import Case
from boxgrad.check.describe import Describer
from boxgrad.check.hypotheses import Pair, hypotheses
from boxgrad.check.search import Search
from boxgrad.check.verdict import Finding
from boxgrad.check.words import sentence
from boxgrad.graph.node import Node


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
        return Result([describer.mutation(hits)], search.seconds if search.capped else 0.0)
    findings = [one for x in case.wrong if (one := whole(case, describer, x)) is not None]
    explained = {f.argument for f in findings}
    rest = [x for x in case.wrong if describer.name(x) not in explained]
    if rest:
        findings.append(describer.unknown([], rest))
    return Result(findings, search.seconds if search.capped else 0.0)


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

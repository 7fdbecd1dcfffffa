"""Edits of one edge that give the same numbers are one mistake, with the simplest name that fits.

What an edit is called follows from what comes out: nothing (a path dropped), a multiple of the truth (a sign,
something counted twice, a constant factor), the gradient that arrived (a derivative left out); only then from
how it was made. Knows numbers at some points; knows no function.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from boxgrad.check.edits import Edit
from boxgrad.check.mutations_edge import constant_of
from boxgrad.check.tape import Edge, Numbers


class _Seen:
    """An edge at one point: its true result, and a random direction to tell results apart."""

    def __init__(self, edge: Edge, now: Numbers) -> None:
        self.now = now
        self.true = np.asarray(now[edge.root])
        self.size = float(np.abs(self.true).max(initial=0.0))
        self._random = np.random.default_rng(self.true.size).normal(size=self.true.size)
        self.own = self.number(self.true)

    def number(self, result: Any) -> float:
        """One number for a result."""
        return float(np.dot(self._random, result.ravel()))

    def is_true(self, result: Any, number: float) -> bool:
        """Whether nothing has changed."""
        near = abs(number - self.own) <= 1e-9 * abs(self.own)
        return near and bool(np.abs(result - self.true).max(initial=0.0) <= 1e-10 * self.size)

    def is_scaled(self, result: Any, factor: float) -> bool:
        """Whether a result is a multiple of the truth."""
        bound = 1e-9 * self.size * abs(factor)
        return bool(np.abs(result - factor * self.true).max(initial=0.0) <= bound)


def merged(edge: Edge, edits: Iterable[Edit], points: Sequence[Numbers]) -> list[Edit]:
    """The edits of an edge that change something, one for each result, the likeliest of its aliases."""
    seen = [_Seen(edge, now) for now in points]
    found: dict[Any, Edit] = {}
    for edit in sorted(edits, key=lambda e: e.rank):
        made = edit.replacement()
        try:
            results = [np.asarray(made(now)) for now in points]
        except (ValueError, TypeError, IndexError, KeyError):
            continue
        if any(r.dtype.kind not in "fc" or not np.all(np.isfinite(r)) for r in results):
            continue
        if results[0].shape != seen[0].true.shape:
            found.setdefault((edit.kind, edit.key), edit)
            continue
        numbers = [one.number(r) for one, r in zip(seen, results, strict=True)]
        key = tuple(f"{number:.9e}" for number in numbers)
        if key in found:
            continue
        if all(one.is_true(r, n) for one, r, n in zip(seen, results, numbers, strict=True)):
            continue
        factor = numbers[0] / seen[0].own if seen[0].own else 0.0
        scaled = all(one.is_scaled(r, factor) for one, r in zip(seen, results, strict=True))
        found[key] = _named(edge, edit, results, seen, factor if scaled else None)
    return list(found.values())


def _named(
    edge: Edge, edit: Edit, results: Sequence[Any], seen: Sequence[_Seen], factor: float | None
) -> Edit:
    """The edit, called by what comes out."""
    if not any(r.any() for r in results):
        return edit if edit.kind == "treated as constant" else replace(edit, kind="path dropped")
    if factor is not None and (results[0].size > 1 or edit.kind in _SCALING):
        kind = "sign" if abs(factor + 1) < 1e-9 else "constant factor"
        if abs(factor - 2) < 1e-9 and edit.kind == "counted twice":
            kind = "counted twice"
        return replace(edit, kind=kind)
    arrived = any(
        leaf.shape == results[0].shape
        and all(np.array_equal(r, one.now[leaf]) for one, r in zip(seen, results, strict=True))
        and constant_of(edge, leaf) is None
        for leaf in edge.leaves
    )
    return replace(edit, kind="derivative left out") if arrived else edit


_SCALING = ("constant factor", "sign", "counted twice", "derivative left out", "operator", "sum too wide")

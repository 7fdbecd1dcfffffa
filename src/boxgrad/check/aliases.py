"""Edits of one edge that give the same numbers are one mistake, with the simplest name that fits.

What an edit is called follows from what comes out: nothing (a path dropped), a multiple of the truth (a sign,
something counted twice, a constant factor), the gradient that arrived (a derivative left out); only then from
how it was made. Knows numbers at one point; knows no function.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from boxgrad.check.edits import Edit
from boxgrad.check.mutations_edge import constant_of
from boxgrad.check.tape import Edge, Numbers


def merged(edge: Edge, edits: Iterable[Edit], now: Numbers) -> list[Edit]:
    """The edits of an edge that change something, one for each result, the likeliest of its aliases."""
    true = np.asarray(now[edge.root])
    size = float(np.abs(true).max(initial=0.0))
    random = np.random.default_rng(true.size).normal(size=true.size)
    own = float(np.dot(random, np.ravel(true)))
    found: dict[Any, Edit] = {}
    for edit in sorted(edits, key=lambda e: e.rank):
        try:
            result = np.asarray(edit.replacement()(now))
        except (ValueError, TypeError, IndexError, KeyError):
            continue
        if result.dtype.kind not in "fc" or not np.all(np.isfinite(result)):
            continue
        if result.shape != true.shape:
            found.setdefault((edit.kind, edit.key), edit)
            continue
        number = float(np.dot(random, result.ravel()))
        key = f"{number:.9e}"
        if key in found:
            continue
        if abs(number - own) <= 1e-9 * abs(own) and np.abs(result - true).max(initial=0.0) <= 1e-10 * size:
            continue
        found[key] = _named(edge, edit, result, true, now, number / own if own else 0.0, size)
    return list(found.values())


def _named(edge: Edge, edit: Edit, result: Any, true: Any, now: Numbers, factor: float, size: float) -> Edit:
    """The edit, called by what comes out."""
    if not result.any():
        return edit if edit.kind == "treated as constant" else replace(edit, kind="path dropped")
    scaled = np.abs(result - factor * true).max(initial=0.0) <= 1e-9 * size * abs(factor)
    if scaled and (true.size > 1 or edit.kind in _SCALING):
        kind = "sign" if abs(factor + 1) < 1e-9 else "constant factor"
        if abs(factor - 2) < 1e-9 and edit.kind == "counted twice":
            kind = "counted twice"
        return replace(edit, kind=kind)
    arrived = any(
        leaf.shape == result.shape and np.array_equal(result, now[leaf]) and constant_of(edge, leaf) is None
        for leaf in edge.leaves
    )
    return replace(edit, kind="derivative left out") if arrived else edit


_SCALING = ("constant factor", "sign", "counted twice", "derivative left out", "operator", "sum too wide")

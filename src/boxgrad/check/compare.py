"""Whether two gradients are the same: in norm, relative to their size, and never by an absolute bound alone.

A gradient that is 0 in exact arithmetic has a size of rounding errors, and a relative error would mean
nothing; so the noise of the true gradient itself is measured, by moving its arguments by rounding errors.
Knows arrays and a subject; knows nothing of mistakes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from boxgrad.check.subject import Point, Subject
from boxgrad.graph.node import Node

DOUBLE = 1e-7
"""The relative error that a gradient in double precision may have."""
SINGLE = 1e-5
"""The relative error that a gradient in single precision may have."""
MARGIN = 10
"""How much larger rounding errors may be where operations are done in another order."""
Gradients = Mapping[Node, Any]


def tolerance(*arrays: Any) -> float:
    """The relative error allowed, by the least precise of the arrays."""
    kinds = {np.asarray(x).dtype for x in arrays}
    if np.dtype(np.float16) in kinds:
        return 1e-2
    return SINGLE if np.dtype(np.float32) in kinds else DOUBLE


def error(claimed: Any, true: Any) -> float:
    """The norm of the difference relative to the larger norm; infinite where the shapes differ.

    >>> error(np.array([3.0, 4.0]), np.array([3.0, 4.0])), error(np.zeros(2), np.ones(2))
    (0.0, 1.0)
    """
    a, b = np.asarray(claimed), np.asarray(true)
    if a.shape != b.shape:
        return float("inf")
    if a.dtype.kind not in "fciub" or not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
        return float("inf")
    size = max(_norm(a), _norm(b))
    return _norm(a.astype(np.float64) - b) / size if size else 0.0


def _norm(x: Any) -> float:
    values = np.asarray(x, np.float64).ravel()
    scale = max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))
    if 1e-140 < scale < 1e140:
        return float(np.sqrt(np.add.reduce(values * values)))
    return scale * float(np.sqrt(np.add.reduce((values / scale) ** 2))) if scale else 0.0


def same(claimed: Any, true: Any, allowed: float, noise: float = 0.0) -> bool:
    """Whether two gradients agree: relative to their size, or to the noise of the true one."""
    a, b = np.asarray(claimed), np.asarray(true)
    found = error(a, b)
    if found <= allowed:
        return True
    return bool(noise and np.isfinite(found) and _norm(a.astype(np.float64) - b) <= noise)


def noise(subject: Subject, point: Point, single: bool) -> dict[Node, float]:
    """How far rounding errors move each true gradient: what cannot count as a mistake.

    Every operation of the forward and the backward pass is disturbed by as much as rounding does, twice; the
    largest change, with a margin for another order of operations, is the bound.
    """
    subject.prepare(point)
    tape = point.tape
    assert tape is not None
    size = 6e-8 if single else 2.3e-16
    random = np.random.default_rng(7)

    def disturb(node: Node, value: Any, inputs: list[Any]) -> Any:
        if not isinstance(value, (np.ndarray, np.floating)) or value.dtype.kind != "f" or not np.size(value):
            return value
        if any(np.size(x) and np.isin(value.flat[0], x) for x in inputs):  # it selects, and rounds nothing
            return value
        return value * (1 + size * random.choice((-1.0, 0.0, 1.0), size=np.shape(value)))

    before = tape.gradients(point.now)
    found = dict.fromkeys(tape.wrt, 0.0)
    with np.errstate(all="ignore"):
        for _ in range(2):
            after = tape.gradients(tape.backward(tape.run(point.double, disturb), each=disturb))
            for node in tape.wrt:
                found[node] = max(found[node], _norm(np.asarray(after[node]) - before[node]))
    return {node: MARGIN * value for node, value in found.items()}

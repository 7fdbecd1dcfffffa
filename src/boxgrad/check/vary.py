"""Other sizes at which a function can be examined, where those given would hide a mistake.

A batch of one hides a missing sum and the order of rows; equal sizes hide a transpose and a count taken along
the wrong axis. Which sizes are free is found by trying: a size is changed in every argument that shares it,
and the change is accepted if the function still gives one number. Knows shapes and how to call the function;
knows no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from boxgrad.check.budget import Budget
from boxgrad.check.sampling import resampled
from boxgrad.check.subject import Point, Subject
from boxgrad.errors import BoxgradError

Axis = tuple[int, int]
"""The number of a leaf and one of its axes."""
SHARED = 7
"""The most axes of one size whose subsets are tried."""
SECONDS = 1.0
"""How long sizes are tried."""


@dataclass(frozen=True, eq=False)
class Variation:
    """The function at arguments of other sizes; ``finding`` names what a wrong gradient there means."""

    subject: Subject
    points: list[Point]
    finding: str
    detail: str


def variations(subject: Subject) -> Iterator[Variation]:
    """The function at a larger batch than 1, and at unequal sizes where the given ones are equal."""
    budget = Budget(SECONDS, every=8)
    shapes = [np.shape(leaf) for leaf in subject.places.leaves]
    batch = _batch(subject, shapes)
    if batch:
        made = _made(subject, dict.fromkeys(batch, 3))
        if made is not None:
            yield Variation(made, made.points, "right for batch 1 only", "1 → 3")
    sizes = sorted({n for shape in shapes for n in shape if n > 1})
    for size in sizes:
        axes = [(i, k) for i, shape in enumerate(shapes) for k, n in enumerate(shape) if n == size]
        if 1 < len(axes) <= SHARED:
            yield from _unequal(subject, shapes, axes, size, budget)


def _batch(subject: Subject, shapes: Sequence[tuple[int, ...]]) -> list[Axis]:
    """The first axes of size 1 of all arguments that are not parameters."""
    inputs = subject.model.inputs
    found = [
        (i, 0)
        for i, (shape, value) in enumerate(zip(shapes, inputs, strict=True))
        if shape and shape[0] == 1 and value.role != "parameter"
    ]
    return found if found and _works(subject, dict.fromkeys(found, 3)) else []


def _unequal(
    subject: Subject, shapes: Sequence[tuple[int, ...]], axes: Sequence[Axis], size: int, budget: Budget
) -> Iterator[Variation]:
    """One size changed in as few axes as the function allows, so that it differs from the others."""
    free: list[tuple[Axis, ...]] = []
    for count in range(1, len(axes)):
        for chosen in combinations(axes, count):
            if budget.spent():
                return
            if any(set(known) <= set(chosen) for known in free):
                continue
            changes = dict.fromkeys(chosen, size + 1)
            if _works(subject, changes):
                free.append(chosen)
            elif count == 1:
                free += _with_another(subject, shapes, chosen[0], axes)
    if len(free) < 2:
        return
    names = [value.name for value in subject.model.inputs]
    for chosen in free[:3]:
        own = {a: size + 1 for a in chosen if a in axes}
        other = {a: shapes[a[0]][a[1]] - 1 for a in chosen if a not in axes}
        made = _made(subject, {**own, **other})
        if made is not None:
            where = ", ".join(f"{names[i]}: {size}" for i, _ in sorted(own))
            yield Variation(made, made.points, "right for square shapes only", where)


def _with_another(
    subject: Subject, shapes: Sequence[tuple[int, ...]], axis: Axis, axes: Sequence[Axis]
) -> list[tuple[Axis, ...]]:
    """An axis that grows while one of another argument shrinks: a kernel, and what is made with it."""
    size = shapes[axis[0]][axis[1]]
    for i, shape in enumerate(shapes):
        for k, n in enumerate(shape):
            other = i != axis[0] and n > 2 and (i, k) not in axes
            if other and _works(subject, {axis: size + 1, (i, k): n - 1}):
                return [(axis, (i, k))]
    return []


def _resized(subject: Subject, changes: dict[Axis, int]) -> list[Any]:
    random = np.random.default_rng(subject.seed + 17)
    found: list[Any] = []
    for i, leaf in enumerate(subject.places.leaves):
        array = leaf
        for (number, axis), size in changes.items():
            if number == i:
                array = np.take(array, np.arange(size) % array.shape[axis], axis)
        found.append(resampled(array, random) if array is not leaf else leaf)
    return found


def _works(subject: Subject, changes: dict[Axis, int]) -> bool:
    """Whether the function gives one finite number at changed sizes."""
    try:
        value = np.asarray(subject.call(subject.point(_resized(subject, changes))))
    except BoxgradError:
        return False
    except Exception:  # the user's function refuses these sizes, in whatever way
        return False
    return value.shape == () and bool(np.isfinite(value))


def _made(subject: Subject, changes: dict[Axis, int]) -> Subject | None:
    """The function as a subject at changed sizes."""
    try:
        args = subject.places.filled(_resized(subject, changes))
        return Subject(subject.function, args, subject.wrt, subject.seed)
    except BoxgradError:
        return None

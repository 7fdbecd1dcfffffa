"""Other sizes at which a function can be examined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from boxgrad.check.subject import Point, Subject


@dataclass(frozen=True, eq=False)
class Variation:
    """The function at arguments of other sizes."""

    subject: Subject
    point: Point
    kind: str
    finding: str
    detail: str


def variations(subject: Subject) -> Iterator[Variation]:
    """Sizes that fool a checker."""
    return iter(())

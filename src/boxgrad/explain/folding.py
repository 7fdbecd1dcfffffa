"""Runs of repeated boxes: the same chain of boxes again and again, as a Python loop makes them.

Knows boxes by what they look like; knows nothing of drawing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from boxgrad.explain.boxes import Box

LEAST = 4
"""How often a chain must come before it is folded."""
LONGEST = 64
"""The longest chain that is looked for."""


@dataclass(frozen=True, slots=True)
class Run:
    """``count`` repetitions of a chain of ``period`` boxes, from ``start`` on."""

    start: int
    period: int
    count: int

    @property
    def stop(self) -> int:
        return self.start + self.period * self.count

    def path(self, before: str) -> str:
        """The mark of the folded boxes: the first and the last of those between the two ends."""
        return f"{before}{self.start + self.period + 1}-{self.stop - self.period}"


def folded(boxes: Sequence[Box]) -> list[int | Run]:
    """Box numbers (from 0), with runs in the place of repeated chains.

    A chain that saves more boxes is preferred to a shorter one within it.
    """
    looks = [_look(box) for box in boxes]
    found: list[int | Run] = []
    at = 0
    while at < len(boxes):
        best: Run | None = None
        for period in range(1, min(LONGEST, (len(boxes) - at) // LEAST) + 1):
            same = 0
            while at + same + period < len(boxes) and looks[at + same] == looks[at + same + period]:
                same += 1
            count = same // period + 1
            if count >= LEAST and (best is None or count * period > best.count * best.period):
                best = Run(at, period, count)
        if best is None:
            found.append(at)
            at += 1
        else:
            found.append(best)
            at = best.stop
    return found


def _look(box: Box) -> Hashable:
    return (
        box.kind,
        box.title,
        len(box.nodes),
        tuple(value.shape for value in box.inputs),
        tuple(value.shape for value in box.outputs),
    )

"""Runs of repeated boxes: the same chain of boxes again and again, as a Python loop makes them.

Folded, a run is its first and its last repetition and one box for those between. Opened, a long one shows a
few at both ends and leaves the others out.

Knows boxes by what they look like; knows nothing of drawing.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from boxgrad.explain.boxes import Box

_STEP = re.compile(r"^t = (\d+)$")
LEAST = 4
"""How often a chain must come before it is folded."""
LONGEST = 64
"""The longest chain that is looked for."""
MOST = 10
"""How many repetitions are shown one by one; of more, some at both ends are."""
ENDS = 3
"""How many are shown at each end where some are left out."""


@dataclass(frozen=True, slots=True)
class Run:
    """``count`` repetitions of a chain of ``period`` boxes, from ``start`` on."""

    start: int
    period: int
    count: int

    @property
    def stop(self) -> int:
        return self.start + self.period * self.count

    def whole(self, before: str = "", start: int = 0) -> str:
        """The mark of all its boxes together, counted from a box on: the first and the last."""
        return f"{before}{start + self.start + 1}-{start + self.stop}"


def step_title(t: int) -> str:
    """The title of the box of one step of a loop."""
    return f"t = {t}"


def step_of_title(title: str) -> int | None:
    """Which step a box is, by its title."""
    found = _STEP.match(title)
    return None if found is None else int(found[1])


def left_out(count: int, most: int = MOST) -> range:
    """Which of a number of repetitions, counted from 0, are not shown when they are unrolled.

    >>> left_out(200), left_out(10)
    (range(3, 197), range(0, 0))
    """
    return range(ENDS, count - ENDS) if count > most else range(0)


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
        _STEP.sub("t", box.title),
        len(box.nodes),
        tuple(value.shape for value in box.inputs),
        tuple(value.shape for value in box.outputs),
    )

"""Which boxes, and lines about them, are folded away: the inside of long repetitions.

Folded, a repetition shows its first and its last round; unrolled, a few more at both ends. All views leave
out the same.

Knows boxes and marks; knows nothing of any view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from boxgrad.explain.boxes import Box, Model
from boxgrad.explain.folding import Run, folded, left_out
from boxgrad.explain.steps import mark, paths

Item = TypeVar("Item")


class Fold(NamedTuple):
    """Where something is folded away: in which repetition, and whether unrolling that leaves it away."""

    path: str
    gone: bool


class Folds:
    """The folded repetitions of a model."""

    def __init__(self, model: Model) -> None:
        self._boxes: dict[Box, Fold] = {}
        self._marks: dict[str, Fold] = {}
        self._counted: dict[str, int] = {}
        for run in folded(model.boxes):
            if isinstance(run, Run):
                self._note(run, model.boxes)

    def _note(self, run: Run, boxes: list[Box]) -> None:
        middle = Run(run.start + run.period, run.period, run.count - 2)
        gone = left_out(middle.count)
        for i in range(middle.start, middle.stop):
            fold = Fold(middle.whole(), (i - middle.start) // run.period in gone)
            for _, box in [("", boxes[i]), *paths(boxes[i].parts)]:
                self._boxes[box] = fold
                for value in box.outputs:
                    self._marks |= {mark(value): fold, mark(value, True): fold}

    @property
    def gone(self) -> set[str]:
        """The marks of values and gradients that no view shows."""
        return {each for each, fold in self._marks.items() if fold.gone}

    def of(self, box: Box | None, own: str) -> Fold | None:
        """The fold of a line about a box and a mark; of many lines about one mark, two are kept."""
        if not self._boxes:
            return None
        if box is None and own:
            self._counted[own] = self._counted.get(own, 0) + 1
        found = self._marks.get(own) or (self._boxes.get(box) if box is not None else None)
        return Fold("", True) if found is None and self._counted.get(own, 0) > 2 else found


def shown(
    items: Iterable[tuple[Fold | None, Item]], unrolled: bool, gap: Callable[[int], Item]
) -> Iterator[Item]:
    """The items that are not folded away, with a gap for those that are; one alone is no gap."""
    missing: list[Item] = []
    for fold, item in [*items, (None, None)]:
        if fold is not None and item is not None and (fold.gone or not unrolled):
            missing.append(item)
            continue
        yield from missing if len(missing) < 2 else [gap(len(missing))]
        missing = []
        if item is not None:
            yield item

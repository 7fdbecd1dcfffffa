"""The steps of an explanation, and the marks by which its views are linked on a page.

One numbering for all views: what is given, then each box forward, then the seed ∂L/∂L = 1, then each box
backward, from last to first, one gradient at a time.

Every view puts the same marks on what it draws or writes, as attributes of SVG, MathML or HTML elements:

* ``data-k="X"`` on what shows the value X, ``data-k="∂X"`` on what shows ∂L/∂X (see ``mark``);
* ``data-c="X,0,1"``, ``data-c="∂X,0,1"`` on what shows one element of it;
* ``data-s="N"``, ``data-s="∂N"`` on what appears with the step that finds that value or gradient (an arrow, a
  rule at a box, a row of formulas, a line of code);
* ``data-box="3"``, ``data-box="3.1"`` on a box: its number, and its place among the boxes inside (``paths``).

Knows boxes and values; knows nothing of any view.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from boxgrad.explain.boxes import Box, Model, Value

FORWARD, BACKWARD = "forward", "backward"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: ``values`` become known, or their gradients, by a box (None: they are given)."""

    number: int
    direction: str
    values: tuple[Value, ...]
    box: Box | None

    @property
    def marks(self) -> list[str]:
        """The marks of what this step finds."""
        return [mark(value, self.direction == BACKWARD) for value in self.values]


def mark(value: Value, gradient: bool = False) -> str:
    """What links a value, or its gradient, through all views.

    No name of a variable contains ∂, so the two never meet.
    """
    return f"∂{value.name}" if gradient else value.name


def paths(boxes: Collection[Box], before: str = "") -> Iterator[tuple[str, Box]]:
    """Every box, those inside closed ones too, with its mark: ``3``, ``3.1``, ``3.1.2``."""
    for number, box in enumerate(boxes, start=1):
        path = f"{before}{number}"
        yield path, box
        yield from paths(box.parts, f"{path}.")


def steps_of(model: Model, opened: Collection[Box] = ()) -> list[Step]:
    """The steps of a model, in the order of the walk; opened boxes count as the boxes inside them."""
    boxes = list(_visible(model.boxes, set(opened)))
    given = tuple(value for value in model.inputs if value.role != "unused")
    found = [Step(1, FORWARD, given, None)] if given else []
    for box in boxes:
        if box.outputs:
            found.append(Step(len(found) + 1, FORWARD, tuple(box.outputs), box))
    if model.output.gradient is None:
        return found
    found.append(Step(len(found) + 1, BACKWARD, (model.output,), None))
    # A value that several boxes use is known when the last of them has added its share.
    last: dict[Value, Box] = {}
    for box in reversed(boxes):
        last.update(dict.fromkeys(box.local, box))
    for box in reversed(boxes):
        for value in box.local:
            if last[value] is box:
                found.append(Step(len(found) + 1, BACKWARD, (value,), box))
    return found


def _visible(boxes: Collection[Box], opened: set[Box]) -> Iterator[Box]:
    for box in boxes:
        if box in opened and box.parts:
            yield from _visible(box.parts, opened)
        else:
            yield box

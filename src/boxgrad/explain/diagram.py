"""The box diagram of a function and its gradient, from the model that all views share.

Boxes with forward arrows and, beneath each, a backward arrow; values and gradients as numbers, heat-maps or
pictures; closed boxes that open; repeated boxes folded. What is drawn is a document; the media are elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property

from boxgrad.explain.arrangement import Arrangement, Arranger
from boxgrad.explain.boxes import Box, Model
from boxgrad.explain.document import Document
from boxgrad.explain.figures import Drawer
from boxgrad.explain.graphviz import dot
from boxgrad.explain.mermaid import mermaid
from boxgrad.explain.naming import Names
from boxgrad.explain.steps import Step, paths, steps_of
from boxgrad.explain.svg import svg
from boxgrad.explain.unroll import unrolled as unroll
from boxgrad.explain.words import Words, word

EDGE = 14.0

SAID: Words = {
    "title": {"en": "Box diagram of {name} and its gradient", "zh": "{name} 及其梯度的框图"},
    "description": {
        "en": "{boxes} boxes from {inputs} to {output}; forward arrows are solid, backward arrows dashed.",
        "zh": "从 {inputs} 到 {output} 共 {boxes} 个盒子；前向箭头为实线，反向箭头为虚线。",
    },
}


@dataclass(eq=False)
class Diagram:
    """A diagram: ``document`` is the picture as data, ``steps`` the order in which a page plays it."""

    model: Model
    lang: str
    direction: str
    opened: tuple[str, ...]
    document: Document
    arrangement: Arrangement = field(repr=False)
    steps: list[Step]

    @cached_property
    def svg(self) -> str:
        """The diagram as one SVG image, text as text, with colours for light and dark pages."""
        return svg(self.document)

    @cached_property
    def dot(self) -> str:
        """The diagram as DOT text for Graphviz."""
        return dot(self.arrangement, self.direction)

    @cached_property
    def mermaid(self) -> str:
        """The diagram as Mermaid text."""
        return mermaid(self.arrangement, self.direction)

    @property
    def closed(self) -> dict[str, Box]:
        """The boxes that can be opened, by path; pass paths as ``open`` to open them in place."""
        shown = {figure.path for figure in self.document.boxes if figure.kind == "closed"}
        return {path: box for path, box in paths(self.model.boxes) if path in shown}

    def opening(self, *more: str) -> Diagram:
        """The same diagram with more boxes opened."""
        return diagram_of(self.model, self.lang, self.direction, (*self.opened, *more))

    def inside(self, path: str) -> Diagram:
        """The inside of a closed box as a diagram of its own."""
        box = dict(paths(self.model.boxes))[path]
        return _diagram(self.model, box, f"{path}.", self.lang, self.direction, self.opened)

    def _repr_svg_(self) -> str:
        return self.svg


def diagram_of(
    model: Model,
    lang: str = "en",
    direction: str = "right",
    open: Collection[str] = (),
    unrolled: bool = False,
) -> Diagram:
    """The diagram of a model.

    Args:
        model: the boxes and values of a function.
        lang: ``"en"`` or ``"zh"``.
        direction: ``"right"``, or ``"down"`` for narrow pages.
        open: paths of closed boxes (``"2"``, ``"2.1"``) that are drawn opened.
        unrolled: whether the steps of loops are drawn as boxes, with the gradients of each step.

    Returns:
        The diagram, laid out: ``svg``, ``dot``, ``mermaid``, ``steps``.

    >>> import numpy as np
    >>> from boxgrad.explain.explanation import modelled
    >>> diagram = diagram_of(modelled(lambda X, W: np.sum(np.tanh(X @ W)), (np.eye(2), np.ones((2, 3)))))
    >>> [figure.path for figure in diagram.document.boxes], len(diagram.steps)
    (['1', '2'], 7)
    """
    return _diagram(unroll(model) if unrolled else model, None, "", lang, direction, tuple(open))


def failed_diagram(model: Model, message: str, lang: str = "en", direction: str = "right") -> Diagram:
    """The diagram of a function up to the box that could not compute, with the reason beneath that box.

    The last box of the model is the one that failed: it has inputs and no outputs.
    """
    return _diagram(model, None, "", lang, direction, (), message)


def _diagram(
    model: Model, box: Box | None, before: str, lang: str, direction: str, opened: tuple[str, ...],
    failure: str = "",
) -> Diagram:  # fmt: skip
    names = Names([(value.name, value.shape) for value in model.values.values()])
    arranger = Arranger(model, names, lang, direction, opened, failure)
    boxes = model.boxes if box is None else box.inner
    arrangement = arranger.arrange(boxes, before)
    placed = arrangement.placed
    length, breadth = placed.length + 2 * EDGE, placed.breadth + 2 * EDGE
    size = (length, breadth) if direction == "right" else (breadth, length)
    inputs = ", ".join(value.name for value in model.inputs)
    document = Document(
        *size,
        title=word("title", lang, SAID, name=f"{model.output.name}({inputs})"),
        description=word(
            "description", lang, SAID, boxes=len(boxes), inputs=inputs, output=model.output.name
        ),
        language=lang,
    )  # fmt: skip
    known = dict(paths(model.boxes))
    steps = steps_of(model, [known[path] for path in opened if path in known])
    shown = set(_shown(arrangement))
    if any(unit.kind == "folded" for unit in arrangement.units):
        steps = [step for step in steps if shown.intersection(step.marks)]
        steps = [replace(step, number=number) for number, step in enumerate(steps, start=1)]
    numbers = {mark: step.number for step in steps for mark in step.marks}
    Drawer(arranger, document, numbers).draw(arrangement, EDGE, EDGE)
    return Diagram(model, lang, direction, opened, document, arrangement, steps)


def _shown(arrangement: Arrangement) -> list[str]:
    """The marks of the values that are drawn."""
    found: list[str] = []
    for value in arrangement.stations:
        found += [value.name, f"∂{value.name}"]
    for unit in arrangement.units:
        if unit.inside is not None:
            found += _shown(unit.inside)
    return found

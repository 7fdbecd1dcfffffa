"""The box diagram of a function and its gradient, from the model that all views share.

Boxes with forward arrows and, beneath each, a backward arrow; values and gradients as numbers, heat-maps or
pictures; closed boxes that open; repeated boxes folded. What is drawn is a document; the media are elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from boxgrad.explain.arrangement import Arrangement, Arranger, Level
from boxgrad.explain.boxes import Box, Model
from boxgrad.explain.document import Document
from boxgrad.explain.figures import Drawer
from boxgrad.explain.graphviz import dot
from boxgrad.explain.mermaid import mermaid
from boxgrad.explain.naming import names_for
from boxgrad.explain.steps import Step, paths, steps_of
from boxgrad.explain.svg import svg
from boxgrad.explain.unroll import loop_of, unroll
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
        """The closed boxes that can be opened, by path; pass paths as ``open`` to open them in place."""
        shown = {figure.path for figure in self.document.boxes if figure.kind == "closed"}
        return {path: box for path, box in paths(self.model.boxes) if path in shown}

    @cached_property
    def opens(self) -> dict[str, tuple[str, ...]]:
        """What can be opened: closed boxes, loops and repetitions, each with what is open around it."""
        return dict(_opens(self.arrangement, ()))

    def opening(self, *more: str) -> Diagram:
        """The same diagram with more boxes opened."""
        return diagram_of(self.model, self.lang, self.direction, (*self.opened, *more))

    def inside(self, path: str) -> Diagram:
        """The inside of a closed box as a diagram of its own."""
        level = Level(dict(paths(self.model.boxes))[path].parts, f"{path}.")
        return _diagram(self.model, level, self.lang, self.direction, self.opened)

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
        open: paths of closed boxes (``"2"``, ``"2.1"``), of loops (``"3"``) and of folded repetitions
            (``"4-12"``) that are drawn opened.
        unrolled: whether the steps of all loops are drawn as boxes, with the values and gradients of each
            step, and folded repetitions too. Of more than ten, three at each end are drawn.

    Returns:
        The diagram, laid out: ``svg``, ``dot``, ``mermaid``, ``steps``.

    >>> import numpy as np
    >>> from boxgrad.explain.explanation import modelled
    >>> diagram = diagram_of(modelled(lambda X, W: np.sum(np.tanh(X @ W)), (np.eye(2), np.ones((2, 3)))))
    >>> [figure.path for figure in diagram.document.boxes], len(diagram.steps)
    (['1', '2'], 7)
    """
    made = _diagram(model, None, lang, direction, tuple(open))
    while unrolled:
        more = [figure.path for figure in made.document.boxes if figure.opens and _repeats(made, figure.path)]
        if not more:
            break
        made = made.opening(*more)
    return made


def _repeats(diagram: Diagram, path: str) -> bool:
    """Whether what opens is a loop or a repetition, or has one inside."""
    box = dict(paths(diagram.model.boxes)).get(path)
    return box is None or any(loop_of(one) is not None for _, one in paths([box]))


def failed_diagram(model: Model, message: str, lang: str = "en", direction: str = "right") -> Diagram:
    """The diagram of a function up to the box that could not compute, with the reason beneath that box.

    The last box of the model is the one that failed: it has inputs and no outputs.
    """
    return _diagram(model, None, lang, direction, (), message)


def _diagram(
    model: Model, level: Level | None, lang: str, direction: str, opened: tuple[str, ...], failure: str = ""
) -> Diagram:
    known = _unrolled(model, opened)
    names = names_for(tuple((value.name, value.shape) for value in model.everything.values()))
    arranger = Arranger(model, names, lang, direction, opened, failure)
    level = level or Level(model.boxes)
    boxes = level.boxes
    arrangement = arranger.arrange(level)
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
    steps = steps_of(model, [known[path] for path in opened if path in known])
    shown = set(_shown(arrangement))
    if any(figure in ("folded", "elided", "opened") for figure in _kinds(arrangement)):
        steps = [step for step in steps if shown.intersection(step.marks)]
        steps = [replace(step, number=number) for number, step in enumerate(steps, start=1)]
    numbers = {mark: step.number for step in steps for mark in step.marks}
    Drawer(arranger, document, numbers).draw(arrangement, EDGE, EDGE)
    return Diagram(model, lang, direction, opened, document, arrangement, steps)


def _unrolled(model: Model, opened: Collection[str]) -> dict[str, Box]:
    """The boxes of a model by their paths, with the steps of those loops that are opened."""
    known = dict(paths(model.boxes))
    for path in sorted(opened, key=lambda path: path.count(".")):
        box = known.get(path)
        if box is not None and box.kind == "loop" and not box.steps:
            unroll(model, box)
            known.update(paths(box.steps, f"{path}."))
    return known


def _opens(arrangement: Arrangement, around: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for unit in arrangement.units:
        if unit.opens:
            yield unit.path, around
        if unit.inside is not None:
            yield from _opens(unit.inside, (*around, unit.path))


def _kinds(arrangement: Arrangement) -> Iterator[str]:
    for unit in arrangement.units:
        yield unit.kind
        if unit.inside is not None:
            yield from _kinds(unit.inside)


def _shown(arrangement: Arrangement) -> list[str]:
    """The marks of the values that are drawn."""
    found: list[str] = []
    for value in arrangement.stations:
        found += [value.name, f"∂{value.name}"]
    for unit in arrangement.units:
        if unit.inside is not None:
            found += _shown(unit.inside)
    return found

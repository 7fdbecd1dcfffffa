"""The drawings of a page, packed, and the walk through each: its steps and what is said at them.

Knows which sets of boxes can be open together; knows nothing of how drawings are made.
"""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Iterator
from typing import Any

from boxgrad.explain.captions import caption
from boxgrad.explain.html_parts import DIRECTIONS, Explained, inside, names_of, written
from boxgrad.explain.steps import BACKWARD, Step, mark, paths
from boxgrad.explain.svg import svg
from boxgrad.explain.words import LANGUAGES

OPENINGS = 40
"""How many sets of opened boxes have a drawing; boxes beyond that stay closed."""
ROOM = 900_000
"""How much room drawings may take, in characters; after that no further set of boxes is drawn opened."""
_IMAGE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+")


def drawn(explained: Explained) -> dict[str, Any]:
    """All drawings, packed, with their images apart; the steps of each; what is said at the steps."""
    model = explained.model
    path_of: dict[int, str] = {}
    drawings: dict[str, str] = {}
    images: dict[str, int] = {}
    walks: dict[str, list[Any]] = {}
    _openings(explained)  # unrolls what can be unrolled, and gives it names
    names = names_of(model)
    said: dict[str, dict[str, str]] = {}
    around: dict[str, tuple[str, ...]] = {}
    size = 0
    for opened in _openings(explained):
        if size > ROOM:
            break
        name = ",".join(sorted(opened))
        for lang in LANGUAGES:
            for direction in DIRECTIONS:
                made = explained.diagram_in(lang, direction, opened, False)
                text = svg(made.document, standalone=False)
                lean = _IMAGE.sub(lambda found: f"image:{images.setdefault(found[0], len(images))};", text)
                packed = drawings[f"{lang} {direction} {name}".strip()] = _packed(lean)
                size += len(packed)
        diagram = explained.diagram_in(explained.lang, DIRECTIONS[0], opened, False)
        around |= diagram.opens
        steps = diagram.steps
        path_of |= {id(box): path for path, box in paths(model.boxes)}
        walks[name] = [[key, step.marks, hidden] for key, step, hidden in _walk(steps, path_of)]
        for key, step, _ in _walk(steps, path_of):
            if key not in said:
                said[key] = {
                    each: caption(model, step, each, lambda v: written(names, v)) for each in LANGUAGES
                }
    shown = {
        value.name: re.sub("</?span[^>]*>", "", written(names, value)) for value in model.everything.values()
    }
    return {
        "drawings": drawings, "images": list(images), "steps": walks, "say": said, "names": shown,
        "around": around, "open": list(explained.diagram_in(explained.lang, DIRECTIONS[0], ()).opened),
    }  # fmt: skip


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def _openings(explained: Explained) -> list[tuple[str, ...]]:
    """Which boxes can be open together: any of a few; of many, each with those around it.

    First of all what is open at the beginning.
    """
    first = explained.diagram_in(explained.lang, DIRECTIONS[0], ()).opened
    found: list[tuple[str, ...]] = list(dict.fromkeys([first, ()]))
    waiting: list[tuple[str, ...]] = [()]
    waited: list[tuple[str, ...]] = []
    few = True
    while waiting and len(found) < OPENINGS:
        opened = waiting.pop(0)
        opens = explained.diagram_in(explained.lang, DIRECTIONS[0], opened, False).opens
        few = few and len(opens) <= 3
        for path, around in opens.items():
            if few or {*opened} <= {*around}:
                more = (*opened, path)
                if {*more} not in map(set, waited):
                    waited.append(more)
                    waiting.append(more)
                    found += [] if {*more} == {*first} else [more]
    return found[:OPENINGS]


def _walk(steps: list[Step], path_of: dict[int, str]) -> Iterator[tuple[str, Step, list[str]]]:
    """Each step with the key of what is said at it, and the marks inside closed boxes that it covers."""
    shown = {mark for step in steps for mark in step.marks}
    first = {id(step.box): step for step in reversed(steps) if step.direction == BACKWARD}
    for step in steps:
        if step.box is None:
            yield ("∂" if step.direction == BACKWARD else ""), step, []
            continue
        path = path_of.get(id(step.box), "?")
        if step.direction == BACKWARD:
            inner = [
                mark(v, True) for box in inside(step.box) for v in box.local if first[id(step.box)] is step
            ]
            yield path + step.marks[0], step, [each for each in dict.fromkeys(inner) if each not in shown]
        else:
            inner = [mark(value) for box in inside(step.box) for value in box.outputs]
            yield path, step, [each for each in dict.fromkeys(inner) if each not in shown]

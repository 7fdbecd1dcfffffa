"""What is said at each step of the walk: one sentence forward and one backward for each kind of box.

Knows primitives by name, in words; knows nothing of pages. ``{x}``, ``{w}``, ``{y}`` in the sentences are
values and stay as they are, for a page makes marks of them.
"""

from __future__ import annotations

from collections.abc import Callable

from boxgrad.explain.boxes import Box, Model, Value, is_elementwise, is_light
from boxgrad.explain.sentences import SENTENCES
from boxgrad.explain.steps import BACKWARD, Step
from boxgrad.explain.words import word
from boxgrad.graph.node import Node
from boxgrad.ops.contract import split

Name = Callable[[Value], str]

_BY_NAME = {
    "contract", "sum", "max", "min", "prod", "conv", "max_pool", "avg_pool", "reshape", "transpose",
    "concatenate", "slice", "gather", "cumsum", "sort",
}  # fmt: skip
_SIGNS = {"add": "plus", "subtract": "minus", "negative": "negate", "cast": "cast", "where": "choose"}


def say(key: str, lang: str, **values: object) -> str:
    """A sentence of the walk."""
    return word(key, lang, SENTENCES, **values)


def caption(model: Model, step: Step, lang: str, name: Name = lambda value: value.name) -> str:
    """The sentence of a step; ``name`` says how values are written."""
    if step.box is None:
        return _given(model, step, lang, name)
    if step.direction == BACKWARD:
        return _back(model, step.box, step.values[0], lang, name)
    return _onward(step.box, lang, name)


def _given(model: Model, step: Step, lang: str, name: Name) -> str:
    if step.direction == BACKWARD:
        return say("seed", lang, y=name(model.output))
    if len(step.values) > 6:
        return say("given_many", lang, count=len(step.values))
    comma = say("comma", lang)
    groups = [
        say(role, lang, names=comma.join(name(v) for v in step.values if v.role == role))
        for role in ("input", "parameter")
        if any(v.role == role for v in step.values)
    ]
    return say("given", lang, what=say("and", lang).join(groups) or comma.join(map(name, step.values)))


def head(box: Box) -> Node:
    """The node of a box that says what it does."""
    heavy = [node for node in box.nodes if not is_light(node)]
    return (heavy or box.nodes)[-1]


def _kind(box: Box) -> str:
    """The key of the sentences about a box."""
    if box.kind in ("closed", "loop"):
        return box.kind
    primitive = head(box).primitive
    assert primitive is not None
    if primitive.name == "contract" and not _is_product(head(box)):
        return "contraction"
    if primitive.name in _BY_NAME:
        return primitive.name
    if len(box.nodes) == 1 and primitive.name in _SIGNS:
        return _SIGNS[primitive.name]
    return "elementwise" if is_elementwise(head(box)) else "other"


def _is_product(node: Node) -> bool:
    """Whether a contraction is a product of two matrices."""
    first, second, result = split(node.parameters["subscripts"])
    return len(first) == len(second) == len(result) == 2 and len({*first} & {*second}) == 1


def _numbers(box: Box) -> dict[str, object]:
    node = head(box)
    inside = node.inputs[0].shape if node.inputs else ()
    axes = node.parameters.get("axis", ())
    return {
        "axes": ", ".join(str(axis) for axis in (axes if isinstance(axes, tuple) else (axes,))),
        "all": isinstance(axes, tuple) and len(axes) == len(inside),
        "length": node.parameters.get("length", ""),
        "shape": "×".join(map(str, node.shape)) or "()",
    }


def _onward(box: Box, lang: str, name: Name) -> str:
    kind, numbers = _kind(box), _numbers(box)
    if kind in ("sum", "max", "min") and not numbers["all"]:
        kind += "_along"
    inputs = [value for value in box.inputs if value.role != "constant"] or box.inputs
    ordered = _operands(box, inputs)
    return say(
        kind,
        lang,
        x=name(ordered[0]) if ordered else "",
        w=name(ordered[1]) if len(ordered) > 1 else name(ordered[0]) if ordered else "",
        y=say("comma", lang).join(map(name, box.outputs)),
        xs=say("comma", lang).join(map(name, ordered[:4])) + ("…" if len(ordered) > 4 else ""),
        title=box.title,
        **numbers,
    )


def _operands(box: Box, inputs: list[Value]) -> list[Value]:
    """The inputs of a box, those of its head first and in its order."""
    if box.kind in ("closed", "loop"):
        return inputs
    first = [value for x in head(box).inputs for value in inputs if value.node is x]
    return [*dict.fromkeys([*first, *inputs])]


def _back(model: Model, box: Box, value: Value, lang: str, name: Name) -> str:
    kind = _kind(box)
    operands = _operands(box, box.inputs)
    position = operands.index(value) if value in operands else 0
    other = next((v for v in operands if v is not value), value)
    if kind in ("contract", "conv"):
        kind += "_first" if position == 0 else "_second"
    if kind in ("plus", "minus", "elementwise") and value.shape != box.outputs[0].shape:
        kind = "broadcast"
    elif kind == "minus":
        kind = "plus" if position == 0 else "negate"
    elif kind == "min":
        kind = "max"
    said = say(f"back_{kind}", lang, x=name(value), w=name(other), title=box.title, **_numbers(box))
    users = sum(value in one.local for one in model.boxes)
    return said + (say("add_up", lang, x=name(value), count=users) if users > 1 else "")

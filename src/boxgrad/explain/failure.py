"""What can still be shown of a function that could not be traced to its end: the boxes before the failure.

The traceback knows the box that failed and, in the user's frames, the values that were there. Knows errors
and graphs; knows nothing of any view.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType, TracebackType

from boxgrad.errors import BoxgradError
from boxgrad.explain.boxes import Box, Model, Value, group, is_plain_constant
from boxgrad.explain.refusals import in_language
from boxgrad.explain.words import word
from boxgrad.graph.node import Graph, Node, ordered
from boxgrad.trace.apply import apply
from boxgrad.trace.box import Box as TracedBox

FAILED = "failed"
"""The kind of the box that could not compute; it has inputs, and no outputs."""

PRODUCT = "@"
"""The title of a product of matrices that could not be computed."""


def partial(error: BaseException) -> Model | None:
    """The boxes up to the one that failed, as a model without gradients; None where nothing was made."""
    name, nodes = _failed(error.__traceback__)
    found = nodes or _living(error.__traceback__)
    graph = up_to(found)
    if graph is None:
        return None
    model = group(graph, ())
    if nodes:
        values = [_value(model, node) for node in dict.fromkeys(nodes) if not is_plain_constant(node)]
        for value in values:
            value.role = "input" if value.role == "unused" else value.role
        if model.output.role == "output":
            model.output.role = "inner"
        title = PRODUCT if name == "contract" else name
        model.boxes.append(Box(FAILED, title, values, [], [], number=len(model.boxes) + 1))
    return model


def up_to(nodes: list[Node]) -> Graph | None:
    """The graph of some nodes, its inputs those leaves that have the name of an argument."""
    outputs = [node for node in dict.fromkeys(nodes) if node.primitive is not None and not _inside(node)]
    leaves = [node for node in ordered([*outputs, *nodes]) if node.primitive is None]
    inputs = [node for node in leaves if node.label is not None]
    if not inputs:
        return None
    return Graph(tuple(inputs), tuple(outputs or inputs[:1]))


def _inside(node: Node) -> bool:
    """Whether a node belongs to the body of a loop, whose steps have no values yet."""
    return any(x.primitive is None and x.value is None and x.label is None for x in ordered([node]))


def _value(model: Model, node: Node) -> Value:
    """The value of a node that went into the box that failed; an array that is a constant gets a name."""
    if node not in model.values:
        taken = {value.name for value in model.values.values()}
        name = next(c for c in ("C", *(f"C_{i}" for i in range(2, 99))) if c not in taken)
        model.values[node] = Value(node.label or name, node, "constant", automatic=node.label is None)
    return model.values[node]


def _frames(trace: TracebackType | None) -> Iterator[FrameType]:
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _failed(trace: TracebackType | None) -> tuple[str, list[Node]]:
    """The name of the box that could not compute, and what it was given."""
    for frame in _frames(trace):
        if frame.f_code is apply.__code__:
            names = frame.f_locals
            return names["primitive"].name, list(names.get("nodes", ()))
    return "", []


def _living(trace: TracebackType | None) -> list[Node]:
    """The traced values in the variables of the functions that were running."""
    found: list[Node] = []
    for frame in _frames(trace):
        found += [value.node for value in frame.f_locals.values() if isinstance(value, TracedBox)]
    return found


def so_far(model: Model, lang: str = "en") -> list[str]:
    """The boxes of a model that was cut short, a line each, with values and shapes: ``X (3×2)``."""

    def described(value: Value) -> str:
        return f"{value.name} ({'×'.join(map(str, value.shape)) or word('scalar', lang)})"

    lines: list[str] = []
    for box in model.boxes:
        inputs = [described(value) for value in box.inputs]
        product = box.title in ("contract", PRODUCT) and len(inputs) == 2
        done = " @ ".join(inputs) if product else f"{box.title}({', '.join(inputs)})"
        if box.kind == FAILED:
            lines.append(f"✗ {done}")
        else:
            lines.append(f"{', '.join(map(described, box.outputs))} = {done}")
    return lines


def described_error(error: Exception) -> str:
    """An error as it is shown: boxgrad's own says all by itself, another is said to be what it is."""
    return str(error) if isinstance(error, BoxgradError) else f"{type(error).__name__}: {error}"


def extended(error: Exception, lines: list[str], lang: str) -> None:
    """Add lines to an error's message, in a language; an error that is not boxgrad's gets them as a note."""
    if isinstance(error, BoxgradError):
        error.args = (in_language("\n".join([str(error), *lines]), lang),)
    elif lines:
        error.add_note(in_language("\n".join(lines), lang))

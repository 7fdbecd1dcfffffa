"""What can still be shown of a function that could not be traced to its end: the boxes before the failure.

The traceback knows the box that failed and, in the user's frames, the values that were there. Knows errors
and graphs; knows nothing of any view.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from boxgrad.explain.boxes import Box, Model, Value, group
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
        values = [model.values[node] for node in dict.fromkeys(nodes) if node in model.values]
        if model.output.role == "output":
            model.output.role = "inner"
        title = PRODUCT if name == "contract" else name
        model.boxes.append(Box(FAILED, title, values, [], [], number=len(model.boxes) + 1))
    return model


def up_to(nodes: list[Node]) -> Graph | None:
    """The graph of some nodes, its inputs those leaves that have the name of an argument."""
    outputs = [node for node in dict.fromkeys(nodes) if node.primitive is not None]
    leaves = [node for node in ordered(nodes) if node.primitive is None]
    inputs = [node for node in leaves if node.label is not None]
    if not inputs:
        return None
    return Graph(tuple(inputs), tuple(outputs or inputs[:1]))


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


def described(value: Value) -> str:
    """A value with its shape, as messages name it: ``X (3×2)``."""
    return f"{value.name} ({'×'.join(map(str, value.shape)) or 'scalar'})"


def so_far(model: Model) -> list[str]:
    """The boxes of a model that was cut short, a line each."""
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


def extended(error: BaseException, lines: list[str]) -> Any:
    """Add lines to an error's message."""
    error.args = ("\n".join([str(error), *lines]),)
    return error

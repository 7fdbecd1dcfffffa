"""From a graph to an expression: arrangement, slices and look-ups.

Knows how keys are written; what they mean element by element is known by ``indexing``.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from boxgrad.explain import expression as x
from boxgrad.explain import placed
from boxgrad.explain.expression import Expression
from boxgrad.graph.node import Node
from boxgrad.ops.index import Slot

LETTERS = "ijklmnpqrs"


def reshape_(node: Node, arguments: list[Expression]) -> Expression:
    return rearranged(arguments[0], node.shape)


def rearranged(body: Expression, shape: tuple[int, ...]) -> Expression:
    """The same elements in another shape; a number stays a number."""
    if body.shape == shape or (not shape and body.shape == ()):
        return body
    if isinstance(body, x.Rearranged):
        return rearranged(body.x, shape)
    if isinstance(body, x.Spread) and body.x.shape == () and 1 in (np.size(np.zeros(shape)),):
        return rearranged(body.x, shape)
    if isinstance(body, x.Fill):
        return x.Fill(body.value, shape=shape)
    return x.Rearranged(body, shape=shape)


def broadcast_(node: Node, arguments: list[Expression]) -> Expression:
    return spread(arguments[0], node.shape)


def spread(body: Expression, shape: tuple[int, ...]) -> Expression:
    """A value repeated to a shape; axes of size 1 that are repeated are no axes of its own."""
    if body.shape == shape:
        return body
    lead = len(shape) - len(body.shape)
    own = [i for i, n in enumerate(body.shape) if n != 1 or shape[i + lead] == 1]
    if isinstance(body, x.Fill):
        return x.Fill(body.value, shape=shape)
    inner = rearranged(body, tuple(body.shape[i] for i in own))
    return x.Spread(inner, tuple(i + lead for i in own), shape=shape)


def transpose(node: Node, arguments: list[Expression]) -> Expression:
    axes, body = node.parameters["axes"], arguments[0]
    n = len(axes)
    if axes == tuple(range(n)):
        return body
    if n >= 2 and axes == (*range(n - 2), n - 1, n - 2):
        return x.transpose(body)
    if isinstance(body, x.Permuted):
        joined = tuple(body.axes[i] for i in axes)
        return body.x if joined == tuple(range(n)) else x.Permuted(body.x, joined, shape=node.shape)
    return x.Permuted(body, axes, shape=node.shape)


def key_text(key: Any, inputs: list[str] | None = None) -> str:
    """A key as it is written in an index, counted from 0 as in the code."""
    written = []
    for item in key if isinstance(key, tuple) else (key,):
        if isinstance(item, builtins.slice):
            start = "" if item.start is None else str(item.start)
            stop = "" if item.stop is None else str(item.stop)
            step = "" if item.step in (None, 1) else f":{item.step}"
            written.append(f"{start}:{stop}{step}")
        elif item is None:
            written.append("∗")
        elif item is Ellipsis:
            written.append("…")
        elif hasattr(item, "number"):
            written.append(inputs[item.number] if inputs else "·")
        else:
            written.append(str(item))
    return ",".join(written)


def slice_(node: Node, arguments: list[Expression]) -> Expression:
    key, body = node.parameters["key"], arguments[0]
    if np.prod(body.shape) == np.prod(node.shape) and not _turns(key):
        return rearranged(body, node.shape)
    return x.Item(body, key_text(key), shape=node.shape)


def _turns(key: Any) -> bool:
    return any(isinstance(item, builtins.slice) and item.step not in (None, 1) for item in key)


def embed(node: Node, arguments: list[Expression]) -> Expression:
    key, body = node.parameters["key"], arguments[0]
    if np.prod(body.shape) == np.prod(node.shape) and not _turns(key):
        return rearranged(body, node.shape)
    return x.Call("embed", (body,), note=key_text(key), shape=node.shape)


def put(node: Node, arguments: list[Expression]) -> Expression:
    return x.Call("put", tuple(arguments[:2]), note=key_text(node.parameters["key"]), shape=node.shape)


def gather(node: Node, arguments: list[Expression]) -> Expression:
    source, indices = node.inputs[0], node.inputs[1:]
    marks, front, block = _look_up(node.parameters["key"], source.shape, indices)
    return placed.Gather(arguments[0], tuple(arguments[1:]), marks, front, block, shape=node.shape)


def scatter(node: Node, arguments: list[Expression]) -> Expression:
    marks, front, block = _look_up(node.parameters["key"], node.shape, node.inputs[1:])
    return placed.Scatter(arguments[0], tuple(arguments[1:]), marks, front, block, shape=node.shape)


def _look_up(
    key: tuple[Any, ...], shape: tuple[int, ...], indices: tuple[Node, ...]
) -> tuple[tuple[tuple[Any, ...], ...], int, tuple[int, ...]]:
    """What stands for each axis of an array, and where the axes of the index arrays go.

    ("new",), ("at", k), ("from", start, step, count); ("array", number) for an index array, and
    ("along", axis) for one that counts 0, 1, 2 … along an axis of the block.
    """
    block = np.broadcast_shapes(*(part.shape for part in indices))
    items = list(key)
    missing = len(shape) - sum(item is not None and item is not Ellipsis for item in items)
    if Ellipsis not in [item for item in items if item is Ellipsis]:
        items.append(Ellipsis)
    at = next(i for i, item in enumerate(items) if item is Ellipsis)
    items[at : at + 1] = [builtins.slice(None)] * missing
    marks: list[tuple[Any, ...]] = []
    sizes = iter(shape)
    for item in items:
        n = 1 if item is None else next(sizes)
        if item is None:
            marks.append(("new",))
        elif isinstance(item, builtins.slice):
            start, stop, step = item.indices(n)
            marks.append(("from", start, step, len(range(start, stop, step))))
        elif isinstance(item, Slot):
            along = _counting(indices[item.number], block, n)
            marks.append(("array", item.number) if along is None else ("along", along))
        else:
            marks.append(("at", int(item) % n))
    advanced = [i for i, mark in enumerate(marks) if mark[0] in ("array", "along", "at")]
    together = advanced == list(range(advanced[0], advanced[-1] + 1))
    return tuple(marks), advanced[0] if together else 0, block


def unsorted(node: Node, arguments: list[Expression]) -> Expression:
    """Every element takes what is at the place to which sorting moves it."""
    g, body = arguments
    axis: int = node.parameters["axis"]
    rank = x.Call("rank", (body,), note=LETTERS[axis], shape=node.shape)
    marks = tuple(("array", 0) if i == axis else ("along", i) for i in range(len(node.shape)))
    return placed.Gather(g, (rank,), marks, 0, node.shape, shape=node.shape)


def _counting(index: Node, block: tuple[int, ...], size: int) -> int | None:
    """The axis of the block along which a constant index array counts from 0 to the last place."""
    value = index.value
    if index.primitive is not None or value is None:
        return None
    spread = np.broadcast_to(value, block)
    for axis, n in enumerate(block):
        counted = np.arange(n).reshape([n if i == axis else 1 for i in range(len(block))])
        if n == size > 1 and np.array_equal(spread, np.broadcast_to(counted, block)):
            return axis
    return None


def item(node: Node, arguments: list[Expression]) -> Expression:
    return x.Item(arguments[0], str(node.parameters["index"]), shape=node.shape)


def concatenate(node: Node, arguments: list[Expression]) -> Expression:
    return x.Call("concat", tuple(arguments), note=LETTERS[node.parameters["axis"]], shape=node.shape)

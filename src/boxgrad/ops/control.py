"""``scan``: a loop as one primitive, with a graph inside; and ``item``, which takes one of its results.

The inputs of the primitive are those of its body: what stays the same in every step (``constants``), the
carry, then the sequences, which the body sees one step at a time. The body gives the next carry and the
outputs of the step, which are stacked; outputs beyond those the user asked for save values for the
derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from boxgrad import tree
from boxgrad.boxed import current_tracer
from boxgrad.errors import ShapeError
from boxgrad.graph.evaluate import program
from boxgrad.graph.node import Graph
from boxgrad.graph.primitive import Call, OfInside, Primitive, Same
from boxgrad.types import ArrayType


def _loop(
    *inputs: Any, body: Graph, constants: int, carries: int, length: int, reverse: bool
) -> tuple[Any, ...]:
    step = program(body)
    fixed, carry = inputs[:constants], inputs[constants : constants + carries]
    sequences = inputs[constants + carries :]
    stacked = [np.empty((length, *node.shape), node.dtype) for node in body.outputs[carries:]]
    for t in range(length - 1, -1, -1) if reverse else range(length):
        results = step(*fixed, *carry, *[x[t] for x in sequences])
        carry = results[:carries]
        for sequence, value in zip(stacked, results[carries:], strict=True):
            sequence[t] = value
    return (*carry, *stacked)


def _loop_type(
    *inputs: ArrayType, body: Graph, constants: int, carries: int, length: int, reverse: bool
) -> tuple[ArrayType, ...]:
    carry = tuple(ArrayType(x.shape, x.dtype) for x in inputs[constants : constants + carries])
    outputs = (ArrayType((length, *x.shape), x.dtype) for x in body.outputs[carries:])
    return (*carry, *outputs)


loop = Primitive("scan", _loop, _loop_type, OfInside(), Call("scan"), ())


def _item_rule(g: Any, y: Any, x: Any, index: int) -> Any:
    raise AssertionError("the backward walk passes the gradients of items on to their tuple")


item = Primitive("item", lambda x, index: x[index], lambda x, index: x[index], (_item_rule,), Same(), ())


def scan_length(xs: Any, length: int | None) -> int:
    """The number of steps: the common size of the first axis of all sequences."""
    sizes = {np.shape(x)[0] if np.ndim(x) else -1 for x in tree.leaves(xs)}
    if length is not None:
        sizes.add(length)
    if len(sizes) != 1 or -1 in sizes:
        raise ShapeError.because(
            f"scan: the sequences have {'no' if not sizes else 'different'} lengths"
            + (f" {sorted(sizes)}" if sizes else ""),
            "every array in xs has time as its first axis, of one length",
            "scan(cell, init, xs) with time-major xs, or scan(cell, init, None, length=n)",
        )
    return sizes.pop()


def scan(
    cell: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Run a cell along the first axis of sequences, carrying a state.

    ``carry_{t+1}, y_t = cell(carry_t, x_t)``

    Args:
        cell: takes the carry and one step of ``xs``, returns the next carry and an output.
        init: the first carry, a tree of arrays.
        xs: a tree of arrays of shape (T, …), time first; or None with ``length``.
        length: T, where there are no sequences.
        reverse: run from the last step to the first; outputs stay in the order of ``xs``.

    Returns:
        The last carry, and the outputs stacked along a new first axis (T, …).

    Raises:
        ShapeError: sequences of different lengths, or a carry whose shape or dtype changes.

    As ``jax.lax.scan``.

    >>> total, partial = scan(lambda c, x: (c + x, c + x), 0.0, np.array([1.0, 2.0, 3.0]))
    >>> float(total), partial
    (6.0, array([1., 3., 6.]))
    """
    steps = scan_length(xs, length)
    tracer = current_tracer()
    if tracer is not None:
        return tracer.scan(cell, init, xs, steps, reverse)
    carry, outputs = init, [None] * steps
    values, structure = tree.flatten(xs)
    order = range(steps)
    for t in reversed(order) if reverse else order:
        carry, outputs[t] = cell(carry, tree.unflatten(structure, [np.asarray(x)[t] for x in values]))
    if not outputs:
        raise ShapeError.because(
            "scan over no steps",
            "without a step nothing says what the outputs are",
            "sequences of at least one step",
        )
    return carry, tree.map(lambda *ys: np.stack(ys), *outputs)

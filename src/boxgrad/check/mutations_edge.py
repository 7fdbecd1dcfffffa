"""Mistakes in what a box hands back as a whole: dropped, doubled, negated, transposed, summed too widely.

Knows the shapes of an edge's result and of its gradient; does not look into the rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations
from typing import Any

import numpy as np

from boxgrad.check.edits import Edit, Look
from boxgrad.check.tape import Edge, Tape, applied
from boxgrad.graph.node import Node


def edge_edits(tape: Tape, edge: Edge) -> Iterator[Edit]:
    """The mistakes of one edge as a whole."""
    root, shape = edge.root, edge.input.shape

    def result(look: Look) -> Any:
        return look(root)

    alone = len(tape.into[edge.input]) == 1
    yield Edit(edge, "path dropped", ("drop",), 1.2 if alone else 0.4, lambda look: np.zeros(shape))
    yield Edit(edge, "counted twice", ("twice",), 1.85, lambda look: 2 * result(look))
    yield Edit(edge, "sign", ("sign",), 0.5, lambda look: -result(look))
    for leaf in edge.leaves:
        if leaf.shape == shape and leaf is not root:
            kind, rank = _left_out(edge, leaf)
            yield Edit(edge, kind, ("left out",), rank, lambda look, leaf=leaf: look(leaf), detail="1")
    if edge.input in tape.wrt and "axis" in root.parameters and root in edge.moving:
        yield Edit(
            edge,
            "sum missing",
            ("sum missing",),
            0.5,
            lambda look: look(root.inputs[0]),
            at=None,
            detail="sum",
        )
    if edge.input in tape.wrt or _gathers(edge):
        yield from _sums(edge)
    if edge.input in tape.wrt or _rearranges(edge):
        yield from _orders(edge)


def _left_out(edge: Edge, leaf: Node) -> tuple[str, float]:
    """What it is called to leave a rule out: a sign or a constant, where the rule is no more than that."""
    factor = constant_of(edge, leaf)
    if factor is None:
        return "derivative left out", 0.3
    return ("sign", 0.25) if factor == -1 else ("constant factor", 0.25)


def is_constant(node: Node) -> bool:
    """Whether a node is a number written in the code, or a count that NumPy put there."""
    return node.primitive is None and node.value is not None and np.size(node.value) == 1 and not node.label


def constant_of(edge: Edge, leaf: Node) -> float | None:
    """The number that a rule multiplies the gradient by, where it does nothing else."""
    numbers: dict[Node, Any] = {leaf: np.linspace(1.0, 2.0, int(np.prod(leaf.shape))).reshape(leaf.shape)}
    for node in (*edge.fixed, *edge.moving):
        if node.primitive is None:
            numbers[node] = node.value
        elif all(x in numbers or is_constant(x) for x in node.inputs):
            numbers.update({x: x.value for x in node.inputs if is_constant(x)})
            numbers[node] = applied(node, numbers)
        else:
            return None
    ratio = np.asarray(numbers[edge.root] / numbers[leaf])
    return float(ratio.flat[0]) if np.ptp(ratio) <= 1e-12 * np.abs(ratio).max() else None


def _gathers(edge: Edge) -> bool:
    """Whether the rule sums or spreads: where a person could do so along too many axes."""
    return any("axis" in node.parameters or "keepdims" in node.parameters for node in edge.moving) or any(
        len(leaf.shape) != len(edge.input.shape) for leaf in edge.leaves
    )


def _rearranges(edge: Edge) -> bool:
    """Whether the value's elements are in another arrangement in the box's result."""
    return edge.node.shape != edge.input.shape and np.prod(edge.node.shape) == np.prod(edge.input.shape)


def _sums(edge: Edge) -> Iterator[Edit]:
    shape = edge.input.shape
    wide = [axis for axis, n in enumerate(shape) if n > 1]
    for count in range(1, len(wide) + 1):
        if 1 < count < len(wide):
            continue
        for axes in combinations(wide, count):

            def total(look: Look, axes: tuple[int, ...] = axes) -> Any:
                g = np.asarray(look(edge.root))
                return np.broadcast_to(g.sum(axis=axes, keepdims=True), shape)

            def mean(look: Look, axes: tuple[int, ...] = axes) -> Any:
                g = np.asarray(look(edge.root))
                return np.broadcast_to(g.mean(axis=axes, keepdims=True), shape)

            yield Edit(edge, "sum too wide", ("sum", axes), 2.2, total, detail=_axes(axes))
            yield Edit(edge, "sum too wide", ("mean", axes), 3.6, mean, detail=_axes(axes))


def _orders(edge: Edge) -> Iterator[Edit]:
    shape = edge.input.shape
    n = len(shape)
    if n >= 2 and shape[-1] == shape[-2] > 1:
        yield Edit(
            edge, "transposed", ("transposed",), 1.0, lambda look: np.swapaxes(look(edge.root), -1, -2)
        )
    if 2 <= n <= 4:
        for order in permutations(range(n)):
            if order == tuple(range(n)) or sum(s > 1 for s in shape) < 2:
                continue

            def moved(look: Look, order: tuple[int, ...] = order) -> Any:
                return np.asarray(look(edge.root)).transpose(order).reshape(shape)

            yield Edit(edge, "order permuted", ("memory", order), 3.0, moved, detail=str(order))
    wide = [axis for axis, size in enumerate(shape) if size > 1]
    spatial = tuple(axis for axis in wide if axis >= 2)
    for axes in dict.fromkeys([spatial, *((axis,) for axis in wide)]):
        if axes:
            turned = axes == spatial
            yield Edit(
                edge,
                "kernel not flipped" if turned else "order permuted",
                ("flip", axes),
                1.4 if turned else 3.2,
                lambda look, axes=axes: np.flip(look(edge.root), axes),
                detail=_axes(axes),
            )


def _axes(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"

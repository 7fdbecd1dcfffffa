"""What can be seen of a rule's nodes by trying: what comes before what, what was merged, what is done.

Knows graphs and numbers; makes no edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from boxgrad.check.edits import Look
from boxgrad.check.mutations_edge import is_constant
from boxgrad.check.tape import Tape
from boxgrad.explain.boxes import is_elementwise
from boxgrad.graph.node import Node


def before(x: Node, y: Node) -> bool:
    """Whether x is what y was a moment ago, element by element."""
    for _ in range(6):
        if not is_elementwise(y):
            return False
        before = [z for z in y.inputs if z.shape == y.shape and not is_constant(z)]
        if len(before) != 1:
            return x in before
        y = before[0]
        if y is x:
            return True
    return False


def spreads(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


def behaviour(node: Node) -> str:
    """What a function of one argument does, seen by trying: it changes the sign, or rearranges."""
    assert node.primitive is not None
    x = node.inputs[0]
    if x.dtype.kind != "f" or x.shape != node.shape:
        return ""
    probe = np.random.default_rng(0).uniform(0.1, 0.9, x.shape)
    try:
        with np.errstate(all="ignore"):
            y = np.asarray(node.primitive.meaning(probe, **node.parameters))
    except (ValueError, TypeError, IndexError):
        return ""
    if np.array_equal(y, -probe):
        return "sign"
    return "layout" if np.array_equal(np.sort(y, axis=None), np.sort(probe, axis=None)) else ""


def row_orders(tape: Tape, node: Node) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """How the rows of a gradient could have been put in another order: merged axes exchanged, or reversed."""
    shape = node.shape
    if len(shape) >= 3:
        lead = shape[:-1] if len(shape) == 3 else (shape[0], *shape[2:])
        if sum(n > 1 for n in lead) > 1 and len(shape) == 3:
            yield (shape[0],), (1, 0)
        if len(shape) == 4:
            yield (shape[0],), (2, 3, 0, 1)
            yield (shape[0],), (2, 1, 0, 3)
    elif len(shape) == 2:
        for sizes in merged(tape, node):
            for order in permutations(range(len(sizes))):
                if order != tuple(range(len(sizes))):
                    yield sizes, order


def merged(tape: Tape, node: Node) -> set[tuple[int, ...]]:
    """The axes that the rows of a matrix were merged from, or are split into, by what is next to it."""
    rows, found = node.shape[0], set()
    for other in tape.order:
        if len(other.shape) > 2:
            for stop in range(2, len(other.shape) + 1):
                lead = other.shape[:stop]
                if int(np.prod(lead)) == rows and sum(n > 1 for n in lead) > 1:
                    found.add(tuple(lead))
            spread = (other.shape[0], *other.shape[2:])
            if int(np.prod(spread)) == rows and sum(n > 1 for n in spread) > 1:
                found.add(spread)
    return {sizes for sizes in found if len(sizes) <= 4}


def plain(node: Node, look: Look) -> object:
    """What a node gives as it is."""
    assert node.primitive is not None
    return node.primitive.meaning(*[look(x) for x in node.inputs], **node.parameters)

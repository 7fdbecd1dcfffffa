"""Gradients of pooling where windows overlap, or stand partly on padding.

Knows windows, strides and paddings; knows nothing of loops. An element collects what the windows that see it
hand out. Elements whose positions leave the same remainder, divided by the stride, are seen from the same
places of windows; so each such class is one elementwise operation on views of what the windows hand out, with
zeros around it, and no element is written twice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad.engines.native.layout import Buffer, Home, Shape, Value, order_of, ordered_strides
from boxgrad.engines.native.lowering import Lowering
from boxgrad.engines.native.margins import Pads
from boxgrad.engines.native.steps import Literal, Operand
from boxgrad.engines.native.vector import Term
from boxgrad.graph.node import Node


@dataclass(frozen=True, slots=True)
class Class:
    """Along one axis: elements with the same remainder, and where the windows that see them begin."""

    elements: slice
    count: int
    windows: tuple[int, ...]


def framed(
    shape: Shape, dtype: np.dtype[Any], pads: Pads, fill: Any, order: tuple[int, ...]
) -> tuple[Value, Value]:
    """A buffer with room around its last axes, and what is inside."""
    lead = len(shape) - len(pads)
    outer = (*shape[:lead], *(n + sum(pad) for n, pad in zip(shape[lead:], pads, strict=True)))
    buffer = Buffer(dtype, math.prod(outer), Home.FIXED, fill=fill)
    whole = Value(buffer, outer, ordered_strides(outer, order), 0, dtype)
    key = (slice(before, before + n) for n, (before, _) in zip(shape[lead:], pads, strict=True))
    return whole, whole.at((..., *key))


def surrounded(lowering: Lowering, x: Value, padding: Pads, fill: Any) -> Value:
    """A value with padding around its last axes; copied once, however many ask for it."""
    if not any(map(any, padding)):
        return x
    key = ("padded", id(x.buffer), x.offset, x.shape, x.strides, padding, str(fill))
    found = lowering.copies.get(key)
    if found is None:
        found, inside = framed(x.shape, x.dtype, padding, fill, order_of(x))
        lowering.copy(x, inside, "pad")
        lowering.copies[key] = found
    return found


def seen(lowering: Lowering, node: Node, sizes: Shape, counts: Shape) -> Value | None:
    """How many elements of each window are no padding, at least 1; None where all are."""
    p = node.parameters
    if not any(map(any, p["padding"])):
        return None
    total: Any = np.ones((), node.dtype)
    for axis, n in enumerate(sizes):
        start = np.arange(counts[axis]) * p["stride"][axis] - p["padding"][axis][0]
        inside = np.minimum(start + p["size"][axis], n) - np.maximum(start, 0)
        total = total[..., None] * np.maximum(inside, 0).astype(node.dtype)
    return lowering.constant(np.maximum(total, 1))


def spread(
    lowering: Lowering,
    node: Node,
    place: Value,
    counts: Shape,
    shares: list[tuple[str, list[Operand], Callable[..., Term]]],
    beside: list[Value],
    emit: Callable[..., Term],
) -> None:
    """Write ``place``: ``emit`` gets the values ``beside`` an element, then the ``shares`` of every window.

    A share is a name, operands over all windows, and what is computed of them.
    """
    p, rank = node.parameters, len(counts)
    lead = place.shape[: len(place.shape) - rank]
    classes = [
        _classes(n, *rest)
        for n, *rest in zip(
            place.shape[len(lead) :], p["size"], p["stride"], (pad[0] for pad in p["padding"]), strict=True
        )
    ]
    pads = tuple(_margin(found, count) for found, count in zip(classes, counts, strict=True))
    wholes: list[Value] = []
    for name, operands, compute in shares:
        space = (*lead, *counts)
        whole, inside = framed(space, node.dtype, pads, 0, order_of(place))
        lowering.add(name, space, tuple(operands), compute, inside)
        wholes.append(whole)
    assert node.primitive is not None
    for choice in itertools.product(*classes):
        target = place.at((..., *(c.elements for c in choice)))
        views = [value.at((..., *(c.elements for c in choice))) for value in beside]
        for starts in itertools.product(*(c.windows for c in choice)):
            key = [
                slice(pad[0] + start, pad[0] + start + c.count)
                for start, pad, c in zip(starts, pads, choice, strict=True)
            ]
            views += [whole.at((..., *key)) for whole in wholes]
        if len(views) == len(beside):
            lowering.copy(Literal(0, node.dtype), target, "zeros", apart=True)
            continue
        operands = tuple(Operand(view, node.dtype) for view in views)
        lowering.add(node.primitive.name, target.shape, operands, emit, target, apart=True)


def _classes(n: int, size: int, stride: int, before: int) -> list[Class]:
    found: list[Class] = []
    for remainder in range(stride):
        first = (remainder - before) % stride
        if first < n:
            window = (first + before - remainder) // stride
            taps = len(range(remainder, size, stride))
            starts = tuple(window - tap for tap in range(taps))
            found.append(Class(slice(first, n, stride), len(range(first, n, stride)), starts))
    return found


def _margin(classes: list[Class], count: int) -> tuple[int, int]:
    """How far views of the windows reach beyond them."""
    starts = [(start, start + c.count) for c in classes for start in c.windows]
    return max(0, -min(s for s, _ in starts)), max(0, max(e for _, e in starts) - count)

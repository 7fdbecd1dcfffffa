"""Room around images: channels last, with zeros where a convolution looks beyond the edge.

Knows what convolutions read and where; knows nothing of kernels. An image that convolutions read is written
at once where they want it: its channels contiguous, inside a larger buffer whose border nobody writes.
``gaps`` leave zeros between positions as well, as the gradient of a convolution with strides needs them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad.engines.native.layout import Buffer, Home, Shape, Value, fresh, ordered_strides
from boxgrad.graph.node import Node

Pads = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Room:
    """A buffer with an image inside, and how far the image is from its edges."""

    whole: Value
    inside: Value
    pads: Pads
    gaps: Shape

    def cut(self, pads: Pads) -> Value | None:
        """The image with so much of the room; None where there is not enough."""
        if any(want > have for wants, haves in zip(pads, self.pads, strict=True)
               for want, have in zip(wants, haves, strict=True)):  # fmt: skip
            return None
        key = [slice(None), slice(None)]
        for size, want, have in zip(self.whole.shape[2:], pads, self.pads, strict=True):
            key.append(slice(have[0] - want[0], size - have[1] + want[1]))
        return self.whole.at(tuple(key))


def room(shape: Shape, dtype: np.dtype[Any], pads: Pads, gaps: Shape | None = None, fill: Any = 0) -> Room:
    """New room for images (N, C, *S)."""
    gaps = gaps or (1,) * len(pads)
    order = (0, *range(2, len(shape)), 1)
    outer = [
        before + (n - 1) * gap + 1 + after
        for n, (before, after), gap in zip(shape[2:], pads, gaps, strict=True)
    ]
    size = (*shape[:2], *outer)
    if not any(map(any, pads)) and all(gap == 1 for gap in gaps):
        whole = fresh(shape, dtype, order)
        return Room(whole, whole, pads, gaps)
    buffer = Buffer(dtype, math.prod(size), Home.FIXED, fill=fill)
    whole = Value(buffer, size, ordered_strides(size, order), 0, dtype)
    key = [slice(None), slice(None)]
    for (before, after), n, gap in zip(pads, outer, gaps, strict=True):
        key.append(slice(before, n - after, gap))
    return Room(whole, whole.at(tuple(key)), pads, gaps)


def gradient_pads(node: Node) -> Pads | None:
    """The room around g that ``conv_input_gradient`` looks at; None where padding exceeds the kernel."""
    p = node.parameters
    g, w = node.inputs
    pads: list[tuple[int, int]] = []
    for axis, size in enumerate(p["shape"]):
        span = p["dilation"][axis] * (w.shape[2 + axis] - 1)
        before = span - p["padding"][axis][0]
        after = size - ((g.shape[2 + axis] - 1) * p["stride"][axis] + 1) + span - before
        if before < 0 or after < 0:
            return None
        pads.append((before, after))
    return tuple(pads)


def _margin(reader: Node, x: Node) -> Pads | None:
    """The room around ``x`` that one of its readers looks at, without gaps."""
    name = reader.primitive.name if reader.primitive else ""
    none = ((0, 0),) * (len(x.shape) - 2)
    if name == "conv" and reader.inputs[0] is x:
        return reader.parameters["padding"]
    if name == "conv_filter_gradient":
        return reader.parameters["padding"] if reader.inputs[0] is x else none
    if name == "conv_input_gradient" and reader.inputs[0] is x and set(reader.parameters["stride"]) <= {1}:
        return gradient_pads(reader)
    return None


def wanted(x: Node, readers: Sequence[Node]) -> Pads | None:
    """The room that all convolutions among the readers need; None where there is none."""
    found = [pads for pads in (_margin(reader, x) for reader in readers) if pads is not None]
    if not found or 0 in x.shape:
        return None
    return tuple(
        (max(pad[0] for pad in axis), max(pad[1] for pad in axis)) for axis in zip(*found, strict=True)
    )

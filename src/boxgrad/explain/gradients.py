"""The gradient of each box by itself: the chain rule, one box at a time.

The backward walk is run over the nodes of one box, from a leaf that stands for the gradient of its output to
its inputs. What comes out is an expression in forward values and ∂L/∂(output): the local rule, as every view
shows it and as the doctor compares it. Where the forward pass has values, so has every gradient.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from boxgrad.autodiff.loops import scan_backward
from boxgrad.autodiff.reverse import Walk
from boxgrad.boxed import activate
from boxgrad.explain.boxes import Box, Model, Value
from boxgrad.graph.node import Node, input_node
from boxgrad.graph.walk import depending
from boxgrad.trace.apply import noting
from boxgrad.trace.box import Box as TracedBox
from boxgrad.trace.box import OwnBox
from boxgrad.trace.tracer import Tracing
from boxgrad.types import ArrayType


def derive(model: Model) -> None:
    """Fill in the local gradients of all boxes and the gradients of all values, from last to first."""
    active = set(depending([model.output.node], [value.node for value in model.wrt]))
    totals: dict[Value, Any] = {}
    seed_value = None
    if model.output.node.value is not None:
        seed_value = np.ones(model.output.node.shape, model.output.node.dtype)[()]
    _give(model.output, seed_value)
    totals[model.output] = seed_value
    _derive_level(model.boxes, active, totals)


def _give(value: Value, number: Any) -> None:
    kind = ArrayType(value.node.shape, value.node.dtype)
    value.gradient = input_node(kind, f"d{value.name}", number)


def derive_inside(boxes: list[Box], outputs: list[Value], wrt: list[Value]) -> None:
    """The same for boxes whose results are some values, of which the numbers are not known."""
    active = set(depending([value.node for value in outputs], [value.node for value in wrt]))
    for value in outputs:
        _give(value, None)
    _derive_level(boxes, active, dict.fromkeys(outputs))


def derive_steps(boxes: list[Box], results: dict[Value, Any], inputs: Collection[Value]) -> None:
    """The same for the steps of a loop, whose ``results`` have gradients that are known.

    What comes from outside, ``inputs``, gets its shares; its own gradient stays as it is.
    """
    active = set(depending([value.node for value in results], [value.node for value in inputs]))
    _derive_level(boxes, active, results, set(inputs))


def _derive_level(
    boxes: list[Box], active: set[Node], totals: dict[Value, Any], around: Collection[Value] = ()
) -> None:
    for box in reversed(boxes):
        for value in box.outputs:
            if value in totals and value.gradient is None:
                _give(value, totals[value])
        reached = [value for value in box.outputs if value.gradient is not None and value in totals]
        wanted = [value for value in box.inputs if value.node in active and value.node.dtype.kind in "fc"]
        if not reached or not wanted:
            continue
        with activate(Tracing()), noting(origin=(), scope=None):
            found = Walk(True, scan_backward).run(
                [value.node for value in reached],
                [OwnBox(value.gradient) for value in reached if value.gradient is not None],
                [value.node for value in wanted],
            )
        for value, g in zip(wanted, found, strict=True):
            if g is None:
                continue
            node = g.node if isinstance(g, TracedBox) else input_node(ArrayType.of(g), None, g)
            box.local[value] = node
            known = totals.get(value)
            totals[value] = node.value if known is None or node.value is None else known + node.value
        if box.inner:
            inside: dict[Value, Any] = {value: totals[value] for value in reached}
            for value in reached:
                # What the box uses itself gets its gradient inside, when all shares are known.
                if any(value in inner.inputs for inner in box.inner):
                    value.gradient = None
            _derive_level(box.inner, active, inside, set(box.inputs))
    for value, number in totals.items():
        # What comes from around the box may be used elsewhere too: its gradient is not known yet.
        if value.gradient is None and value not in around:
            _give(value, number)

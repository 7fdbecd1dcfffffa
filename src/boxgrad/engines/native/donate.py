"""Results that may be written over the arguments they replace: a training step's parameters.

Knows steps and buffers. A result may be written where an input lies if nothing needs the old value any more:
every step that reads it comes before the one that writes, or is that one and reads the position that it
writes. After the first such write nothing may fail, so that an error leaves the arguments as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from boxgrad.engines.native.layout import Home, Value
from boxgrad.engines.native.steps import Fallback, Kernel, Literal, Step
from boxgrad.graph.node import Graph


def donate(
    steps: Sequence[Step], results: Sequence[Value | Literal], targets: Mapping[int, int], graph: Graph
) -> dict[int, int]:
    """Move results into inputs where that is safe; the positions of those results, and their inputs."""
    used = [id(r.buffer) for r in results if isinstance(r, Value)]
    inputs = {r.buffer.number for r in results if isinstance(r, Value) and r.buffer.home is Home.INPUT}
    failing = max((n for n, step in enumerate(steps) if _may_fail(step)), default=-1)
    donated: dict[int, int] = {}
    for position, number in targets.items():
        result, argument = results[position], graph.inputs[number]
        if not isinstance(result, Value) or result.buffer.home is not Home.OUTPUT or number in inputs:
            continue
        fits = (result.shape, result.dtype, result.buffer.size) == (
            argument.shape,
            argument.dtype,
            result.size,
        )
        if not fits or not result.is_contiguous or used.count(id(result.buffer)) > 1:
            continue
        writers = [n for n, step in enumerate(steps) if any(v.buffer is result.buffer for v in step.writes)]
        if len(writers) == 1 and writers[0] > failing and _is_free(steps, writers[0], result, number):
            donated[position] = number
    for position, number in donated.items():
        result = results[position]
        assert isinstance(result, Value)
        result.buffer.home, result.buffer.number = Home.INPUT, number
    outputs = dict.fromkeys(
        r.buffer for r in results if isinstance(r, Value) and r.buffer.home is Home.OUTPUT
    )
    for number, buffer in enumerate(outputs):
        buffer.number = number
    return donated


def _may_fail(step: Step) -> bool:
    return isinstance(step, Fallback) or step.may_fail


def _is_free(steps: Sequence[Step], writer: int, result: Value, number: int) -> bool:
    """Whether the input is read by no step after the writer, and by it only where it writes."""
    for position, step in enumerate(steps[writer:], writer):
        for value in step.reads:
            old = (
                isinstance(value, Value) and value.buffer.home is Home.INPUT and value.buffer.number == number
            )
            if (
                old
                and value.buffer is not result.buffer
                and (position > writer or not _aligned(step, value, result))
            ):
                return False
    return True


def _aligned(step: Step, value: Value, result: Value) -> bool:
    """Whether a kernel reads the input at the very positions that it writes."""
    if not isinstance(step, Kernel) or not step.in_place or value in step.scattered:
        return False
    place = next(v for v in step.writes if v.buffer is result.buffer)
    return Value(place.buffer, value.shape, value.strides, value.offset, value.dtype).same_place(place)

"""Loops: a ``scan`` becomes kernels that are run once for each step, on values that move.

Knows carries, sequences and windows. The body is lowered once. What it reads of a sequence and what it adds
to one are windows that advance with the steps; a carry has two places, which take turns. The program's list
of jobs then holds every step, each with addresses of its own, so a loop costs no more than the same kernels
in a row; of a loop in a loop it holds every step of both. Operands of products that stay the same are packed
before the loop (``multiply``).
"""

from __future__ import annotations

from boxgrad.engines.native.layout import Buffer, Value, Window, fresh
from boxgrad.engines.native.lowering import Lowering, RefusedError
from boxgrad.engines.native.steps import Fallback, Literal, Scan
from boxgrad.graph.node import Node
from boxgrad.passes import fold, share

MOST_STEPS = 1 << 17
"""Steps of a loop in loops, all together, that are listed."""


def scan(lowering: Lowering, node: Node) -> None:
    p = node.parameters
    if p["length"] == 0:
        raise RefusedError("a loop of no steps")
    level, times = lowering.level, lowering.times * p["length"]
    if level and times > MOST_STEPS:
        raise RefusedError(f"{times} steps of a loop in a loop, whose list would be too long")
    body = share(fold(p["body"]))
    fixed, carries, length = p["constants"], p["carries"], p["length"]
    inputs = [lowering.value(x) for x in node.inputs]
    given = inputs[:fixed]
    states: list[Value] = []
    for number, start in enumerate(inputs[fixed : fixed + carries]):
        # Two places: the present carry is read in one, the next is written into the other.
        state = fresh((2, *start.shape), body.outputs[number].dtype)
        states.append(state)
        given.append(_turn(state, 0, level))
    for x in inputs[fixed + carries :]:
        window = Window(x.buffer, x.offset, x.strides[0], level=level)
        given.append(_through(window, x.shape[1:], x.strides[1:], x))
    wanted: list[tuple[Node, Value]] = []
    stacked: dict[Node, Value] = {}
    places: dict[Node, Value] = {}
    for output in body.outputs[carries:]:
        if output not in stacked:
            whole = stacked[output] = fresh((length, *output.shape), output.dtype)
            window = Window(whole.buffer, 0, whole.strides[0], level=level)
            place = _through(window, output.shape, whole.strides[1:], whole)
            wanted.append((output, place))
            if output.primitive is not None:
                places[output] = place
    for output, state in zip(body.outputs[:carries], states, strict=True):
        place = _turn(state, 1, level)
        wanted.append((output, place))
        if output.primitive is not None:
            places.setdefault(output, place)
    inner = Lowering(body, lowering.rows, lowering.machine, given, places, lowering, times)
    for output, place in wanted:
        source = inner.source(output)
        if isinstance(source, Literal) or not source.same_place(place):
            inner.copy(source, place)
    for step in inner.steps:
        if isinstance(step, Fallback):
            raise RefusedError(f"{step.label} in its body: {step.reason}")
    for start, state in zip(inputs[fixed : fixed + carries], states, strict=True):
        lowering.copy(start, state.at((0,)), "first carry")
    steps = range(length - 1, -1, -1) if p["reverse"] else range(length)
    packs = [value for (kind, *_), value in lowering.copies.items() if kind == "panels"]
    results = (*stacked.values(), *states)
    lowering.steps.append(Scan("scan", inner, (*inputs, *states, *packs), results, steps))
    for item in lowering.items(node):
        index = item.parameters["index"]
        if index < carries:
            lowering.lies(item, states[index].at((length % 2,)))
        else:
            lowering.lies(item, stacked[body.outputs[index]])


def _turn(state: Value, shift: int, level: int) -> Value:
    """One of the two places of a carry, the other one at the next step."""
    window = Window(state.buffer, 0, state.strides[0], 2, shift, level)
    return _through(window, state.shape[1:], state.strides[1:], state)


def _through(window: Window, shape: tuple[int, ...], strides: tuple[int, ...], like: Value) -> Value:
    size = 1 + sum((n - 1) * abs(s) for n, s in zip(shape, strides, strict=True))
    buffer = Buffer(like.dtype, size, window=window)
    return Value(buffer, shape, strides, 0, like.dtype)

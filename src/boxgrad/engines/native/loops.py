"""Loops: a ``scan`` becomes kernels that are run once for each step, on values that move.

Knows carries, sequences and windows. The body is lowered once. What it reads of a sequence and what it adds
to one are windows that advance with the steps; a carry has two places, which take turns, or one for each step
where all of them are wanted. The program's list of jobs then holds every step, each with addresses of its
own, so a loop costs no more than the same kernels in a row; of a loop in a loop it holds every step of both.
Operands of products that stay the same are packed before the loop (``multiply``).
"""

from __future__ import annotations

from boxgrad.engines.native.layout import Buffer, Value, Window, fresh
from boxgrad.engines.native.lowering import Lowering, RefusedError
from boxgrad.engines.native.overlay import Overlay, overlays
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
    fixed, carries, length, reverse = p["constants"], p["carries"], p["length"], p["reverse"]
    inputs = [lowering.value(x) for x in node.inputs]
    given = inputs[:fixed]
    kept = set(body.outputs[carries:])
    states: list[_State] = []
    possible = overlays(lowering, node, inputs, fixed + carries)
    for i, start in enumerate(inputs[fixed : fixed + carries]):
        is_history = bool({body.inputs[fixed + i], body.outputs[i]} & kept)
        states.append(_State(start, body.outputs[i], is_history, length, reverse, level))
    given += [state.present for state in states]
    read = [_at_each_step(x, level) for x in inputs[fixed + carries :]]
    given += read
    wanted: list[tuple[Node, Value]] = []
    stacked: dict[Node, Value] = {}
    places: dict[Node, Value] = {}
    for i, state in enumerate(states):
        output = body.outputs[i]
        wanted.append((output, state.following))
        if output.primitive is not None:
            places.setdefault(output, state.following)
        if state.is_history:
            stacked.setdefault(body.inputs[fixed + i], state.before)
            stacked.setdefault(output, state.after)
    made = [output for output in dict.fromkeys(body.outputs[carries:]) if output not in stacked]
    chosen: dict[Buffer, Overlay] = {}
    for each in possible:
        laid = each.places(length, [output for output in made if output not in stacked])
        if laid:
            stacked |= laid
            chosen[each.buffer] = each
            each.old |= {x.buffer for x in read if x.buffer.host is each.buffer}
    for output in made:
        whole = stacked.get(output)
        if whole is None:
            whole = stacked[output] = fresh((length, *output.shape), output.dtype)
        place = _at_each_step(whole, level)
        if whole.buffer in chosen:
            chosen[whole.buffer].new.add(place.buffer)
        wanted.append((output, place))
        if output.primitive is not None:
            places.setdefault(output, place)
    lowering.overlays += chosen.values()
    inner = Lowering(body, lowering.rows, lowering.machine, given, places, lowering, times=times)
    for output, place in wanted:
        source = inner.source(output)
        if isinstance(source, Literal) or not source.same_place(place):
            inner.copy(source, place)
    in_numpy = [step for step in inner.steps if isinstance(step, Fallback)]
    if in_numpy and (level or 2 * len(in_numpy) > len(inner.steps)):
        raise RefusedError(f"{in_numpy[0].label} in its body: {in_numpy[0].reason}")
    for state in states:
        lowering.copy(state.start, state.first, "first carry")
    steps = range(length - 1, -1, -1) if reverse else range(length)
    packs = [value for (kind, *_), value in lowering.copies.items() if kind == "panels"]
    results = (*(stacked[x] for x in body.outputs[carries:]), *(state.whole for state in states))
    lowering.steps.append(
        Scan("scan", inner, (*inputs, *(state.whole for state in states), *packs), results, steps)
    )
    for item in lowering.items(node):
        index = item.parameters["index"]
        lowering.lies(item, states[index].last if index < carries else stacked[body.outputs[index]])


class _State:
    """Where a carry lies: in two places that take turns, or where all of its steps are kept.

    If the body gives the carry itself as an output, before or after a step, the loop writes each into the
    array of all of them, and reads it there in the next step: nothing is copied.
    """

    def __init__(
        self, start: Value, output: Node, is_history: bool, length: int, reverse: bool, level: int
    ) -> None:
        self.start, self.is_history = start, is_history
        whole = self.whole = fresh((length + 1 if is_history else 2, *start.shape), output.dtype)
        step = whole.strides[0]
        if is_history:
            # Backwards in time the carry of step t comes from place t + 1 and goes to place t.
            old, new = (step, 0) if reverse else (0, step)
            windows = [Window(whole.buffer, place, step, level=level) for place in (old, new)]
            parts = slice(0, length), slice(1, length + 1)
            self.before, self.after = (whole.at((part,)) for part in (reversed(parts) if reverse else parts))
            first, last = (length, 0) if reverse else (0, length)
        else:
            windows = [Window(whole.buffer, 0, step, 2, shift, level) for shift in (0, 1)]
            first, last = 0, length % 2
        self.present, self.following = (
            _through(window, whole.shape[1:], whole.strides[1:], whole) for window in windows
        )
        self.first, self.last = whole.at((first,)), whole.at((last,))


def _at_each_step(sequence: Value, level: int) -> Value:
    """What a loop sees of a sequence."""
    window = Window(sequence.buffer, sequence.offset, sequence.strides[0], level=level)
    return _through(window, sequence.shape[1:], sequence.strides[1:], sequence)


def _through(window: Window, shape: tuple[int, ...], strides: tuple[int, ...], like: Value) -> Value:
    size = 1 + sum((n - 1) * abs(s) for n, s in zip(shape, strides, strict=True))
    buffer = Buffer(like.dtype, size, window=window)
    return Value(buffer, shape, strides, 0, like.dtype)

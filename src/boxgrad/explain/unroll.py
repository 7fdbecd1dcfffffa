"""Loops unrolled: every step of a ``scan`` becomes a box of its own, with its values and its gradients.

The steps are put inside the box of the loop, so the views show it closed, as a recurrence, or opened, step by
step; each step opens in its turn. A value of step t is called as in the recurrence: ``h[t]``.

Knows graphs and loops; knows nothing of any view.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boxgrad.explain.boxes import Box, Model, Namer, Value, boxes_of
from boxgrad.explain.chain import Chain, Step
from boxgrad.explain.folding import step_of_title, step_title
from boxgrad.explain.gradients import derive_steps
from boxgrad.explain.loop_steps import again, loop_results, scope_in_step
from boxgrad.explain.loops import Loop
from boxgrad.explain.steps import paths
from boxgrad.graph.node import Graph, Node, Scope, ordered
from boxgrad.ops import control
from boxgrad.ops.elementwise import identity
from boxgrad.trace.apply import apply

LARGEST = 20_000
"""The most nodes that the steps of a loop may have together; a larger loop stays folded."""


def loop_of(box: Box) -> Node | None:
    """The node of a box that is a loop."""
    return next((node for node in box.nodes if node.primitive is control.loop), None)


def can_unroll(box: Box) -> bool:
    """Whether a box is a loop of which the steps can be shown one by one."""
    node = loop_of(box) if box.kind == "loop" else None
    if node is None or not node.parameters["length"]:
        return False
    known = all(x.value is not None for x in node.inputs)
    return known and node.parameters["length"] * len(node.parameters["body"].nodes) <= LARGEST


def unroll(model: Model, box: Box) -> None:
    """Give the box of a loop its steps, with their values and gradients; a box that has them stays as it is.

    The steps compute what the loop computed, so all numbers stay the same.
    """
    if box.steps or not can_unroll(box):
        return
    steps = _Steps(model, box)
    box.steps = steps.boxes
    model.unrolled.update(steps.made)
    model.aliases.update(steps.aliases)


class _Steps:
    """The steps of one loop."""

    def __init__(self, model: Model, box: Box) -> None:
        self._values = model.everything
        own = {self._values[node]: node for node in box.nodes if node in self._values}
        results = {value: _renamed(value, own.get(value, value.node)) for value in box.outputs}
        step = Step([box], list(box.inputs), list(results.values()), list(box.nodes))
        self._loop = Loop(Chain(model), step)
        self._before = set(self._values)
        self._kept: list[Node] = []
        nodes = self._results(box, [value.node for value in results.values()])
        inner = {outer: _renamed(outer, node) for outer, node in zip(results, nodes, strict=True)}
        self.aliases = {
            known.name: value.name for value in inner.values() if (known := self._values.get(value.node))
        }
        self.aliases |= self._loop.starts
        self._values |= {value.node: value for value in inner.values()}
        namer = Namer(model.graph)
        for value in self._values.values():
            namer.unique(value.name)
        graph = Graph(tuple(value.node for value in box.inputs), tuple(nodes))
        self.boxes = boxes_of(graph, self._values, namer, self._kept)
        totals = {v: v.gradient.value for v in inner.values() if v.gradient is not None}
        if totals and box.local:
            derive_steps(self.boxes, totals, list(box.local))
        self._join({value: outer for outer, value in inner.items()})

    @property
    def made(self) -> dict[Node, Value]:
        """The values of the steps; a result of the loop is the value that it is outside."""
        shown = {value for _, box in paths(self.boxes) for value in (*box.inputs, *box.outputs)}
        return {n: v for n, v in self._values.items() if n not in self._before and v in shown}

    def _join(self, outside: dict[Value, Value]) -> None:
        """The results are the values outside: one value has one name and one place."""
        for _, box in paths(self.boxes):
            box.inputs = [outside.get(value, value) for value in box.inputs]
            box.outputs = [outside.get(value, value) for value in box.outputs]
            box.local = {outside.get(value, value): node for value, node in box.local.items()}
        self._values = {node: outside.get(value, value) for node, value in self._values.items()}

    def _results(self, box: Box, results: list[Node]) -> list[Node]:
        """The results of the box as the steps make them; no two are the same node."""
        new: dict[Node, Any] = {}
        around = self._loop.node.scope
        for node in box.nodes:
            inputs = [new.get(x, x) for x in node.inputs]
            if node.primitive is control.loop:
                new[node] = self._unrolled(node, inputs)
            elif node.primitive is control.item and isinstance(inputs[0], list):
                new[node] = inputs[0][node.parameters["index"]]
            else:
                new[node] = again(node, inputs, scope_in_step(node.scope, around, None, {}))
        made = [new[node] for node in results]
        used = {x for node in ordered(made, self._before) for x in node.inputs}
        for i, node in enumerate(made):
            # A result that the steps use too has a gradient from outside, and another one inside.
            if node in used or node in self._before or node in made[:i]:
                made[i] = apply(identity, [node], {})
        return made

    def _unrolled(self, loop: Node, inputs: list[Node]) -> list[Node]:
        """The results of a loop, computed step by step."""
        length, backwards = loop.parameters["length"], loop.parameters["reverse"]
        around = "".join(f"{time}," for time in _times(loop.scope))
        called, kept = self._loop.called, self._loop.kept
        several = len(self._loop.boxes) > 1 or any(
            box.inner or box.kind == "loop" for box in self._loop.boxes
        )

        def step_scope(t: int) -> Scope | None:
            return Scope(step_title(t + 1), None, ()) if several else None

        def visit(t: int, known: Mapping[Node, Node]) -> None:
            for inside, name in called.items():
                node = known.get(inside)
                if node is not None and node.primitive is not None and node not in self._values:
                    self._values[node] = Value(f"{name}[{around}{t + 1}]", node, "inner")
            if t != (0 if backwards else length - 1):
                self._kept += [known[node] for node in kept]

        return loop_results(loop, inputs, step_scope, visit)


def _renamed(value: Value, node: Node) -> Value:
    """The same value, made by another node."""
    return Value(value.name, node, value.role, value.automatic, value.gradient)


def _times(scope: Scope | None) -> list[int]:
    """The steps of loops around a loop, outermost first."""
    found: list[int] = []
    while scope is not None:
        time = step_of_title(scope.name)
        found += [] if time is None else [time]
        scope = scope.parent
    return found[::-1]

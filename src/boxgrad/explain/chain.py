"""The steps of a model as mathematics takes them, and the chain rule through each.

A step is one definition: a box, or several whose values between them need no name of their own. The gradient
of each step comes from the same backward walk as everywhere, with one box for each named function.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from boxgrad.autodiff.loops import scan_backward
from boxgrad.autodiff.reverse import Walk
from boxgrad.boxed import activate
from boxgrad.explain import expression as x
from boxgrad.explain.boxes import Box, Model, Namer, Value, is_elementwise
from boxgrad.explain.convert import converted
from boxgrad.explain.drawn import drawn, law
from boxgrad.explain.expression import Derivative, Expression, Symbol
from boxgrad.explain.naming import Names
from boxgrad.explain.recognise import Function, named
from boxgrad.explain.simplify import Step as Rewriting
from boxgrad.explain.simplify import simplify
from boxgrad.explain.special import Whole, whole
from boxgrad.graph.node import Node, ordered
from boxgrad.ops import control
from boxgrad.trace.apply import noting
from boxgrad.trace.box import Box as TracedBox
from boxgrad.trace.box import OwnBox
from boxgrad.trace.tracer import Tracing

LARGEST = 48
"""The largest definition, in marks, that is made by leaving out a name between."""
_EXPANDED = {"divide", "power", "square", "reciprocal", "multiply", "add", "subtract", "negative", "where"}


@dataclass(eq=False)
class Step:
    """One definition, and what it adds to the gradient of each of its inputs."""

    boxes: list[Box]
    inputs: list[Value]
    outputs: list[Value]
    nodes: list[Node]
    inner: set[Value] = field(default_factory=set)
    forward: dict[Value, Expression] = field(default_factory=dict)
    local: dict[Value, Expression] = field(default_factory=dict)
    functions: list[Function] = field(default_factory=list)
    rewritings: dict[Value, list[Rewriting]] = field(default_factory=dict)
    whole: Whole | None = None
    drawn: dict[Symbol, Expression] = field(default_factory=dict)
    """Names of random values and their laws."""

    @property
    def box(self) -> Box:
        """The box that gives the result."""
        return self.boxes[-1]

    @property
    def is_loop(self) -> bool:
        return any(node.primitive is control.loop for node in self.nodes)


def is_function(box: Box) -> bool:
    """Whether a closed box is a function of one argument, element by element."""
    reals = [value for value in box.inputs if value.node.dtype.kind == "f"]
    return len(reals) == len(box.inputs) == len(box.outputs) == 1 and all(map(is_elementwise, box.nodes))


class Chain:
    """The steps of a model, in the order of the forward pass, with their formulas."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.names = Names([(value.name, value.shape) for value in model.values.values()])
        self.output = self.symbol(model.output)
        self.drawn: dict[Node, Symbol] = {}
        """Names of random values that are no values of the model."""
        self.inside: set[str] = set()
        """Names of the states of loops."""
        self._start()

    def _start(self) -> None:
        self._outer = {value for box in self.model.boxes for value in box.outputs}
        self.steps = self._merged(list(self._leaves(self.model.boxes)))
        for step in self.steps:
            self._write(step)

    def _leaves(self, boxes: Iterable[Box]) -> Iterator[Step]:
        """The boxes that are definitions, closed ones opened unless mathematics writes them whole."""
        for box in boxes:
            if not box.inner or is_function(box):
                yield _step(box)
                continue
            found = whole(box, self.symbol, self._fresh)
            if found is None:
                yield from self._leaves(box.inner)
            else:
                step = _step(box)
                step.whole, step.inputs = found, list(found.gradients)
                yield step

    def _fresh(self, name: str, shape: tuple[int, ...]) -> Symbol:
        while name in self.names:
            name += "_1" if "_" not in name else "1"
        return self.names.symbol(name, shape)

    # ---- names
    @cached_property
    def namer(self) -> Namer:
        """Names for values inside of loops: different from those outside, and in other loops."""
        namer = Namer(self.model.graph)
        for value in self.model.values.values():
            namer.unique(value.name)
        namer.start(sum(value.automatic for value in self.model.values.values()))
        return namer

    def symbol(self, value: Value) -> Symbol:
        return self.names.symbol(value.name, value.shape)

    def gradient(self, value: Value) -> Expression:
        """∂L/∂(value); 1 for L itself."""
        if value is self.model.output:
            return x.Fill(1, shape=value.shape) if value.shape else x.number(1)
        return Derivative(self.output, self.symbol(value), shape=value.shape)

    # ---- steps
    def _merged(self, steps: list[Step]) -> list[Step]:
        """Steps joined where the value between has no name of the user's and an obvious gradient."""
        users: dict[Value, list[Step]] = {}
        for step in steps:
            for value in step.inputs:
                users.setdefault(value, []).append(step)
        kept: list[Step] = []
        for step in steps:
            after = users.get(step.outputs[0], []) if len(step.outputs) == 1 else []
            if len(after) == 1 and not (step.is_loop or after[0].is_loop or step.whole or after[0].whole):
                value = step.outputs[0]
                if self._says_nothing(step, after[0], value):
                    _join(step, after[0], value, users)
                    continue
            kept.append(step)
        return kept

    def _says_nothing(self, step: Step, after: Step, value: Value) -> bool:
        nameable = value.automatic or value not in self._outer
        if not nameable or value is self.model.output or value in self.model.wrt:
            return False
        if len(step.nodes) + len(after.nodes) > LARGEST:
            return False
        if value.gradient is None:
            return len(step.nodes) <= 8
        self._write(after)
        found = after.local.get(value)
        return found is not None and (value.shape == () or _is_plain(found))

    def _known(self, values: Iterable[Value]) -> dict[Node, Expression]:
        return {value.node: self.symbol(value) for value in values if not is_uniform(value)}

    def _write(self, step: Step) -> None:
        """The definition of a step and the expressions of its gradients."""
        constants = {
            value
            for node in step.nodes
            for part in node.inputs
            if part.primitive is None
            and part.value is not None
            and np.size(part.value) > 1
            and (value := self.model.values.get(part)) is not None
        }
        known = self._known({*step.inputs, *constants})
        if step.is_loop:
            return
        if step.whole is not None:
            (value,) = step.outputs
            step.forward[value] = step.whole.result
            if value.gradient is not None:
                for argument, gradient in step.whole.gradients.items():
                    if argument.gradient is not None:
                        step.local[argument] = simplify(gradient(self.gradient(value)))
            return
        ends = {value.node for box in step.boxes if box.inner and is_function(box) for value in box.outputs}
        new = named(step.nodes, ends)
        outside = {value.node: value for value in step.outputs}
        for node in drawn(step.nodes, outside):
            value = outside.get(node)
            name = self._drawn_name(node) if value is None else self.symbol(value)
            step.drawn[name] = law(node)
            if value is None:
                known[new[node]] = name
        heads = [new[value.node] for value in step.outputs]
        found = converted(heads, known)
        for value, head in zip(step.outputs, heads, strict=True):
            symbol = self.symbol(value)
            step.forward[value] = step.drawn.pop(symbol) if symbol in step.drawn else simplify(found[head])
        step.functions = [n.primitive for n in ordered(heads) if isinstance(n.primitive, Function)]  # type: ignore[misc]
        reached = [value for value in step.outputs if value.gradient is not None]
        wanted = [value for value in step.inputs if value.gradient is not None]
        if not reached or not wanted:
            return
        with activate(Tracing()), noting(origin=(), scope=None):
            gradients = Walk(True, scan_backward).run(
                [new[value.node] for value in reached],
                [OwnBox(value.gradient) for value in reached],  # type: ignore[arg-type]
                [value.node for value in wanted],
            )
        for value in step.outputs:
            head = new[value.node]
            if head.primitive is not None and head.primitive.name not in _EXPANDED:
                known[head] = self.symbol(value)
        for value in reached:
            known[value.gradient] = self.gradient(value)  # type: ignore[index]
        nodes = {v: g.node for v, g in zip(wanted, gradients, strict=True) if isinstance(g, TracedBox)}
        written = converted(nodes.values(), known)
        for value, node in nodes.items():
            steps: list[Rewriting] = []
            step.local[value] = simplify(written[node], steps)
            step.rewritings[value] = steps
        for value, g in zip(wanted, gradients, strict=True):
            if g is not None and not isinstance(g, TracedBox):
                step.local[value] = x.Fill(float(np.ravel(g)[0]), shape=value.shape)
        self._share(step)

    def _drawn_name(self, node: Node) -> Symbol:
        if node not in self.drawn:
            self.drawn[node] = self._fresh("M" if node.dtype.kind == "b" else "R", node.shape)
        return self.drawn[node]

    def _share(self, step: Step) -> None:
        """A gradient that another one contains is named there: ∂L/∂b = Σ ∂L/∂N."""
        users: dict[Value, int] = {}
        for other in getattr(self, "steps", [step]):
            for value in other.inputs:
                users[value] = users.get(value, 0) + 1
        for value, share in sorted(step.local.items(), key=lambda item: -item[1].size):
            if _is_plain(share) or users.get(value, 1) > 1:
                continue
            for other, expression in list(step.local.items()):
                if other is not value and expression.size > share.size:
                    step.local[other] = x.substitute(expression, {share: self.gradient(value)})

    # ---- the whole chain
    def contributions(self) -> dict[Value, list[tuple[Step, Expression]]]:
        """What each step adds to the gradient of each value, in the order of the backward pass."""
        found: dict[Value, list[tuple[Step, Expression]]] = {}
        for step in reversed(self.steps):
            for value, expression in step.local.items():
                found.setdefault(value, []).append((step, expression))
        return found


def is_uniform(value: Value) -> bool:
    """Whether a value is a constant array of one number, without a name of the user's."""
    array = value.node.value
    if value.role != "constant" or not value.automatic or array is None or not np.size(array):
        return False
    return bool(np.all(array == np.ravel(array)[0]))


def _is_plain(e: Expression) -> bool:
    """∂L/∂y, or a number times it."""
    if isinstance(e, x.Negative):
        return _is_plain(e.x)
    if isinstance(e, x.Times):
        return all(factor.shape == () for factor in e.factors[:-1]) and _is_plain(e.factors[-1])
    return isinstance(e, (Derivative, x.Number, x.Fill))


def _step(box: Box) -> Step:
    return Step([box], list(box.inputs), list(box.outputs), list(box.nodes))


def _join(step: Step, after: Step, value: Value, users: dict[Value, list[Step]]) -> None:
    """Make a step a part of the one that uses its result."""
    after.boxes = [*step.boxes, *after.boxes]
    after.nodes = sorted({*step.nodes, *after.nodes}, key=lambda node: node.number)
    after.inputs = list(dict.fromkeys([*step.inputs, *(v for v in after.inputs if v is not value)]))
    after.inner = {*after.inner, *step.inner, value}
    after.forward, after.local = {}, {}
    for source in step.inputs:
        users[source] = [one for one in users[source] if one is not step]
        if after not in users[source]:
            users[source].append(after)

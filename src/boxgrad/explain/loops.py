"""A loop as mathematics writes it: the recurrence for hₜ, and the one for ∂L/∂hₜ that runs the other way.

The body of the loop is a small model of its own, whose values carry the index t. Parameters get a sum over t.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from boxgrad.autodiff.loops import scan_backward
from boxgrad.autodiff.reverse import Walk
from boxgrad.boxed import activate
from boxgrad.explain import expression as x
from boxgrad.explain.boxes import Box, Model, Value, boxes_of
from boxgrad.explain.chain import Chain, Step, is_uniform
from boxgrad.explain.closed import in_order
from boxgrad.explain.convert import converted
from boxgrad.explain.expression import Derivative, Expression, Symbol
from boxgrad.explain.folding import left_out
from boxgrad.explain.gradients import derive_inside
from boxgrad.explain.naming import written
from boxgrad.explain.recurrence import Body, Recurrence
from boxgrad.explain.simplify import simplify
from boxgrad.explain.timed import TIME, at_the_edge, at_time, equal, has_time, timed
from boxgrad.graph.node import Graph, Node, input_node
from boxgrad.listing.names import variable
from boxgrad.ops import control
from boxgrad.trace.apply import noting
from boxgrad.trace.box import Box as TracedBox
from boxgrad.trace.box import OwnBox
from boxgrad.trace.tracer import Tracing
from boxgrad.types import ArrayType

_STATES = ("h", "c", "s", "q", "u", "v")


class Loop:
    """The formulas of one loop."""

    def __init__(self, chain: Chain, step: Step) -> None:
        self._chain, self._step = chain, step
        node = next(one for one in step.nodes if one.primitive is control.loop)
        self.node = node
        self._body: Graph = node.parameters["body"]
        self._fixed, self._count = node.parameters["constants"], node.parameters["carries"]
        self.length: int = node.parameters["length"]
        self._before, self._after = ("t+1", "t−1") if node.parameters["reverse"] else ("t−1", "t+1")
        self._outer = {value.node: value for value in step.inputs + step.outputs}
        self._items = {
            one.parameters["index"]: self._outer[one]
            for one in step.nodes
            if one.primitive is control.item and one in self._outer
        }
        self._states = self._state_names()
        self._symbols: dict[Value, Symbol] = {}
        self._values: dict[Node, Value] = {}
        self._inside = self._chain_inside()

    # ---- names
    def _state_names(self) -> list[str]:
        taken = {value.name for value in self._chain.model.values.values()}
        before = self._chain.inside
        names: list[str] = []
        for i in range(self._count):
            start = self.node.inputs[self._fixed + i]
            outer = self._outer.get(start)
            own = variable(self._body.outputs[i].places) if self._body.outputs[i].primitive else None
            given = None if outer is None or outer.automatic or outer.role == "constant" else outer.name
            wanted = own or (re.sub(r"_?(0|init|start)$", "", given) if given else None) or _STATES[i % 6]
            while wanted in names or (wanted in taken and wanted != own):
                wanted = next((s for s in _STATES if s not in names and s not in taken), wanted + "_")
            first, number = wanted, 2
            while wanted in before:  # another loop has hₜ: this one has h_{2,t}
                wanted, number = f"{first}_{number}", number + 1
            names.append(wanted)
        before.update(names)
        return names

    def _outside(self, node: Node) -> Expression:
        """What goes into the loop, as it is written outside."""
        value = self._outer.get(node)
        if value is not None and not is_uniform(value):
            return self._chain.symbol(value)
        known = {v.node: self._chain.symbol(v) for v in self._step.inputs if not is_uniform(v)}
        return simplify(converted([node], known)[node])

    def _chain_inside(self) -> Body:
        body, values, symbols = self._body, self._values, self._symbols
        namer = self._chain.namer
        for i, inner in enumerate(body.inputs):
            outer = self._outer.get(self.node.inputs[i])
            name = outer.name if outer is not None else namer.unique(f"c{i}")
            value = Value(name, inner, "input")
            values[inner] = value
            if i < self._fixed:
                base = self._outside(self.node.inputs[i])
                symbols[value] = base if isinstance(base, Symbol) else Symbol(name, name, shape=inner.shape)
            elif i < self._fixed + self._count:
                symbols[value] = timed(self._states[i - self._fixed], inner.shape, self._before)
            else:
                symbols[value] = timed(name, inner.shape, "t")
        for i, node in enumerate(body.outputs[: self._count]):
            if node.primitive is not None and node not in values:
                values[node] = Value(self._states[i], node, "inner")
                symbols[values[node]] = timed(self._states[i], node.shape, "t")
        shown = [*range(self._count), *self._items]
        for i in shown:
            node = body.outputs[i]
            if node.primitive is not None and node not in values:
                values[node] = Value(self._items[i].name, node, "inner")
                symbols[values[node]] = timed(self._items[i].name, node.shape, "t")
        kept = Graph(body.inputs, tuple(dict.fromkeys(body.outputs[i] for i in shown)))
        boxes = boxes_of(kept, values, namer)
        seeds = [values[node] for node in kept.outputs if node in values and node.dtype.kind == "f"]
        wrt = [values[node] for node in body.inputs if node.dtype.kind == "f" and self._wanted(node)]
        self._seeds = [value for value in seeds if value.node.primitive is not None]
        if any(value.gradient is not None for value in self._step.outputs):
            derive_inside(boxes, self._seeds, wrt)
        model = Model(kept, values, boxes, wrt, self._chain.model.output, wrt)
        return Body(model, self._chain, symbols, set(self._seeds))

    def _wanted(self, inner: Node) -> bool:
        i = self._body.inputs.index(inner)
        if self._fixed <= i < self._fixed + self._count:
            return True
        outer = self._outer.get(self.node.inputs[i])
        return outer is not None and outer.gradient is not None

    @property
    def steps(self) -> list[Step]:
        """The steps of the body."""
        return self._inside.steps

    @property
    def beyond(self) -> str:
        """The time after the last step, where no gradient comes from."""
        return str(self.length + 1) if self._after == "t+1" else "0"

    def reads_beyond(self, e: Expression) -> bool:
        """Whether a formula has a gradient of the step after its own."""
        return any(
            isinstance(part, Derivative)
            and isinstance(part.by, Symbol)
            and part.by.key.endswith(f"[{self._after}]")
            for part in x.parts_of(e)
        )

    @property
    def boxes(self) -> list[Box]:
        """The boxes of one step."""
        return self._inside.model.boxes

    @property
    def called(self) -> dict[Node, str]:
        """The names of the values inside, without the index t, by the nodes of the loop's body."""
        states = set(self._body.inputs[self._fixed : self._fixed + self._count])
        shared = set(self._body.inputs[: self._fixed])
        return {n: value.name for n, value in self._values.items() if n not in states | shared}

    @property
    def starts(self) -> dict[str, str]:
        """The names of the states before the first step, with the names they have outside."""
        before = self.length + 1 if self._before == "t+1" else 0
        found = zip(self._states, self.node.inputs[self._fixed :], strict=False)
        return {f"{name}[{before}]": self._outer[x].name for name, x in found if x in self._outer}

    @property
    def kept(self) -> list[Node]:
        """The nodes of the body whose values go on to the next step, or out of the loop."""
        return [self._body.outputs[i] for i in dict.fromkeys([*range(self._count), *self._items])]

    # ---- formulas
    def forward(self) -> Iterator[Recurrence]:
        """Starts, one step, and what comes out."""
        first = str(self.length) if self._before == "t+1" else "0"
        start_at = str(self.length + 1) if self._before == "t+1" else first
        for i, name in enumerate(self._states):
            node = self.node.inputs[self._fixed + i]
            given = self._outside(node)
            start = timed(name, node.shape, start_at)
            if not (
                isinstance(given, Symbol) and (given.base, given.subscript) == (start.base, start.subscript)
            ):
                yield Recurrence(False, equal(start, given), kind="start")
        for k, node in enumerate(self.node.inputs):
            if (
                node not in self._outer
                and node.primitive is not None
                and not 0 <= k - self._fixed < self._count
            ):
                yield Recurrence(False, equal(self._whole(k), self._outside(node)), kind="start")
        for i, inner in enumerate(self._body.inputs[self._fixed + self._count :]):
            whole = self._whole(self._fixed + self._count + i)
            part = self._symbols[self._values[inner]]
            if isinstance(whole, Symbol) and (whole.base, whole.subscript) == (
                part.base,
                part.subscript[:-2],
            ):
                continue
            if isinstance(whole, Symbol) and whole.base == part.base and part.subscript == "t":
                continue
            yield Recurrence(False, equal(part, x.Item(whole, "t", shape=inner.shape)), kind="start")
        for step in self._inside.steps:
            for value, expression in step.forward.items():
                yield Recurrence(False, equal(self._inside.symbol(value), expression), value)
        for i, node in self._handed_on():
            left = timed(self._states[i], node.shape, "t")
            yield Recurrence(False, equal(left, self._inside.symbol(self._values[node])))
        for i, outer in self._items.items():
            node = self._body.outputs[i]
            inner = self._values.get(node)
            symbol = self._inside.symbol(inner) if inner is not None else x.Words("?", shape=())
            whole = self._chain.symbol(outer)
            if i < self._count:
                last = "1" if self._before == "t+1" else str(self.length)
                yield Recurrence(
                    False, equal(whole, timed(self._states[i], node.shape, last)), outer, "result"
                )
            elif symbol.key.removesuffix("[t]") != whole.key or whole.shape != node.shape:  # type: ignore[union-attr]
                part = x.Item(whole, "t", shape=node.shape)
                yield Recurrence(False, equal(part, symbol), outer, "result")

    def _handed_on(self) -> list[tuple[int, Node]]:
        """States whose next value is an input of the step, or another state."""
        return [
            (i, node)
            for i, node in enumerate(self._body.outputs[: self._count])
            if node in self._values and (node.primitive is None or self._values[node].name != self._states[i])
        ]

    def backward(self) -> Iterator[Recurrence]:
        """The recurrence of the gradients, sums over t for what all steps share, parts for sequences."""
        formulas = list(self._backward())
        steps = {one.expression.sides[0]: one for one in formulas if one.kind == "step"}  # type: ignore[attr-defined]
        order = in_order({left: one.expression.sides[1] for left, one in steps.items()})  # type: ignore[attr-defined]
        return iter([*(steps[left] for left in order), *(one for one in formulas if one.kind != "step")])

    def _backward(self) -> Iterator[Recurrence]:
        inside = self._inside
        found = inside.contributions()
        totals = {value: simplify(x.add(*(part for _, part in parts))) for value, parts in found.items()}
        for i, node in self._handed_on():
            if node.primitive is not None or node.dtype.kind != "f":
                continue
            state = Derivative(self._chain.output, timed(self._states[i], node.shape, "t"), shape=node.shape)
            through = totals.get(self._values[self._body.inputs[self._fixed + i]])
            terms = self._arriving(i) + ([] if through is None else [self._later(through)])
            if terms:
                yield Recurrence(True, equal(state, simplify(x.add(*terms))))
                value = self._values[node]
                totals[value] = simplify(x.add(*([totals[value]] if value in totals else []), state))
        direct = {value: self._direct(value) for value in self._seeds}
        order = list(totals)
        for value in self._seeds:
            carried = [i for i in range(self._count) if self._body.outputs[i] is value.node]
            terms = list(direct[value])
            for i in carried:
                through = totals.get(self._values[self._body.inputs[self._fixed + i]])
                if through is not None:
                    terms.append(self._later(through))
            terms += [totals[value]] if value in totals else []
            order = [one for one in order if one is not value]
            if terms:
                yield Recurrence(True, equal(inside.gradient(value), simplify(x.add(*terms))), value)
        states = {self._values[node] for node in self._body.inputs[self._fixed : self._fixed + self._count]}
        shared = {self._values[node] for node in self._body.inputs[: self._fixed]}
        streams = {self._values[node] for node in self._body.inputs[self._fixed + self._count :]}
        for value in order:
            if value not in states | shared | streams:
                yield Recurrence(True, equal(inside.gradient(value), totals[value]), value)
        yield from self._leaving({value: totals[value] for value in order})

    def _leaving(self, totals: dict[Value, Expression]) -> Iterator[Recurrence]:
        """What comes out of the loop: one gradient for each value that went in."""
        shares: dict[Value, list[Expression]] = {}
        first = str(self.length) if self._before == "t+1" else "1"
        for k, inner in enumerate(self._body.inputs):
            value = self._values[inner]
            if value not in totals:
                continue
            outer, node = self._outer.get(self.node.inputs[k]), self.node.inputs[k]
            whole = self._whole(k)
            mine = (
                self._chain.gradient(outer)
                if outer is not None
                else Derivative(self._chain.output, whole, shape=whole.shape)
            )
            if k >= self._fixed + self._count:
                part = x.Item(mine, "t", shape=value.shape)
                yield Recurrence(True, equal(part, totals[value]), outer, "result")
            elif k < self._fixed:
                total: Expression = x.Over("Σ", "t", "1", str(self.length), totals[value], shape=value.shape)
            else:
                total = at_time(totals[value], "t", first)
            if outer is not None:
                if k < self._fixed + self._count and outer.gradient is not None:
                    shares.setdefault(outer, []).append(total)
                continue
            if k < self._fixed + self._count:
                yield Recurrence(True, equal(mine, total), None, "total")
            for source, share in self._through(node, mine).items():
                shares.setdefault(source, []).append(share)
        for outer, parts in shares.items():
            total = parts[0] if len(parts) == 1 else simplify(x.add(*parts))
            yield Recurrence(True, equal(self._chain.gradient(outer), total), outer, "total")

    def _whole(self, k: int) -> Expression:
        """What goes into the loop at a place, by a name of its own where outside it is an expression."""
        inner = self._body.inputs[k]
        outer = self._outer.get(self.node.inputs[k])
        if outer is not None:
            return self._chain.symbol(outer)
        if k < self._fixed:
            return self._symbols[self._values[inner]]
        if k < self._fixed + self._count:
            start = str(self.length + 1) if self._before == "t+1" else "0"
            return timed(self._states[k - self._fixed], inner.shape, start)
        base, mark = written(self._values[inner].name)
        return Symbol(self._values[inner].name, base, mark, shape=self.node.inputs[k].shape)

    def _through(self, node: Node, g: Expression) -> dict[Value, Expression]:
        """The share of each outer value in an expression that goes into the loop."""
        wanted = [value for value in self._step.inputs if value.gradient is not None]
        leaf = input_node(ArrayType(node.shape, node.dtype))
        if node.primitive is None or not wanted:
            return {}
        with activate(Tracing()), noting(origin=(), scope=None):
            found = Walk(True, scan_backward).run([node], [OwnBox(leaf)], [value.node for value in wanted])
        known = {value.node: self._chain.symbol(value) for value in self._step.inputs} | {leaf: g}
        nodes = {
            value: one.node for value, one in zip(wanted, found, strict=True) if isinstance(one, TracedBox)
        }
        written_out = converted(nodes.values(), known)
        return {value: simplify(written_out[one]) for value, one in nodes.items()}

    def unrolled(self, backward: bool) -> Iterator[Recurrence]:
        """The same formulas for each t, in the order in which they are computed; of many steps both ends."""
        formulas = list(self.backward() if backward else self.forward())
        times = range(1, self.length + 1) if self._before == "t−1" else range(self.length, 0, -1)
        order = list(reversed(times) if backward else times)
        out = left_out(len(order))
        yield from (one for one in formulas if one.kind == "start" and not has_time(one.expression))
        for i, t in enumerate(order):
            if i in out:
                if i == out.start:
                    yield Recurrence(backward, x.GAP, kind="gap")
                continue
            for one in formulas:
                if one.kind == "step" or (one.kind in ("start", "result") and has_time(one.expression)):
                    yield Recurrence(backward, self._shown(one.expression, t), one.value, "result")
        yield from (
            one
            for one in formulas
            if one.kind != "step" and not has_time(one.expression) and one.kind != "start"
        )

    def _shown(self, e: Expression, t: int) -> Expression:
        """A formula at one time; beyond the last step there is no gradient to come."""
        left, right = e.sides  # type: ignore[attr-defined]
        right = simplify(at_the_edge(at_time(right, "t", str(t)), self.beyond, t))
        return equal(at_time(left, "t", str(t)), right)

    def _direct(self, value: Value) -> list[Expression]:
        """What reaches a value in step t from outside the loop."""
        places = [i for i in self._items if self._body.outputs[i] is value.node]
        return [term for i in places for term in self._arriving(i)]

    def _arriving(self, place: int) -> list[Expression]:
        """What reaches an output of the body in step t from outside the loop."""
        terms: list[Expression] = []
        for i, outer in self._items.items():
            if i != place or outer.gradient is None:
                continue
            g = self._chain.gradient(outer)
            if i >= self._count:
                terms.append(x.Item(g, "t", shape=self._body.outputs[i].shape))
            else:
                last = x.number(1 if self._before == "t+1" else self.length)
                terms.append(x.times(x.Indicator(x.Infix("=", (TIME, last), shape=()), shape=()), g))
        return terms

    def _later(self, e: Expression) -> Expression:
        """An expression of step t as it stands in the step from which the gradient comes."""
        return at_time(e, "t", self._after)

"""Edits of the function itself: is the claim the right gradient of another function, and which?

One node of the forward pass gives something else: a parameter read in place of another, a function or a term
left out, a constant or an operator changed, the counterpart of a term added. A candidate is compared by
directional derivatives, which need no more than evaluations of the changed function; two evaluations discard
most. Knows graphs and numbers; knows no rule of differentiation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from boxgrad.check.budget import Budget
from boxgrad.check.case import Case, Look
from boxgrad.check.mutations_edge import is_constant
from boxgrad.check.tape import Numbers, Tape, applied
from boxgrad.errors import BoxgradError
from boxgrad.explain.boxes import Value, is_elementwise
from boxgrad.explain.convert import converted
from boxgrad.explain.naming import Names
from boxgrad.explain.simplify import simplify
from boxgrad.explain.unicode import line
from boxgrad.graph.node import Node
from boxgrad.graph.primitive import primitive_of

Make = Callable[[Numbers], Any]
_ARITHMETIC = [p for f in (np.add, np.subtract, np.multiply, np.divide) if (p := primitive_of(f)) is not None]
TERM = 0.2
"""The rank of a term of the loss left out."""
STEP = 1e-4
SEVERAL = 3
"""How many directions a candidate is compared in, at each point."""


@dataclass(eq=False)
class ForwardEdit:
    """Another function: nodes that give something else."""

    kind: str
    node: Node
    changes: dict[Node, Make]
    rank: float
    detail: tuple[str, ...]
    """What is another: ("without", a term), ("instead", new, old), or ("counterpart",)."""
    key: tuple[Any, ...] = ()


class Functions:
    """The functions next to one, each with one edit."""

    def __init__(self, case: Case) -> None:
        self.case, self.tape = case, case.tape
        self.active = [n for n in self.tape.forward if n.dtype.kind in "fc"]
        self.random = np.random.default_rng(5)

    # ---- the search
    def search(self, seconds: float, terms: bool = False) -> list[ForwardEdit]:
        """Those of which the claim is the gradient, the likeliest first; or only those without a term."""
        if not self.case.shapes_fit:
            return []
        budget = Budget(seconds)
        if all(not np.any(look.claims[x]) for look in self.case.looks for x in self.case.wrong) and terms:
            return []
        trials = [Trial(self.tape, look, self.case.wrt, seed) for seed, look in enumerate(self.case.looks)]
        found: list[ForwardEdit] = []
        for edit in self.edits():
            if terms and edit.rank > TERM:
                continue
            if budget.spent():
                break
            if trials[0].first(edit.changes) and all(trial.whole(edit.changes) for trial in trials):
                found.append(edit)
        return sorted(found, key=lambda edit: edit.rank)

    # ---- the edits
    def edits(self) -> Iterator[ForwardEdit]:
        """All of them; the same line repeated is edited in all its copies at once."""
        groups: dict[Any, list[ForwardEdit]] = {}
        for node in self.active:
            for edit in self._of_node(node):
                groups.setdefault((self.tape.site(node), edit.key), []).append(edit)
        singles: list[ForwardEdit] = []
        for group in groups.values():
            if len(group) > 1:
                first = group[0]
                changes = {node: make for edit in group for node, make in edit.changes.items()}
                yield ForwardEdit(first.kind, first.node, changes, first.rank, first.detail, first.key)
            singles += group
        yield from self._parameters()
        yield from singles

    def _of_node(self, node: Node) -> Iterator[ForwardEdit]:
        for position, x in enumerate(node.inputs):
            others = [z for i, z in enumerate(node.inputs) if i != position]
            if x.shape == node.shape and x.dtype.kind == "f" and others and not is_constant(x):
                kind = "another loss"
                yield ForwardEdit(
                    kind,
                    node,
                    {node: lambda now, x=x: now[x]},
                    self._term(node, x, others[0]),
                    ("without", self._written(others[0])),
                    ("input", position),
                )
            if is_constant(x):
                k = float(np.asarray(x.value).item())
                for value in (0.0, 1.0, 2.0, -k, 2 * k, k / 2):
                    if value != k:
                        yield ForwardEdit(
                            "another loss",
                            node,
                            {node: _with(node, position, lambda now, v=value: v)},
                            2.0,
                            ("instead", f"{value:g}", f"{k:g}"),
                            ("number", position, value),
                        )
            else:
                yield from self._swaps(node, position, x)
        if len(node.inputs) == 1 and node.inputs[0].shape == node.shape and is_elementwise(node):
            assert node.primitive is not None
            yield ForwardEdit(
                "another loss",
                node,
                {node: lambda now: now[node.inputs[0]]},
                1.2,
                ("without", node.primitive.name),
                ("without",),
            )
        if node.primitive in _ARITHMETIC:
            for other in _ARITHMETIC:
                if other is not node.primitive:
                    a, b = node.inputs
                    meaning: Any = other.meaning
                    yield ForwardEdit(
                        "another loss",
                        node,
                        {node: lambda now, m=meaning, a=a, b=b: m(now[a], now[b])},
                        2.2,
                        ("instead", other.name, node.primitive.name),
                        ("operator", other.name),
                    )
        if node.primitive is not None and "axis" in node.parameters and "keepdims" in node.parameters:
            x = node.inputs[0]
            counterpart = self._counterpart(x)
            if counterpart is not None:
                yield ForwardEdit(
                    "another loss",
                    node,
                    {x: lambda now: now[_OLD, x] + counterpart(now)},  # type: ignore[index]
                    0.9,
                    ("counterpart",),
                    ("counterpart",),
                )

    def _term(self, node: Node, kept: Node, left: Node) -> float:
        """The rank of an operand left out: small for a term of a loss, which depends on the same values."""
        if node.primitive not in _ARITHMETIC[:2]:
            return 1.4
        alike = self.tape.reach.get(kept) == self.tape.reach.get(left)
        return TERM if alike and not is_constant(left) and kept not in self.tape.wrt else 0.8

    def _swaps(self, node: Node, position: int, x: Node) -> Iterator[ForwardEdit]:
        values = self.tape.model.values
        role = values[x].role if x in values else ""
        for other, value in values.items():
            if other is x or other.shape != x.shape or other.number >= node.number or value.automatic:
                continue
            if other.dtype.kind != "f":
                continue
            both = role == value.role == "parameter" or (x in self.tape.wrt and other in self.tape.wrt)
            yield ForwardEdit(
                "parameter swapped" if both else "another loss",
                node,
                {node: _with(node, position, lambda now, other=other: now[other])},
                0.7 if both else 2.6,
                ("instead", value.name, self._written(x)),
                ("swap", position, self._relative(other, node, value.name)),
            )

    def _relative(self, other: Node, node: Node, name: str) -> Any:
        """A value in terms that are the same for every copy of the line."""
        if other not in self.tape.box_of:
            return name
        return self.tape.site(other), self.tape.occurrence(other) - self.tape.occurrence(node)

    def _parameters(self) -> Iterator[ForwardEdit]:
        """A parameter read wherever another one is meant, and a pair of them at once."""
        names = self.tape.model.values
        swaps: dict[tuple[Node, Node], dict[Node, Make]] = {}
        for x in self.tape.wrt:
            for other in self.tape.wrt:
                if x is other or x.shape != other.shape:
                    continue
                changes: dict[Node, Make] = {}
                for user in self.tape.users.get(x, []):
                    changes[user] = _exchanged(user, {x: other})
                swaps[x, other] = changes
                if changes:
                    yield ForwardEdit(
                        "parameter swapped",
                        next(iter(changes)),
                        changes,
                        0.6,
                        ("instead", names[other].name, names[x].name),
                        ("everywhere", x.label, other.label),
                    )
        pairs = list(swaps.items())
        for i, ((a, b), first) in enumerate(pairs):
            for (c, d), second in pairs[i + 1 :]:
                shared = {a, b} & {c, d}
                apart = self._beside(a, c) and self._beside(b, d)
                if shared or not apart or not first or not second:
                    continue
                changes = {n: _exchanged(n, {a: b, c: d}) for n in {**first, **second}}
                yield ForwardEdit(
                    "parameter swapped",
                    next(iter(first)),
                    changes,
                    0.65,
                    ("instead", f"{names[b].name}, {names[d].name}", f"{names[a].name}, {names[c].name}"),
                    ("pair", a.label, b.label, c.label, d.label),
                )

    def _beside(self, a: Node, b: Node) -> bool:
        """Whether two parameters meet within a few nodes: x W + h U."""
        ends = []
        for x in (a, b):
            reached: set[Node] = set()
            front = set(self.tape.users.get(x, []))
            for _ in range(3):
                reached |= front
                front = {u for n in front for u in self.tape.users.get(n, []) if len(reached) < 200}
            ends.append(reached)
        return bool(ends[0] & ends[1])

    def _counterpart(self, x: Node) -> Make | None:
        """x with every value between 0 and 1 in it replaced by 1 minus the value."""
        replaced: list[Node] = []

        def walk(node: Node, depth: int) -> Make | None:
            value = node.value
            if value is None:
                return None
            whole = np.asarray(value)
            if not is_constant(node) and whole.size > 1 and whole.min() >= 0 and whole.max() <= 1:
                replaced.append(node)
                return lambda now: 1 - now[node]
            if depth > 4 or not is_elementwise(node) or node.primitive is None:
                return lambda now: now[node]
            parts = [walk(z, depth + 1) for z in node.inputs]
            if any(part is None for part in parts):
                return None
            meaning: Any = node.primitive.meaning
            return lambda now: meaning(*[part(now) for part in parts if part is not None], **node.parameters)

        made = walk(x, 0)
        return made if len(replaced) >= 2 and made is not None else None

    def _written(self, x: Node) -> str:
        value = self.tape.value(x)
        if value is not None and not value.automatic:
            return value.name
        if is_constant(x):
            return f"{x.value:g}"
        try:
            known = {v.node: self._names.symbol(v.name, v.shape) for v in self._named}
            return line(simplify(converted([x], known)[x]))
        except (BoxgradError, ValueError, KeyError, TypeError):
            return x.primitive.name if x.primitive is not None else "?"

    @cached_property
    def _named(self) -> list[Value]:
        return [v for v in self.tape.model.values.values() if not v.automatic]

    @cached_property
    def _names(self) -> Names:
        return Names([(v.name, v.shape) for v in self._named])


_OLD = object()
"""Marks the unchanged value of a node in the numbers of a changed function."""


def _with(node: Node, position: int, value: Make) -> Make:
    assert node.primitive is not None
    meaning: Any = node.primitive.meaning

    def make(now: Numbers) -> Any:
        operands = [value(now) if i == position else now[x] for i, x in enumerate(node.inputs)]
        return meaning(*operands, **node.parameters)

    return make


def _exchanged(node: Node, instead: Mapping[Node, Node]) -> Make:
    assert node.primitive is not None
    meaning: Any = node.primitive.meaning
    return lambda now: meaning(*[now[instead.get(x, x)] for x in node.inputs], **node.parameters)


class Trial:
    """One point: moved arguments, along which changed functions are compared with the claim."""

    def __init__(self, tape: Tape, look: Look, wrt: Sequence[Node], seed: int) -> None:
        self.tape, self.look = tape, look
        random = np.random.default_rng(100 + seed)
        self.directions: list[dict[Node, Any]] = []
        sizes = {x: max(float(np.sqrt(np.mean(np.square(look.point.numbers[x])))), 1e-3) for x in wrt}
        for _ in range(SEVERAL):
            self.directions.append({x: sizes[x] * random.normal(size=x.shape) for x in wrt})
        self.targets = [
            sum(float(np.vdot(r, np.asarray(look.claims[x], np.float64))) for x, r in d.items())
            for d in self.directions
        ]
        self.scales = [
            float(
                np.sqrt(
                    sum(
                        (np.linalg.norm(r) * np.linalg.norm(np.asarray(look.claims[x], np.float64))) ** 2
                        / max(r.size, 1)
                        for x, r in d.items()
                    )
                )
            )
            for d in self.directions
        ]
        self._moved: dict[tuple[int, float], Numbers] = {}

    def _numbers(self, direction: int, step: float) -> Numbers:
        """The forward pass of the true function at moved arguments."""
        key = (direction, step)
        if key not in self._moved:
            d = self.directions[direction]
            values = [
                self.look.point.numbers[x] + step * d[x] if x in d else self.look.point.numbers[x]
                for x in self.tape.model.graph.inputs
            ]
            numbers: Numbers = dict(zip(self.tape.model.graph.inputs, values, strict=True))
            for node in self.tape.model.graph.nodes:
                if node not in numbers:
                    numbers[node] = node.value if node.primitive is None else applied(node, numbers)
            self._moved[key] = numbers
        return self._moved[key]

    def value(self, changes: Mapping[Node, Make], direction: int, step: float) -> float:
        """The changed function at moved arguments; only what depends on the change is computed."""
        below = self._numbers(direction, step)
        own = _Changed(below)
        first = min(node.number for node in changes)
        for node in self.tape.forward:
            if node.number < first:
                continue
            if node in changes:
                own[node] = changes[node](own)
            elif any(x in own for x in node.inputs):
                own[node] = applied(node, own)
        return float(np.asarray(own[self.tape.output]))

    def slope(self, changes: Mapping[Node, Make], direction: int, step: float) -> float:
        return (self.value(changes, direction, step) - self.value(changes, direction, -step)) / (2 * step)

    def first(self, changes: Mapping[Node, Make]) -> bool:
        """Whether a changed function's slope may be the claimed one: one direction, roughly."""
        try:
            with np.errstate(all="ignore"):
                found = self.slope(changes, 0, STEP)
        except (ValueError, TypeError, IndexError, KeyError):
            return False
        return bool(abs(found - self.targets[0]) <= 1e-4 * (abs(found) + self.scales[0]))

    def whole(self, changes: Mapping[Node, Make]) -> bool:
        """Whether it is, in every direction, by an extrapolated difference."""
        exact = 3e-6 if max(self.look.allowed.values()) <= 1e-6 else 3e-5
        for k, target in enumerate(self.targets):
            try:
                with np.errstate(all="ignore"):
                    one, two = self.slope(changes, k, STEP), self.slope(changes, k, STEP / 2)
            except (ValueError, TypeError, IndexError, KeyError):
                return False
            found = (4 * two - one) / 3
            if not abs(found - target) <= exact * (abs(found) + self.scales[k]):
                return False
        return True


class _Changed(dict[Any, Any]):
    """The numbers of a changed function over those of the true one."""

    def __init__(self, below: Numbers) -> None:
        super().__init__()
        self._below = below

    def __missing__(self, node: Any) -> Any:
        return self._below[node[1]] if isinstance(node, tuple) else self._below[node]

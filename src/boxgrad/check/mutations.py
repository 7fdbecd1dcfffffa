"""The typical mistakes of a gradient: for a traced function, every one that can be made at one place.

A mistake is one edit of one edge, the same edit of all copies of a line (time steps, layers that share code),
or the rule of a group of boxes replaced. Each says its kind and place, and what gradient comes out under it.
Knows how mistakes are grouped and named; the edits themselves are elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from boxgrad.check.aliases import merged
from boxgrad.check.edits import Edit
from boxgrad.check.mutations_edge import edge_edits
from boxgrad.check.mutations_region import Group, group_edits
from boxgrad.check.mutations_rule import RuleEdits
from boxgrad.check.subject import Point, Subject
from boxgrad.check.tape import Edge, Numbers, Replacement, Tape
from boxgrad.errors import Place
from boxgrad.graph.node import Node

NEAR = 12
"""How many values of a shape are tried in place of one that a rule reads."""


@dataclass(eq=False)
class Mutation:
    """One mistake: what is replaced on the way back, and how it is called.

    ``box`` is the value whose box it is in, ``title`` that box's function, ``line`` the user's; ``detail``
    says what was put in place; ``rank`` is small for mistakes that are common and simple; ``copies`` counts
    the edges changed.
    """

    kind: str
    tape: Tape
    changes: dict[Edge, Replacement]
    rank: float
    detail: str = ""
    key: tuple[Any, ...] = ()
    node: Node | None = None
    edit: Edit | None = field(default=None, repr=False)

    @property
    def edge(self) -> Edge:
        """The first edge that changes, on the way back."""
        return min(self.changes, key=lambda edge: edge.number)

    @property
    def place(self) -> Node:
        """The node whose rule it is."""
        return self.node or self.edge.node

    @property
    def copies(self) -> int:
        return len(self.changes)

    @cached_property
    def box(self) -> str:
        return box_name(self.tape, self.place)

    @property
    def title(self) -> str:
        return self.tape.box_of[self.place].title

    @property
    def line(self) -> Place | None:
        return self.place.place

    def numbers(self, numbers: Numbers) -> dict[Node, Any]:
        """The gradients of the inputs under the mistake, from the numbers of a forward pass."""
        return self.tape.gradients(self.tape.backward(numbers, self.changes))

    def gradients(self, subject: Subject, args: Sequence[Any] | Point) -> dict[str, Any]:
        """The gradients that somebody who makes this mistake gets at some arguments, by input."""
        point = args if isinstance(args, Point) else subject.at(args)
        subject.prepare(point)
        with np.errstate(all="ignore"):
            found = self.numbers(point.numbers)
        return {self.tape.model.values[node].name: np.asarray(g) for node, g in found.items()}

    def __repr__(self) -> str:
        copies = f" ×{self.copies}" if self.copies > 1 else ""
        return f"<{self.kind} at {self.box} ({self.place.primitive}){copies} {self.key}>"


def box_name(tape: Tape, node: Node) -> str:
    """The name of the box a node is in; one that the user did not name is called after its line."""
    box = tape.box_of[node]
    value = box.outputs[-1]
    users = {tape.box_of[u] for u in tape.users.get(value.node, ())}
    if value.automatic and len(users) == 1:
        other = next(iter(users)).outputs[-1]
        if not other.automatic and (other.role != "output" or value.shape == ()):
            return other.name
    return value.name


def mutations(subject: Subject) -> list[Mutation]:
    """All mistakes of the catalogue that can be made in a function, the common ones first.

    >>> import numpy as np
    >>> def loss(x, w):
    ...     n = x @ w
    ...     return np.sum(np.tanh(n))
    >>> found = mutations(Subject(loss, (np.ones((3, 2)), np.ones((2, 4)))))
    >>> sorted({m.kind for m in found})[:3]
    ['constant factor', 'counted twice', 'derivative left out']
    """
    tape = subject.tape
    groups = list(group_edits(tape))
    alone: dict[Edge, list[Edit]] = {}
    for group in groups:
        if len(group.changes) == 1:
            ((edge, made),) = group.changes.items()
            alone.setdefault(edge, []).append(_as_edit(group, edge, made))
    points = [subject.prepare(point).now for point in subject.points[:2] if subject.follows(point)]
    with np.errstate(all="ignore"):
        edits = list(_edits(tape, alone, points))
    found = [
        Mutation(e.kind, tape, {e.edge: e.replacement()}, e.rank, e.detail, e.key, e.node or e.edge.node, e)
        for e in edits
    ]
    found += _copies(tape, edits)
    found += [
        Mutation(g.kind, tape, g.changes, g.rank, g.detail, g.key, g.node)
        for g in groups
        if len(g.changes) > 1
    ]
    return sorted(found, key=lambda m: m.rank)


def _as_edit(group: Group, edge: Edge, made: Replacement) -> Edit:
    """A group of boxes of which one edge changes, as an edit of that edge."""

    def make(look: Any) -> Any:
        return made(_Looked(look))

    return Edit(edge, group.kind, group.key, group.rank, make, None, group.detail, group.node)


class _Looked(dict[Node, Any]):
    """The numbers behind a function that looks them up."""

    def __init__(self, look: Any) -> None:
        super().__init__()
        self._look = look

    def __missing__(self, node: Node) -> Any:
        return self._look(node)


def _edits(tape: Tape, alone: Mapping[Edge, Sequence[Edit]], points: Sequence[Numbers]) -> Iterator[Edit]:
    sizes = sizes_of(tape)
    for edge in tape.edges:
        rules = RuleEdits(tape, edge, near(tape, edge), sizes).edits()
        yield from merged(edge, (*alone.get(edge, ()), *edge_edits(tape, edge), *rules), points)


def sizes_of(tape: Tape) -> list[int]:
    """The sizes that a count can be mistaken for: of axes and of arrays."""
    found = {n for node in tape.order for n in (*node.shape, int(np.prod(node.shape)))}
    inputs = {n for node in tape.model.graph.inputs for n in (*node.shape, int(np.prod(node.shape)))}
    return sorted(n for n in (found if len(found) < 16 else inputs) if n > 1)


def near(tape: Tape, edge: Edge) -> list[Node]:
    """The values that a rule could read instead: the box's own, those just before, and named ones."""
    own = [edge.node, *edge.node.inputs]
    found: dict[Node, None] = dict.fromkeys(x for x in own if not x.is_number)
    for node in (*edge.fixed, *edge.moving):
        for x in node.inputs:
            before = x
            for _ in range(3):
                step = next((z for z in before.inputs if z.shape == x.shape), None)
                if step is None or step in tape.of:
                    break
                found[step] = None
                before = step
    values = [v.node for v in tape.model.values.values() if not v.automatic and v.role != "constant"]
    values.sort(key=lambda node: abs(node.number - edge.node.number))
    shapes = {x.shape for node in (*edge.fixed, *edge.moving) for x in node.inputs if x not in tape.of}
    for node in [v for v in values if v.shape in shapes][:NEAR]:
        found[node] = None
    known = set(tape.model.graph.nodes)
    return [node for node in found if node in known and node.dtype.kind == "f" and not _fixed(tape, node)]


def _fixed(tape: Tape, node: Node) -> bool:
    """Whether a node is a constant that has no name."""
    return node.primitive is None and node not in tape.model.values


# ---- copies of a line
def _copies(tape: Tape, edits: Iterable[Edit]) -> Iterator[Mutation]:
    """The same edit of every copy of a line, and of a line that several layers share."""
    for innermost in (False, True):
        groups: dict[Any, list[Edit]] = {}
        for edit in edits:
            node = edit.edge.node
            site = tape.site(node, innermost)
            if tape.copies(node, innermost) > (tape.copies(node) if innermost else 1):
                groups.setdefault((site, node.inputs.index(edit.edge.input), edit.key), []).append(edit)
        for group in groups.values():
            changes = {edit.edge: edit.replacement() for edit in group}
            if len(changes) > 1:
                first = group[0]
                yield Mutation(
                    first.kind,
                    tape,
                    changes,
                    first.rank - 0.05,
                    first.detail,
                    (*first.key, "all copies"),
                    first.edge.node,
                    first,
                )

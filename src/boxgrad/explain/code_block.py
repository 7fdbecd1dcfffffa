"""A graph as statements: the forward pass line by line, then the backward pass in the opposite order.

The same for a whole function and for the body of a loop. Knows when a gradient is complete and where it goes;
how a primitive is written stands in ``code_convert``, loops in ``code_loops``.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from boxgrad.autodiff.loops import scan_backward
from boxgrad.autodiff.reverse import Walk
from boxgrad.boxed import activate
from boxgrad.explain.boxes import Box, is_elementwise
from boxgrad.explain.code_convert import Converter
from boxgrad.explain.code_cut import WHOLE, Statement, chosen, is_view, of_loop, statements
from boxgrad.explain.code_functions import Functions
from boxgrad.explain.code_known import CrossEntropy
from boxgrad.explain.code_lines import NamesTaken, Page
from boxgrad.explain.code_rules import whole_gradient
from boxgrad.explain.code_slopes import known_slope
from boxgrad.explain.code_terms import (
    Term,
    is_name,
    number,
    reshaped,
    spread,
    total,
    transposed,
    value_of,
    variable,
)
from boxgrad.explain.code_write import add_into, write, write_total
from boxgrad.graph.node import Node, input_node
from boxgrad.graph.walk import depending
from boxgrad.ops import control
from boxgrad.trace.apply import noting
from boxgrad.trace.box import Box as TracedBox
from boxgrad.trace.box import OwnBox
from boxgrad.trace.tracer import Tracing
from boxgrad.types import ArrayType

Sink = Callable[[Page, Term, bool], None]
"""Takes what arrives as the gradient of a source: the page, a term, and whether it is the last."""
LoopEmitter = Callable[..., Any]


@dataclass(eq=False, slots=True)
class Setting:
    """What all blocks of a program share."""

    names: NamesTaken
    result: str
    """The name of the result: gradients are called after it."""
    converter: Converter
    boxes: dict[Node, Box]
    called: dict[Node, str]
    """Names that values have already."""
    forward_loop: LoopEmitter
    backward_loop: LoopEmitter
    known: dict[Node, CrossEntropy]
    """Boxes that have a short form, by their result."""
    functions: Functions

    def gradient_name(self, name: str) -> str:
        """∂L/∂X as a name."""
        return f"d{self.result}_d{name}"

    def name(self, node: Node, wanted: str | None) -> str:
        """The name of a value."""
        known = self.called.get(node)
        if known is None:
            known = self.names.unique(wanted) if wanted else self.names.automatic()
            self.called[node] = known
        return known


@dataclass(eq=False)
class Block:
    """Statements over a graph.

    ``known`` gives the terms of the sources (inputs and constants of the graph); ``active`` are the nodes
    that gradients pass.
    """

    setting: Setting
    nodes: Sequence[Node]
    outputs: Sequence[Node]
    known: dict[Node, Term]
    active: set[Node]
    wanted_names: Callable[[Node], str | None]
    sources: Sequence[Node] = ()
    statements: list[Statement] = field(default_factory=list)
    loops: dict[Node, Any] = field(default_factory=dict)
    terms: dict[Node, Term] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    """Names that the forward statements of this block define."""

    def __post_init__(self) -> None:
        inner = [node for node in self.nodes if node.primitive is not None]
        named = chosen(inner, set(self.outputs), [x for x in self.sources if x in self.active], self.active)
        for known in self.setting.known.values():
            named -= known.hidden
        self.named = named
        self.statements = statements(inner, named, self.known)
        self.terms = dict(self.known)
        self.items: dict[Node, list[Node]] = {}
        for node in inner:
            if of_loop(node):
                self.items.setdefault(node.inputs[0], []).append(node)

    # ---- forward
    def forward(self, page: Page) -> None:
        """Write the forward statements."""
        for statement in self.statements:
            node = statement.node
            box = self.setting.boxes.get(node)
            if node.primitive is control.loop:
                self.loops[node] = self.setting.forward_loop(self, page, statement)
                continue
            name = self.setting.name(node, self.wanted_names(node))
            self.own.add(name)
            known = self.setting.known.get(node)
            if known is not None:
                parts = self.setting.converter.terms([known.scores.node, known.target.node], self.terms)
                known.forward(page, self.setting.names, name, *parts)
                self.terms[node] = variable(name, node.shape, node.dtype)
                continue
            term = self.setting.functions.call(statement, self.terms) or self.expression(node)
            write(page, name, term, node, name, box)
            self.terms[node] = variable(name, node.shape, node.dtype)

    def expression(self, node: Node) -> Term:
        """The term of a node from the names so far."""
        return self.setting.converter.term(node, self.terms)

    # ---- backward
    def backward(self, page: Page, seeds: dict[Node, list[Term]], sinks: dict[Node, Sink]) -> None:
        """Write the gradients, from those of the outputs to those of the sources in ``sinks``."""
        self.page, self.sinks = page, sinks
        self.arrived: dict[Node, list[Term]] = {node: list(terms) for node, terms in seeds.items()}
        self.gradients: dict[Node, Term] = {}
        self.started: dict[Node, str] = {}
        self.left: dict[Node, int] = {}
        live = self._reaching(set(seeds))
        for statement in live:
            for x in statement.inputs:
                if x in self.active:
                    self.left[x] = self.left.get(x, 0) + 1
        self.many = {x for x, n in self.left.items() if n > 3}
        for node, terms in seeds.items():
            if node in sinks:
                self.left[node] = self.left.get(node, 0) + len(terms)
                for term in self.arrived.pop(node):
                    self.arrive(node, term, None)
            elif not self.left.get(node):
                self._complete(node, self.setting.boxes.get(node))
        for statement in reversed(live):
            box = self.setting.boxes.get(statement.node)
            if statement.node.primitive is control.loop:
                self.setting.backward_loop(self, page, statement, self.loops[statement.node])
                for x in statement.inputs:
                    self.arrive(x, None, box)
                continue
            g = self.gradients.get(statement.node)
            wanted = [x for x in statement.inputs if x in self.active]
            found = self.local(statement, g, wanted) if g is not None else [None] * len(wanted)
            for x, term in zip(wanted, found, strict=True):
                self.arrive(x, term, box)

    def _reaching(self, seeds: set[Node]) -> list[Statement]:
        """The statements through which a gradient passes."""
        reached = set(seeds)
        found: list[Statement] = []
        for statement in reversed(self.statements):
            outs = self.items.get(statement.node, [statement.node])
            if any(x in reached and x in self.active for x in outs):
                found.append(statement)
                reached |= {x for x in statement.inputs if x in self.active}
        return found[::-1]

    def arrive(self, node: Node, term: Term | None, box: Box | None) -> None:
        """A share of the gradient of a value has been found; None only counts."""
        if node not in self.active:
            return
        self.left[node] -= 1
        last = not self.left[node]
        sink = self.sinks.get(node)
        if sink is not None:
            self.page.box = box
            if term is not None or last:
                sink(self.page, term, last)  # type: ignore[arg-type]
            return
        if term is not None:
            self.arrived.setdefault(node, []).append(term)
        if node in self.many and term is not None:
            self._accumulate(node, box)
        if last:
            self._complete(node, box)

    def _gradient_name(self, node: Node) -> str:
        return self.setting.gradient_name(self.setting.name(node, None))

    def _accumulate(self, node: Node, box: Box | None) -> None:
        """Add what has arrived to a gradient that many lines contribute to."""
        name = self.started.get(node)
        terms = self.arrived.pop(node, [])
        if not terms:
            return
        value = self.setting.name(node, None)
        if name is None:
            name = self.started[node] = self.setting.names.unique(self._gradient_name(node))
            write_total(self.page, name, terms, node, value, box, fresh=True)
        else:
            for term in terms:
                add_into(self.page, name, term, value, box)

    def _complete(self, node: Node, box: Box | None) -> None:
        """All shares are there: the gradient gets its line, unless it is only another name for one."""
        if node in self.started:
            self._accumulate(node, box)
            self.gradients[node] = variable(self.started[node], node.shape, node.dtype)
            return
        terms = self.arrived.pop(node, [])
        if not terms:
            return
        summed = total([(x, 1) for x in terms], node.shape, node.dtype) if len(terms) > 1 else terms[0]
        own = self._gradient_name(node)
        if is_name(summed) and summed.data == own:
            self.gradients[node] = summed
            return
        if self._silent(node, summed):
            self.gradients[node] = summed
            return
        name = self.setting.names.unique(own)
        write_total(self.page, name, terms, node, self.setting.name(node, None), box)
        self.gradients[node] = variable(name, node.shape, node.dtype)

    def _silent(self, node: Node, term: Term) -> bool:
        """Whether a gradient is so simple that it is written where it is used."""
        if value_of(term) is not None and not node.shape:
            return True
        return is_name(term) and self.wanted_names(node) is None and node not in self.known

    def local(self, statement: Statement, g: Term, wanted: list[Node]) -> list[Term | None]:
        """What a line adds to the gradients of its inputs."""
        node = statement.node
        assert node.primitive is not None
        names = {x: self.terms[x] for x in statement.inputs}
        short = self.setting.known.get(node)
        if short is not None:
            target = self.setting.converter.term(short.target.node, self.terms)
            return [short.gradient(g, target) if x is short.scores.node else None for x in wanted]
        if node.primitive.name in WHOLE and len(statement.nodes) == 1:
            x = node.inputs[0]
            found = whole_gradient(node, g, self.terms[node], names[x])
            if found is not None:
                return [found]
        entry = entry_of(statement, wanted, self.active)
        if entry is not None and entry not in self.terms:
            inner = Statement(node, [entry], [x for x in statement.nodes if x.number > entry.number])
            [share] = self._derived(inner, g, [entry])
            return [None] if share is None else self._derived(Statement(entry, wanted, []), share, wanted)
        return self._derived(statement, g, wanted)

    def _derived(self, statement: Statement, g: Term, wanted: list[Node]) -> list[Term | None]:
        """The gradients of some nodes from that of one that is made of them, by the rules."""
        node = statement.node
        seed = input_node(ArrayType(node.shape, node.dtype), "g")
        with activate(Tracing()), noting(origin=(), scope=None):
            results = Walk(True, scan_backward).run([node], [OwnBox(seed)], wanted)
        known = ChainMap({seed: g}, self.terms)
        if len(wanted) == 1 and isinstance(results[0], TracedBox):
            slope = known_slope(statement, results[0].node, seed, wanted[0], g, known)
            if slope is not None:
                return [slope]
        return [None if r is None else self._share(r, x, known) for r, x in zip(results, wanted, strict=True)]

    def _share(self, result: Any, x: Node, known: Mapping[Node, Term]) -> Term:
        if not isinstance(result, TracedBox):
            array = np.asarray(result)
            if np.all(array == array.flat[0]):
                return spread(number(array.flat[0]), x.shape)
            return self.setting.converter.constant(input_node(ArrayType.of(array), None, array))
        term = self.setting.converter.term(result.node, known)
        return spread(term, x.shape) if np.prod(term.shape) <= np.prod(x.shape) else reshaped(term, x.shape)


def entry_of(statement: Statement, wanted: list[Node], active: set[Node]) -> Node | None:
    """The part of one value, taken by a layout, of which a line is a function of each element."""
    if len(wanted) != 1 or len(statement.inputs) != 1 or not is_elementwise(statement.node):
        return None
    entries: set[Node] = set()
    stack = [statement.node]
    seen: set[Node] = set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        for x in node.inputs:
            if x in active and x is not wanted[0] and x.primitive is not None and is_elementwise(x):
                stack.append(x)
            elif x in active:
                entries.add(x)
    entry = entries.pop() if len(entries) == 1 else None
    fits = entry is not None and entry is not wanted[0] and entry.shape == statement.node.shape
    return entry if fits else None


def pulled_back(term: Term, view: Node) -> tuple[Node, Term]:
    """The gradient of a transposed matrix as that of the matrix."""
    while is_view(view):
        axes = view.parameters["axes"]
        term = transposed(term, tuple(axes.index(i) for i in range(len(axes))))
        view = view.inputs[0]
    return view, term


def depends(nodes: Sequence[Node], sources: Sequence[Node]) -> set[Node]:
    """The sources and everything that depends on them and carries a gradient."""
    return {x for x in depending(nodes, sources) if x.dtype.kind in "fc" or x.items is not None}

"""Loops: what need not be computed step by step leaves a ``scan``.

Knows which values of a body depend on the carry, and which the carry depends on:

* what is the same in every step is computed once, before the loop;
* a product that does not depend on the carry becomes one large product before the loop;
* a product on which the carry does not depend becomes one large product after the loop;
* a total that products or sums are added to, step by step, becomes one product or sum over all steps.

Elementwise work stays where it is unless it is attached to such a product: a loop does it as well.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from boxgrad.graph.node import Graph, Node, input_node, ordered
from boxgrad.graph.walk import substitute
from boxgrad.ops import control, elementwise, reduce
from boxgrad.ops.contract import contract, split
from boxgrad.ops.index import scatter_add
from boxgrad.passes.all_steps import for_all_steps, is_known, is_pointwise, with_time
from boxgrad.passes.rows import lookup_axis, on_inputs
from boxgrad.trace.apply import apply, noting
from boxgrad.types import ArrayType

MOST_STACKED = 4
"""How many times the elements of a product its operands may have, to be kept from all steps for it."""
FEW_ROWS = 512
"""Rows below which a product with a matrix that stays the same gains by those of other steps …"""
SMALL = 1 << 20
"""… and multiplications below which one of two matrices that vary gains by being one of many. Others stay in
the loop, which somebody may have written to save memory."""


def loosen(graph: Graph) -> Graph:
    """Take out of every loop what need not be computed step by step."""
    nodes = graph.nodes
    if not any(node.primitive is control.loop for node in nodes):
        return graph
    new: dict[Node, Node] = {node: node for node in graph.inputs}
    parts: dict[Node, dict[int, Node]] = {}
    for node in nodes:
        if node in new:
            continue
        if node.primitive is None:
            new[node] = node
            continue
        if node.primitive is control.item and node.inputs[0] in parts:
            new[node] = parts[node.inputs[0]][node.parameters["index"]]
            continue
        moved = on_inputs(node, new)
        if node.primitive is control.loop and node.parameters["length"] > 0:
            with noting(origin=node.origin, scope=node.scope):
                parts[node] = _Loop(moved).loosened()
        new[node] = moved
    return Graph(graph.inputs, tuple(new[node] for node in graph.outputs))


@dataclass(frozen=True, slots=True)
class _Outside:
    """A loop's body and what its inputs are outside."""

    constants: list[tuple[Node, Node]]
    carries: list[tuple[Node, Node]]
    streams: list[tuple[Node, Node]]
    outputs: list[Node]
    """The next carries, then what is stacked."""


class _Loop:
    def __init__(self, node: Node) -> None:
        p = node.parameters
        self.parameters: dict[str, Any] = p
        body = loosen(p["body"])
        pairs = list(zip(body.inputs, node.inputs, strict=True))
        fixed, carries = p["constants"], p["carries"]
        self.length: int = p["length"]
        self.count: int = carries
        self.now = _Outside(
            pairs[:fixed], pairs[fixed : fixed + carries], pairs[fixed + carries :], list(body.outputs)
        )
        self.results: dict[int, Node] = {}
        """Results that are computed outside, by their number."""
        self.numbers = list(range(len(body.outputs)))
        """The number of each result that the loop still gives."""

    def loosened(self) -> dict[int, Node]:
        """The results of the loop, by number."""
        self._before()
        self._after()
        now = self.now
        pairs = (*now.constants, *now.carries, *now.streams)
        body = Graph(tuple(inner for inner, _ in pairs), tuple(now.outputs))
        parameters = {
            **self.parameters, "body": body, "constants": len(now.constants), "carries": len(now.carries),
        }  # fmt: skip
        made = apply(control.loop, [outer for _, outer in pairs], parameters)
        late = {
            x: (apply(control.item, (made,), {"index": i}), True)
            for i, x in reversed(list(enumerate(now.outputs)))
            if i >= len(now.carries)
        }
        for i, number in enumerate(self.numbers):
            if number >= 0:
                self.results[number] = apply(control.item, (made,), {"index": i})
        self._finish(late)
        return self.results

    def _known(self) -> dict[Node, tuple[Node, bool]]:
        """What can be computed with outside of the loop, and whether it varies from step to step."""
        found = {inner: (outer, False) for inner, outer in self.now.constants}
        found.update({inner: (outer, True) for inner, outer in self.now.streams})
        return found

    def _inner(self) -> list[Node]:
        inputs = [
            inner for group in (self.now.constants, self.now.carries, self.now.streams) for inner, _ in group
        ]
        return [x for x in ordered(self.now.outputs, inputs) if x not in set(inputs)]

    # ---- before the loop
    def _before(self) -> None:
        known = self._known()
        inner = self._inner()
        carried = {x for x, _ in self.now.carries}
        for node in inner:
            if node.primitive is None:
                known[node] = (node, False)
            elif any(x in carried for x in node.inputs):
                carried.add(node)
        # What is the same in every step.
        for node in inner:
            if node.inputs and not node.weak and all(x in known and not known[x][1] for x in node.inputs):
                known[node] = (for_all_steps(node, known, self.length), False)
        lifted: set[Node] = set()
        for node in inner:
            if node.primitive is contract and node not in carried and node not in known:
                same = {x for x, (_, varies) in known.items() if not varies}
                if _gains(node, same):
                    self._lift(node, known, lifted)
        for node in inner:  # what is attached to a product
            if node in known or node in carried or not is_pointwise(node):
                continue
            if any(x in lifted and x.shape == node.shape for x in node.inputs):
                self._lift(node, known, lifted, deep=False)
        self._replace(known, lifted)

    def _lift(
        self, node: Node, known: dict[Node, tuple[Node, bool]], lifted: set[Node], deep: bool = True
    ) -> None:
        """Compute a node, and what it is made of, for all steps, if that is possible."""
        needed = [x for x in ordered((node,), known) if x not in known]
        if not deep and len(needed) > 1:
            return
        trial = dict(known)
        for x in needed:
            if not x.inputs or any(y not in trial for y in x.inputs):
                return
            if not is_known(x, tuple(trial[y][1] for y in x.inputs)):
                return
            trial[x] = (x, True)
        for x in needed:
            known[x] = (for_all_steps(x, known, self.length), True)
            lifted.add(x)

    def _replace(self, known: dict[Node, tuple[Node, bool]], lifted: set[Node]) -> None:
        """The body with inputs for what was computed before the loop."""
        now = self.now
        streams = {inner for inner, _ in now.streams}
        direct = [i for i, x in enumerate(now.outputs) if i >= self.count and (x in lifted or x in streams)]
        for i in direct:
            self.results[self.numbers[i]] = known[now.outputs[i]][0]
        kept = [i for i in range(len(now.outputs)) if i not in set(direct)]
        outputs = [now.outputs[i] for i in kept]
        self.numbers = [self.numbers[i] for i in kept]
        inputs = {inner for group in (now.constants, now.carries, now.streams) for inner, _ in group}
        made = {x for x in known if x not in inputs and x.inputs}
        reached = [x for x in ordered(outputs, made | inputs) if x in made]
        stands = {x: input_node(ArrayType(x.shape, x.dtype)) for x in reached}
        outputs = list(substitute(outputs, stands))
        used = set(ordered(outputs))
        constants = [*now.constants, *((stands[x], known[x][0]) for x in reached if not known[x][1])]
        varying = [*now.streams, *((stands[x], known[x][0]) for x in reached if known[x][1])]
        self.now = _Outside(
            [pair for pair in constants if pair[0] in used],
            now.carries,
            [pair for pair in varying if pair[0] in used],
            outputs,
        )

    # ---- after the loop
    def _after(self) -> None:
        self._split_totals()
        self.late: list[Node] = []
        self.late_outputs: list[tuple[int, Node]] = []
        now = self.now
        inner = self._inner()
        needed = set(ordered(now.outputs[: len(now.carries)]))
        known = self._known()
        same = {x for x, (_, varies) in known.items() if not varies} | {x for x in inner if not x.inputs}
        outside = {x for x, (_, varies) in known.items() if varies} | set(now.outputs[len(now.carries) :])
        late: set[Node] = set()
        for node in inner:
            if node in needed or node in late or node.primitive not in (contract, reduce.sum):
                continue
            if all(x in same for x in node.inputs) or not self._is_worth(node, outside, same):
                continue
            if node.primitive is contract and not _gains(node, same):
                continue
            after = _following(node, inner)
            if all(is_known(x, tuple(y not in same for y in x.inputs)) for x in after):
                late |= after
        if not late:
            return
        for node in reversed(inner):  # what leads to them, from what is kept of all steps anyway
            if node in late or node in needed or node in outside or not is_pointwise(node):
                continue
            readers = [x for x in inner if node in x.inputs]
            ready = all(x in outside or x in same for x in node.inputs) and node not in now.outputs
            alone = bool(readers) and all(x in late for x in readers)
            if ready and alone and is_known(node, tuple(x not in same for x in node.inputs)):
                late.add(node)
        self.late = [x for x in inner if x in late]
        stacked = set(now.outputs[len(now.carries) :])
        outputs: list[Node] = []
        numbers: list[int] = []
        for i, x in enumerate(now.outputs):
            if x in late:
                self.late_outputs.append((self.numbers[i], x))
            else:
                outputs.append(x)
                numbers.append(self.numbers[i])
        for node in self.late:
            for x in node.inputs:
                if x not in late and x not in same and x not in known and x not in stacked:
                    stacked.add(x)
                    outputs.append(x)
                    numbers.append(-1)
        self.numbers = numbers
        used = set(ordered(outputs))
        self.extra = known
        self.now = _Outside(
            [pair for pair in now.constants if pair[0] in used],
            now.carries,
            [pair for pair in now.streams if pair[0] in used],
            outputs,
        )

    def _is_worth(self, node: Node, outside: set[Node], same: set[Node]) -> bool:
        """Whether what must be kept of all steps is not much more than the result."""
        more = sum(math.prod(x.shape) for x in node.inputs if x not in outside and x not in same)
        limit = 0 if node.primitive is reduce.sum else MOST_STACKED * math.prod(node.shape)
        return more <= limit

    def _finish(self, stacked: dict[Node, tuple[Node, bool]]) -> None:
        """Compute what was left for after the loop."""
        if self.late:
            known = {**stacked, **self.extra}
            for node in self.late:
                for x in node.inputs:
                    if not x.inputs and x not in known:
                        known[x] = (x, False)
                if all(x in known and not known[x][1] for x in node.inputs):
                    known[node] = (for_all_steps(node, known, self.length), False)
                else:
                    known[node] = (for_all_steps(node, known, self.length), True)
            for number, x in self.late_outputs:
                self.results[number] = known[x][0]
            stacked = known
        for number, start, term in self.totals:
            self.results[number] = self._total(start, term, {**self._everything, **stacked})

    # ---- totals
    def _split_totals(self) -> None:
        """Carries that only have a product or a sum added in each step become totals over all steps."""
        now = self.now
        self.totals: list[tuple[int, Node, Node]] = []
        self._everything = self._known()
        readers = Counter(x for node in self._inner() for x in node.inputs)
        stacked = now.outputs[len(now.carries) :]
        available = {*stacked, *(x for x, _ in now.streams)}
        gone: set[int] = set()
        more: list[Node] = []
        for i, (carry, start) in enumerate(now.carries):
            after = now.outputs[i]
            if after.primitive is not elementwise.add or carry not in after.inputs:
                continue
            term = after.inputs[1] if after.inputs[0] is carry else after.inputs[0]
            alone = readers[carry] == 1 and readers[after] == 0 and now.outputs.count(after) == 1
            alike = term.shape == carry.shape and term.dtype == carry.dtype
            if not alone or not alike or carry in now.outputs or term.dtype.kind != "f":
                continue
            if readers[term] == 1 and _can_be_total(term, available):
                self.totals.append((self.numbers[i], start, term))
                more += [x for x in term.inputs if x not in available and x not in more]
                gone.add(i)
        if not gone:
            return
        outputs = [*(x for i, x in enumerate(now.outputs) if i not in gone), *more]
        self.numbers = [n for i, n in enumerate(self.numbers) if i not in gone] + [-1] * len(more)
        used = set(ordered(outputs))
        self.now = _Outside(
            [pair for pair in now.constants if pair[0] in used],
            [pair for i, pair in enumerate(now.carries) if i not in gone],
            [pair for pair in now.streams if pair[0] in used],
            outputs,
        )

    def _total(self, start: Node, term: Node, known: dict[Node, tuple[Node, bool]]) -> Node:
        """A total as one product or sum over all steps."""
        sources = [known[x][0] for x in term.inputs]
        if term.primitive is contract:
            whole = apply(contract, sources, {"subscripts": with_time(term, [True, True], False)})
        elif term.primitive is scatter_add:
            whole = apply(scatter_add, sources, term.parameters)
        else:
            axes = (0, *(axis + 1 for axis in term.parameters["axis"]))
            whole = apply(reduce.sum, sources, {"axis": axes, "keepdims": False})
        return apply(elementwise.add, (start, whole))


def _gains(node: Node, same: set[Node]) -> bool:
    """Whether a product that is taken for all steps at once is quicker than in every step."""
    a, b = node.inputs
    first, second, result = split(node.parameters["subscripts"])
    sizes = dict(zip(first, a.shape, strict=True)) | dict(zip(second, b.shape, strict=True))
    if a not in same and b not in same:
        return math.prod(sizes.values()) < SMALL
    varying = first if b in same else second
    return math.prod(sizes[c] for c in varying if c in result) < FEW_ROWS


def _can_be_total(term: Node, available: set[Node]) -> bool:
    """Whether what is added in each step is a product or a sum of what is there for all steps.

    Of rows that are added up by an index, also a product, which is then left for after the loop.
    """
    if term.primitive is scatter_add:
        first, *others = term.inputs
        whole = len(others) == 1 and lookup_axis(term.parameters["key"], len(term.shape)) == 0
        whole = whole and first.shape == (*others[0].shape, *term.shape[1:])
        return whole and others[0] in available and (first in available or first.primitive is contract)
    if term.primitive is reduce.sum and term.parameters["keepdims"]:
        return False
    return term.primitive in (contract, reduce.sum) and all(x in available for x in term.inputs)


def _following(node: Node, inner: list[Node]) -> set[Node]:
    """A node and those that depend on it."""
    found = {node}
    for x in inner:
        if any(y in found for y in x.inputs):
            found.add(x)
    return found

"""A ``scan`` as a loop of Python, and its derivative as the loop in the other direction.

Forward, each step keeps the values that its derivative reads; backward, the gradient of the carry goes from
step to step, gradients of constants add up, and those of sequences are put where their step is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from boxgrad.explain.boxes import Box
from boxgrad.explain.code_block import Block, depends, pulled_back
from boxgrad.explain.code_cut import Statement, is_view
from boxgrad.explain.code_lines import Line, Page, names_in
from boxgrad.explain.code_terms import Term, spread, total, variable
from boxgrad.explain.code_text import dtype_text, shape_text, text
from boxgrad.explain.code_write import PLACED, add_into, summands
from boxgrad.graph.node import Graph, Node
from boxgrad.listing.names import variable as user_name


@dataclass(eq=False)
class Loop:
    """What the forward loop leaves to the backward loop."""

    node: Node
    block: Block
    time: str
    carried: list[str]
    """The name of each carry."""
    results: dict[int, str]
    """The name of each result that is read, by its number."""
    box: Box | None
    steps: str
    opening: Line | None = None
    closing: Line | None = None
    moving: list[int] = field(default_factory=list)
    """The carries that have a gradient."""

    @property
    def body(self) -> Graph:
        return self.node.parameters["body"]

    @property
    def backwards(self) -> bool:
        return self.node.parameters["reverse"]

    def header(self, reverse: bool) -> str:
        """The line that opens the loop."""
        count = f"range({self.node.parameters['length']})"
        return f"for {self.time} in {f'reversed({count})' if reverse else count}:"


def _wanted(node: Node) -> str | None:
    return node.label or (user_name(node.places) if node.primitive is not None else None)


def forward_loop(outer: Block, page: Page, statement: Statement) -> Loop:
    """Write the loop of the forward pass."""
    node, setting = statement.node, outer.setting
    body: Graph = node.parameters["body"]
    fixed, carries, length = (node.parameters[key] for key in ("constants", "carries", "length"))
    box = setting.boxes.get(node)
    items = {x.parameters["index"]: x for x in outer.items.get(node, [])}
    time = setting.names.unique("t")
    given = setting.converter.terms(node.inputs, outer.terms)

    # Names: of the carry before and after a step, and of the results.
    results = {i: setting.name(x, outer.wanted_names(x)) for i, x in sorted(items.items())}
    known: dict[Node, Term] = dict(zip(body.inputs[:fixed], given[:fixed], strict=True))
    carried: list[str] = []
    for i in range(carries):
        inside, after = body.inputs[fixed + i], body.outputs[i]
        wanted = _wanted(after) or results.get(i)
        base = results[i] if wanted is not None and results.get(i) == wanted else None
        name = base or setting.names.unique(wanted or "state")
        carried.append(name)
        known[inside] = variable(name, inside.shape, inside.dtype)
        if after not in setting.called and after.primitive is not None:
            setting.called[after] = setting.names.unique(f"{name}_new")
    for x, sequence in zip(body.inputs[fixed + carries :], given[fixed + carries :], strict=True):
        known[x] = Term("index", (sequence,), time, x.shape, x.dtype)
    for i, x in enumerate(body.outputs):
        if (
            i >= carries
            and i in items
            and x.primitive is not None
            and x not in setting.called
            and not _wanted(x)
        ):
            setting.called[x] = setting.names.unique(f"{results[i]}_{time}")

    # Which values of the body carry a gradient: those that depend on one that does, through the carry too.
    moving = _moving(node, outer.active)
    sources = [body.inputs[i] for i in (*_active_inputs(node, outer.active), *(fixed + i for i in moving))]
    active = depends(body.outputs, sources) | set(sources)
    block = Block(
        setting, body.nodes, [x for i, x in enumerate(body.outputs) if i < carries or i in items],
        known, active, _wanted, sources,
    )  # fmt: skip
    loop = Loop(node, block, time, carried, results, box, setting.names.unique("steps"), moving=moving)

    for name, start in zip(carried, given[fixed : fixed + carries], strict=True):
        page.add(
            f"{name} = {text(start)}", value=name, box=box, reads=names_in(start), comment=_shape(start.shape)
        )
    stacked = [i for i in results if i >= carries]
    for i in stacked:
        x = body.outputs[i]
        room = empty_text((length, *x.shape), x.dtype)
        page.add(f"{results[i]} = {room}", value=results[i], box=box)
    loop.opening = page.add(f"{loop.steps} = []", box=box)
    page.add(loop.header(loop.backwards), box=box)
    page.indent += 1
    block.forward(page)
    after = [block.expression(x) for x in body.outputs]
    for i in stacked:
        page.add(
            f"{results[i]}[{time}] = {text(after[i])}", value=results[i], box=box, reads=names_in(after[i])
        )
    loop.closing = page.add(f"{loop.steps}.append()", box=box)
    _assign(page, [(name, x) for name, x in zip(carried, after, strict=False)], box)
    page.indent -= 1
    for i, name in results.items():
        if i < carries and name != carried[i]:
            page.add(f"{name} = {carried[i]}", value=name, box=box, reads=[carried[i]])
    for i, x in items.items():
        outer.terms[x] = variable(results[i], x.shape, x.dtype)
        outer.own.add(results[i])
    return loop


def _assign(page: Page, pairs: list[tuple[str, Term]], box: Box | None) -> None:
    """Several names get new values; at once where one of the values reads one of the names."""
    pairs = [(name, x) for name, x in pairs if not (x.op == "name" and x.data == name)]
    if not pairs:
        return
    names = [name for name, _ in pairs]
    crossed = any(set(names[:i]) & names_in(x) for i, (_, x) in enumerate(pairs))
    simple = all(x.op == "name" for _, x in pairs) and len(pairs) > 1
    if crossed or simple:
        reads = names_in(*(x for _, x in pairs))
        page.add(
            f"{', '.join(names)} = {', '.join(text(x) for _, x in pairs)}",
            value=names[0],
            box=box,
            reads=reads,
        )
        return
    for name, x in pairs:
        page.add(f"{name} = {text(x)}", value=name, box=box, reads=names_in(x))


def _shape(shape: tuple[int, ...]) -> str:
    return shape_text(shape) if shape else ""


def _active_inputs(node: Node, active: set[Node]) -> list[int]:
    return [i for i, x in enumerate(node.inputs) if x in active]


def _moving(node: Node, active: set[Node]) -> list[int]:
    """The carries that carry a gradient."""
    body: Graph = node.parameters["body"]
    fixed, carries = node.parameters["constants"], node.parameters["carries"]
    found = set(_active_inputs(node, active))
    while True:
        reached = depends(body.outputs, [body.inputs[i] for i in found]) | {body.inputs[i] for i in found}
        more = {
            fixed + i
            for i in range(carries)
            if body.outputs[i] in reached and body.inputs[fixed + i].dtype.kind in "fc"
        }
        if more <= found:
            return sorted(i - fixed for i in found if fixed <= i < fixed + carries)
        found |= more


def backward_loop(outer: Block, page: Page, statement: Statement, loop: Loop) -> None:
    """Write the loop of the backward pass and hand its results to the surrounding block."""
    node, setting, block, body = loop.node, outer.setting, loop.block, loop.body
    fixed, carries = node.parameters["constants"], node.parameters["carries"]
    box = loop.box
    items = {
        x.parameters["index"]: outer.gradients[x] for x in outer.items.get(node, []) if x in outer.gradients
    }
    before: list[Line] = page.lines
    mark = len(before)

    # The gradient of each carry, of each constant and of each sequence gets a name.
    names = {i: setting.names.unique(setting.gradient_name(loop.carried[i])) for i in loop.moving}
    seeds: dict[Node, list[Term]] = {}
    for i in loop.moving:
        x = body.outputs[i]
        g = items.get(i) or zeros(x)
        page.add(
            f"{names[i]} = {text(g)}",
            value=loop.carried[i],
            box=box,
            reads=names_in(g),
            comment=_shape(x.shape),
        )
        seeds.setdefault(x, []).append(variable(names[i], x.shape, x.dtype))
    for i, g in items.items():
        if i >= carries:
            x = body.outputs[i]
            part = spread(g.args[0], x.shape) if g.op == "broadcast" and not g.args[0].shape else None
            seeds.setdefault(x, []).append(part or Term("index", (g,), loop.time, x.shape, x.dtype))
    found: dict[int, tuple[Node, Term]] = {}
    sinks: dict[Node, Any] = {}
    ending: list[tuple[str, Term]] = []
    totals: dict[Node, str] = {}
    for i, x in enumerate(body.inputs):
        if fixed <= i < fixed + carries:
            if i - fixed in names:
                sinks[x] = _carry_sink(names[i - fixed], x, ending)
        elif node.inputs[i] in outer.active or _viewed(node.inputs[i]) in outer.active:
            source = _viewed(node.inputs[i])
            if i >= fixed:
                name = setting.names.unique(outer_name(outer, node.inputs[i]))
                value = setting.called.get(node.inputs[i])
                page.add(f"{name} = {zeros_text(node.inputs[i].shape, x.dtype)}", value=value, box=box)
                sinks[x] = _sequence_sink(name, loop, x, value)
                found[i] = (node.inputs[i], variable(name, node.inputs[i].shape, x.dtype))
                continue
            if source not in totals:
                totals[source] = setting.names.unique(outer_name(outer, source))
                value = setting.called.get(source)
                page.add(f"{totals[source]} = {zeros_text(source.shape, source.dtype)}", value=value, box=box)
                found[i] = (source, variable(totals[source], source.shape, source.dtype))
            sinks[x] = _total_sink(totals[source], node.inputs[i], setting.called.get(source), box)
    page.add(loop.header(not loop.backwards), box=box)
    page.indent += 1
    unpacking = page.add("", box=box)
    block.backward(page, seeds, sinks)
    for i in loop.moving:
        if names[i] not in [name for name, _ in ending]:
            ending.append((names[i], zeros(body.outputs[i])))
    _assign(page, ending, box)
    page.indent -= 1
    _keep(loop, page, unpacking, mark)

    # What the loop found goes to the block around it.
    for i in loop.moving:
        x = node.inputs[fixed + i]
        if x in outer.active:
            found[fixed + i] = (x, variable(names[i], x.shape, x.dtype))
    for source, term in found.values():
        outer.left[source] += 1
        outer.arrive(source, term, box)


def outer_name(outer: Block, node: Node) -> str:
    """The name of a gradient that a loop adds up."""
    return outer.setting.gradient_name(outer.setting.name(node, None))


def _viewed(node: Node) -> Node:
    while is_view(node):
        node = node.inputs[0]
    return node


def _carry_sink(name: str, node: Node, ending: list[tuple[str, Term]]) -> Any:
    terms: list[Term] = []

    def sink(page: Page, term: Term | None, last: bool) -> None:
        if term is not None:
            terms.append(term)
        if last and terms:
            ending.append((name, total([(x, 1) for x in terms], node.shape, node.dtype)))
        elif last:
            ending.append((name, zeros(node)))

    return sink


def _sequence_sink(name: str, loop: Loop, node: Node, value: str | None) -> Any:
    terms: list[Term] = []

    def sink(page: Page, term: Term | None, last: bool) -> None:
        if term is not None:
            terms.append(term)
        if last:
            here = f"{name}[{loop.time}]"
            parts = [part for x in terms for part in summands(x)]
            plain = [x for x in parts if x.op not in PLACED]
            if plain:
                summed = total([(x, 1) for x in plain], node.shape, node.dtype)
                page.add(f"{here} = {text(summed)}", value=value, box=loop.box, reads=names_in(summed))
            for x in parts:
                if x.op in PLACED:
                    add_into(page, here, x, value or name, loop.box)

    return sink


def _total_sink(name: str, view: Node, value: str | None, box: Box | None) -> Any:
    def sink(page: Page, term: Term | None, last: bool) -> None:
        if term is not None:
            _, moved = pulled_back(term, view)
            add_into(page, name, moved, value or name, box)

    return sink


def _keep(loop: Loop, page: Page, unpacking: Line, mark: int) -> None:
    """Let the forward loop keep what the backward loop reads, and the backward loop take it."""
    read = set().union(*(line.reads for line in page.lines[mark:])) if page.lines[mark:] else set()
    kept = [name for name in [*loop.carried, *_defined(loop.block)] if name in read]
    assert loop.closing is not None
    if kept:
        packed = kept[0] if len(kept) == 1 else f"({', '.join(kept)})"
        loop.closing.text = loop.closing.text.replace("append()", f"append({packed})")
        loop.closing.reads = frozenset(kept)
        indent = "    " * page.indent + "    "
        index = loop.time if not loop.backwards else f"-1 - {loop.time}"
        unpacking.text = f"{indent}{', '.join(kept)} = {loop.steps}[{index}]"
        unpacking.reads = frozenset([loop.steps])
        loop.block.own.update(kept)
    else:
        page.lines.remove(unpacking)


def _defined(block: Block) -> list[str]:
    """The names that a block defines, those of the loops inside it among them."""
    names: dict[str, None] = {}
    for statement in block.statements:
        inner = block.loops.get(statement.node)
        if inner is not None:
            names |= dict.fromkeys([inner.steps, *inner.results.values()])
        elif statement.node in block.setting.called:
            names[block.setting.called[statement.node]] = None
    return list(names)


def zeros(node: Node) -> Term:
    """Zeros like a value."""
    return spread(Term("number", (), ("float", 0.0, None), (), node.dtype), node.shape)


def zeros_text(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """An array of zeros."""
    return f"np.zeros({shape_text(shape)}{_kind(dtype)})"


def empty_text(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """An array to be filled."""
    return f"np.empty({shape_text(shape)}{_kind(dtype)})"


def _kind(dtype: np.dtype[Any]) -> str:
    return "" if dtype == np.float64 else f", {dtype_text(dtype)}"

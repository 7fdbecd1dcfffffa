"""From a function to a graph: arguments become boxes, the function runs once, results become outputs.

What the function writes into its arguments (in place, or by assigning an attribute of a module) belongs
to its results, as in NumPy: it is written back into the caller's objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad import tree
from boxgrad.boxed import activate
from boxgrad.errors import ShapeError, TraceError, message
from boxgrad.graph.node import Graph, Node, Scope, input_node, ordered, rebuilt
from boxgrad.ops import control
from boxgrad.trace.apply import apply, call_traced, context, lift, noting, origin
from boxgrad.trace.box import Box, OwnBox, wrap
from boxgrad.types import ArrayType

Prepare = Callable[[Graph, range], Graph]
"""Rewrites the body of a scan, given which of its inputs are the carry."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """The tracer at work: boxed functions and scans ask it what to do.

    ``prepare`` rewrites the body of each scan (a derivative saves what it will need).
    """

    prepare: Prepare | None = None
    scopes: bool = False
    compiling: bool = False

    @contextmanager
    def enter_box(self, name: str) -> Iterator[None]:
        if not self.scopes:
            yield
            return
        with noting(origin=context.origin, scope=Scope(name, context.scope, origin(4))):
            yield

    def scan(self, cell: Any, init: Any, xs: Any, length: int | None, reverse: bool) -> Any:
        return traced_scan(self, cell, init, xs, length or 0, reverse)


# ---- arguments
def is_real(leaf: Any) -> bool:
    """Whether a leaf is a real or complex number or array of them, which can be differentiated."""
    if isinstance(leaf, (float, complex)):
        return True
    return (tree.is_array(leaf) or isinstance(leaf, np.generic)) and leaf.dtype.kind in "fc"


def is_traceable(leaf: Any) -> bool:
    """Whether a leaf becomes a box; Python integers, texts and other objects stay as they are."""
    if isinstance(leaf, (float, complex)):
        return True
    return (tree.is_array(leaf) or isinstance(leaf, np.generic)) and leaf.dtype.kind in "fcbiu"


class Arguments:
    """The arguments of one call, with boxes in place of some leaves.

    An array that stands at several places (a tied weight) is one box.
    """

    def __init__(
        self,
        args: Any,
        boxed: Callable[[Any], bool],
        make: Callable[[Any, str], Node],
        named: bool = False,
    ) -> None:
        self.originals = args
        leaves, self._structure = tree.flatten(args)
        names = [name for name, _ in tree.named_leaves(args)] if named else [""] * len(leaves)
        self.boxes: list[OwnBox] = []
        self.leaves: list[Any] = []
        self.positions: list[int | None] = []
        """For each leaf the number of its box, or None."""
        known: dict[int, int] = {}
        replaced: list[Any] = []
        for leaf, name in zip(leaves, names, strict=True):
            if not boxed(leaf):
                self.positions.append(None)
                replaced.append(leaf)
                continue
            number = known.get(id(leaf)) if tree.is_array(leaf) else None
            if number is None:
                number = known[id(leaf)] = len(self.boxes)
                self.boxes.append(OwnBox(make(leaf, name), scalar=not _is_ndarray(leaf)))
                self.leaves.append(leaf)
            self.positions.append(number)
            replaced.append(self.boxes[number])
        self.nodes = tuple(box.node for box in self.boxes)
        self.args = tree.unflatten(self._structure, replaced)

    def fill(self, values: Sequence[Any], other: Any = None) -> Any:
        """The arguments' structure with a value for each box; other leaves become ``other``."""
        return tree.unflatten(self._structure, [other if n is None else values[n] for n in self.positions])

    def writes(self) -> list[tuple[Write, Node]]:
        """What the function wrote: where, and the node of the new value."""
        found: list[tuple[Write, Node]] = [
            (IntoArray(number), box.node)
            for number, (box, node) in enumerate(zip(self.boxes, self.nodes, strict=True))
            if box.node is not node
        ]
        own = {id(box) for box in self.boxes}
        for path, module, traced in _modules(self.originals, self.args, ()):
            for name, value in vars(traced).items():
                if name not in vars(module) or value is not vars(module)[name]:
                    node = _assigned(module, name, value, own)
                    if node is not None:
                        found.append((IntoAttribute(path, name), node))
        return found


@dataclass(frozen=True, slots=True)
class IntoArray:
    """A write into the array of that number, in place."""

    number: int

    def repeat(self, args: Any, leaves: Sequence[Any], value: Any) -> None:
        """Do to these arguments what the function did to its own."""
        leaves[self.number][...] = value


@dataclass(frozen=True, slots=True)
class IntoAttribute:
    """An assignment to an attribute of the object at the end of a path."""

    path: tuple[Any, ...]
    name: str

    def repeat(self, args: Any, leaves: Sequence[Any], value: Any) -> None:
        """Do to these arguments what the function did to its own."""
        for step in self.path:
            args = getattr(args, step.name) if isinstance(step, _Attribute) else args[step]
        setattr(args, self.name, value)


Write = IntoArray | IntoAttribute


@dataclass(frozen=True, slots=True)
class _Attribute:
    name: str


def _is_ndarray(leaf: Any) -> bool:
    return not leaf.is_scalar if isinstance(leaf, Box) else isinstance(leaf, np.ndarray)


def _modules(original: Any, traced: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, Any, Any]]:
    """Pairs of objects with attributes (modules, dataclasses) at the same places of two trees."""
    if original is traced:
        return
    if isinstance(original, (list, tuple)):
        for i, (a, b) in enumerate(zip(original, traced, strict=True)):
            yield from _modules(a, b, (*path, i))
    elif isinstance(original, dict):
        for name in original:
            yield from _modules(original[name], traced[name], (*path, name))
    elif tree.is_registered(original):
        yield path, original, traced
        for name, value in list(vars(original).items()):
            yield from _modules(value, vars(traced).get(name, value), (*path, _Attribute(name)))


def _assigned(module: Any, name: str, value: Any, own: set[int]) -> Node | None:
    """The node of an attribute that the function assigned; what is not an array is assigned at once."""
    if isinstance(value, Box):
        return None if id(value) in own else value.node
    if tree.is_array(value) or isinstance(value, np.generic):
        return lift(value)
    before = getattr(module, name, None)
    if type(value) is type(before) and _holds_modules(value):
        return None  # its attributes are compared on their own
    leaves = tree.leaves(value)
    if any(isinstance(leaf, Box) for leaf in leaves):
        same = type(value) is type(before) and len(leaves) == len(tree.leaves(before))
        if not same or any(isinstance(leaf, Box) and id(leaf) not in own for leaf in leaves):
            raise TraceError(
                message(
                    f"{type(module).__name__}.{name} was assigned a container of traced values",
                    "only arrays can be written back to the attributes of the caller's object",
                    "an attribute for each array, or a write into the arrays that are there",
                )
            )
        return None
    if value is not before and value != before:
        setattr(module, name, value)
    return None


def _holds_modules(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_modules, value.values()))
    return any(map(_holds_modules, value)) if isinstance(value, (list, tuple)) else tree.is_registered(value)


# ---- results
def result_nodes(results: Any) -> tuple[list[Node], tree.Structure, list[Any]]:
    """The nodes of a result's leaves; leaves that are not arrays stay as they are (None in the list)."""
    leaves, structure = tree.flatten(results)
    nodes = [
        leaf.node if isinstance(leaf, Box) else lift(leaf) if is_traceable(leaf) else lift_other(leaf)
        for leaf in leaves
    ]
    return nodes, structure, leaves


def lift_other(leaf: Any) -> Node:
    """A Python integer or truth value as a constant; anything else is refused."""
    if isinstance(leaf, (bool, int)):
        return lift(leaf)
    raise TraceError(
        message(
            f"the function returned a {type(leaf).__name__}",
            "results of a traced function are arrays and numbers in containers",
            "return of arrays only",
        )
    )


def trace(function: Callable[..., Any], *args: Any, keep_values: bool = False) -> Graph:
    """The graph of a function at arguments of these types.

    Args:
        function: plain NumPy; ``args``: arrays, numbers, containers and modules of them. Floating-point
            and integer arrays and Python floats become inputs; Python integers, texts and None stay as
            they are.
        keep_values: trace with values present, so that Python branches see numbers and every node keeps
            the value it had.

    Returns:
        A graph whose inputs are the arguments' arrays in order and whose outputs are the result's.

    Raises:
        TraceError: something that cannot be part of a graph, with the line and the repair.

    >>> print(trace(lambda x: x * 2.0 + 1.0, np.ones(3)))
    graph(x: f64[3]):
      c1: f64[]~ = 2.0
      v1: f64[3] = multiply(x, c1)
      c2: f64[]~ = 1.0
      v2: f64[3] = add(v1, c2)
      return v2
    """
    names = argument_names(function, len(args))

    def make(leaf: Any, path: str) -> Node:
        position, _, rest = path.partition(".")
        name = names[int(position)]
        label = f"{name}.{rest}" if rest else name
        value = (leaf.copy() if isinstance(leaf, np.ndarray) else leaf) if keep_values else None
        return input_node(type_of(leaf), label, value)

    arguments = Arguments(args, is_traceable, make, named=True)
    with activate(Tracing(scopes=True)), whole_stacks(), noting():
        results = call_traced(function, arguments.args, {})
    nodes, _, _ = result_nodes(results)
    return Graph(arguments.nodes, tuple(nodes))


@contextmanager
def whole_stacks() -> Iterator[None]:
    """Note all of the user's frames on each node, from which names are read."""
    before, context.whole_stack = context.whole_stack, True
    try:
        yield
    finally:
        context.whole_stack = before


def type_of(leaf: Any) -> ArrayType:
    """The type of a leaf, traced or not."""
    if isinstance(leaf, Box):
        return ArrayType(leaf.node.shape, leaf.node.dtype, leaf.node.weak)
    return ArrayType.of(leaf)


def argument_names(function: Callable[..., Any], count: int) -> list[str]:
    """The names of positional parameters, as far as the function tells them."""
    inner = inspect_unwrap(function)
    code = getattr(inner, "__code__", None)
    names: list[str] = list(code.co_varnames[: code.co_argcount]) if code is not None else []
    if getattr(inner, "__self__", None) is not None:
        names = names[1:]
    return [*names[:count], *(f"x{i}" for i in range(len(names), count))]


def inspect_unwrap(function: Any) -> Any:
    """The function behind decorators and bound methods."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


# ---- scan
def traced_scan(tracing: Tracing, cell: Any, init: Any, xs: Any, length: int, reverse: bool) -> Any:
    """Trace the body of a loop once, on types, and make the loop one node."""
    init_leaves, init_structure = tree.flatten(init)
    xs_leaves, xs_structure = tree.flatten(xs)
    starts = [leaf.node if isinstance(leaf, Box) else lift(leaf) for leaf in init_leaves]
    streams = [leaf.node if isinstance(leaf, Box) else lift(np.asarray(leaf)) for leaf in xs_leaves]
    starts, outputs, structure, carried = _settled(
        tracing, cell, starts, init_structure, streams, xs_structure
    )
    inputs = (*carried, *outputs[2])
    body, outer = closed(inputs, (*outputs[0], *outputs[1]))
    if tracing.prepare is not None:
        body = tracing.prepare(body, range(len(outer), len(outer) + len(starts)))
    node = apply(
        control.loop,
        (*outer, *starts, *streams),
        {
            "body": body,
            "constants": len(outer),
            "carries": len(starts),
            "length": length,
            "reverse": reverse,
        },
    )
    wanted = len(starts) + len(outputs[1])
    parts = [wrap(apply(control.item, (node,), {"index": i})) for i in range(wanted)]
    carry = tree.unflatten(init_structure, parts[: len(starts)])
    return carry, tree.unflatten(structure, parts[len(starts) :])


def _settled(
    tracing: Tracing,
    cell: Any,
    starts: list[Node],
    init_structure: Any,
    streams: list[Node],
    xs_structure: Any,
) -> Any:
    """Trace the body; a carry that starts narrower than it goes on is cast first (0.0 before floats)."""
    for attempt in range(2):
        carried = tuple(input_node(ArrayType(x.shape, x.dtype)) for x in starts)
        steps = tuple(input_node(ArrayType(x.shape[1:], x.dtype)) for x in streams)
        with activate(tracing):
            carry, ys = cell(
                tree.unflatten(init_structure, [OwnBox(node, scalar=False) for node in carried]),
                tree.unflatten(xs_structure, [OwnBox(node, scalar=False) for node in steps]),
            )
        after, after_structure, _ = result_nodes(carry)
        made, structure, _ = result_nodes(ys)
        if after_structure != init_structure:
            raise ShapeError(
                message(
                    "scan: the cell returned a carry of another structure than it was given",
                    f"it was given {init_structure} and returned {after_structure}",
                    "return carry, output — the carry first, in the containers it came in",
                )
            )
        wrong = [
            (a, b) for a, b in zip(starts, after, strict=True) if (a.shape, a.dtype) != (b.shape, b.dtype)
        ]
        if not wrong:
            return starts, (after, made, steps), structure, carried
        if attempt or any(a.shape != b.shape for a, b in wrong):
            a, b = wrong[0]
            raise ShapeError(
                message(
                    f"scan: the carry starts as {a.type!r} and is {b.type!r} after a step",
                    "the loop runs many times, so the carry must keep its shape and dtype",
                    f"an initial carry of type {b.type!r}",
                )
            )
        starts = [
            a if a.dtype == b.dtype else wrap(a).astype(np.result_type(a.dtype, b.dtype)).node
            for a, b in zip(starts, after, strict=True)
        ]
    raise AssertionError("unreachable")


def closed(inputs: Sequence[Node], outputs: Sequence[Node]) -> tuple[Graph, tuple[Node, ...]]:
    """A graph without references to the outside: values that do not depend on the inputs come first.

    Returns the graph, whose first inputs stand for the outer nodes, and those nodes. What does not depend
    on the inputs is thereby computed once, outside of the loop; Python numbers stay inside.
    """
    known = set(inputs)
    inside: set[Node] = set(known)
    outer: dict[Node, Node] = {}
    new: dict[Node, Node] = {}
    nodes = ordered(outputs, inputs)
    for node in nodes:
        if node not in known and any(x in inside for x in node.inputs):
            inside.add(node)
    for node in nodes:
        if node in known or node not in inside:
            continue
        for x in node.inputs:
            _import(x, inside, outer)
    for node in outputs:
        _import(node, inside, outer)
    for node in nodes:
        if node in known or node in outer or node not in inside:
            new[node] = outer.get(node, node)
            continue
        moved = tuple(new.get(x, outer.get(x, x)) for x in node.inputs)
        same = all(a is b for a, b in zip(moved, node.inputs, strict=True))
        new[node] = node if same else rebuilt(node, moved, node.parameters)
    graph = Graph((*outer.values(), *inputs), tuple(new.get(node, node) for node in outputs))
    return graph, tuple(outer)


def _import(node: Node, inside: set[Node], outer: dict[Node, Node]) -> None:
    if node in inside or node in outer or (node.primitive is None and node.weak):
        return
    outer[node] = input_node(ArrayType(node.shape, node.dtype, node.weak), node.label)

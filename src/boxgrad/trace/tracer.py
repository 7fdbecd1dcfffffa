"""From a function to a graph: arguments become boxes, the function runs once, results become outputs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from boxgrad.boxed import activate
from boxgrad.graph.node import Graph, Node, Scope, input_node
from boxgrad.trace.apply import call_traced, context, noting, origin
from boxgrad.trace.arguments import Arguments, is_traceable, result_nodes, type_of
from boxgrad.trace.loops import Prepare, traced_scan
from boxgrad.types import is_ndarray


@dataclass(frozen=True, slots=True)
class Tracing:
    """The tracer at work: boxed functions and scans ask it what to do.

    ``prepare`` rewrites the body of each scan (a derivative saves what it will need).
    """

    prepare: Prepare | None = None
    scopes: bool = False
    compiling: bool = False

    @contextmanager
    def enter_box(self, name: str) -> Generator[None]:
        if not self.scopes:
            yield
            return
        with noting(origin=context.origin, scope=Scope(name, context.scope, origin(4))):
            yield

    def scan(self, cell: Any, init: Any, xs: Any, length: int | None, reverse: bool) -> Any:
        return traced_scan(replace(self, compiling=True), self.prepare, cell, init, xs, length or 0, reverse)


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

    >>> import numpy as np
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
        value = (leaf.copy() if is_ndarray(leaf) else leaf) if keep_values else None
        return input_node(type_of(leaf), label, value)

    arguments = Arguments(args, is_traceable, make, named=True)
    with activate(Tracing(scopes=True)), whole_stacks(), noting():
        results = call_traced(function, arguments.args, {})
    nodes, _, _ = result_nodes(results)
    return Graph(arguments.nodes, tuple(nodes))


@contextmanager
def whole_stacks() -> Generator[None]:
    """Note all of the user's frames on each node, from which names are read."""
    before, context.whole_stack = context.whole_stack, True
    try:
        yield
    finally:
        context.whole_stack = before


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

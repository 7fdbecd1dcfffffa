"""One call of a function whose arguments are varied: boxes for them, gradients, and writes repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from boxgrad import tree
from boxgrad.autodiff.loops import saving, scan_backward
from boxgrad.autodiff.reverse import Walk, broken, lost
from boxgrad.boxed import activate, current_tracer
from boxgrad.errors import DerivativeError, message
from boxgrad.graph.node import Node, input_node, of_another_trace, ordered
from boxgrad.memory import copied, owned
from boxgrad.ops.elementwise import identity
from boxgrad.trace.apply import apply, call_traced, context
from boxgrad.trace.arguments import Arguments, IntoArray, is_real, type_of
from boxgrad.trace.box import Box, OwnBox
from boxgrad.trace.tracer import Tracing
from boxgrad.types import is_ndarray, is_scalar

DERIVATIVE = Tracing(prepare=saving)


def _fresh(leaf: Any, name: str) -> Node:
    """A node of its own for an argument, so that only uses of the argument count."""
    if isinstance(leaf, Box):
        node = apply(identity, (leaf,))
        node.label = leaf.node.label
        return node
    return input_node(type_of(leaf), None, leaf)


def _copied(leaf: Any, name: str) -> Node:
    """As :func:`_fresh`, for a walk that comes after the caller may have changed the array."""
    return _fresh(leaf.copy("K") if is_ndarray(leaf) else leaf, name)


class Call:
    """One call of a function with some arguments boxed."""

    def __init__(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Any, chosen: Any, later: bool = False
    ) -> None:
        self.nested = current_tracer() is not None
        numbers = (chosen,) if isinstance(chosen, int) else tuple(chosen)
        numbers = tuple(_argument_number(n, len(args)) for n in numbers)
        self._single = isinstance(chosen, int)
        selected = tuple(args[n] for n in numbers)
        self.arguments = Arguments(selected, is_real, _copied if later else _fresh, apart=True)
        if not self.arguments.boxes:
            raise DerivativeError(_nothing_real(selected))
        full = list(args)
        for n, boxed in zip(numbers, self.arguments.args, strict=True):
            full[n] = boxed
        outer = current_tracer()
        tracing = replace(outer, prepare=saving) if isinstance(outer, Tracing) else DERIVATIVE
        taken, context.taken = context.taken, []
        try:
            with activate(tracing):
                self.result = call_traced(function, tuple(full), kwargs)
        finally:
            self._taken, context.taken = context.taken, taken
        self.as_graph = self.nested or any(node.value is None for node in self.arguments.nodes)
        if not self.as_graph:
            for leaf in tree.leaves(self.result):
                if isinstance(leaf, Box) and leaf.node.value is None:
                    raise of_another_trace(leaf.node)

    def gradients(self, outputs: Sequence[Node], cotangents: Sequence[Any]) -> list[Any]:
        """The gradient of each boxed argument; zeros where none arrives.

        Of a complex z = a + ib it is ∂L/∂a + i ∂L/∂b, the conjugate of what the walk carries.
        """
        cotangents = [_conjugated(g) for g in cotangents]
        traced = current_tracer() is not None or any(isinstance(g, Box) for g in cotangents)
        as_graph = self.as_graph or traced
        nodes = self.arguments.nodes
        with activate(DERIVATIVE if as_graph and current_tracer() is None else current_tracer()):
            found = Walk(as_graph, scan_backward).run(outputs, cotangents, nodes)
        if all(g is None for g in found):
            broken(outputs, nodes)
            lost(self._taken, nodes)
        filled = [
            np.zeros(node.shape, node.dtype)[()] if g is None else _conjugated(g)
            for g, node in zip(found, nodes, strict=True)
        ]
        return filled if as_graph else owned(filled, cotangents)

    def shaped(self, gradients: Sequence[Any]) -> Any:
        """The gradients in the structure of the chosen arguments."""
        arrays: list[Any] = [  # of an array an array, also of one without axes
            np.asarray(g) if is_ndarray(leaf) and is_scalar(g) else g
            for g, leaf in zip(gradients, self.arguments.leaves, strict=True)
        ]
        filled = self.arguments.fill(arrays)
        return filled[0] if self._single else filled

    def plain(self, value: Any) -> Any:
        """A result without boxes, unless an outer derivative or compilation goes on with it."""
        if self.as_graph:
            return value
        arrays = [leaf for leaf in self.arguments.leaves if is_ndarray(leaf)]
        boxes = {id(box) for box in self.arguments.boxes}

        def without_box(leaf: Any) -> Any:
            if not isinstance(leaf, Box):
                return leaf
            new = isinstance(leaf, OwnBox) and id(leaf) not in boxes  # x.copy(), not x or a view of it
            return copied(leaf.node.value, arrays) if new else leaf.node.value

        return tree.map(without_box, value)

    def write_back(self, needed: Sequence[Node] = ()) -> None:
        """Repeat what the function wrote on the caller's objects; a later walk reads what is needed."""
        selected, leaves = self.arguments.originals, self.arguments.leaves
        writes = self.arguments.writes()
        if not self.as_graph:
            written = [leaves[write.number] for write, _ in writes if isinstance(write, IntoArray)]
            detach((*needed, *(node for _, node in writes)), written)
        for write, node in writes:
            write.repeat(selected, leaves, OwnBox(node) if self.as_graph else node.value)


def _conjugated(g: Any) -> Any:
    return g if g is None or g.dtype.kind != "c" else np.conjugate(g)


def _argument_number(number: int, count: int) -> int:
    if not -count <= number < count:
        raise DerivativeError.because(
            f"argnums names argument {number} of a call with {count} arguments",
            "arguments are numbered from 0",
            f"argnums between 0 and {count - 1}" if count else "a call with arguments",
        )
    return number % count


def _nothing_real(selected: Any) -> str:
    kinds = sorted({_kind(leaf) for leaf in tree.leaves(selected)})
    return message(
        f"a derivative with respect to {', '.join(kinds) or 'nothing'}",
        "only floating-point and complex values can be varied by a little",
        "a float: 3.0 for 3, x.astype(float) for an array of integers; argnums chooses the argument",
    )


def _kind(leaf: Any) -> str:
    return repr(type_of(leaf)) if hasattr(leaf, "dtype") else type(leaf).__name__


def detach(outputs: Iterable[Node], arrays: Sequence[Any]) -> None:
    """Let the values that outputs are computed from be independent of arrays about to be written."""
    if arrays:
        for node in ordered(outputs):
            node.value = copied(node.value, arrays)

"""The arguments of a traced call: which leaves become boxes, and what the function writes into them.

What the function writes (in place, or by assigning an attribute of a module) belongs to its results, as in
NumPy: it can be repeated on the caller's objects, or on those of a later call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np

from boxgrad import tree
from boxgrad.errors import TraceError
from boxgrad.graph.node import Node
from boxgrad.record import Record
from boxgrad.trace.apply import lift, plain
from boxgrad.trace.box import Box, OwnBox
from boxgrad.types import ArrayType, is_ndarray, is_scalar


def is_real(leaf: Any) -> bool:
    """Whether a leaf is a real or complex number or array of them, which can be differentiated."""
    if isinstance(leaf, (float, complex)):
        return True
    return (tree.is_array(leaf) or is_scalar(leaf)) and leaf.dtype.kind in "fc"


def is_traceable(leaf: Any) -> bool:
    """Whether a leaf becomes a box; Python integers, texts and other objects stay as they are."""
    if isinstance(leaf, (float, complex)):
        return True
    return (tree.is_array(leaf) or is_scalar(leaf)) and leaf.dtype.kind in "fcbiu"


class Arguments:
    """The arguments of one call, with boxes in place of some leaves.

    An array that stands at several places (a tied weight) is one box; ``apart`` keeps the arguments
    themselves distinct, so that f(x, x) has two partial derivatives.
    """

    def __init__(
        self,
        args: Any,
        boxed: Callable[[Any], bool],
        make: Callable[[Any, str], Node],
        named: bool = False,
        apart: bool = False,
    ) -> None:
        self.originals = args
        leaves, self._structure = tree.flatten(args)
        parts = self._structure.children() if apart else [self._structure]
        owners = [number for number, part in enumerate(parts) for _ in range(part.num_leaves)]
        names = [name for name, _ in tree.named_leaves(args)] if named else [""] * len(leaves)
        self.boxes: list[OwnBox] = []
        self.leaves: list[Any] = []
        self.positions: list[int | None] = []
        """For each leaf the number of its box, or None."""
        known: dict[tuple[int, int], int] = {}
        replaced: list[Any] = []
        for leaf, name, owner in zip(leaves, names, owners, strict=True):
            if not boxed(leaf):
                self.positions.append(None)
                replaced.append(leaf)
                continue
            number = known.get((owner, id(leaf))) if tree.is_array(leaf) else None
            if number is None:
                number = known[owner, id(leaf)] = len(self.boxes)
                if is_ndarray(leaf):
                    plain(leaf)
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
        found: list[tuple[Any, Node]] = [
            (IntoArray(number), box.node)
            for number, (box, node) in enumerate(zip(self.boxes, self.nodes, strict=True))
            if box.node is not node
        ]
        for write, _ in found:
            self._refuse_overlap(self.leaves[write.number])
        own = {id(box) for box in self.boxes}
        for path, module, traced in _modules(self.originals, self.args, ()):
            before = tree.attributes(module)
            for name, value in tree.attributes(traced).items():
                if name not in before or value is not before[name]:
                    node = _assigned(module, name, value, own)
                    if node is not None:
                        found.append((IntoAttribute(path, name), node))
        return found

    def _refuse_overlap(self, written: Any) -> None:
        """Two boxes cannot know that a write to one array shows in another one."""
        for other in self.leaves:
            if is_ndarray(written) and is_ndarray(other) and other is not written:
                views = written.base is not None or other.base is not None
                if views and np.may_share_memory(written, other):
                    raise TraceError.because(
                        "a write into an argument that shares memory with another argument",
                        "each is traced on its own, so the other would not show the write",
                        "the whole array as one argument, sliced inside; or a copy of one of the two",
                    )


class IntoArray(Record):
    """A write into the array of that number, in place."""

    number: int

    def repeat(self, args: Any, leaves: Sequence[Any], value: Any) -> None:
        """Do to these arguments what the function did to its own."""
        if value is not leaves[self.number]:
            leaves[self.number][...] = value


class IntoAttribute(Record):
    """An assignment to an attribute of the object at the end of a path."""

    path: tuple[Any, ...]
    name: str

    def repeat(self, args: Any, leaves: Sequence[Any], value: Any) -> None:
        """Do to these arguments what the function did to its own."""
        for step in self.path:
            args = getattr(args, step.name) if isinstance(step, _Attribute) else args[step]
        setattr(args, self.name, value)


Write = IntoArray | IntoAttribute


class _Attribute(Record):
    name: str


def _is_ndarray(leaf: Any) -> bool:
    return not leaf.is_scalar if isinstance(leaf, Box) else is_ndarray(leaf)


def _children(value: Any) -> Iterator[tuple[Any, Any]]:
    """The parts of a container or a registered object, each with the step that leads to it."""
    if isinstance(value, dict):
        yield from cast("dict[Any, Any]", value).items()
    elif isinstance(value, (list, tuple)):
        yield from enumerate(cast("Sequence[Any]", value))
    elif tree.is_registered(value):
        for name, part in list(tree.attributes(value).items()):
            yield _Attribute(name), part


def _modules(original: Any, traced: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, Any, Any]]:
    """Pairs of objects with attributes (modules, dataclasses) at the same places of two trees."""
    if original is traced or tree.is_array(original):
        return
    if tree.is_registered(original):
        yield path, original, traced
    others = dict(_children(traced))
    for step, part in _children(original):
        yield from _modules(part, others.get(step, part), (*path, step))


def _assigned(module: Any, name: str, value: Any, own: set[int]) -> Node | None:
    """The node of an attribute that the function assigned; what is not an array is assigned at once."""
    if isinstance(value, Box):
        return None if id(value) in own else value.node
    if tree.is_array(value) or is_scalar(value):
        return lift(value)
    before = getattr(module, name, None)
    if type(value) is type(before) and _holds_modules(value):
        return None  # its attributes are compared on their own
    leaves = tree.leaves(value)
    if any(isinstance(leaf, Box) for leaf in leaves):
        same = type(value) is type(before) and len(leaves) == len(tree.leaves(before))
        if not same or any(isinstance(leaf, Box) and id(leaf) not in own for leaf in leaves):
            raise TraceError.because(
                f"{type(module).__name__}.{name} was assigned a container of traced values",
                "only arrays can be written back to the attributes of the caller's object",
                "an attribute for each array, or a write into the arrays that are there",
            )
        return None
    if value is not before and value != before:
        setattr(module, name, value)
    return None


def _holds_modules(value: Any) -> bool:
    return tree.is_registered(value) or any(_holds_modules(part) for _, part in _children(value))


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
    raise TraceError.because(
        f"the function returned a {type(leaf).__name__}",
        "results of a traced function are arrays and numbers in containers",
        "return of arrays only",
    )


def type_of(leaf: Any) -> ArrayType:
    """The type of a leaf, traced or not."""
    if isinstance(leaf, Box):
        return ArrayType(leaf.node.shape, leaf.node.dtype, leaf.node.weak)
    return ArrayType.of(leaf)

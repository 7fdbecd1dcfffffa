"""Applying a primitive to traced values: one new node, with the user's place and, if known, its value.

If the values of all inputs are known, so is that of the node: ``grad`` traces with values present, and a
compiled function folds what does not depend on its arguments. Otherwise the node has a type only.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np

from boxgrad.conversion import Uncaught
from boxgrad.errors import TraceError, is_internal, is_ours, verdicts
from boxgrad.graph.node import Node, Origin, Scope, refuse
from boxgrad.graph.primitive import Primitive, Traced
from boxgrad.ops import elementwise
from boxgrad.types import ArrayType, is_ndarray

_NOTHING: dict[str, Any] = {}
_SMALL = 1 << 16
_OF_NUMBERS = ("where", "cast", "identity", "stop_gradient", "erf", "sinc", "scan", "item")
"""What takes Python numbers as they are, beside the ufuncs: there they stay weak in promotion."""
_PYTHON: dict[Any, ArrayType] = {
    kind: ArrayType((), np.dtype(kind), weak=kind is not bool) for kind in (bool, int, float, complex)
}


class _Context(threading.local):
    """What is noted on every node made in this thread."""

    origin: Origin | None = None
    scope: Scope | None = None
    whole_stack: bool = False
    inside: bool = False
    """Whether a NumPy function is being composed: of its nodes, the line names only the result."""
    body: int = 0
    """The number from which nodes belong to the cell of a scan that is being traced, if one is."""
    held: dict[int, tuple[Any, Node]] | None = None
    """Large plain arrays that the present function has used, each with the node of its copy."""
    taken: list[Node] | None = None
    """What was turned into Python numbers, if a derivative wants to know."""
    reads: list[Origin] | None = None
    """Where the function asked for numbers, if somebody wants to know: it may have branched there."""

    def __init__(self) -> None:
        self.laid: dict[int, Any] = {}
        """How nodes without values lie in memory, by their numbers, where a write or a copy decided it."""


context = _Context()


class Holder(Traced):
    """What a box offers here: the node it stands for now."""

    __slots__ = ()

    @property
    def node(self) -> Node:
        raise NotImplementedError


def origin(depth: int, later: bool = False) -> Origin:
    """The user's frame that asked for the present operation; under ``trace`` all of them.

    Of what is computed ``later``, when the frames are gone, also those of layers, down to the user's own.
    """
    frame = sys._getframe(depth)  # pyright: ignore[reportPrivateUsage]  the fast way to a caller
    known = verdicts.get
    while True:
        code = frame.f_code
        internal = known(code)
        if internal is None:
            internal = is_internal(code)
        if not internal:
            break
        if frame.f_back is None or code is _boundary:
            return ()
        frame = frame.f_back
    whole = context.whole_stack
    if not whole and not (later and is_ours(code)):
        return (code, frame.f_lasti)
    found: list[Any] = []
    back: Any = frame
    while back is not None and back.f_code is not _boundary:
        if not is_internal(back.f_code):
            found += (back.f_code, back.f_lasti)
            if not whole and not is_ours(back.f_code):
                break
        back = back.f_back
    return tuple(found)


def call_traced(function: Any, args: Any, kwargs: Any) -> Any:
    """Call the user's function; the frames below this one are not part of any origin."""
    held, context.held = context.held, {}
    laid, context.laid = context.laid, {**context.laid}
    try:
        return function(*args, **kwargs)
    except Uncaught as wrapped:
        raise wrapped.args[0] from None
    finally:
        context.held, context.laid = held, laid


_boundary = call_traced.__code__


@contextmanager
def noting(*, origin: Origin | None = None, scope: Scope | None = None) -> Generator[None]:
    """Give the nodes made inside the block the origin and scope of another node."""
    before = context.origin, context.scope
    context.origin, context.scope = origin, scope
    try:
        yield
    finally:
        context.origin, context.scope = before


def lift(value: Any) -> Node:
    """A constant node for a value that is not traced."""
    known = _PYTHON.get(type(value))
    if known is not None:
        return Node(None, (), _NOTHING, value, known)
    if is_ndarray(value):
        return _held(plain(value))
    if isinstance(value, np.generic):
        return Node(None, (), _NOTHING, value, None)
    if isinstance(value, (list, tuple)):
        return Node(None, (), _NOTHING, np.asarray(cast("Any", value)), None)
    raise TraceError.because(
        f"a {type(value).__name__} in a traced computation",
        "only arrays and numbers can be arguments of a box",
        "np.asarray of it, if it holds numbers",
    )


def plain(value: Any) -> Any:
    """The array itself, if it holds numbers and has no rules of its own."""
    if type(value) not in (np.ndarray, np.memmap):
        raise TraceError.because(
            f"a {type(value).__name__} in a traced computation",
            "its own rules (a matrix product for *, masked elements) would be lost",
            "np.asarray of it; np.where(mask, x, 0) and sums over it for a masked array",
        )
    if value.dtype.kind not in "fiubc":
        raise TraceError.because(
            f"an array of dtype {value.dtype} in a traced computation",
            "boxgrad computes with numbers",
            "an array of a numeric dtype",
        )
    return value


def _held(value: Any) -> Node:
    """The node of a copy, for the function or its caller may change the array before a derivative is taken.

    A large array that has not changed since its last use is not copied again.
    """
    held = context.held if value.nbytes > _SMALL else None
    if held is not None:
        array, node = held.get(id(value), (None, None))
        if array is value and node is not None and np.array_equal(node.value, value):
            return node
    made = Node(None, (), _NOTHING, value.copy("K"), None)
    if held is not None:
        held[id(value)] = value, made
    return made


def apply(primitive: Primitive, inputs: Any, parameters: dict[str, Any] = _NOTHING) -> Node:
    """The node of a primitive applied to boxes, arrays and numbers."""
    nodes: list[Node] = []
    values: list[Any] = []
    known = True
    for x in inputs:
        node = x if type(x) is Node else x.node if isinstance(x, Holder) else lift(x)
        if node.weak and primitive.name not in _OF_NUMBERS and not isinstance(primitive.meaning, np.ufunc):
            node = _as_array(node)
        value = node.value
        if value is None:
            known = False
        nodes.append(node)
        values.append(value)
    kind: Any = None
    value = None
    try:
        if known:
            value = primitive.meaning(*values, **parameters)
            if type(value) is tuple:
                kind = tuple(map(ArrayType.of, cast("tuple[Any, ...]", value)))
            elif type(value) in _PYTHON:
                kind = _PYTHON[type(value)]
        else:
            kind = primitive.type_rule(*[node.type for node in nodes], **parameters)
    except (ValueError, TypeError, IndexError) as error:
        refuse(primitive, nodes, error)
    place = context.origin
    if place is None and not context.inside:
        return Node(primitive, tuple(nodes), parameters, value, kind, origin(2, not known), context.scope)
    place = origin(2, not known) if place is None else place
    made = Node(primitive, tuple(nodes), parameters, value, kind, place, context.scope)
    made.derived = True
    return made


def _as_array(node: Node) -> Node:
    """A Python number as NumPy's scalar, which has a shape."""
    if node.is_number:
        return lift(np.asarray(node.value)[()])
    return apply(elementwise.cast, (node,), {"dtype": node.dtype})

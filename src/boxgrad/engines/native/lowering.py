"""From boxes to operations: where each value lies, and what computes it.

Knows the table's rows, layouts and NumPy's dtypes; knows no LLVM. Walks the graph once. What only rearranges
elements becomes a view wherever strides can say it, and otherwise a copy, which is an operation like others.
Operations are fused afterwards (``fuse``); a box without a kernel is a fallback that says why.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad.engines.native import margins
from boxgrad.engines.native.ir import Function, is_supported
from boxgrad.engines.native.layout import Buffer, Home, Shape, Value, contiguous, fresh
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.nest import loop_order
from boxgrad.engines.native.steps import Fallback, Literal, Lowered, Operand, Operation, Reduction, Special
from boxgrad.engines.native.vector import FLOAT32, FLOAT64, Lanes, Term
from boxgrad.graph.node import Graph, Node


@dataclass(frozen=True, slots=True)
class Map:
    """A row for an elementwise operation."""

    emit: Callable[..., Term]


@dataclass(frozen=True, slots=True)
class Reduce:
    """A row for a reduction: how partial results combine, and what leaves any of them as it is."""

    combine: Callable[[Lanes, Term, Term], Term]
    identity: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Lower:
    """A row for a box with a way of its own: a function of the lowering and the node."""

    lower: Callable[[Lowering, Node], Value | Literal | None]


@dataclass(frozen=True, slots=True)
class InNumpy:
    """A row for a box that NumPy runs: a named fallback."""

    reason: str


Row = Map | Reduce | Lower | InNumpy


@dataclass(frozen=True, slots=True)
class Piece:
    """A value that stands at a key of a larger one."""

    source: Value | Literal
    key: Any


MOST_CHECKED = 1 << 22
"""Elements up to which it is checked whether pieces meet."""


MOST_REPEATED = 1 << 12
"""How often an operation is computed again rather than in a kernel of its own."""


class RefusedError(Exception):
    """A box that its row cannot lower here; the text is the reason of the fallback."""


class Lowering:
    """The operations of a graph, in order."""

    def __init__(
        self,
        graph: Graph,
        rows: Mapping[str, Row],
        machine: Machine,
        given: Sequence[Value] | None = None,
        places: Mapping[Node, Value] | None = None,
        outer: Lowering | None = None,
        direct: bool = False,
        times: int = 1,
        overlaying: bool = True,
    ) -> None:
        """``given`` and ``places`` say where the inputs lie and where results are wanted, in a loop.

        In a ``direct`` lowering convolutions are computed as they are defined; in one that is ``overlaying``
        loops may write results over what they read.
        """
        self.graph, self.machine, self.outer = graph, machine, outer
        self.level: int = 0 if outer is None else outer.level + 1
        """How many loops are around it."""
        self.times = times
        """How many steps all of them have together."""
        self.direct = outer.direct if outer is not None else direct
        self.places = dict(places or {})
        self.rows = rows
        self._pieces: dict[Node, list[Piece]] = {}
        self.steps: list[Lowered] = []
        self.copies: dict[tuple[Any, ...], Value] = {}
        """Images that were copied for convolutions, by where and how they lay."""
        self.overlaying = overlaying
        self.overlays: list[Any] = []
        """Where loops write over what they read (``overlay``)."""
        self.rooms: dict[int, margins.Room] = {}
        """By buffer: how much room there is around the images that lie in it."""
        self.constants: list[np.ndarray[Any, Any]] = []
        self.totals: dict[tuple[Node, Shape], Value] = {}
        """Sums that are known in float64, by what was summed along which axes."""
        self._sources: dict[Node, Value | Literal] = {}
        self._items: dict[Node, list[Node]] = {}
        self._readers: dict[Node, list[Node]] = {}
        for number, node in enumerate(graph.inputs):
            buffer = Buffer(node.dtype, math.prod(node.shape), Home.INPUT, number)
            whole = Value(buffer, node.shape, contiguous(node.shape), 0, node.dtype)
            self._sources[node] = whole if given is None else given[number]
        nodes = graph.nodes[len(graph.inputs) :]
        for node in nodes:
            if node.primitive is not None and node.primitive.name == "item":
                self._items.setdefault(node.inputs[0], []).append(node)
            for x in set(node.inputs):
                self._readers.setdefault(x, []).append(node)
        for node in nodes:
            known = len(self.steps)
            self._lower(node)
            for step in self.steps[known:]:
                if isinstance(step, Operation | Special):
                    step.node = node

    def source(self, node: Node) -> Value | Literal:
        """Where a node's value lies, or the number that it is."""
        if node in self._pieces and node not in self._sources:
            self._assemble(node)
        return self._sources[node]

    def items(self, node: Node) -> list[Node]:
        """The items that are taken of a box of several results."""
        return self._items.get(node, [])

    def has(self, value: Value) -> bool:
        """Whether a value was made in this graph, not in a loop inside of it."""
        return any(
            isinstance(known, Value) and known.buffer is value.buffer for known in self._sources.values()
        )

    def sharing(self, buffer: Buffer) -> set[Node]:
        """The nodes whose values lie in a buffer."""
        known = self._sources.items()
        return {node for node, source in known if isinstance(source, Value) and source.buffer is buffer}

    def lies(self, node: Node, value: Value) -> None:
        """Say where a node's value lies."""
        self._sources[node] = value

    def readers(self, node: Node) -> list[Node]:
        """The boxes that read a node."""
        return self._readers.get(node, [])

    def value(self, node: Node) -> Value:
        """A node's value in memory."""
        source = self.source(node)
        if isinstance(source, Literal):
            one = self.constant(np.asarray(source.number, source.dtype).reshape(1))
            return Value(one.buffer, node.shape, (0,) * len(node.shape), 0, one.dtype)
        return source

    def _lower(self, node: Node) -> None:
        if node.primitive is None:
            array = np.asarray(node.value)
            small = array.size == 1 and is_supported(array.dtype)
            self._sources[node] = (
                Literal(array.reshape(())[()], array.dtype) if small else self.constant(array)
            )
            return
        row = self.rows[node.primitive.name]
        try:
            if isinstance(row, InNumpy):
                raise RefusedError(row.reason)
            if isinstance(row, Lower):
                found = row.lower(self, node)
                if found is not None:
                    self._sources[node] = found
                return
            for dtype in (node.dtype, *(x.dtype for x in node.inputs)):
                if not is_supported(dtype):
                    raise RefusedError(f"kernels do not compute with {dtype}")
            place = self._map(node, row) if isinstance(row, Map) else self.reduced(node, row, node.dtype)
            if place is not None:
                self._sources[node] = place
        except RefusedError as refused:
            self._fall_back(node, str(refused))

    def constant(self, array: np.ndarray[Any, Any]) -> Value:
        """An array that is known: it is kept with the program."""
        if self.outer is not None:
            return self.outer.constant(array)
        array = np.asarray(array, order="C")
        self.constants.append(array)
        buffer = Buffer(array.dtype, array.size, Home.CONSTANT, len(self.constants) - 1)
        return Value(buffer, array.shape, contiguous(array.shape), 0, array.dtype)

    def _fall_back(self, node: Node, reason: str) -> None:
        assert node.primitive is not None
        reads = tuple(self.source(x) for x in node.inputs)
        step = Fallback(node.primitive.name, reason, node, reads)
        if node.items is None:
            self._sources[node] = step.results[None] = fresh(node.shape, node.dtype)
        else:
            for item in self._items.get(node, []):
                index = item.parameters["index"]
                if index not in step.results:
                    step.results[index] = fresh(item.shape, item.dtype)
                self._sources[item] = step.results[index]
        self.steps.append(step)

    # ---- arithmetic
    def _map(self, node: Node, row: Map) -> Value | None:
        assert node.primitive is not None
        if node.primitive.name == "add" and self._joins(node):
            return None
        dtypes = operand_dtypes(node)
        operands = tuple(
            Operand(self.within(x, dtype), dtype) for x, dtype in zip(node.inputs, dtypes, strict=True)
        )
        if not _emits(row.emit, dtypes):
            raise RefusedError(f"{node.primitive.name} of {dtypes[0]} has no kernel")
        spread = tuple(
            Operand(o.source.spread(node.shape) if isinstance(o.source, Value) else o.source, o.dtype)
            for o in operands
        )
        space = self._distinct(node, spread)
        if space != node.shape:
            spread = tuple(Operand(narrowed(o.source, space), o.dtype) for o in spread)
            place = fresh(space, node.dtype, loop_order(space, _values(spread)))
            self.add(node.primitive.name, space, spread, row.emit, place)
            return place.spread(node.shape)
        place = self.result(node, [o.source for o in spread])
        self.add(node.primitive.name, node.shape, spread, row.emit, place)
        return place

    def _distinct(self, node: Node, operands: Sequence[Operand]) -> Shape:
        """The space without the axes along which all operands stay the same: what is equal is computed once.

        Of few elements it is the whole space, in which an operation joins its readers.
        """
        fixed = node in self.places or node in self.graph.outputs
        if fixed or margins.wanted(node, self.readers(node)) is not None:
            return node.shape
        moving = [any(v.strides[axis] for v in _values(operands)) for axis in range(len(node.shape))]
        space = tuple(n if moves else min(n, 1) for n, moves in zip(node.shape, moving, strict=True))
        return space if math.prod(node.shape) - math.prod(space) >= MOST_REPEATED else node.shape

    def within(self, node: Node, dtype: np.dtype[Any]) -> Value | Literal:
        """A node's source; a Python integer beyond the dtype is NumPy's to refuse."""
        source = self.source(node)
        if isinstance(source, Literal) and node.weak and dtype.kind in "iu":
            limits = np.iinfo(dtype)
            if not limits.min <= int(source.number) <= limits.max:
                raise RefusedError(f"{source.number} is no {dtype}")
        return source

    def result(self, node: Node, sources: Sequence[Value | Literal]) -> Value:
        """A new value, laid out as its readers want it or else as most operands are."""
        if node in self.places:
            return self.places[node]
        wanted = margins.wanted(node, self.readers(node))
        if wanted is not None:
            room = margins.room(node.shape, node.dtype, wanted)
            self.rooms[id(room.whole.buffer)] = room
            return room.inside
        values = [source for source in sources if isinstance(source, Value)]
        return fresh(node.shape, node.dtype, loop_order(node.shape, values))

    def add(
        self, name: str, space: Shape, operands: tuple[Operand, ...], emit: Any, place: Value, **more: Any
    ) -> None:
        if 0 not in space:
            self.steps.append(Operation(name, space, operands, emit, place, len(self.steps), **more))

    def reduced(self, node: Node, row: Reduce, dtype: np.dtype[Any]) -> Value:
        """What comes of a reduction, in a dtype at least as wide as the node's."""
        assert node.primitive is not None
        (x,) = node.inputs
        if 0 in x.shape:
            raise RefusedError("nothing to reduce")
        axes, keepdims = node.parameters["axis"], node.parameters["keepdims"]
        working = FLOAT64 if node.primitive.name == "sum" and node.dtype == FLOAT32 else node.dtype
        if not _emits(row.combine, (working, working)):
            raise RefusedError(f"{node.primitive.name} of {x.dtype} has no kernel")
        place = fresh(node.shape, dtype)
        strides = list(place.strides)
        if keepdims:
            strides = [0 if i in axes else s for i, s in enumerate(strides)]
        else:
            for axis in sorted(axes):
                strides.insert(axis, 0)
        over = Value(place.buffer, x.shape, tuple(strides), 0, dtype)
        reduction = Reduction(tuple(axes), row.combine, row.identity(working), working)
        operands = (Operand(self.source(x), node.dtype),)
        self.add(node.primitive.name, x.shape, operands, None, over, reduction=reduction)
        return place

    # ---- results that are made of pieces
    def in_pieces(self, node: Node, pieces: list[Piece]) -> None:
        """Zeros with values at some keys: written when somebody reads them, or with other pieces."""
        self._pieces[node] = pieces

    def _joins(self, node: Node) -> bool:
        """Whether a sum is of pieces that do not meet: then it is all of them side by side."""
        if not all(x in self._pieces and len(self.readers(x)) == 1 for x in node.inputs):
            return False
        pieces = [piece for x in node.inputs for piece in self._pieces[x]]
        if len(set(node.inputs)) < 2 or math.prod(node.shape) > MOST_CHECKED:
            return False
        count = np.zeros(node.shape, np.int8)
        for piece in pieces:
            count[piece.key] += 1
        if count.max(initial=0) > 1:
            return False
        self._pieces[node] = pieces
        return True

    def _assemble(self, node: Node) -> None:
        place = self._sources[node] = self.result(node, ())
        pieces = self._pieces[node]
        parts = [place.at(piece.key) for piece in pieces]
        if sum(part.size for part in parts) < place.size:
            self.copy(Literal(0, node.dtype), place, "zeros")
        for piece, part in zip(pieces, parts, strict=True):
            source = piece.source
            spread = source if isinstance(source, Literal) else source.spread(part.shape)
            self.copy(spread, part, "embed", apart=True)

    # ---- for the rows
    def copy(self, source: Value | Literal, place: Value, name: str = "copy", apart: bool = False) -> None:
        """Write elements to where they are wanted."""
        operand = Operand(source, place.dtype)
        self.add(name, place.shape, (operand,), _itself, place, apart=apart)


def _values(operands: Sequence[Operand]) -> list[Value]:
    return [operand.source for operand in operands if isinstance(operand.source, Value)]


def narrowed(source: Value | Literal, space: Shape) -> Value | Literal:
    """The first element along the axes of size 1."""
    if isinstance(source, Literal):
        return source
    return Value(source.buffer, space, source.strides, source.offset, source.dtype)


def _itself(e: Lanes, x: Term) -> Term:
    return x


def operand_dtypes(node: Node) -> tuple[np.dtype[Any], ...]:
    """The dtypes in which NumPy computes an elementwise box: Python numbers give way (NEP 50)."""
    primitive = node.primitive
    assert primitive is not None
    if primitive.name == "where":
        return (np.dtype(bool), node.dtype, node.dtype)
    if not isinstance(primitive.meaning, np.ufunc):
        return (node.dtype,) * len(node.inputs)
    weak = {"i": int, "f": float}
    kinds: list[Any] = [x.dtype for x in node.inputs]
    if not all(x.weak for x in node.inputs):
        kinds = [weak[x.dtype.kind] if x.weak else x.dtype for x in node.inputs]
    return _resolved(primitive.meaning, tuple(kinds))


@functools.lru_cache(maxsize=4096)
def _resolved(ufunc: np.ufunc, kinds: tuple[Any, ...]) -> tuple[np.dtype[Any], ...]:
    return ufunc.resolve_dtypes((*kinds, None))[: len(kinds)]


@functools.lru_cache(maxsize=4096)
def _emits(emit: Any, dtypes: tuple[np.dtype[Any], ...]) -> bool:
    """Whether an emitter knows these dtypes: it is asked to write into a function that is thrown away."""
    e = Lanes(Function("trial", ()), 1)
    try:
        emit(e, *(e.constant(0, dtype) for dtype in dtypes))
    except (NotImplementedError, KeyError):
        return False
    return True

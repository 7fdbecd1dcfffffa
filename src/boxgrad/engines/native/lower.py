"""From boxes to operations: where each value lies, and what computes it.

Knows the table's rows, layouts and NumPy's dtypes; knows no LLVM. Walks the graph once. What only rearranges
elements becomes a view wherever strides can say it, and otherwise a copy, which is an operation like others.
Operations are fused afterwards (``fuse``); a box without a kernel is a fallback that says why.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from boxgrad.engines.native import product, scatter, table
from boxgrad.engines.native.ir import Function, is_supported
from boxgrad.engines.native.layout import Buffer, Home, Shape, Value, contiguous, fresh
from boxgrad.engines.native.pointwise import loop_order
from boxgrad.engines.native.steps import Fallback, Literal, Lowered, Operand, Operation, Reduction, Special
from boxgrad.engines.native.vector import FLOAT32, FLOAT64, INT64, Lanes, Term
from boxgrad.graph.node import Graph, Node
from boxgrad.ops import contract
from boxgrad.ops.index import Slot


class RefusedError(Exception):
    """A box that its row cannot lower here; the text is the reason of the fallback."""


class Lowering:
    """The operations of a graph, in order."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.steps: list[Lowered] = []
        self.constants: list[np.ndarray[Any, Any]] = []
        self._sources: dict[Node, Value | Literal] = {}
        self._items: dict[Node, list[Node]] = {}
        self._readers: dict[Node, list[Node]] = {}
        for number, node in enumerate(graph.inputs):
            buffer = Buffer(node.dtype, int(np.prod(node.shape)), Home.INPUT, number)
            self._sources[node] = Value(buffer, node.shape, contiguous(node.shape), 0, node.dtype)
        nodes = graph.nodes[len(graph.inputs) :]
        for node in nodes:
            if node.primitive is not None and node.primitive.name == "item":
                self._items.setdefault(node.inputs[0], []).append(node)
            for x in set(node.inputs):
                self._readers.setdefault(x, []).append(node)
        for node in nodes:
            self._lower(node)

    def source(self, node: Node) -> Value | Literal:
        """Where a node's value lies, or the number that it is."""
        return self._sources[node]

    def value(self, node: Node) -> Value:
        """A node's value in memory."""
        source = self._sources[node]
        if isinstance(source, Literal):
            one = self._constant(np.asarray(source.number, source.dtype).reshape(1))
            return Value(one.buffer, node.shape, (0,) * len(node.shape), 0, one.dtype)
        return source

    def _lower(self, node: Node) -> None:
        if node.primitive is None:
            array = np.asarray(node.value)
            small = array.size == 1 and is_supported(array.dtype)
            self._sources[node] = (
                Literal(array.reshape(())[()], array.dtype) if small else self._constant(array)
            )
            return
        row = table.ROWS[node.primitive.name]
        try:
            if isinstance(row, table.InNumpy):
                raise RefusedError(row.reason)
            if isinstance(row, table.Rearrange):
                self._sources[node] = getattr(self, f"_{row.method}")(node)
                return
            for dtype in (node.dtype, *(x.dtype for x in node.inputs)):
                if not is_supported(dtype):
                    raise RefusedError(f"kernels do not compute with {dtype}")
            lower = self._map if isinstance(row, table.Map) else self._reduce
            self._sources[node] = lower(node, row)
        except RefusedError as refused:
            self._fall_back(node, str(refused))

    def _constant(self, array: np.ndarray[Any, Any]) -> Value:
        array = np.ascontiguousarray(array)
        self.constants.append(array)
        buffer = Buffer(array.dtype, array.size, Home.CONSTANT, len(self.constants) - 1)
        return Value(buffer, array.shape, contiguous(array.shape), 0, array.dtype)

    def _fall_back(self, node: Node, reason: str) -> None:
        assert node.primitive is not None
        reads = tuple(self._sources[x] for x in node.inputs)
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
    def _map(self, node: Node, row: table.Map) -> Value:
        assert node.primitive is not None
        dtypes = operand_dtypes(node)
        operands = tuple(
            Operand(self._within(x, dtype), dtype) for x, dtype in zip(node.inputs, dtypes, strict=True)
        )
        if not _emits(row.emit, dtypes):
            raise RefusedError(f"{node.primitive.name} of {dtypes[0]} has no kernel")
        spread = tuple(
            Operand(o.source.spread(node.shape) if isinstance(o.source, Value) else o.source, o.dtype)
            for o in operands
        )
        place = self._result(node.shape, node.dtype, [o.source for o in spread])
        self._add(node.primitive.name, node.shape, spread, row.emit, place)
        return place

    def _within(self, node: Node, dtype: np.dtype[Any]) -> Value | Literal:
        """A node's source; a Python integer beyond the dtype is NumPy's to refuse."""
        source = self._sources[node]
        if isinstance(source, Literal) and node.weak and dtype.kind in "iu":
            limits = np.iinfo(dtype)
            if not limits.min <= int(source.number) <= limits.max:
                raise RefusedError(f"{source.number} is no {dtype}")
        return source

    def _result(self, shape: Shape, dtype: np.dtype[Any], sources: Sequence[Value | Literal]) -> Value:
        """A new value whose axes lie in memory as those of most operands do."""
        values = [source for source in sources if isinstance(source, Value)]
        return fresh(shape, dtype, loop_order(shape, values))

    def _add(
        self, name: str, space: Shape, operands: tuple[Operand, ...], emit: Any, place: Value, **more: Any
    ) -> None:
        if 0 not in space:
            self.steps.append(Operation(name, space, operands, emit, place, len(self.steps), **more))

    def _reduce(self, node: Node, row: table.Reduce) -> Value:
        assert node.primitive is not None
        (x,) = node.inputs
        if 0 in x.shape:
            raise RefusedError("nothing to reduce")
        axes, keepdims = node.parameters["axis"], node.parameters["keepdims"]
        working = FLOAT64 if node.primitive.name == "sum" and node.dtype == FLOAT32 else node.dtype
        if not _emits(row.combine, (working, working)):
            raise RefusedError(f"{node.primitive.name} of {x.dtype} has no kernel")
        place = fresh(node.shape, node.dtype)
        strides = list(place.strides)
        if keepdims:
            strides = [0 if i in axes else s for i, s in enumerate(strides)]
        else:
            for axis in sorted(axes):
                strides.insert(axis, 0)
        over = Value(place.buffer, x.shape, tuple(strides), 0, node.dtype)
        reduction = Reduction(tuple(axes), row.combine, row.identity(working), working)
        operands = (Operand(self._sources[x], node.dtype),)
        self._add(node.primitive.name, x.shape, operands, None, over, reduction=reduction)
        return place

    # ---- arrangement
    def _copy(self, source: Value | Literal, place: Value, name: str = "copy") -> None:
        """Write elements to where they are wanted."""
        operand = Operand(source, place.dtype)
        self._add(name, place.shape, (operand,), _itself, place)

    def _same(self, node: Node) -> Value | Literal:
        return self._sources[node.inputs[0]]

    def _reshape(self, node: Node) -> Value | Literal:
        source = self._sources[node.inputs[0]]
        if isinstance(source, Literal):
            return source
        view = source.reshaped(node.shape)
        if view is None:
            place = fresh(source.shape, source.dtype)
            self._movable(node)
            self._copy(source, place, "reshape")
            view = place.reshaped(node.shape)
            assert view is not None
        return view

    def _transpose(self, node: Node) -> Value | Literal:
        source = self._sources[node.inputs[0]]
        return source if isinstance(source, Literal) else source.permuted(node.parameters["axes"])

    def _broadcast(self, node: Node) -> Value | Literal:
        source = self._sources[node.inputs[0]]
        return source if isinstance(source, Literal) else source.spread(node.shape)

    def _slice(self, node: Node) -> Value | Literal:
        source = self._sources[node.inputs[0]]
        return source if isinstance(source, Literal) else source.at(node.parameters["key"])

    def _item(self, node: Node) -> Value | Literal:
        return self._sources[node]

    def _movable(self, node: Node) -> None:
        if not is_supported(node.dtype):
            raise RefusedError(f"kernels do not move {node.dtype}")

    def _concatenate(self, node: Node) -> Value:
        self._movable(node)
        place = fresh(node.shape, node.dtype)
        axis, start = node.parameters["axis"], 0
        for x in node.inputs:
            self._within(x, node.dtype)
            part = place.at((slice(None),) * axis + (slice(start, start + x.shape[axis]),))
            self._copy(self._sources[x], part, "concatenate")
            start += x.shape[axis]
        return place

    def _embed(self, node: Node) -> Value:
        self._movable(node)
        place = fresh(node.shape, node.dtype)
        part = place.at(node.parameters["key"])
        if part.size < place.size:
            self._copy(Literal(0, node.dtype), place, "zeros")
        source = self._sources[node.inputs[0]]
        self._copy(source if isinstance(source, Literal) else source.spread(part.shape), part, "embed")
        return place

    def _put_slice(self, node: Node) -> Value:
        self._movable(node)
        x, z = node.inputs
        place = fresh(node.shape, node.dtype)
        part = place.at(node.parameters["key"])
        self._copy(self._sources[x], place, "put_slice")
        source = self._sources[z]
        self._copy(source if isinstance(source, Literal) else source.spread(part.shape), part, "put_slice")
        return place

    def _gather(self, node: Node) -> Value:
        """Index arrays on the first axes of a table, in order; the rest of the table follows."""
        x, *indices = node.inputs
        key, source = node.parameters["key"], self._sources[x]
        count = len(indices)
        if (
            not _on_first_axes(key, count)
            or isinstance(source, Literal)
            or 0 in x.shape
            or not is_supported(x.dtype)
        ):
            raise RefusedError("only index arrays on the first axes have a kernel")
        rest = len(x.shape) - count
        where = node.shape[: len(node.shape) - rest]
        operands = []
        for index in indices:
            if index.dtype.kind not in "iu":
                raise RefusedError(f"indices of {index.dtype} have no kernel")
            found = self.value(index)
            found = found.spread(where)
            strides = found.strides + (0,) * rest
            operands.append(
                Operand(Value(found.buffer, node.shape, strides, found.offset, found.dtype), INT64)
            )
        strides = (0,) * len(where) + source.strides[count:]
        over = Value(source.buffer, node.shape, strides, source.offset, source.dtype)
        place = fresh(node.shape, node.dtype)
        self._add(
            "gather", node.shape, tuple(operands), None, place,
            lookup=over, limits=x.shape[:count], steps=source.strides[:count],
        )  # fmt: skip
        return place

    def _scatter_add(self, node: Node) -> Value:
        x, *indices = node.inputs
        self._movable(node)
        count, source = len(indices), self.value(x)
        if not _on_first_axes(node.parameters["key"], count) or any(
            i.dtype.kind not in "iu" for i in indices
        ):
            raise RefusedError("only index arrays on the first axes have a kernel")
        place = fresh(node.shape, node.dtype)
        self._copy(Literal(0, node.dtype), place, "zeros")
        rest = len(node.shape) - count
        where = x.shape[: len(x.shape) - rest]
        reads = [self.value(index).spread(where) for index in indices]
        self.steps.append(
            Special(
                "scatter_add", (source, *reads, place), (place,),
                lambda machine, name: [scatter.kernel(source, reads, place, machine, name)],
            )
        )  # fmt: skip
        return place

    def _contract(self, node: Node) -> Value:
        """A product of matrices; an operand whose axes cannot be joined is copied first."""
        a, b = (self.value(x) for x in node.inputs)
        if node.dtype.kind != "f" or not is_supported(node.dtype):
            raise RefusedError(f"products of {node.dtype} have no kernel")
        if a.dtype.kind != "f" or b.dtype.kind != "f":
            raise RefusedError(f"products of {a.dtype} and {b.dtype} have no kernel")
        letters = contract.split(node.parameters["subscripts"])
        if 0 in (*node.shape, *a.shape, *b.shape):
            raise RefusedError("an axis of size 0")
        sizes = dict(zip(letters[1], b.shape, strict=True))
        if any(sizes.get(c, n) != n for c, n in zip(letters[0], a.shape, strict=True)):
            raise RefusedError("an axis of size 1 that is repeated")
        last = letters[2][self._contiguous_axis(node)] if letters[2] else ""
        found = product.as_product(letters, a, b, last)
        if found is None:
            found = product.as_product(letters, self._compact(a), self._compact(b), last)
        if found is None:
            letters, a, b = self._sorted(letters, a, b)
            found = product.as_product(letters, a, b, last)
        if found is None:
            raise RefusedError("its axes cannot be joined to rows and columns")
        made, (shape, order) = found
        place = fresh(shape, node.dtype, order)
        self._add("contract", shape, (), None, place, product=made)
        return place

    def _compact(self, value: Value) -> Value:
        if value.is_contiguous:
            return value
        place = fresh(value.shape, value.dtype)
        self._copy(value, place)
        return place

    def _sorted(
        self, letters: tuple[str, str, str], a: Value, b: Value
    ) -> tuple[tuple[str, str, str], Value, Value]:
        """The operands with their axes in the order batch, rows, inner and batch, inner, columns."""
        first, second, result = letters
        batch = "".join(c for c in result if c in first and c in second)
        inner = "".join(c for c in first if c not in result)
        left = batch + "".join(c for c in result if c in first and c not in batch) + inner
        right = batch + inner + "".join(c for c in result if c in second and c not in batch)
        moved = [
            self._compact(value.permuted([have.index(c) for c in want]))
            for value, have, want in ((a, first, left), (b, second, right))
        ]
        return (left, right, result), moved[0], moved[1]

    def _contiguous_axis(self, node: Node) -> int:
        """The axis of a result that should be contiguous: what is last where all its readers turn it."""
        readers = self._readers.get(node, [])
        axes = {
            x.parameters["axes"][-1] if x.primitive and x.primitive.name == "transpose" else -1
            for x in readers
        }
        return axes.pop() if len(axes) == 1 else len(node.shape) - 1


def _on_first_axes(key: Any, count: int) -> bool:
    """Whether a key has its index arrays first, in order, and nothing but whole axes after them."""
    rest = all(item is Ellipsis or item == slice(None) for item in key[count:])
    return rest and key[:count] == tuple(Slot(i) for i in range(count))


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

"""Products with looked-up rows: the table is multiplied, not its rows; rows are added up, then multiplied.

To look up N rows of a table E (V, D) is to multiply it by a matrix S (N, V) with a single 1 in each row,
which nobody makes. Products associate, and V is often much smaller than N:

* ``(S E) W = S (E W)``: the rows of the product are looked up.
* ``(S E)ᵀ G = Eᵀ (Sᵀ G)``: the rows of a gradient G are added up by index before they are multiplied.
* ``Sᵀ (G W) = (Sᵀ G) W``: likewise where a product is only added up by index.
* ``1ᵀ G = 1ᵀ (Sᵀ G)``: a sum over rows that are added up anyway.

Only rounding differs. A rule is applied where arithmetic and memory traffic, counted for both forms, say that
it clearly wins. Rows that no index names do not take part, whatever they hold: they are zeros in Eᵀ (Sᵀ G).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from boxgrad.graph.node import Graph, Node, constant_node, ordered
from boxgrad.graph.walk import substitute
from boxgrad.ops import elementwise, reduce
from boxgrad.ops.contract import contract, split
from boxgrad.ops.index import gather, scatter_add
from boxgrad.ops.shape import reshape, transpose
from boxgrad.passes import rows as rows_
from boxgrad.passes.rows import AFFINE, Axes, Rows, added, on_inputs, reshaped, rows_of, transposed
from boxgrad.trace.apply import apply, noting

BYTE = 16
"""Floating-point operations in the time of one byte of memory."""
WINS = 0.7
"""A new form must cost less than this part of the old one …"""
FLOOR = 1 << 19
"""… and save at least so many operations, which take a few microseconds."""
DEEPEST = 20
"""Boxes that are looked into for products whose results are added up."""


def lookups(graph: Graph) -> Graph:
    """Multiply tables instead of their rows, where that is less work."""
    if not any(node.primitive in (gather, scatter_add) for node in graph.nodes):
        return graph
    return _Walk(graph).run()


def traffic(*nodes: Node) -> float:
    """The cost of reading or writing values once."""
    return BYTE * sum(math.prod(x.shape) * x.dtype.itemsize for x in nodes)


def product_cost(node: Node) -> float:
    """The cost of a contraction."""
    a, b = node.inputs
    first, second, _ = split(node.parameters["subscripts"])
    sizes = dict(zip(first, a.shape, strict=True)) | dict(zip(second, b.shape, strict=True))
    return 2 * math.prod(sizes.values()) + traffic(a, b, node)


def wins(after: float, before: float) -> bool:
    """Whether a new form is clearly the better one."""
    return after < WINS * before and before - after > FLOOR


@dataclass(frozen=True, slots=True)
class _Sum:
    """A way to add rows up by index: the result, what it costs, and what need not be computed for it."""

    node: Node
    cost: float
    gone: float = 0.0

    @property
    def net(self) -> float:
        return self.cost - self.gone


class _Walk:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.readers = Counter(x for node in graph.nodes for x in node.inputs)
        self.readers.update(graph.outputs)
        self.new: dict[Node, Node] = {}
        self.rows: dict[Node, Rows | None] = {}
        self.depth = 0

    def run(self) -> Graph:
        inputs = set(self.graph.inputs)
        for node in self.graph.nodes:
            if node in inputs or node.primitive is None:
                self.new[node] = node
                continue
            moved = on_inputs(node, self.new)
            self.readers[moved] = self.readers[node]
            found = self._rule(node.primitive)
            if found is not None:
                with noting(origin=node.origin, scope=node.scope):
                    better = found(moved)
                if better is not None and better is not moved:
                    self.readers[better] = self.readers[node]
                    moved = better
            self.new[node] = moved
            rows_of(moved, self.rows)  # of all nodes in their order, so that nothing recurses far
        return _summed(Graph(self.graph.inputs, tuple(self.new[x] for x in self.graph.outputs)))

    def _rule(self, primitive: object) -> Callable[[Node], Node | None] | None:
        if primitive is contract:
            return self._product
        if primitive is scatter_add:
            return self._added
        return self._late if primitive in AFFINE else None

    # ---- forward
    def _late(self, node: Node) -> Node | None:
        """Arithmetic on looked-up rows that nobody else reads: on the table, and looked up afterwards."""
        if not any(x.shape == node.shape and self._is_only_looked_up(x) for x in node.inputs):
            return None
        rows = rows_of(node, self.rows)
        if rows is None or 2 * rows.table.shape[0] > math.prod(rows.index.shape):
            return None
        return rows.node()

    def _is_only_looked_up(self, x: Node) -> bool:
        while self.readers[x] == 1 and x.primitive in (reshape, transpose):
            x = x.inputs[0]
        return self.readers[x] == 1 and rows_of(x, self.rows) is not None

    def _product(self, node: Node) -> Node | None:
        if 0 in node.shape or any(0 in x.shape for x in node.inputs) or _is_coarse(node):
            return None
        for side, x in enumerate(node.inputs):
            rows = rows_of(x, self.rows)
            if rows is None:
                continue
            first, second, result = split(node.parameters["subscripts"])
            mine, other = (first, second) if side == 0 else (second, first)
            index = "".join(mine[i] for i in rows.lookups)
            if all(c in result and c not in other for c in index):
                found = self._looked_up(node, side, rows, mine, other, index)
            elif all(c not in result for c in index):
                found = self._from_sums(node, side, rows, mine, other, index)
            else:
                continue
            if found is not None:
                return found
        return None

    def _looked_up(self, node: Node, side: int, rows: Rows, mine: str, other: str, index: str) -> Node | None:
        """(S E) W = S (E W)."""
        result = split(node.parameters["subscripts"])[2]
        letter = _new_letter(mine + other)
        table = letter + _row_letters(rows, mine)
        rest = "".join(c for c in result if c not in index)
        small = _contracted(side, rows.table, table, node.inputs[1 - side], other, letter + rest)
        after = product_cost(small) + 2 * traffic(node)
        if not wins(after, product_cost(node)):
            return None
        have = index + rest
        return Rows(small, rows.index, tuple(have.index(c) for c in result)).node()

    def _from_sums(self, node: Node, side: int, rows: Rows, mine: str, other: str, index: str) -> Node | None:
        """(S E)ᵀ G = Eᵀ (Sᵀ G)."""
        result = split(node.parameters["subscripts"])[2]
        letter = _new_letter(mine + other)
        size = rows.table.shape[0]
        sums = self._sums(node.inputs[1 - side], rows.index, tuple(other.index(c) for c in index), size)
        table = _named(rows.table, rows.index)
        rest = "".join(c for c in other if c not in index)
        small = _contracted(side, table, letter + _row_letters(rows, mine), sums.node, letter + rest, result)
        after = sums.net + product_cost(small) + 3 * traffic(table) + traffic(rows.index)
        return small if wins(after, product_cost(node)) else None

    # ---- backward
    def _added(self, node: Node) -> Node | None:
        """Sᵀ (G W) = (Sᵀ G) W."""
        x, *indices = node.inputs
        shape, key = node.parameters["shape"], node.parameters["key"]
        if len(indices) != 1 or rows_.lookup_axis(key, len(shape)) != 0 or 0 in (*x.shape, *shape):
            return None
        if _is_coarse(node):
            return None
        (index,) = indices
        if not index.shape or index.dtype.kind not in "iu" or x.shape != (*index.shape, *shape[1:]):
            return None
        plain = _plainly(x, index, tuple(range(len(index.shape))), shape[0])
        best = self._sums(x, index, tuple(range(len(index.shape))), shape[0])
        return best.node if best.gone and wins(best.cost, plain.cost + best.gone) else None

    def _sums(self, x: Node, index: Node, axes: Axes, size: int) -> _Sum:
        """The rows of x added up by index in the cheapest way: (V, …) with the other axes of x in order."""
        plain = _plainly(x, index, axes, size)
        if self.depth == DEEPEST:
            return plain
        self.depth += 1
        found = self._inside(x, index, axes, size)
        self.depth -= 1
        return found if found is not None and found.net < plain.net else plain

    def _inside(self, x: Node, index: Node, axes: Axes, size: int) -> _Sum | None:
        """By adding up what x is made of."""
        primitive, alone = x.primitive, self.readers[x] == 1
        if primitive is transpose:
            turned: Axes = x.parameters["axes"]
            (source,) = x.inputs
            sums = self._sums(source, index, tuple(turned[a] for a in axes), size)
            rest = [turned[i] for i in range(len(turned)) if i not in axes]
            order = tuple(1 + sorted(rest).index(i) for i in rest)
            return _Sum(transposed(sums.node, (0, *order)), sums.cost, sums.gone * alone)
        if primitive is reshape:
            return self._through_reshape(x, index, axes, size)
        if primitive is contract and alone:
            return self._through_product(x, index, axes, size)
        if primitive in AFFINE and alone:
            return self._through_arithmetic(x, index, axes, size)
        return None

    def _through_reshape(self, x: Node, index: Node, axes: Axes, size: int) -> _Sum | None:
        first, count = axes[0], len(axes)
        (source,) = x.inputs
        if axes != tuple(range(first, first + count)):
            return None
        parts = (x.shape[:first], x.shape[first : first + count], x.shape[first + count :])
        cut = rows_.split(source.shape, parts)
        if cut is None or not cut[1]:
            return None
        start = len(cut[0])
        sums = self._sums(source, reshaped(index, cut[1]), tuple(range(start, start + len(cut[1]))), size)
        node = reshaped(sums.node, (size, *parts[0], *parts[2]))
        return _Sum(node, sums.cost, sums.gone * (self.readers[x] == 1))

    def _through_product(self, x: Node, index: Node, axes: Axes, size: int) -> _Sum | None:
        first, second, result = split(x.parameters["subscripts"])
        letters = "".join(result[a] for a in axes)
        for side, (mine, other) in enumerate(((first, second), (second, first))):
            if not all(c in mine and c not in other for c in letters):
                continue
            sums = self._sums(x.inputs[side], index, tuple(mine.index(c) for c in letters), size)
            letter = _new_letter(first + second)
            mine = letter + "".join(c for c in mine if c not in letters)
            rest = "".join(c for c in result if c not in letters)
            small = _contracted(side, sums.node, mine, x.inputs[1 - side], other, letter + rest)
            return _Sum(small, sums.cost + product_cost(small), sums.gone + product_cost(x))
        return None

    def _through_arithmetic(self, x: Node, index: Node, axes: Axes, size: int) -> _Sum | None:
        """A sum of terms, term by term; a multiple of what is the same for every index."""
        if x.primitive is elementwise.multiply:
            for number, factor in enumerate(x.inputs):
                rest = _along(factor, x, axes)
                if rest is None or x.inputs[1 - number].shape != x.shape:
                    continue
                sums = self._sums(x.inputs[1 - number], index, axes, size)
                node = apply(elementwise.multiply, (sums.node, rest))
                if node.dtype != x.dtype or node.shape != sums.node.shape:
                    return None
                return _Sum(node, sums.cost + 2 * traffic(node), sums.gone)
            return None
        if any(term.shape != x.shape or term.dtype != x.dtype for term in x.inputs):
            return None
        terms = [self._sums(term, index, axes, size) for term in x.inputs]
        assert x.primitive is not None
        node = apply(x.primitive, [term.node for term in terms])
        return _Sum(node, sum(t.cost for t in terms) + 3 * traffic(node), sum(t.gone for t in terms))


def _is_coarse(node: Node) -> bool:
    """Whether sums of a dtype depend so much on their order that it should not be changed."""
    return node.dtype.kind == "f" and node.dtype.itemsize < 4


def _plainly(x: Node, index: Node, axes: Axes, size: int) -> _Sum:
    node = added(x, index, axes, size)
    return _Sum(node, math.prod(x.shape) + traffic(x, index, node))


def _along(factor: Node, x: Node, axes: Axes) -> Node | None:
    """A factor without the axes of the index, if it does not vary along them."""
    if factor.weak or not factor.shape:
        return factor
    shape = (1,) * (len(x.shape) - len(factor.shape)) + factor.shape
    if any(shape[a] != 1 for a in axes):
        return None
    return reshaped(factor, tuple(n for i, n in enumerate(shape) if i not in axes))


def _named(table: Node, index: Node) -> Node:
    """A table with zeros in the rows that no index names."""
    one = constant_node(np.ones(index.shape, np.float32))
    count = added(one, index, tuple(range(len(index.shape))), table.shape[0])
    seen = apply(elementwise.greater, (count, 0))
    column = reshaped(seen, (table.shape[0],) + (1,) * (len(table.shape) - 1))
    return apply(elementwise.where, (column, table, 0))


def _row_letters(rows: Rows, mine: str) -> str:
    count = len(rows.index.shape)
    return "".join(mine[rows.axes.index(i)] for i in range(count, len(rows.axes)))


def _new_letter(used: str) -> str:
    return next(c for c in "vwxyzVWXYZabcdefgh" if c not in used)


def _contracted(side: int, a: Node, first: str, b: Node, second: str, result: str) -> Node:
    """A product with a on the given side."""
    if side:
        a, b, first, second = b, a, second, first
    return apply(contract, (a, b), {"subscripts": f"{first},{second}->{result}"})


def _summed(graph: Graph) -> Graph:
    """Sums over rows that are added up by an index anyway."""
    outputs = graph.outputs
    done: set[Node] = set()
    while True:
        nodes = ordered(outputs, graph.inputs)
        sums = {
            _source(node.inputs[0], len(node.inputs[1].shape)): node
            for node in reversed(nodes)
            if node.primitive is scatter_add
            and len(node.inputs) == 2
            and rows_.lookup_axis(node.parameters["key"], len(node.shape)) == 0
            and 2 * node.shape[0] <= math.prod(node.inputs[1].shape)
        }
        for node in nodes:
            if node.primitive is not reduce.sum or node in done or node.parameters["keepdims"]:
                continue
            done.add(node)
            found = sums.get((node.inputs[0], node.parameters["axis"]))
            if found is None or node.dtype.kind not in "fc" or node in ordered((found,)):
                continue
            with noting(origin=node.origin, scope=node.scope):
                total = apply(reduce.sum, (found,), {"axis": (0,), "keepdims": False})
            outputs = substitute(outputs, {node: total})
            break
        else:
            return Graph(graph.inputs, outputs)


def _source(x: Node, count: int) -> tuple[Node, Axes]:
    """What is added up, before it is transposed, and the axes along which the index runs."""
    axes = tuple(range(count))
    if x.primitive is transpose:
        turned: Axes = x.parameters["axes"]
        rest = turned[count:]
        if rest == tuple(sorted(rest)):
            return x.inputs[0], tuple(sorted(turned[:count]))
    return x, axes

"""Products of matrices: how a contraction is read as one, and the kernel with whatever follows it fused in.

Knows letters, strides and the micro-kernel. A contraction is a batch of products (rows × inner) · (inner ×
columns); which operand gives the rows is free, and is chosen so that the result's contiguous axis is the one
that its readers want. A chunk of the work packs the panels of columns that it needs just before it uses them.
The operations of the cluster that read the result are computed on the sums while they are in registers.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from boxgrad.engines.native.body import Body
from boxgrad.engines.native.ir import Function, Index
from boxgrad.engines.native.layout import Buffer, Value, joined
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.microkernel import Loop, Tile, tile_shape
from boxgrad.engines.native.operands import is_large, only_if_last, packer, panels, part, row_packer, tiles_of
from boxgrad.engines.native.packing import pack
from boxgrad.engines.native.pauses import VECTOR, patient
from boxgrad.engines.native.pointwise import Cluster
from boxgrad.engines.native.steps import AT_ONCE, HEAD, LONG, Kernel, Operation, Product, addresses
from boxgrad.engines.native.vector import Term

PANEL_BYTES = 96 << 10
"""How much of a panel is used at a time: it stays in the second-level cache."""
FEW = 128
"""Rows so few that their sums can wait in the first-level cache, beside a panel of ``NEAR`` steps."""
NEAR = 256
GRAIN = 1 << 18
"""Multiplications that are worth a chunk of their own."""
MOST_CHUNKS = 8
LARGE_PART = 3 << 19
"""Bytes of rows that stay in the third-level cache."""
FAR = 1 << 18
"""Bytes above which an array is not in the second-level cache."""
KEPT = 1 << 14
"""Bytes from which on it is worth that the same rows of an array stay with the same thread."""
SHALLOW = 128
"""Steps of the inner axis so few that a panel is read where it lies, from the first-level cache."""
SHORT = 5
"""Operations after a product that are written out for every row of a tile."""


def as_product(
    letters: tuple[str, str, str], a: Value, b: Value, wanted_last: str
) -> tuple[Product, tuple[int, ...]] | None:
    """The contraction as a product, and the order of its result's axes; None where a copy is needed.

    ``wanted_last`` is the letter whose axis should be contiguous in the result.
    """
    first, second, result = letters
    batch = "".join(c for c in result if c in first and c in second)
    rows = "".join(c for c in result if c not in second)
    columns = "".join(c for c in result if c not in first)
    inner = "".join(c for c in first if c not in result)
    if wanted_last in rows:
        first, second, rows, columns, a, b = second, first, columns, rows, b, a
    sizes = dict(zip(second, b.shape, strict=True)) | dict(zip(first, a.shape, strict=True))
    if any(sizes[c] == 1 for c in batch):
        return None
    left = grouped(a, first, (batch, rows, inner))
    right = grouped(b, second, (batch, inner, columns))
    if left is None or right is None:
        return None
    order = batch + rows + columns
    first_row, first_column = len(batch), len(batch) + len(rows)
    axes = (
        tuple(range(first_row)),
        tuple(range(first_row, first_column)),
        tuple(range(first_column, len(order))),
    )
    return Product(left, right, axes), tuple(result.index(c) for c in order)


def grouped(value: Value, letters: str, groups: tuple[str, ...]) -> Value | None:
    """A value with one axis for each group of letters, where strides allow it."""
    return joined(value, tuple(tuple(letters.index(c) for c in group) for group in groups))


@dataclass(frozen=True, slots=True)
class _Split:
    """Into how many parts the batch, the tiles of rows and the panels of columns are cut."""

    batch: int
    rows: int
    columns: int


def kernels(cluster: Cluster, machine: Machine, name: str) -> list[Kernel]:
    """The kernel of a cluster that begins with a product, and before it those that pack its operands."""
    root = next(op for op in cluster.operations if op.product is not None)
    made = root.product
    assert isinstance(made, Product)
    before: list[Kernel] = []
    if is_large(made.left) and made.packed is None:
        target = panels(made.right, made, machine)
        before.append(packer(made.right, target, machine, f"{name}_columns"))
        made = root.product = replace(made, packed=target)
    tiled = tiles_of(made.left, tile_shape(machine, root.place.dtype.itemsize))
    if tiled is not None:
        before.append(row_packer(made.left, tiled, f"{name}_rows"))
    return [*before, _Writer(cluster, root, tiled, machine, name).kernel()]


class _Writer:
    def __init__(
        self, cluster: Cluster, root: Operation, tiled: Value | None, machine: Machine, name: str
    ) -> None:
        assert isinstance(root.product, Product)
        self.cluster, self.root, self.product, self.tiled = cluster, root, root.product, tiled
        self.body = Body(cluster.operations)
        self.f = Function(name, HEAD)
        self.dtype = self.root.place.dtype
        self.shape = tile_shape(machine, self.dtype.itemsize)
        self.batch, self.m, self.k = self.product.left.shape
        self.n = self.product.right.shape[2]
        self.loads = [self._over(value) for value in self.body.outside]
        self.stores = list(cluster.stored)
        self.places = [self._over(op.place) for op in self.stores]
        self.tiles = -(-self.m // self.shape.rows)
        self.panels = -(-self.n // self.shape.width)
        self.direct = self._is_direct()
        self.split = self._split()
        deepest = max(64, PANEL_BYTES // (self.shape.width * self.dtype.itemsize))
        if self.m <= FEW and self.product.packed is None:
            deepest = min(deepest, NEAR)
        self.blocks = -(-self.k // deepest)
        self.depth = -(-self.k // self.blocks)
        # Each chunk has a panel, and where the inner axis is cut, the sums so far.
        packed = self.product.packed
        self.panel_size = 0 if packed or self.direct else self.depth * self.shape.width
        self.sums_size = self.tiles * self.shape.rows * self.shape.width if self.blocks > 1 else 0
        chunks = self.split.batch * self.split.rows * self.split.columns
        each = self.panel_size + self.sums_size
        places = min(chunks, AT_ONCE)
        self.scratch = Value(Buffer(self.dtype, each * places), (places, each), (each, 1), 0, self.dtype)
        self.chunks = chunks
        left, right = self.product.left, self.product.right
        self.values = [self.tiled or left, packed or right, self.scratch, *self.loads, *self.places]

    def _over(self, value: Value) -> Value:
        """A value of the result's space with axes batch, row, column."""
        over = joined(value, self.product.axes)
        assert over is not None
        return over

    def _is_direct(self) -> bool:
        """Whether the right operand is not packed, so that chunks can be rows of the result.

        So it is with large arrays that are read or written beside the sums, as of an optimiser: then the same
        rows are in the same thread's caches in one step after the other, and no two threads write into one
        line of the cache.
        """
        right, result = self.product.right, self.m * self.n
        beside = [*self.loads, *self.places]
        return (
            self.product.packed is None
            and (self.batch, right.strides[2], right.dtype) == (1, 1, self.dtype)
            and self.k <= SHALLOW
            and self.tiles >= MOST_CHUNKS
            and any(value.size == result and value.buffer.host.bytes >= KEPT for value in beside)
        )

    def _split(self) -> _Split:
        if self.product.packed is not None and is_large(self.product.left):
            # Rows so few that they stay in the cache while panel after panel passes by.
            rows = -(-self.product.left.size * self.product.left.dtype.itemsize // LARGE_PART)
            return _Split(1, min(self.tiles, rows), 1)
        work = self.batch * self.m * self.n * self.k
        most = max(1, min(max(MOST_CHUNKS, work // LONG), work // GRAIN))
        if self.direct:
            return _Split(1, most, 1)
        batch = min(self.batch, most)
        columns = min(self.panels, max(1, most // batch))
        rows = min(-(-self.tiles // 4), max(1, most // (batch * columns)))
        return _Split(batch, rows, columns)

    def kernel(self) -> Kernel:
        f, split = self.f, self.split
        pointers = addresses(f, len(self.values))
        chunk: Index = "%chunk" if self.chunks > 1 else 0
        item = self.dtype.itemsize
        place = chunk if self.chunks <= AT_ONCE else f.remainder(chunk, AT_ONCE)
        pointers[2] = f.at(pointers[2], place, self.scratch.shape[1] * item)
        column_part = f.remainder(chunk, split.columns)
        rest = f.divide(chunk, split.columns)
        row_part, batch_part = f.remainder(rest, split.rows), f.divide(rest, split.rows)
        batches = self.batch // split.batch
        panels, tiles = -(-self.panels // split.columns), -(-self.tiles // split.rows)
        # In vectors of multiplications, about.
        self.tile_work = self.shape.rows * self.shape.width * self.depth // VECTOR
        work = panels * tiles * self.blocks * self.tile_work
        with patient(f, *part(f, self.batch, split.batch, batch_part), count=batches, work=work) as b:
            moved = [self._moved(p, v, 0, b) for p, v in zip(pointers, self.values, strict=True)]
            moved[2] = pointers[2]
            if self.product.packed is not None:
                moved[1] = pointers[1]
            if self.tiled is not None:
                moved[0] = pointers[0]
            whole, edge = divmod(self.n, self.shape.width)
            start, stop = part(f, self.panels, split.columns, column_part)
            rows = part(f, self.tiles, split.rows, row_part)
            if whole:
                work = tiles * self.blocks * self.tile_work
                with patient(f, start, f.minimum(stop, whole), count=panels, work=work) as panel:
                    self._panel(moved, panel, self.shape.width, rows)
            if edge:
                with only_if_last(f, stop, self.panels):
                    self._panel(moved, whole, edge, rows)
        left, right = self.product.reads
        reads = (self.tiled or left, right, self.scratch, *self.body.outside)
        writes = (self.scratch, *(op.place for op in self.stores))
        boxes = tuple(op.name for op in self.cluster.operations)
        flops = 2 * self.batch * self.m * self.n * self.k
        return Kernel(
            "+".join(dict.fromkeys(boxes)),
            f,
            tuple(self.values),
            reads,
            writes,
            self.chunks,
            boxes,
            flops,
            in_place=True,
            scattered=reads[:3],
        )

    def _moved(self, pointer: str, value: Value, axis: int, index: Index) -> str:
        return self.f.at(pointer, index, value.strides[axis] * value.dtype.itemsize)

    def _panel(self, pointers: list[str], panel: Index, columns: int, rows: tuple[Index, Index]) -> None:
        """All tiles of rows with one panel, a block of the inner axis after the other."""
        f, width = self.f, self.shape.width
        moved = list(pointers)
        packed = self.product.packed
        for number, value in enumerate(self.values):
            if number == 1 and packed:
                moved[1] = self._moved(pointers[1], packed, 0, panel)
            elif number == 1 or number >= 3:
                axis = 2
                moved[number] = self._moved(pointers[number], value, axis, f.multiply(panel, width))
        if self.blocks > 1:
            work = -(-self.tiles // self.split.rows) * self.tile_work
            with patient(f, 0, self.blocks - 1, count=self.blocks - 1, work=work) as block:
                self._block(moved, block, self.depth, columns, rows)
        last = self.blocks - 1
        self._block(moved, last, self.k - last * self.depth, columns, rows)

    def _block(
        self, pointers: list[str], block: Index, depth: int, columns: int, rows: tuple[Index, Index]
    ) -> None:
        """All tiles of rows with a block of a panel, which is packed first."""
        f, right = self.f, self.product.right
        start = f.multiply(block, self.depth)
        if self.product.packed is None and not self.direct:
            source = self._moved(pointers[1], right, 1, start)
            pack(
                f, source, right.dtype, (right.strides[1], right.strides[2]), depth, columns,
                pointers[2], self.shape.width, self.shape.lanes, self.dtype,
            )  # fmt: skip
        whole, edge = divmod(self.m, self.shape.rows)
        if whole:
            count = -(-self.tiles // self.split.rows)
            with patient(f, rows[0], f.minimum(rows[1], whole), count=count, work=self.tile_work) as tile:
                self._tile(pointers, tile, self.shape.rows, columns, block, depth)
        if edge:
            with only_if_last(f, rows[1], self.tiles):
                self._tile(pointers, whole, edge, columns, block, depth)

    def _tile(
        self, pointers: list[str], tile: Index, rows: int, columns: int, block: Index, depth: int
    ) -> None:
        f, left, shape = self.f, self.product.left, self.shape
        first = f.multiply(tile, shape.rows)
        sums = Tile(f, shape.lanes, rows, columns, self.dtype, self.direct)
        kept = f.at(pointers[2], f.add(f.multiply(first, shape.width), self.panel_size), self.dtype.itemsize)
        sums.clear()
        if isinstance(block, str):
            with f.when(f.value(f"icmp ne i64 {block}, 0")):
                sums.load(kept, shape.width)
        elif block:
            sums.load(kept, shape.width)
        if not isinstance(block, str) and block == self.blocks - 1:
            self._fetch(pointers, first, rows)
        at = f.multiply(block, self.depth)
        if self.tiled is None:
            a = self._moved(self._moved(pointers[0], left, 1, first), left, 2, at)
            offsets, step = [i * left.strides[1] for i in range(rows)], left.strides[2]
        else:
            a = self._moved(self._moved(pointers[0], self.tiled, 0, tile), self.tiled, 1, at)
            offsets, step = list(range(rows)), shape.rows
        b, step_b = pointers[2], shape.width
        if self.direct:
            b, step_b = pointers[1], self.product.right.strides[1]
        elif self.product.packed is not None:
            b = self._moved(pointers[1], self.product.packed, 1, f.multiply(block, self.depth))
        sums.run(a, left.dtype, offsets, b, [Loop(depth, step, step_b)])
        if isinstance(block, str) or block < self.blocks - 1:
            sums.save(kept, shape.width)
            return
        moved = [
            self._moved(p, v, 1, first) if number >= 3 else p
            for number, (p, v) in enumerate(zip(pointers, self.values, strict=True))
        ]
        finish(sums, self.body, self.root, self.loads, self.stores, self.places, moved[3:], columns)

    def _fetch(self, pointers: list[str], first: Index, rows: int) -> None:
        """Ask for what the end of a tile reads from large arrays, while its sums are computed."""
        f = self.f
        for number, value in enumerate(self.loads, 3):
            if value.strides[2] != 1 or value.strides[1] == 0 or value.buffer.host.bytes < FAR:
                continue
            for i, j in itertools.product(range(rows), (0, self.shape.width - 1)):
                at = self._moved(pointers[number], value, 1, f.add(first, i))
                at = self._moved(at, value, 2, j)
                f.call("void", "llvm.prefetch.p0", ("ptr", at), ("i32", "0"), ("i32", "3"), ("i32", "1"))


def finish(
    sums: Tile, body: Body, root: Operation, loads: list[Value], stores: list[Operation],
    places: list[Value], pointers: list[str], columns: int,
) -> None:  # fmt: skip
    """What follows a product, on each vector of a tile; values have axes batch, row, column.

    Short bodies are written out for every row. Long ones are written once, in a loop over the rows of sums
    that are laid down on the stack for it.
    """
    f, e = sums.f, sums.e

    def vector(row: Index, j: int, total: Term) -> None:
        mask = e.mask(columns - j * e.count)

        def address(number: int, value: Value) -> str:
            offset = f.add(f.multiply(row, value.strides[1]), j * e.count * value.strides[2])
            return f.at(pointers[number], offset, value.dtype.itemsize)

        def load(value: Value) -> Term:
            number = body.number(value)
            over = loads[number]
            return e.load(address(number, over), over.dtype, over.strides[2], mask)

        results = body.evaluate(e, load, None, {root: total})
        for number, (operation, place) in enumerate(zip(stores, places, strict=True), len(loads)):
            stride = place.strides[2] if place.shape[2] > 1 else 1
            e.store(results[operation], address(number, place), stride, mask)

    if body.length <= SHORT:
        for row in range(sums.rows):
            for j in range(sums.vectors):
                vector(row, j, sums.sum(row, j))
        return
    stack = f.slot(f"[{sums.rows * sums.vectors} x {sums.kind}]")
    size = e.count * sums.dtype.itemsize
    for row in range(sums.rows):
        for j in range(sums.vectors):
            f.store(sums.kind, sums.sum(row, j).text, f.at(stack, row * sums.vectors + j, size))
    with f.loop(0, sums.rows) as row:
        for j in range(sums.vectors):
            at = f.at(stack, f.add(f.multiply(row, sums.vectors), j), size)
            vector(row, j, Term(f.load(sums.kind, at), sums.dtype))

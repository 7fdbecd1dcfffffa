"""The straight-line part of a kernel: the operations of a cluster at one position.

Knows operations and where their operands come from: from each other, which costs nothing, or through the
``load`` of whoever runs the loops. The same body serves elementwise kernels and the ends of products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from boxgrad.engines.native.layout import Value
from boxgrad.engines.native.steps import Literal, Operand, Operation
from boxgrad.engines.native.vector import INT64, Lanes, Term

FUNCTIONS = ("exp", "log", "tanh", "power", "erf", "sin", "cos", "log1p", "expm1", "sqrt")
Load = Callable[[Value], Term]
LookUp = Callable[[Operation, list[Term]], Term]


class Body:
    """Operations in their order, of which some results are given by the loops themselves."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = tuple(operations)
        self._by_buffer = {id(op.place.buffer): op for op in operations if op.reduction is None}
        self._makers = {
            operation: [self.maker(operand.source) for operand in operation.operands]
            for operation in self.operations
        }
        self.outside: list[Value] = []
        """What is read from memory, each value once."""
        self._numbers: dict[int, int] = {}
        for operation in self.operations:
            for operand, maker in zip(operation.operands, self._makers[operation], strict=True):
                if maker is None and isinstance(operand.source, Value):
                    self._note(operand.source)

    @property
    def length(self) -> int:
        """How long the code is, in simple operations; a function counts as several."""
        return sum(8 if op.name in FUNCTIONS else 1 for op in self.operations)

    def maker(self, source: Value | Literal) -> Operation | None:
        """The operation of the body whose result at the same position an operand is."""
        if isinstance(source, Literal):
            return None
        found = self._by_buffer.get(id(source.buffer))
        return found if found is not None and found.place.same_place(source) else None

    def number(self, value: Value) -> int:
        """Which of the values outside an operand is."""
        return self._numbers[id(value)]

    def _note(self, value: Value) -> None:
        found = (n for n, other in enumerate(self.outside) if value.same_place(other))
        number = self._numbers[id(value)] = next(found, len(self.outside))
        if number == len(self.outside):
            self.outside.append(value)

    def evaluate(
        self, e: Lanes, load: Load, look_up: LookUp | None = None, given: dict[Operation, Term] | None = None
    ) -> dict[Operation, Term]:
        """The result of each operation, for a reduction what it takes in."""
        results: dict[Operation, Term] = dict(given or {})
        for operation in self.operations:
            if operation in results:
                continue
            makers = zip(operation.operands, self._makers[operation], strict=True)
            terms = [self._term(e, *pair, load, results) for pair in makers]
            if operation.lookup is not None:
                assert look_up is not None
                results[operation] = look_up(operation, terms)
            elif operation.reduction is not None:
                results[operation] = terms[0]
            else:
                results[operation] = e.cast(operation.emit(e, *terms), operation.place.dtype)
        return results

    def _term(
        self, e: Lanes, operand: Operand, maker: Operation | None, load: Load, results: dict[Operation, Term]
    ) -> Term:
        if isinstance(operand.source, Literal):
            return e.constant(operand.source.number, operand.dtype)
        return e.cast(load(operand.source) if maker is None else results[maker], operand.dtype)


def looked_up(
    e: Lanes, operation: Operation, indices: list[Term], table: str, stride: int, mask: str | None
) -> Term:
    """Read a table; an index out of range sets the status and reads position 0 instead."""
    f = e.function
    assert operation.lookup is not None
    dtype = operation.lookup.dtype
    offsets = e.op("mul", e.numbers(), e.constant(stride * dtype.itemsize, INT64))
    for index, limit, step in zip(indices, operation.limits, operation.steps, strict=True):
        negative = e.compare("lt", index, e.like(0, index))
        index = e.choose(negative, e.op("add", index, e.like(limit, index)), index)
        wrong = e.op("icmp uge", index, e.like(limit, index), dtype=negative.dtype)
        if mask is not None:
            wrong = e.op("and", wrong, Term(mask, wrong.dtype))
        bits = f.value(f"bitcast {e.type(wrong.dtype)} {wrong.text} to i{e.count}")
        with f.when(f.value(f"icmp ne i{e.count} {bits}, 0")):
            f.store("i64", "1", "%status", 8)
        index = e.choose(wrong, e.like(0, index), index)
        offsets = e.op("add", offsets, e.op("mul", index, e.constant(step * dtype.itemsize, INT64)))
    return e.load_at(table, offsets, dtype, mask)


def whole_row(e: Lanes, operation: Operation, indices: list[Term], table: str) -> str:
    """Where a row of a table begins; an index out of range sets the status and gives row 0 instead."""
    f = e.function
    assert operation.lookup is not None
    row = table
    for given, limit, step in zip(indices, operation.limits, operation.steps, strict=True):
        wide = e.cast(given, INT64)
        index = f.value(f"extractelement {e.type(INT64)} {wide.text}, i32 0")
        negative = f.value(f"icmp slt i64 {index}, 0")
        index = f.value(f"select i1 {negative}, i64 {f.add(index, limit)}, i64 {index}")
        wrong = f.value(f"icmp uge i64 {index}, {limit}")
        with f.when(wrong):
            f.store("i64", "1", "%status", 8)
        index = f.value(f"select i1 {wrong}, i64 0, i64 {index}")
        row = f.at(row, index, step * operation.lookup.dtype.itemsize)
    return row

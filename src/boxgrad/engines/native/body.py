"""The straight-line part of a kernel: the operations of a cluster at one position.

Knows operations and where their operands come from: from each other, which costs nothing, or through the
``load`` of whoever runs the loops. The same body serves elementwise kernels and the ends of products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from boxgrad.engines.native.layout import Value
from boxgrad.engines.native.steps import Literal, Operation
from boxgrad.engines.native.vector import INT64, Lanes, Term

FUNCTIONS = ("exp", "log", "tanh", "power", "erf", "sin", "cos", "log1p", "expm1", "sqrt")
Load = Callable[[Value], Term]
LookUp = Callable[[Operation, list[Term]], Term]


class Body:
    """Operations in their order, of which some results are given by the loops themselves."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = tuple(operations)
        self._makers = {id(op.place.buffer): op for op in operations if op.reduction is None}

    @property
    def length(self) -> int:
        """How long the code is, in simple operations; a function counts as several."""
        return sum(8 if op.name in FUNCTIONS else 1 for op in self.operations)

    def maker(self, value: Value) -> Operation | None:
        """The operation of the body whose result at the same position a value is."""
        found = self._makers.get(id(value.buffer))
        return found if found is not None and found.place.same_place(value) else None

    def outside(self) -> list[Value]:
        """What is read from memory, each value once."""
        found: list[Value] = []
        for operation in self.operations:
            for operand in operation.operands:
                value = operand.source
                if isinstance(value, Literal) or self.maker(value) is not None:
                    continue
                if not any(value.same_place(other) for other in found):
                    found.append(value)
        return found

    def evaluate(
        self, e: Lanes, load: Load, look_up: LookUp | None = None, given: dict[Operation, Term] | None = None
    ) -> dict[Operation, Term]:
        """The result of each operation, for a reduction what it takes in."""
        results: dict[Operation, Term] = dict(given or {})
        for operation in self.operations:
            if operation in results:
                continue
            terms = [self._term(e, operand, load, results) for operand in operation.operands]
            if operation.lookup is not None:
                assert look_up is not None
                results[operation] = look_up(operation, terms)
            elif operation.reduction is not None:
                results[operation] = terms[0]
            else:
                results[operation] = e.cast(operation.emit(e, *terms), operation.place.dtype)
        return results

    def _term(self, e: Lanes, operand, load: Load, results: dict[Operation, Term]) -> Term:
        if isinstance(operand.source, Literal):
            return e.constant(operand.source.number, operand.dtype)
        maker = self.maker(operand.source)
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
        row = f.at(row, f.multiply(index, step), operation.lookup.dtype.itemsize)
    return row

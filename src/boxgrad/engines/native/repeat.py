"""Computing again instead of storing: cheap results that several kernels want.

Knows groups, readers and bytes. ``x - mean`` need not be written, and then read by every kernel that wants
it, where these may as well read ``x``, which lies in memory anyway. An operation is repeated in the groups of
all its readers if that moves fewer bytes than storing it does and is no more than a few instructions.
"""

from __future__ import annotations

from boxgrad.engines.native.fuse import Fusion, Group, follows
from boxgrad.engines.native.layout import Home, Value
from boxgrad.engines.native.nest import Cluster
from boxgrad.engines.native.steps import Lowered, Operation

CHEAP = frozenset({
    "add", "subtract", "multiply", "negative", "square", "absolute", "maximum", "minimum", "where", "cast",
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
    "logical_and", "logical_or", "logical_not",
})  # fmt: skip
MOST_REPEATED = 6
"""Operations that are computed again for one result."""


class Repeats:
    """Which operations are computed again, and in which groups."""

    def __init__(self, fusion: Fusion) -> None:
        self.fusion = fusion
        self._within: dict[int, list[Operation]] = {}
        self._repeated: set[int] = set()
        for step in fusion.steps:
            if isinstance(step, Operation):
                self._consider(step)

    def cluster(self, group: Group) -> Cluster | None:
        """The operations of a group and those whose results others read; None where nothing is left."""
        members = [*group.members, *((op.order, op) for op in self._within.get(id(group), []))]
        own = {id(member) for _, member in group.members}
        needed: list[Operation] = []
        stored: list[Operation] = []
        wanted: set[int] = set()
        for _, operation in sorted(members, key=lambda member: member[0], reverse=True):
            assert isinstance(operation, Operation)
            kept = id(operation) in own and self._is_stored(operation)
            if kept:
                stored.insert(0, operation)
            if kept or id(operation.place.buffer) in wanted:
                needed.insert(0, operation)
                wanted |= {id(value.buffer) for value in _values(operation)}
        return Cluster(tuple(needed), tuple(stored)) if needed else None

    def _is_stored(self, operation: Operation) -> bool:
        buffer = operation.place.buffer
        if operation.reduction is not None or buffer.home is not Home.ARENA or buffer.window is not None:
            return True
        return id(operation) not in self._repeated and bool(self._outside(operation))

    def _outside(self, operation: Operation) -> list[Lowered]:
        """The readers in other groups."""
        group, readers = self.fusion.group, self.fusion.readers.get(id(operation.place.buffer), [])
        return [reader for reader in readers if group[id(reader)] is not group[id(operation)]]

    def _consider(self, step: Operation) -> None:
        """Repeat an operation in the groups that read it, if that pays."""
        groups = self._groups(step)
        chain = self._chain(step)
        if not groups or chain is None:
            return
        bases = {id(v.buffer): v for op in chain for v in _values(op) if self._is_whole(v, chain)}
        if len(bases) != 1:
            return
        (base,) = bases.values()
        moved = sum(0 if self._reads(group, base) else base.dtype.itemsize for group in groups)
        if moved >= step.place.dtype.itemsize * (1 + len(groups)):
            return
        roots = [(group, op.product) for group in groups for op in _operations(group) if op.product]
        if not all(follows(op, root) for op in chain for _, root in roots):
            return
        self._repeated.add(id(step))
        for group in groups:
            known = self._within.setdefault(id(group), [])
            known += [op for op in chain if op not in known and self.fusion.group[id(op)] is not group]

    def _groups(self, step: Operation) -> list[Group]:
        """The other groups in which a result is read, at its own positions; none if it is read otherwise."""
        found: dict[int, Group] = {}
        for reader in self._outside(step):
            buffer = step.place.buffer
            if (
                not isinstance(reader, Operation)
                or reader.space != step.space
                or (reader.lookup is not None and reader.lookup.buffer is buffer)
                or (reader.product is not None and any(v.buffer is buffer for v in reader.product.reads))
                or not all(v.same_place(step.place) for v in _values(reader) if v.buffer is buffer)
            ):
                return []
            group = self.fusion.group[id(reader)]
            found[id(group)] = group
        return list(found.values())

    def _chain(self, step: Operation) -> tuple[Operation, ...] | None:
        """An operation after those that must be computed again for it; None if that is not cheap."""
        buffer = step.place.buffer
        simple = step.reduction is None and step.product is None and step.lookup is None and not step.apart
        if not simple or step.name not in CHEAP or buffer.home is not Home.ARENA or buffer.window is not None:
            return None
        chain: list[Operation] = []
        for value in _values(step):
            writers = self.fusion.writers.get(id(value.buffer), [])
            fixed = not writers or (len(writers) == 1 and value.buffer.home is not Home.INPUT)
            if not fixed or value.buffer.window is not None:
                return None
            maker = writers[0] if writers else None
            if not isinstance(maker, Operation) or self._is_stored(maker):
                continue
            before = self._chain(maker) if maker.place.same_place(value) else None
            if before is None:
                return None
            chain += [op for op in before if op not in chain]
        return (*chain, step) if len(chain) < MOST_REPEATED else None

    def _is_whole(self, value: Value, chain: tuple[Operation, ...]) -> bool:
        """Whether a value that a chain reads from memory is as large as its space."""
        made = any(op.place.buffer is value.buffer for op in chain)
        return not made and all(
            stride or n == 1 for n, stride in zip(value.shape, value.strides, strict=True)
        )

    def _reads(self, group: Group, base: Value) -> bool:
        """Whether a group reads a value from memory anyway."""
        operations = [*_operations(group), *self._within.get(id(group), [])]
        return any(v.same_place(base) for op in operations for v in _values(op))


def _operations(group: Group) -> list[Operation]:
    return [member for _, member in group.members if isinstance(member, Operation)]


def _values(operation: Operation) -> list[Value]:
    return [operand.source for operand in operation.operands if isinstance(operand.source, Value)]

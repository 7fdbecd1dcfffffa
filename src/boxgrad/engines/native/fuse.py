"""Fusion: which operations share a loop nest, and the order of what is run.

Knows operations, what each reads and writes, and nothing else. Operations are taken from last to first: one
joins the cluster of those that read it at the same position, so that its result need not be stored. Where
several clusters read it, they become one, unless a path outside leads from one to the other.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from boxgrad.engines.native.layout import Buffer, Home, Value
from boxgrad.engines.native.steps import Literal, Lowered, Operation, Root

MOST_OPERATIONS = 64


class Group:
    """What will be one kernel, or a fallback.

    ``mask`` has a bit for each member's place in the order; ``reach`` has those of all steps that come after
    it by some path.
    """

    __slots__ = ("last", "mask", "members", "reach")

    def __init__(self, member: Lowered, order: int) -> None:
        self.members: list[tuple[int, Lowered]] = [(order, member)]
        self.last = order
        self.mask = 1 << order
        self.reach = 0


def read_values(step: Lowered) -> list[Value]:
    """What a step reads from memory."""
    sources: list[Value | Literal] = (
        [operand.source for operand in step.operands] if isinstance(step, Operation) else list(step.reads)
    )
    if isinstance(step, Operation) and step.lookup is not None:
        sources.append(step.lookup)
    if isinstance(step, Operation) and step.product is not None:
        sources += step.product.reads
    return [source for source in sources if isinstance(source, Value)]


def written(step: Lowered) -> list[Buffer]:
    """The buffers that a step writes."""
    if isinstance(step, Operation):
        return [step.place.buffer]
    return [value.buffer for value in step.writes]


class Fusion:
    """Groups of the steps of a graph."""

    def __init__(self, steps: list[Lowered]) -> None:
        self.steps = steps
        self.group = {id(step): Group(step, order) for order, step in enumerate(steps)}
        self.groups = set(self.group.values())
        self.readers: dict[int, list[Lowered]] = {}
        self.writers: dict[int, list[Lowered]] = {}
        self.following: dict[int, list[Lowered]] = {}
        self._connect()
        for step in reversed(steps):
            group = self.group[id(step)]
            for after in self._after(group):
                if after is not group:
                    group.reach |= after.mask | after.reach
        for step in steps:
            if isinstance(step, Operation) and step.product is not None:
                self._follow(step, step)
        for step in reversed(steps):
            if isinstance(step, Operation) and step.reduction is None:
                self._join(step)
        self._neighbours()

    def _connect(self) -> None:
        """``following``: the steps that need a step's results, or overwrite what it reads or writes."""
        order = {id(step): number for number, step in enumerate(self.steps)}
        for step in self.steps:
            for value in read_values(step):
                known = self.readers.setdefault(id(value.buffer), [])
                if step not in known:
                    known.append(step)
            for buffer in written(step):
                self.writers.setdefault(id(buffer), []).append(step)
        for step in self.steps:
            after: list[Lowered] = []
            for buffer in written(step):
                after += self.readers.get(id(buffer), [])
                after += self.writers[id(buffer)]
            for value in read_values(step):
                after += self.writers.get(id(value.buffer), [])
            after = [other for other in after if order[id(other)] > order[id(step)]]
            self.following[id(step)] = after

    def _follow(self, root: Operation, step: Operation) -> None:
        """Have what can be computed on a product's sums computed there, before reductions claim it.

        What only reductions read stays with these: it need not be stored at all.
        """
        for reader in self.following[id(step)]:
            if (
                isinstance(reader, Operation)
                and reader.space == step.space
                and self.group[id(reader)] is not self.group[id(root)]
                and not self._is_only_reduced(reader)
            ):
                self._try(self.group[id(reader)], self.group[id(root)])
                if self.group[id(reader)] is self.group[id(root)]:
                    self._follow(root, reader)

    def _is_only_reduced(self, step: Operation) -> bool:
        """Whether an operation is a reduction, or nothing but reductions read what comes of it."""
        if step.reduction is not None:
            return True
        readers = self.readers.get(id(step.place.buffer), [])
        return (
            step.place.buffer.home is Home.ARENA
            and bool(readers)
            and all(
                isinstance(reader, Operation)
                and reader.product is None
                and reader.space == step.space
                and self._is_only_reduced(reader)
                for reader in readers
            )
        )

    def _join(self, step: Operation) -> None:
        for reader in self.following[id(step)]:
            if isinstance(reader, Operation) and reader.space == step.space:
                self._try(self.group[id(step)], self.group[id(reader)])

    def _try(self, mine: Group, theirs: Group) -> None:
        """Merge two groups if their operations fit and no path outside leads from one to the other."""
        if mine is theirs or len(mine.members) + len(theirs.members) > MOST_OPERATIONS:
            return
        if self._fit(mine, theirs) and not (self._path(mine, theirs) or self._path(theirs, mine)):
            self._merge(mine, theirs)

    def _neighbours(self) -> None:
        """Operations that read one array at the same positions share a loop, unless one needs the other."""
        for readers in self.readers.values():
            first: dict[tuple[int, ...], Operation] = {}
            for reader in readers:
                if not isinstance(reader, Operation) or reader.product is not None:
                    continue
                other = first.setdefault(reader.space, reader)
                if other is not reader and self._read_alike(other, reader):
                    self._try(self.group[id(other)], self.group[id(reader)])

    def _read_alike(self, first: Operation, second: Operation) -> bool:
        """Whether both read a value of the whole space at its positions."""
        return any(
            value.same_place(other) and 0 not in value.strides
            for value in read_values(first)
            for other in read_values(second)
            if value.buffer is other.buffer
        )

    def _fit(self, mine: Group, theirs: Group) -> bool:
        """Whether everything that one group reads of the other is read at the same position."""
        members = [op for _, op in (*mine.members, *theirs.members) if isinstance(op, Operation)]
        products = [op.product for op in members if op.product is not None]
        if products and (len(products) > 1 or not all(follows(op, products[0]) for op in members)):
            return False
        return self._direct(mine, theirs) and self._direct(theirs, mine)

    def _direct(self, makers: Group, readers: Group) -> bool:
        made = {id(op.place.buffer): op for _, op in makers.members if isinstance(op, Operation)}
        for _, reader in readers.members:
            assert isinstance(reader, Operation)
            if reader.lookup is not None and id(reader.lookup.buffer) in made:
                return False
            other = made.get(id(reader.place.buffer))
            if other is not None and not (other.apart and reader.apart):
                return False
            if reader.product and any(id(value.buffer) in made for value in reader.product.reads):
                return False
            for operand in reader.operands:
                if isinstance(operand.source, Literal) or id(operand.source.buffer) not in made:
                    continue
                maker = made[id(operand.source.buffer)]
                shared = len(self.writers[id(maker.place.buffer)]) > 1
                if shared or maker.reduction is not None or not maker.place.same_place(operand.source):
                    return False
        return True

    def _path(self, source: Group, target: Group) -> bool:
        """Whether a path leads from one group to the other through a third."""
        return any(
            group is not target and group is not source and group.reach & target.mask
            for group in self._after(source)
        )

    def _after(self, group: Group) -> Iterable[Group]:
        return {
            id(self.group[id(step)]): self.group[id(step)]
            for _, member in group.members
            for step in self.following[id(member)]
        }.values()

    def _merge(self, mine: Group, theirs: Group) -> None:
        mine.members = sorted([*mine.members, *theirs.members], key=lambda member: member[0])
        mine.last = max(mine.last, theirs.last)
        mine.mask |= theirs.mask
        mine.reach = (mine.reach | theirs.reach) & ~mine.mask
        for _, member in theirs.members:
            self.group[id(member)] = mine
        self.groups.remove(theirs)
        # Whoever reaches one of them now reaches what both reach.
        known = mine.mask | mine.reach
        for group in self.groups:
            if group.reach & mine.mask:
                group.reach |= known

    # ---- results
    def ordered(self, late: set[int]) -> list[Group]:
        """The groups, each after those that it needs, close to the order of the graph.

        Those that write one of the ``late`` buffers come as late as may be.
        """
        groups = {id(group): group for group in self.group.values()}
        waiting = dict.fromkeys(groups, 0)
        after = {
            number: [id(g) for g in self._after(group) if g is not group] for number, group in groups.items()
        }
        for numbers in after.values():
            for number in numbers:
                waiting[number] += 1

        def urgency(group: Group) -> tuple[bool, int]:
            buffers = (id(buffer) for _, member in group.members for buffer in written(member))
            return any(buffer in late for buffer in buffers), group.last

        ready = [(urgency(group), number) for number, group in groups.items() if not waiting[number]]
        heapq.heapify(ready)
        result: list[Group] = []
        while ready:
            _, number = heapq.heappop(ready)
            result.append(groups[number])
            for following in after[number]:
                waiting[following] -= 1
                if not waiting[following]:
                    heapq.heappush(ready, (urgency(groups[following]), following))
        assert len(result) == len(groups), "fusion made a cycle"
        return result


def follows(operation: Operation, product: Root) -> bool:
    """Whether an operation can be computed on the sums of a product: its values have rows and columns."""
    if operation.reduction is not None or operation.lookup is not None:
        return False
    values = [operand.source for operand in operation.operands if isinstance(operand.source, Value)]
    return all(product.admits(value) for value in (*values, operation.place))

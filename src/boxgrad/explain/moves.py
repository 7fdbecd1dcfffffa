"""Where an element lies: in a part of an array, put elsewhere, looked up, rearranged.

The moves of ``indexing``: each gives the element of an expression at a place as an element of what is in it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from boxgrad.explain import expression as x
from boxgrad.explain import placed
from boxgrad.explain.convert_arrays import LETTERS
from boxgrad.explain.expression import Expression
from boxgrad.explain.places import Place, holds, letter, marks_of, moved, outside, within


class Moves(ABC):
    """How arrangement, parts, embedding and look-ups are written for one element."""

    @abstractmethod
    def at(self, e: Expression, place: Place) -> Expression:
        """The element of an expression at a place."""

    @abstractmethod
    def bound(self, sizes: Sequence[int], wanted: Sequence[int] = ()) -> list[str]:
        """New letters that run over axes."""

    @abstractmethod
    def over(self, symbol: str, letters: Sequence[str], body: Expression, condition: str = "") -> Expression:
        """A big operator over letters, which are free again."""

    @abstractmethod
    def range(self, place: Expression) -> tuple[int, int] | None:
        """The least and the greatest place that an index stands for."""

    # ---- arrangement
    def _spread(self, e: x.Spread, place: Place) -> Expression:
        return self.at(
            e.x, tuple(None if n == 1 else place[i] for i, n in zip(e.axes, e.x.shape, strict=True))
        )

    def _rearranged(self, e: x.Rearranged, place: Place) -> Expression | None:
        if not same_long_axes(e.shape, e.x.shape):
            return None
        letters = iter([place[i] for i in long_axes(e.shape)])
        return self.at(e.x, tuple(None if n == 1 else next(letters) for n in e.x.shape))

    def _transpose(self, e: x.Transpose, place: Place) -> Expression:
        return self.at(e.x, (*place[:-2], place[-1], place[-2]))

    def _permuted(self, e: x.Permuted, place: Place) -> Expression:
        return self.at(e.x, tuple(place[e.axes.index(i)] for i in range(len(e.axes))))

    def _item(self, e: x.Item, place: Place) -> Expression | None:
        marks = marks_of(e.index, e.x.shape)
        if marks is None:
            return None
        inner, rest = self._source(marks, e.x.shape, list(place))
        return self.at(e.x, inner) if not rest else None

    @staticmethod
    def _source(
        marks: Sequence[tuple[object, ...]], shape: tuple[int, ...], place: list[Expression | None]
    ) -> tuple[Place, list[Expression | None]]:
        """Where in an array a place of its part lies."""
        inner: list[Expression | None] = []
        sizes = iter(shape)
        for mark in marks:
            if mark[0] == "new":
                place.pop(0)
                continue
            n = next(sizes)
            if mark[0] == "at":
                inner.append(None if n == 1 else x.number(mark[1]))
            else:
                _, start, step, _ = mark
                own = place.pop(0)
                inner.append(None if n == 1 else moved(own, start, step))  # type: ignore[arg-type]
        return tuple(inner), place

    def _call(self, e: x.Call, place: Place) -> Expression | None:
        if e.function == "concat":
            return self._concatenated(e, place)
        if e.function == "embed":
            return self._embedded(e.note, e.arguments[0], e.shape, place)
        if e.function == "put" and len(e.arguments) == 2:
            return self._replaced(e, place)
        return None

    def _concatenated(self, e: x.Call, place: Place) -> Expression | None:
        axis = LETTERS.index(e.note) if e.note else len(e.shape) - 1
        own = place[axis]
        if own is None:
            return None
        branches: list[tuple[Expression, Expression | None]] = []
        start, known = 0, self.range(own)
        for part in e.arguments:
            stop = start + part.shape[axis]
            index = None if part.shape[axis] == 1 else moved(own, -start, 1)
            value = self.at(part, (*place[:axis], index, *place[axis + 1 :]))
            if known is not None and start <= known[0] and known[1] < stop:
                return value
            last = stop == e.shape[axis]
            condition = None if last else x.Infix("<", (own, x.number(stop)), shape=())
            branches.append((value, condition))
            start = stop
        return x.Cases(tuple(branches), shape=())

    def _embedded(
        self, note: str, body: Expression, shape: tuple[int, ...], place: Place
    ) -> Expression | None:
        """Zeros with a value at a key: the value where the place is in the key."""
        marks = marks_of(note, shape)
        if marks is None:
            return None
        inner, conditions, bound = self._inverse(marks, shape, place)
        value = self.at(body, inner)
        return self.over("Σ", bound, x.times(*map(holds, conditions), value))

    def _inverse(
        self, marks: Sequence[tuple[object, ...]], shape: tuple[int, ...], place: Place
    ) -> tuple[Place, list[Expression], list[str]]:
        """Which place of a part lies at a place of the whole, under which conditions."""
        inner: list[Expression | None] = []
        conditions: list[Expression] = []
        bound: list[str] = []
        own = iter(zip(place, shape, strict=True))
        for mark in marks:
            if mark[0] == "new":
                inner.append(None)
                continue
            p, n = next(own)
            index, condition = self._back(mark, p, n, bound)
            inner += index
            conditions += condition
        return tuple(inner), conditions, bound

    def _back(
        self, mark: tuple[object, ...], p: Expression | None, n: int, bound: list[str]
    ) -> tuple[list[Expression | None], list[Expression]]:
        if mark[0] == "at":
            return [], [] if p is None else [x.Infix("=", (p, x.number(mark[1])), shape=())]
        _, start, step, count = mark
        assert isinstance(start, int)
        assert isinstance(step, int)
        assert isinstance(count, int)
        if p is None:
            return [None], []
        first, last = sorted((start, start + step * (count - 1)))
        if count == 1 or abs(step) == 1:
            condition = within(p, first, last, self.range(p) or (0, n - 1))
            index = None if count == 1 else moved(p, -start, 1) if step == 1 else moved(p, start, -1)
            return [index], [] if condition is None else [condition]
        bound += self.bound([count])
        index = letter(bound[-1])
        return [index], [x.Infix("=", (p, moved(index, start, step)), shape=())]

    def _replaced(self, e: x.Call, place: Place) -> Expression | None:
        """put: another value at a key."""
        body, value = e.arguments
        marks = marks_of(e.note, body.shape)
        if marks is None or any(mark[0] == "from" and abs(mark[2]) != 1 and mark[3] > 1 for mark in marks):
            return None
        inner, conditions, _ = self._inverse(marks, body.shape, place)
        old = self.at(body, place)
        if isinstance(value, (x.Number, x.Fill)) and value.value == 0:
            missed = self._missed(marks, body.shape, place)
            return x.number(0) if missed is None else x.times(holds(missed), old)
        new = self.at(value, trailing(inner, value.shape) if value.shape else ())
        if not conditions:
            return new
        inside = conditions[0] if len(conditions) == 1 else x.Infix("∧", tuple(conditions), shape=())
        return x.Cases(((new, inside), (old, None)), shape=())

    def _missed(
        self, marks: Sequence[tuple[object, ...]], shape: tuple[int, ...], place: Place
    ) -> Expression | None:
        found: list[Expression] = []
        own = iter(zip(place, shape, strict=True))
        for mark in marks:
            if mark[0] == "new":
                continue
            p, n = next(own)
            if p is None:
                continue
            start, step, count = (mark[1], 1, 1) if mark[0] == "at" else mark[1:]
            first, last = sorted((start, start + step * (count - 1)))  # type: ignore[operator]
            found += outside(p, first, last, self.range(p) or (0, n - 1))
        if len(found) < 2:
            return found[0] if found else None
        return x.Infix("∨", tuple(found), shape=())

    # ---- look-ups
    def _gather(self, e: placed.Gather, place: Place) -> Expression | None:
        block = place[e.front : e.front + len(e.block)]
        rest = [*place[: e.front], *place[e.front + len(e.block) :]]
        inner: list[Expression | None] = []
        sizes = iter(e.x.shape)
        for mark in e.places:
            if mark[0] == "new":
                rest.pop(0)
                continue
            n = next(sizes)
            if mark[0] == "array":
                index = e.indices[mark[1]]
                inner.append(None if n == 1 else self.at(index, trailing(block, index.shape)))
            elif mark[0] == "along":
                inner.append(block[mark[1]])
            elif mark[0] == "at":
                inner.append(None if n == 1 else x.number(mark[1]))
            else:
                inner.append(None if n == 1 else moved(rest.pop(0), mark[1], mark[2]))
        return self.at(e.x, tuple(inner))

    def _scatter(self, e: placed.Scatter, place: Place) -> Expression | None:
        block: list[Expression | None] = [None] * len(e.block)
        conditions: list[Expression] = []
        bound: list[str] = []
        rest: list[Expression | None] = []
        looked: list[tuple[int, Expression]] = []
        own = iter(zip(place, e.shape, strict=True))
        for mark in e.places:
            if mark[0] == "new":
                rest.append(None)
                continue
            p, n = next(own)
            if mark[0] == "along" and block[mark[1]] is None:
                block[mark[1]] = p
            elif mark[0] == "along":
                conditions.append(x.Infix("=", (block[mark[1]], p), shape=()))  # type: ignore[arg-type]
            elif mark[0] == "array":
                if p is not None:
                    looked.append((mark[1], p))
            else:
                index, condition = self._back(mark, p, n, bound)
                rest += index
                conditions += condition
        for axis, n in enumerate(e.block):
            if n != 1 and block[axis] is None:
                bound += self.bound([n])
                block[axis] = letter(bound[-1])
        for number, p in looked:
            index = e.indices[number]
            element = self.at(index, trailing(tuple(block), index.shape))
            conditions.append(x.Infix("=", (element, p), shape=()))
        whole = (*rest[: e.front], *block, *rest[e.front :])
        value = self.at(e.x, tuple(None if n == 1 else p for p, n in zip(whole, e.x.shape, strict=True)))
        return self.over("Σ", bound, x.times(*map(holds, conditions), value))


def trailing(place: Place, shape: tuple[int, ...]) -> Place:
    """The part of a place that a value of some shape has when it is broadcast."""
    cut = place[len(place) - len(shape) :] if shape else ()
    return tuple(None if n == 1 else c for c, n in zip(cut, shape, strict=True))


def long_axes(shape: tuple[int, ...]) -> list[int]:
    return [i for i, n in enumerate(shape) if n != 1]


def same_long_axes(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return [a[i] for i in long_axes(a)] == [b[i] for i in long_axes(b)]

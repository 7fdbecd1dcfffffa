"""A formula for one element: p_{ij} = e_{ij} / Σ_k e_{ik}.

Where a value is repeated along an axis that is not its first, where an axis is summed and kept, or where
elements are looked up or put elsewhere, whole arrays do not say which element is meant; indices do. Axes of
size 1 have no index; computed places count from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from boxgrad.explain import expression as x
from boxgrad.explain.convert_arrays import LETTERS
from boxgrad.explain.expression import Expression
from boxgrad.explain.places import (
    Place,
    has_letter,
    holds,
    is_letter,
    letter,
    marks_of,
    moved,
    number_of,
    outside,
    within,
)
from boxgrad.explain.simplify import simplify

WHOLE = {"softmax", "log softmax", "sort", "argsort", "rank", "put", "onehot"}
_ELEMENTWISE = (
    x.Add, x.Times, x.Fraction, x.Power, x.Root, x.Negative, x.Infix, x.Indicator, x.Cases, x.Delimited,
)  # fmt: skip
_PLACED = (x.Contract, x.Spread, x.Gather, x.Scatter, x.Running, x.Others, x.RunningOthers)


def needs_indices(e: Expression) -> bool:
    """Whether a formula of whole arrays would leave open which element is meant."""
    return any(_unclear(part) for part in x.parts_of(e))


def _unclear(e: Expression) -> bool:
    if isinstance(e, x.Reduce):
        return (
            e.keep
            and len(e.axes) < len(e.body.shape)
            and e.size > 1
            and any(e.shape[i] != 1 for i in _rest(e))
        )
    if isinstance(e, x.Rearranged):
        return _same_long_axes(e.shape, e.x.shape) and len(_long(e.shape)) > 0 and not _leading(e)
    if isinstance(e, x.Call) and e.function in ("embed", "put"):
        source = e.shape if e.function == "embed" else e.arguments[0].shape
        return len(e.arguments) <= 2 and marks_of(e.note, source) is not None
    return isinstance(e, _PLACED)


def _rest(e: x.Reduce) -> list[int]:
    return [i for i in range(len(e.body.shape)) if i not in e.axes]


def _leading(e: x.Rearranged) -> bool:
    """Whether only leading axes of size 1 come or go, as broadcasting does by itself."""
    return e.shape[-len(e.x.shape) :] == e.x.shape or e.x.shape[-len(e.shape) :] == e.shape


def _long(shape: tuple[int, ...]) -> list[int]:
    return [i for i, n in enumerate(shape) if n != 1]


def _same_long_axes(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return [a[i] for i in _long(a)] == [b[i] for i in _long(b)]


def equation(left: Expression, right: Expression) -> tuple[Expression, Expression]:
    """Both sides of an equation for one element."""
    place: Place = tuple(None if n == 1 else letter(LETTERS[i]) for i, n in enumerate(left.shape))
    writing = _Indexing({LETTERS[i]: n for i, n in enumerate(left.shape) if n != 1})
    return writing.at(left, place), simplify(writing.at(right, place))


class _Indexing:
    """One formula; remembers which letters are taken."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self._taken = set(sizes)
        self._sizes = dict(sizes)

    def _fresh(self) -> str:
        return next(c for c in LETTERS + "abcdfgh" if c not in self._taken)

    def at(self, e: Expression, place: Place) -> Expression:
        """The element of an expression at a place; the place has an entry for each of its axes."""
        if not e.shape:
            return self._scalar(e)
        if isinstance(e, (x.Symbol, x.Derivative)):
            return _element(e, place)
        if isinstance(e, x.Fill):
            return x.number(e.value)
        if isinstance(e, _ELEMENTWISE) or (
            isinstance(e, x.Call) and not e.note and e.function not in WHOLE and e.function != "concat"
        ):
            inner = e.over(lambda part: self.at(part, _trailing(place, part.shape)))
            return replace(inner, shape=())
        rule = getattr(self, "_" + type(e).__name__.lower(), None)
        found = rule(e, place) if rule is not None else None
        return _part(e, place) if found is None else found

    def _scalar(self, e: Expression) -> Expression:
        """A number has no place, but what is inside it may be clearer with indices."""
        if isinstance(e, x.Reduce) and (needs_indices(e.body) or self._taken):
            return self._reduce(e, ())
        if isinstance(e, x.Contract):
            return self._contract(e, ())
        if isinstance(e, x.Product) and needs_indices(e):
            return self._product(e, ()) or e
        if isinstance(e, (x.Item, x.Gather, x.Scatter)) and needs_indices(e):
            rule = getattr(self, "_" + type(e).__name__.lower())
            return rule(e, ()) or e
        if isinstance(e, (x.Symbol, x.Derivative, x.Number)):
            return e
        return e.over(lambda part: part if part.shape else self._scalar(part))

    # ---- sums
    def _bound(self, sizes: Sequence[int], wanted: Sequence[int] = ()) -> list[str]:
        """New letters that run over axes; that of the axis where it is free."""
        letters: list[str] = []
        for position, size in enumerate(sizes):
            own = LETTERS[wanted[position]] if wanted else ""
            name = own if own and own not in self._taken else self._fresh()
            self._taken.add(name)
            self._sizes[name] = size
            letters.append(name)
        return letters

    def _range(self, place: Expression) -> tuple[int, int] | None:
        """The least and the greatest place that a sum of a letter and a number is."""
        known = number_of(place)
        if known is not None:
            return known, known
        if isinstance(place, x.Add) and len(place.terms) == 2:
            parts = [self._range(term) for term in place.terms]
            if parts[0] is not None and parts[1] is not None:
                return parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]
        size = self._sizes.get(place.base, 0) if isinstance(place, x.Symbol) and is_letter(place) else 0
        return (0, size - 1) if size else None

    def _over(self, symbol: str, letters: Sequence[str], body: Expression, condition: str = "") -> Expression:
        self._taken.difference_update(letters)
        if symbol == "Σ" and not condition:
            for name in [name for name in letters if not has_letter(body, name)]:
                body = x.times(x.number(self._sizes[name]), body)
                letters = [one for one in letters if one != name]
        return x.Over(symbol, condition or ",".join(letters), "", "", body, shape=()) if letters else body

    def _reduce(self, e: x.Reduce, place: Place) -> Expression:
        letters = iter(bound := self._bound([e.body.shape[i] for i in e.axes], e.axes))
        inner: list[Expression | None] = []
        kept = iter(place)
        for i, n in enumerate(e.body.shape):
            if i in e.axes:
                if e.keep:
                    next(kept, None)
                name = next(letters)
                inner.append(None if n == 1 else letter(name))
            else:
                inner.append(next(kept))
        return self._over(e.symbol, bound, self.at(e.body, tuple(inner)))

    def _contract(self, e: x.Contract, place: Place) -> Expression:
        operands, result = e.subscripts.split("->")
        first, second = operands.split(",")
        table: dict[str, Expression | None] = dict(zip(result, place, strict=True))
        summed = [c for c in dict.fromkeys(first + second) if c not in table]
        sizes = dict(zip(first + second, (*e.a.shape, *e.b.shape), strict=True))
        bound = self._bound([sizes[c] for c in summed])
        table.update(zip(summed, map(letter, bound), strict=True))
        factors = [
            self.at(part, tuple(None if n == 1 else table[c] for c, n in zip(marks, part.shape, strict=True)))
            for marks, part in ((first, e.a), (second, e.b))
        ]
        return self._over("Σ", bound, x.Times(tuple(factors), shape=()))

    def _product(self, e: x.Product, place: Place) -> Expression | None:
        """A product of matrices as sums, where a factor has no clear form as a whole."""
        if not needs_indices(e) or any(len(factor.shape) > 2 for factor in e.factors):
            return None
        bound = self._bound([factor.shape[-1] for factor in e.factors[:-1]])
        ends = list(place)
        inner: list[Expression] = []
        for i, factor in enumerate(e.factors):
            before = letter(bound[i - 1]) if i else None
            after = letter(bound[i]) if i < len(bound) else None
            own: list[Expression | None] = []
            for side, given in (("row", before), ("column", after)):
                if len(factor.shape) == 1 and given is None:
                    continue
                if len(factor.shape) == 1 and own:
                    continue
                if given is None:
                    given = ends[0] if side == "row" else ends[-1]
                own.append(given)
            inner.append(
                self.at(factor, tuple(None if n == 1 else p for p, n in zip(own, factor.shape, strict=True)))
            )
        return self._over("Σ", bound, x.Times(tuple(inner), shape=()))

    def _running(self, e: x.Running, place: Place) -> Expression:
        (name,) = self._bound([e.shape[e.axis]])
        inner = (*place[: e.axis], letter(name), *place[e.axis + 1 :])
        sign = "≥" if e.after else "≤"
        own = _letter_text(place[e.axis])
        return self._over(e.symbol, [name], self.at(e.x, inner), f"{name}{sign}{own}")

    def _others(self, e: x.Others, place: Place) -> Expression:
        axes = [i for i in e.axes if e.shape[i] != 1]
        names = self._bound([e.shape[i] for i in axes])
        inner = list(place)
        for i, name in zip(axes, names, strict=True):
            inner[i] = letter(name)
        own = [_letter_text(place[i]) for i in axes]
        condition = f"{names[0]}≠{own[0]}" if len(axes) == 1 else f"({','.join(names)})≠({','.join(own)})"
        return self._over("Π", names, self.at(e.x, tuple(inner)), condition) if axes else x.number(1)

    def _runningothers(self, e: x.RunningOthers, place: Place) -> Expression:
        k, other = self._bound([e.shape[e.axis]] * 2)
        own = _letter_text(place[e.axis])

        def inner(name: str) -> Place:
            return (*place[: e.axis], letter(name), *place[e.axis + 1 :])

        product = self._over("Π", [other], self.at(e.x, inner(other)), f"{other}≤{k},{other}≠{own}")
        return self._over("Σ", [k], x.times(self.at(e.g, inner(k)), product), f"{k}≥{own}")

    # ---- arrangement
    def _spread(self, e: x.Spread, place: Place) -> Expression:
        return self.at(
            e.x, tuple(None if n == 1 else place[i] for i, n in zip(e.axes, e.x.shape, strict=True))
        )

    def _rearranged(self, e: x.Rearranged, place: Place) -> Expression | None:
        if not _same_long_axes(e.shape, e.x.shape):
            return None
        letters = iter([place[i] for i in _long(e.shape)])
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
        start, known = 0, self._range(own)
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

    def _embedded(self, note: str, body: Expression, shape: tuple[int, ...], place: Place) -> Expression | None:
        """Zeros with a value at a key: the value where the place is in the key."""
        marks = marks_of(note, shape)
        if marks is None:
            return None
        inner, conditions, bound = self._inverse(marks, shape, place)
        value = self.at(body, inner)
        return self._over("Σ", bound, x.times(*map(holds, conditions), value))

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
        assert isinstance(start, int) and isinstance(step, int) and isinstance(count, int)
        if p is None:
            return [None], []
        first, last = sorted((start, start + step * (count - 1)))
        if count == 1 or abs(step) == 1:
            condition = within(p, first, last, self._range(p) or (0, n - 1))
            index = None if count == 1 else moved(p, -start, 1) if step == 1 else moved(p, start, -1)
            return [index], [] if condition is None else [condition]
        bound += self._bound([count])
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
        new = self.at(value, _trailing(inner, value.shape) if value.shape else ())
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
            found += outside(p, first, last, self._range(p) or (0, n - 1))
        if len(found) < 2:
            return found[0] if found else None
        return x.Infix("∨", tuple(found), shape=())

    # ---- look-ups
    def _gather(self, e: x.Gather, place: Place) -> Expression | None:
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
                inner.append(None if n == 1 else self.at(index, _trailing(block, index.shape)))
            elif mark[0] == "along":
                inner.append(block[mark[1]])
            elif mark[0] == "at":
                inner.append(None if n == 1 else x.number(mark[1]))
            else:
                inner.append(None if n == 1 else moved(rest.pop(0), mark[1], mark[2]))
        return self.at(e.x, tuple(inner))

    def _scatter(self, e: x.Scatter, place: Place) -> Expression | None:
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
                bound += self._bound([n])
                block[axis] = letter(bound[-1])
        for number, p in looked:
            index = e.indices[number]
            element = self.at(index, _trailing(tuple(block), index.shape))
            conditions.append(x.Infix("=", (element, p), shape=()))
        whole = (*rest[: e.front], *block, *rest[e.front :])
        value = self.at(e.x, tuple(None if n == 1 else p for p, n in zip(whole, e.x.shape, strict=True)))
        return self._over("Σ", bound, x.times(*map(holds, conditions), value))


def _trailing(place: Place, shape: tuple[int, ...]) -> Place:
    """The part of a place that a value of some shape has when it is broadcast."""
    cut = place[len(place) - len(shape) :] if shape else ()
    return tuple(None if n == 1 else c for c, n in zip(cut, shape, strict=True))


def _letter_text(place: Expression | None) -> str:
    """A letter, or a sum with one, in a condition."""
    if place is None:
        return "0"
    if isinstance(place, x.Symbol):
        return place.base
    if isinstance(place, x.Add):
        return "+".join(map(_letter_text, place.terms)).replace("+−", "−")
    if isinstance(place, x.Negative):
        return "−" + _letter_text(place.x)
    number = number_of(place)
    return "…" if number is None else str(number)


def _element(e: Expression, place: Place) -> Expression:
    marks = [p for p in place if p is not None]
    if not marks:
        return replace(e, shape=())
    if isinstance(e, x.Derivative) and isinstance(e.by, x.Symbol):
        return x.Derivative(e.of, _element(e.by, place), shape=())
    if isinstance(e, x.Symbol) and all(map(is_letter, marks)):
        return x.Element(e, tuple(p.base for p in marks), shape=())  # type: ignore[attr-defined]
    return _part(e, place) if not isinstance(e, x.Symbol) else x.At(e, tuple(marks), shape=())


def _part(e: Expression, place: Place) -> Expression:
    """The element of a whole that is not taken apart: (X W)_{ij}."""
    marks = [p for p in place if p is not None]
    if not marks:
        return e
    if all(map(is_letter, marks)):
        return x.Item(e, "".join(p.base for p in marks), shape=())  # type: ignore[attr-defined]
    return x.At(e, tuple(marks), shape=())

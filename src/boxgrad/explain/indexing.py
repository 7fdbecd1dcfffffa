"""A formula for one element: p_{ij} = e_{ij} / Σ_k e_{ik}.

Where a value is repeated along an axis that is not its first, where an axis is summed and kept, or where
elements are looked up or put elsewhere, whole arrays do not say which element is meant; indices do. Axes of
size 1 have no index; computed places count from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from boxgrad.explain import expression as x
from boxgrad.explain import placed
from boxgrad.explain.convert_arrays import LETTERS
from boxgrad.explain.expression import Expression
from boxgrad.explain.moves import Moves, long_axes, same_long_axes, trailing
from boxgrad.explain.places import Place, has_letter, is_letter, letter, marks_of, number_of
from boxgrad.explain.simplify import simplify

WHOLE = {"softmax", "log softmax", "sort", "argsort", "rank", "put", "onehot"}
_ELEMENTWISE = (
    x.Add, x.Times, x.Fraction, x.Power, x.Root, x.Negative, x.Infix, x.Indicator, x.Cases, x.Delimited,
)  # fmt: skip
_PLACED = (
    x.Contract,
    x.Spread,
    placed.Gather,
    placed.Scatter,
    placed.Running,
    placed.Others,
    placed.RunningOthers,
)


def needs_indices(e: Expression) -> bool:
    """Whether a formula of whole arrays would leave open which element is meant."""
    return any(_unclear(part) for part in x.parts_of(e))


def _unclear(e: Expression) -> bool:
    if isinstance(e, x.Reduce):
        within = isinstance(e.body, x.Reduce) and e.body.shape != ()
        return within or (
            e.keep
            and len(e.axes) < len(e.body.shape)
            and e.size > 1
            and any(e.shape[i] != 1 for i in _rest(e))
        )
    if isinstance(e, x.Rearranged):
        return same_long_axes(e.shape, e.x.shape) and len(long_axes(e.shape)) > 0 and not _leading(e)
    if isinstance(e, x.Call) and e.function in ("embed", "put"):
        source = e.shape if e.function == "embed" else e.arguments[0].shape
        return len(e.arguments) <= 2 and marks_of(e.note, source) is not None
    return isinstance(e, _PLACED)


def _rest(e: x.Reduce) -> list[int]:
    return [i for i in range(len(e.body.shape)) if i not in e.axes]


def _leading(e: x.Rearranged) -> bool:
    """Whether only leading axes of size 1 come or go, as broadcasting does by itself."""
    return e.shape[-len(e.x.shape) :] == e.x.shape or e.x.shape[-len(e.shape) :] == e.shape


def equation(left: Expression, right: Expression) -> tuple[Expression, Expression]:
    """Both sides of an equation for one element."""
    place: Place = tuple(None if n == 1 else letter(LETTERS[i]) for i, n in enumerate(left.shape))
    writing = _Indexing({LETTERS[i]: n for i, n in enumerate(left.shape) if n != 1})
    return writing.at(left, place), simplify(writing.at(right, place))


class _Indexing(Moves):
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
            inner = e.over(lambda part: self.at(part, trailing(place, part.shape)))
            return replace(inner, shape=())
        rule = getattr(self, "_" + type(e).__name__.lower(), None)
        found = rule(e, place) if rule is not None else None
        return _part(e, place) if found is None else found

    def _scalar(self, e: Expression) -> Expression:
        """A number has no place, but what is inside it may be clearer with indices."""
        if isinstance(e, x.Reduce) and (needs_indices(e) or self._taken):
            return self._reduce(e, ())
        if isinstance(e, x.Contract):
            return self._contract(e, ())
        if isinstance(e, x.Product) and needs_indices(e):
            return self._product(e, ()) or e
        if isinstance(e, (x.Item, placed.Gather, placed.Scatter)) and needs_indices(e):
            rule = getattr(self, "_" + type(e).__name__.lower())
            return rule(e, ()) or e
        if isinstance(e, (x.Symbol, x.Derivative, x.Number)):
            return e
        return e.over(lambda part: part if part.shape else self._scalar(part))

    # ---- sums
    def bound(self, sizes: Sequence[int], wanted: Sequence[int] = ()) -> list[str]:
        """New letters that run over axes; that of the axis where it is free."""
        letters: list[str] = []
        for position, size in enumerate(sizes):
            own = LETTERS[wanted[position]] if wanted else ""
            name = own if own and own not in self._taken else self._fresh()
            self._taken.add(name)
            self._sizes[name] = size
            letters.append(name)
        return letters

    def range(self, place: Expression) -> tuple[int, int] | None:
        """The least and the greatest place that a sum of a letter and a number is."""
        known = number_of(place)
        if known is not None:
            return known, known
        if isinstance(place, x.Add) and len(place.terms) == 2:
            parts = [self.range(term) for term in place.terms]
            if parts[0] is not None and parts[1] is not None:
                return parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]
        size = self._sizes.get(place.base, 0) if isinstance(place, x.Symbol) and is_letter(place) else 0
        return (0, size - 1) if size else None

    def over(self, symbol: str, letters: Sequence[str], body: Expression, condition: str = "") -> Expression:
        self._taken.difference_update(letters)
        if symbol == "Σ" and not condition:
            for name in [name for name in letters if not has_letter(body, name)]:
                body = x.times(x.number(self._sizes[name]), body)
                letters = [one for one in letters if one != name]
        return x.Over(symbol, condition or ",".join(letters), "", "", body, shape=()) if letters else body

    def _reduce(self, e: x.Reduce, place: Place) -> Expression:
        letters = iter(bound := self.bound([e.body.shape[i] for i in e.axes], e.axes))
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
        return self.over(e.symbol, bound, self.at(e.body, tuple(inner)))

    def _contract(self, e: x.Contract, place: Place) -> Expression:
        operands, result = e.subscripts.split("->")
        first, second = operands.split(",")
        table: dict[str, Expression | None] = dict(zip(result, place, strict=True))
        summed = [c for c in dict.fromkeys(first + second) if c not in table]
        sizes = dict(zip(first + second, (*e.a.shape, *e.b.shape), strict=True))
        bound = self.bound([sizes[c] for c in summed])
        table.update(zip(summed, map(letter, bound), strict=True))
        factors = [
            self.at(part, tuple(None if n == 1 else table[c] for c, n in zip(marks, part.shape, strict=True)))
            for marks, part in ((first, e.a), (second, e.b))
        ]
        return self.over("Σ", bound, x.Times(tuple(factors), shape=()))

    def _product(self, e: x.Product, place: Place) -> Expression | None:
        """A product of matrices as sums, where a factor has no clear form as a whole."""
        if not needs_indices(e) or any(len(factor.shape) > 2 for factor in e.factors):
            return None
        bound = self.bound([factor.shape[-1] for factor in e.factors[:-1]])
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
        return self.over("Σ", bound, x.Times(tuple(inner), shape=()))

    def _running(self, e: placed.Running, place: Place) -> Expression:
        (name,) = self.bound([e.shape[e.axis]])
        inner = (*place[: e.axis], letter(name), *place[e.axis + 1 :])
        sign = "≥" if e.after else "≤"
        own = _letter_text(place[e.axis])
        return self.over(e.symbol, [name], self.at(e.x, inner), f"{name}{sign}{own}")

    def _others(self, e: placed.Others, place: Place) -> Expression:
        axes = [i for i in e.axes if e.shape[i] != 1]
        names = self.bound([e.shape[i] for i in axes])
        inner = list(place)
        for i, name in zip(axes, names, strict=True):
            inner[i] = letter(name)
        own = [_letter_text(place[i]) for i in axes]
        condition = f"{names[0]}≠{own[0]}" if len(axes) == 1 else f"({','.join(names)})≠({','.join(own)})"
        return self.over("Π", names, self.at(e.x, tuple(inner)), condition) if axes else x.number(1)

    def _runningothers(self, e: placed.RunningOthers, place: Place) -> Expression:
        k, other = self.bound([e.shape[e.axis]] * 2)
        own = _letter_text(place[e.axis])

        def inner(name: str) -> Place:
            return (*place[: e.axis], letter(name), *place[e.axis + 1 :])

        product = self.over("Π", [other], self.at(e.x, inner(other)), f"{other}≤{k},{other}≠{own}")
        return self.over("Σ", [k], x.times(self.at(e.g, inner(k)), product), f"{k}≥{own}")


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

"""A formula for one element: p_{ij} = e_{ij} / Σ_k e_{ik}.

Where a value is repeated along an axis that is not its first, or an axis is summed and kept, whole arrays do
not say which axis is meant; indices do. Axes of size 1 have no index.
"""

from __future__ import annotations

from dataclasses import replace

from boxgrad.explain import expression as x
from boxgrad.explain.convert import LETTERS
from boxgrad.explain.expression import Expression

Index = tuple["str | None", ...]


def needs_indices(e: Expression) -> bool:
    """Whether a formula of whole arrays would leave open which axis is meant."""
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
    if isinstance(e, x.Contract):
        return True
    return isinstance(e, x.Spread)


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
    place = tuple(None if n == 1 else LETTERS[i] for i, n in enumerate(left.shape))
    writing = _Indexing({c for c in place if c})
    return writing.at(left, place), writing.at(right, place)


class _Indexing:
    """One formula; remembers which letters are taken."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken

    def _fresh(self) -> str:
        return next(c for c in LETTERS + "abcdefgh" if c not in self._taken)

    def at(self, e: Expression, place: Index) -> Expression:
        """The element of an expression at a place; the place has an entry for each of its axes."""
        if not e.shape:
            return self._scalar(e)
        if isinstance(e, (x.Symbol, x.Derivative)):
            return _element(e, place)
        if isinstance(e, x.Fill):
            return x.number(e.value)
        if isinstance(
            e,
            (
                x.Add,
                x.Times,
                x.Fraction,
                x.Power,
                x.Root,
                x.Negative,
                x.Infix,
                x.Indicator,
                x.Cases,
                x.Delimited,
            ),
        ) or (isinstance(e, x.Call) and not e.note and e.function not in WHOLE):
            inner = e.over(lambda part: self.at(part, _trailing(place, part.shape)))
            return replace(inner, shape=())
        if isinstance(e, x.Reduce):
            return self._reduce(e, place)
        if isinstance(e, x.Spread):
            return self.at(
                e.x, tuple(None if n == 1 else place[i] for i, n in zip(e.axes, e.x.shape, strict=True))
            )
        if isinstance(e, x.Rearranged) and _same_long_axes(e.shape, e.x.shape):
            letters = iter([place[i] for i in _long(e.shape)])
            return self.at(e.x, tuple(None if n == 1 else next(letters) for n in e.x.shape))
        if isinstance(e, x.Transpose):
            return self.at(e.x, (*place[:-2], place[-1], place[-2]))
        if isinstance(e, x.Permuted):
            return self.at(e.x, tuple(place[e.axes.index(i)] for i in range(len(e.axes))))
        if isinstance(e, x.Contract):
            return self._contract(e, place)
        written = "".join(c for c in place if c)
        return x.Item(e, written, shape=()) if written else e

    def _scalar(self, e: Expression) -> Expression:
        """A number has no place, but what is inside it may be clearer with indices."""
        if isinstance(e, x.Reduce) and needs_indices(e.body):
            return self._reduce(e, ())
        if isinstance(e, x.Contract):
            return self._contract(e, ())
        if isinstance(e, (x.Symbol, x.Derivative, x.Number)):
            return e
        return e.over(lambda part: part if part.shape else self._scalar(part))

    def _reduce(self, e: x.Reduce, place: Index) -> Expression:
        letters: list[str] = []
        inner: list[str | None] = []
        kept = iter(place)
        for i, n in enumerate(e.body.shape):
            if i in e.axes:
                if e.keep:
                    next(kept, None)
                letter = LETTERS[i] if LETTERS[i] not in self._taken else self._fresh()
                self._taken.add(letter)
                letters.append(letter)
                inner.append(None if n == 1 else letter)
            else:
                inner.append(next(kept))
        body = self.at(e.body, tuple(inner))
        self._taken.difference_update(letters)
        return x.Over(e.symbol, ",".join(letters), "", "", body, shape=())

    def _contract(self, e: x.Contract, place: Index) -> Expression:
        operands, result = e.subscripts.split("->")
        first, second = operands.split(",")
        table: dict[str, str | None] = dict(zip(result, place, strict=True))
        summed = [c for c in dict.fromkeys(first + second) if c not in table]
        for c in summed:
            table[c] = self._fresh()
            self._taken.add(table[c])  # type: ignore[arg-type]
        a = self.at(e.a, tuple(None if n == 1 else table[c] for c, n in zip(first, e.a.shape, strict=True)))
        b = self.at(e.b, tuple(None if n == 1 else table[c] for c, n in zip(second, e.b.shape, strict=True)))
        body = x.Times((a, b), shape=())
        letters = [table[c] for c in summed]
        self._taken.difference_update(letters)  # type: ignore[arg-type]
        return x.Over("Σ", ",".join(letters), "", "", body, shape=()) if summed else body  # type: ignore[arg-type]


WHOLE = {
    "softmax",
    "log softmax",
    "sort",
    "cumsum",
    "cumprod",
    "gather",
    "scatter",
    "put",
    "embed",
    "concat",
    "onehot",
}


def _trailing(place: Index, shape: tuple[int, ...]) -> Index:
    """The part of a place that a value of some shape has when it is broadcast."""
    cut = place[len(place) - len(shape) :] if shape else ()
    return tuple(None if n == 1 else c for c, n in zip(cut, shape, strict=True))


def _element(e: Expression, place: Index) -> Expression:
    marks = tuple(c for c in place if c)
    if not marks:
        return replace(e, shape=())
    if isinstance(e, x.Derivative) and isinstance(e.by, x.Symbol):
        return x.Derivative(e.of, x.Element(e.by, marks, shape=()), shape=())
    return x.Element(e, marks, shape=()) if isinstance(e, x.Symbol) else x.Item(e, "".join(marks), shape=())

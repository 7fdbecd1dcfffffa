"""Writing an expression: what stands beside, above and in brackets, the same in every medium.

A medium says how its marks look (``latex``, ``mathml``, ``unicode``). Knows the precedence of operations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from boxgrad.explain import expression as x
from boxgrad.explain import placed
from boxgrad.explain.convert_arrays import LETTERS
from boxgrad.explain.expression import Expression
from boxgrad.explain.words import word
from boxgrad.explain.writing import delimited, lower, marked, needs_dot, new_axes, number_text

RELATION, LOGIC, SUM, ELEMENTWISE, SCALED, PRODUCT, PREFIX, POWER, ATOM = range(9)
_BIG_LETTERS = {"Σ", "Π", "max", "min"}


class Writer(ABC):
    """Turns expressions into text of one medium."""

    # ---- the medium's marks
    @abstractmethod
    def identifier(self, base: str, subscript: str, superscript: str) -> str: ...
    @abstractmethod
    def numeral(self, text: str) -> str: ...
    @abstractmethod
    def operator(self, symbol: str) -> str: ...
    @abstractmethod
    def beside(self, parts: Sequence[str]) -> str: ...
    @abstractmethod
    def quotient(self, top: str, bottom: str, top_level: int, bottom_level: int) -> str: ...
    @abstractmethod
    def raised(self, base: str, exponent: str) -> str: ...
    @abstractmethod
    def lowered(self, base: str, index: str) -> str: ...
    @abstractmethod
    def bracketed(self, body: str, left: str = "(", right: str = ")") -> str: ...
    @abstractmethod
    def root(self, body: str, level: int) -> str: ...
    @abstractmethod
    def big(self, symbol: str, below: str, above: str, body: str) -> str: ...
    @abstractmethod
    def function(self, name: str, primes: int) -> str: ...
    @abstractmethod
    def applied(self, function: str, arguments: str) -> str: ...
    @abstractmethod
    def choices(self, rows: Sequence[tuple[str, str]]) -> str: ...
    @abstractmethod
    def grid(self, rows: Sequence[Sequence[str]]) -> str: ...
    @abstractmethod
    def words(self, text: str) -> str: ...
    @abstractmethod
    def derivative(self, of: str, by: str) -> str: ...
    @abstractmethod
    def derivative_inline(self, of: str, by: str) -> str: ...
    @abstractmethod
    def index(self, text: str) -> str: ...

    def noted(self, symbol: str, note: str) -> str:
        """An operator with a remark below."""
        return self.lowered(self.operator(symbol), self.index(note)) if note else self.operator(symbol)

    def __init__(self, lang: str = "en") -> None:
        self.otherwise, self.condition = word("math_otherwise", lang), word("math_if", lang)

    # ---- writing
    def write(self, e: Expression, level: int = RELATION) -> str:
        """The text of an expression, in brackets where the place binds more tightly than it does."""
        body, own = self._written(e)
        return self.bracketed(body) if own < level else body

    def _written(self, e: Expression) -> tuple[str, int]:
        return getattr(self, "_" + type(e).__name__.lower())(e)

    def _symbol(self, e: x.Symbol) -> tuple[str, int]:
        return self.identifier(e.base, e.subscript, e.superscript), ATOM

    def _derivative(self, e: x.Derivative) -> tuple[str, int]:
        if self._within:
            return self.derivative_inline(self.write(e.of), self.write(e.by, ATOM)), ELEMENTWISE
        return self.derivative(self.write(e.of), self.write(e.by, ATOM)), PREFIX

    def _number(self, e: x.Number) -> tuple[str, int]:
        if isinstance(e.value, tuple):
            top, bottom = (self.numeral(str(n)) for n in e.value)
            return self.quotient(top, bottom, ATOM, ATOM), PREFIX
        text = number_text(e.value)
        if "e" in text:
            mantissa, exponent = text.split("e")
            power = self.raised(self.numeral("10"), self.numeral(str(int(exponent)).replace("-", "−")))
            if mantissa == "1":
                return power, POWER
            return self.beside([self.numeral(mantissa), self.operator("·"), power]), SCALED
        return self.numeral(text), ATOM

    def _fill(self, e: x.Fill) -> tuple[str, int]:
        sizes = self.index("×".join(map(str, e.shape)))
        if e.value in (0, 1):
            return self.lowered(self.identifier("𝟎" if e.value == 0 else "𝟏", "", ""), sizes), ATOM
        value = self.write(x.Number(e.value, shape=()), PRODUCT)
        return self.beside([value, self.lowered(self.identifier("𝟏", "", ""), sizes)]), SCALED

    def _words(self, e: x.Words) -> tuple[str, int]:
        return self.words(e.text), ATOM

    def _add(self, e: x.Add) -> tuple[str, int]:
        parts: list[str] = []
        for i, term in enumerate(e.terms):
            body, sign = (term.x, "−") if isinstance(term, x.Negative) else (term, "+")
            if i or sign == "−":
                parts.append(self.operator(sign if i else "−1"))
            parts.append(self.write(body, ELEMENTWISE))
        return self.beside(parts), SUM

    def _negative(self, e: x.Negative) -> tuple[str, int]:
        return self.beside([self.operator("−1"), self.write(e.x, ELEMENTWISE)]), SUM

    def _times(self, e: x.Times) -> tuple[str, int]:
        scalars = [factor for factor in e.factors if factor.shape == ()]
        arrays = [factor for factor in e.factors if factor.shape != ()]
        if len(arrays) > 1:
            parts = [*self._scaled(scalars, None), self.operator("")] if scalars else []
            for i, factor in enumerate(arrays):
                last = i == len(arrays) - 1
                text = self._factor(factor, last)
                parts += [self.operator("⊙"), text] if i else [text]
            return self.beside(parts), ELEMENTWISE
        parts = self._scaled(scalars, arrays[0] if arrays else None)
        return self.beside(parts), SCALED if arrays or len(scalars) > 1 else ATOM

    def _factor(self, e: Expression, last: bool) -> str:
        """A factor of ⊙: a product of matrices or a big operator stands in brackets."""
        opens = isinstance(e, (x.Reduce, x.Over, x.Product, x.Contract, x.Convolve, x.Outer, x.Spread))
        body = self.write(e, SCALED)
        return self.bracketed(body) if opens and not delimited(e) else body

    def _scaled(self, scalars: Sequence[Expression], array: Expression | None) -> list[str]:
        """Numbers before an array: 2 x, a · b, ½ Σ …; the array may be a product of matrices."""
        parts: list[str] = []
        everything = [*scalars, *([] if array is None else [array])]
        for i, factor in enumerate(everything):
            last = i == len(everything) - 1
            if isinstance(factor, (x.Reduce, x.Over)):
                text = self.write(factor, RELATION if last else ATOM)
            elif isinstance(factor, (x.Product, x.Convolve, x.Contract, x.Outer)):
                text = self.write(factor, PRODUCT if last and isinstance(factor, x.Product) else ATOM)
            else:
                text = self.write(factor, PRODUCT)
            if i and needs_dot(everything[i - 1], factor):
                parts.append(self.operator("·"))
            elif i:
                parts.append(self.operator(""))
            parts.append(text)
        return parts

    def _product(self, e: x.Product) -> tuple[str, int]:
        dot = all(len(factor.shape) == 1 for factor in e.factors)
        parts: list[str] = []
        for i, factor in enumerate(e.factors):
            if i:
                parts.append(self.operator("·" if dot else ""))
            parts.append(self.write(factor, ATOM if isinstance(factor, x.Reduce) else PREFIX))
        return self.beside(parts), SCALED if dot else PRODUCT

    def _outer(self, e: x.Outer) -> tuple[str, int]:
        parts = [self.write(e.a, PREFIX), self.operator("⊗"), self.write(e.b, PREFIX)]
        return self.beside(parts), SCALED

    def _fraction(self, e: x.Fraction) -> tuple[str, int]:
        self._within += 1
        top, bottom = self.write(e.top), self.write(e.bottom)
        self._within -= 1
        return self.quotient(top, bottom, _level(e.top), _level(e.bottom)), PREFIX

    _within = 0
    """How many fractions are around what is being written: a derivative inside one is written ∂L/∂x."""

    def _power(self, e: x.Power) -> tuple[str, int]:
        exponent = self.write(e.exponent)
        if isinstance(e.base, x.Call) and e.base.function in _PLAIN and not e.base.note:
            name = self.raised(self.function(e.base.function, e.base.order), exponent)
            return self.applied(name, self._arguments(e.base)), PREFIX
        base = self.write(e.base, ATOM)
        if isinstance(e.base, (x.Call, x.Derivative, x.Fraction)) or (
            isinstance(e.base, x.Symbol) and e.base.superscript
        ):
            base = base if base.startswith("(") else self.bracketed(self.write(e.base))
        return self.raised(base, exponent), POWER

    def _root(self, e: x.Root) -> tuple[str, int]:
        return self.root(self.write(e.x), _level(e.x)), POWER

    def _transpose(self, e: x.Transpose) -> tuple[str, int]:
        base = self.bracketed(self.write(e.x)) if isinstance(e.x, x.Call) else self.write(e.x, ATOM)
        return self.raised(base, self.operator("ᵀ")), POWER

    def _arguments(self, e: x.Call) -> str:
        return self.beside(
            [
                piece
                for i, part in enumerate(e.arguments)
                for piece in ([self.operator(","), self.write(part)] if i else [self.write(part)])
            ]
        )

    def _call(self, e: x.Call) -> tuple[str, int]:
        if e.function == "exp" and e.arguments[0].size <= 6 and not e.order:
            return self.raised(self.identifier("e", "", ""), self.write(e.arguments[0])), POWER
        name = self.function(e.function, e.order)
        if e.note:
            name = self.lowered(name, self.index(e.note))
        return self.applied(name, self._arguments(e)), PREFIX

    def _delimited(self, e: x.Delimited) -> tuple[str, int]:
        return self.bracketed(self.write(e.x), e.left, e.right), ATOM

    def _infix(self, e: x.Infix) -> tuple[str, int]:
        parts: list[str] = []
        for i, part in enumerate(e.parts):
            parts += [self.operator(e.symbol)] if i else []
            inner = isinstance(part, x.Infix) and e.symbol in "∧∨" and part.symbol not in "∧∨⊻"
            parts.append(self.write(part, LOGIC if inner else SUM))
        return self.beside(parts), LOGIC

    def _indicator(self, e: x.Indicator) -> tuple[str, int]:
        return self.bracketed(self.write(e.condition), "[", "]"), ATOM

    def _cases(self, e: x.Cases) -> tuple[str, int]:
        rows = []
        for value, condition in e.branches:
            words = (
                self.words(self.otherwise)
                if condition is None
                else self.beside([self.words(self.condition), self.write(condition)])
            )
            rows.append((self.write(value), words))
        return self.choices(rows), SUM

    def _reduce(self, e: x.Reduce) -> tuple[str, int]:
        letters = [LETTERS[i] for i in range(len(e.body.shape))]
        below = ",".join(letters[i] for i in e.axes) if len(letters) > 1 else letters[0]
        if len(e.axes) == len(letters):
            index = "".join(letters)
        else:
            index = ",".join(c if i in e.axes else ":" for i, c in enumerate(letters))
        scalars = [f for f in e.body.factors if f.shape == ()] if isinstance(e.body, x.Times) else []
        if scalars or not isinstance(e.body, x.Symbol) or e.body.subscript:
            body = self.lowered(self._inner(e.body), self.index(index))
        else:
            body = self.lowered(self.write(e.body, ATOM), self.index(index))
        whole = self.big(e.symbol, self.index(below), "", body)
        if not e.keep or len(e.axes) == len(letters):
            return whole, SCALED
        return self.lowered(self.bracketed(whole), self.index(marked(e.shape, set(e.axes)))), ATOM

    def _inner(self, e: Expression) -> str:
        """What an index is put on: in brackets, save a power or a call that has brackets already."""
        plain = isinstance(e, x.Symbol) and not e.subscript
        return self.write(e) if plain else self.bracketed(self.write(e))

    def _over(self, e: x.Over) -> tuple[str, int]:
        below = self.index(f"{e.index}={e.start}" if e.start else e.index)
        return self.big(
            e.symbol, below, self.index(e.stop) if e.stop else "", self.write(e.body, ELEMENTWISE)
        ), SCALED

    def _contract(self, e: x.Contract) -> tuple[str, int]:
        operands, result = e.subscripts.split("->")
        first, second = operands.split(",")
        summed = [c for c in dict.fromkeys(first + second) if c not in result]
        a = self.lowered(self._inner(e.a), self.index(first))
        b = self.lowered(self._inner(e.b), self.index(second))
        body = self.beside([a, self.operator(""), b])
        whole = self.big("Σ", self.index(",".join(summed)), "", body) if summed else body
        if not result:
            return whole, SCALED
        return self.lowered(self.bracketed(whole, "[", "]"), self.index(result)), ATOM

    def _convolve(self, e: x.Convolve) -> tuple[str, int]:
        symbol = self.noted(e.symbol, e.note)
        return self.beside([self.write(e.x, PREFIX), symbol, self.write(e.w, PREFIX)]), SCALED

    def _spread(self, e: x.Spread) -> tuple[str, int]:
        others = [i for i in range(len(e.shape)) if i not in e.axes]
        after = [str(e.shape[i]) for i in others if all(i > own for own in e.axes)]
        before = [str(e.shape[i]) for i in others if all(i < own for own in e.axes)]
        if len(after) + len(before) == len(others) and e.axes:
            parts = [self.write(e.x, PREFIX)]
            one = self.identifier("𝟏", "", "")
            if before:
                parts = [self.lowered(one, self.index("×".join(before))), self.operator("⊗"), *parts]
            if after:
                parts += [self.operator("⊗"), self.lowered(one, self.index("×".join(after)))]
            return self.beside(parts), SCALED
        name = self.lowered(self.function("spread", 0), self.index("×".join(map(str, e.shape))))
        return self.applied(name, self.write(e.x)), PREFIX

    def _rearranged(self, e: x.Rearranged) -> tuple[str, int]:
        marks = new_axes(e.x.shape, e.shape)
        if marks is not None:
            return self.lowered(self._inner(e.x), self.index(marks)), ATOM
        name = self.lowered(self.function("reshape", 0), self.index("×".join(map(str, e.shape)) or "1"))
        return self.applied(name, self.write(e.x)), PREFIX

    def _permuted(self, e: x.Permuted) -> tuple[str, int]:
        order = "".join(LETTERS[i] for i in e.axes)
        plain = LETTERS[: len(e.axes)]
        name = self.lowered(self.function("permute", 0), self.index(f"{plain}→{order}"))
        return self.applied(name, self.write(e.x)), PREFIX

    def _item(self, e: x.Item) -> tuple[str, int]:
        base = self.write(e.x, ATOM) if not isinstance(e.x, x.Call) else self.bracketed(self.write(e.x))
        return self.lowered(
            self.bracketed(base) if isinstance(e.x, x.Symbol) and e.x.subscript else base, self.index(e.index)
        ), ATOM

    def _at(self, e: x.At) -> tuple[str, int]:
        places = self.places([self.write(place) for place in e.places])
        if isinstance(e.x, x.Symbol):
            base, own = lower(e.x)
            return self.lowered(self.identifier(base, "", f"({own})" if own else ""), places), ATOM
        return self.lowered(self._inner(e.x), places), ATOM

    def _gather(self, e: placed.Gather) -> tuple[str, int]:
        return self.lowered(self._inner(e.x), self.places(list(map(self.write, e.indices)))), ATOM

    def _scatter(self, e: placed.Scatter) -> tuple[str, int]:
        name = self.lowered(self.function("scatter", 0), self.places(list(map(self.write, e.indices))))
        return self.applied(name, self.write(e.x)), PREFIX

    def _running(self, e: placed.Running) -> tuple[str, int]:
        name = {"Σ": "cumsum", "Π": "cumprod"}[e.symbol] + ("′" if e.after else "")
        return self.applied(
            self.lowered(self.function(name, 0), self.index(LETTERS[e.axis])), self.write(e.x)
        ), PREFIX

    def _others(self, e: placed.Others) -> tuple[str, int]:
        return self.applied(self.function("others", 0), self.write(e.x)), PREFIX

    def _runningothers(self, e: placed.RunningOthers) -> tuple[str, int]:
        inside = self.beside([self.write(e.g), self.operator(","), self.write(e.x)])
        return self.applied(self.function("cumprod", 1), inside), PREFIX

    def places(self, parts: Sequence[str]) -> str:
        """Computed places as an index."""
        return self.beside([mark for part in parts for mark in (self.operator(","), part)][1:])

    def _element(self, e: x.Element) -> tuple[str, int]:
        marks = "".join(map(str, e.indices))
        if any(isinstance(i, int) and i > 9 for i in e.indices):
            marks = ",".join(map(str, e.indices))
        base, own = lower(e.x)
        raised = f"({own})" if own else ""
        return self.identifier(base, marks, raised), ATOM

    def _matrix(self, e: x.Matrix) -> tuple[str, int]:
        return self.grid([[self.write(part) for part in row] for row in e.rows]), ATOM

    def _relation(self, e: x.Relation) -> tuple[str, int]:
        parts: list[str] = []
        for i, side in enumerate(e.sides):
            parts += [self.operator(e.symbol)] if i else []
            parts.append(self.write(side))
        return self.beside(parts), RELATION


_PLAIN = {"tanh", "sin", "cos", "tan", "log", "cosh", "sinh"}


def _level(e: Expression) -> int:
    if isinstance(e, x.Add):
        return SUM
    if isinstance(e, (x.Times, x.Negative, x.Fraction, x.Product, x.Reduce, x.Over)):
        return ELEMENTWISE
    return (
        ATOM if isinstance(e, (x.Symbol, x.Number, x.Call, x.Root, x.Power, x.Element, x.Derivative)) else SUM
    )

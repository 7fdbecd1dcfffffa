"""Mathematics in plain Unicode text, one line for each formula: ∂L/∂W = Xᵀ · ∂L/∂N."""

from __future__ import annotations

from collections.abc import Sequence

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Expression
from boxgrad.explain.writer import ATOM, ELEMENTWISE, PREFIX, SCALED, Writer

_SUB = dict(zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_SUPER = dict(zip("0123456789+-=()ni−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ⁻", strict=True))
_SPACED = set("+−⊙⊗⋆∗=≠<>≤≥∧∨⊻≈·&|^") | {"mod", "//", "<<", ">>", "∝", "∼"}


def _marks(text: str, table: dict[str, str], sign: str) -> str:
    if text and all(c in table for c in text):
        return "".join(table[c] for c in text)
    return f"{sign}{text}" if len(text) == 1 else f"{sign}{{{text}}}"


class Unicode(Writer):
    """Expressions as one line of text."""

    def identifier(self, base: str, subscript: str, superscript: str) -> str:
        return (
            base
            + (_marks(superscript, _SUPER, "^") if superscript else "")
            + (_marks(subscript, _SUB, "_") if subscript else "")
        )

    def numeral(self, text: str) -> str:
        return text

    def operator(self, symbol: str) -> str:
        if symbol == "−1":
            return "−"
        return (
            f" {symbol} " if symbol in _SPACED else ", " if symbol == "," else " " if symbol == "" else symbol
        )

    def beside(self, parts: Sequence[str]) -> str:
        return "".join(parts)

    def quotient(self, top: str, bottom: str, top_level: int, bottom_level: int) -> str:
        top = f"({top})" if top.startswith("∂") else top
        above = top if top_level > SCALED or _simple(top) else f"({top})"
        below = bottom if bottom_level > SCALED and _simple(bottom) else f"({bottom})"
        return f"{above}/{below}"

    def derivative(self, of: str, by: str) -> str:
        return f"∂{of}/∂{by}"

    def raised(self, base: str, exponent: str) -> str:
        if exponent == "ᵀ":
            return f"({base})ᵀ" if base.startswith("∂") else base + "ᵀ"
        short = all(c in _SUPER for c in exponent)
        return base + (
            _marks(exponent, _SUPER, "^")
            if short
            else f"^{exponent}"
            if len(exponent) == 1
            else f"^({exponent})"
        )

    def lowered(self, base: str, index: str) -> str:
        base = f"({base})" if base.startswith("∂") else base
        return base + _marks(index, _SUB, "_")

    def bracketed(self, body: str, left: str = "(", right: str = ")") -> str:
        return f"{left}{body}{right}"

    def derivative_inline(self, of: str, by: str) -> str:
        return f"∂{of}/∂{by}"

    def noted(self, symbol: str, note: str) -> str:
        return f" {symbol}{_marks(note, _SUB, '_')} " if note else self.operator(symbol)

    def root(self, body: str, level: int) -> str:
        return f"√{body}" if level > ELEMENTWISE and _simple(body) else f"√({body})"

    def big(self, symbol: str, below: str, above: str, body: str) -> str:
        return symbol + _marks(below, _SUB, "_") + (_marks(above, _SUPER, "^") if above else "") + " " + body

    def function(self, name: str, primes: int) -> str:
        return name + "′" * primes

    def applied(self, function: str, arguments: str) -> str:
        return f"{function}({arguments})"

    def choices(self, rows: Sequence[tuple[str, str]]) -> str:
        return "{" + "; ".join(f"{a} {b}".rstrip() for a, b in rows) + "}"

    def grid(self, rows: Sequence[Sequence[str]]) -> str:
        return "[" + "; ".join("  ".join(row) for row in rows) + "]"

    def words(self, text: str) -> str:
        return text if text in "⋮⋯" else text + " "

    def index(self, text: str) -> str:
        return text

    def places(self, parts: Sequence[str]) -> str:
        return ",".join(part.replace(" ", "") for part in parts)

    def _derivative(self, e: x.Derivative) -> tuple[str, int]:
        return self.derivative(self.write(e.of), self.write(e.by, ATOM)), PREFIX

    def _product(self, e: x.Product) -> tuple[str, int]:
        """On one line a dot stands between the factors, which would run together."""
        body, level = super()._product(e)
        if not all(len(factor.shape) == 1 for factor in e.factors):
            named = all(isinstance(f, x.Symbol) and len(f.base) == 1 for f in e.factors)
            parts = [self.write(f, 8 if isinstance(f, x.Reduce) else 6) for f in e.factors]
            return (" " if named else " · ").join(parts), level
        return body, level


def _simple(text: str) -> bool:
    return not any(c in text for c in " /") or (
        text.startswith("(") and text.endswith(")") and text.count("(") == 1
    )


def line(e: Expression, lang: str = "en") -> str:
    """An expression as one line of text.

    >>> from boxgrad.explain.expression import Symbol, product, transpose
    >>> line(product(transpose(Symbol("X", "X", shape=(3, 2))), Symbol("W", "W", shape=(3, 4))))
    'Xᵀ · W'
    """
    return Unicode(lang).write(e)


def block(e: Expression, lang: str = "en") -> list[str]:
    """An equation between matrices as lines of text, the rows of each matrix one below the other."""
    if not isinstance(e, x.Relation):
        return [line(e, lang)]
    columns: list[list[str]] = []
    for i, side in enumerate(e.sides):
        columns += [[e.symbol]] if i else []
        nested = isinstance(side, x.Relation)
        columns.append(block(side, lang) if nested else _rows(side, lang))
    height = max(map(len, columns))
    padded = [_centred(column, height) for column in columns]
    return [" ".join(parts).rstrip() for parts in zip(*padded, strict=True)]


def _rows(e: Expression, lang: str) -> list[str]:
    if not isinstance(e, x.Matrix) or len(e.rows) == 1:
        return [line(e, lang)]
    cells = [[line(part, lang) for part in row] for row in e.rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    last = len(cells) - 1
    marks = ["⎡⎤" if i == 0 else "⎣⎦" if i == last else "⎢⎥" for i in range(len(cells))]
    return [
        f"{left}{'  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))}{right}"
        for (left, right), row in zip(marks, cells, strict=True)
    ]


def _centred(column: list[str], height: int) -> list[str]:
    width = max(map(len, column))
    above = (height - len(column)) // 2
    blank = [" " * width]
    return [*blank * above, *(text.ljust(width) for text in column), *blank * (height - len(column) - above)]

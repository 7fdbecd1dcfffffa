"""From tokens to the tree: one grammar for LaTeX and for plain mathematics.

    sum     =  [−] chain { (+ | −) chain }
    chain   =  factor { [⊙ × · * @ ⊗ ⋆ ∗] factor }      which product is meant is decided later, by the shapes
    factor  =  power { / power }
    power   =  atom { ᵀ | ^ exponent | index }
    atom    =  number | name | ∂…/∂… | f(…) | f′(…) | Σ_i chain | fraction | ( sum ) | [ condition ] | |sum|

Knows the grammar and what names stand for; knows no numbers.
"""

from __future__ import annotations

from typing import final

from boxgrad.check.formulas.named import Names
from boxgrad.check.formulas.terms import Term, number

_PRODUCTS = {"⊙", "×", "·", "*", "@", "⊗", "⋆", "∗"}
_COMPARISONS = {"=": "==", "≠": "!=", "<": "<", ">": ">", "≤": "<=", "≥": ">="}


@final
class Parser(Names):
    """Recursive descent over one line."""

    # ---- an equation
    def equation(self) -> tuple[Term | str | None, list[Term]]:
        """The left side (a gradient, a name defined here, or None), and the right sides."""
        if not any(token.kind == "op" and token.text == "=" for token in self.tokens):
            return None, [self.whole()]
        start, defined = self.at, self.defines()
        left: Term | str | None = defined
        if defined is None:
            left = self.target()
        self.style.left = self.source.line[self.tokens[start].at : self.tokens[self.at - 1].end].strip()
        self.expect("=")
        sides = [self.sum()]
        while self.accept("="):
            sides.append(self.sum())
        if self.token.kind != "end" and not (self.accept(".", ",") and self.token.kind == "end"):
            raise self.unexpected("+ − × ⊙ …")
        return left, sides

    def whole(self) -> Term:
        """Everything as one expression."""
        value = self.sum()
        if self.token.kind != "end":
            raise self.unexpected("+ − × ⊙ …")
        return value

    def defines(self) -> str | None:
        """A new name on the left side, which stands for what is on the right."""
        start = self.at
        if self.token.kind == "name":
            text = self.take().text
            while self.token.kind in ("sub", "mark"):
                text += "_" + self.take().text
            own = self.value_of(text)[0] or self.vocabulary.function(text)
            if self.token.text == "=" and own is None:
                return text
        self.at = start
        return None

    def target(self) -> Term:
        """The left side: a derivative of the result, of whatever name."""
        if self.token.kind == "frac" or (self.token.kind == "op" and self.token.text == "∂"):
            self.style.loss_open = True
        value = self.powered()
        self.style.loss_open = False
        return value

    # ---- sums and products
    def sum(self) -> Term:
        sign = self.accept("−", "+")
        value = self.chain()
        if sign is not None and sign.text == "−":
            value = Term("negative", (value,))
        while (sign := self.accept("+", "−")) is not None:
            op = "add" if sign.text == "+" else "subtract"
            value = Term(op, (value, self.chain()), sign.text)
        return value

    def chain(self) -> Term:
        factors, signs = [self.factor()], list[str]()
        while True:
            token = self.token
            if token.kind == "op" and token.text in _PRODUCTS:
                sign = self.take().text
                if sign in ("⋆", "∗") and self.token.kind == "sub":
                    sign += self.take().text
            elif self.starts_factor():
                sign = ""
            else:
                break
            signs.append(sign)
            if self.token.kind == "op" and self.token.text == "−" and sign:
                self.take()
                factors.append(Term("negative", (self.factor(),)))
            else:
                factors.append(self.factor())
        return factors[0] if not signs else Term("chain", tuple(factors), tuple(signs))

    def starts_factor(self) -> bool:
        token = self.token
        if token.kind in ("name", "number", "frac", "big", "begin"):
            return token.text not in ("if", "otherwise")
        return token.kind == "op" and (
            token.text in ("(", "[", "{", "∂", "√", "∇")
            or (token.text == "|" and not self.bars and self.tokens[self.at - 1].text != ")")
        )

    def factor(self) -> Term:
        value = self.powered()
        while self.token.kind == "op" and self.token.text == "/":
            self.take()
            value = Term("divide", (value, self.powered()), "/")
        return value

    def powered(self) -> Term:
        value = self.atom()
        while True:
            token = self.token
            if token.kind == "T":
                self.style.note_transpose(self.take().text)
                value = Term("transpose", (value,))
            elif token.kind == "op" and token.text == "^":
                self.take()
                value = Term("power", (value, self.exponent()), "^")
            elif token.kind == "sub":
                value = self.indexed(value, self.take())
            else:
                return value

    def exponent(self) -> Term:
        if self.accept("{"):
            value = self.sum()
            self.expect("}")
            return value
        if self.accept("−"):
            return Term("negative", (self.exponent(),))
        return self.atom()

    # ---- atoms
    def atom(self) -> Term:
        token = self.token
        if token.kind == "number":
            return number(float(self.take().text))
        if token.kind == "name":
            return self.named()
        if token.kind == "big":
            return self.big()
        if token.kind == "frac":
            return self.fraction()
        if token.kind == "begin":
            return self.environment()
        if token.kind == "op":
            if token.text == "(":
                self.take()
                value = self.condition()
                self.expect(")")
                return value
            if token.text == "[":
                self.take()
                value = self.condition()
                self.expect("]")
                return Term("indicator", (value,))
            if token.text == "{":
                return self.braces()
            if token.text == "|":
                self.take()
                self.bars += 1
                value = self.sum()
                self.bars -= 1
                self.expect("|")
                return Term("call", (value,), ("abs", ""))
            if token.text == "√":
                self.take()
                return Term("call", (self.atom(),), ("sqrt", ""))
            if token.text == "∂":
                return self.derivative()
            if token.text == "∇":
                return self.nabla()
        raise self.unexpected("operand")

    def condition(self) -> Term:
        value = self.comparison()
        while (sign := self.accept("∧", "∨", "|")) is not None:
            value = Term("both" if sign.text == "∧" else "either", (value, self.comparison()))
        return value

    def comparison(self) -> Term:
        """a < b, or a chain of such: −1 ≤ d ≤ 1."""
        value = left = self.sum()
        chain: Term | None = None
        while (sign := self.accept(*_COMPARISONS)) is not None:
            right = self.sum()
            value = Term("compare", (left, right), _COMPARISONS[sign.text])
            value = value if chain is None else Term("both", (chain, value))
            chain, left = value, right
        return value

    def braces(self) -> Term:
        """{a if c; b otherwise}, or a group."""
        self.expect("{")
        return self.cases("}")

    def cases(self, end: str) -> Term:
        parts: list[Term] = []
        while True:
            value = self.sum()
            self.accept("&", ",")
            if self.token.kind == "name" and self.token.text in ("if", "otherwise", "for"):
                condition = number(1) if self.take().text == "otherwise" else self.condition()
            else:
                condition = number(1)
            parts += [value, condition]
            if not self.accept(";"):
                break
            if self.token.kind in ("op", "end") and self.token.text in (end, "cases"):
                break
        if end == "}":
            self.expect("}")
        elif self.token.kind == "end":
            self.take()
        return parts[0] if len(parts) == 2 and parts[1] == number(1) else Term("where", tuple(parts))

    def environment(self) -> Term:
        opening = self.take()
        if opening.text == "cases":
            return self.cases("cases")
        if opening.text.endswith("matrix"):
            return self.matrix()
        raise self.source.problem("command", opening.at, name=rf"\begin{{{opening.text}}}")

    def matrix(self) -> Term:
        """Rows of elements."""
        rows: list[list[Term]] = [[self.sum()]]
        while self.token.kind != "end":
            if self.accept("&"):
                rows[-1].append(self.sum())
            elif self.accept(";"):
                if self.token.kind != "end":
                    rows.append([self.sum()])
            else:
                raise self.unexpected("&")
        closing = self.take()
        if len({len(row) for row in rows}) != 1:
            raise self.source.problem("expected", closing.at, wanted="&", found=r"\\end")
        return Term("matrix", tuple(one for row in rows for one in row), (len(rows), len(rows[0])))

    def big(self) -> Term:
        symbol, letters = self.take().text, ""
        if self.token.kind == "sub":
            letters = self.take().text
        if self.token.kind == "op" and self.token.text == "^":
            self.take()
            self.exponent()
        elif self.token.kind in ("T", "mark"):
            self.take()
        indices = tuple(one.split("=")[0].split("∈")[0] for one in letters.split(",") if one)
        body = self.chain()
        return Term("reduce", (body,), (symbol, indices))

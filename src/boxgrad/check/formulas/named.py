"""What the names in a formula stand for: values and their elements, functions and their derivatives, ∂L/∂X.

A name is read with all its marks, and the longest spelling that the function knows is taken. Knows names; the
grammar around them is in ``parse``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence

from boxgrad.check.claim_words import WORDS
from boxgrad.check.claimed import ClaimProblem, nearest
from boxgrad.check.formulas.names import COUNTS, WHOLE
from boxgrad.check.formulas.style import Style
from boxgrad.check.formulas.terms import Term, gradient, name, number
from boxgrad.check.formulas.tokens import Source, Token, tokens
from boxgrad.explain.words import word


class Names(ABC):
    """The part of a parser that reads names, over a list of tokens."""

    def __init__(self, source: Source, latex: bool, style: Style, local: dict[str, Term]) -> None:
        self.source, self.style, self.local = source, style, local
        self.vocabulary = source.vocabulary
        self.tokens: list[Token] = tokens(source, latex)
        self.at = 0
        self.bars = 0

    # ---- tokens
    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def ahead(self, count: int = 1) -> Token:
        return self.tokens[min(self.at + count, len(self.tokens) - 1)]

    def take(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def accept(self, *texts: str) -> Token | None:
        return self.take() if self.token.kind in ("op", "begin") and self.token.text in texts else None

    def expect(self, text: str) -> Token:
        found = self.accept(text)
        if found is None:
            raise self.unexpected(text)
        return found

    def unexpected(self, wanted: str) -> ClaimProblem:
        """A complaint about the present token."""
        lang, token = self.source.lang, self.token
        found = word("ends", lang, WORDS) if token.kind == "end" else token.text or token.kind
        wanted = word("operand", lang, WORDS) if wanted == "operand" else wanted
        return self.source.problem("expected", token.at, wanted=wanted, found=found)

    def text_from(self, start: int) -> str:
        """What was written from a token on up to the present one."""
        return self.source.line[self.tokens[start].at : self.tokens[self.at - 1].end]

    # ---- the grammar
    @abstractmethod
    def sum(self) -> Term:
        """Terms with + and − between them."""

    @abstractmethod
    def powered(self) -> Term:
        """An atom with its transpose, exponent and indices."""

    @abstractmethod
    def condition(self) -> Term:
        """A sum, or a comparison."""

    @abstractmethod
    def exponent(self) -> Term:
        """What stands after ^."""

    @abstractmethod
    def starts_factor(self) -> bool:
        """Whether a factor begins here."""

    def arguments(self) -> list[Term]:
        self.expect("(")
        found = [self.condition()]
        while self.accept(","):
            found.append(self.condition())
        self.expect(")")
        return found

    def indexed(self, value: Term, token: Token) -> Term:
        """An index after a whole: letters name the axes, numbers pick a part."""
        text = token.text
        parts = text.split(",") if "," in text else list(text)
        if all(re.fullmatch(r"[a-z]\w?|:", part) for part in parts) and value.op != "index":
            return Term("index", (value,), tuple(parts))
        if re.fullmatch(r"[\d:,\-…∗ ]+", text):
            return Term("pick", (value,), text)
        raise self.source.problem("letters", token.at, letters=text, shape="")

    # ---- derivatives
    def fraction(self) -> Term:
        self.take()
        start = self.at
        self.expect("{")
        if (sign := self.accept("∂")) is not None:
            self.style.note_differential("d" if self.source.line[sign.at] == "d" else "")
            of = self.spelled() if self.token.kind == "name" else None
            if self.accept("}"):
                self.expect("{")
                self.expect("∂")
                return self.derived(of, self.at, "frac")
        self.at = start
        self.expect("{")
        top = self.sum()
        self.expect("}")
        self.expect("{")
        bottom = self.sum()
        self.expect("}")
        return Term("divide", (top, bottom), "frac")

    def spelled(self) -> str:
        """The name at this place with its marks: a value's, a function's, or a new one."""
        text = self.take().text
        while self.token.kind in ("sub", "mark"):
            text += "_" + self.take().text
        return text

    def derivative(self) -> Term:
        start = self.at
        self.expect("∂")
        if self.token.kind != "name":
            raise self.unexpected("L")
        of = self.spelled()
        if self.token.kind == "op" and self.token.text == "/" and self.ahead().text == "∂":
            self.take()
            self.take()
            self.style.note_differential(self.source.line[self.tokens[start].at])
            return self.derived(of, self.at, "inline")
        key = self.vocabulary.key(of)  # dN alone is ∂L/∂N, dσ(N) alone is σ′(N)
        if key is not None:
            self.style.note_symbol(
                key, self.source.line[self.tokens[start].end : self.tokens[self.at - 1].end]
            )
            self.style.derivative = "short"
            self.style.note_differential(self.source.line[self.tokens[start].at])
            return gradient(key)
        function = self.vocabulary.function(of)
        if function is not None and self.token.text == "(":
            self.style.note_function(function, of, "d")
            return Term("slope", (self.arguments()[0],), (function, ""))
        raise self.unknown(of, self.tokens[start].at)

    def derived(self, of: str | None, start: int, form: str) -> Term:
        """What ∂(of)/∂(…) stands for, read from the denominator on."""
        if self.token.kind == "op" and self.token.text == "(":
            raise self.by_sum(start)
        if self.token.kind != "name":
            raise self.unexpected("X")
        by = self.spelled_value()
        if form == "frac":
            if self.token.kind == "op" and self.token.text in ("+", "−"):
                raise self.by_sum(start)
            self.expect("}")
        if of is None:  # an operator, ∂/∂X L
            of = self.spelled()
        vocabulary, style = self.vocabulary, self.style
        function = vocabulary.function(of) if vocabulary.key(of) is None else None
        key, letters = self.value_of(by)
        if self.token.text == "(" and self.token.kind == "op" and self.applies(of, key, function):
            return self.applied(of, by, function)
        if function is not None and key is not None:
            style.note_function(function, of, "by value")
            return Term("slope", (name(key),), (function, ""))
        if key is None:
            raise self.unknown(by, self.tokens[start].at)
        if not letters:
            last = self.at - (2 if form == "frac" else 1)
            style.note_symbol(key, self.source.line[self.tokens[start].at : self.tokens[last].end])
        is_loss = vocabulary.is_output(of) or of in style.losses
        if not is_loss and style.loss_open and vocabulary.key(of) is None:
            style.losses.add(of)
            is_loss = True
        if is_loss:
            style.note_derivative(form, of)
            found = gradient(key)
        elif (other := vocabulary.key(of)) is not None:
            found = Term("partial", (), (other, key))
        else:
            raise self.unknown(of, self.tokens[start].at)
        if letters and all(one.isdigit() for one in letters):
            return Term("pick", (found,), ",".join(letters) if len(letters) > 1 else letters[0])
        return Term("index", (found,), letters) if letters else found

    def spelled_value(self) -> str:
        """The longest spelling here that is a value; an index that is not part of the name is left in it."""
        return self.spelled()

    def applies(self, of: str, key: str | None, function: str | None) -> bool:
        """Whether brackets after a derivative hold the value at which it is taken."""
        return (
            function is not None
            or key is None
            or (self.vocabulary.key(of) is None and of not in self.vocabulary.loss)
        )

    def applied(self, of: str, by: str, function: str | None) -> Term:
        """∂σ/∂u(N): a derivative taken at a value."""
        start = self.at
        values = self.arguments()
        style, vocabulary = self.style, self.vocabulary
        if function is not None:
            style.note_function(function, of, "applied", by)
            return Term("slope", (values[0],), (function, ""))
        inner = [one.parts[0] if one.op == "pick" else one for one in values]
        keys = [one.mark for one in inner if one.op == "name"]
        if len(keys) != len(values):
            raise self.source.problem("expected", self.tokens[start].at, wanted="(X)", found="(…)")
        if style.loss_open or of in style.losses or vocabulary.is_output(of):
            style.losses.add(of)
            style.note_derivative("applied", of, by)
            found = gradient(keys[0])
            return Term("pick", (found,), values[0].mark) if values[0].op == "pick" else found
        user = vocabulary.user_of(keys)
        if user is None:
            raise self.unknown(of, self.tokens[start].at)
        chosen = vocabulary.key(by)
        return Term("partial", (), (user.name, chosen if chosen in keys else keys[0]))

    def nabla(self) -> Term:
        start = self.at
        self.take()
        if self.token.kind != "sub":
            raise self.unexpected("∇_X")
        key, _ = self.value_of(self.take().text)
        if key is None:
            raise self.unknown(self.tokens[self.at - 1].text, self.tokens[start].at)
        if self.token.kind == "name":
            self.spelled()
        self.style.derivative = "nabla"
        return gradient(key)

    def by_sum(self, start: int) -> ClaimProblem:
        """A derivative with respect to x + 3, where x₃ was meant."""
        while self.token.text not in ("}", ")", "=", "") and self.token.kind != "end":
            self.take()
        given = self.source.line[self.tokens[start].at : self.token.at].strip("( ")
        found = re.sub(r"\s*[+−-]\s*", "_", given) if re.search(r"[+−-]\s*\w+$", given) else "X"
        return self.source.problem("by_sum", self.tokens[start].at, given=given, found=found)

    # ---- names
    def value_of(self, spelling: str) -> tuple[str | None, tuple[str, ...]]:
        """The value of a spelling, and the letters of its element: x_ij is an element of X."""
        key = self.vocabulary.key(spelling)
        if key is not None or "_" not in spelling:
            return key, ()
        spelling = re.sub(r"_(\d+)([a-z]+)$", r"_\1_\2", spelling)
        base, _, index = spelling.rpartition("_")
        parts = tuple(index.split(",")) if "," in index else tuple(index)
        if all(re.fullmatch(r"[a-z]|:", part) for part in parts) or index.replace(",", "").isdigit():
            for one in (base, base.upper(), base.capitalize()):
                key = self.vocabulary.key(one)
                if key is not None:
                    return key, parts
        return None, ()

    def named(self) -> Term:
        """A name: a value, an element, a function with its arguments, a constant."""
        start, first = self.at, self.token
        base = self.take().text
        marks: list[Token] = []
        while self.token.kind in ("sub", "mark"):
            marks += self.parts_of(base, self.take())
        if base in "𝟏𝟎":
            return self.filled(base, marks)
        for count in range(len(marks), -1, -1):  # the longest spelling that is a value
            spelling = "_".join([base, *(mark.text for mark in marks[:count])])
            value = self.known(spelling, first)
            if value is None and count < len(marks):
                value = self.known(spelling.upper(), first) or self.known(spelling.capitalize(), first)
            if value is not None and not (count == 0 and self.calls(base)):
                self.style.note_symbol(value.mark, self.text_from(start)) if count == len(marks) else None
                for mark in marks[count:]:
                    value = self.indexed(value, mark)
                if self.token.kind == "prime":
                    break
                return value
        return self.function(start, base, marks)

    def parts_of(self, base: str, token: Token) -> list[Token]:
        """z₂ᵢ is an element of z₂: its index in two parts."""
        found = re.fullmatch(r"(\d+)([a-z]+)", token.text)
        if found is None or self.vocabulary.key(f"{base}_{found[1]}") is None:
            return [token]
        return [token._replace(text=found[1]), token._replace(text=found[2])]

    def known(self, spelling: str, first: Token) -> Term | None:
        if spelling in self.local:
            return self.local[spelling]
        key = self.vocabulary.key(spelling)
        return None if key is None else name(key)

    def calls(self, base: str) -> bool:
        """Whether a name that is also a function's is used as one here."""
        return self.vocabulary.key(base) is None and self.token.text == "("

    def filled(self, base: str, marks: Sequence[Token]) -> Term:
        sizes = marks[0].text.replace("x", "×").split("×") if marks else []
        if not all(size.isdigit() for size in sizes):
            raise self.source.problem("letters", marks[0].at, letters=marks[0].text, shape="")
        shape = tuple(int(size) for size in sizes)
        value = Term("ones", (), shape)
        return value if base == "𝟏" else Term("multiply", (number(0), value), "")

    def function(self, start: int, base: str, marks: Sequence[Token]) -> Term:
        """A function, its primes, its power and its arguments."""
        vocabulary, token = self.vocabulary, self.tokens[start]
        note = ",".join(mark.text for mark in marks)
        primes = len(self.take().text) if self.token.kind == "prime" else 0
        if primes and self.token.kind == "sub":
            note = self.take().text
        if base == "e" and not primes and self.token.text == "^":
            self.take()
            return Term("call", (self.exponent(),), ("exp", ""))
        if base == "e" and not primes:
            return Term("call", (number(1),), ("exp", ""))
        power = None
        if self.token.text == "^" and self.ahead().kind in ("number", "op") and vocabulary.function(base):
            before = self.at
            self.take()
            power = self.exponent()
            if self.token.text != "(" and self.token.kind != "name":
                self.at, power = before, None
        known = vocabulary.function(base)
        if known is None and base not in WHOLE and not (primes and self.token.text == "("):
            return self.counted(base, marks, token)
        if self.token.text == "(":
            parts = self.arguments()
        elif known is not None and (self.starts_factor() or self.token.kind == "T"):
            parts = [self.powered()]
        else:
            raise self.unexpected("(")
        if primes and base in ("maxpool", "avgpool"):
            value = Term("call", tuple(parts), (base + "′", note))
        elif primes and known is None:
            value = self.slope_of_unknown(base, parts, token)
        elif primes:
            self.style.note_function(known, base, "prime")
            value = Term("slope", (parts[0],), (known, ""))
        else:
            if known is not None:
                self.style.note_function(known, base, "")
            value = Term("call", tuple(parts), (known or base, note))
        return value if power is None else Term("power", (value, power), "^")

    def slope_of_unknown(self, base: str, parts: Sequence[Term], token: Token) -> Term:
        """g′(N) for a function without a name of its own: the one that is applied to N."""
        if (
            len(parts) == 1
            and parts[0].op == "name"
            and self.vocabulary.applied_to(parts[0].mark) is not None
        ):
            self.style.note_function("applied", base, "prime")
            return Term("slope", (parts[0],), ("applied", parts[0].mark))
        raise self.source.problem("function", token.at, name=base, suggestion="")

    def counted(self, base: str, marks: Sequence[Token], token: Token) -> Term:
        """A letter that counts examples, or a name that is not there."""
        if base in COUNTS and not marks:
            return Term("count", (), base)
        spelling = "_".join([base, *(mark.text for mark in marks)])
        raise self.unknown(spelling, token.at)

    def unknown(self, spelling: str, at: int) -> ClaimProblem:
        """A complaint about a name that the function does not have."""
        known = [value for value in self.vocabulary.values if not self.vocabulary.values[value].automatic]
        near = nearest(spelling, known)
        suggestion = word("meant", self.source.lang, WORDS, found=near) if near else ""
        names = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
        return self.source.problem("name", at, name=spelling, known=names, suggestion=suggestion)

"""MathML Core for pages: every browser sets it without a library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Expression
from boxgrad.explain.writer import Writer

_BIG = {"Σ": "∑", "Π": "∏"}
_NAMES = {"σ", "Φ"}


class MathML(Writer):
    """Expressions as MathML elements. A named value carries its key, so that a page can link it."""

    def _symbol(self, e: x.Symbol) -> tuple[str, int]:
        body, level = super()._symbol(e)
        return f'<mrow data-k="{escape(e.key)}">{body}</mrow>', level

    def _derivative(self, e: x.Derivative) -> tuple[str, int]:
        body, level = super()._derivative(e)
        key = e.by.key if isinstance(e.by, x.Symbol) else e.by.x.key if isinstance(e.by, x.Element) else ""
        body = body.replace("data-k=", "data-of=")
        return f'<mrow data-k="∂{escape(key)}">{body}</mrow>', level

    def identifier(self, base: str, subscript: str, superscript: str) -> str:
        if base in ("𝟏", "𝟎"):
            made = f'<mn mathvariant="bold">{"𝟏" if base == "𝟏" else "𝟎"}</mn>'
        else:
            made = (
                f'<mi mathvariant="italic">{escape(base)}</mi>'
                if len(base) > 1
                else f"<mi>{escape(base)}</mi>"
            )
            if len(base) > 1:
                made = f"<mi>{_italic(base)}</mi>"
        below = self.index(subscript) if subscript else ""
        above = self.index(superscript) if superscript else ""
        if below and above:
            return f"<msubsup>{made}{below}{above}</msubsup>"
        return f"<msub>{made}{below}</msub>" if below else f"<msup>{made}{above}</msup>" if above else made

    def numeral(self, text: str) -> str:
        return f"<mn>{text}</mn>"

    def operator(self, symbol: str) -> str:
        if symbol == "":
            return '<mspace width="0.17em"/>'
        if symbol == "−1":
            return '<mo form="prefix">−</mo>'
        if symbol == "ᵀ":
            return '<mi mathvariant="normal">T</mi>'
        if symbol == ",":
            return '<mo separator="true">,</mo>'
        return f"<mo>{escape(symbol)}</mo>"

    def beside(self, parts: Sequence[str]) -> str:
        return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"

    def quotient(self, top: str, bottom: str, top_level: int, bottom_level: int) -> str:
        return f"<mfrac>{top}{bottom}</mfrac>"

    def derivative(self, of: str, by: str) -> str:
        sign = '<mi mathvariant="normal">∂</mi>'
        return f"<mfrac><mrow>{sign}{of}</mrow><mrow>{sign}{by}</mrow></mfrac>"

    def derivative_inline(self, of: str, by: str) -> str:
        sign = '<mi mathvariant="normal">∂</mi>'
        return f"<mrow>{sign}{of}<mo>/</mo>{sign}{by}</mrow>"

    def raised(self, base: str, exponent: str) -> str:
        return f"<msup>{base}{exponent}</msup>"

    def lowered(self, base: str, index: str) -> str:
        return f"<msub>{base}{index}</msub>"

    def bracketed(self, body: str, left: str = "(", right: str = ")") -> str:
        tall = any(tag in body for tag in ("<mfrac", "<munder", "<mtable", "<msqrt"))
        size = "" if tall else ' stretchy="false"'
        return f'<mrow><mo form="prefix"{size}>{left}</mo>{body}<mo form="postfix"{size}>{right}</mo></mrow>'

    def root(self, body: str, level: int) -> str:
        return f"<msqrt>{body}</msqrt>"

    def big(self, symbol: str, below: str, above: str, body: str) -> str:
        sign = (
            f'<mo largeop="true" movablelimits="false">{_BIG[symbol]}</mo>'
            if symbol in _BIG
            else f"<mo>{symbol}</mo>"
        )
        whole = (
            f"<munderover>{sign}{below}{above}</munderover>" if above else f"<munder>{sign}{below}</munder>"
        )
        return f"<mrow>{whole}{body}</mrow>"

    def function(self, name: str, primes: int) -> str:
        made = f"<mi>{escape(name)}</mi>"
        return f"<msup>{made}<mo>{'′' * primes}</mo></msup>" if primes else made

    def applied(self, function: str, arguments: str) -> str:
        return f"<mrow>{function}<mo>&#x2061;</mo>{self.bracketed(arguments)}</mrow>"

    def choices(self, rows: Sequence[tuple[str, str]]) -> str:
        body = "".join(f"<mtr><mtd>{a}</mtd><mtd>{b}</mtd></mtr>" for a, b in rows)
        brace = '<mo form="prefix" stretchy="true">{</mo>'
        return f'<mrow>{brace}<mtable columnalign="left">{body}</mtable></mrow>'

    def grid(self, rows: Sequence[Sequence[str]]) -> str:
        body = "".join(f"<mtr>{''.join(f'<mtd>{part}</mtd>' for part in row)}</mtr>" for row in rows)
        return f'<mrow><mo form="prefix">[</mo><mtable>{body}</mtable><mo form="postfix">]</mo></mrow>'

    def words(self, text: str) -> str:
        return f"<mtext>{escape(text)}&#xA0;</mtext>"

    def index(self, text: str) -> str:
        parts: list[str] = []
        word = ""
        for c in [*text, ""]:
            kind = "a" if c.isalpha() else "0" if c.isdigit() else ""
            if word and (kind != ("a" if word[0].isalpha() else "0")):
                letters = word[0].isalpha()
                single = letters and set(word) <= set("ijklmnpqrst")
                if single:
                    parts += [f"<mi>{letter}</mi>" for letter in word]
                else:
                    parts.append(f'<mi mathvariant="normal">{word}</mi>' if letters else f"<mn>{word}</mn>")
                word = ""
            if kind:
                word += c
            elif c:
                parts.append(f'<mo lspace="0" rspace="0">{escape(c)}</mo>')
        return self.beside(parts) if parts else "<mrow></mrow>"


def _italic(text: str) -> str:
    """Letters of mathematical italics, for MathML Core slants only single letters."""
    out = []
    for c in text:
        if "a" <= c <= "z":
            out.append("ℎ" if c == "h" else chr(0x1D44E + ord(c) - ord("a")))
        elif "A" <= c <= "Z":
            out.append(chr(0x1D434 + ord(c) - ord("A")))
        else:
            out.append(c)
    return "".join(out)


def element(e: Expression, display: bool = True, lang: str = "en") -> str:
    """An expression as a ``<math>`` element.

    >>> from boxgrad.explain.expression import number
    >>> element(number(2), display=False)
    '<math><mn>2</mn></math>'
    """
    block = ' display="block"' if display else ""
    return f"<math{block}>{MathML(lang).write(e)}</math>"

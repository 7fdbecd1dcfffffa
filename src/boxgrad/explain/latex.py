"""LaTeX: fragments for any document, and a whole document that compiles as it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Expression
from boxgrad.explain.writer import Writer

_GREEK = {
    "α": r"\alpha",
    "β": r"\beta",
    "γ": r"\gamma",
    "δ": r"\delta",
    "ε": r"\varepsilon",
    "ζ": r"\zeta",
    "η": r"\eta",
    "θ": r"\theta",
    "κ": r"\kappa",
    "λ": r"\lambda",
    "μ": r"\mu",
    "ν": r"\nu",
    "ξ": r"\xi",
    "π": r"\pi",
    "ρ": r"\rho",
    "σ": r"\sigma",
    "τ": r"\tau",
    "φ": r"\varphi",
    "χ": r"\chi",
    "ψ": r"\psi",
    "ω": r"\omega",
    "Γ": r"\Gamma",
    "Δ": r"\Delta",
    "Θ": r"\Theta",
    "Λ": r"\Lambda",
    "Σ": r"\Sigma",
    "Φ": r"\Phi",
    "Ψ": r"\Psi",
    "Ω": r"\Omega",
    "∞": r"\infty",
}
_OPERATORS = {
    "+": " + ",
    "−": " - ",
    "−1": "-",
    "·": r" \cdot ",
    "⊙": r" \odot ",
    "⊗": r" \otimes ",
    "⋆": r" \star ",
    "∗": r" \ast ",
    "=": " = ",
    "≠": r" \neq ",
    "<": " < ",
    ">": " > ",
    "≤": r" \le ",
    "≥": r" \ge ",
    "∧": r" \land ",
    "∨": r" \lor ",
    "⊻": r" \oplus ",
    "mod": r" \bmod ",
    "ᵀ": r"\mathsf{T}",
    ",": ",\\, ",
    "": r"\,",
    "≈": r" \approx ",
    "//": r" \mathbin{/\!/} ",
    "&": r" \mathbin{\&} ",
    "|": r" \mathbin{|} ",
    "^": r" \mathbin{\wedge} ",
    "<<": r" \ll ",
    ">>": r" \gg ",
    "∝": r" \propto ",
    "∼": r" \sim ",
}
_FUNCTIONS = {
    "σ": r"\sigma",
    "tanh": r"\tanh",
    "sin": r"\sin",
    "cos": r"\cos",
    "tan": r"\tan",
    "exp": r"\exp",
    "log": r"\log",
    "sinh": r"\sinh",
    "cosh": r"\cosh",
    "max": r"\max",
    "min": r"\min",
    "Φ": r"\Phi",
    "arcsin": r"\arcsin",
    "arccos": r"\arccos",
    "arctan": r"\arctan",
    "¬": r"\neg",
    "~": r"{\sim}",
}
_BIG = {"Σ": r"\sum", "Π": r"\prod", "max": r"\max", "min": r"\min"}
_DELIMITERS = {
    "|": ("|", "|"),
    "⌊": (r"\lfloor", r"\rfloor"),
    "⌈": (r"\lceil", r"\rceil"),
    "(": ("(", ")"),
    "[": ("[", "]"),
    "‖": (r"\Vert", r"\Vert"),
}
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "_": r"\_",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_IN_INDEX = {"×": r"\times ", "−": "-", "→": r"\to ", "∗": r"\ast ", "…": r"\dots ", "·": r"\cdot ", "′": "'"}
_IN_INDEX |= {"≤": r"\le ", "≥": r"\ge ", "≠": r"\neq "}


def escaped(text: str) -> str:
    """Plain words for LaTeX's text mode."""
    return "".join(_SPECIAL.get(c, c) for c in text)


class Latex(Writer):
    """Expressions as LaTeX, for amsmath."""

    def identifier(self, base: str, subscript: str, superscript: str) -> str:
        if base in ("𝟏", "𝟎"):
            made = r"\mathbf{1}" if base == "𝟏" else r"\mathbf{0}"
        elif base in _GREEK:
            made = _GREEK[base]
        else:
            plain = base.rstrip("′")
            made = plain if len(plain) == 1 else rf"\mathit{{{escaped(plain)}}}"
            made += "'" * (len(base) - len(plain))
        if superscript:
            made += f"^{{{superscript}}}"
        return made + (f"_{{{self.index(subscript)}}}" if subscript else "")

    def numeral(self, text: str) -> str:
        return text.replace("−", "-")

    def operator(self, symbol: str) -> str:
        return _OPERATORS.get(symbol) or rf" \mathbin{{\mathrm{{{escaped(symbol)}}}}} "

    def beside(self, parts: Sequence[str]) -> str:
        return "".join(parts)

    def quotient(self, top: str, bottom: str, top_level: int, bottom_level: int) -> str:
        return rf"\frac{{{top}}}{{{bottom}}}"

    def derivative(self, of: str, by: str) -> str:
        return rf"\frac{{\partial {of}}}{{\partial {by}}}"

    def derivative_inline(self, of: str, by: str) -> str:
        return rf"\partial {of}/\partial {by}"

    def noted(self, symbol: str, note: str) -> str:
        sign = self.operator(symbol)
        return rf" \mathbin{{{sign.strip()}_{{{self.index(note)}}}}} " if note else sign

    def raised(self, base: str, exponent: str) -> str:
        if "^" in base and not base.endswith((")", "]")):
            return f"{{{base}}}^{{{exponent}}}"
        return f"{base if _is_atom(base) else '{' + base + '}'}^{{{exponent}}}"

    def lowered(self, base: str, index: str) -> str:
        return f"{base}_{{{index}}}"

    def bracketed(self, body: str, left: str = "(", right: str = ")") -> str:
        first, second = _DELIMITERS[left]
        if r"\frac" in body or r"\sum" in body or r"\begin" in body:
            return rf"\left{first} {body} \right{second}"
        return (
            f"{first}{' ' if first[0] == chr(92) else ''}{body}{' ' if second[0] == chr(92) else ''}{second}"
        )

    def root(self, body: str, level: int) -> str:
        return rf"\sqrt{{{body}}}"

    def big(self, symbol: str, below: str, above: str, body: str) -> str:
        return f"{_BIG[symbol]}_{{{below}}}" + (f"^{{{above}}}" if above else "") + f" {body}"

    def function(self, name: str, primes: int) -> str:
        made = _FUNCTIONS.get(name) or rf"\operatorname{{{escaped(name)}}}"
        return made + "'" * primes

    def applied(self, function: str, arguments: str) -> str:
        return f"{function}{self.bracketed(arguments)}"

    def choices(self, rows: Sequence[tuple[str, str]]) -> str:
        return r"\begin{cases} " + r" \\ ".join(f"{a} & {b}" for a, b in rows) + r" \end{cases}"

    def grid(self, rows: Sequence[Sequence[str]]) -> str:
        if rows and len(rows[0]) > 10:  # more columns than a matrix of amsmath takes
            body = r" \\ ".join(" & ".join(row) for row in rows)
            return rf"\left[\begin{{array}}{{{'c' * len(rows[0])}}} {body} \end{{array}}\right]"
        tall = any(r"\frac" in part for row in rows for part in row)
        return (
            r"\begin{bmatrix} "
            + (r" \\[5pt] " if tall else r" \\ ").join(" & ".join(row) for row in rows)
            + r" \end{bmatrix}"
        )

    def words(self, text: str) -> str:
        if text in _DOTS:
            return _DOTS[text]
        return rf"\text{{{escaped(text)} }}"

    def index(self, text: str) -> str:
        """An index; words of several letters stand upright."""
        made, word = "", ""
        for c in [*text, ""]:
            if c.isascii() and c.isalpha():
                word += c
                continue
            made += word if len(word) < 4 or set(word) <= set("ijklmnpqrs") else rf"\mathrm{{{word}}}"
            word = ""
            made += _GREEK[c] + " " if c in _GREEK else _IN_INDEX.get(c, c)
        return made


def _is_atom(text: str) -> bool:
    return len(text) == 1 or text.endswith(("}", ")")) or text[1:].isalnum()


def fragment(e: Expression, lang: str = "en") -> str:
    """An expression as LaTeX for any place in mathematics mode.

    >>> from boxgrad.explain.expression import Symbol, product, transpose
    >>> fragment(product(transpose(Symbol("X", "X", shape=(3, 2))), Symbol("W", "W", shape=(3, 4))))
    'X^{\\\\mathsf{T}}\\\\,W'
    """
    return Latex(lang).write(e)


def aligned(e: Expression, note: str = "", lang: str = "en") -> str:
    """An equation as one row of ``align*``: the first relation is the place of alignment."""
    writer = Latex(lang)
    if isinstance(e, x.Relation):
        parts = [writer.write(side) for side in e.sides]
        sign = _OPERATORS[e.symbol].strip()
        text = f"{parts[0]} &{sign} " + f" {sign} ".join(parts[1:])
    else:
        text = writer.write(e)
    return text + (rf" && {{\scriptstyle {writer.index(note)}}}" if note else "")


_LOWERED = "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ"
_DOTS = {"⋮": r"\vdots", "⋯": r"\cdots"}
_FORMULA = re.compile(
    rf"∂(\w+?)/∂([A-Za-zα-ωΑ-Ω]+)((?:_\{{[^}}]*\}}|[{_LOWERED}]+)?)"
    rf"|([A-Za-zα-ωΑ-Ω]+)(_\{{[^}}]*\}}|[{_LOWERED}]+)|([⋆∗⊙×Σᵀ′→α-ωΑ-Ω])"
)
_IN_TEXT = {"×": r"\times", "⊙": r"\odot", "Σ": r"\Sigma", "ᵀ": r"^{\mathsf{T}}", "⋆": r"\star", "∗": r"\ast"}
_IN_TEXT |= {"′": "'", "→": r"\to"}
_DIGITS = str.maketrans(_LOWERED, "0123456789+-=()aehijklmnoprstuvx")


def prose(text: str) -> str:
    """A sentence with a little mathematics in plain text, for LaTeX's text mode."""
    made, position = "", 0
    for found in _FORMULA.finditer(text):
        made += escaped(text[position : found.start()]) + f"${_formula(found)}$"
        position = found.end()
    return made + escaped(text[position:])


def _formula(found: re.Match[str]) -> str:
    if found[6]:
        return _IN_TEXT.get(found[6]) or _GREEK[found[6]]
    writer = Latex()
    if found[4]:
        return writer.identifier(found[4], found[5].translate(_DIGITS).strip("_{}"), "")
    by = writer.identifier(found[2], found[3].translate(_DIGITS).strip("_{}"), "")
    return rf"\partial {writer.identifier(found[1], '', '')}/\partial {by}"


def document(title: str, body: str, chinese: bool = False) -> str:
    """A whole document: LaTeX with amsmath; Chinese needs xelatex or lualatex with ctex."""
    preamble = (
        r"\usepackage{ctex}"
        if chinese
        else r"\usepackage[T1]{fontenc}" + "\n" + r"\usepackage[utf8]{inputenc}"
    )
    return "\n".join(
        [
            r"\documentclass{article}",
            preamble,
            r"\usepackage{amsmath,amssymb}",
            r"\usepackage[margin=2.2cm]{geometry}",
            r"\usepackage{graphicx}",
            r"\newcommand{\fit}[1]{\[\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}"
            r"{$\displaystyle #1$}\]}",
            r"\allowdisplaybreaks",
            r"\setlength{\parindent}{0pt}",
            r"\begin{document}",
            rf"\section*{{{escaped(title)}}}",
            body,
            r"\end{document}",
            "",
        ]
    )

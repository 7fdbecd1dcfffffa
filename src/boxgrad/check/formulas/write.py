"""A formula written out again, in the notation and with the habits of whoever wrote it.

Three media: code (NumPy), text (∂L/∂X = …) and LaTeX. Knows precedence and glyphs; knows no numbers.
"""

from __future__ import annotations

from dataclasses import replace

from boxgrad.check.formulas.names import Vocabulary
from boxgrad.check.formulas.style import Style
from boxgrad.check.formulas.terms import Term
from boxgrad.explain import latex
from boxgrad.explain.expression import Symbol

SUM, PRODUCT, FACTOR, POWER, ATOM = range(1, 6)
_LATEX_SIGNS = {
    "×": r"\times", "⊙": r"\odot", "·": r"\cdot", "⊗": r"\otimes", "⋆": r"\star", "∗": r"\ast", "−": "-",
    "@": r"\cdot", "*": r"\odot",
}  # fmt: skip
_NUMPY = {
    "exp", "log", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "tanh", "sinh", "cosh", "arctan", "abs",
    "sign", "square",
}  # fmt: skip
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_LOWER = dict(zip("aehijklmnoprstuvx", "ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_CODE_NAMES = {"σ": "sigmoid", "ReLU": "relu", "max": "np.maximum", "min": "np.minimum", "outer": "np.outer"}
_LATEX_NAMES = {
    "σ": r"\sigma",
    "exp": r"\exp",
    "log": r"\log",
    "tanh": r"\tanh",
    "sin": r"\sin",
    "cos": r"\cos",
}


class Writer:
    """Terms as text in one style. ``explicit`` writes every bracket that says which product comes first."""

    def __init__(self, vocabulary: Vocabulary, style: Style, explicit: bool = False) -> None:
        self.vocabulary, self.style, self.explicit = vocabulary, style, explicit
        self.code, self.latex = style.notation == "code", style.notation == "latex"

    def write(self, term: Term, least: int = 0) -> str:
        """A term, in brackets where its level is below what stands around it."""
        text, level = getattr(self, f"_{term.op}")(term)
        return self.brackets(text) if level < least else text

    def brackets(self, text: str) -> str:
        if self.latex and (r"\frac" in text or r"\sum" in text):
            return rf"\left( {text} \right)"
        return f"({text})"

    def equation(self, left: str, right: Term) -> str:
        """The left side as it was written, and another right side."""
        return f"{left} = {self.write(right)}"

    # ---- leaves
    def symbol(self, key: str) -> str:
        """A value as it was written, or as every view prints it."""
        known = self.style.symbols.get(key)
        if known is not None:
            return known
        if self.code:
            return key
        if self.latex:
            return latex.fragment(self.vocabulary.symbol(key))
        return self.vocabulary.printed[key]

    def _name(self, term: Term) -> tuple[str, int]:
        return self.symbol(term.mark), ATOM

    def _number(self, term: Term) -> tuple[str, int]:
        return (f"{term.mark:.12g}", ATOM) if term.mark >= 0 else (f"−{-term.mark:.12g}", SUM)

    def _counted(self, term: Term) -> tuple[str, int]:
        return term.mark[0], ATOM

    def _count(self, term: Term) -> tuple[str, int]:
        return term.mark, ATOM

    def _ones(self, term: Term) -> tuple[str, int]:
        if self.code:
            return f"np.ones({term.mark})", ATOM
        sizes = "×".join(map(str, term.mark))
        if self.latex:
            return rf"\mathbf{{1}}_{{{sizes.replace('×', chr(92) + 'times ')}}}", ATOM
        return f"𝟏_{{{sizes}}}", ATOM

    @property
    def loss(self) -> str:
        """What the result is called."""
        return self.style.loss or self.symbol(self.vocabulary.output)

    @property
    def differential(self) -> str:
        if self.style.differential:
            return r"\mathrm{d}" if self.style.differential == "\\d" else self.style.differential
        return "d" if self.code else r"\partial " if self.latex else "∂"

    def _gradient(self, term: Term) -> tuple[str, int]:
        return self.derivative(self.loss, self.symbol(term.mark))

    def derivative(self, of: str, by: str) -> tuple[str, int]:
        form, d = self.style.derivative, self.differential
        if self.latex:
            if form == "nabla":
                return rf"\nabla_{{{by}}} {of}", ATOM
            if form == "applied":
                bottom = rf"{d}{self.style.variable}"
                return rf"\frac{{{d}{self._greek(of)}}}{{{bottom}}}({by})", ATOM
            return rf"\frac{{{d}{self._greek(of)}}}{{{d}{by}}}", FACTOR
        if form == "short":
            return f"{d}{by}", ATOM
        if form == "joined":
            return f"d{of}_d{by}", ATOM
        if form == "applied":
            return f"{d}{of}/{d}{self.style.variable}({by})", FACTOR
        if form == "nabla":
            return f"∇_{by} {of}", FACTOR
        return f"{d}{of}/{d}{by}", FACTOR

    def _greek(self, text: str) -> str:
        return latex.fragment(Symbol(text, text, shape=())) if len(text) == 1 else text

    def _partial(self, term: Term) -> tuple[str, int]:
        of, by = map(self.symbol, term.mark)
        own = Writer(self.vocabulary, replace(self.style, derivative=""))
        return own.derivative(of, by)

    def _through(self, term: Term) -> tuple[str, int]:
        sign = {"code": " * ", "latex": r" ", "text": " "}[self.style.notation]
        return self.write(term.parts[0], PRODUCT) + sign + self._partial(term)[0], PRODUCT

    # ---- sums and products
    def _add(self, term: Term) -> tuple[str, int]:
        return f"{self.write(term.parts[0], SUM)} + {self.write(term.parts[1], SUM + 1)}", SUM

    def _subtract(self, term: Term) -> tuple[str, int]:
        sign = "−" if self.style.notation == "text" else "-"
        return f"{self.write(term.parts[0], SUM)} {sign} {self.write(term.parts[1], SUM + 1)}", SUM

    def _negative(self, term: Term) -> tuple[str, int]:
        sign = "−" if self.style.notation == "text" else "-"
        return sign + self.write(term.parts[0], PRODUCT), SUM

    def _multiply(self, term: Term) -> tuple[str, int]:
        return self._product(term, "multiply")

    def _matmul(self, term: Term) -> tuple[str, int]:
        return self._product(term, "matmul")

    def _outer(self, term: Term) -> tuple[str, int]:
        if self.code:
            return f"np.outer({self.write(term.parts[0])}, {self.write(term.parts[1])})", ATOM
        return self._product(term, "outer")

    def _product(self, term: Term, kind: str) -> tuple[str, int]:
        sign, bare = term.mark if isinstance(term.mark, tuple) else (None, (False, False))
        if self.code:
            sign = {"multiply": "*", "matmul": "@"}[kind]
            same = term.parts[0].op == kind or term.parts[0].op not in ("multiply", "matmul")
            least = (PRODUCT if same else FACTOR, FACTOR)
        else:
            if sign is None or (sign in "*@" and sign):
                sign = self.style_sign(kind)
            least = tuple(PRODUCT if one and not self.explicit else FACTOR for one in bare)
        left, right = (self.write(part, level) for part, level in zip(term.parts, least, strict=True))
        if self.latex:
            sign = _LATEX_SIGNS.get(sign, sign)
        return (f"{left} {sign} {right}" if sign else f"{left} {right}"), PRODUCT

    def style_sign(self, kind: str) -> str:
        """The sign for a product that was not there before."""
        if kind == "matmul":
            return "" if self.latex or self.style.product == "" else "·"
        return "⊙" if kind == "multiply" else "⊗"

    def _conv(self, term: Term) -> tuple[str, int]:
        kind, note, _ = term.mark
        a, b = (self.write(part, FACTOR) for part in term.parts)
        if self.code:
            return f"conv({a}, {b})", ATOM
        sign = "∗" if kind in ("input", "transposed") else "⋆"
        if self.latex:
            return f"{a} {_LATEX_SIGNS[sign]}{f'_{{{note}}}' if note else ''} {b}", PRODUCT
        return f"{a} {sign}{f'_{{{note}}}' if note else ''} {b}", PRODUCT

    def _divide(self, term: Term) -> tuple[str, int]:
        top, bottom = term.parts
        if self.latex and term.mark != "/":
            return rf"\frac{{{self.write(top)}}}{{{self.write(bottom)}}}", FACTOR
        if self.code:
            return f"{self.write(top, PRODUCT)} / {self.write(bottom, POWER)}", PRODUCT
        return f"{self.write(top, POWER)}/{self.write(bottom, POWER)}", FACTOR

    def _power(self, term: Term) -> tuple[str, int]:
        base, exponent = self.write(term.parts[0], ATOM), self.write(term.parts[1], 0)
        if self.code:
            return f"{base} ** {self.write(term.parts[1], ATOM)}", POWER
        if self.latex:
            return f"{base}^{{{exponent}}}", POWER
        return base + (exponent.translate(_RAISED) if exponent.isdigit() else f"^({exponent})"), POWER

    def _transpose(self, term: Term) -> tuple[str, int]:
        inner, level = getattr(self, f"_{term.parts[0].op}")(term.parts[0])
        if level < ATOM or (self.latex and "^" in inner):
            inner = self.brackets(inner)
        mark = self.style.transpose or (".T" if self.code else r"^\top" if self.latex else "ᵀ")
        return inner + mark, ATOM

    # ---- functions
    def function(self, canonical: str, plain: bool = False) -> str:
        known = None if plain else self.style.functions.get(canonical)
        if known is not None:
            if self.latex:
                return _LATEX_NAMES.get(canonical) or self._named(known)
            return known
        if self.code:
            return f"np.{canonical}" if canonical in _NUMPY else _CODE_NAMES.get(canonical, canonical)
        if self.latex:
            return _LATEX_NAMES.get(canonical) or self._named(canonical)
        return canonical

    def _named(self, text: str) -> str:
        if text.endswith("′"):
            return self._named(text[:-1]) + "'"
        return self._greek(text) if len(text) == 1 else rf"\operatorname{{{text}}}"

    def _call(self, term: Term) -> tuple[str, int]:
        function, note = term.mark
        arguments = ", ".join(self.write(part) for part in term.parts)
        if self.code and self.style.slope == "numpy" and function in ("σ", "ReLU"):
            x = self.write(term.parts[0], POWER)
            return (f"1 / (1 + np.exp(-{x}))", PRODUCT) if function == "σ" else (f"np.maximum({x}, 0)", ATOM)
        if isinstance(note, tuple):
            note = note[0]
        if self.code and function == "reshape":
            return f"{self.write(term.parts[0], ATOM)}.reshape({note.replace('×', ', ')})", ATOM
        if self.code and function == "permute":
            before, _, after = note.partition("→")
            return f"np.transpose({arguments}, {tuple(before.index(c) for c in after)})", ATOM
        if function == "sqrt" and self.latex:
            return rf"\sqrt{{{arguments}}}", ATOM
        if function == "exp" and not self.code and len(arguments) <= 3 and "exp" not in self.style.functions:
            return (f"e^{{{arguments}}}" if self.latex else f"e^({arguments})"), POWER
        if self.code and function == "onehot":
            return f"np.eye({note})[{arguments}]", ATOM
        lowered = {str(n): "₀₁₂₃₄₅₆₇₈₉"[n] for n in range(10)} | _LOWER
        index = f"_{{{note}}}" if note else ""
        if note and not self.latex and all(c in lowered for c in note):
            index = "".join(lowered[c] for c in note)
        return f"{self.function(function)}{index}{self.brackets(arguments)}", ATOM

    def _slope(self, term: Term) -> tuple[str, int]:
        function, _ = term.mark
        argument = self.write(term.parts[0])
        if function == "applied":
            written = self.style.functions.get("applied") or next(iter(self.style.functions.values()), "f")
        else:
            written = self.function(function)
        form = self.style.slope
        if self.code and form == "numpy":
            return self._numpy_slope(function, term.parts[0], argument)
        if self.code:
            plain = self.style.functions.get(function) or _CODE_NAMES.get(function, function)
            return f"d{plain}({argument})", ATOM
        if form == "d":
            return f"d{written}({argument})", ATOM
        if form == "applied":
            return self._slope_at(written, self.style.variable, argument), ATOM if self.latex else FACTOR
        if form == "by value" and term.parts[0].op == "name":
            own = Writer(self.vocabulary, replace(self.style, derivative="", losses=set()))
            return own.derivative(written, argument)
        return f"{written}{chr(39) if self.latex else '′'}{self.brackets(argument)}", ATOM

    def _numpy_slope(self, function: str, inner: Term, x: str) -> tuple[str, int]:
        """A derivative as it is programmed, from the function's result where that has a name."""
        result = self.vocabulary.applied_to(inner.mark) if inner.op == "name" else None
        named = result is not None and not result.automatic
        y = (
            result.name
            if named and result is not None
            else self.write(Term("call", (inner,), (function, "")), ATOM)
        )
        if function == "σ":
            return f"{y} * (1 - {y})", PRODUCT
        if function == "tanh":
            return f"(1 - {y} ** 2)", ATOM
        if function == "ReLU":
            return f"({x} > 0)", ATOM
        if function in ("exp", "sin", "cos", "log"):
            known = {"exp": y, "sin": f"np.cos({x})", "cos": f"-np.sin({x})", "log": f"1 / {x}"}[function]
            return known, SUM if function in ("cos", "log") else ATOM
        return f"d{_CODE_NAMES.get(function, function)}({x})", ATOM

    def _slope_at(self, written: str, variable: str, argument: str) -> str:
        d = self.differential
        if self.latex:
            return rf"\frac{{{d}{written}}}{{{d}{variable}}}{self.brackets(argument)}"
        return f"{d}{written}/{d}{variable}({argument})"

    def _sum(self, term: Term) -> tuple[str, int]:
        kind, axes, keep = term.mark
        if self.code:
            name = {"Σ": "sum", "Π": "prod", "mean": "mean"}.get(kind, kind)
            options = [] if axes is None else [f"axis={axes[0] if len(axes) == 1 else axes}"]
            options += ["keepdims=True"] if keep else []
            return f"np.{name}({', '.join([self.write(term.parts[0]), *options])})", ATOM
        letters = "" if axes is None else ",".join("ijklmn"[axis] for axis in axes)
        if not self.latex and len(letters) == 1:
            return f"{kind}{_LOWER[letters]} {self.write(term.parts[0], FACTOR)}", PRODUCT
        symbol = {"Σ": r"\sum", "Π": r"\prod"}.get(kind, rf"\{kind}") if self.latex else kind
        below = (f"_{{{letters}}}" if self.latex or len(letters) > 1 else f"_{letters}") if letters else ""
        body = self.write(term.parts[0], FACTOR if self.latex else ATOM)
        return f"{symbol}{below} {body}", PRODUCT

    def _reduce(self, term: Term) -> tuple[str, int]:
        symbol, letters = term.mark
        glyph = {"Σ": r"\sum", "Π": r"\prod"}.get(symbol, rf"\{symbol}") if self.latex else symbol
        below = ",".join(letters)
        body = self.write(term.parts[0], PRODUCT)
        if not self.latex and len(below) == 1:
            return f"{glyph}{_LOWER.get(below, '_' + below)} {body}", PRODUCT
        return f"{glyph}_{{{below}}} {body}", PRODUCT

    def _index(self, term: Term) -> tuple[str, int]:
        letters = ("," if ":" in term.mark else "").join(term.mark)
        inner = term.parts[0]
        symbol = self.vocabulary.symbol(inner.mark) if inner.op in ("name", "gradient") else None
        if symbol is not None and symbol.subscript and not self.code:  # an element of z₂ is z⁽²⁾ᵢ
            element = self._element(symbol.base, symbol.subscript, letters)
            return (element, ATOM) if inner.op == "name" else self.derivative(self.loss, element)
        base = self.write(inner, ATOM)
        if term.parts[0].op == "gradient" and not self.latex and self.style.derivative in ("", "inline"):
            base = self.write(term.parts[0])  # ∂L/∂N_ij: the index belongs to N
        if not self.latex and all(c in _LOWER for c in letters):
            return base + "".join(_LOWER[c] for c in letters), ATOM
        return (f"{base}_{{{letters}}}" if self.latex or len(letters) > 1 else f"{base}_{letters}"), ATOM

    def _element(self, base: str, subscript: str, letters: str) -> str:
        """One element of a value whose name has a subscript of its own."""
        if self.latex:
            return f"{latex.fragment(Symbol(base, base, shape=()))}^{{({subscript})}}_{{{letters}}}"
        raised = subscript.translate(_RAISED) if subscript.isdigit() else ""
        mark = f"⁽{raised}⁾" if raised else f"^{{({subscript})}}"
        plain = all(c in _LOWER for c in letters)
        return base + mark + ("".join(_LOWER[c] for c in letters) if plain else f"_{{{letters}}}")

    def _item(self, term: Term) -> tuple[str, int]:
        text, first = term.mark
        base = self.write(term.parts[0], ATOM)
        if self.code:
            return f"{base}[{text}]", ATOM
        return f"{base}_{{{text.replace(',', '') if first else text}}}", ATOM

    _pick = _item

    def _indicator(self, term: Term) -> tuple[str, int]:
        inner = self.write(term.parts[0])
        return (f"({inner})" if self.code else f"[{inner}]"), ATOM

    def _compare(self, term: Term) -> tuple[str, int]:
        signs = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥"}
        sign = term.mark if self.code else signs.get(term.mark, term.mark)
        if self.latex:
            sign = {"≠": r"\ne", "≤": r"\le", "≥": r"\ge"}.get(sign, sign)
        return f"{self.write(term.parts[0], SUM)} {sign} {self.write(term.parts[1], SUM)}", 0

    def _both(self, term: Term) -> tuple[str, int]:
        return (
            f"{self.write(term.parts[0], SUM)} {'&' if self.code else '∧'} {self.write(term.parts[1], SUM)}",
            0,
        )

    def _either(self, term: Term) -> tuple[str, int]:
        return (
            f"{self.write(term.parts[0], SUM)} {'|' if self.code else '∨'} {self.write(term.parts[1], SUM)}",
            0,
        )

    def _matrix(self, term: Term) -> tuple[str, int]:
        width = term.mark[1]
        cells = [self.write(part) for part in term.parts]
        rows = [cells[i : i + width] for i in range(0, len(cells), width)]
        if self.latex:
            body = r" \\ ".join(" & ".join(row) for row in rows)
            return rf"\begin{{bmatrix}} {body} \end{{bmatrix}}", ATOM
        if self.code:
            return "np.array([" + ", ".join(f"[{', '.join(row)}]" for row in rows) + "])", ATOM
        return "[" + "; ".join("  ".join(row) for row in rows) + "]", ATOM

    def _where(self, term: Term) -> tuple[str, int]:
        rows = list(zip(term.parts[::2], term.parts[1::2], strict=True))
        if self.code:
            (a, c), (b, _) = rows[0], rows[-1]
            return f"np.where({self.write(c)}, {self.write(a)}, {self.write(b)})", ATOM
        return "{" + "; ".join(f"{self.write(a)} if {self.write(c)}" for a, c in rows) + "}", ATOM

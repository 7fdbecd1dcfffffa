"""From text to tokens: LaTeX, and plain mathematics as it is typed or printed (∂L/∂X = (∂L/∂S ⊙ σ′(N)) Wᵀ).

Both become the same tokens, so that there is one grammar. Knows characters, commands, and which words are
names; knows nothing of what a formula means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from boxgrad.check.claim_words import WORDS
from boxgrad.check.claimed import ClaimProblem
from boxgrad.check.formulas.names import SUBSCRIPTS, SUPERSCRIPTS, WHOLE, Vocabulary
from boxgrad.explain.naming import GREEK as GREEK_NAMES
from boxgrad.explain.words import word


class Token(NamedTuple):
    """A token: number, name, sub, mark, prime, T, big, frac, begin, end or op, and its place in the line."""

    kind: str
    text: str
    at: int
    end: int


GREEK = GREEK_NAMES | {
    "varepsilon": "ε", "vartheta": "θ", "varphi": "φ", "varrho": "ρ", "varsigma": "σ", "ell": "ℓ",
}  # fmt: skip
_SIGNS = {
    "times": "×", "odot": "⊙", "circ": "⊙", "cdot": "·", "otimes": "⊗", "star": "⋆", "ast": "∗", "div": "/",
    "partial": "∂", "nabla": "∇", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠", "neq": "≠",
    "lt": "<", "gt": ">", "land": "∧", "lor": "∨", "vert": "|", "lvert": "|", "rvert": "|", "mid": "|",
    "lbrace": "{", "rbrace": "}", "lbrack": "[", "rbrack": "]", "bullet": "·", "prime": "′", "bigodot": "⊙",
    "odiv": "/", "oslash": "/", "ldots": "…", "cdots": "…", "dots": "…", "hadamard": "⊙", "colon": ":",
}  # fmt: skip
_BIG = {"sum": "Σ", "prod": "Π", "max": "max", "min": "min"}
_WORDS = {
    "exp", "log", "ln", "tanh", "sin", "cos", "tan", "sinh", "cosh", "arctan", "softmax", "sigmoid",
}  # fmt: skip
_WRAPPERS = {
    "mathbf", "boldsymbol", "bm", "mathrm", "mathit", "mathsf", "mathcal", "mathbb", "mathfrak", "text",
    "textbf", "textit", "textrm", "operatorname", "vec", "overrightarrow", "hat", "bar", "tilde", "underline",
    "mathtt", "texttt", "pmb",
}  # fmt: skip
_IGNORED = {
    "left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "displaystyle",
    "limits", "nolimits", "quad", "qquad", "textstyle", "scriptstyle", "nonumber", "notag", ",", ";", ":",
    "!", " ", "thinspace",
}  # fmt: skip
_TRANSPOSES = {"T", "⊤", "ᵀ", "t", "⊺", "top", "intercal", "Τ"}
_CHARACTERS = {
    "−": "−", "-": "−", "+": "+", "*": "*", "/": "/", "(": "(", ")": ")", "[": "[", "]": "]", "{": "{",
    "}": "}", ",": ",", ";": ";", "=": "=", "×": "×", "⊙": "⊙", "∘": "⊙", "·": "·", "⋅": "·", "•": "·",
    "@": "@", "⊗": "⊗", "⋆": "⋆", "∗": "∗", "<": "<", ">": ">", "≤": "≤", "≥": "≥", "≠": "≠", "|": "|",
    "∧": "∧", "∨": "∨", "√": "√", "∂": "∂", "∇": "∇", "^": "^", ":": ":", "…": "…", "÷": "/", "⊘": "/",
    "↦": "→", "→": "→", "–": "−", "∙": "·", "（": "(", "）": ")", "，": ",", "＝": "=", "＋": "+", "&": "",
}  # fmt: skip
_LETTERS = r"[A-Za-zα-ωΑ-Ωℓ]"


class Source:
    """A line being read: the text, its language of complaint, and the names it may use."""

    def __init__(self, line: str, vocabulary: Vocabulary, lang: str, local: set[str] | None = None) -> None:
        self.line, self.vocabulary, self.lang = line, vocabulary, lang
        self.local = local or set()
        """Names that earlier lines defined."""

    def problem(self, key: str, at: int, **values: object) -> ClaimProblem:
        """What is wrong, with a caret below the place."""
        what = word(key, self.lang, WORDS, **values)
        line = self.line.replace("\t", " ")
        wide = sum(1 for c in line[:at] if ord(c) > 0x2E7F)
        what, _, repair = what.partition("\n")
        text = word("syntax", self.lang, WORDS, what=what, line=line, caret=" " * (at + wide) + "^")
        text += f"\n{repair}" if repair else ""
        return ClaimProblem("does not parse", text, at=at)

    # ---- words
    def knows(self, text: str) -> bool:
        """Whether a run of letters is one name."""
        v = self.vocabulary
        return (
            text in self.local
            or v.key(text) is not None
            or text in v.loss
            or v.function(text) is not None
            or text in WHOLE
            or text in ("e", "T", "if", "otherwise", "sum", "mean", "conv", "ones", "transpose")
        )

    def split(self, run: str) -> list[str]:
        """A run of letters as names: XW is X, W where both are values; dL is d, L."""
        if self.knows(run) or len(run) == 1:
            return [run]
        if run[0] == "d" and self.knows(run[1:]):
            return ["∂", run[1:]]
        best: list[list[str] | None] = [[]]
        for end in range(1, len(run) + 1):
            found: list[str] | None = None
            for start in range(end):
                before, part = best[start], run[start:end]
                if (
                    before is not None
                    and self.knows(part)
                    and (found is None or len(before) + 1 < len(found))
                ):
                    found = [*before, part]
            best.append(found)
        return best[-1] or [run]


def tokens(source: Source, latex: bool) -> list[Token]:
    """The tokens of a line."""
    found = list(_latex(source, source.line, 0) if latex else _plain(source))
    return [*found, Token("end", "", len(source.line), len(source.line))]


def _run(source: Source, run: str, at: int) -> Iterator[Token]:
    for part in source.split(run):
        size = 1 if part == "∂" else len(part)
        yield Token("op" if part == "∂" else "name", part, at, at + size)
        at += size


def _plain(source: Source) -> Iterator[Token]:
    line, at = source.line, 0
    while at < len(line):
        c = line[at]
        rest = line[at:]
        if c.isspace():
            at += 1
            continue
        if found := re.match(r"[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?|\.[0-9]+", rest):
            yield Token("number", found[0], at, at + found.end())
        elif rest.startswith("**"):
            yield Token("op", "^", at, at + 2)
            at += 2
            continue
        elif found := re.match(r"\.(T|ᵀ)\b", rest):
            yield Token("T", ".T", at, at + found.end())
        elif found := re.match(r"(Σ|∑|Π|∏|sum|max|min)(?=_|[₀-₉ᵢⱼₖₗₘₙₜᵣₛₚ])|[∑Σ∏Π](?![\w(])|[∑∏]", rest):
            big = {"∑": "Σ", "∏": "Π", "sum": "Σ"}.get(found[0], found[0])
            yield Token("big", big, at, at + found.end())
        elif c == "𝟏" or c == "𝟎":
            found = re.match(r".", rest)
            yield Token("name", c, at, at + 1)
        elif found := _name(source, rest):
            yield from _run(source, found[0], at)
        elif found := re.match(r"_\{[^}]*\}|_\([^)]*\)|_[A-Za-z0-9]+|[" + "".join(SUBSCRIPTS) + "]+", rest):
            text = "".join(SUBSCRIPTS.get(one, one) for one in found[0]).removeprefix("_").strip("{}")
            yield Token("sub", text.strip("()") if found[0].startswith("_(") else text, at, at + found.end())
        elif found := re.match(r"⁽[^⁾]*⁾", rest):
            yield Token("mark", "".join(SUPERSCRIPTS.get(one, one) for one in found[0]), at, at + found.end())
        elif found := re.match(r"\^\{(\([^}]*\))\}", rest):
            yield Token("mark", found[1], at, at + found.end())
        elif found := re.match(r"ᵀ|\^\{?\s*(T|⊤|ᵀ)(?![A-Za-z0-9(])\s*\}?|⊤", rest):
            yield Token("T", found[0], at, at + found.end())
        elif found := re.match(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼ⁿⁱ]+", rest):
            digits = "".join(SUPERSCRIPTS[one] for one in found[0])
            end = at + found.end()
            yield Token("op", "^", at, end)
            if digits.startswith("-"):
                yield Token("op", "{", at, end)
                yield Token("op", "−", at, end)
                yield Token("number", digits[1:], at, end)
                yield Token("op", "}", at, end)
            else:
                yield Token("number" if digits.isdigit() else "name", digits, at, end)
        elif found := re.match(r"[′'’`]+", rest):
            yield Token("prime", found[0], at, at + found.end())
        elif found := re.match(r"<=|>=|!=|==", rest):
            sign = {"<=": "≤", ">=": "≥", "!=": "≠", "==": "="}[found[0]]
            yield Token("op", sign, at, at + 2)
        elif c in _CHARACTERS:
            if _CHARACTERS[c]:
                yield Token("op", _CHARACTERS[c], at, at + 1)
            at += 1
            continue
        else:
            raise source.problem("character", at, name=c)
        assert found is not None
        at += found.end()


def _name(source: Source, rest: str) -> re.Match[str] | None:
    """A run of letters; with digits and underscores where the whole is a name."""
    whole = re.match(rf"{_LETTERS}[\w]*", rest)
    if whole is None:
        return None
    ascii_name = re.match(rf"{_LETTERS}(?:[A-Za-z0-9_α-ω]*[A-Za-z0-9α-ω])?", rest)
    if ascii_name and (
        source.knows(ascii_name[0]) or (ascii_name[0][0] == "d" and source.knows(ascii_name[0][1:]))
    ):
        return ascii_name
    digits = re.match(rf"{_LETTERS}+\d+", rest)
    if digits and (source.knows(digits[0]) or (digits[0][0] == "d" and source.knows(digits[0][1:]))):
        return digits
    return re.match(rf"{_LETTERS}+", rest)


# ---- LaTeX
def group(line: str, at: int) -> tuple[str, int, int]:
    """The argument at a place: its text, where that starts, and where reading goes on."""
    while at < len(line) and line[at].isspace():
        at += 1
    if at >= len(line):
        return "", at, at
    if line[at] == "{":
        depth = 0
        for end in range(at, len(line)):
            escaped = end > 0 and line[end - 1] == "\\"
            depth += (line[end] == "{" and not escaped) - (line[end] == "}" and not escaped)
            if depth == 0:
                return line[at + 1 : end], at + 1, end + 1
        return line[at + 1 :], at + 1, len(line)
    found = re.match(r"\\[A-Za-z]+\s*(\{[^{}]*\})?|\\.|.", line[at:])
    assert found is not None
    text = (
        found[0]
        if found[0].startswith("\\") and found[0][1:].split("{")[0] in _WRAPPERS
        else found[0].split("{")[0]
    )
    return text, at, at + len(text)


def plain(text: str) -> str:
    """The words of an index or exponent without commands."""
    for _ in range(3):
        text = re.sub(r"\\(?:" + "|".join(_WRAPPERS) + r")\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\\(?:" + "|".join(sorted(w for w in _WRAPPERS if w.isalpha())) + r")\s+(\w)", r"\1", text)
    text = re.sub(r"\\to\b", "→", text)
    text = re.sub(r"\\([A-Za-z]+)", lambda m: GREEK.get(m[1], _SIGNS.get(m[1], m[1])), text)
    return re.sub(r"\\.|[\s{}]", "", text)


def _latex(source: Source, line: str, offset: int) -> Iterator[Token]:
    at = 0
    while at < len(line):
        c, here = line[at], offset + at
        if c.isspace() or c in "~$":
            at += 1
        elif c == "&":
            yield Token("op", "&", here, here + 1)
            at += 1
        elif c == "\\":
            found = re.match(r"\\([A-Za-z]+|.)?", line[at:])
            assert found is not None
            command, start = found[1] or "", at
            at += found.end()
            if command in ("frac", "dfrac", "tfrac", "cfrac"):
                yield Token("frac", "", here, offset + at)
                for _ in range(2):
                    inner, begins, at = group(line, at)
                    yield Token("op", "{", offset + begins, offset + begins)
                    yield from _latex(source, inner, offset + begins)
                    yield Token("op", "}", offset + at - 1, offset + at)
            elif command in ("mathop", "mathbin", "mathrel"):
                inner, begins, at = group(line, at)
                yield from _latex(source, inner, offset + begins)
            elif command in _WRAPPERS:
                inner, begins, at = group(line, at)
                yield from _wrapped(source, command, inner, offset + start, offset + at)
            elif command in ("begin", "end"):
                inner, _, at = group(line, at)
                yield Token(command, inner.rstrip("*"), here, offset + at)
            elif command in GREEK:
                yield Token("name", GREEK[command], here, offset + at)
            elif command in _BIG:
                follows = line[at:].lstrip()
                kind = (
                    "big" if command in ("sum", "prod") or follows.startswith(("_", "\\limits")) else "name"
                )
                yield Token(kind, _BIG[command], here, offset + at)
            elif command in _WORDS:
                yield Token("name", command, here, offset + at)
            elif command in _SIGNS:
                kind = "prime" if command == "prime" else "op"
                yield Token(kind, _SIGNS[command], here, offset + at)
            elif command == "sqrt":
                inner, begins, at = group(line, at)
                yield Token("op", "√", here, here + 1)
                yield Token("op", "(", offset + begins, offset + begins)
                yield from _latex(source, inner, offset + begins)
                yield Token("op", ")", offset + at - 1, offset + at)
            elif command in ("top", "intercal"):
                yield Token("T", command, here, offset + at)
            elif command in ("{", "}", "|"):
                yield Token("op", command, here, offset + at)
            elif command == "\\":
                yield Token("op", ";", here, offset + at)
                if spacing := re.match(r"\s*\[[^\]]*\]", line[at:]):
                    at += spacing.end()
            elif command in _IGNORED or command == "":
                if command in ("left", "right") and line[at : at + 1] == ".":
                    at += 1
            else:
                raise source.problem("command", here, name="\\" + command)
        elif c == "_":
            inner, _, at = group(line, at + 1)
            yield Token("sub", plain(inner), here, offset + at)
        elif c == "^":
            start = at
            inner, begins, at = group(line, at + 1)
            bare = plain(inner)
            if bare in _TRANSPOSES or bare == "top":
                yield Token("T", line[start:at].rstrip(), here, offset + at)
            elif bare and set(bare) <= {"′", "'"}:
                yield Token("prime", bare, here, offset + at)
            elif re.fullmatch(r"\(.*\)", bare):
                yield Token("mark", bare, here, offset + at)
            else:
                yield Token("op", "^", here, here + 1)
                yield Token("op", "{", offset + begins, offset + begins)
                yield from _latex(source, inner, offset + begins)
                yield Token("op", "}", offset + at - 1, offset + at)
        elif found := re.match(r"'+", line[at:]):
            yield Token("prime", found[0], here, here + found.end())
            at += found.end()
        elif found := re.match(r"[0-9]+(\.[0-9]+)?", line[at:]):
            yield Token("number", found[0], here, here + found.end())
            at += found.end()
        elif found := _name(source, line[at:]):
            run = found[0].split("_")[0]
            yield from _run(source, run, here)
            at += len(run)
        elif c in _CHARACTERS:
            yield Token("op", _CHARACTERS[c], here, here + 1)
            at += 1
        else:
            yield from (
                one._replace(at=here, end=here + 1)
                for one in _plain(Source(c, source.vocabulary, source.lang))
            )
            at += 1


def _wrapped(source: Source, command: str, inner: str, at: int, end: int) -> Iterator[Token]:
    """The content of a command that only changes the letters' look."""
    bare = plain(inner)
    if bare == "1" and command in ("mathbf", "mathbb", "boldsymbol", "bm", "mathrm"):
        yield Token("name", "𝟏", at, end)
    elif bare == "0" and command in ("mathbf", "boldsymbol", "bm"):
        yield Token("name", "𝟎", at, end)
    elif bare == "d":
        yield Token("op", "∂", at, end)
    elif command.startswith("text") or command in ("operatorname", "mathrm", "mathit", "mathsf", "mathtt"):
        if bare:
            yield Token("name", bare, at, end)
    elif command in ("mathbin", "mathop") or "\\" in inner or "_" in inner or "^" in inner:
        yield from (one._replace(at=at, end=end) for one in _latex(source, inner, at))
    else:
        yield from (one._replace(at=at, end=end) for one in _run(source, bare, at))

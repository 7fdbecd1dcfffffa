"""Formulas as claims: read in their notation, decided where they are ambiguous, evaluated at any point.

A text may hold one formula or several, with definitions between them; each formula is judged by itself, the
true upstream gradients standing in it, so that a mistake shows where it is made and nowhere else. What the
function's own explanation prints is understood too, its forward lines as statements about values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, final

import numpy as np

from boxgrad.check.arguments import Places
from boxgrad.check.claim_words import WORDS
from boxgrad.check.claimed import Arrays, Claim, ClaimProblem
from boxgrad.check.formulas.code import CodeParser, NotPythonError
from boxgrad.check.formulas.diagnosis import Diagnosis
from boxgrad.check.formulas.equation import Formula, decide, evaluators
from boxgrad.check.formulas.names import Vocabulary
from boxgrad.check.formulas.parse import Parser
from boxgrad.check.formulas.style import Style
from boxgrad.check.formulas.terms import Term
from boxgrad.check.formulas.tokens import Source
from boxgrad.check.formulas.value import Evaluator, UnfitError
from boxgrad.check.formulas.write import Writer
from boxgrad.check.subject import Subject
from boxgrad.check.verdict import Finding
from boxgrad.explain.words import LANGUAGES, word
from boxgrad.explain.words import WORDS as WORDS_OF_VIEWS

_MATHEMATICS = re.compile("[∂⊙ᵀ′·−×Σ∑√∇⊤⋆∗⊗𝟏₀-₉ᵢⱼₖₗ⁰¹²³⁴-⁹∘⋅’]")
_HEADINGS = [WORDS_OF_VIEWS[key][lang] for key in ("math_expanded", "math_numbers") for lang in LANGUAGES]
_EXPANDED = re.compile(rf"^.*?\b({'|'.join(_HEADINGS)})\}}?\s*$", re.MULTILINE)
"""The headings of the sections that write every element out."""
_BEGINS = re.compile(r"\s*(=(?!=)|[+×⊙·⋅⊗*@/−-]|\\(times|odot|cdot)\b)")
_GOES_ON = re.compile(r"([=+*@/×⊙−-]|\\(times|odot|cdot|quad|,))\s*$")
_QUAD = re.compile(r",?\s*\\q?quad\b|\n")
_PART = re.compile(r"\s*\\([dt]?frac|left|sum|mathbf|boldsymbol|bm|sigma|mathrm)\b[^=]*$")
"""A line of LaTeX that goes on with the one before."""
_SHAPE_NOTE = re.compile(r"\s{3,}(\d+(×\d+)*|t = 1.*)\s*$")


@final
class FormulaClaim(Claim):
    """Gradients as formulas."""

    def __init__(
        self, formulas: Sequence[Formula], subject: Subject, vocabulary: Vocabulary, lang: str
    ) -> None:
        self.formulas, self.vocabulary, self.lang = tuple(formulas), vocabulary, lang
        self._subject = subject
        self.evaluators = evaluators(subject, vocabulary)
        for formula in self.formulas:
            decide(formula, self.evaluators)
        spoken = dict.fromkeys(one.key for one in self.formulas if one.what == "gradient")
        self.arguments = tuple(name for name in spoken if name in vocabulary.wrt)
        self.remarks = tuple(dict.fromkeys(self._remarks()))
        self.sized = any(_has_sizes(formula.reading, subject) for formula in self.formulas)

    def _remarks(self) -> Iterator[str]:
        """Which reading was taken, where there were several."""
        for formula in self.formulas:
            counted = {one.mark for _, one in formula.reading.walk() if one.op == "counted"}
            for name, value in sorted(counted, key=str):
                if name.isidentifier():
                    yield word("read_as_count", self.lang, WORDS, name=name, value=value)
            if formula.several:
                style = formula.style
                if style.notation == "latex":
                    style = replace(
                        style, notation="text", symbols={}, transpose="", functions={}, differential=""
                    )
                text = Writer(self.vocabulary, style, explicit=True).write(formula.reading)
                yield word("read_as", self.lang, WORDS, formula=text)

    def gradients(self, args: Sequence[Any]) -> Arrays:
        """The value of each formula at a point.

        Raises:
            ClaimProblem: the shapes in a formula do not fit.
        """
        evaluator = self._evaluator(args)
        found: Arrays = {}
        for formula in self.formulas:
            if formula.key in self.arguments and not (formula.key in found and formula.right):
                try:
                    found[formula.key] = np.array(formula.value(evaluator))
                except UnfitError as error:
                    shapes = ", ".join("×".join(map(str, shape)) or "()" for shape in error.shapes)
                    text = word("shapes", self.lang, WORDS, formula=formula.line, shapes=shapes)
                    raise ClaimProblem("impossible shape", text, formula.key) from None
        return found

    def findings(self, lang: str) -> tuple[Finding, ...]:
        """One finding for each wrong formula, with its smallest repair."""
        return formula_findings(self, self._subject, lang=lang)

    def _evaluator(self, args: Sequence[Any]) -> Evaluator:
        leaves = Places(args).leaves
        if [np.shape(leaf) for leaf in leaves] == [np.shape(leaf) for leaf in self._subject.given.leaves]:
            return Evaluator(self._subject, self.vocabulary, self._subject.point(leaves, "given"))
        other = Subject(self._subject.function, args, self._subject.wrt)
        return Evaluator(other, Vocabulary(other.model), other.given)


def _has_sizes(term: Term, subject: Subject) -> bool:
    """Whether a formula has numbers in it that are sizes of the arguments."""
    sizes = {n for leaf in subject.given.leaves for n in (*np.shape(leaf), np.size(leaf))} - {0, 1, 2}
    for _, one in term.walk():
        if one.op in ("ones", "counted", "conv") or (one.op == "call" and one.mark[1]):
            return True
        if one.op == "number" and (one.mark in sizes or (one.mark % 1 and one.mark != 0.5)):
            return True
    return False


# ---- reading
def formula_claim(
    text: str | Sequence[str], subject: Subject, chosen: Sequence[str], lang: str
) -> FormulaClaim:
    """The claim that a text makes.

    Args:
        text: a formula, several lines of them, or a list: ``"dL/dX = dL/dN @ W.T"``, LaTeX, or mathematics as
            it is printed. A formula without a left side is the gradient of the one argument ``chosen``.
        subject: the function.

    Raises:
        ClaimProblem: of kind "does not parse", with the line and a mark at the place.
    """
    vocabulary = Vocabulary(subject.model)
    texts = [text] if isinstance(text, str) else list(text)
    try:
        found = _read(texts, vocabulary, chosen, lang)
        return FormulaClaim(found, subject, vocabulary, lang)
    except RecursionError:
        line = max(texts, key=len)
        line = line if len(line) < 80 else line[:77] + "…"
        problem = Source(line, vocabulary, lang).problem("nested", 0)
        raise ClaimProblem(problem.kind, problem.text) from None


def _read(texts: Sequence[str], vocabulary: Vocabulary, chosen: Sequence[str], lang: str) -> list[Formula]:
    """The formulas of some texts, at least one of them about a gradient."""
    local: dict[str, Term] = {}
    found: list[Formula] = []
    lines = [(line, notation) for one in texts for line, notation in split(one)]
    several = len(lines) > 1
    for line, notation in lines:
        if several and "=" not in line:
            continue  # a heading or a sentence
        found += _formulas(line, notation, vocabulary, chosen, lang, local, several)
    if not any(one.what != "value" for one in found):
        if found:  # X = … without a derivative on the left
            raise ClaimProblem("does not parse", _no_target(found[0].line, vocabulary, lang))
        raise ClaimProblem("does not parse", _no_target(texts[0] if texts else "", vocabulary, lang))
    return found


def _no_target(line: str, vocabulary: Vocabulary, lang: str) -> str:
    return Source(line, vocabulary, lang).problem("no_target", 0).text


def notation_of(text: str) -> str:
    """code, text or latex."""
    if re.search(r"\\[A-Za-z,;!]", text):
        return "latex"
    return "text" if _MATHEMATICS.search(text) else "code"


def split(text: str) -> Iterator[tuple[str, str]]:
    """The formulas of a text, each with its notation."""
    text = _EXPANDED.split(text)[0]
    notation = notation_of(text)
    if notation == "latex":
        if "\\begin{document}" in text:
            text = text.partition("\\begin{document}")[2].partition("\\end{document}")[0]
        text = re.sub(
            r"\\(begin|end)\{(align|aligned|equation|gather|gathered|split|eqnarray|multline)\*?\}", "", text
        )
        text = re.sub(r"(?<!\\)\\[\[\]]|\\label\{[^}]*\}|\$\$?", " ", text)
        text = re.sub(r"&&\s*\{?\\scriptstyle.*?(?=\\\\|$)", " ", text, flags=re.MULTILINE)
        pieces = [piece.replace("\x00", "&") for row in _rows(text) for piece in _QUAD.split(row)]
    elif notation == "code":
        pieces = [piece.split("#")[0] for row in text.split("\n") for piece in row.split(";")]
    else:
        pieces = [_SHAPE_NOTE.sub("", row) for row in text.split("\n")]
    for piece in _joined(pieces):
        yield re.sub(r"(?<=\S)\s*[。；;，,.]\s*$", "", piece), notation


def _rows(text: str) -> list[str]:
    """The rows of aligned formulas; the rows of matrices and cases stay together, & in them marked."""
    rows, depth, at = [""], 0, 0
    for found in re.finditer(r"\\\\(\[[^\]]*\])?|\\begin\{|\\end\{|&|\n", text):
        rows[-1] += text[at : found.start()]
        at = found.end()
        depth += (found[0] == "\\begin{") - (found[0] == "\\end{")
        if depth or found[0] == "\\end{":
            rows[-1] += {"&": "\x00", "\n": " "}.get(found[0], found[0])
        elif found[0].startswith("\\\\"):
            rows.append("")
        else:
            rows[-1] += " " if found[0] == "&" else found[0]
    rows[-1] += text[at:]
    return rows


def _joined(pieces: Sequence[str]) -> list[str]:
    """Pieces with their continuations: those that begin with a sign, or whose brackets are open."""
    found: list[str] = []
    for piece in pieces:
        if not piece.strip():
            continue
        opened = bool(found) and any(found[-1].count(a) > found[-1].count(b) for a, b in ("()", "[]"))
        if found and (opened or _BEGINS.match(piece) or _GOES_ON.search(found[-1]) or _PART.match(piece)):
            found[-1] = f"{found[-1].rstrip()} {piece.strip()}"
        else:
            found.append(piece.strip())
    return found


def _formulas(
    line: str,
    notation: str,
    vocabulary: Vocabulary,
    chosen: Sequence[str],
    lang: str,
    local: dict[str, Term],
    several: bool,
) -> Iterator[Formula]:
    """The equations of one line; a definition is kept in ``local`` instead."""
    style, source = Style(notation), Source(line, vocabulary, lang, set(local))
    if several and re.match(r"^[^\s=]+\s*\(x\)\)?\S*\s*=", line):
        return  # the definition of a function, in a printed explanation
    left, sides = _parsed(source, style, local)
    if isinstance(left, str):
        local[left] = sides[-1]
        return
    target = _target(left, chosen, vocabulary)
    if target is None:
        problem = source.problem("no_target", 0)
        raise problem
    what, key, letters = target
    if not style.left:
        style.left = _default_left(vocabulary, style, key)
    for side in sides:
        yield Formula(what, key, letters, side, style, line)


def _parsed(source: Source, style: Style, local: dict[str, Term]) -> tuple[Term | str | None, list[Term]]:
    if style.notation != "code":
        return Parser(source, style.notation == "latex", style, local).equation()
    try:
        return CodeParser(source, style, local).equation()
    except NotPythonError as problem:
        other = Style("text")  # sigma'(N) W^T is not Python, but mathematics as one types it
        try:
            found = Parser(source, False, other, local).equation()
        except ClaimProblem as second:
            raise max(problem, second, key=lambda one: one.at) from None
        style.__dict__.update(other.__dict__)
        return found


def _default_left(vocabulary: Vocabulary, style: Style, key: str) -> str:
    own = Style(style.notation)
    writer = Writer(vocabulary, own)
    return writer.derivative(writer.symbol(vocabulary.output), writer.symbol(key))[0]


def _target(
    left: Term | None, chosen: Sequence[str], vocabulary: Vocabulary
) -> tuple[str, str, tuple[str, ...]] | None:
    """What the left side stands for."""
    if left is None:
        return ("gradient", chosen[0], ()) if len(chosen) == 1 else None
    letters: tuple[str, ...] = ()
    if left.op == "index":
        letters, left = left.mark, left.parts[0]
    if left.op == "gradient":
        return "gradient", left.mark, letters
    if left.op == "name":
        return "value", left.mark, letters
    if left.op == "partial":
        of, by = left.mark
        return "slope", f"{of}/{by}", letters
    if left.op == "slope" and left.parts[0].op == "name":
        result = vocabulary.applied_to(left.parts[0].mark)
        return None if result is None else ("slope", f"{result.name}/{left.parts[0].mark}", letters)
    return None


def formula_findings(
    claim: FormulaClaim, subject: Subject, points: Sequence[Any] = (), lang: str = "en"
) -> tuple[Finding, ...]:
    """What is wrong with the formulas of a claim: one finding for each wrong one, with its smallest repair.

    Args:
        claim: of :func:`formula_claim`, about ``subject``; it knows its points.
        points: not needed.
        lang: language of the words.
    """
    found: list[Finding] = []
    for formula in claim.formulas:
        if not formula.right:
            at = list(claim.evaluators.values())
            found.append(Diagnosis(formula, subject, claim.vocabulary, at, lang).finding())
    return tuple(found)

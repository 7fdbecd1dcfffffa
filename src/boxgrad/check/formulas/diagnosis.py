"""From the repair of a formula to a finding: what is wrong, in a sentence; where; and the right formula.

The repair is written as the formula was, and as NumPy. Knows words, places and notations; the search is
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from boxgrad.check.describe import Repairs
from boxgrad.check.formulas.edits import Edit
from boxgrad.check.formulas.equation import Formula
from boxgrad.check.formulas.names import Vocabulary
from boxgrad.check.formulas.search import Repair, Search
from boxgrad.check.formulas.style import Style
from boxgrad.check.formulas.terms import Path, Term, number
from boxgrad.check.formulas.value import Evaluator, UnfitError
from boxgrad.check.formulas.words import WORDS
from boxgrad.check.formulas.write import Writer
from boxgrad.check.hypotheses import factor_name
from boxgrad.check.mutations import sizes_of
from boxgrad.check.subject import Subject
from boxgrad.check.verdict import Finding, Where
from boxgrad.explain.boxes import Value
from boxgrad.explain.words import word

_PRODUCTS = ("multiply", "matmul", "outer")
_PLAIN = ("name", "gradient", "slope", "call", "ones")


class Diagnosis:
    """What is to be said of one wrong formula."""

    def __init__(
        self, formula: Formula, subject: Subject, vocabulary: Vocabulary, at: Sequence[Evaluator], lang: str
    ) -> None:
        self.formula, self.subject, self.vocabulary, self.at, self.lang = (
            formula,
            subject,
            vocabulary,
            at,
            lang,
        )
        style = formula.style
        self.own = Writer(vocabulary, style)
        if style.notation == "latex":  # sentences are plain text
            style = replace(style, notation="text", symbols={}, transpose="", functions={}, differential="")
        self.text = Writer(vocabulary, style)
        self.code = Writer(vocabulary, Style("code", derivative="joined", slope="numpy"))
        self.first = at[0]

    def say(self, key: str, **values: Any) -> str:
        return word(key, self.lang, WORDS, **values)

    # ---- the formula itself
    @property
    def left(self) -> str:
        if self.formula.style.notation == "latex":
            target = Term(
                self.formula.what if self.formula.what == "gradient" else "name", (), self.formula.key
            )
            return self.text.write(
                Term("index", (target,), self.formula.letters) if self.formula.letters else target
            )
        return self.formula.style.left

    @property
    def line(self) -> str:
        return self.text.equation(self.left, self.formula.reading)

    @property
    def gradient(self) -> str:
        return (
            f"∂{self.vocabulary.printed[self.vocabulary.output]}/∂{self.vocabulary.printed[self.formula.key]}"
        )

    def finding(self) -> Finding:
        """The finding: the cheapest repair, others beside it."""
        key = self.formula.key
        if self.formula.what != "gradient":
            return self._statement()
        repairs = Search(self.formula, self.vocabulary, self.at).repairs()
        if not repairs:
            clause = self._shape_clause(None)
            text = self.say("nothing found", formula=self.line) + clause
            own = Repairs(self.subject.model)
            kind = "impossible shape" if clause else "unknown"
            place = self._place(None)
            return Finding(key, kind, place, self._evidence(), text, own.formula(key), own.code(key))
        first, *rest = [self._repaired(one) for one in repairs]
        others = {one.kind: one for one in reversed(rest) if one.kind != first.kind}
        return replace(first, alternatives=tuple(list(others.values())[::-1]))

    def _statement(self) -> Finding:
        """A wrong line that is not about a gradient: N = X Wᵀ."""
        key = self.formula.key.partition("/")[0]
        text = self.say("statement", formula=self.line, value=self.vocabulary.printed[key])
        return Finding("", "another loss", self._where(self.vocabulary.values[key]), {}, text)

    def _repaired(self, repair: Repair) -> Finding:
        tree = self._rescaled(repair)
        formula = self.own.equation(self.formula.style.left, tree)
        code = self.code.equation(self.code.write(Term("gradient", (), self.formula.key)), tree)
        if any(one.op in ("through", "partial", "reduce", "index", "conv") for _, one in tree.walk()):
            code = Repairs(self.subject.model).code(self.formula.key)
        evidence = self._evidence()
        if repair.factor != 1:
            evidence["factor"] = repair.factor
        kind = self._kind(repair)
        text = self.line + self.say("colon") + self.say("and").join(self._sentences(repair))
        text += self._shape_clause(repair.edits[0] if repair.edits else None)
        return Finding(self.formula.key, kind, self._place(repair), evidence, text, formula, code)

    def _evidence(self) -> dict[str, float | str]:
        key = self.formula.key
        worst = 0.0
        for evaluator in self.at:
            truth = np.asarray(self.formula.truth(evaluator))
            try:
                value = self.formula.value(evaluator)
            except UnfitError:
                return {f"error {key}": float("inf")}
            if np.shape(value) != truth.shape:
                return {f"error {key}": float("inf"), "shape": _shape(np.shape(value))}
            size = max(float(np.linalg.norm(truth)), float(np.linalg.norm(value)))
            worst = max(worst, float(np.linalg.norm(value - truth)) / size if size else 0.0)
        return {f"error {key}": worst}

    def _kind(self, repair: Repair) -> str:
        edits = repair.edits
        if not edits:
            return "sign" if repair.factor == -1 else "constant factor"
        first = edits[0]
        if first.key == "name" and not self.first.fits(self.formula.reading):
            return "impossible shape"
        return first.kind

    def _rescaled(self, repair: Repair) -> Term:
        """The repaired formula with the factor that is left."""
        factor, tree = repair.factor, repair.tree
        if factor == 1:
            return tree
        if factor == -1:
            return tree.parts[0] if tree.op == "negative" else Term("negative", (tree,))
        name = factor_name(1 / factor, self._sizes)
        name = f"{1 / factor:.12g}" if "." in name else name
        top, _, bottom = name.partition("/")
        scale = (
            number(float(top))
            if not bottom
            else Term("divide", (number(float(top)), number(float(bottom))), "/")
        )
        if top == "1" and self.formula.style.notation == "code":
            return Term("divide", (tree, number(float(bottom))), "/")
        sign = "*" if self.formula.style.notation == "code" else ""
        return Term("multiply", (scale, tree), (sign, (False, tree.op in _PRODUCTS)))

    @property
    def _sizes(self) -> list[int]:
        return sizes_of(self.subject.tape)

    # ---- sentences
    def _sentences(self, repair: Repair) -> Iterator[str]:
        for edit in repair.edits:
            if self.text.write(edit.old) != self.text.write(edit.new):
                yield self._sentence(edit)
        if repair.factor == -1:
            yield self.say("opposite")
        elif repair.factor != 1:
            yield self.say("constant", factor=factor_name(repair.factor, self._sizes).replace("-", "−"))

    def _sentence(self, edit: Edit) -> str:
        w, old, new = self.text.write, edit.old, edit.new
        if edit.key in ("name", "transposed", "not transposed", "function"):
            before = self._tree_before(edit)
            inside = self._slope_around(edit.path, before)
            if inside is not None and edit.key == "name":
                function = self.text.function(inside.mark[0]) if inside.mark[0] != "applied" else "f"
                return self.say("at", function=function, new=w(new), old=w(old))
            return self._as_factor(edit, before)
        if edit.key == "extra":
            gone = next((one for one in old.parts if one != new), old)
            return self.say("extra", gone=w(gone), new=w(new))
        if edit.key in ("factor", "term", "path"):
            if edit.key == "path":
                return self.say("path", more=w(new), value=self.vocabulary.printed[new.mark[0]])
            return self.say(edit.key, more=w(new.parts[1] if new.parts[0] == old else new.parts[0]))
        if edit.key == "sum over":
            return self.say("sum over", axis=", ".join(map(str, new.mark[1])), new=w(new))
        if edit.key == "no sum":
            return self.say("no sum", old=w(old))
        if edit.key in WORDS and edit.key not in ("one",):
            return self.say(edit.key, new=w(new), old=w(old))
        return self.say("instead", new=w(new), old=w(old))

    def _tree_before(self, edit: Edit) -> Term:
        return edit.tree.put(edit.path, edit.old)

    def _slope_around(self, path: Path, tree: Term) -> Term | None:
        """The derivative of a function inside whose argument a place is."""
        found: Term | None = None
        for step in path:
            found = tree if tree.op == "slope" else found
            tree = tree.parts[step]
        return found

    def _as_factor(self, edit: Edit, before: Term) -> str:
        """The last factor must be Wᵀ."""
        factors = list(_factors(before))
        for place, (path, term) in enumerate(factors):
            if edit.path[: len(path)] != path or len(factors) < 2:
                continue
            inner = term.parts[0] if term.op == "transpose" else term
            if inner.op not in _PLAIN:
                break
            new = edit.tree
            for step in path:
                new = new.parts[step]
            ordinals = ["first", "second", "third"]
            if place == len(factors) - 1:
                ordinal = "last"
            elif place < len(ordinals):
                ordinal = ordinals[place]
            else:
                break
            return self.say("factor must be", ordinal=self.say(ordinal), new=self.text.write(new))
        return self.say("instead", old=self.text.write(edit.old), new=self.text.write(edit.new))

    def _shape_clause(self, edit: Edit | None) -> str:
        """Why the shapes alone tell that the formula is wrong."""
        key = self.formula.key
        wanted = np.shape(self.formula.truth(self.first))
        shape_of = {
            "gradient": self.gradient,
            "value": self.vocabulary.printed[key],
            "wanted": _shape(wanted),
        }
        try:
            value = self.formula.value(self.first)
        except UnfitError:
            rule = self.say("shape of", **shape_of)
            return self._misfit(edit) + rule
        if np.shape(value) != wanted:
            return self.say("other shape", shape=_shape(np.shape(value)) or self.say("scalar"), **shape_of)
        return ""

    def _misfit(self, edit: Edit | None) -> str:
        if edit is not None and edit.key == "name" and edit.old.is_leaf and edit.new.is_leaf:
            a, b = edit.old, edit.new
            shapes = [self.first.shape(one) for one in (a, b)]
            if shapes[0] != shapes[1]:
                return self.say(
                    "not even",
                    a=self.text.write(a),
                    b=self.text.write(b),
                    shape_a=_shape(shapes[0] or ()) or self.say("scalar"),
                    shape_b=_shape(shapes[1] or ()) or self.say("scalar"),
                )
        for _, term in self.formula.reading.walk():
            shapes = [self.first.shape(part) for part in term.parts]
            if len(shapes) == 2 and None not in shapes and not self.first.fits(term):
                a, b = term.parts
                return self.say(
                    "do not fit",
                    a=self.text.write(a),
                    b=self.text.write(b),
                    shape_a=_shape(shapes[0] or ()) or self.say("scalar"),
                    shape_b=_shape(shapes[1] or ()) or self.say("scalar"),
                )
        return ""

    # ---- places
    def _place(self, repair: Repair | None) -> Where | None:
        """The box whose derivative is wrong: that of the function, or the one that uses the value."""
        for edit in repair.edits if repair is not None else ():
            around = self._slope_around(edit.path, self._tree_before(edit))
            slope = around or next((t for _, t in edit.new.walk() if t.op == "slope"), None)
            if slope is not None and (around is not None or edit.key in ("factor", "name")):
                argument = next((t.mark for _, t in edit.new.walk() if t.op == "name"), None)
                result = self.vocabulary.applied_to(argument) if argument else None
                if result is not None:
                    return self._where(result)
        user = self.vocabulary.user_of([self.formula.key])
        return None if user is None else self._where(user)

    def _where(self, value: Value) -> Where:
        box = next((one for one in self.subject.model.boxes if value in one.outputs), None)
        if box is None:
            return Where(value.name, "", value.node.place)
        return Where(value.name, box.title, self.subject.site(box) or value.node.place)


def _factors(tree: Term, path: Path = ()) -> Iterator[tuple[Path, Term]]:
    """The factors of a product, products of products taken apart."""
    if tree.op in _PRODUCTS:
        for i, part in enumerate(tree.parts):
            yield from _factors(part, (*path, i))
    elif tree.op == "negative":
        yield from _factors(tree.parts[0], (*path, 0))
    else:
        yield path, tree


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))

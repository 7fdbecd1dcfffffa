"""From a mutation to a finding: where it is, what it means, and the repair as formula and as code.

The formulas and the code are those of ``explain``, for the same model. Knows words and views; finds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from boxgrad.check.case import Case
from boxgrad.check.forward import ForwardEdit
from boxgrad.check.hypotheses import Hypothesis, factor_name
from boxgrad.check.mutations import Mutation, box_name, sizes_of
from boxgrad.check.verdict import Finding, Where
from boxgrad.check.words import detail_in, phrase, said, sentence
from boxgrad.errors import BoxgradError, Place
from boxgrad.explain.boxes import Model
from boxgrad.explain.code import code_of
from boxgrad.explain.math import math_of
from boxgrad.graph.node import Node

LARGEST = 400
"""The most nodes of a function whose formulas are written out for a repair."""
OTHERS = 6
"""How many alternatives a finding names."""


class Repairs:
    """The right formula and the right line of code for the gradient of a value."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @cached_property
    def _formulas(self) -> dict[str, str]:
        if len(self._model.graph.nodes) > LARGEST:
            return {}
        try:
            with np.errstate(all="ignore"):
                lines = math_of(self._model, expand=False).section("backward")
        except BoxgradError:
            return {}
        return {line.value.name: line.text for line in reversed(lines) if line.value is not None}

    @cached_property
    def _code(self) -> dict[str, str]:
        if len(self._model.graph.nodes) > LARGEST:
            return {}
        found: dict[str, list[str]] = {}
        try:
            source = code_of(self._model).source
        except BoxgradError:
            return {}
        for line in source.splitlines():
            made = re.match(r"\s+dL_d(\w+)(\[.*\])? \+?= ", line)
            if made:
                found.setdefault(made[1], []).append(re.sub(r"\s+# \(.*\)$", "", line.strip()))
        return {name: "; ".join(lines[:3]) for name, lines in found.items()}

    def formula(self, name: str) -> str:
        """∂L/∂(value) = …, as the explanation has it."""
        return self._formulas.get(name, "")

    def code(self, name: str) -> str:
        """The line that computes it."""
        return self._code.get(name, "")


class Describer:
    """Findings in the words of a language."""

    def __init__(self, case: Case, lang: str) -> None:
        self.case, self.lang = case, lang
        self.tape = case.tape
        self.repairs = Repairs(case.subject.model)
        self.sizes = sizes_of(case.tape)

    # ---- places
    def where(self, node: Node, others: Iterable[Node] = ()) -> Where:
        """The place of a node's box, and those of others of the same class."""
        name = box_name(self.tape, node)
        more = dict.fromkeys(box_name(self.tape, other) for other in others)
        more.pop(name, None)
        return Where(name, self.tape.box_of[node].title, self.line(node), tuple(more))

    def line(self, node: Node) -> Place | None:
        """The user's line of a node, or of the box that it is in."""
        return node.place or self.case.subject.site(self.tape.box_of[node])

    def gradient(self, name: str) -> str:
        return f"∂{self.case.subject.model.output.name}/∂{name}"

    def input_name(self, mutation: Mutation) -> str:
        """The name of the value whose gradient the mistake gets wrong first."""
        return self.value_name(mutation.edge.input, mutation.edge.node)

    def repaired(self, x: Node, name: str) -> str:
        """The value whose gradient is to be written out: the first on the way back that has a formula."""
        node: Node | None = x
        while node is not None and not self.repairs.formula(name):
            below = [e.input for e in self.tape.edges if node in e.sources]
            node = below[0] if below else None
            value = None if node is None else self.tape.value(node)
            name = value.name if value is not None else name
        return name

    def value_name(self, x: Node, user: Node) -> str:
        value = self.tape.value(x)
        if value is not None:
            return value.name
        box = self.tape.box_of[user]
        inputs = [v for v in box.inputs if v.node in self.tape.gradient]
        return inputs[0].name if inputs else box.outputs[-1].name

    # ---- findings
    def mutation(
        self, hits: Sequence[Mutation], argument: str = "", functions: Sequence[ForwardEdit] = ()
    ) -> Finding:
        """The finding of a class of mutations that give the same gradient; the first is the likeliest.

        ``functions`` are other functions that the claim is the right gradient of.
        """
        if functions:
            other, own = self.function_edit(functions), self.mutation(hits, argument)
            first, second = (other, own) if functions[0].rank < hits[0].rank else (own, other)
            return replace(
                first,
                alternatives=(replace(second, alternatives=()), *first.alternatives, *second.alternatives),
            )
        best = hits[0]
        others: list[Finding] = []
        seen = {(best.kind, best.box)}
        for hit in hits[1:]:
            if (hit.kind, hit.box) not in seen:
                seen.add((hit.kind, hit.box))
                others.append(self._one(hit, argument, []))
        return self._one(best, argument, hits[1:], tuple(others))

    def _one(
        self, hit: Mutation, argument: str, rest: Sequence[Mutation], others: tuple[Finding, ...] = ()
    ) -> Finding:
        name = self.input_name(hit)
        evidence: dict[str, float | str] = {"copies": hit.copies} if hit.copies > 1 else {}
        evidence |= {f"error {self.name(x)}": self.case.errors[x] for x in self.case.wrong}
        if hit.detail:
            evidence["instead"] = hit.detail
        return Finding(
            argument or self._argument(),
            hit.kind,
            self.where(hit.place, (other.place for other in rest if other.kind == hit.kind)),
            evidence,
            self._sentence(hit, name),
            self.repairs.formula(self.repaired(hit.edge.input, name)),
            self.repairs.code(self.repaired(hit.edge.input, name)),
            others,
        )

    def exchanged(self, a: Node, b: Node) -> Finding:
        """The finding of two gradients that stand in each other's place."""
        names = self.name(a), self.name(b)
        text = sentence("exchanged", self.lang, one=self.gradient(names[0]), other=self.gradient(names[1]))
        edges = self.tape.into[a][:1]
        evidence: dict[str, float | str] = {
            f"error {n}": self.case.errors[x] for n, x in zip(names, (a, b), strict=True)
        }
        where = self.where(edges[0].node) if edges else None
        return Finding("", "parameter swapped", where, evidence, text, self.repairs.formula(names[0]))

    def pair(self, found: Sequence[tuple[Mutation, Mutation]]) -> list[Finding]:
        """The findings of two mistakes that explain the claim together."""
        first = [self._one(hit, self.of(hit), []) for hit in found[0]]
        others = [self._one(hit, self.of(hit), []) for pair in found[1:] for hit in pair]
        text = said("several", self.lang, count=2)
        return [
            replace(
                one,
                evidence={**one.evidence, "mistakes": 2},
                explanation=f"{text} {one.explanation}",
                alternatives=tuple(o for o in others if o.where != one.where or o.kind != one.kind)[:OTHERS],
            )
            for one in first
        ]

    def of(self, hit: Mutation) -> str:
        """The input that a mistake shows in, where it is one alone."""
        names = [self.name(x) for x in self.case.wrong if x in self.tape.reach.get(hit.edge.input, ())]
        return names[0] if len(names) == 1 else ""

    def function_edit(self, edits: Sequence[ForwardEdit]) -> Finding:
        """The finding of other functions that the claim is the gradient of."""
        made: list[Finding] = []
        seen: set[tuple[str, str]] = set()
        for edit in edits[: 2 * OTHERS]:
            where = self.where(edit.node)
            if (edit.kind, where.box) in seen:
                continue
            seen.add((edit.kind, where.box))
            evidence: dict[str, float | str] = {
                f"error {self.name(x)}": self.case.errors[x] for x in self.case.wrong
            }
            detail = phrase(edit.detail[0], self.lang, *edit.detail[1:])
            text = sentence(edit.kind, self.lang, box=where.box, detail=detail)
            made.append(Finding(self._argument(), edit.kind, where, {**evidence, "instead": detail}, text))
        return replace(made[0], alternatives=tuple(made[1 : 1 + OTHERS]))

    def name(self, x: Node) -> str:
        return self.tape.model.values[x].name

    def _argument(self) -> str:
        return self.name(self.case.wrong[0]) if len(self.case.wrong) == 1 else ""

    def _sentence(self, hit: Mutation, name: str) -> str:
        box = box_name(self.tape, hit.place)
        values = {
            "box": box,
            "gradient": self.gradient(name),
            "value": name,
            "detail": detail_in(hit.detail, self.lang),
            "function": self.function(hit.place),
            "upstream": self.gradient(box),
        }
        factor = self.factor(hit) if hit.kind in ("constant factor", "sum too wide", "sign") else None
        if factor is not None and factor != -1:
            values["factor"] = factor_name(factor, self.sizes)
            values["meaning"] = self._meaning(factor)
            return sentence("scaled", self.lang, **values)
        for key in (f"{hit.kind}: {hit.key[0]}" if hit.key else "", hit.kind):
            text = sentence(key, self.lang, **values)
            if text:
                break
        if hit.copies > 1:
            text += said("copies", self.lang, count=hit.copies)
        return text

    def factor(self, hit: Mutation) -> float | None:
        """The number by which a mistake multiplies what its edge passes back, where it does no more."""
        if hit.copies > 1:
            return None
        look = self.case.looks[0]
        ((edge, replacement),) = hit.changes.items()
        try:
            with np.errstate(all="ignore"):
                made, true = np.asarray(replacement(look.now)), np.asarray(look.shares[edge])
        except (ValueError, TypeError, IndexError, KeyError):
            return None
        square = float(np.vdot(true, true))
        if made.shape != true.shape or not square:
            return None
        factor = float(np.vdot(true, made)) / square
        return factor if np.allclose(made, factor * true, rtol=1e-9, atol=0) else None

    def _meaning(self, factor: float) -> str:
        """What a factor, or the one over it, or half or twice it, is the size of."""
        values = [v for v in self.tape.model.values.values() if not v.automatic]
        for k in (factor, 1 / factor if factor else 0.0, factor * 2, 2 / factor if factor else 0.0):
            size = round(k)
            if size < 3 or abs(k - size) > 1e-6:
                continue
            for value in values:
                if size in value.shape:
                    axis = value.shape.index(size)
                    return sentence("axis size", self.lang, size=size, axis=axis, value=value.name)
            for value in values:
                if int(np.prod(value.shape)) == size:
                    return sentence("array size", self.lang, size=size, value=value.name)
        return ""

    def function(self, node: Node) -> str:
        """What a node computes, by the name of its function."""
        return node.primitive.name if node.primitive is not None else ""

    def hypothesis(self, x: Node, made: Sequence[Hypothesis]) -> Finding:
        """The finding of a hypothesis about one gradient as a whole."""
        best, name = made[0], self.name(x)
        return self._whole(x, best, tuple(self._whole(x, other) for other in made[1:]), name)

    def _whole(self, x: Node, made: Hypothesis, others: tuple[Finding, ...] = (), name: str = "") -> Finding:
        name = name or self.name(x)
        edges = self.tape.into.get(x, [])
        where = self.where(edges[0].node, (edge.node for edge in edges[1:])) if edges else None
        claimed = np.shape(self.case.looks[0].claims[x])
        text = sentence(
            f"whole {made.key}",
            self.lang,
            gradient=self.gradient(name),
            detail=detail_in(made.detail, self.lang),
            shape="×".join(map(str, x.shape)) or said("number", self.lang),
            claimed="×".join(map(str, claimed)) or said("number", self.lang),
        )
        evidence: dict[str, float | str] = {f"error {name}": self.case.errors[x]}
        if made.factor is not None:
            evidence["factor"] = made.factor
        return Finding(
            name,
            made.kind,
            where,
            evidence,
            text,
            self.repairs.formula(name),
            self.repairs.code(name),
            others,
        )

    def shape(self, x: Node) -> Finding:
        """The finding of a claim whose shape nothing explains."""
        return self._whole(x, Hypothesis("impossible shape", "shape"))

    def unknown(self, nodes: Sequence[Node], wrong: Sequence[Node]) -> Finding:
        """The finding where no single mistake explains the claim: what is known of its place."""
        names = [self.gradient(self.name(x)) for x in wrong]
        argument = self.name(wrong[0]) if len(wrong) == 1 else ""
        where = self.where(nodes[0], nodes[1:]) if nodes else None
        both = said("and", self.lang).join(where.boxes) if where else ""
        key = "unknown at" if where else "unknown"
        text = sentence(key, self.lang, gradients=said("comma", self.lang).join(names), box=both)
        evidence: dict[str, float | str] = {f"error {self.name(x)}": self.case.errors[x] for x in wrong}
        name = argument or (self.name(wrong[0]) if wrong else "")
        return Finding(argument, "unknown", where, evidence, text, self.repairs.formula(name), "")

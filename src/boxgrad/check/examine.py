"""The examination of a claim: compare, vary, and diagnose what differs.

Knows the order of the questions about one claim and puts the findings together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from boxgrad.check.case import Case
from boxgrad.check.claimed import Claim, ClaimProblem
from boxgrad.check.compare import DOUBLE, error, noise, same, tolerance
from boxgrad.check.describe import Describer
from boxgrad.check.diagnose import diagnosed
from boxgrad.check.formula import FormulaClaim
from boxgrad.check.subject import Point, Subject
from boxgrad.check.vary import Variation, variations
from boxgrad.check.verdict import Finding, Verdict
from boxgrad.check.words import said, sentence
from boxgrad.graph.node import Node

NEIGHBOURS = 8
"""How many points next to a kink say which slopes there are."""


AGAIN = 8
"""How often a claim that is wrong is asked once more, for two calls may agree by chance."""


class Examination:
    """One claim about one subject."""

    def __init__(self, subject: Subject, claim: Claim, lang: str) -> None:
        self.subject, self.claim, self.lang = subject, claim, lang
        self.names = claim.arguments
        self.errors: dict[str, float] = dict.fromkeys(self.names, 0.0)
        self.points = 0
        self.notes: list[str] = list(claim.remarks)

    def verdict(self) -> Verdict:
        """What is to be said of the claim."""
        findings = self._findings()
        ok = not [f for f in findings if f.kind != "note"]
        used = {v.name for v in self.subject.model.wrt if v.role == "unused"}
        for name in self.names:
            if name in used:
                self.notes.append(said("unused", self.lang, title=self.subject.title, name=name))
        return Verdict(
            ok,
            tuple(findings),
            self.errors,
            self.subject.title,
            self.lang,
            tuple(dict.fromkeys(self.notes)),
            self.subject.model,
            self.points,
        )

    def _findings(self) -> list[Finding]:
        """What the claim itself says is wrong with it, and what comparing the rest shows."""
        own = list(self.claim.findings(self.lang))
        for finding in own:
            error_ = finding.evidence.get(f"error {finding.argument}")
            if error_ is not None:
                self.errors[finding.argument] = float(error_)
        if own and isinstance(self.claim, FormulaClaim):
            return own
        self.names = tuple(n for n in self.names if n not in {f.argument for f in own})
        try:
            return [*own, *(self._compared() if self.names else [])]
        except ClaimProblem as problem:
            return [*own, Finding(problem.argument, problem.kind, explanation=problem.text)]

    def _compared(self) -> list[Finding]:
        given = self._claimed(self.subject.given)
        uncertain = Finding("", "not deterministic", explanation=sentence("not deterministic", self.lang))
        if self._differs(given, 1):
            return [uncertain]
        points, claims = self._collected(given)
        infinite = self._infinite(points, claims)
        if infinite:
            return infinite
        self._measure(points, claims)
        wrong = self._wrong(points, claims)
        if not wrong:
            return self._varied()
        if self._differs(given, AGAIN):
            return [uncertain]
        random = [i for i, p in enumerate(points) if p.kind != "given"]
        elsewhere = self._wrong([points[i] for i in random], [claims[i] for i in random]) if random else wrong
        if not elsewhere:
            return self._at_kinks(wrong, given)
        precise = self._precision(wrong, points)
        if precise:
            return precise
        here = [i for i, p in enumerate(points) if p.kind == "given"]
        if random and not self._wrong([points[i] for i in here], [claims[i] for i in here]):
            self.notes.append(said("right here", self.lang))
        return self._diagnosed(points, claims)

    # ---- what is claimed
    def _differs(self, given: dict[str, Any], times: int) -> bool:
        """Whether one of some further calls with the same arguments gives another gradient."""
        for _ in range(0 if self.claim.fixed else times):
            again = self._claimed(self.subject.given)
            if any(
                not np.array_equal(given[n], again[n], equal_nan=True) and error(given[n], again[n]) > 1e-12
                for n in given
            ):
                return True
        return False

    def _claimed(self, point: Point) -> dict[str, Any]:
        return dict(self.claim.gradients(self.subject.places.filled(point.leaves)))

    def _collected(self, given: dict[str, Any]) -> tuple[list[Point], list[dict[str, Any]]]:
        """The points at which there is a claim, and the claims."""
        points, claims = [self.subject.given], [given]
        if self.claim.fixed:
            self.notes.append(said("only here", self.lang))
            return points, claims
        for point in self.subject.points:
            if point is self.subject.given:
                continue
            try:
                claims.append(self._claimed(point))
                points.append(point)
            except ClaimProblem as problem:
                self.notes.append(said("refused", self.lang, error=_short(problem.text)))
        return points, claims

    def _true(self, point: Point) -> dict[str, Any]:
        found = self.subject.gradients(point)
        return {name: found[name] for name in self.names}

    def _measure(self, points: Sequence[Point], claims: Sequence[dict[str, Any]]) -> None:
        self.points += len(points)
        for point, claim in zip(points, claims, strict=True):
            true = self._true(point)
            for name in self.names:
                self.errors[name] = max(self.errors[name], error(claim[name], true[name]))

    def _wrong(self, points: Sequence[Point], claims: Sequence[dict[str, Any]]) -> list[str]:
        """The inputs whose claim differs from the truth at some point."""
        found: dict[str, None] = {}
        for point, claim in zip(points, claims, strict=True):
            found.update(dict.fromkeys(wrong_at(self.subject, point, claim)))
        return [name for name in self.names if name in found]

    def _infinite(self, points: Sequence[Point], claims: Sequence[dict[str, Any]]) -> list[Finding]:
        found: dict[str, Finding] = {}
        for point, claim in zip(points, claims, strict=True):
            true = self._true(point)
            for name in self.names:
                bad = int(np.size(claim[name]) - np.sum(np.isfinite(claim[name])))
                if bad and np.all(np.isfinite(true[name])) and name not in found:
                    self.errors[name] = float("inf")
                    text = sentence(
                        "not finite",
                        self.lang,
                        gradient=self._gradient(name),
                        count=bad,
                        total=np.size(claim[name]),
                    )
                    found[name] = Finding(name, "not finite", None, {"count": bad}, text)
        return list(found.values())

    def _gradient(self, name: str) -> str:
        return f"∂{self.subject.model.output.name}/∂{name}"

    # ---- right elsewhere
    def _at_kinks(self, wrong: Sequence[str], given: dict[str, Any]) -> list[Finding]:
        """The claim is right at random points and not at the user's: there must be a kink at these."""
        low, high = self._slopes()
        findings: list[Finding] = []
        for name in wrong:
            claim = np.asarray(given[name])
            slack = 1e-4 * (np.abs(low[name]) + np.abs(high[name])) + 1e-9
            if claim.shape == low[name].shape and np.all(
                (claim >= low[name] - slack) & (claim <= high[name] + slack)
            ):
                self.notes.append(said("kinks", self.lang, gradient=self._gradient(name)))
                continue
            text = sentence("wrong at kinks", self.lang, gradient=self._gradient(name))
            findings.append(Finding(name, "wrong at kinks", None, {f"error {name}": self.errors[name]}, text))
        return findings

    def _slopes(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The least and the greatest slopes at points next to the user's, element by element."""
        random = np.random.default_rng(self.subject.seed)
        leaves = self.subject.given.double
        found: list[dict[str, Any]] = []
        for _ in range(NEIGHBOURS):
            moved = [
                x + 1e-6 * (1 + np.abs(x)) * random.choice([-1.0, 1.0], size=np.shape(x)) * random.random()
                if np.asarray(x).dtype.kind == "f"
                else x
                for x in leaves
            ]
            found.append(self._true(self.subject.point(moved)))
        low = {n: np.min([f[n] for f in found], axis=0) for n in self.names}
        return low, {n: np.max([f[n] for f in found], axis=0) for n in self.names}

    def _precision(self, wrong: Sequence[str], points: Sequence[Point]) -> list[Finding]:
        """Whether the claim is right as soon as it is computed in double precision."""
        if self.claim.fixed or not self.subject.is_single:
            return []
        worst = dict.fromkeys(wrong, 0.0)
        for point in points:
            double = self.subject.point(point.double)
            try:
                claim = self._claimed(double)
            except ClaimProblem:
                return []
            true = self._true(point)
            for name in wrong:
                worst[name] = max(worst[name], error(claim[name], true[name]))
        if any(value > 10 * DOUBLE for value in worst.values()):
            return []
        return [
            Finding(
                name,
                "precision only",
                None,
                {"single": self.errors[name], "double": worst[name]},
                sentence(
                    "precision only",
                    self.lang,
                    gradient=self._gradient(name),
                    single=f"{self.errors[name]:.1e}",
                    double=f"{worst[name]:.1e}",
                ),
            )
            for name in wrong
        ]

    # ---- other sizes
    def _varied(self) -> list[Finding]:
        """What is wrong for other sizes only, where the function allows other sizes."""
        if self.claim.fixed or self.claim.sized:
            return []
        for variation in variations(self.subject):
            other = Examination(variation.subject, self.claim, self.lang)
            findings = other.of_sizes(variation)
            self.points += other.points
            if findings:
                self.errors.update(other.errors)
                return findings
        return []

    def of_sizes(self, variation: Variation) -> list[Finding]:
        """What is wrong at the sizes of a variation."""
        points, claims = [], []
        for point in variation.points:
            try:
                claims.append(self._claimed(point))
                points.append(point)
            except ClaimProblem:  # sizes that mine has written in; the function may have them elsewhere
                return []
        known = set(self.subject.inputs)
        if any(name not in known for name in self.names):
            return []
        wrong = self._wrong(points, claims)
        fits = all(
            np.shape(c[n]) == np.shape(self._true(p)[n])
            for p, c in zip(points, claims, strict=True)
            for n in wrong
        )
        if not fits:  # another shape: sizes are written in
            return []
        self._measure(points, claims)
        if not wrong:
            return []
        inside = self._diagnosed(points, claims)
        findings: list[Finding] = []
        together = len(wrong) > 1 and len(inside) == 1 and not inside[0].argument
        for name in wrong[:1] if together else wrong:
            kind = variation.finding
            text = sentence(kind, self.lang, gradient=self._gradient(name), detail=variation.detail)
            found = [f for f in inside if f.argument in (name, "") and f.kind != "unknown"]
            first = found[0] if found else Finding(name, kind)
            findings.append(
                Finding(
                    "" if together else name,
                    kind,
                    first.where,
                    {f"error {name}": self.errors[name], "sizes": variation.detail},
                    f"{text} {first.explanation}".strip(),
                    first.formula,
                    first.code,
                    tuple(found),
                )
            )
        return findings

    # ---- wrong
    def _diagnosed(self, points: Sequence[Point], claims: Sequence[dict[str, Any]]) -> list[Finding]:
        subject = self.subject
        kept = [(p, c) for p, c in zip(points, claims, strict=True) if subject.follows(p)]
        random = [(p, c) for p, c in kept if p.kind != "given"]
        chosen = random or kept
        node = {value.name: value.node for value in subject.model.wrt}
        case = Case(
            subject,
            [p for p, _ in chosen],
            [{node[n]: np.asarray(c[n]) for n in self.names if n in node} for _, c in chosen],
        )
        result = diagnosed(case, Describer(case, self.lang))
        if result.seconds:
            self.notes.append(said("capped", self.lang, seconds=f"{result.seconds:g}"))
        return result.findings


def wrong_at(subject: Subject, point: Point, claim: dict[str, Any]) -> list[str]:
    """The inputs whose claim differs from the truth at a point."""
    true = subject.gradients(point)
    floor: dict[Node, float] = {}
    found: list[str] = []
    for name, c in claim.items():
        allowed = tolerance(c, *point.leaves)
        if same(c, true[name], allowed):
            continue
        if not floor:
            floor = noise(subject, point, allowed > 1e-6)
        assert point.tape is not None
        values = {v.name: v.node for v in point.tape.model.wrt}
        if not same(c, true[name], allowed, floor.get(values[name], 0.0)):
            found.append(name)
    return found


def _short(text: str) -> str:
    return text.splitlines()[0][:120]

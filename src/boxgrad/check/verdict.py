"""What a check found: the verdict, its findings, and where each is.

A finding has a kind, a place, numbers as evidence, an explanation and the repair as formula and as code; other
mistakes that give exactly the same gradient stand beside it as alternatives. Knows words; finds nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from boxgrad.check.words import kind_name, said
from boxgrad.errors import GradientMistake, Place


@dataclass(frozen=True)
class Where:
    """A place in the function: the value as every view names it, its box's function, and the user's line.

    ``more`` names the other boxes at which the same mistake would give the same gradient.
    """

    box: str
    title: str = ""
    line: Place | None = None
    more: tuple[str, ...] = ()

    @property
    def boxes(self) -> tuple[str, ...]:
        """All boxes of the class, the likeliest first."""
        return (self.box, *self.more)


@dataclass(frozen=True)
class Finding:
    """One mistake. ``argument`` names the gradient that it shows in, or is empty for all of them."""

    argument: str
    kind: str
    where: Where | None = None
    evidence: Mapping[str, float | str] = field(default_factory=dict)
    explanation: str = ""
    formula: str = ""
    code: str = ""
    alternatives: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """Whether a gradient is right, and what is wrong with it.

    ``ok`` is None where it could not be told. ``errors`` has for each argument the relative error, in norm, at the
    worst point.
    """

    ok: bool | None
    findings: tuple[Finding, ...] = ()
    errors: Mapping[str, float] = field(default_factory=dict)
    title: str = ""
    lang: str = "en"
    notes: tuple[str, ...] = ()
    model: Any = field(default=None, repr=False, compare=False)

    def raise_if_wrong(self) -> None:
        """Raise unless the gradient is right, for tests.

        Raises:
            GradientMistake: an AssertionError with the text of the verdict.
        """
        if not self.ok:
            raise GradientMistake(str(self))

    def __bool__(self) -> bool:
        return bool(self.ok)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        lang = self.lang
        wrong = dict.fromkeys(f"∂L/∂{f.argument}" if f.argument else "mine" for f in self.findings)
        if self.ok:
            lines = [said("right", lang, title=self.title)]
        elif self.ok is None:
            lines = [said("unclear", lang, title=self.title)]
        else:
            lines = [said("wrong", lang, title=self.title, wrong=said("and", lang).join(wrong))]
        for finding in self.findings:
            lines += self._finding(finding)
        return [*lines, *(f"  {note}" for note in self.notes)]

    def _finding(self, finding: Finding) -> list[str]:
        name = kind_name(finding.kind, self.lang)
        place = ""
        if finding.where is not None:
            line = finding.where.line
            place = ", " + (
                said("at", self.lang, box=finding.where.box, line=line) if line else finding.where.box
            )
        lines = [f"  {name}{place}"]
        if finding.explanation:
            lines.append(f"    {finding.explanation}")
        if finding.formula:
            lines.append(f"    {said('repair', self.lang)}: {finding.formula}")
        if finding.code:
            lines.append(f"    {said('repair', self.lang)}: {finding.code}")
        if finding.alternatives:
            others = "; ".join(kind_name(other.kind, self.lang) for other in finding.alternatives)
            lines.append(f"    {said('same', self.lang)}: {others}")
        return lines

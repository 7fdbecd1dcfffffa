"""What a check found: the verdict, its findings, and where each is.

A finding has a kind, a place, numbers as evidence, an explanation and the repair as formula and as code;
other mistakes that give exactly the same gradient stand beside it as alternatives. Knows words; finds nothing
itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from boxgrad.check.display import html
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

    ``ok`` is None where it could not be told. ``errors`` has for each argument the relative error, in norm,
    at the worst point.
    """

    ok: bool | None
    findings: tuple[Finding, ...] = ()
    errors: Mapping[str, float] = field(default_factory=dict)
    title: str = ""
    lang: str = "en"
    notes: tuple[str, ...] = ()
    model: Any = field(default=None, repr=False, compare=False)
    points: int = 0
    """At how many points the claim was compared, those of other sizes included."""

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

    def _repr_html_(self) -> str:
        return html(self)

    def _lines(self) -> list[str]:
        lang = self.lang
        if self.ok is None:
            lines = [said("unclear", lang, title=self.title)]
        elif self.ok:
            lines = [said("right", lang, title=self.title)]
            if self.points:
                largest = max(self.errors.values(), default=0.0)
                lines.append(f"  {said('points', lang, count=self.points, error=f'{largest:.1g}')}")
        else:
            wrong = [name for name, error in self.errors.items() if error > 1e-7] or list(self.errors)
            named = dict.fromkeys(f.argument for f in self.findings if f.argument)
            names = [
                n
                for n in self.errors
                if n in wrong and (n in named or "" in {f.argument for f in self.findings})
            ]
            text = said("comma", lang).join(self._gradient(name) for name in names or named)
            key = "wrong" if text else "wrong at all"
            lines = [said(key, lang, title=self.title, wrong=text)]
            if len(self.errors) > 1 and any(not f.argument for f in self.findings):
                each = [
                    f"{self._gradient(n)} {e:.2g}" for n, e in self.errors.items() if n in names and e > 0
                ]
                if each:
                    lines.append(f"  {said('errors', lang, errors=said('comma', lang).join(each))}")
        for number, finding in enumerate(self.findings, start=1):
            lines += ["", *self._finding(finding, f"{number}. " if len(self.findings) > 1 else "")]
        notes = [f"  {note}" for note in self.notes]
        return [*lines, *([""] if notes else []), *notes]

    def _gradient(self, name: str) -> str:
        output = self.model.output.name if self.model is not None else "L"
        return f"∂{output}/∂{name}"

    def _finding(self, finding: Finding, number: str) -> list[str]:
        lang = self.lang
        head = f"  {number}{kind_name(finding.kind, lang)}"
        where = finding.where
        if where is not None:
            more = said("comma", lang).join(where.more)
            place = said("or at", lang, box=where.box, more=more) if more else said("at", lang, box=where.box)
            head += f"{', ' if lang == 'en' else '，'}{place}"
        error = self.errors.get(finding.argument)
        if error is not None and 0 < error < float("inf"):
            separator = ", " if lang == "en" else "，"
            head += separator + said("error", lang, error=f"{error:.2g}")
        lines = [head]
        if finding.explanation:
            lines += [f"    {line}" for line in finding.explanation.splitlines()]
        rows = [("line", str(where.line) if where is not None and where.line is not None else "")]
        rows += [("repair", finding.formula), ("code", finding.code)]
        if finding.alternatives:
            rows.append(
                ("same", said("comma", lang).join(_short(other, lang) for other in finding.alternatives))
            )
        space = "" if lang == "zh" else " "
        return lines + [f"    {said(key, lang)}{space}{text}" for key, text in rows if text]


def _short(finding: Finding, lang: str) -> str:
    """A kind and its box."""
    name = kind_name(finding.kind, lang)
    return f"{name} ({finding.where.box})" if finding.where is not None else name

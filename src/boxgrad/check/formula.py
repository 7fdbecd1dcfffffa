"""Formulas as claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from boxgrad.check.claimed import Arrays, Claim, ClaimProblem


@final
class FormulaClaim(Claim):
    """A gradient as a formula."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.arguments = ()

    def gradients(self, args: Sequence[Any]) -> Arrays:
        """What the formula gives at a point."""
        raise ClaimProblem("does not parse", self.text)


def formula_claim(text: str | Sequence[str], subject: Any, chosen: Sequence[str], lang: str) -> FormulaClaim:
    """The claim that a formula makes."""
    return FormulaClaim(str(text))


def formula_findings(
    formula: FormulaClaim, subject: Any, points: Sequence[Any], lang: str = "en"
) -> tuple[Any, ...]:
    """What is wrong with a formula."""
    return ()

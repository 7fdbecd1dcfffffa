"""An equation about a function: what its left side is, and which reading of its right side is taken.

Knows values and shapes; knows no notation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from boxgrad.check.formulas.names import Vocabulary
from boxgrad.check.formulas.readings import Readings, natural
from boxgrad.check.formulas.style import Style
from boxgrad.check.formulas.terms import Term
from boxgrad.check.formulas.value import Evaluator, UnfitError, array_of, settled
from boxgrad.check.subject import Point, Subject


@dataclass(eq=False)
class Formula:
    """One equation. ``what`` says what its left side is: the gradient, the value or the slope of ``key``."""

    what: str
    key: str
    letters: tuple[str, ...]
    written: Term
    style: Style
    line: str
    reading: Term = field(init=False)
    right: bool = False
    several: bool = False
    """Whether it has other readings with the same shape."""

    def value(self, evaluator: Evaluator, reading: Term | None = None) -> np.ndarray[Any, Any]:
        """The right side as an array.

        Raises:
            UnfitError: it cannot be computed.
        """
        found = evaluator.value(reading or self.reading)
        if self.what == "value" and np.size(self.truth(evaluator)) == np.size(array_of(found)) == 1:
            return np.reshape(array_of(found), np.shape(self.truth(evaluator)))
        try:
            return settled(found, self.letters, np.shape(self.truth(evaluator)))
        except ValueError:
            raise UnfitError(reading or self.reading) from None

    def truth(self, evaluator: Evaluator) -> Any:
        """What the left side is."""
        if self.what == "gradient":
            return np.asarray(evaluator.gradients[self.key])
        if self.what == "value":
            return np.asarray(evaluator.values[self.key], np.float64)
        return evaluator.value(Term("partial", (), tuple(self.key.split("/"))))


def near(value: Any, truth: Any, around: float = 0.0) -> bool:
    """Equal in shape and in numbers, to the digits of double precision; others are ``around`` so large."""
    if np.shape(value) != np.shape(truth):
        return False
    scale = float(np.max(np.abs(truth), initial=0.0))
    return bool(np.all(np.abs(value - truth) <= 1e-8 * scale + 1e-13 * around))


def evaluators(subject: Subject, vocabulary: Vocabulary) -> dict[Point, Evaluator]:
    """An evaluator for each point where the function does the same, box by box."""
    points = [point for point in subject.points if subject.follows(point)]
    return {point: Evaluator(subject, vocabulary, point) for point in points}


def decide(formula: Formula, at: dict[Point, Evaluator]) -> None:
    """Choose the reading that is right, if any is; else the most natural one of the right shape."""
    everywhere = list(at.values())
    first = everywhere[0]
    readings = Readings(first).of(formula.written)
    fitting = [one for one in readings if _shape(formula, first, one) == np.shape(formula.truth(first))]
    for reading in fitting:
        if all(_is_near(formula, evaluator, reading) for evaluator in everywhere):
            formula.reading, formula.right = reading, True
            break
    else:
        formula.reading = (fitting or readings or [natural(formula.written, first)])[0]
    counted = _counts(formula.reading)
    alike = [one for one in fitting[:8] if _counts(one) == counted]
    values = {str(np.round(formula.value(first, one), 9).tolist()) for one in alike}
    formula.several = len(values) > 1


def _counts(term: Term) -> set[Term]:
    return {one for _, one in term.walk() if one.op == "counted"}


def _shape(formula: Formula, evaluator: Evaluator, reading: Term) -> tuple[int, ...] | None:
    try:
        return np.shape(formula.value(evaluator, reading))
    except UnfitError:
        return None


def _is_near(formula: Formula, evaluator: Evaluator, reading: Term) -> bool:
    try:
        return near(formula.value(evaluator, reading), formula.truth(evaluator), evaluator.size)
    except UnfitError:
        return False

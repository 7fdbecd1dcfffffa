"""Reads a printed document: computes its lines from first to last, those with an index t for every t.

It shares no code with boxgrad: it is given what goes in, and the shapes that are stated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from formula_evaluator import CannotEvaluateError, Formulas

_TIME = re.compile(r"ₜ|\bt\b")
_DIGITS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_PLAIN = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


class Reader:
    """Computes printed lines in order. ``given`` is what goes in; ``found`` is what the lines give."""

    def __init__(
        self,
        given: Mapping[str, Any],
        functions: Mapping[str, str],
        shapes: Mapping[str, tuple[int, ...]],
        stepwise: bool = False,
    ) -> None:
        self.known = Formulas(dict(given), dict(functions), dict(shapes), from_one=stepwise)
        self.found: dict[str, list[Any]] = {}
        self.parts: dict[str, dict[int, Any]] = {}
        self.unread: list[str] = []

    def read(self, lines: list[tuple[str, str]]) -> None:
        """Compute every line; a line is its text and its note, t = 1, …, 5."""
        at = 0
        while at < len(lines):
            stop = at + 1
            if lines[at][1].startswith("t = "):
                while stop < len(lines) and lines[stop][1] == lines[at][1]:
                    stop += 1
            texts = [text for text, _ in lines[at:stop]]
            try:
                if lines[at][1].startswith("t = "):
                    counted, self.known.from_one = self.known.from_one, True  # steps count from 1
                    self._repeated(texts, int(lines[at][1].rpartition(" ")[2]))
                    self.known.from_one = counted
                else:
                    self._define(texts[0])
            except (CannotEvaluateError, ValueError, IndexError) as problem:
                self.unread.append(f"{texts}  ({problem})")
            at = stop

    def _define(self, text: str) -> None:
        left, _, right = text.partition(" = ")
        part = re.fullmatch(r"\((.*)\)([₀-₉]+)", left)
        if part is not None:
            self._define_part(part[1], int(part[2].translate(_PLAIN)), right)
            return
        name, value = self.known.evaluate(text)
        shape = self.known.shapes.get(name)
        if shape is not None and np.size(value) == np.prod(shape, dtype=int):
            value = np.reshape(value, shape)
        if name not in self.found:  # a closed form comes later, and is only compared
            self.known.values[name] = value
        self.found.setdefault(name, []).append(value)
        if self.known.from_one and np.ndim(value):
            for t, one in enumerate(self.known.values[name], start=1):
                self.known.values.setdefault(timed(name, t), one)

    def _define_part(self, name: str, t: int, right: str) -> None:
        """(y)₃ = …: the third of the parts of y, which is known when all of them are."""
        _, value = self.known.evaluate(f"? = {right}")
        parts = self.parts.setdefault(name, {})
        parts[t] = value
        if len(parts) == self.known.shapes[name][0]:
            whole = np.stack([parts[t] for t in sorted(parts)])
            self.known.values.setdefault(name, whole)
            self.found.setdefault(name, []).append(whole)

    def _repeated(self, texts: list[str], last: int) -> None:
        before = set(self.known.values)
        wanted = set(re.findall(r"(\w+)(?:ₜ|_\{t)", " ".join(texts)))
        for name in before:
            value = self.known.values[name]
            if name.translate(dict.fromkeys(range(8320, 8330))) in _bases(texts) | wanted:
                for t in range(1, last + 1):
                    if np.ndim(value) and len(value) == last:
                        self.known.values.setdefault(timed(name, t), value[t - 1])
        orders = [list(range(1, last + 1)), list(range(last, 0, -1))]
        if texts[0].startswith("∂") or texts[0].startswith("(∂"):
            orders.reverse()
        failed: CannotEvaluateError | None = None
        for order in orders:
            values = dict(self.known.values)
            try:
                parts = self._run(texts, order, last)
                break
            except CannotEvaluateError as problem:
                failed = failed or problem
                self.known.values = values
        else:
            raise failed or CannotEvaluateError("no order")
        for name, found in parts.items():
            whole = np.stack([found[t] for t in range(1, last + 1)])
            self.known.values.setdefault(name, whole)
            self.found.setdefault(name, []).append(whole)

    def _run(self, texts: list[str], order: list[int], last: int) -> dict[str, dict[int, Any]]:
        parts: dict[str, dict[int, Any]] = {}
        for t in order:
            for text in texts:
                left, _, right = text.partition(" = ")
                whole = re.fullmatch(r"\((.*)\)ₜ", left)
                right = at(right, t)
                if left.startswith(("∂", "(∂")):
                    self._edge(right, last)
                name = whole[1] if whole else at(left, t)
                self.known.shape, self.known.gradient = None, name.startswith("∂")
                _, value = self.known.evaluate(f"{name if not whole else '?'} = {right}")
                if whole:
                    parts.setdefault(whole[1], {})[t] = value
                else:
                    self.known.values[name] = value
        return parts

    def _edge(self, text: str, last: int) -> None:
        """A term with something of the step beyond the last is 0, as the text says: so is each such name."""
        for outside in (0, last + 1):
            mark = str(outside).translate(_DIGITS)
            for head, name in re.findall(rf"(∂\w+/∂|)(\w+?{mark}|\w+_\{{\w+,{outside}\}})(?![₀-₉])", text):
                if head + name in self.known.values:
                    continue
                for t in (1, last):
                    like = name.replace(mark, str(t).translate(_DIGITS)).replace(f",{outside}}}", f",{t}}}")
                    if like in self.known.values:
                        self.known.values[head + name] = np.zeros_like(self.known.values[like])


def _bases(texts: list[str]) -> set[str]:
    """Names that have an index t, without their digits."""
    found = re.findall(r"([A-Za-zα-ωΑ-Ω]+)(?:ₜ|_\{[^}]*t[^}]*\})", " ".join(texts))
    return set(found)


def timed(name: str, t: int) -> str:
    """x at time 2 is x₂; z₃ is z_{3,2}."""
    found = re.match(r"^(.*?)([₀-₉]+)$", name)
    if found is None:
        return name + str(t).translate(_DIGITS)
    plain = found[2].translate(_PLAIN)
    return f"{found[1]}_{{{plain},{t}}}"


def at(text: str, time: int) -> str:
    """A formula at one time: t, t − 1 and t + 1 become numbers."""
    return re.sub(r"\bt\b(?!\w)", str(time), Formulas._at(text, time))

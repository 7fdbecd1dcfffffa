"""Lines of an emitted program, and the names in it.

A line knows which value it computes, in which box and direction; a name is given once. Knows no mathematics.
"""

from __future__ import annotations

import keyword
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from boxgrad.explain.boxes import Box
from boxgrad.explain.code_terms import Term

WIDTH = 100
FORWARD, BACKWARD = "forward", "backward"


@dataclass(eq=False, slots=True)
class Line:
    """A line of the file (a long statement runs over several).

    ``value`` is the name of the value that it computes (forward), or whose gradient it computes (backward);
    ``box`` is the box that it belongs to; both are None for lines around the computation.
    """

    text: str
    value: str | None = None
    box: Box | None = None
    direction: str | None = None
    reads: frozenset[str] = frozenset()
    number: int = 0


def names_in(*terms: Term) -> frozenset[str]:
    """All names that terms read."""
    return frozenset(x.data for term in terms for x in term.walk() if x.op == "name")


@dataclass(slots=True)
class Page:
    """Lines under an indentation, being written."""

    direction: str
    indent: int = 1
    lines: list[Line] = field(default_factory=list)
    box: Box | None = None
    """The box whose gradients are being written."""

    def add(
        self,
        text: str,
        *,
        value: str | None = None,
        box: Box | None = None,
        reads: Iterable[str] = (),
        comment: str = "",
    ) -> Line:
        """Write a line, with a comment."""
        room = " " * (4 * self.indent)
        whole = f"{room}{text}  # {comment}" if comment else f"{room}{text}"
        if len(whole) > WIDTH:
            whole = wrapped(text, room, comment)
        line = Line(whole, value, box, self.direction, frozenset(reads))
        self.lines.append(line)
        return line


def wrapped(text: str, room: str, comment: str = "") -> str:
    """A long statement in parentheses, over several lines."""
    after = f"  # {comment}" if comment else ""
    head, equals, rest = text.partition(" = ")
    if " += " in head or not equals:
        head, equals, rest = text.partition(" += ")
    if not equals or "(" in head:
        inner = textwrap.wrap(text, WIDTH, initial_indent=room, subsequent_indent=room + "    ", **_WHOLE)
        return "\n".join(inner) + after
    inner = _at_signs(rest, room + "    ")
    if inner:
        return "\n".join([f"{room}{head}{equals}({after}", *inner, f"{room})"])
    inner = textwrap.wrap(
        rest, WIDTH, initial_indent=room + "    ", subsequent_indent=room + "    ", **_WHOLE
    )
    return "\n".join([f"{room}{head}{equals}({after}", *inner, f"{room})"])


def _at_signs(text: str, room: str) -> list[str] | None:
    """A sum with a term on each line, if all of them fit."""
    parts, depth, start = [], 0, 0
    for i, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if not depth and text[i : i + 3] in (" + ", " - ") and i > start:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    if len(parts) == 1 or any(len(part) + len(room) > WIDTH for part in parts):
        return None
    return [room + part for part in parts]


_WHOLE: dict[str, bool] = {"break_long_words": False, "break_on_hyphens": False}
_RESERVED = {
    "np",
    "forward",
    "backward",
    "saved",
    "arguments",
    "erf",
    "conv",
    "windows",
    "range",
    "reversed",
    "len",
}


class NamesTaken:
    """Names of the program; each is given once."""

    def __init__(self, taken: Iterable[str], reserved: Iterable[str] = ()) -> None:
        self._taken = {*taken}
        self._reserved = {*_RESERVED, *reserved}

    def unique(self, wanted: str) -> str:
        """The wanted name, or with a number where it is taken."""
        name, number = wanted, 2
        while name in self._taken or name in self._reserved or keyword.iskeyword(name):
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name

    def automatic(self) -> str:
        """A name for a value that has none."""
        number = next(n for n in _counting() if f"a{n}" not in self._taken)
        self._taken.add(f"a{number}")
        return f"a{number}"


def _counting() -> Iterator[int]:
    number = 1
    while True:
        yield number
        number += 1

"""What a claim is, to whoever compares it: names of inputs, and their gradients at a point.

Knows how a claim that cannot be compared is reported; knows nothing of how claims are written.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from boxgrad.check.verdict import Finding
from boxgrad.errors import BoxgradError

Arrays = dict[str, np.ndarray[Any, Any]]


class ClaimProblem(BoxgradError, ValueError):  # noqa: N818
    """Why a claim cannot be compared: its ``kind``, and a ``text`` for the reader.

    ``argument`` names the input that it is about, where it is about one; ``at`` is the place in a formula.
    """

    def __init__(self, kind: str, text: str, argument: str = "", at: int = 0) -> None:
        super().__init__(text)
        self.kind, self.text, self.argument, self.at = kind, text, argument, at


class Claim(ABC):
    """Somebody's gradient of a function.

    ``arguments`` are the inputs it speaks of, by the names that the model of the function has for them.
    ``fixed`` tells that it is known only at the arguments it was given for, ``sized`` that it holds for their
    sizes only. ``remarks`` are sentences about how it was read.
    """

    arguments: tuple[str, ...]
    fixed: bool = False
    sized: bool = False
    remarks: tuple[str, ...] = ()

    @abstractmethod
    def gradients(self, args: Sequence[Any]) -> Arrays:
        """The claimed gradient of each argument at a point.

        Raises:
            ClaimProblem: nothing came back that can be compared.
        """

    def findings(self, lang: str) -> tuple[Finding, ...]:
        """What is wrong with it that can be told without comparing it as a whole: nothing, for most
        claims."""
        return ()


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    names = list(known)
    lower = {one.lower(): one for one in reversed(names)}
    if name.lower() in lower:
        return lower[name.lower()]
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return found[0] if found else None

"""Error classes, and the one place where a message is put together.

Every message says *what* happened, *where* (the user's line), *why*, and what to write *instead*.
Knows Python frames; knows nothing of graphs.
"""

from __future__ import annotations

import linecache
import sys
from functools import lru_cache
from os.path import basename, dirname
from types import CodeType, FrameType
from typing import NamedTuple, Self

import numpy as np

_PACKAGE = dirname(__file__) + "/"
_NUMPY = dirname(np.__file__) + "/"
# Layers and optimisers are plain NumPy over parameters: their lines explain a value as a user's do.
_ASIDE = (_PACKAGE + "nn/", _PACKAGE + "optim/")
verdicts: dict[CodeType, bool] = {}


class BoxgradError(Exception):
    """Base class of all errors that boxgrad raises on purpose."""

    @classmethod
    def because(cls, what: str, why: str, repair: str, where: Place | None = None) -> Self:
        """The error with a message of four parts; without ``where`` the user's present line is quoted."""
        return cls(message(what, why, repair, where))


class TraceError(BoxgradError, TypeError):
    """A call that cannot become part of a graph."""


class BranchError(TraceError):
    """Python control flow asked for a value where only types are known."""


class ShapeError(BoxgradError, ValueError):
    """Shapes or dtypes that do not fit together."""


class IndexingError(BoxgradError, IndexError):
    """An index outside its axis, or one that does not fit the array."""


class DerivativeError(BoxgradError, TypeError):
    """A derivative that does not exist or was asked of the wrong thing."""


class GradientMistake(BoxgradError, AssertionError):  # noqa: N818  it is found in the user's gradient
    """A gradient that a check found wrong."""


class GraphError(BoxgradError, ValueError):
    """A graph that is not well formed."""


@lru_cache(maxsize=512)
def _positions(code: CodeType) -> list[tuple[int | None, int | None, int | None, int | None]]:
    return list(code.co_positions())


class Place(NamedTuple):
    """A position in a source file: what a message quotes and what a value's name is read from."""

    code: CodeType
    instruction: int

    @property
    def filename(self) -> str:
        return self.code.co_filename

    @property
    def span(self) -> tuple[int, int, int, int]:
        """First line, last line, first column, last column (-1 where unknown)."""
        found = _positions(self.code)[self.instruction // 2]
        line = found[0] or self.code.co_firstlineno
        column, end_column = (-1 if c is None else c for c in found[2:])
        return (line, found[1] or line, column, end_column)

    @property
    def line(self) -> int:
        return self.span[0]

    @property
    def text(self) -> str:
        return linecache.getline(self.filename, self.line).strip()

    def __str__(self) -> str:
        quoted = f": {self.text}" if self.text else ""
        return f"{basename(self.filename)}:{self.line}, in {self.code.co_name}{quoted}"


def is_internal(code: CodeType) -> bool:
    """Whether a code object belongs to boxgrad's core or to NumPy rather than to the user."""
    verdict = verdicts.get(code)
    if verdict is None:
        name = code.co_filename
        verdict = name.startswith((_PACKAGE, _NUMPY)) and not name.startswith(_ASIDE)
        verdicts[code] = verdict
    return verdict


def caller(depth: int = 1) -> Place | None:
    """The innermost place outside boxgrad's core: the line that asked for the present operation."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and is_internal(frame.f_code):
        frame = frame.f_back
    return None if frame is None else Place(frame.f_code, frame.f_lasti)


def user_place(depth: int = 1) -> Place | None:
    """The innermost place outside boxgrad altogether, layers and optimisers included."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and frame.f_code.co_filename.startswith((_PACKAGE, _NUMPY)):
        frame = frame.f_back
    return None if frame is None else Place(frame.f_code, frame.f_lasti)


def message(what: str, why: str, repair: str, where: Place | None = None) -> str:
    """Put a message together; without ``where`` the user's present line is quoted."""
    place = where or user_place(2)
    inner = caller(2) if where is None else None
    lines = [what]
    if place is not None:
        lines.append(f"  where:   {place}")
    if inner is not None and place is not None and inner.code is not place.code:
        lines.append(f"  inside:  {inner}")
    lines.append(f"  why:     {why}")
    lines.append(f"  instead: {repair}")
    return "\n".join(lines)

"""Error classes, and the one place where a message is put together.

Every message says *what* happened, *where* (the user's line), *why*, and what to write *instead*.
Knows Python frames; knows nothing of graphs.
"""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Sequence
from functools import lru_cache
from os.path import basename, dirname
from types import CodeType, FrameType
from typing import NamedTuple, Self

import numpy as np

_PACKAGE = dirname(__file__) + "/"
_NUMPY = dirname(np.__file__) + "/"
# Layers and optimisers are plain NumPy over parameters: their lines explain a value as a user's do.
_ASIDE = (_PACKAGE + "nn/", _PACKAGE + "optim/")
LONGEST = 60
"""Characters of an expression that a message repeats."""
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


class FactorisationError(BoxgradError, np.linalg.LinAlgError):
    """A matrix that cannot be factored or inverted: singular, not positive definite, not finite."""


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

    @property
    def expression(self) -> str:
        """The source of the very expression, on one line; "" where it is not known, or long."""
        first, last, start, end = self.span
        lines = [linecache.getline(self.filename, line).encode() for line in range(first, last + 1)]
        lines[-1] = lines[-1][: max(end, 0)]
        lines[0] = lines[0][max(start, 0) :]
        text = " ".join(line.decode(errors="ignore").strip() for line in lines)
        return text if start >= 0 and len(text) <= LONGEST else ""

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


def is_ours(code: CodeType) -> bool:
    """Whether a code object is not the user's at all: layers and optimisers are not either."""
    return code.co_filename.startswith((_PACKAGE, _NUMPY))


def caller(depth: int = 1) -> Place | None:
    """The innermost place outside boxgrad's core: the line that asked for the present operation."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and is_internal(frame.f_code):
        frame = frame.f_back
    return None if frame is None else Place(frame.f_code, frame.f_lasti)


def user_place(depth: int = 1) -> Place | None:
    """The innermost place outside boxgrad altogether, layers and optimisers included."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and is_ours(frame.f_code):
        frame = frame.f_back
    return None if frame is None else Place(frame.f_code, frame.f_lasti)


def message(what: str, why: str, repair: str, where: Place | None = None) -> str:
    """Put a message together; without ``where`` the user's present line is quoted."""
    inner = caller(2) if where is None else None
    if inner is not None and inner.code is sys._getframe(1).f_code:
        inner = None  # a layer that refuses its input says so itself
    return _put_together(what, why, repair, where or user_place(2), inner)


def _put_together(what: str, why: str, repair: str, place: Place | None, inner: Place | None) -> str:
    lines = [what]
    if place is not None:
        lines.append(f"  where:   {place}")
    if inner is not None and place is not None and inner.code is not place.code:
        lines.append(f"  inside:  {inner}")
    lines.append(f"  why:     {why}")
    lines.append(f"  instead: {repair}")
    return "\n".join(lines)


_KINDS: tuple[tuple[type[Exception], type[BoxgradError]], ...] = (
    (IndexError, IndexingError),
    (np.linalg.LinAlgError, FactorisationError),
    (ValueError, ShapeError),
    (TypeError, TraceError),
)
"""The class of ours for each of NumPy's, which it is too."""

_LAYER = " in a layer"
REPAIRS = (
    (r"with size 0\b", "an array that has elements on that axis, or no indices"),
    (
        rf"index -\d+ is out of bounds for axis \d+ with size (\d+){_LAYER}",
        "whole numbers from 0 to {1}; a negative one, which layers and losses refuse, is shown here less {0}",
    ),
    (
        rf"out of bounds for axis \d+ with size (\d+){_LAYER}",
        "whole numbers from 0 to {1}: renumber them, or make room for more",
    ),
    (
        r"out of bounds for axis \d+ with size (\d+)",
        "indices from -{0} to {1}; np.clip(indices, 0, {1}) where the nearest is meant",
    ),
    (
        "Singular matrix",
        "np.linalg.pinv or np.linalg.lstsq, which take any matrix; or A + c * np.eye(n) with a small c > 0",
    ),
    (
        "not positive definite",
        "a symmetric matrix with positive eigenvalues; A + c * np.eye(n) moves them up by c",
    ),
    ("did not converge", "a matrix of finite numbers; np.isfinite(A).all() says whether it is one"),
    ("encountered in", "operands without such elements (np.where, np.maximum), or np.errstate(all='ignore')"),
    ("negative integer powers", "np.float_power(x, n), or x.astype(float) ** n"),
    ("", "arguments whose shapes and dtypes fit; print(x.shape, x.dtype) works on traced values"),
)
"""What to write instead, by what NumPy says and where; the first that fits."""


def refused(what: str, error: Exception, places: Sequence[Place] = ()) -> Exception:
    """NumPy's refusal to compute a box, with the user's line and expression; of the same type as NumPy's.

    ``places`` are those of the box, innermost first; without them it is the present line.
    """
    if isinstance(error, BoxgradError):
        return error
    inner = places[0] if places else caller(2)
    theirs = next((place for place in places if not is_ours(place.code)), None)
    place = theirs or user_place(2)
    expression = place.expression if place is not None and (theirs or not places) else ""
    why = str(error) or type(error).__name__
    said = why + _LAYER if inner is not None and is_ours(inner.code) else why
    found, repair = next((found, text) for pattern, text in REPAIRS if (found := re.search(pattern, said)))
    sizes = [int(size) for size in found.groups()]
    repair = repair.format(*sizes, *(size - 1 for size in sizes))
    text = _put_together(f"{expression}: {what}" if expression else what, why, repair, place, inner)
    kind = next((ours for theirs, ours in _KINDS if isinstance(error, theirs)), None)
    if kind is not None:
        return kind(text)
    error.add_note(text)
    return error

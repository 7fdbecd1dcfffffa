"""Where a traced value becomes a Python number: meant by ``float(x)``, a silent loss in ``math.sin(x)``.

Python's and NumPy's compiled functions ask for ``__float__`` without a word. The number would be a constant
to every derivative, so the bytecode of the caller is asked what it was doing. Knows frames, not graphs.
"""

from __future__ import annotations

import dis
import sys
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

from boxgrad.errors import TraceError, is_internal

_LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FAST", "LOAD_DEREF", "LOAD_METHOD", "LOAD_ATTR")
_INSTEAD = "np.{0}, which is traced, for {0}; bg.stop_gradient(x) and float(x) where a constant is meant"


@lru_cache(maxsize=512)
def _instruction(code: CodeType, offset: int) -> tuple[str, tuple[str, ...]]:
    """The operation there, and if it is a call the dotted name of what is called."""
    instructions = [found for found in dis.get_instructions(code) if found.offset <= offset]
    here = instructions[-1]
    if not here.opname.startswith("CALL") or here.positions is None:
        return here.opname, ()
    start = here.positions[0], here.positions[2]
    names = [
        str(found.argval)
        for found in instructions
        if found.opname.startswith(_LOADS)
        and found.positions
        and (found.positions[0], found.positions[2]) == start
    ]
    return here.opname, tuple(names)


@lru_cache(maxsize=512)
def rebinds(code: CodeType, offset: int) -> bool:
    """Whether the instruction there is ``h += x`` of a local name, which then stands for the result."""
    found = [step for step in dis.get_instructions(code) if step.offset >= offset and step.opname != "CACHE"]
    here, after = found[0], found[1]
    own = after.opname == "STORE_FAST" or (after.opname == "STORE_DEREF" and after.argval in code.co_cellvars)
    return own and here.opname == "BINARY_OP" and here.argrepr.endswith("=")


def _called(frame: FrameType, names: tuple[str, ...]) -> Any:
    spaces = (frame.f_locals, frame.f_globals, frame.f_builtins)
    found = next((space[names[0]] for space in spaces if names and names[0] in space), None)
    for name in names[1:]:
        found = getattr(found, name, None)
    return found


def refuse_loss() -> None:
    """Raise where the caller's caller hands a traced value to code that turns it into a number unasked."""
    frame = sys._getframe(2)  # pyright: ignore[reportPrivateUsage]
    operation, names = _instruction(frame.f_code, frame.f_lasti)
    if operation == "STORE_SUBSCR":
        raise TraceError.because(
            "a traced value was to become an element of a plain ndarray (A[i] = x)",
            "the plain array would forget how the value was computed, and its gradient would be lost",
            "A = np.zeros_like(x) or np.zeros(n, like=x), which can be written into; or np.stack([a, b])",
        )
    function = _called(frame, names)
    home = getattr(function, "__module__", None) or type(getattr(function, "__self__", None)).__module__
    name = getattr(function, "__name__", "")
    if home.partition(".")[0] in ("math", "cmath", "numpy") and not name.startswith("is"):
        raise TraceError.because(
            f"{home}.{name} of a traced value",
            "it computes with a plain number, which is a constant to every derivative",
            _INSTEAD.format(name),
        )


class Uncaught(BaseException):
    """Carries an error past code of NumPy that would take any exception for an answer."""


_PLAIN = (
    "np.stack([a, b]) for np.array([a, b]); np.zeros_like(x) or np.zeros(n, like=x) for an array to write "
    "traced values into; x itself for np.asarray(x)"
)
_INSTEAD_OF = {
    "vectorize": "the function itself on arrays, with np.where for its branches",
    "random": "plain numbers first, then arithmetic: mean + deviation * rng.normal(size=x.shape)",
    "scipy": "the functions of scipy.special, or NumPy",
}


def array_error() -> BaseException:
    """The error for a traced value that is to become a plain array; it names the call in the user's line."""
    frame: FrameType | None = sys._getframe(2)  # pyright: ignore[reportPrivateUsage]
    swallowed = frame.f_code.co_name in ("array_equal", "array_equiv")
    while frame is not None and is_internal(frame.f_code):
        frame = frame.f_back
    names = () if frame is None else _instruction(frame.f_code, frame.f_lasti)[1]
    home = "" if frame is None else str(getattr(_called(frame, names), "__module__", None) or "")
    text = ".".join(names)
    instead = next((hint for key, hint in _INSTEAD_OF.items() if key in f"{home}.{text}"), _PLAIN)
    error = TraceError.because(
        f"{text}() was to make a plain ndarray of a traced value"
        if text
        else "a traced value was to become a plain ndarray (np.array, np.asarray, an element of an ndarray)",
        "the plain array would forget how the value was computed, and its gradient would be lost",
        instead,
    )
    return Uncaught(error) if swallowed else error

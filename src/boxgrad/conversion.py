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

from boxgrad.errors import TraceError

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

"""The table from NumPy callables to what they mean on boxes.

Filled by ``composites``: a composite is plain NumPy over primitives, with the parameters of the NumPy
function it stands for, so that Python itself binds positional and keyword arguments.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
composites: dict[Callable[..., Any], Callable[..., Any]] = {}
methods: dict[str, Callable[..., Any]] = {}
"""The methods of ufuncs: ``method(ufunc, *inputs, out=…, **options)``; ``__call__`` with options."""
by_name: dict[str, Callable[..., Any]] = {}
"""The ufuncs of other libraries (scipy.special), by their names."""
constant: set[Callable[..., Any]] = set()
"""Those of the composites whose results do not vary: truth values, positions, facts of the type."""
refused: dict[Callable[..., Any], tuple[str, str]] = {}
"""NumPy callables that cannot be traced, with the reason and what to write instead."""


def implements(*callables: Callable[..., Any]) -> Callable[[F], F]:
    """Say what NumPy callables mean on boxes. A second meaning for one is an error at import."""

    def note(function: F) -> F:
        for known in callables:
            if known in composites:
                raise ValueError(f"a second meaning for {known!r}")
            composites[known] = function
        return function

    return note


def writes_out(position: int) -> Callable[[F], F]:
    """Add NumPy's ``out=`` to a composite: the result is written into it, and it is returned.

    ``position`` is where ``out`` stands among NumPy's positional arguments.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def with_out(*args: Any, out: Any = None, **kwargs: Any) -> Any:
            if len(args) > position:
                args, out = (*args[:position], *args[position + 1 :]), args[position]
            result = function(*args, **kwargs)
            if out is None:
                return result
            if np.shape(result) != out.shape:
                raise ValueError(f"out= has shape {out.shape}, the result {np.shape(result)}")
            out[...] = result
            return out

        return with_out  # type: ignore[return-value]

    return decorate


def refuse(reason: str, instead: str, *callables: Callable[..., Any]) -> None:
    """Say why NumPy callables cannot be traced."""
    for known in callables:
        refused[known] = reason, instead

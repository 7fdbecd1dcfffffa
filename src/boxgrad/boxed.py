"""The decorator that keeps a function whole, and the switch that says who is tracing.

On plain arrays a boxed function is the function itself. While a graph is being traced, everything
it computes is put under one named box, which views show closed or opened.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Tracer(Protocol):
    """What a tracer offers to the functions it meets."""

    @property
    def compiling(self) -> bool:
        """Whether the function runs once only, to be replayed: what it draws or counts now is frozen."""
        ...

    def enter_box(self, name: str) -> AbstractContextManager[None]:
        """Put what is traced inside the block under a box of that name."""
        ...

    def scan(self, cell: Callable[..., Any], init: Any, xs: Any, length: int | None, reverse: bool) -> Any:
        """Trace a loop whose body is ``cell``."""
        ...


class _State(threading.local):
    tracer: Tracer | None = None


_state = _State()


def current_tracer() -> Tracer | None:
    """The tracer that is at work in this thread, if any."""
    return _state.tracer


@contextmanager
def activate(tracer: Tracer | None) -> Iterator[None]:
    """Make a tracer the current one inside the block."""
    before, _state.tracer = _state.tracer, tracer
    try:
        yield
    finally:
        _state.tracer = before


def boxed(function: Callable[P, R]) -> Callable[P, R]:
    """Keep a function whole: in every view it is one box that can be opened.

    The box's type, derivative and notation are derived from what is inside, so nothing else needs
    to be said about it. Works on functions and on methods; a ``__call__`` is named after its class.

    >>> import numpy as np
    >>> @boxed
    ... def softplus(x):
    ...     return np.logaddexp(x, 0)
    >>> float(softplus(0.0))
    0.6931471805599453
    """
    is_call = function.__name__ == "__call__"

    @functools.wraps(function)
    def whole(*args: P.args, **kwargs: P.kwargs) -> R:
        tracer = _state.tracer
        if tracer is None:
            return function(*args, **kwargs)
        with tracer.enter_box(type(args[0]).__name__ if is_call else function.__name__):
            return function(*args, **kwargs)

    return whole

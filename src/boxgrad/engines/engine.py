"""What an engine is, and how one is found: by name, imported on first use.

Without a name it is the native engine where it can run, and else NumPy.
"""

from __future__ import annotations

import functools
import importlib
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from boxgrad.errors import BoxgradError, message
from boxgrad.graph.node import Graph

Run = Callable[[Sequence[Any]], list[Any]]


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of box in a report: how often it runs in a call, and the bytes of its results.

    Floating-point operations and seconds are given where an engine knows them.
    """

    box: str
    count: int
    bytes: int
    flops: int = 0
    seconds: float | None = None

    def __str__(self) -> str:
        text = f"  {self.box:<24}{self.count:>6} ×{self.bytes:>14,} bytes"
        if self.flops:
            text += f"{self.flops / 1e6:>12,.3f} MFLOP"
        return text if self.seconds is None else f"{text}{self.seconds * 1e6:>12,.1f} µs"


@dataclass(frozen=True, slots=True)
class Report:
    """What an engine made of a graph."""

    engine: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"engine {self.engine}: {sum(row.count for row in self.rows)} boxes a call"]
        lines += map(str, self.rows)
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


class Engine(Protocol):
    """Makes a graph runnable."""

    name: str

    def build(self, graph: Graph, targets: Mapping[int, int] = ...) -> Run:
        """A callable from the values of the graph's inputs to those of its outputs.

        ``targets`` names outputs that replace inputs: their values may be written over the input's array,
        which is then the value of the output. The caller sees to it that such arrays are writeable.
        """
        ...

    def report(self, graph: Graph) -> Report:
        """What ``build`` makes of a graph."""
        ...

    def obstacle(self) -> str | None:
        """Why the engine cannot run on this machine; None where it can."""
        ...


class EngineError(BoxgradError, RuntimeError):
    """An engine that was asked for by name and cannot run here, or does not exist."""


class EngineWarning(RuntimeWarning):
    """Another engine than the usual one runs; said once in a process."""


VARIABLE = "BOXGRAD_ENGINE"
_ENGINES = {"numpy": "boxgrad.engines.numpy", "native": "boxgrad.engines.native.engine"}


def engine_named(name: str) -> Engine:
    """The engine of that name.

    Raises:
        EngineError: where there is none of that name.
    """
    if name not in _ENGINES:
        raise EngineError(
            f"there is no engine {name!r}\n  why:     the engines are {', '.join(_ENGINES)}\n"
            f"  instead: one of these, or none (nor {VARIABLE}) for the one that suits the machine"
        )
    return importlib.import_module(_ENGINES[name]).ENGINE


def usable_engine(name: str) -> Engine:
    """The engine of that name, which can run on this machine.

    Raises:
        EngineError: where there is none of that name, or it cannot run.
    """
    engine = engine_named(name)
    obstacle = engine.obstacle()
    if obstacle is not None:
        raise EngineError(
            message(
                f"the engine {name!r} cannot run here",
                obstacle,
                "engine='numpy', or no engine's name, which takes the one that can",
            )
        )
    return engine


def default_engine() -> str:
    """The name of the engine that runs what names none.

    It is what the environment variable BOXGRAD_ENGINE says; otherwise native, or NumPy where native cannot
    run, which is said once.
    """
    return os.environ.get(VARIABLE) or _suitable()


@functools.cache
def _suitable() -> str:
    obstacle = engine_named("native").obstacle()
    if obstacle is None:
        return "native"
    warnings.warn(
        message(
            "compiled functions run by NumPy here, several times slower than by the native engine",
            obstacle,
            f"engine='numpy' or {VARIABLE}=numpy, if that is meant; results agree but for rounding",
        ),
        EngineWarning,
        stacklevel=2,
    )
    return "numpy"

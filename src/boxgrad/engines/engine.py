"""What an engine is, and how one is found: by name, imported on first use.

Without a name it is the native engine where it can run, and else NumPy.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from boxgrad.errors import BoxgradError, message
from boxgrad.graph.node import Graph
from boxgrad.record import Record

Run = Callable[[Sequence[Any]], list[Any]]
WIDTH = 80
"""Characters of a line of a report, in which the terminal shows it."""
NARROWEST = 24
"""Characters of a box's name, whatever the numbers need."""


class Row(Record):
    """One line of a report: a kind of box, or boxes that became one kernel, named in their order.

    ``count`` is how often it runs in a call. ``reads`` and ``writes`` are bytes of memory in a call, an
    element that is used several times counted once. Floating-point operations and seconds are given where an
    engine knows them, for all runs of a call together.
    """

    box: str
    count: int
    reads: int
    writes: int
    flops: int = 0
    seconds: float | None = None


class Held(Record):
    """Memory between arguments and results: who writes it first, who reads it last, and how many bytes."""

    made_by: str
    kept_for: str
    bytes: int


SHOWN = 8
"""How much of what is held a report prints."""


class Report(Record):
    """What an engine made of a graph. ``unit`` is what its rows are: boxes, or kernels made of several.

    ``held`` is what lies in memory at the moment when most does, the largest first, where an engine knows it.
    """

    engine: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    unit: str = "boxes"
    held: tuple[Held, ...] = ()

    def __str__(self) -> str:
        rows = [*self.rows, self.total]
        has_flops, has_seconds = bool(self.total.flops), self.total.seconds is not None
        heads = ["runs", "reads kB", "writes kB", *["MFLOP"] * has_flops, *["µs"] * has_seconds]
        heads += ["GFLOP/s"] * (has_flops and has_seconds)
        cells = [_cells(row, has_flops, has_seconds) for row in rows]
        widths = [max(map(len, column)) + 2 for column in zip(heads, *cells, strict=True)]
        names = [_folded(row.box, max(NARROWEST, WIDTH - 2 - sum(widths))) for row in rows]
        left = max(len(line) for lines in names for line in lines)

        def line(name: str, fields: Sequence[str]) -> str:
            numbers = "".join(f"{cell:>{width}}" for cell, width in zip(fields, widths, strict=True))
            return f"  {name:<{left}}{numbers}".rstrip()

        lines = [f"engine {self.engine}: {self.total.count} {self.unit} a call", line("", heads)]
        for (*before, last), fields in zip(names, cells, strict=True):
            lines += [*(f"  {part}".rstrip() for part in before), line(last, fields)]
        for note in self.notes:
            lines += textwrap.wrap(note, WIDTH, initial_indent="  ", subsequent_indent="    ")
        return "\n".join([*lines, *self._memory()])

    def _memory(self) -> list[str]:
        """The largest of what is held when most is."""
        if not self.held:
            return []
        whole = sum(row.bytes for row in self.held) / 1e3
        lines = [f"  {whole:,.1f} kB of memory at once when most is held:"]
        rest = self.held[SHOWN:]
        rows = [(row.bytes, f"from {row.made_by} to {row.kept_for}") for row in self.held[:SHOWN]]
        if rest:
            rows.append((sum(row.bytes for row in rest), f"in {len(rest)} smaller pieces"))
        for size, text in rows:
            first = f"{size / 1e3:>13,.1f} kB  "
            lines += textwrap.wrap(
                text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
            )
        return lines

    @property
    def total(self) -> Row:
        """All rows together."""
        times = [row.seconds for row in self.rows if row.seconds is not None]
        return Row(
            "all",
            sum(row.count for row in self.rows),
            sum(row.reads for row in self.rows),
            sum(row.writes for row in self.rows),
            sum(row.flops for row in self.rows),
            sum(times) if times else None,
        )


def _cells(row: Row, has_flops: bool, has_seconds: bool) -> list[str]:
    """The numbers of a row as they are printed."""
    found = [str(row.count), f"{row.reads / 1e3:,.1f}", f"{row.writes / 1e3:,.1f}"]
    if has_flops:
        found.append(f"{row.flops / 1e6:,.3f}")
    if has_seconds:
        found.append("" if row.seconds is None else f"{row.seconds * 1e6:,.1f}")
    if has_flops and has_seconds:
        found.append(f"{row.flops / row.seconds / 1e9:,.1f}" if row.flops and row.seconds else "")
    return found


def _folded(name: str, width: int) -> list[str]:
    """The name of a kernel on lines of a width, broken between its boxes."""
    lines = [""]
    for part in re.split(r"(?<=\+)|(?<= → )", name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("  ")
        lines[-1] += part
    return lines


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

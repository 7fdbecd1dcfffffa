"""What a run says while it works: a live bar in a terminal, a line an epoch elsewhere.

Knows numbers and the terminal; knows nothing of models.
"""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, TextIO

from boxgrad.errors import message
from boxgrad.train.history import Row, show

Verbosity = Literal["auto", "bar", "lines", "silent"]
_REFRESH = 0.1  # seconds between two drawings of the bar


def duration(seconds: float) -> str:
    """Seconds as people read them.

    >>> duration(7.25), duration(75), duration(7384)
    ('7.2 s', '1:15', '2:03:04')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def line(row: Row, epochs: int) -> str:
    """An epoch's row as one line, what belongs together in one group.

    >>> line({"epoch": 1, "train_loss": 0.25, "train_accuracy": 0.5, "val_loss": 1.0, "seconds": 2.0}, 10)
    'epoch  1/10  train loss 0.2500, accuracy 50.00 %  val loss 1.0000  2.0 s'
    """
    groups: dict[str, list[str]] = {}
    for name, value in row.items():
        prefix = name.split("_")[0] if name.startswith(("train_", "val_")) else ""
        if name not in ("epoch", "seconds", "learning_rate"):
            words = name.removeprefix(f"{prefix}_").replace("_", " ")
            groups.setdefault(prefix, []).append(f"{words} {show(name, value)}")
    parts = [f"{prefix} {', '.join(shown)}".strip() for prefix, shown in groups.items()]
    number = f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}"
    return "  ".join([number, *parts, show("seconds", row["seconds"])])


class Progress(ABC):
    """What the Trainer tells its progress to; a context manager around the run."""

    @abstractmethod
    def start(self, epoch: int, epochs: int, step: int, steps: int | None) -> None:
        """An epoch begins (or is taken up again) after ``step`` of its ``steps``."""

    @abstractmethod
    def advance(self, examples: int, means: Mapping[str, float] | None) -> None:
        """A step is done; ``means`` are the running ones, asked for by :meth:`due`."""

    @abstractmethod
    def due(self) -> bool:
        """Whether the next ``advance`` will be drawn."""

    @abstractmethod
    def finish(self, row: Row, epochs: int) -> None:
        """An epoch has ended."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Tell the user something in words."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Leave the terminal as it was."""


class Silent(Progress):
    """Says nothing."""

    def start(self, epoch: int, epochs: int, step: int, steps: int | None) -> None:
        return None

    def advance(self, examples: int, means: Mapping[str, float] | None) -> None:
        return None

    def due(self) -> bool:
        return False

    def finish(self, row: Row, epochs: int) -> None:
        return None

    def say(self, text: str) -> None:
        return None

    def close(self) -> None:
        return None


class Lines(Progress):
    """Writes a line an epoch: for pipes, files and terminals without cursor movement."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def start(self, epoch: int, epochs: int, step: int, steps: int | None) -> None:
        return None

    def advance(self, examples: int, means: Mapping[str, float] | None) -> None:
        return None

    def due(self) -> bool:
        return False

    def finish(self, row: Row, epochs: int) -> None:
        self.say(line(row, epochs))

    def say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        return None


class Bar(Progress):
    """Draws a live bar with rate, time left, running loss and metrics; a line stays per epoch."""

    def __init__(self, stream: TextIO | None = None) -> None:
        from rich import console, progress  # noqa: PLC0415 - only a terminal needs it

        self._console = console.Console(file=stream, highlight=False)
        self._rich = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=24),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TextColumn("[cyan]{task.fields[left]}"),
            progress.TextColumn("{task.fields[means]}"),
            console=self._console,
            auto_refresh=False,  # a drawing thread would take time from the computation
            transient=True,
        )
        self._rich.start()
        self._task: Any = None
        self._drawn = 0.0
        self._begun = time.monotonic()
        self._steps_here = self._examples_here = 0  # since this process began to count
        self._steps_left = 0

    def start(self, epoch: int, epochs: int, step: int, steps: int | None) -> None:
        if self._task is not None:
            self._rich.remove_task(self._task)
        self._task = self._rich.add_task(
            f"epoch {epoch}/{epochs}", total=steps, completed=step, rate="", left="", means=""
        )
        self._steps_left = (epochs - epoch + 1) * steps - step if steps else 0
        self._rich.refresh()

    def due(self) -> bool:
        return time.monotonic() - self._drawn >= _REFRESH

    def advance(self, examples: int, means: Mapping[str, float] | None) -> None:
        self._steps_here += 1
        self._examples_here += examples
        self._steps_left -= 1
        if means is None:
            self._rich.advance(self._task)
            return
        elapsed = time.monotonic() - self._begun
        left = elapsed / self._steps_here * max(self._steps_left, 0)
        self._rich.update(
            self._task,
            advance=1,
            rate=f"{self._examples_here / elapsed:,.0f}/s",
            left=f"{duration(left)} left" if self._steps_left > 0 else "",
            means="  ".join(f"{name} {show(name, value)}" for name, value in means.items()),
        )
        self._rich.refresh()
        self._drawn = time.monotonic()

    def finish(self, row: Row, epochs: int) -> None:
        self.say(line(row, epochs))

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def close(self) -> None:
        self._rich.stop()


def progress(verbosity: Verbosity, stream: TextIO | None = None) -> Progress:
    """The way of telling that a verbosity asks for; ``auto`` is a bar in a terminal, else lines."""
    if verbosity not in ("auto", "bar", "lines", "silent"):
        raise ValueError(
            message(
                f"verbosity={verbosity!r}",
                "it says how a run tells of its progress",
                "'auto', 'bar', 'lines' or 'silent'",
            )
        )
    if verbosity == "silent":
        return Silent()
    output = stream or sys.stdout
    if verbosity == "bar" or (verbosity == "auto" and output.isatty()):
        return Bar(stream)
    return Lines(stream)

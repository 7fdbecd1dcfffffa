"""Callbacks: what happens around the steps of a training run.

Knows the Trainer's attributes that it is handed; knows nothing of how steps are computed. A
callback is any object with some of the hooks below; those with settings are dataclasses, so a run
folder can say what they were.

=================  ==============================================================================
``on_fit_start``   before the first step of a ``fit``, a resumed one included
``on_epoch_start`` before an epoch
``on_step_end``    after a step: ``trainer.step`` steps are done, ``trainer.loss`` is its loss
``on_epoch_end``   after validation: ``trainer.row`` is the epoch's row and may be added to
``on_fit_end``     after the last step, also when the run was interrupted
=================  ==============================================================================

Each is called with the Trainer. Two more hooks act inside the compiled step:
``transform_gradients(gradients) -> gradients``, and ``freezes() -> names of parameters``.
State that must survive a restart is given by ``state() -> dict`` (numbers, strings, arrays, lists)
and taken back by ``restore(state)``.
"""

from __future__ import annotations

import csv
import fnmatch
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boxgrad import optim
from boxgrad.errors import message
from boxgrad.train.files import finite, write_atomically, write_json_lines

if TYPE_CHECKING:
    from boxgrad.train.trainer import Trainer

HOOKS = ("on_fit_start", "on_epoch_start", "on_step_end", "on_epoch_end", "on_fit_end")


def checked(callbacks: Sequence[Any]) -> tuple[Any, ...]:
    """The callbacks, after a look for hooks that nobody would call."""
    for callback in callbacks:
        if isinstance(callback, type):
            raise TypeError(
                message(
                    f"the callback {callback.__name__} is a class",
                    "hooks are called on an object with settings of its own",
                    f"{callback.__name__}(...)",
                )
            )
        for name in dir(callback):
            if name.startswith("on_") and name not in HOOKS:
                raise ValueError(
                    message(
                        f"{type(callback).__name__}.{name} is not a hook",
                        "it would never be called",
                        f"one of {', '.join(HOOKS)}",
                    )
                )
    return tuple(callbacks)


@dataclass
class LearningRateSchedule:
    """Set the optimiser's learning rate before every step: lr = schedule(step).

    Args:
        schedule: a function from the number of steps done, 0 at first, to the learning rate,
            such as those of :mod:`boxgrad.optim.schedules`.

    >>> class Run: step, optimizer = 3, type("Optimizer", (), {"lr": 1.0})()
    >>> LearningRateSchedule(lambda step: 0.1 / (1 + step)).on_step_end(Run)
    >>> Run.optimizer.lr
    0.025
    """

    schedule: Callable[[int], float]

    def on_fit_start(self, trainer: Trainer) -> None:
        trainer.optimizer.lr = self.schedule(trainer.step)

    def on_step_end(self, trainer: Trainer) -> None:
        trainer.optimizer.lr = self.schedule(trainer.step)


@dataclass
class EarlyStopping:
    """Stop when a column of the history has not improved for ``patience`` epochs.

    Args:
        monitor: the column to watch; ``"val_loss"``, or ``"train_loss"`` without validation.
        patience: epochs without improvement before the run stops.
        minimum_change: what counts as an improvement, in the column's unit.
        restore_best: put the best epoch's parameters back into the model at the end.
    """

    monitor: str = "val_loss"
    patience: int = 3
    minimum_change: float = 0.0
    restore_best: bool = True
    best: float | None = field(default=None, init=False)
    best_epoch: int = field(default=0, init=False)
    _weights: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def on_epoch_end(self, trainer: Trainer) -> None:
        if self.monitor not in trainer.row:
            raise ValueError(
                message(
                    f"EarlyStopping watches {self.monitor!r}, which is not measured",
                    f"this run measures: {', '.join(trainer.row)}",
                    "fit(..., validation=0.1), or EarlyStopping(monitor='train_loss')",
                )
            )
        value, sign = trainer.row[self.monitor], -1 if self.monitor.endswith("accuracy") else 1
        if value is not None and (self.best is None or sign * value < sign * self.best - self.minimum_change):
            self.best, self.best_epoch = value, trainer.row["epoch"]
            if self.restore_best:
                state = trainer.model.state_dict()
                self._weights = {name: np.array(array) for name, array in state.items()}
        elif trainer.row["epoch"] - self.best_epoch >= self.patience:
            trainer.stop(
                f"{self.monitor} has not improved since epoch {self.best_epoch} ({self.patience} epochs)"
            )

    def on_fit_end(self, trainer: Trainer) -> None:
        if self.restore_best and self._weights and not trainer.history.interrupted:
            trainer.model.load_state_dict(self._weights)

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch, "weights": self._weights}

    def restore(self, state: dict[str, Any]) -> None:
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self._weights = dict(state["weights"])


@dataclass
class Checkpoint:
    """Save the whole run to its folder, so that it can be resumed bit for bit.

    A run with a folder has one of these without asking; give your own to change when it saves.

    Args:
        epochs: save after every so many epochs.
        steps: save also after every so many steps, or None.
        seconds: save also when so many seconds have passed since the last time, or None.
        keep: how many checkpoints to keep.
    """

    epochs: int = 1
    steps: int | None = None
    seconds: float | None = 60.0
    keep: int = 2
    _last: float = field(default=0.0, init=False, repr=False)

    def on_fit_start(self, trainer: Trainer) -> None:
        self._save(trainer)

    def on_step_end(self, trainer: Trainer) -> None:
        late = self.seconds is not None and time.monotonic() - self._last >= self.seconds
        if late or (self.steps is not None and trainer.step % self.steps == 0):
            self._save(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        if trainer.epoch % self.epochs == 0 or trainer.done:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        trainer.save()
        self._last = time.monotonic()


@dataclass
class Freeze:
    """Keep parameters as they are: the optimiser does not see them.

    Args:
        names: parameters, by their names in ``model.state_dict()``; ``*`` stands for any text,
            and a module's name for all that is in it.
        epochs: thaw after so many epochs; None means never.

    >>> [Freeze("0").matches(name) for name in ("0.weight", "0.norm.bias", "1.bias")]
    [True, True, False]
    """

    names: str | Sequence[str]
    epochs: int | None = None
    _thawed: bool = field(default=False, init=False, repr=False)

    def matches(self, name: str) -> bool:
        """Whether a parameter is among those named."""
        patterns = [self.names] if isinstance(self.names, str) else self.names
        return any(
            fnmatch.fnmatchcase(name, pattern) or name.startswith(pattern + ".") for pattern in patterns
        )

    def freezes(self) -> Callable[[str], bool] | None:
        return None if self._thawed else self.matches

    def on_fit_start(self, trainer: Trainer) -> None:
        names = [name for name, _ in trainer.model.named_parameters()]
        if not any(map(self.matches, names)):
            raise ValueError(
                message(
                    f"Freeze({self.names!r}) matches no parameter",
                    f"the model has: {', '.join(names)}",
                    "one of these names; '*' stands for any text",
                )
            )
        self._look(trainer)

    def on_epoch_start(self, trainer: Trainer) -> None:
        self._look(trainer)

    def _look(self, trainer: Trainer) -> None:
        thawed = self.epochs is not None and trainer.epoch >= self.epochs
        if thawed != self._thawed:
            self._thawed = thawed
            trainer.recompile()


@dataclass
class ClipNorm:
    """Scale gradients so that their joint norm is at most ``maximum`` (Pascanu et al. 2013).

    g ← g · min(1, maximum / ‖g‖), ‖g‖ over the gradients of all parameters together.
    """

    maximum: float

    def transform_gradients(self, gradients: Any) -> Any:
        return optim.clip_by_norm(gradients, self.maximum)[0]


@dataclass
class ClipValue:
    """Clip every element of every gradient to [−maximum, maximum]."""

    maximum: float

    def transform_gradients(self, gradients: Any) -> Any:
        return optim.clip_by_value(gradients, self.maximum)


@dataclass
class Logger:
    """Write the rows of the history to a file after every epoch.

    Args:
        path: the file; ``.csv`` gives comma-separated values, anything else one JSON object a line.
    """

    path: str | Path

    def on_epoch_end(self, trainer: Trainer) -> None:
        self._write(trainer.history.rows)

    def on_fit_end(self, trainer: Trainer) -> None:
        self._write(trainer.history.to_rows())

    def _write(self, rows: list[dict[str, Any]]) -> None:
        path = Path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".csv":
            write_json_lines(path, finite(rows))
            return
        columns = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(path, text.getvalue().encode())

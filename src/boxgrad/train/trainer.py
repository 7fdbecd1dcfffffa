"""The Trainer: epochs of compiled steps, with validation, callbacks, checkpoints and progress.

Knows the order in which things happen; what happens is known to the files beside it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boxgrad.engines import default_engine
from boxgrad.errors import message
from boxgrad.train import callbacks as callback_module
from boxgrad.train import reports, saving
from boxgrad.train.files import RunError, finite
from boxgrad.train.history import History, Row
from boxgrad.train.interrupt import Interrupt
from boxgrad.train.metrics import Means, Measure, named
from boxgrad.train.progress import Progress, Silent, Verbosity, progress
from boxgrad.train.runs import RunFolder, build, fresh
from boxgrad.train.sources import Sources, batch_examples, evaluation_batches, sources, steps_of
from boxgrad.train.steps import Loss, evaluation_step, prediction_step, training_step


class Trainer:
    """Train a model: ``Trainer(model, loss, optimizer, …).fit(train, validation, epochs=5)``.

    One step is ``value, gradients = value_and_grad(loss(model(x), y))(model)`` followed by
    ``optimizer.update(model, gradients)``, compiled whole.

    Args:
        model: a module; called with a batch of inputs, shape (N, …).
        loss: a function (outputs, targets) -> scalar, the mean over the batch.
        optimizer: such as ``optim.Adam(model, lr=1e-3)``.
        metrics: names (``"accuracy"``, ``"perplexity"`` …) or functions (outputs, targets) -> mean
            over the batch.
        callbacks: see :mod:`boxgrad.train.callbacks`.
        out: a folder for the run's files, or None for none. If it holds a run already, the first
            free of ``out-2``, ``out-3`` … is taken, and said.
        engine: what compiles the step, by name; by default see :func:`boxgrad.compile`. A run that is
            resumed keeps its engine.
        seed: of shuffling and of the validation split.
        batch_size: examples per step.
        verbosity: ``"bar"``, ``"lines"``, ``"silent"``, or ``"auto"`` (a bar in terminals).
        details: what else config.json should say: numbers, strings, lists and dicts.
        resume_with: what to tell the user who interrupts the run; by default the Python line.

    Attributes:
        epoch, step: how many are done.
        loss_value: the loss of the last step.
        row: the row of the last epoch.
        history: the record so far.

    >>> import numpy as np
    >>> from boxgrad import nn, optim
    >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    >>> model = nn.Linear(1, 1, seed=0)
    >>> trainer = Trainer(model, nn.mse, optim.SGD(model, lr=0.5), metrics=(), verbosity="silent")
    >>> history = trainer.fit((x, 2 * x + 1), epochs=20)
    >>> history["train_loss"][-1] < 1e-3
    True
    """

    def __init__(
        self,
        model: Any,
        loss: Loss,
        optimizer: Any,
        *,
        metrics: Sequence[str | Measure] = ("accuracy",),
        callbacks: Sequence[Any] = (),
        out: str | Path | None = None,
        engine: str | None = None,
        seed: int = 0,
        batch_size: int = 64,
        verbosity: Verbosity = "auto",
        details: dict[str, Any] | None = None,
        resume_with: str | None = None,
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.metrics = named(metrics)
        self.callbacks = callback_module.checked(callbacks)
        self._savers = [c for c in callbacks if isinstance(c, callback_module.Checkpoint)]
        if out is not None and not self._savers:
            self._savers = [callback_module.Checkpoint()]
            self.callbacks = (*self.callbacks, *self._savers)
        self.folder = None if out is None else RunFolder(out, max(s.keep for s in self._savers))
        self.engine, self.seed, self.batch_size = engine or default_engine(), seed, batch_size
        self.verbosity, self.details, self.resume_with = verbosity, details or {}, resume_with
        self.history = History()
        self.epoch = self.step = self.epoch_step = self.epochs = 0
        self.elapsed, self.loss_value, self.finished = 0.0, float("nan"), False
        self.means = Means(self.metrics)
        self.progress: Progress = Silent()
        self._batches: Any = None
        self._restored: Any = None  # where the batches of a resumed run were
        self._begun = False  # whether the folder's run is this object's
        self._config: dict[str, Any] = {}
        self._evaluate = evaluation_step(loss, self.metrics, self.engine)
        self._predict = prediction_step(self.engine)
        self.recompile()

    # What callbacks and users may ask -----------------------------------------------------------

    @property
    def out(self) -> Path | None:
        """The run's folder."""
        return None if self.folder is None else self.folder.path

    @property
    def row(self) -> Row:
        return self.history.row

    @property
    def done(self) -> bool:
        """Whether the last epoch has ended, or a callback has stopped the run."""
        return self.epoch >= self.epochs or self.history.stopped is not None

    def stop(self, reason: str) -> None:
        """End the run after the present epoch."""
        self.history.stopped = reason

    def recompile(self) -> None:
        """Compile the training step anew, for what the callbacks do to gradients now."""
        self._step = training_step(self.loss, self.metrics, self.callbacks, self.engine)

    # Training -----------------------------------------------------------------------------------

    def fit(
        self,
        train: Any = None,
        validation: Any = None,
        epochs: int | None = None,
        *,
        test: Any = None,
        resume: bool = False,
    ) -> History:
        """Train for a number of epochs; a second call goes on for as many more.

        The first Ctrl-C ends the run after the present step, with a checkpoint; the second at once.

        Args:
            train: inputs and targets ``(x, y)``, one of ``bg.data``'s sets, or anything that
                ``bg.data.batches`` takes or returns. May be left out after ``Trainer.resume``
                where the data have a name.
            validation: ``(x, y)``, batches, or the fraction of the training data to keep aside.
            epochs: how many; when resuming, how many in all (by default those planned).
            test: ``(x, y)`` or batches, measured once after the last epoch.
            resume: take up the run in the folder ``out`` where it stopped; the model and optimiser
                are those it began with. Where there is no run yet, begin one.

        Returns:
            The :class:`~boxgrad.train.History`, a row per epoch.

        Raises:
            RunError: when the run to be resumed was of another model or other data.
        """
        if resume and self._restored is None and self.folder is not None:
            self._load()
        going_on = self._restored is not None
        self._plan(epochs)
        if train is None and self.finished:
            return self.history
        if validation is None and going_on:
            validation = saving.recorded_validation(self._config)
        if train is None:
            train = saving.recorded_data(self._config)
        shuffling = self.seed + self.epoch  # a second fit sees the examples in another order
        parts = sources(train, validation, test, self.batch_size, self.seed, shuffling)
        self._batches = parts.train
        if going_on:
            saving.check_data(self._config, parts.description)
            parts.train.load_state_dict(self._restored)
            self._restored = None
            if self.finished:
                return self.history
        self._open_folder(parts, validation, resume)
        return self._run(parts)

    def _load(self) -> None:
        """Take up the folder's run, where there is one with a checkpoint."""
        saved = self.folder.checkpoints.load() if self.folder and self.folder.holds_run else None
        if saved is not None:
            self._config = self.folder.read_config()
            self._restored = saving.reinstate(self, saved)
            self._begun = True

    def _plan(self, epochs: int | None) -> None:
        if self._restored is None:
            self.epochs = self.epoch + (1 if epochs is None else epochs)
            self.history.stopped = self.history.test = None
            self.finished, self.epoch_step = False, 0
            return
        planned = self._config["training"]["epochs"]
        self.epochs = planned if epochs is None else epochs
        if self.epochs > planned:  # the user wants more
            self.history.stopped = self.history.test = None
            self.finished = False

    def _open_folder(self, parts: Sources, validation: Any, resume: bool) -> None:
        if self.folder is None:
            return
        if not self._begun and not resume:
            self.folder = RunFolder(fresh(self.folder.path), self.folder.checkpoints.keep)
        self._begun = True
        self.folder.prepare()
        self._config = saving.configuration(self, parts.description, validation)
        self.folder.write_config(self._config)

    def _run(self, parts: Sources) -> History:
        self.model.train()
        self.history.interrupted = False
        with Interrupt() as interrupt, progress(self.verbosity) as self.progress:
            self._call("on_fit_start")
            while not self.done and not interrupt.asked:
                self._run_epoch(parts, interrupt)
            if not self.done:
                self._interrupted()
            elif self.history.stopped:
                self.progress.say(f"stopped early: {self.history.stopped}")
            self._call("on_fit_end")
        if self.history.interrupted:
            self._write(pictures=True)
        else:
            self._finish(parts)
        return self.history

    def _run_epoch(self, parts: Sources, interrupt: Interrupt) -> None:
        begun = time.monotonic() - self.elapsed
        if self.epoch_step == 0:
            self.means = Means(self.metrics)
            self._call("on_epoch_start")
        steps = steps_of(parts.train)
        self.progress.start(self.epoch + 1, self.epochs, self.epoch_step, steps)
        if steps is None or self.epoch_step < steps:
            for x, y in parts.train:
                self._run_step(x, y)
                self.elapsed = time.monotonic() - begun
                self._call("on_step_end")
                if interrupt.asked and self.epoch_step != steps:
                    return
        self._end_epoch(parts, begun)

    def _run_step(self, x: Any, y: Any) -> None:
        value, values = self._step(self.model, self.optimizer, x, y)
        size = batch_examples(x, y)
        self.loss_value = float(value)
        self.means.add(size, value, values)
        self.step += 1
        self.epoch_step += 1
        self.progress.advance(size, self.means.result() if self.progress.due() else None)

    def _end_epoch(self, parts: Sources, begun: float) -> None:
        row: Row = {"epoch": self.epoch + 1, **self.means.result("train_")}
        if parts.validation is not None:
            measured = self.evaluate(parts.validation)
            row.update({f"val_{name}": value for name, value in measured.items()})
        if hasattr(self.optimizer, "lr"):
            row["learning_rate"] = float(self.optimizer.lr)
        row["seconds"] = round(time.monotonic() - begun, 3)
        self.history.rows.append(finite(row))
        self.epoch += 1
        self.epoch_step, self.elapsed = 0, 0.0
        self._call("on_epoch_end")
        self._write(pictures=False)
        self.progress.finish(self.row, self.epochs)

    def _call(self, hook: str) -> None:
        # Those who save come last, so that they save what the others have done.
        for callback in sorted(self.callbacks, key=lambda callback: callback in self._savers):
            if hasattr(callback, hook):
                getattr(callback, hook)(self)

    def _interrupted(self) -> None:
        self.history.interrupted = True
        self.save()
        where = f"stopped in epoch {self.epoch + 1}, after {self.step} steps in all"
        if self.folder is None:
            self.progress.say(f"{where}; out= would have saved the run, the model has its weights")
        else:
            line = self.resume_with or f'bg.Trainer.resume("{self.out}").fit()'
            self.progress.say(f"{where}; everything is saved, go on with: {line}")

    def _finish(self, parts: Sources) -> None:
        if parts.test is not None:
            begun = time.monotonic()
            measured = {f"test_{name}": v for name, v in self.evaluate(parts.test).items()}
            seconds = round(time.monotonic() - begun, 3)
            self.history.test = finite({"epoch": self.epoch, **measured, "seconds": seconds})
        self._write(pictures=True)
        if self.folder is not None:
            part = parts.validation if parts.test is None else parts.test
            reports.classification(self, part, self.folder)
        self.finished = True
        self.save()

    # Files --------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint into the run's folder, if there is one."""
        if self.folder is not None:
            self.folder.checkpoints.save(*saving.capture(self, self._batches))

    def _write(self, pictures: bool) -> None:
        if self.folder is None:
            return
        self.folder.write_metrics(self.history.to_rows())
        self.folder.write_model(self.model, self._config)
        if pictures and self.history.rows:
            reports.curves(self.history, self.folder)

    @classmethod
    def resume(
        cls,
        folder: str | Path,
        *,
        model: Any = None,
        loss: Loss | None = None,
        optimizer: Any = None,
        callbacks: Sequence[Any] | None = None,
        verbosity: Verbosity = "auto",
    ) -> Trainer:
        """The Trainer of a run folder, as it was at the last checkpoint; ``.fit()`` goes on.

        What is boxgrad's own (layers, losses, optimisers, callbacks) is built from config.json; a
        part of a class or function of your own must be given, made as it was then.

        Raises:
            RunError: when the folder holds no run, or a part cannot be built and was not given.
        """
        config = RunFolder(folder).read_config()
        training = config["training"]
        trainer = cls(
            build(config, "model") if model is None else model,
            build(config, "loss") if loss is None else loss,
            build(config, "optimizer") if optimizer is None else optimizer,
            metrics=build(config, "metrics"),
            callbacks=build(config, "callbacks") if callbacks is None else callbacks,
            out=folder,
            engine=training["engine"],
            seed=training["seed"],
            batch_size=training["batch_size"],
            verbosity=verbosity,
            details=config["details"],
        )
        trainer._load()
        if trainer._restored is None:
            raise RunError(
                message(
                    f"{folder} has no checkpoint yet",
                    "the run was stopped before it had begun",
                    "start it again with the same arguments: Trainer(...).fit(..., resume=True)",
                )
            )
        trainer.epochs = training["epochs"]
        return trainer

    # Using the model ----------------------------------------------------------------------------

    def evaluate(self, part: Any) -> dict[str, float]:
        """The mean loss and metrics over data, in evaluation mode, batch by batch.

        Args:
            part: inputs and targets ``(x, y)``, or an iterable of such batches.
        """
        means = Means(self.metrics)
        with self._evaluating():
            for x, y in evaluation_batches(part, self.batch_size):
                value, values = self._evaluate(self.model, x, y)
                means.add(batch_examples(x, y), value, values)
        return means.result()

    def predict(self, x: Any) -> Any:
        """The model's outputs for inputs of shape (N, …), in evaluation mode, batch by batch."""
        with self._evaluating():
            starts = range(0, max(len(x), 1), self.batch_size)
            outputs = [self._predict(self.model, x[at : at + self.batch_size]) for at in starts]
        return np.concatenate(outputs)

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[None]:
        modes = [(module, module.training) for module in self.model.modules()]
        self.model.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training

"""``boxgrad train``: train a model on a data set, or go on with a run.

Knows the options and the summary; what is run is known to boxgrad.train.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from boxgrad.cli.messages import INTERRUPTED, fail, reports_errors
from boxgrad.train import tasks
from boxgrad.train.history import History, show
from boxgrad.train.progress import duration
from boxgrad.train.runs import RunFolder, fresh


def _defaults(name: str) -> str:
    """The default of a setting for each data set, for the help."""
    values = (f"{dataset} {getattr(chosen, name)}" for dataset, chosen in tasks.DEFAULTS.items())
    return f"[default: {', '.join(values)}]"


class Dataset(StrEnum):
    """What can be trained on."""

    digits = "digits"
    mnist = "mnist"
    fashion = "fashion"
    text = "text"


class Verbosity(StrEnum):
    """How a run tells of its progress."""

    auto = "auto"
    bar = "bar"
    lines = "lines"
    silent = "silent"


@reports_errors
def train(
    dataset: Annotated[Dataset, typer.Argument(help="What to train on.", show_default=False)],
    model: Annotated[
        str | None, typer.Option(help="Images: cnn (default) or mlp. Text: lstm (default), gru or rnn.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help=f"Passes over the training data. {_defaults('epochs')}")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help=f"Examples per step. {_defaults('batch_size')}")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help=f"The largest rate of the one-cycle schedule. {_defaults('lr')}")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The same seed gives the same run, bit for bit. [default: 0]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/DATASET if not given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    engine: Annotated[
        str | None, typer.Option(help="native (default where it can run) or numpy: what runs the steps.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="mnist, fashion: the folder with the IDX files. text: a text file.")
    ] = None,
    verbosity: Annotated[Verbosity, typer.Option(help="How to tell of progress.")] = Verbosity.auto,
) -> None:
    """Train a model, and write its weights, metrics and pictures to a folder.

    Examples:

        boxgrad train digits

        boxgrad train mnist --data path/to/mnist --epochs 8

        boxgrad train text --data book.txt --model gru --out runs/book

        boxgrad train digits --resume

    Ctrl-C stops cleanly; --resume goes on as if nothing had happened.
    """
    given: dict[str, Any] = {
        "model": model,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "engine": engine,
    }
    folder = out or Path("runs") / dataset.value
    if resume:
        chosen = _recorded(folder, dataset.value, given)
    else:
        chosen = tasks.settings(dataset.value, **given)
        free = fresh(folder)
        if free != folder:
            _say(verbosity, f"{folder} already holds a run; this one goes to {free}")
            _say(verbosity, f"(to go on with that one: {_command(dataset.value, folder, data)})")
        folder = free
    begun = time.monotonic()
    command = _command(dataset.value, folder, data)
    task = tasks.task(chosen, data, folder, verbosity.value, command)
    history = task.fit(resume)
    if history.interrupted:
        raise typer.Exit(INTERRUPTED)
    if verbosity is not Verbosity.silent:
        _summarise(task, history, folder, time.monotonic() - begun)


def _recorded(folder: Path, dataset: str, given: dict[str, Any]) -> tasks.Settings:
    """The settings of the run to be resumed; only the epochs may be changed."""
    if not RunFolder(folder).holds_run:
        typer.echo(f"{folder} holds no run yet: beginning one", err=True)
        return tasks.settings(dataset, **given)
    recorded = tasks.recorded_settings(RunFolder(folder).read_config())
    if recorded.dataset != dataset:
        raise fail(
            f"{folder} holds a run on {recorded.dataset}, not on {dataset}\n"
            f"  instead: boxgrad train {recorded.dataset} --resume --out {folder}"
        )
    for name, value in given.items():
        if name != "epochs" and value is not None and value != getattr(recorded, name):
            option = f"--{name.replace('_', '-')}"
            raise fail(
                f"{option} {value} differs from the run in {folder}, which has "
                f"{getattr(recorded, name)}\n"
                "  why:     a resumed run goes on as if it had never stopped\n"
                f"  instead: leave {option} away, or begin a new run without --resume"
            )
    return replace(recorded, epochs=given["epochs"] or recorded.epochs)


def _command(dataset: str, folder: Path, data: Path | None) -> str:
    parts = ["boxgrad", "train", dataset, "--resume", "--out", str(folder)]
    return shlex.join([*parts, "--data", str(data)] if data else parts)


def _say(verbosity: Verbosity, text: str) -> None:
    if verbosity is not Verbosity.silent:
        typer.echo(text)


def _summarise(task: tasks.Task, history: History, folder: Path, seconds: float) -> None:
    settings = task.settings
    measured = history.test or history.row
    names = [name for name in measured if name.startswith(("test_", "val_"))]
    results = ", ".join(f"{name.replace('_', ' ')} {show(name, measured[name])}" for name in names)
    files = sorted(path.name for path in folder.iterdir() if path.is_file())
    lines = [
        "",
        f"{settings.dataset}, {settings.model}: {results}",
        f"epochs  {len(history)} in {duration(sum(history['seconds']))}; {duration(seconds)} in all here",
        f"files   {folder}: {', '.join(files)}",
    ]
    if task.text is None:
        lines.append(f"next    boxgrad predict {folder} an-image.png")
        other = "mlp" if settings.model == "cnn" else "cnn"
        lines.append(f"        look at {folder / 'misclassified.png'}, or try --model {other}")
    else:
        path = folder / "samples.txt"
        sample = path.read_text(encoding="utf-8").split("\n\n\n")[1].splitlines()[2:10]
        lines += ["sample  " + sample[0], *("        " + text for text in sample[1:])]
        lines.append(f"next    boxgrad sample {folder} --length 500 --temperature 0.7")
    typer.echo("\n".join(lines))

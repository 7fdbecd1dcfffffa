"""``boxgrad bench``: training steps side by side with other libraries, on this machine, now.

Knows options and files; measuring is known to boxgrad.bench.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from boxgrad.bench.figures import document, plot, row, save
from boxgrad.bench.flops import flops
from boxgrad.bench.measure import OURS, Figures, measure_model, measure_steps, threads_of
from boxgrad.bench.models import CASES
from boxgrad.bench.steps import is_installed, peers_named
from boxgrad.cli.functions import Files
from boxgrad.cli.messages import fail, reports_errors
from boxgrad.engines import Compiled, default_engine
from boxgrad.engines.native.pool import num_threads


@reports_errors
def bench(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL or FILE.py:STEP]...",
            help=f"{', '.join(CASES)}; or a function in a file. All models if not given.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="PEERS",
            help="Comma-separated: torch (both ways), torch-eager, torch-compile, jax, numpy (boxgrad's "
            "reference engine), FILE.py:STEP, or none. PyTorch if it is installed.",
        ),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="boxgrad's engine. [default: native where it can run]")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of each library.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Blocks of steps of each library.")] = 8,
    json: Annotated[Path | None, typer.Option(help="Write every figure to this file.")] = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", help="Draw the speeds (.png .svg .pdf).")
    ] = None,
) -> None:
    """Measure whole training steps (forward, backward, Adam) beside other libraries.

    The libraries get the same weights and data and must compute the same losses. They alternate in one
    process; each block of steps stands between two probes of the machine, and blocks in which it was slow are
    left out.

    Examples:

        boxgrad bench mlp lenet --against torch

        boxgrad bench --against torch,jax --json bench.json --plot bench.png

        boxgrad bench mine.py:step --against mine.py:step_by_hand
    """
    count = threads or num_threads()
    engine = engine or default_engine()
    names = models or list(CASES)
    own = against if against is not None else "torch" if is_installed("torch") else "numpy"
    given = [part.strip() for part in own.split(",") if part.strip() not in ("", "none")]
    peers = peers_named(",".join(part for part in given if ":" not in part))
    unknown = [name for name in names if name not in CASES and ":" not in name]
    if unknown:
        raise fail(
            f"there is no model {unknown[0]!r}\n  why:     the models are {', '.join(CASES)}\n"
            "  instead: one of them, or FILE.py:STEP"
        )
    _expect_writable("--json", json, ())
    _expect_writable("--plot", plot_file, (".png", ".svg", ".pdf"))
    files = Files("bench")
    steps = {name: _step(files, name) for name in names if name not in CASES}
    functions = {part: _step(files, part) for part in given if ":" in part}
    found: list[Figures] = []
    with threads_of(count):
        typer.echo(f"engine {engine}, {count} thread{'s' * (count > 1)} each")
        for name in names:
            if name in CASES:
                figures = measure_model(name, peers, engine, count, rounds, _say)
            else:
                step = steps[name]
                for part, function in ((name, step), *functions.items()):
                    _try(files, part, function)
                work = flops(step.graph) if isinstance(step, Compiled) else None
                figures = measure_steps(name, {OURS: step, **functions}, work, count, rounds)
            found.append(figures)
            typer.echo(row(figures))
    if json is not None:
        save(document(found, engine, count), json)
        typer.echo(str(json))
    if plot_file is not None:
        plot(found, plot_file)
        typer.echo(str(plot_file))


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _step(files: Files, target: str) -> Callable[[], Any]:
    """A function that can be called without arguments."""
    function = files.function(target, "a model", "mlp, or boxgrad bench file.py:step")
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError) as error:
        raise fail(
            f"{target} cannot be called without arguments: {error}\n"
            "  why:     a step is repeated as it is; it brings its model and its batch itself\n"
            "  instead: def step(): return train(model, x, y)"
        ) from error
    return function


def _try(files: Files, target: str, step: Callable[[], Any]) -> None:
    """Run a step once, so that its own error is told as its own."""
    try:
        step()
    except Exception as error:
        raise fail(files.raised(error, target)) from error


def _expect_writable(option: str, path: Path | None, kinds: tuple[str, ...]) -> None:
    """Complain before the measurement, not after it, if its figures could not be written."""
    if path is None:
        return
    if kinds and path.suffix.lower() not in kinds:
        raise fail(f"{option} {path} ends in none of {' '.join(kinds)}\n  instead: {option} bench{kinds[0]}")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise fail(
            f"{option} {path} cannot be written\n"
            f"  why:     {path.parent} is no folder in which files can be made, or a folder has that name\n"
            f"  instead: {option} bench{kinds[0] if kinds else '.json'}"
        )

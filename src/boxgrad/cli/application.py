"""The application: its commands, its version, and what becomes of errors.

Knows nothing of what the commands do.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from boxgrad.cli.bench import bench
from boxgrad.cli.book import book
from boxgrad.cli.cache import cache
from boxgrad.cli.check import check
from boxgrad.cli.explain import explain
from boxgrad.cli.predict import predict
from boxgrad.cli.sample import sample
from boxgrad.cli.train import train

app = typer.Typer(
    name="boxgrad",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(train)
app.command()(explain)
app.command()(book)
app.command()(bench)
app.command()(check)
app.command()(predict)
app.command()(sample)
app.command()(cache)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"boxgrad {version('boxgrad')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Deep learning that you can see through: train a model, use it, explain a function, read the book.

    Examples:

        boxgrad train digits

        boxgrad predict runs/digits my-seven.png

        boxgrad book

        boxgrad train text --data book.txt

        boxgrad sample runs/text --prompt "Once upon"
    """


def main() -> None:
    """The entry point of the ``boxgrad`` command."""
    app(prog_name="boxgrad")

"""What the command line says when something is wrong: a paragraph, never a traceback.

Knows which errors are the user's to mend; knows nothing of the commands.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import typer

from boxgrad.errors import BoxgradError

WRONG_INPUT = 2
INTERRUPTED = 130


def paragraph(error: BaseException) -> str:
    """An error's message without the place in the source, which is not the user's own."""
    lines = str(error).splitlines() or [type(error).__name__]
    kept = [line for line in lines if not line.lstrip().startswith(("where:", "inside:"))]
    return "\n".join(kept)


def fail(text: str) -> typer.Exit:
    """Say what is wrong; raise what this returns."""
    typer.echo(f"boxgrad: {text}", err=True)
    return typer.Exit(WRONG_INPUT)


def reports_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make a command end with a message and exit code 2 where its input is wrong."""

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.showwarning = _show
            try:
                return command(*args, **kwargs)
            except (BoxgradError, ValueError, OSError) as error:
                raise fail(paragraph(error)) from error
            except KeyboardInterrupt:
                typer.echo("boxgrad: interrupted", err=True)
                raise typer.Exit(INTERRUPTED) from None

    return guarded


def _show(warning: Warning | str, *_rest: Any) -> None:
    typer.echo(f"boxgrad: note: {warning}", err=True)

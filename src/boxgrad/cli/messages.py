"""What the command line says when something is wrong: a paragraph, never a traceback.

Knows which errors are the user's to mend; knows nothing of the commands.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import typer

from boxgrad.errors import BoxgradError
from boxgrad.explain.refusals import in_language, is_part

WRONG_INPUT = 2
INTERRUPTED = 130


def paragraph(error: BaseException) -> str:
    """An error's message without the place in the source, which is not the user's own."""
    lines = str(error).splitlines() or [type(error).__name__]
    kept = [line for line in lines if not is_part(line, "where", "inside")]
    return "\n".join(kept)


_language = ContextVar("language", default="en")


def fail(text: str) -> typer.Exit:
    """Say what is wrong, in the language of the command; raise what this returns."""
    typer.echo(f"boxgrad: {in_language(text, _language.get())}", err=True)
    return typer.Exit(WRONG_INPUT)


def reports_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make a command end with a message and exit code 2 where its input is wrong."""

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        language = _language.set(str(kwargs.get("lang", "en")))
        with warnings.catch_warnings():
            warnings.showwarning = _show
            try:
                return command(*args, **kwargs)
            except (BoxgradError, ValueError, OSError) as error:
                raise fail(paragraph(error)) from error
            except KeyboardInterrupt:
                typer.echo("boxgrad: interrupted", err=True)
                raise typer.Exit(INTERRUPTED) from None
            finally:
                _language.reset(language)

    return guarded


def _show(warning: Warning | str, *_rest: Any) -> None:
    typer.echo(f"boxgrad: note: {warning}", err=True)

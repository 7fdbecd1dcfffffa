"""``boxgrad cache``: the object code that the native engine keeps on disk. Knows the options."""

from __future__ import annotations

from typing import Annotated

import typer

from boxgrad.cli.messages import reports_errors
from boxgrad.engines.native import cache as objects


@reports_errors
def cache(clear: Annotated[bool, typer.Option("--clear", help="Delete what is kept.")] = False) -> None:
    """Show, or clear, the compiled code that is kept between runs.

    Examples:

        boxgrad cache

        boxgrad cache --clear
    """
    if clear:
        typer.echo(f"deleted {objects.clear()} files from {objects.folder()}")
        return
    sizes = [file.lstat().st_size for file in objects.files()]
    typer.echo(f"{len(sizes)} files, {sum(sizes):,} bytes, in {objects.folder()}")
    if reason := objects.doubts():
        typer.echo(f"the folder is not used: {reason}")

"""``boxgrad check``: is somebody's gradient right, and if not, what is wrong with it?

Knows the forms in which a gradient is given on a command line; checking is known to boxgrad.check.
"""

from __future__ import annotations

import inspect
from html import escape
from pathlib import Path
from typing import Annotated, Any

import typer

from boxgrad.check.checking import check as checked
from boxgrad.check.differences import check_grad
from boxgrad.cli.functions import Files, Language, Shapes, Values
from boxgrad.cli.messages import fail, reports_errors
from boxgrad.errors import BoxgradError
from boxgrad.explain.html_parts import TAGS

WRONG, UNCLEAR = 1, 2
_TEXTS = (".tex", ".txt", ".md")


@reports_errors
def check(
    target: Annotated[str, typer.Argument(metavar="FILE.py:FUNCTION", help="The function.")],
    mine: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE.py:GRADIENT-or-FORMULA",
            help="Its gradient: a function, a formula, a file of formulas. "
            "Without it boxgrad's own gradient is checked against differences.",
        ),
    ] = None,
    shape: Shapes = None,
    value: Values = None,
    wrt: Annotated[
        list[str] | None, typer.Option(help="Whose gradients are meant; all if not given.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with the diagram.")] = None,
    lang: Annotated[Language, typer.Option(help="Language of the words.")] = Language.en,
    seed: Annotated[int, typer.Option(help="Another seed gives other numbers.")] = 0,
) -> None:
    """Say whether a gradient is right and, where it is wrong, name the mistake and its place.

    The exit code is 0 where it is right, 1 where it is wrong, 2 where that cannot be told.

    Examples:

        boxgrad check chapter1.py:loss chapter1.py:my_gradient --shape X=3x3 --shape W=3x2

        boxgrad check chapter1.py:loss "dL/dX = (dL/dS * S * (1 - S)) @ W.T" --shape X=3x3 --shape W=3x2

        boxgrad check chapter1.py:loss notes.tex --shape X=3x3 --shape W=3x2 --lang zh --html verdict.html

        boxgrad check chapter1.py:loss --shape X=3x3 --shape W=3x2
    """
    files = Files("check", lang.value)
    if html is not None and html.suffix.lower() != ".html":
        raise files.fail("page", path=html, instead=html.with_suffix(".html"))
    example = "file.py:loss file.py:my_gradient --shape X=3x3"
    function = files.function(target, "a formula", example)
    args = files.arguments(function, shape, value, seed)
    found = _verdict(files, function, args, _claim(files, mine, target), wrt, seed)
    typer.echo(str(found))
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(_page(found, lang.value), encoding="utf-8")
        typer.echo(f"{html} ({html.stat().st_size / 1000:.0f} kB)")
    if found.ok is not True:
        raise typer.Exit(UNCLEAR if found.ok is None else WRONG)


def _claim(files: Files, mine: str | None, target: str) -> Any:
    """The function, the formulas or the file of formulas that the second argument names."""
    if mine is None:
        return None
    path = Path(mine)
    if path.suffix.lower() in _TEXTS:
        if not path.is_file():
            raise files.fail("no file", path=path)
        return path.read_text(encoding="utf-8")
    file, colon, name = mine.rpartition(":")
    if name.isidentifier() and (colon or "=" not in mine) and (not file or file.endswith(".py")):
        # A name alone, or with a colon before it, is a function of the same file.
        return files.function(
            mine if file else f"{target.rpartition(':')[0]}:{name}", "a formula", "file.py:loss"
        )
    return mine


def _verdict(
    files: Files, function: Any, args: list[Any], claim: Any, wrt: list[str] | None, seed: int
) -> Any:
    try:
        if claim is None:
            return check_grad(function, *args, wrt=wrt or None, lang=files.lang)
        return checked(function, claim, *args, wrt=wrt or None, lang=files.lang, seed=seed)
    except BoxgradError as error:
        own = (
            Path(inspect.unwrap(function).__code__.co_filename).name if hasattr(function, "__code__") else ""
        )
        lines = str(error).splitlines()
        raise fail("\n".join(x for x in lines if not x.startswith("  where:") or own in x)) from error
    except Exception as error:
        raise fail(files.raised(error, f"{getattr(function, '__name__', 'the function')}()")) from error


def _page(found: Any, lang: str) -> str:
    """The verdict as one file: its text, and the diagram with the box marked."""
    drawn = getattr(found, "_repr_html_", None)
    body = drawn() if drawn is not None else f"<pre>{escape(str(found))}</pre>"
    style = "body{font-family:system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}"
    return (
        f'<!doctype html>\n<html lang="{TAGS[lang]}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(found.title)}</title><style>{style}</style></head><body>{body}</body></html>\n"
    )

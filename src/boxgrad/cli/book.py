"""``boxgrad book``: the lessons, in a browser.

Knows the options and what is said meanwhile; the pages are known to boxgrad.book.
"""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from boxgrad.book import Lesson, build, cached, find, lessons
from boxgrad.book.words import word
from boxgrad.cli.explain import Language
from boxgrad.cli.messages import reports_errors


@reports_errors
def book(
    page: Annotated[
        str | None,
        typer.Argument(help="A page, by number (4) or by name (chain-rule); the contents if none."),
    ] = None,
    lang: Annotated[
        Language | None, typer.Option(help="Language of the pages; both side by side if not given.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the pages to this folder, and open nothing.")
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Say where the pages are, and open nothing.")
    ] = False,
) -> None:
    """Read the book: derivatives, the chain rule, matrices and networks, each as math, diagram and code.

    Nineteen pages in English and Chinese. They are built when they are first asked for, by running their
    programs, and kept in the user's cache. No network is needed.

    Examples:

        boxgrad book

        boxgrad book --lang zh

        boxgrad book chain-rule

        boxgrad book --out pages
    """
    words = (lang or Language.en).value
    chosen = None if page is None else find(page, words)
    progress = _progress(words)
    index = cached(words, progress) if out is None else build(out, words, progress=progress)
    target = _target(index, chosen, lang)
    if out is not None or no_browser:
        typer.echo(word("ready", words, path=target))
    elif webbrowser.open(target.resolve().as_uri()):
        typer.echo(f"{word('ready', words, path=target)}\n{word('denied', words)}")
    else:
        typer.echo(word("no_browser", words, path=target))


def _target(index: Path, lesson: Lesson | None, lang: Language | None) -> Path:
    """The file that is opened: a page, the contents in a language, or both side by side."""
    if lesson is not None:
        return index.parent / (lang or Language.en).value / f"{lesson.name}.html"
    return index if lang is None else index.parent / lang.value / index.name


def _progress(lang: str) -> Callable[[Lesson], None]:
    """Says what is being built: one line that changes in a terminal, else one line."""
    terminal = sys.stderr.isatty()

    def show(lesson: Lesson) -> None:
        place = lessons().index(lesson) + 1
        if terminal:
            text = f"{word('building', lang)}: {place}/{len(lessons())} {lesson.title(lang)}"
            typer.echo(f"\r\x1b[K{text}", err=True, nl=place == len(lessons()))
        elif place == 1:
            typer.echo(word("building", lang), err=True)

    return show

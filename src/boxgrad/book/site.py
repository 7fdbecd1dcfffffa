"""The book as a folder of HTML files: contents, a page per lesson and language, a page per explanation.

Knows which files there are and how they point at each other. The folder needs no network and no server.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from html import escape
from importlib import resources
from pathlib import Path

from boxgrad.book.errors import BookError
from boxgrad.book.execute import Executed, execute
from boxgrad.book.lessons import CHAPTER, LANGUAGES, Lesson, lessons
from boxgrad.book.render import Address, page_html, reader
from boxgrad.book.words import OWN, TAGS, WORDS, word
from boxgrad.explain.explanation import Explanation
from boxgrad.explain.svg import STYLE

Progress = Callable[[Lesson], None]
_KEY = "built-from.txt"


def build(
    folder: Path, lang: str = "en", chosen: Sequence[Lesson] | None = None, progress: Progress | None = None
) -> Path:
    """Run lessons and write the book.

    Args:
        folder: where the files go; made if it is not there.
        lang: the language of messages.
        chosen: the lessons that are built; None for all. The contents name all of them.
        progress: is called with each lesson before it runs.

    Returns:
        the page with the contents in both languages.

    Raises:
        BookError: the folder cannot be written to, or a lesson cannot be built.
    """
    if folder.is_file():
        raise BookError(word("not_a_folder", lang, path=folder))
    try:
        _write(folder / "book.css", _explain_css() + STYLE + _own("book.css"))
        _write(folder / "book.js", _own("book.js"))
        for lesson in lessons() if chosen is None else chosen:
            if progress is not None:
                progress(lesson)
            _write_lesson(folder, lesson)
        for each in LANGUAGES:
            _write(folder / each / "index.html", _contents_page(each))
        _write(folder / "index.html", _cover())
    except OSError as error:
        raise BookError(word("not_written", lang, path=folder, reason=error.strerror or error)) from error
    return folder / "index.html"


def cached(lang: str = "en", progress: Progress | None = None) -> Path:
    """The contents page of the book in the user's cache, built if it is not there or boxgrad has changed."""
    import pooch  # noqa: PLC0415 - only here

    folder = Path(pooch.os_cache("boxgrad")) / "book"
    key = _fingerprint()
    known = folder / _KEY
    if known.is_file() and known.read_text(encoding="utf-8") == key:
        return folder / "index.html"
    known.unlink(missing_ok=True)
    index = build(folder, lang, progress=progress)
    _write(known, key)
    return index


def _fingerprint() -> str:
    """What the files of boxgrad say, in short: the book is made by all of it."""
    digest = hashlib.sha256()
    root = Path(str(resources.files("boxgrad")))
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".md", ".css", ".js", ".html"):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _own(name: str) -> str:
    return resources.files("boxgrad.book").joinpath(name).read_text(encoding="utf-8")


def _explain_css() -> str:
    return resources.files("boxgrad.explain").joinpath("page.css").read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    """Write a file whole: beside its place first, then under its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# ---- a lesson
def _write_lesson(folder: Path, lesson: Lesson) -> None:
    executed = execute(lesson)
    walks: dict[int, str] = {}

    def address(explanation: Explanation) -> str | None:
        if explanation.model.output.gradient is None:
            return None  # without a backward pass there is little to step through
        if id(explanation) not in walks:
            name = f"{lesson.name}-{len(walks) + 1}.html"
            _write(folder / "walks" / name, explanation.page)
            walks[id(explanation)] = f"../walks/{name}"
        return walks[id(explanation)]

    for lang in LANGUAGES:
        _write(folder / lang / f"{lesson.name}.html", _lesson_page(executed, lang, address))


def _lesson_page(executed: Executed, lang: str, address: Address) -> str:
    lesson = executed.lesson
    all_lessons = lessons()
    place = all_lessons.index(lesson)
    before = all_lessons[place - 1] if place else None
    after = all_lessons[place + 1] if place + 1 < len(all_lessons) else None
    lead = reader().render(executed.filled(lesson.lead(lang)))
    body = (
        f'<main id="text"><h1><span class="number">{lesson.number}</span> {_line(lesson.title(lang))}</h1>'
        f'<div class="lead">{lead}</div>\n{page_html(executed, lang, address)}</main>\n'
        f'<nav class="turn" aria-label="{word("lessons", lang)}">{_turn(before, "previous", lang)}'
        f'<a href="index.html">{word("contents", lang)}</a>{_turn(after, "next", lang)}</nav>'
    )
    return _page(lang, f"{lesson.number}. {lesson.title(lang)}", body, f"{lesson.name}.html")


def _turn(lesson: Lesson | None, key: str, lang: str) -> str:
    if lesson is None:
        return "<span></span>"
    title = f"{lesson.number} {_line(lesson.title(lang))}"
    rel = "prev" if key == "previous" else "next"
    return f'<a rel="{rel}" href="{lesson.name}.html"><small>{word(key, lang)}</small>{title}</a>'


def _line(text: str) -> str:
    return reader().renderInline(text)


# ---- contents
def _list(lang: str, folder: str) -> str:
    """All lessons in a language, in two parts."""
    parts: list[str] = []
    for heading, some in (("chapter", lessons()[:CHAPTER]), ("networks", lessons()[CHAPTER:])):
        rows = "".join(
            f'<li value="{one.number}"><a href="{folder}{one.name}.html">{_line(one.title(lang))}</a>'
            f"<p>{_line(_plain(one.lead(lang)))}</p></li>"
            for one in some
        )
        parts.append(f"<h2>{word(heading, lang)}</h2><ol>{rows}</ol>")
    return "".join(parts)


def _plain(lead: str) -> str:
    """A first paragraph without the numbers that only its programs know."""
    if "{{" in lead:
        raise BookError(f"the contents show the first paragraph, so it has no computed numbers: {lead}")
    return lead.replace("\n", " ")


def _contents_page(lang: str) -> str:
    body = (
        f'<main id="text" class="contents"><h1>{word("book", lang)}</h1>'
        f'<div class="lead"><p>{word("about", lang)}</p></div>{_list(lang, "")}'
        f'<p class="hint">{word("keys", lang)}</p></main>'
    )
    return _page(lang, word("book", lang), body, "index.html")


def _cover() -> str:
    """The contents in both languages, side by side."""
    columns = "".join(
        f'<div lang="{TAGS[lang]}"><h1>{word("book", lang)}</h1><p class="lead">{word("about", lang)}</p>'
        f"{_list(lang, f'{lang}/')}</div>"
        for lang in LANGUAGES
    )
    body = f'<main id="text" class="contents cover">{columns}</main>'
    return _page(LANGUAGES[0], "boxgrad", body, None)


# ---- what all pages share
def _choice(lang: str, present: bool, other: str | None) -> str:
    """A language of the switch: the present one, or a link; from the cover to the contents."""
    tag = TAGS[lang]
    if other is None:
        return f'<a href="{lang}/index.html" lang="{tag}" hreflang="{tag}">{OWN[lang]}</a>'
    if present:
        return f'<span aria-current="true" lang="{tag}">{OWN[lang]}</span>'
    return f'<a data-switch href="../{lang}/{other}" lang="{tag}" hreflang="{tag}">{OWN[lang]}</a>'


def _page(lang: str, title: str, body: str, other: str | None) -> str:
    """A whole file; ``other`` is the same page's name in the other languages, None on the cover."""
    root = "" if other is None else "../"
    switch = "".join(_choice(each, each == lang, other) for each in LANGUAGES)
    words = f'data-dark="{word("dark", lang)}" data-light="{word("light", lang)}"'
    home = "index.html" if other is not None else ""
    plain = re.sub(r"[$_*`]", "", title)
    return f"""<!doctype html>
<html lang="{TAGS[lang]}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(plain)} · boxgrad</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{root}book.css">
<script src="{root}book.js" defer></script>
</head>
<body>
<a class="skip" href="#text">{WORDS["skip"][lang]}</a>
<header class="top">
<a class="home" href="{home}">boxgrad</a>
<nav class="languages" aria-label="{word("language", lang)}">{switch}</nav>
<button id="theme" hidden {words} title="{word("theme", lang)}"></button>
</header>
{body}
</body>
</html>
"""

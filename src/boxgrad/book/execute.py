"""Running the programs of a lesson, in order and in one namespace, as a reader would.

What runs is the text of this package's own pages. Knows nothing of HTML.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from boxgrad.book.errors import BookError
from boxgrad.book.figures import drawing
from boxgrad.book.lessons import Block, Lesson

RAISES = "raises"
"""The word after ``python`` on a program that is meant to end with an error, which is then shown."""
_INLINE = re.compile(r"\{\{(\w+)(?::([^}]*))?\}\}")
_FENCED = re.compile(r"^(```.*?^```)$", re.M | re.S)


@dataclass
class Executed:
    """A lesson that has run: what each program printed, and the values that its names have at the end."""

    lesson: Lesson
    printed: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    def value(self, name: str) -> Any:
        """The value of a name that a page shows."""
        if name not in self.values:
            raise BookError(f"{self.lesson.name} shows {name}, which none of its programs defines")
        return self.values[name]

    def filled(self, text: str) -> str:
        """A page's text with ``{{name:format}}`` replaced by numbers that its programs have computed."""

        def number(found: re.Match[str]) -> str:
            return format(self.value(found[1]), found[2] or "").replace("-", "−")

        return "".join(
            part if part.startswith("```") else _INLINE.sub(number, part) for part in _FENCED.split(text)
        )


def execute(lesson: Lesson) -> Executed:
    """Run the programs of a lesson.

    Raises:
        BookError: a program ended with an error, or one that is meant to did not.
    """
    done = Executed(lesson, values={"__name__": "lesson"})
    with drawing():
        for number, program in enumerate(lesson.programs, start=1):
            done.printed.append(_printed(lesson, program, number, done.values))
    return done


def _printed(lesson: Lesson, program: Block, number: int, values: dict[str, Any]) -> str:
    file = f"{lesson.name.partition('-')[2]}-{number}.py"
    linecache.cache[file] = (len(program.text), None, program.text.splitlines(keepends=True), file)
    printed = io.StringIO()
    meant = RAISES in program.words
    raised = False
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(program.text, file, "exec"), values)
        except Exception as error:
            if not meant:
                place = "".join(_own_lines(error, file)) or file
                raise BookError(f"{place}: {type(error).__name__}: {error}") from error
            raised = True
            print(f"{type(error).__name__}: {error}")
    if meant and not raised:
        raise BookError(f"{file} is meant to end with an error, and does not")
    return printed.getvalue()


def _own_lines(error: BaseException, file: str) -> Iterator[str]:
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == file:
            yield f"{file}:{frame.lineno} ({frame.line})"

"""The lessons: which there are, their texts in two languages, and the programs that both share.

Knows the files in ``pages`` and what a fenced block is; runs nothing and makes no HTML.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources

from boxgrad.book.errors import BookError
from boxgrad.book.words import word

LANGUAGES = ("en", "zh")
CHAPTER = 13
"""So many lessons make the first chapter; those after it are about networks."""
_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.M | re.S)
_LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


@dataclass(frozen=True)
class Block:
    """A fenced block: what it is ("python", "explain", "figure"), further words, its text."""

    kind: str
    words: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Lesson:
    """One lesson: ``name`` is its file's, "04-chain-rule"; ``texts`` is its Markdown by language."""

    name: str
    texts: dict[str, str]

    @property
    def number(self) -> int:
        """Its place in the book, from 1."""
        return int(self.name.partition("-")[0])

    def title(self, lang: str) -> str:
        """The heading."""
        return self.texts[lang].partition("\n")[0].removeprefix("# ")

    def lead(self, lang: str) -> str:
        """The first paragraph, which says what the lesson is about."""
        return self.texts[lang].split("\n\n", 2)[1]

    def body(self, lang: str) -> str:
        """What follows the heading and the first paragraph."""
        return self.texts[lang].split("\n\n", 2)[2]

    @cached_property
    def blocks(self) -> dict[str, list[Block]]:
        """The fenced blocks, in order, by language."""
        return {lang: list(_blocks(text)) for lang, text in self.texts.items()}

    @property
    def programs(self) -> list[Block]:
        """The programs, which are the same in all languages but for their comments."""
        first, *others = (
            [(block.kind, block.words, essence(block)) for block in blocks] for blocks in self.blocks.values()
        )
        if any(other != first for other in others):
            raise BookError(f"{self.name}: the programs differ between {' and '.join(self.texts)}")
        return [block for block in self.blocks[LANGUAGES[0]] if block.kind == "python"]


def _blocks(text: str) -> Iterator[Block]:
    for found in _FENCE.finditer(text):
        yield Block(found[1], tuple(found[2].split()), found[3])


def essence(block: Block) -> list[str]:
    """What a block says in any language: a program's tokens without comments, what a figure or view shows."""
    if block.kind != "python":
        return block.text.splitlines()[:1] if block.kind == "figure" else block.text.split()
    tokens = tokenize.generate_tokens(io.StringIO(block.text).readline)
    return [token.string for token in tokens if token.type not in _LAYOUT]


@lru_cache(maxsize=1)
def lessons() -> tuple[Lesson, ...]:
    """All lessons, in order."""
    texts: dict[str, dict[str, str]] = {}
    for file in resources.files("boxgrad.book").joinpath("pages").iterdir():
        name, _, rest = file.name.partition(".")
        lang, _, ending = rest.partition(".")
        if lang in LANGUAGES and ending == "md":
            texts.setdefault(name, {})[lang] = file.read_text(encoding="utf-8")
    return tuple(Lesson(name, {lang: texts[name][lang] for lang in LANGUAGES}) for name in sorted(texts))


def find(wanted: str, lang: str = "en") -> Lesson:
    """The lesson of a number ("4"), a name ("04-chain-rule"), or a part of one ("chain").

    Raises:
        BookError: there is none, or there are several.
    """
    text = wanted.strip().lower()
    tests: tuple[Callable[[Lesson], bool], ...] = (
        lambda one: text in (one.name, one.name.partition("-")[2], str(one.number), f"{one.number:02}"),
        lambda one: text in one.name.partition("-")[2],
        lambda one: any(text in one.title(each).lower() for each in LANGUAGES),
    )
    choices = ([one for one in lessons() if test(one)] for test in tests) if text else iter(())
    found = next(filter(None, choices), [])
    if len(found) == 1:
        return found[0]
    names = "\n".join(f"    {one.number:2}  {one.name:24} {one.title(lang)}" for one in found or lessons())
    raise BookError(word("several" if found else "unknown", lang, name=wanted, names=names))

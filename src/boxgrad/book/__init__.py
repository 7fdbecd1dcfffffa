"""The book: nineteen lessons in English and Chinese, executed when they are built.

``lessons`` knows the pages, ``execute`` runs their programs, ``views`` and ``figures`` draw, ``render`` makes
HTML of Markdown, ``site`` puts a folder of files together. Programs are run from this package's own pages
and from nowhere else.
"""

from boxgrad.book.lessons import LANGUAGES, Lesson, find, lessons
from boxgrad.book.site import build, cached

__all__ = ["LANGUAGES", "Lesson", "build", "cached", "find", "lessons"]

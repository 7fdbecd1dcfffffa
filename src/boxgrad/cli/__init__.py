"""The command line: ``boxgrad train``, ``explain``, ``book``, ``predict``, ``sample``.

Knows the list of commands; each is in a file of its own, and loads what it needs when it runs.
"""

from boxgrad.cli.application import app, main

__all__ = ["app", "main"]

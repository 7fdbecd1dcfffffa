"""What can be wrong with the book or with what is asked of it."""

from __future__ import annotations

from boxgrad.errors import BoxgradError


class BookError(BoxgradError, ValueError):
    """A page that is not there, or that cannot be built; the message is in the reader's language."""

"""A graph as text that parses back, the user's names for its values, and the check of its types."""

from boxgrad.listing.check import check
from boxgrad.listing.names import names, own_name
from boxgrad.listing.text import parse, text

__all__ = ["check", "names", "own_name", "parse", "text"]

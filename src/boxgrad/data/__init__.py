"""Data sets and batches.

Knows files, examples and their order; knows nothing of graphs, layers or training.
"""

from boxgrad.data.batching import Batches, batches
from boxgrad.data.errors import DataError
from boxgrad.data.idx import read_idx
from boxgrad.data.images import ImageData, digits, fashion, mnist
from boxgrad.data.text import Sequences, TextData, sequences, text

__all__ = [
    "Batches",
    "DataError",
    "ImageData",
    "Sequences",
    "TextData",
    "batches",
    "digits",
    "fashion",
    "mnist",
    "read_idx",
    "sequences",
    "text",
]

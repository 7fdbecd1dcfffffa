"""The error of data that cannot be read or divided into batches."""

from boxgrad.errors import BoxgradError


class DataError(BoxgradError, ValueError):
    """Data that cannot be found, read, or divided into batches."""

"""Reading IDX files, the format of MNIST, plain or compressed with gzip.

Knows the format; knows no data set. What a header says is checked against the file before it is
believed.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from boxgrad.data.errors import DataError
from boxgrad.errors import message

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_AXES = 32
_CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read one array from an IDX file; whether it is compressed is seen from its first bytes.

    The file is two zero bytes, a byte for the dtype, a byte for the number of axes, the sizes as
    big-endian 32-bit numbers, and the values, the last axis fastest.

    Args:
        path: The file.

    Returns:
        A new array of any shape, in the machine's byte order.

    Raises:
        DataError: if the file is no IDX file, or is damaged, truncated or too long.
        OSError: if it cannot be opened.

    Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "numbers")
    ...     _ = file.write_bytes(bytes([0, 0, 0x08, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9]))
    ...     read_idx(file)
    array([[7, 8, 9]], dtype=uint8)
    """
    path = Path(path)
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not compressed:
            return _read(file, path, path.stat().st_size)
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                return _read(stream, path, None)  # type: ignore[arg-type]
        except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
            raise _damaged(path, f"the compressed data are damaged: {problem}") from problem


def _read(stream: BinaryIO, path: Path, length: int | None) -> np.ndarray:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES:
        raise _damaged(path, f"its first bytes are {magic.hex(' ') or 'missing'}, not those of an IDX file")
    dtype, axes = np.dtype(_DTYPES[magic[2]]), magic[3]
    if axes > _MOST_AXES:
        raise _damaged(path, f"its header claims {axes} axes")
    sizes = stream.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise _damaged(path, f"it ends inside its header of {axes} sizes")
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    needed = math.prod(shape) * dtype.itemsize
    claim = f"its header claims {list(shape)} of {dtype.name}, {needed:,} bytes"
    if length is not None and length != 4 + 4 * axes + needed:
        raise _damaged(path, f"{claim}; behind the header are {length - 4 - 4 * axes:,}")
    values = _read_at_most(stream, needed + 1)
    if len(values) != needed:
        found = "more" if len(values) > needed else f"{len(values):,}"
        raise _damaged(path, f"{claim}; behind the header are {found}")
    try:
        return np.frombuffer(values, dtype).reshape(shape).astype(dtype.newbyteorder("="))
    except ValueError as problem:  # an axis of size 0 beside sizes that no array can have
        raise _damaged(path, f"{claim}: {problem}") from problem


def _read_at_most(stream: BinaryIO, count: int) -> bytes:
    """Up to ``count`` bytes, without reserving memory for what may not be there."""
    parts: list[bytes] = []
    while count and (part := stream.read(min(count, _CHUNK))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        message(
            f"{path} cannot be read as an IDX file",
            why,
            "fetch the file again, or remove it and let boxgrad download it",
        )
    )

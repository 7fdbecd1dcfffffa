"""Object code on disk, so that a function compiled once need not be compiled by the next process.

Knows bytes and their names: the name is a digest of everything the code depends on (the text of the program,
the processor, the versions of LLVM and of boxgrad), and the file begins with a digest of its content. A file
that is damaged, cut short or of another format is ignored and written anew. Files are written under another
name first and then moved. Where nothing can be written, nothing is kept.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MAGIC = b"boxgrad-object-1\n"
_SUFFIX = ".object"


def folder() -> Path:
    """``BOXGRAD_CACHE``, or a folder of the user's cache."""
    chosen = os.environ.get("BOXGRAD_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "boxgrad" / "native"


def name_of(*parts: str) -> str:
    """The name of the object code that follows from these texts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()


def load(name: str) -> bytes | None:
    """The object code of that name; None where there is none that is whole."""
    try:
        content = (folder() / f"{name}{_SUFFIX}").read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + 32
    code = content[start:]
    if content[: len(_MAGIC)] != _MAGIC or content[len(_MAGIC) : start] != hashlib.sha256(code).digest():
        return None
    return code


def save(name: str, code: bytes) -> None:
    """Keep object code; a full or read-only disk is no error."""
    with suppress(OSError):
        place = folder()
        place.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=place, prefix=name[:16])
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(code).digest() + code)
            os.replace(temporary, place / f"{name}{_SUFFIX}")
        except OSError:
            os.unlink(temporary)
            raise


def files() -> Iterator[Path]:
    """What is kept."""
    yield from sorted(folder().glob(f"*{_SUFFIX}"))


def clear() -> int:
    """Delete all of it; the number of files."""
    count = 0
    for file in files():
        with suppress(OSError):
            file.unlink()
            count += 1
    return count

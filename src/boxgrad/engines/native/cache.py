"""Object code on disk, so that a function compiled once need not be compiled by the next process.

Knows bytes and their names: the name is a digest of everything the code depends on (the text of the program,
the processor, the versions of LLVM and of boxgrad), and the file begins with a digest of its name and of its
content. A file that is damaged, cut short, of another name or format is ignored and written anew. Files are
written under another name first and then moved. Where nothing can be written, nothing is kept.

Whoever can write to the folder can have code run here. So the folder and its files must belong to the user,
and nobody else may write to them: a folder for which that does not hold is not used at all.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MAGIC = b"boxgrad-object-2\n"
_START = len(_MAGIC) + hashlib.sha256().digest_size
_SUFFIX, _UNFINISHED = ".object", ".part"
_NO_WAITING = getattr(os, "O_NONBLOCK", 0)
"""A pipe in the place of a file must not make a program wait."""


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


def doubts() -> str:
    """Why the folder cannot be trusted; nothing where it can, or where it does not exist yet."""
    place = folder()
    try:
        found = place.lstat()
    except OSError:
        found = None
    if found is not None:
        if stat.S_ISLNK(found.st_mode):
            return "it is a link, which may lead anywhere"
        if not stat.S_ISDIR(found.st_mode):
            return "it is not a folder"
        if not _is_ours(found):
            return "others own it or may write to it"
    for parent in place.absolute().parents:
        with suppress(OSError):
            mode = parent.stat().st_mode
            if os.name == "posix" and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
                return f"anybody may replace what is in {parent}"
    return ""


def _is_ours(found: os.stat_result) -> bool:
    """Whether only the user may write."""
    if os.name != "posix":
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def load(name: str) -> bytes | None:
    """The object code of that name; None where there is none that is whole and the user's own."""
    if doubts():
        return None
    try:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | _NO_WAITING
        with open(os.open(folder() / f"{name}{_SUFFIX}", flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or not _is_ours(found):
                return None
            content = file.read()
    except OSError:
        return None
    code = content[_START:]
    return code if content[:_START] == _head(name, code) else None


def _head(name: str, code: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(name.encode() + code).digest()


def save(name: str, code: bytes) -> None:
    """Keep object code; a full or read-only disk is no error."""
    if doubts():
        return
    with suppress(OSError):
        place = folder()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=place, prefix=name[:16], suffix=_UNFINISHED)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_head(name, code) + code)
            os.replace(temporary, place / f"{name}{_SUFFIX}")
        except OSError:
            os.unlink(temporary)
            raise


def files() -> Iterator[Path]:
    """What is kept."""
    yield from sorted(folder().glob(f"*{_SUFFIX}"))


def clear() -> int:
    """Delete all of it, and what was left unfinished; the number of files."""
    count = 0
    for file in (*files(), *folder().glob(f"*{_UNFINISHED}")):
        with suppress(OSError):
            file.unlink()
            count += 1
    return count

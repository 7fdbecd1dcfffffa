"""Files that are either whole or absent, and paths that stay inside their folder.

Knows the file system and JSON; knows nothing of models or runs. Every write goes to a temporary
file beside the target, is forced to the disk, and takes the target's name in one step, so a
process that is killed at any moment leaves the old file or the new one, never half of one.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from boxgrad.errors import BoxgradError, message


class RunError(BoxgradError, ValueError):
    """A run folder that cannot be read, or must not be written to."""


def write_atomically(path: Path, content: bytes | Callable[[Path], Any]) -> None:
    """Write a file whole; ``content`` is its bytes, or a function that fills a given path."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        if callable(content):
            content(temporary)
        else:
            temporary.write_bytes(content)
        _force_to_disk(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _force_to_disk(path.parent)


def _force_to_disk(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # Windows has no handle on a folder
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of a process that was killed while it wrote."""
    for path in folder.glob(".*.tmp*"):
        path.unlink(missing_ok=True)


def finite(value: Any) -> Any:
    """The same value with nan and infinities as None, which is how JSON can say them."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_json(value: Any, indent: int | None = None) -> str:
    """Strict JSON; floats are written so that they read back exactly."""
    return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)


def write_json(path: Path, value: Any) -> None:
    """Write one JSON document, indented for people."""
    write_atomically(path, (to_json(value, indent=2) + "\n").encode())


def write_json_lines(path: Path, rows: Iterable[Any]) -> None:
    """Write one JSON object a line."""
    write_atomically(path, "".join(to_json(row) + "\n" for row in rows).encode())


def read_json(path: Path) -> Any:
    """Read one JSON document."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise RunError(
            message(
                f"{path} cannot be read as JSON",
                str(problem),
                "restore the file from a copy, or start a new run in another folder",
            )
        ) from problem


def inside(folder: Path, name: str) -> Path:
    """The path of ``name`` in ``folder``; a name that leads out of the folder is refused.

    Names that are read from a run folder are not trusted: absolute paths, drive letters, ``..``
    and links that point elsewhere are errors.
    """
    parts = (*PurePosixPath(name).parts, *PureWindowsPath(name).parts)
    rooted = PurePosixPath(name).is_absolute() or bool(PureWindowsPath(name).anchor)
    path = folder / name
    if not name or rooted or ".." in parts or not path.resolve().is_relative_to(folder.resolve()):
        raise RunError(
            message(
                f"the name {name!r} leads out of the run folder {folder}",
                "a run folder may come from anywhere, so only files inside it are opened",
                "move the file into the run folder and name it relative to that folder",
            )
        )
    return path

"""Checkpoints: the arrays of a run in safetensors, everything else in JSON, in pairs of files.

Knows how a pair is written, checked, chosen and thinned out; knows nothing of what is in it.
The JSON file is written last and holds the digest of the arrays' file and of itself, so a pair
counts only when both are whole. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from boxgrad.errors import message
from boxgrad.train.files import RunError, remove_leftovers, to_json, write_atomically

_FORMAT = 1


class Saved(NamedTuple):
    """What a checkpoint holds."""

    number: int
    arrays: dict[str, np.ndarray]
    state: dict[str, Any]


class DamagedCheckpoint(RuntimeWarning):
    """A checkpoint that cannot be used; the one before it is."""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pack(arrays: dict[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    """Named arrays as the bytes of a safetensors file."""
    return save({name: np.array(value, order="C") for name, value in arrays.items()}, metadata)


class Checkpoints:
    """The checkpoints in a folder, of which the newest few are kept.

    Args:
        folder: where they are; made when the first is saved.
        keep: how many to keep; two, so that one is left should the newest be damaged.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep
        self._damaged: set[int] = set()

    def numbers(self) -> list[int]:
        """The numbers of the checkpoints that were begun, oldest first."""
        stems = {path.stem.removeprefix("checkpoint-") for path in self.folder.glob("checkpoint-*")}
        return sorted(int(stem) for stem in stems if stem.isdecimal())

    def _paths(self, number: int) -> tuple[Path, Path]:
        stem = f"checkpoint-{number:06d}"
        return self.folder / f"{stem}.safetensors", self.folder / f"{stem}.json"

    def save(self, arrays: dict[str, Any], state: dict[str, Any]) -> int:
        """Write a new checkpoint and remove those no longer kept; returns its number."""
        self.folder.mkdir(parents=True, exist_ok=True)
        present = self.numbers()
        number = present[-1] + 1 if present else 1
        array_path, state_path = self._paths(number)
        content = pack(arrays)
        body = to_json(state)
        header = {"format": _FORMAT, "arrays": _digest(content), "state_digest": _digest(body.encode())}
        write_atomically(array_path, content)
        write_atomically(state_path, f'{to_json(header)[:-1]}, "state": {body}}}\n'.encode())
        sound = [other for other in (*present, number) if other not in self._damaged]
        for other in (*present, number):
            if other not in sound[-self.keep :]:
                for path in reversed(self._paths(other)):
                    path.unlink(missing_ok=True)
        return number

    def load(self) -> Saved | None:
        """The newest checkpoint that is whole, or None where none was ever finished.

        Warns (:class:`DamagedCheckpoint`) of every newer one that is not.

        Raises:
            RunError: when there are checkpoints and all of them are damaged.
        """
        problems = []
        for number in reversed(self.numbers()):
            array_path, state_path = self._paths(number)
            if not state_path.exists():  # its writer was stopped before it was finished
                continue
            try:
                return Saved(number, *self._read(array_path, state_path))
            except (OSError, ValueError, KeyError, TypeError, SafetensorError) as problem:
                self._damaged.add(number)
                problems.append(f"{state_path.stem}: {problem}")
                warnings.warn(
                    f"checkpoint {state_path.stem} in {self.folder} is damaged ({problem}); "
                    "falling back to the one before it",
                    DamagedCheckpoint,
                    stacklevel=2,
                )
        if problems:
            raise RunError(
                message(
                    f"no checkpoint in {self.folder} can be used",
                    "; ".join(problems),
                    "start the run again in a new folder, or restore the checkpoints from a copy",
                )
            )
        return None

    @staticmethod
    def _read(array_path: Path, state_path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        document = json.loads(state_path.read_bytes())
        if document["format"] != _FORMAT:
            raise ValueError(f"its format is {document['format']}, this version reads {_FORMAT}")
        if _digest(to_json(document["state"]).encode()) != document["state_digest"]:
            raise ValueError("its state does not match its digest")
        content = array_path.read_bytes()
        if _digest(content) != document["arrays"]:
            raise ValueError("its arrays do not match their digest")
        return load(content), document["state"]

    def clear(self) -> None:
        """Remove what a killed process left half-written."""
        if self.folder.exists():
            remove_leftovers(self.folder)
            for number in self.numbers():
                array_path, state_path = self._paths(number)
                if not state_path.exists():
                    array_path.unlink(missing_ok=True)

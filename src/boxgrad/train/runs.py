"""The run folder: which files it has, and how they are written and read.

Knows names of files and what is in them; knows nothing of training. ::

    config.json             what was trained, on what, how
    metrics.jsonl           a row per epoch, and a last one for the test set
    model.safetensors       the weights, under PyTorch's names, with the configuration
    curves.png …            pictures, or samples.txt
    checkpoints/            all that is needed to go on as if nothing had happened
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from boxgrad.errors import message
from boxgrad.train import structure
from boxgrad.train.checkpoint import Checkpoints, pack
from boxgrad.train.files import (
    RunError,
    inside,
    read_json,
    remove_leftovers,
    to_json,
    write_atomically,
    write_json,
    write_json_lines,
)
from boxgrad.train.history import Row

FORMAT = 1


class RunFolder:
    """One run's files.

    Args:
        path: the folder; it need not exist yet.
        keep: how many checkpoints are kept.
    """

    def __init__(self, path: str | Path, keep: int = 2) -> None:
        self.path = Path(path)
        self.checkpoints = Checkpoints(self.path / "checkpoints", keep)

    def file(self, name: str) -> Path:
        """The path of a file in the folder; names that lead out of it are refused."""
        return inside(self.path, name)

    @property
    def holds_run(self) -> bool:
        """Whether a run has begun here."""
        return (self.path / "config.json").exists() or bool(self.checkpoints.numbers())

    def prepare(self) -> None:
        """Make the folder, and remove what a killed process left half-written."""
        if self.path.exists() and not self.path.is_dir():
            raise RunError(
                message(
                    f"{self.path} is a file",
                    "a run is a folder of several files",
                    f"another place for it, for example {self.path}-run",
                )
            )
        self.checkpoints.folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.path)
        self.checkpoints.clear()

    def write_config(self, config: dict[str, Any]) -> None:
        """Write config.json."""
        write_json(self.file("config.json"), config)

    def read_config(self) -> dict[str, Any]:
        """Read config.json.

        Raises:
            RunError: when there is none, or it is of another format.
        """
        if not (self.path / "config.json").exists():
            raise RunError(
                message(
                    f"{self.path} holds no run",
                    "there is no config.json in it",
                    "the folder that was given as out= or --out, such as runs/digits",
                )
            )
        config = read_json(self.file("config.json"))
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise RunError(
                message(
                    f"{self.path / 'config.json'} is of a format that this version does not read",
                    f"it reads format {FORMAT}",
                    "install the version of boxgrad that wrote it",
                )
            )
        return config

    def write_metrics(self, rows: list[Row]) -> None:
        """Write metrics.jsonl."""
        write_json_lines(self.file("metrics.jsonl"), rows)

    def write_model(self, model: Any, config: dict[str, Any]) -> None:
        """Write model.safetensors: the state under PyTorch's names, with the configuration."""
        metadata = {"config": to_json(config)}  # one entry: the order of several is not fixed
        write_atomically(self.file("model.safetensors"), pack(model.state_dict(), metadata))

    def load_model(self) -> tuple[Any, dict[str, Any]]:
        """Build the run's model from its description and weights, in evaluation mode.

        Returns:
            the model and the configuration.

        Raises:
            RunError: when the model is of a class of its own, or nothing was saved yet.
        """
        config = self.read_config()
        model = build(config, "model")
        path = self.file("model.safetensors")
        if not path.exists():
            raise RunError(
                message(
                    f"{path} is not there",
                    "the run was stopped before its first epoch had ended",
                    "go on with the run first: bg.Trainer.resume(folder).fit(), or --resume",
                )
            )
        try:
            with safe_open(path, framework="np") as file:
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as problem:
            raise RunError(
                message(f"{path} is damaged", str(problem), "resume the run, which writes it anew")
            ) from problem
        model.load_state_dict(weights)
        return model.eval(), config


def build(config: dict[str, Any], part: str) -> Any:
    """Build the model, the optimiser, the loss … that a configuration describes."""
    described = config.get(part)
    if not isinstance(described, dict) or "structure" not in described:
        raise RunError(
            message(
                f"the {part} of this run cannot be built from config.json",
                "it is not boxgrad's own but " + (described or {}).get("custom", "not described there"),
                "make the same objects in Python and continue with "
                "Trainer(model, loss, optimizer, out=folder).fit(data, resume=True)",
            )
        )
    return structure.build(described["structure"])


def described(value: Any) -> dict[str, Any]:
    """The description of a part for config.json; for what is not boxgrad's, its name only."""
    try:
        return {"structure": structure.describe(value)}
    except structure.UnknownError as unknown:
        return {"custom": str(unknown)}


def fresh(path: Path) -> Path:
    """The path itself, or the first of path-2, path-3 … where no run has begun."""
    number, candidate = 1, path
    while RunFolder(candidate).holds_run:
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def separate(value: Any, path: str, arrays: dict[str, Any]) -> Any:
    """A state as JSON; its arrays go to ``arrays``, each under the path where it was found."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, np.ndarray | np.generic):
        arrays[path] = np.asarray(value)
        return {"array": path}
    if isinstance(value, dict):
        items = value.items()
        return {"dict": {str(key): separate(item, f"{path}/{key}", arrays) for key, item in items}}
    if isinstance(value, list | tuple):
        return [separate(item, f"{path}/{index}", arrays) for index, item in enumerate(value)]
    raise TypeError(
        message(
            f"the state at {path} is of type {type(value).__name__}",
            "a checkpoint holds numbers, strings, arrays, and lists and dicts of them",
            "return such values from state() or state_dict()",
        )
    )


def joined(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """What :func:`separate` took apart.

    >>> arrays = {}
    >>> joined(separate({"a": [1, np.zeros(2)]}, "state", arrays), arrays)
    {'a': [1, array([0., 0.])]}
    """
    if isinstance(value, list):
        return [joined(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return arrays[content]
    if kind == "float":
        return float(content)
    return {key: joined(item, arrays) for key, item in content.items()}

"""What of a Trainer goes into its run folder, and how it comes back.

Knows which attributes of a Trainer make up its state; knows nothing of files or of steps.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from boxgrad import data, tree
from boxgrad.errors import BoxgradError, message
from boxgrad.train import structure
from boxgrad.train.checkpoint import Saved
from boxgrad.train.files import RunError
from boxgrad.train.history import History
from boxgrad.train.runs import FORMAT, described, joined, separate

if TYPE_CHECKING:
    from boxgrad.train.trainer import Trainer

_OBJECTS = ("model", "optimizer")
_NUMBERS = ("epoch", "step", "epoch_step", "elapsed", "finished")
_NAMED_DATA = {"digits": data.digits, "mnist": data.mnist, "fashion": data.fashion}


def capture(trainer: Trainer, batches: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """All that a run needs to go on: arrays by name, and the rest as JSON."""
    arrays = {
        f"{part}/{name}": leaf
        for part in _OBJECTS
        for name, leaf in tree.named_leaves(getattr(trainer, part))
    }
    arrays["means"] = trainer.means.sums
    state = {
        **{name: getattr(trainer, name) for name in _NUMBERS},
        "rows": trainer.history.rows,
        "test": trainer.history.test,
        "stopped": trainer.history.stopped,
        "batches": batches.state_dict(),
        "callbacks": [c.state() if hasattr(c, "state") else None for c in trainer.callbacks],
    }
    return arrays, separate(state, "state", arrays)


def reinstate(trainer: Trainer, saved: Saved) -> Any:
    """Put a captured state into a Trainer; returns the state of its batches.

    Raises:
        RunError: when the Trainer has another model, optimiser or other callbacks.
    """
    state = joined(saved.state, saved.arrays)
    for part in _OBJECTS:
        own = {
            name.removeprefix(f"{part}/"): array
            for name, array in saved.arrays.items()
            if name.startswith(f"{part}/")
        }
        structure.restore(getattr(trainer, part), own, part)
    for name in _NUMBERS:
        setattr(trainer, name, state[name])
    trainer.means.sums = saved.arrays["means"].copy()
    trainer.history = History(state["rows"], state["test"], state["stopped"])
    if len(state["callbacks"]) != len(trainer.callbacks):
        raise RunError(
            message(
                f"the run had {len(state['callbacks'])} callbacks, now there are {len(trainer.callbacks)}",
                "each takes its state back from the checkpoint, in order",
                "give the callbacks that the run began with",
            )
        )
    for callback, restored in zip(trainer.callbacks, state["callbacks"], strict=True):
        if restored is not None:
            callback.restore(restored)
    return state["batches"]


def configuration(trainer: Trainer, about_data: dict[str, Any], validation: Any) -> dict[str, Any]:
    """The contents of config.json."""
    recordable = validation is None or isinstance(validation, float)
    metrics = [metric.measure or metric.name for metric in trainer.metrics]
    return {
        "format": FORMAT,
        "boxgrad": version("boxgrad"),
        "details": trainer.details,
        "data": about_data,
        "training": {
            "epochs": trainer.epochs,
            "batch_size": trainer.batch_size,
            "seed": trainer.seed,
            "validation": validation if recordable else "given",
            "engine": trainer.engine,
            "parameters": sum(int(array.size) for array in trainer.model.parameters()),
        },
        "metrics": described(metrics),
        "loss": described(trainer.loss),
        "optimizer": described(trainer.optimizer),
        "callbacks": described(list(trainer.callbacks)),
        "model": described(trainer.model),
    }


def recorded_data(config: dict[str, Any]) -> Any:
    """The data of a run, where they are known by name."""
    name = config.get("data", {}).get("name")
    if name in _NAMED_DATA:
        return _NAMED_DATA[name]()
    why = "the data of this run have no name by which they could be found again"
    raise BoxgradError(
        message(
            "fit() without training data",
            why if config else "there is nothing to learn from",
            "fit((x, y), validation) with the data of the start" if config else "fit((x, y))",
        )
    )


def recorded_validation(config: dict[str, Any]) -> float | None:
    """The share of the training data that a run keeps aside."""
    validation = config["training"]["validation"]
    if validation == "given":
        raise RunError(
            message(
                "this run had validation data of its own, which are not in its folder",
                "arrays that were passed to fit are not copied",
                "pass them again: fit(train, validation)",
            )
        )
    return validation


def check_data(config: dict[str, Any], about_data: dict[str, Any]) -> None:
    """Refuse to go on with other data than those the run began with."""
    before, now = config["data"].get("fingerprint"), about_data["fingerprint"]
    if before != now:
        raise RunError(
            message(
                "the training data are not those that the run began with",
                f"their digest is {now}, then it was {before}",
                "pass the same arrays in the same order, or start a new run in another folder",
            )
        )

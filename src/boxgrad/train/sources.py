"""What a run reads: batches for training, batches for evaluation, and who the data are.

Knows arrays, data sets by name and batches; knows nothing of models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from boxgrad import data
from boxgrad.data.epochs import random_order
from boxgrad.errors import ShapeError, message

_SPLIT = 2**64 - 1  # the order of an epoch that is never reached divides the examples


class Sources(NamedTuple):
    """The parts of the data, and a description of them for config.json.

    ``train`` iterates over one epoch and gives and takes its position (``state_dict``);
    ``validation`` and ``test`` are pairs of arrays, iterables of batches, or None.
    """

    train: Any
    validation: Any
    test: Any
    description: dict[str, Any]


def is_batches(value: Any) -> bool:
    """Whether something gives batches itself and can say where it is."""
    return hasattr(value, "__iter__") and hasattr(value, "state_dict")


def is_pair(value: Any) -> bool:
    """Whether something is inputs and targets."""
    return isinstance(value, tuple) and len(value) == 2 and hasattr(value[0], "shape")


def sources(train: Any, validation: Any, test: Any, batch_size: int, seed: int, shuffling: int) -> Sources:
    """Make training batches and the other parts from what the user gave to ``fit``.

    ``seed`` divides training from validation data; ``shuffling`` orders the batches.
    """
    name = None
    if isinstance(train, data.ImageData):
        name, test, train = train.name, train.test if test is None else test, train.train
    train, validation, test = columns(train), columns(validation), columns(test)
    if isinstance(validation, float):
        train, validation = split(train, validation, seed)
    if is_pair(train):
        check_pair(train, "the training data")
    elif not is_batches(train) and not hasattr(train, "__getitem__"):
        raise TypeError(
            message(
                f"the training data are of type {type(train).__name__}",
                "a run can be resumed only where its data can say how far they were read",
                "fit((x, y)), a list of examples, or what bg.data.batches returns",
            )
        )
    for part, what in ((validation, "the validation data"), (test, "the test data")):
        if is_pair(part):
            check_pair(part, what)
        elif part is not None and not hasattr(part, "__iter__"):
            raise TypeError(
                message(
                    f"{what} are of type {type(part).__name__}",
                    "they are inputs and targets, batches, or a fraction of the training data",
                    "validation=(x, y), or validation=0.1",
                )
            )
    description = {"name": name, "examples": count(train), "fingerprint": fingerprint(train)}
    batches = train if is_batches(train) else data.batches(train, batch_size, seed=shuffling)
    return Sources(batches, validation, test, description)


def columns(part: Any) -> Any:
    """Inputs and targets as arrays, where they are lists or columns of a table."""
    if not isinstance(part, tuple) or len(part) != 2:
        return part
    part = (column.to_numpy() if hasattr(column, "to_numpy") else column for column in part)
    return tuple(np.asarray(column) if isinstance(column, list) else column for column in part)


def split(train: Any, fraction: float, seed: int) -> tuple[Any, Any]:
    """Split pairs of arrays into training and validation data at random.

    >>> x = np.arange(10.0)
    >>> (train, _), (validation, _) = split((x, x), 0.2, seed=0)
    >>> train.size, validation.size
    (8, 2)
    """
    if not 0 < fraction < 1:
        raise ValueError(
            message(
                f"validation={fraction}",
                "as a number it is the share of the training data that is kept aside",
                "validation=0.1",
            )
        )
    if not is_pair(train):
        raise TypeError(
            message(
                f"validation={fraction} with training data of type {type(train).__name__}",
                "only arrays (x, y) can be divided",
                "validation=(x, y) with data of its own",
            )
        )
    x, y = train
    order = random_order(seed, _SPLIT, len(x))
    kept = max(1, round(len(x) * fraction))
    chosen, rest = np.sort(order[:kept]), np.sort(order[kept:])
    return (x[rest], y[rest]), (x[chosen], y[chosen])


def check_pair(pair: Any, what: str) -> None:
    """Refuse inputs and targets of different lengths, and empty ones."""
    x, y = pair
    if len(x) != len(y) or len(x) == 0:
        raise ShapeError(
            message(
                f"{what} have {len(x)} inputs and {len(y)} targets",
                "each input has one target, and there is at least one",
                "x and y of the same length, examples along axis 0",
            )
        )


def evaluation_batches(part: Any, size: int) -> Iterator[tuple[Any, Any]]:
    """Batches in order, without shuffling."""
    part = columns(part)
    if not is_pair(part):
        yield from part
        return
    x, y = part
    for start in range(0, len(x), size):
        yield x[start : start + size], y[start : start + size]


def count(value: Any) -> int | None:
    """How many examples there are, where that is known."""
    if is_pair(value):
        return len(value[0])
    return len(value) if isinstance(value, Sequence) else None


def steps_of(batches: Any) -> int | None:
    """How many batches an epoch has, where that is known."""
    return len(batches) if hasattr(batches, "__len__") else None


def batch_examples(x: Any, y: Any) -> int:
    """The weight of a batch's mean in the mean over the epoch: how many targets it has."""
    targets = y if hasattr(y, "shape") else x
    if np.issubdtype(targets.dtype, np.integer):
        return int(targets.size)
    return int(targets.shape[0])


def fingerprint(value: Any) -> str | None:
    """A digest of shapes, dtypes and some of the rows, by which a resumed run knows its data."""
    arrays = value if is_pair(value) else getattr(value, "arrays", None)
    if arrays is None:
        return None
    digest = hashlib.sha256()
    for array in _arrays(arrays):
        rows = np.unique(np.linspace(0, len(array) - 1, 64).astype(np.int64)) if len(array) else []
        digest.update(f"{array.shape}{array.dtype}".encode())
        for row in rows:
            digest.update(np.asarray(array[int(row)]).tobytes())
    return digest.hexdigest()[:16]


def _arrays(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, tuple | list):
            yield from _arrays(value)
        else:
            yield value

"""Where one is in data that are read again and again: the epoch, the batch, the order.

Knows counting and random order; knows no data.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from boxgrad.data.errors import DataError
from boxgrad.errors import message


class Epochs(ABC):
    """Batches that are iterated over once per epoch, and can go on where they were.

    Each ``iter()`` is one epoch; its order depends on the seed and the number of the epoch alone.
    An iteration that was left early counts as an epoch: the next ``iter()`` begins the next one,
    except right after :meth:`load_state_dict`, when it goes on behind the last batch given. Iterate
    once at a time.

    Attributes:
        seed: What the order depends on, with the epoch.
        epoch: The epoch under way, or where none is, the next one; the first is 0.
        position: How many batches of this epoch have been given.
    """

    def __init__(self, seed: int | None) -> None:
        self.seed = fresh_seed() if seed is None else checked_seed(seed)
        self.epoch = 0
        self.position = 0
        self._resumed = False

    @abstractmethod
    def __len__(self) -> int:
        """How many batches an epoch has."""

    @abstractmethod
    def batches_from(self, epoch: int, start: int) -> Iterator[Any]:
        """The batches of an epoch from number ``start`` on; this changes nothing."""

    def __iter__(self) -> Iterator[Any]:
        if self.position and not self._resumed:
            self.epoch, self.position = self.epoch + 1, 0
        self._resumed = False
        return self._run(self.epoch, self.position)

    def _run(self, epoch: int, start: int) -> Iterator[Any]:
        for position, batch in enumerate(self.batches_from(epoch, start), start + 1):
            # Counted before it is given: a state saved after its use continues behind it.
            self.epoch, self.position = epoch, position
            yield batch
        self.epoch, self.position = epoch + 1, 0

    def state_dict(self) -> dict[str, int]:
        """Seed, epoch and position: three whole numbers, fit for JSON."""
        return {"seed": self.seed, "epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to a saved place; the next iteration gives the batch behind the last one given.

        Where that was the last of its epoch, the next iteration is the next epoch.

        Raises:
            DataError: if an entry is missing, unknown, no whole number, or no place in these data.
        """
        try:
            found = {name: operator.index(value) for name, value in state.items()}
        except TypeError:
            found = {}
        good = found.keys() == {"seed", "epoch", "position"} and min(found.values()) >= 0
        if not good or found["position"] > len(self):
            raise DataError(
                message(
                    f"no place in these batches: {dict(state)!r}",
                    "a place is a seed, an epoch and a position of whole numbers from 0, the "
                    f"position at most {len(self)}, the number of batches here",
                    "load what state_dict() gave, with the same data and batch size",
                )
            )
        self.seed = checked_seed(found["seed"])
        self.epoch, self.position = found["epoch"], found["position"]
        if self.position == len(self):
            self.epoch, self.position = self.epoch + 1, 0
        self._resumed = True


def random_bits(seed: int, epoch: int, count: int) -> np.ndarray:
    """``count`` random 64-bit numbers that depend on seed and epoch alone.

    The bits of Philox are the same in every version of NumPy, unlike ``Generator.permutation``.
    """
    key = np.array([seed, epoch], np.uint64)
    return np.random.Philox(key=key).random_raw(count)


def random_order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The numbers from 0 to count - 1 in random order.

    >>> bool(np.all(np.sort(random_order(seed=0, epoch=3, count=100)) == np.arange(100)))
    True
    """
    return np.argsort(random_bits(seed, epoch, count), kind="stable")


def fresh_seed() -> int:
    """A seed from the operating system."""
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])


def checked_seed(seed: int) -> int:
    """The seed, if it can be one."""
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**64:
        raise DataError(
            message(
                f"seed is {seed!r}",
                "a seed is a whole number from 0 to 2⁶⁴ - 1, or None for a fresh one",
                "seed=0",
            )
        )
    return number


def at_least_one(name: str, value: int) -> int:
    """A count, if it is one."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise DataError(message(f"{name} is {value!r}", "it is a whole number, at least 1", f"{name}=64"))
    return number

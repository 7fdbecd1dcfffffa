"""Batches of a data set: examples are drawn together along the first axis.

Knows arrays, containers of arrays and sequences of examples; knows no data set by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import numpy as np

from boxgrad import tree
from boxgrad.data.epochs import Epochs, at_least_one, random_order
from boxgrad.data.errors import DataError
from boxgrad.errors import message


def batches(
    data: Any, batch_size: int, *, seed: int | None = None, shuffle: bool = True, drop_last: bool = False
) -> Batches:
    """Divide a data set into batches, in a new random order each epoch.

    Args:
        data: An array (N, …); or a tuple or dict, possibly nested, of such *columns* with the same
            N; or any sequence of examples, that is, with a length N and an index from 0 on, for
            instance a list of pairs: its examples are stacked.
        batch_size: B, examples per batch, at least 1.
        seed: What the order depends on, with the epoch; None for a fresh seed.
        shuffle: False gives the examples in their own order.
        drop_last: Leave out the last batch where it has fewer than B examples.

    Returns:
        :class:`Batches`: iterate over it once per epoch. A batch has the structure of the data,
        with arrays (B, …) that are copies.

    Raises:
        DataError: for data that are empty, of different lengths or without length, and for
            arguments out of range.

    Source: drawing without replacement, anew in each epoch, is the usual order; see Bottou,
    "Stochastic gradient descent tricks", 2012.

    >>> images, labels = np.zeros((10, 1, 8, 8)), np.arange(10)
    >>> for x, y in batches((images, labels), 4, seed=0):
    ...     print(x.shape, y)
    (4, 1, 8, 8) [0 2 9 1]
    (4, 1, 8, 8) [8 5 4 3]
    (2, 1, 8, 8) [6 7]
    """
    return Batches(data, batch_size, seed=seed, shuffle=shuffle, drop_last=drop_last)


@final
class Batches(Epochs):
    """A data set in batches; made by :func:`batches`.

    >>> numbers = batches(np.arange(6), 2, seed=0, shuffle=False)
    >>> len(numbers), [batch.tolist() for batch in numbers], numbers.epoch
    (3, [[0, 1], [2, 3], [4, 5]], 1)
    >>> first = next(iter(numbers))
    >>> place = numbers.state_dict()
    >>> place
    {'seed': 0, 'epoch': 1, 'position': 1}
    >>> again = batches(np.arange(6), 2, shuffle=False)
    >>> again.load_state_dict(place)
    >>> [batch.tolist() for batch in again]
    [[2, 3], [4, 5]]
    """

    def __init__(
        self, data: Any, batch_size: int, *, seed: int | None, shuffle: bool, drop_last: bool
    ) -> None:
        super().__init__(seed)
        self.data = data
        self.batch_size = at_least_one("batch_size", batch_size)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.examples = _common_length(data)
        if len(self) == 0:
            raise DataError(
                message(
                    f"no batch is left of {self.examples} examples",
                    f"a batch has {self.batch_size}, and drop_last leaves out smaller ones",
                    f"batch_size={self.examples} or fewer, or drop_last=False",
                )
            )

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The columns of the data that are arrays."""
        return tuple(column for _, column in _columns("", self.data) if tree.is_array(column))

    def __len__(self) -> int:
        whole, rest = divmod(self.examples, self.batch_size)
        return whole if self.drop_last or not rest else whole + 1

    def batches_from(self, epoch: int, start: int) -> Iterator[Any]:
        if self.shuffle:
            order = random_order(self.seed, epoch, self.examples)
        else:
            order = np.arange(self.examples)
        for number in range(start, len(self)):
            first = number * self.batch_size
            yield _take(self.data, order[first : first + self.batch_size])

    def __repr__(self) -> str:
        order = f"seed={self.seed}" if self.shuffle else "in order"
        return (
            f"Batches({self.examples:,} examples, {len(self):,} batches of {self.batch_size}, "
            f"{order}, epoch {self.epoch}, position {self.position})"
        )


def _columns(name: str, data: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(data, (tuple, dict)):
        items = data.items() if isinstance(data, dict) else enumerate(data)
        for key, part in items:
            yield from _columns(f"{name}[{key!r}]", part)
    else:
        yield name, data


def _common_length(data: Any) -> int:
    lengths: dict[str, int] = {}
    for name, column in _columns("data", data):
        try:
            lengths[name] = len(column)
        except TypeError:
            raise DataError(
                message(
                    f"{name} is of type {type(column).__name__} and has no length",
                    "examples are counted along the first axis and fetched by number",
                    "pass arrays, tuples or dicts of arrays, or a list of examples; "
                    "of a named data set its part: data.train",
                )
            ) from None
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        found = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise DataError(
            message(
                f"the numbers of examples do not fit: {found or 'there is no column'}",
                "each example has one row in every column, and there is at least one example",
                "pass columns of the same length along axis 0",
            )
        )
    return next(iter(lengths.values()))


def _take(data: Any, chosen: np.ndarray) -> Any:
    if isinstance(data, dict):
        return {key: _take(part, chosen) for key, part in data.items()}
    if isinstance(data, tuple):
        parts = [_take(part, chosen) for part in data]
        return type(data)(*parts) if hasattr(data, "_fields") else tuple(parts)
    if hasattr(data, "to_numpy"):  # a column or table of pandas or polars
        data = data.to_numpy()
    if tree.is_array(data):
        return data[chosen]
    examples = [data[int(number)] for number in chosen]
    try:
        return tree.map(lambda *rows: np.stack(rows), *examples)
    except ValueError as problem:
        raise DataError(
            message(
                "the examples of a batch cannot be stacked",
                f"they differ in shape or structure: {problem}",
                "make all examples alike, for instance by padding them",
            )
        ) from problem

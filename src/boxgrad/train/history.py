"""The record of a training run: one row per epoch.

Knows rows of numbers; knows nothing of models or files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Row = dict[str, Any]


def percent(name: str) -> bool:
    """Whether a column is a fraction that people read as a percentage."""
    return name.endswith("accuracy")


def show(name: str, value: Any) -> str:
    """A value of a column as people read it: ``98.61 %``, ``0.0521``, ``12.3 s``."""
    if value is None:
        return "not finite"
    if percent(name):
        return f"{100 * value:.2f} %"
    if name == "seconds":
        return f"{value:.1f} s"
    if isinstance(value, float):
        return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.2e}"
    return str(value)


class History:
    """The rows of a run, by column or by epoch; prints as a table.

    >>> history = History([{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 0.25}])
    >>> history["train_loss"]
    [0.5, 0.25]
    >>> history.best("train_loss")["epoch"]
    2
    >>> history
    epoch  train_loss
        1      0.5000
        2      0.2500

    Args:
        rows: a dict per epoch.
        test: what was measured on the test set after the last epoch.
        stopped: why the run ended before its last epoch, or None.
        interrupted: whether Ctrl-C ended it, so that it can be resumed.
    """

    def __init__(
        self,
        rows: list[Row] | None = None,
        test: Row | None = None,
        stopped: str | None = None,
        interrupted: bool = False,
    ) -> None:
        self.rows: list[Row] = [] if rows is None else rows
        self.test = test
        self.stopped = stopped
        self.interrupted = interrupted

    @property
    def columns(self) -> list[str]:
        """The names of all columns, in the order of their first appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __getitem__(self, column: str) -> list[Any]:
        if column not in self.columns:
            raise KeyError(f"no column {column!r}; there are: {', '.join(self.columns) or 'none'}")
        return [row.get(column) for row in self.rows]

    def __contains__(self, column: object) -> bool:
        return column in self.columns

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def to_rows(self) -> list[Row]:
        """The rows as plain dicts, with the test row last where there is one."""
        rows = [dict(row) for row in self.rows]
        return [*rows, dict(self.test)] if self.test else rows

    @property
    def row(self) -> Row:
        """The last epoch's row."""
        return self.rows[-1] if self.rows else {}

    def best(self, column: str = "val_loss") -> Row:
        """The row where a column is best: greatest for accuracies, least otherwise."""
        rows = [row for row in self.rows if row.get(column) is not None]
        if not rows:
            raise KeyError(f"no epoch has a value for {column!r}")
        choose = max if percent(column) else min
        return choose(rows, key=lambda row: row[column])

    def __repr__(self) -> str:
        return table(self.rows, self.columns) if self.rows else "History of no epochs"


def table(rows: list[Mapping[str, Any]] | list[Row], columns: list[str]) -> str:
    """Rows as right-aligned text."""
    cells = [[show(name, row[name]) if name in row else "" for name in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    lines = [columns, *cells]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )

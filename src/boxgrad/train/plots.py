"""Pictures of a run: curves, the confusion matrix, a sheet of misclassified images.

Knows numbers and matplotlib's object interface, so that no global state of pyplot is touched;
knows nothing of models. Colours are those of Okabe and Ito, told apart by people who do not see
red and green as different.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boxgrad.train.files import write_atomically
from boxgrad.train.history import Row, percent, show

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#5A5A5A"


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to load, and seldom needed

    return Figure(figsize=(width, height), dpi=130, layout="constrained")


def _save(figure: Any, path: Path) -> None:
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png"))


def curves(rows: Sequence[Row], path: Path, title: str = "") -> None:
    """Draw every quantity of the history against the epochs, training and validation together."""
    names = [name for row in rows for name in row if name not in ("epoch", "seconds")]
    quantities = list(dict.fromkeys(name.removeprefix("train_").removeprefix("val_") for name in names))
    figure = _figure(5.2 * max(len(quantities), 1), 3.9)
    if title:
        figure.suptitle(title)
    for position, quantity in enumerate(quantities):
        axes = figure.add_subplot(1, len(quantities), position + 1)
        for prefix, label, colour, marker in (
            ("train_", "training", BLUE, "o"),
            ("val_", "validation", ORANGE, "s"),
            ("", quantity.replace("_", " "), BLUE, "o"),
        ):
            _curve(axes, rows, prefix + quantity, label, colour, marker)
        axes.set_xlabel("epoch")
        words = "loss (mean over examples)" if quantity == "loss" else quantity.replace("_", " ")
        axes.set_ylabel(words)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if percent(quantity):
            axes.yaxis.set_major_formatter(lambda value, _position: f"{100 * value:.4g} %")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if len(axes.lines) > 1:
            axes.legend(frameon=False)
        values = [value for line in axes.lines for value in line.get_ydata()]
        if quantity == "loss" and values and 0 < 30 * min(values) < max(values):
            axes.set_yscale("log")
    _save(figure, path)


def _curve(axes: Any, rows: Sequence[Row], name: str, label: str, colour: str, marker: str) -> None:
    points = [(row["epoch"], row[name]) for row in rows if row.get(name) is not None]
    if not points:
        return
    epochs, values = zip(*points, strict=True)
    axes.plot(
        epochs,
        values,
        color=colour,
        marker=marker if len(points) <= 40 else None,
        markersize=4,
        linestyle="-" if colour == BLUE else "--",
        label=f"{label}: {show(name, values[-1])}",
    )


def confusion(true: Any, predicted: Any, classes: Sequence[str], path: Path) -> None:
    """Draw how often each class was taken for each; errors are coloured, hits are not.

    The diagonal would drown the errors in colour, so it is grey and the scale is the errors'.
    """
    size = len(classes)
    counts = np.zeros((size, size), np.int64)
    np.add.at(counts, (np.asarray(true, np.int64), np.asarray(predicted, np.int64)), 1)
    side = max(4.2, 0.52 * size + 2.2)
    figure = _figure(side, side)
    axes = figure.add_subplot()
    axes.set_facecolor("#EDEDED")
    errors = np.ma.masked_where(np.eye(size, dtype=bool), counts)
    axes.imshow(errors, cmap="Oranges", vmin=0, vmax=max(2 * errors.max(), 1))
    for row, column in np.ndindex(size, size):
        if counts[row, column]:
            same = row == column
            axes.text(
                column,
                row,
                f"{counts[row, column]}",
                ha="center",
                va="center",
                color=GREY if same else "black",
                fontsize=9,
                fontweight="normal" if same else "bold",
            )
    hits = int(np.trace(counts))
    axes.set_title(f"{hits} of {counts.sum()} right ({100 * hits / max(counts.sum(), 1):.2f} %)")
    long = max(map(len, classes)) > 3
    slant = {"rotation": 45, "ha": "right"} if long else {}
    axes.set_xticks(range(size), classes, **slant)
    axes.set_yticks(range(size), classes)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.tick_params(length=0)
    _save(figure, path)


def misclassified(
    images: Any,
    true: Any,
    predicted: Any,
    probabilities: Any,
    classes: Sequence[str],
    path: Path,
    most: int = 40,
) -> None:
    """Draw the images that were taken for another class, the surest mistakes first.

    Args:
        images: shape (N, C, H, W); C is 1 (drawn in grey) or 3 (in colour).
        true, predicted: class numbers, shape (N).
        probabilities: of the predicted class, shape (N).
        classes: the classes' names.
        path: the picture's file.
        most: how many to draw at most.
    """
    wrong = np.flatnonzero(np.asarray(true) != np.asarray(predicted))
    chosen = wrong[np.argsort(-np.asarray(probabilities)[wrong], kind="stable")][:most]
    columns = min(8, max(len(chosen), 4))
    lines = max(-(-len(chosen) // columns), 1)
    figure = _figure(1.35 * columns, 1.75 * lines + 0.6)
    shown = "" if len(chosen) == len(wrong) else f", the {len(chosen)} surest are shown"
    figure.suptitle(f"{len(wrong)} of {len(np.asarray(true))} images misclassified{shown}")
    for position, index in enumerate(chosen):
        axes = figure.add_subplot(lines, columns, position + 1)
        image = np.moveaxis(np.asarray(images[index], np.float64), 0, -1)
        low, high = image.min(), image.max()
        image = (image - low) / (high - low if high > low else 1.0)
        axes.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray_r")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(f"true {classes[int(true[index])]}", fontsize=8, color=BLUE, pad=2)
        axes.set_xlabel(
            f"said {classes[int(predicted[index])]} ({100 * float(probabilities[index]):.0f} %)",
            fontsize=8,
            color=ORANGE,
            labelpad=2,
        )
    _save(figure, path)

"""What a finished run shows: its curves, its confusion matrix, its misclassified images.

Knows what can be shown of which results; how it is drawn is known to the plots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from boxgrad.train import plots
from boxgrad.train.history import History
from boxgrad.train.runs import RunFolder
from boxgrad.train.sources import is_pair

if TYPE_CHECKING:
    from boxgrad.train.trainer import Trainer

_MOST_CLASSES = 40  # in a confusion matrix that can be read


def curves(history: History, folder: RunFolder) -> None:
    """Draw the history into curves.png."""
    plots.curves(history.rows, folder.file("curves.png"), folder.path.name)


def classification(trainer: Trainer, part: Any, folder: RunFolder) -> None:
    """Draw confusion.png and misclassified.png where the model tells classes of images apart."""
    if not is_pair(part):
        return
    inputs, true = part
    if true.ndim != 1 or not np.issubdtype(true.dtype, np.integer):
        return
    outputs = trainer.predict(inputs)
    if outputs.ndim != 2 or not 2 <= outputs.shape[1] <= _MOST_CLASSES:
        return
    predicted = np.argmax(outputs, axis=1)
    names = trainer.details.get("classes") or [str(number) for number in range(outputs.shape[1])]
    plots.confusion(true, predicted, names, folder.file("confusion.png"))
    if inputs.ndim == 4 and inputs.shape[1] in (1, 3):
        sure = probabilities(outputs)[np.arange(len(true)), predicted]
        path = folder.file("misclassified.png")
        plots.misclassified(inputs, true, predicted, sure, names, path)


def probabilities(outputs: Any) -> Any:
    """Softmax of scores (N, C) along the classes.

    >>> probabilities(np.zeros((1, 2)))
    array([[0.5, 0.5]])
    """
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)

"""Metrics: numbers that say how good a model is, as means over examples.

Knows outputs and targets; knows nothing of models or loops. A metric is plain NumPy, computed
inside the compiled step, once a batch; the means over batches are weighted by their sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad.errors import ShapeError, message

Measure = Callable[[Any, Any], Any]


def accuracy(outputs: Any, targets: Any) -> Any:
    r"""The share of examples whose greatest output is at the target class.

    accuracy = 1/N Σₙ [argmax_c outputs[n, c] = targets[n]]

    Args:
        outputs: scores, shape (N, C), (N, C, ...) as in PyTorch, or (..., C).
        targets: class numbers, shape (N), (N, ...) or (...); or one-hot rows or probabilities
            of the shape of ``outputs``.

    Returns:
        a float32 scalar between 0 and 1.

    Raises:
        ShapeError: when the shapes fit none of these.

    >>> import numpy as np
    >>> float(accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1])))
    0.5
    """
    if outputs.ndim > 1 and outputs.shape == targets.shape:
        hits = np.argmax(outputs, axis=1) == np.argmax(targets, axis=1)
    elif outputs.ndim > 1 and outputs.shape[:-1] == targets.shape:
        hits = np.argmax(outputs, axis=-1) == targets
    elif outputs.ndim > 2 and (outputs.shape[0], *outputs.shape[2:]) == targets.shape:
        hits = np.argmax(outputs, axis=1) == targets
    else:
        raise ShapeError(
            message(
                f"accuracy of outputs {outputs.shape} against targets {targets.shape}",
                "it compares the greatest of C scores with a class number: "
                "(N, C) against (N,), or one-hot rows (N, C)",
                "metrics=[] for regression, or metrics=['binary_accuracy'] for one score each",
            )
        )
    return np.mean(hits.astype(np.float32))


def binary_accuracy(outputs: Any, targets: Any) -> Any:
    """The share of logits that are on the target's side of 0 (targets 0 or 1, same size).

    >>> import numpy as np
    >>> float(binary_accuracy(np.array([2.0, -1.0]), np.array([1.0, 1.0])))
    0.5
    """
    hits = (outputs.reshape(-1) > 0) == (targets.reshape(-1) > 0.5)
    return np.mean(hits.astype(np.float32))


def mean_absolute_error(outputs: Any, targets: Any) -> Any:
    """The mean of \\|outputs − targets\\|.

    >>> import numpy as np
    >>> float(mean_absolute_error(np.array([2.0, -1.0]), np.array([1.0, 1.0])))
    1.5
    """
    return np.mean(np.abs(outputs - targets))


@dataclass(frozen=True)
class Metric:
    """A name, what is averaged (the loss where None), and what is made of the mean."""

    name: str
    measure: Measure | None
    finish: Callable[[float], float] | None = None


def _perplexity(mean_loss: float) -> float:
    return math.exp(min(mean_loss, 700.0))


_KNOWN = {
    "accuracy": Metric("accuracy", accuracy),
    "binary_accuracy": Metric("binary_accuracy", binary_accuracy),
    "mean_absolute_error": Metric("mean_absolute_error", mean_absolute_error),
    "perplexity": Metric("perplexity", None, _perplexity),
}


def named(metrics: Sequence[str | Measure]) -> tuple[Metric, ...]:
    """Metrics from their names, or from functions ``(outputs, targets) -> mean over the batch``.

    >>> [metric.name for metric in named(["accuracy", "perplexity"])]
    ['accuracy', 'perplexity']
    """
    if isinstance(metrics, str):
        metrics = (metrics,)
    found = []
    for metric in metrics:
        if callable(metric):
            name = getattr(metric, "__name__", type(metric).__name__)
            found.append(_KNOWN.get(name) if metric is _measure(name) else Metric(name, metric))
        elif metric in _KNOWN:
            found.append(_KNOWN[metric])
        elif metric != "loss":  # always measured
            raise ValueError(
                message(
                    f"there is no metric {metric!r}",
                    f"the metrics known by name are: {', '.join(_KNOWN)}",
                    "one of these names, or a function (outputs, targets) -> mean over the batch",
                )
            )
    return tuple(found)


def _measure(name: str) -> Measure | None:
    return _KNOWN[name].measure if name in _KNOWN else None


class Means:
    """Means over batches, weighted by batch size, summed in float64 in the order of the batches."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = metrics
        self.measured = [metric for metric in metrics if metric.measure is not None]
        self.sums = np.zeros(2 + len(self.measured))  # examples, loss, measured metrics

    def add(self, size: int, loss: Any, values: Sequence[Any]) -> None:
        """Add a batch's mean loss and metric values."""
        batch = np.array([1.0, float(loss), *map(float, values)])
        self.sums = self.sums + size * batch

    def result(self, prefix: str = "") -> dict[str, float]:
        """The mean loss and the metrics, by name."""
        examples, loss, *values = self.sums.tolist()
        if not examples:
            return {}
        means = dict(zip((metric.name for metric in self.measured), values, strict=True))
        found = {prefix + "loss": loss / examples}
        for metric in self.metrics:
            mean = (loss if metric.measure is None else means[metric.name]) / examples
            found[prefix + metric.name] = metric.finish(mean) if metric.finish else mean
        return found

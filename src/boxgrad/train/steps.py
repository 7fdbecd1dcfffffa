"""The compiled functions of a run: a training step, an evaluation, a prediction.

Knows how loss, gradients, their transforms and the optimiser follow each other; knows nothing of
epochs, files or progress.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import boxgrad as bg
from boxgrad import tree
from boxgrad.train.metrics import Metric

Loss = Callable[[Any, Any], Any]


def _measures(metrics: Sequence[Metric]) -> list[Callable[[Any, Any], Any]]:
    return [metric.measure for metric in metrics if metric.measure is not None]


def _without(gradients: Any, frozen: Sequence[Callable[[str], bool]]) -> Any:
    """The gradients by name, without those of frozen parameters, which an optimiser passes over."""
    if not frozen:
        return gradients
    return {
        name: gradient
        for name, gradient in tree.named_leaves(gradients)
        if not any(matches(name) for matches in frozen)
    }


def training_step(
    loss: Loss, metrics: Sequence[Metric], callbacks: Sequence[Any], engine: str | None
) -> Callable[..., Any]:
    """Compile ``step(model, optimizer, x, y) -> (loss, metrics)``; model and optimiser change."""
    measures = _measures(metrics)
    frozen = [
        matches
        for callback in callbacks
        if hasattr(callback, "freezes") and (matches := callback.freezes()) is not None
    ]
    transforms = [
        callback.transform_gradients for callback in callbacks if hasattr(callback, "transform_gradients")
    ]

    def step(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
        def forward(model: Any) -> Any:
            outputs = model(x)
            return loss(outputs, y), outputs

        (value, outputs), gradients = bg.value_and_grad(forward, has_aux=True)(model)
        gradients = _without(gradients, frozen)
        for transform in transforms:
            gradients = transform(gradients)
        optimizer.update(model, gradients)
        return value, [measure(outputs, y) for measure in measures]

    return bg.compile(step, engine=engine)


def evaluation_step(loss: Loss, metrics: Sequence[Metric], engine: str | None) -> Callable[..., Any]:
    """Compile ``evaluate(model, x, y) -> (loss, metrics)``."""
    measures = _measures(metrics)

    def evaluate(model: Any, x: Any, y: Any) -> Any:
        outputs = model(x)
        return loss(outputs, y), [measure(outputs, y) for measure in measures]

    return bg.compile(evaluate, engine=engine)


def prediction_step(engine: str | None) -> Callable[..., Any]:
    """Compile ``predict(model, x) -> outputs``."""

    def predict(model: Any, x: Any) -> Any:
        return model(x)

    return bg.compile(predict, engine=engine)

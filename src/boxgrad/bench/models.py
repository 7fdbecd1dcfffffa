"""The five models whose training steps are compared, the same text for every library that has such layers.

mlp         784-128-64-10, tanh, 64 images
lenet       conv 1→32 and 32→64 (3×3), relu, max pool 2, 9216-128-10, 64 images of 28×28
vgg         3-32-32-pool-64-64-pool-128-128-pool (3×3, batch normalisation, relu), 2048-10, 64 images of 32×32
lstm-small  embedding 65→256, LSTM 256, linear to 65; 32 sequences of 25 characters
lstm-large  embedding 65→512, two layers of LSTM 512, linear to 65; 64 sequences of 64 characters

A step is forward, backward and Adam. Knows layers, shapes and data; knows nothing of libraries and clocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad import nn

VOCABULARY = 65
LEARNING_RATE = 1e-3
BATCH = 64
Layer = tuple[str, tuple[int, ...], Mapping[str, int]]


def _layer(kind: str, *sizes: int, **options: int) -> Layer:
    return kind, sizes, options


def _vgg() -> tuple[Layer, ...]:
    layers: list[Layer] = []
    channels = 3
    for outputs in (32, 64, 128):
        for _ in range(2):
            layers += [
                _layer("Conv2d", channels, outputs, 3, padding=1),
                _layer("BatchNorm2d", outputs),
                _layer("ReLU"),
            ]
            channels = outputs
        layers.append(_layer("MaxPool2d", 2))
    return (*layers, _layer("Flatten"), _layer("Linear", 2048, 10))


@dataclass(frozen=True, slots=True)
class Case:
    """A model as layers with PyTorch's names and arguments, its data, and how many steps make a block.

    Text models are an embedding, LSTM layers and a linear layer, for ``(time, batch)`` characters. ``double``
    cases compute in float64.
    """

    layers: tuple[Layer, ...]
    shape: tuple[int, ...]
    block: int
    text: bool = False
    double: bool = False

    def data(self) -> tuple[Any, Any]:
        """A batch of random images and classes, or of random characters and those that follow them."""
        rng = np.random.default_rng(1)
        if self.text:
            steps, batch = self.shape
            drawn = rng.integers(0, VOCABULARY, (steps + 1, batch))
            return drawn[:-1].copy(), drawn[1:].reshape(-1).copy()
        images = rng.normal(size=(BATCH, *self.shape)).astype(np.float32)
        return images.astype(np.float64 if self.double else np.float32), rng.integers(0, 10, BATCH)

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Initial weights by name, from a fixed seed."""
        model = self.build(nn).initialise(seed=0)
        return {name: np.array(value) for name, value in model.state_dict().items()}

    def build(self, library: Any) -> Any:
        """The model of a library that has these layers and ``Sequential``: ``boxgrad.nn`` or ``torch.nn``."""
        made = [getattr(library, kind)(*sizes, **options) for kind, sizes, options in self.layers]
        return _characters(library, *made) if self.text else library.Sequential(*made)


def _characters(library: Any, embedding: Any, recurrent: Any, head: Any) -> Any:
    """Scores of the next character: x (T, B) to (T·B, V)."""

    class Characters(library.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.recurrent, self.head = embedding, recurrent, head

        def forward(self, x: Any) -> Any:
            return self.head(self.recurrent(self.embedding(x))[0]).reshape(-1, VOCABULARY)

        if library is nn:
            __call__ = forward

    return Characters()


def _text(hidden: int, depth: int, steps: int, batch: int, block: int) -> Case:
    layers = (
        _layer("Embedding", VOCABULARY, hidden),
        _layer("LSTM", hidden, hidden, num_layers=depth),
        _layer("Linear", hidden, VOCABULARY),
    )
    return Case(layers, (steps, batch), block, text=True)


_MLP = (
    _layer("Linear", 784, 128),
    _layer("Tanh"),
    _layer("Linear", 128, 64),
    _layer("Tanh"),
    _layer("Linear", 64, 10),
)
_LENET = (
    _layer("Conv2d", 1, 32, 3),
    _layer("ReLU"),
    _layer("Conv2d", 32, 64, 3),
    _layer("ReLU"),
    _layer("MaxPool2d", 2),
    _layer("Flatten"),
    _layer("Linear", 9216, 128),
    _layer("ReLU"),
    _layer("Linear", 128, 10),
)
CASES: Mapping[str, Case] = {
    "mlp": Case(_MLP, (784,), 300),
    "lenet": Case(_LENET, (1, 28, 28), 6),
    "vgg": Case(_vgg(), (3, 32, 32), 3),
    "lstm-small": _text(256, 1, 25, 32, 20),
    "lstm-large": _text(512, 2, 64, 64, 2),
}
Step = Callable[[], Any]
"""One training step on a fixed batch; returns the loss."""

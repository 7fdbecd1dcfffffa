"""The models that the command line knows by name, and the loss of text.

Knows sizes of images and vocabularies; knows nothing of how models are trained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from boxgrad import nn
from boxgrad.boxed import boxed
from boxgrad.errors import message

_CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


def cnn(
    shape: tuple[int, int, int],
    classes: int,
    channels: tuple[int, ...] | None = None,
    hidden: int = 64,
    dropout: float = 0.5,
    seed: int = 0,
) -> nn.Sequential:
    """A convolutional network in the manner of LeNet: convolve, normalise, halve; then two layers.

    Images with a side under 16 are halved once, after the last convolution.

    Args:
        shape: of an image: channels, height, width.
        classes: how many there are.
        channels: the outputs of each 3×3 convolution; by default 16 and 32, and twice as many for
            small images.
        hidden: the width of the layer before the last.
        dropout: the share of that layer's inputs that is dropped in training.
        seed: of the initial parameters and of dropout.

    >>> import numpy as np
    >>> cnn((1, 8, 8), 10)(np.zeros((2, 1, 8, 8), np.float32)).shape
    (2, 10)
    """
    depth, height, width = shape
    small = min(height, width) < 16
    channels = channels or ((32, 64) if small else (16, 32))
    layers: list[Any] = []
    for number, outputs in enumerate(channels, 1):
        layers += [nn.Conv2d(depth, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        if not small or number == len(channels):
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        depth = outputs
    layers += [
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(depth * height * width, hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    ]
    return nn.Sequential(*layers).initialise(seed)


def mlp(
    shape: tuple[int, int, int],
    classes: int,
    hidden: tuple[int, ...] = (128, 64),
    dropout: float = 0.1,
    seed: int = 0,
) -> nn.Sequential:
    """A network of fully connected layers with ReLU.

    Args:
        shape: of an image: channels, height, width.
        classes: how many there are.
        hidden: the widths of the layers between.
        dropout: the share of each hidden layer that is dropped in training.
        seed: of the initial parameters and of dropout.

    >>> import numpy as np
    >>> mlp((1, 8, 8), 10)(np.zeros((2, 1, 8, 8), np.float32)).shape
    (2, 10)
    """
    inputs = shape[0] * shape[1] * shape[2]
    layers: list[Any] = [nn.Flatten()]
    for outputs in hidden:
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Linear(inputs, classes)).initialise(seed)


class CharacterModel(nn.Module):
    """Scores of the next character from those before: embedding, recurrent layers, one product.

    ``h_t = cell(h_{t-1}, E[x_t])``, ``scores_t = h_t Wᵀ + b``, with character numbers x (T, B),
    scores (T, B, V).

    Args:
        vocabulary: V, how many characters there are.
        cell: ``"lstm"``, ``"gru"`` or ``"rnn"``.
        hidden: the width of the state.
        layers: recurrent layers, one above the other.
        embedding: the width of a character's vector.
        seed: of the initial parameters.

    >>> import numpy as np
    >>> CharacterModel(5, hidden=8, embedding=3)(np.zeros((7, 2), np.int64)).shape
    (7, 2, 5)
    """

    def __init__(
        self,
        vocabulary: int,
        cell: str = "lstm",
        hidden: int = 256,
        layers: int = 1,
        embedding: int = 64,
        seed: int = 0,
    ) -> None:
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.recurrent = _CELLS[cell](embedding, hidden, num_layers=layers)
        self.head = nn.Linear(hidden, vocabulary)
        self.initialise(seed)

    def __call__(self, x: Any) -> Any:
        outputs, _ = self.recurrent(self.embedding(x))
        return self.head(outputs)

    def advance(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        """Scores (T, B, V) and the state after the last character, from the state before x."""
        outputs, state = self.recurrent(self.embedding(x), state)
        return self.head(outputs), state


@boxed
def next_character_loss(scores: Any, targets: Any) -> Any:
    """The mean cross-entropy in nats per character: scores (T, B, V), targets (T, B).

    >>> import numpy as np
    >>> round(float(next_character_loss(np.zeros((3, 2, 4)), np.zeros((3, 2), np.int64))), 4)
    1.3863
    """
    return nn.cross_entropy(scores.reshape(-1, scores.shape[-1]), targets.reshape(-1))


IMAGE_MODELS: dict[str, Callable[..., nn.Module]] = {"cnn": cnn, "mlp": mlp}
TEXT_MODELS = tuple(_CELLS)


def known(name: str, models: Any, purpose: str) -> str:
    """The name itself, if it is one of a data set's models."""
    if name not in models:
        raise ValueError(
            message(
                f"there is no model {name!r} for {purpose}",
                f"the models for {purpose} are: {', '.join(models)}",
                f"--model {next(iter(models))}",
            )
        )
    return name

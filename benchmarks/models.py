"""The five models whose training steps are compared, in boxgrad and in PyTorch, with the same weights.

Knows layers, shapes and data; knows nothing of clocks. Each ``Case`` makes two steps, each of which runs
forward, backward and Adam once on the same batch and returns the loss.

mlp        784-128-64-10, tanh, 64 images
lenet      conv 1→32 and 32→64 (3×3), relu, max pool 2, 9216-128-10, 64 images of 28×28
vgg        3-32-32-pool-64-64-pool-128-128-pool (3×3, batch normalisation, relu), 2048-10, 64 images of 32×32
char-lstm  embedding 65→256, LSTM 256, linear to 65; 32 sequences of 25 characters
lstm       embedding 65→512, two layers of LSTM 512, linear to 65; 64 sequences of 64 characters
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import boxgrad as bg
from boxgrad import nn, optim

VOCABULARY = 65
LEARNING_RATE = 1e-3
Step = Callable[[], Any]


class Characters(nn.Module):
    """Scores of the next character: embedding, LSTM, linear; x (T, B), scores (T, B, V)."""

    def __init__(self, hidden: int, layers: int) -> None:
        self.embedding = nn.Embedding(VOCABULARY, hidden)
        self.recurrent = nn.LSTM(hidden, hidden, num_layers=layers)
        self.head = nn.Linear(hidden, VOCABULARY)

    def __call__(self, x: Any) -> Any:
        scores = self.head(self.recurrent(self.embedding(x))[0])
        return scores.reshape(-1, VOCABULARY)


class TorchCharacters(torch.nn.Module):
    """The same in PyTorch."""

    def __init__(self, hidden: int, layers: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(VOCABULARY, hidden)
        self.recurrent = torch.nn.LSTM(hidden, hidden, num_layers=layers)
        self.head = torch.nn.Linear(hidden, VOCABULARY)

    def forward(self, x: Any) -> Any:
        scores = self.head(self.recurrent(self.embedding(x))[0])
        return scores.reshape(-1, VOCABULARY)


# The layers have the same names and arguments in both libraries, so one text builds both.
def mlp(layers: Any) -> Any:
    return layers.Sequential(
        layers.Linear(784, 128), layers.Tanh(),
        layers.Linear(128, 64), layers.Tanh(),
        layers.Linear(64, 10),
    )  # fmt: skip


def lenet(layers: Any) -> Any:
    return layers.Sequential(
        layers.Conv2d(1, 32, 3), layers.ReLU(),
        layers.Conv2d(32, 64, 3), layers.ReLU(), layers.MaxPool2d(2),
        layers.Flatten(),
        layers.Linear(9216, 128), layers.ReLU(),
        layers.Linear(128, 10),
    )  # fmt: skip


def vgg(layers: Any) -> Any:
    parts: list[Any] = []
    channels = 3
    for outputs in (32, 64, 128):
        for _ in range(2):
            parts.append(layers.Conv2d(channels, outputs, 3, padding=1))
            parts += [layers.BatchNorm2d(outputs), layers.ReLU()]
            channels = outputs
        parts.append(layers.MaxPool2d(2))
    return layers.Sequential(*parts, layers.Flatten(), layers.Linear(2048, 10))


def characters(hidden: int, depth: int) -> Callable[[Any], Any]:
    return lambda layers: (Characters if layers is nn else TorchCharacters)(hidden, depth)


def images(*shape: int) -> Callable[[np.random.Generator], tuple[Any, Any]]:
    """A batch of 64 random images of a shape, of ten classes."""
    return lambda rng: (rng.normal(size=(64, *shape)).astype(np.float32), rng.integers(0, 10, 64))


def text(steps: int, batch: int) -> Callable[[np.random.Generator], tuple[Any, Any]]:
    """Random characters (T, B) and those that follow them, flat."""

    def make(rng: np.random.Generator) -> tuple[Any, Any]:
        drawn = rng.integers(0, VOCABULARY, (steps + 1, batch))
        return drawn[:-1].copy(), drawn[1:].reshape(-1).copy()

    return make


@dataclass(frozen=True, slots=True)
class Case:
    """A model, its data, and how many steps make a block of a few tenths of a second."""

    build: Callable[[Any], Any]
    data: Callable[[np.random.Generator], tuple[Any, Any]]
    block: int


CASES = {
    "mlp": Case(mlp, images(784), 300),
    "lenet": Case(lenet, images(1, 28, 28), 6),
    "vgg": Case(vgg, images(3, 32, 32), 3),
    "char-lstm": Case(characters(256, 1), text(25, 32), 20),
    "lstm": Case(characters(512, 2), text(64, 64), 2),
}


def weights(case: Case) -> dict[str, np.ndarray]:
    """Initial weights by name, drawn by PyTorch from a fixed seed."""
    torch.manual_seed(0)
    return {name: value.numpy().copy() for name, value in case.build(torch.nn).state_dict().items()}


def boxgrad_step(case: Case, state: dict[str, np.ndarray]) -> Step:
    """A compiled training step on a fixed batch."""
    model = case.build(nn)
    model.load_state_dict(state)
    optimizer = optim.Adam(model, lr=LEARNING_RATE)
    x, y = case.data(np.random.default_rng(1))

    @bg.compile(engine="numpy")
    def step(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
        loss, gradients = bg.value_and_grad(lambda model: nn.cross_entropy(model(x), y))(model)
        optimizer.update(model, gradients)
        return loss

    return lambda: step(model, optimizer, x, y)


def torch_step(case: Case, state: dict[str, np.ndarray]) -> Step:
    """The same step in PyTorch, eager."""
    model = case.build(torch.nn)
    model.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    x, y = map(torch.tensor, case.data(np.random.default_rng(1)))

    def step() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def by_hand_step(case: Case, state: dict[str, np.ndarray]) -> Step:
    """The mlp's step as one would write it in NumPy: the chain rule by hand, Adam in place."""
    state = {name: value.copy() for name, value in state.items()}
    W1, b1, W2, b2, W3, b3 = parameters = list(state.values())
    first = [np.zeros_like(p) for p in parameters]
    second = [np.zeros_like(p) for p in parameters]
    x, y = case.data(np.random.default_rng(1))
    rows = np.arange(len(y))
    count = 0

    def step() -> Any:
        nonlocal count
        # forward
        h1 = np.tanh(x @ W1.T + b1)
        h2 = np.tanh(h1 @ W2.T + b2)
        scores = h2 @ W3.T + b3
        shifted = scores - scores.max(axis=1, keepdims=True)
        exponentials = np.exp(shifted)
        sums = exponentials.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(sums[:, 0]) - shifted[rows, y])
        # backward
        d3 = exponentials / sums
        d3[rows, y] -= 1
        d3 /= len(y)
        d2 = (d3 @ W3) * (1 - h2 * h2)
        d1 = (d2 @ W2) * (1 - h1 * h1)
        gradients = d1.T @ x, d1.sum(axis=0), d2.T @ h1, d2.sum(axis=0), d3.T @ h2, d3.sum(axis=0)
        # Adam
        count += 1
        rate = LEARNING_RATE / (1 - 0.9**count)
        root = (1 - 0.999**count) ** 0.5
        for p, g, m, v in zip(parameters, gradients, first, second, strict=True):
            m *= 0.9
            m += 0.1 * g
            v *= 0.999
            v += 0.001 * g * g
            p -= rate * m / (np.sqrt(v) / root + 1e-8)
        return loss

    return step

"""Make the pictures of the README: pages of explanations, taken in headless Chromium.

python scripts/pictures.py [--folder docs/pictures]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import boxgrad as bg
from boxgrad import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser import Browser  # noqa: E402 - the driver stands with the tests


@bg.boxed
def sigmoid(x: Any) -> Any:
    """σ, kept whole: a closed box."""
    return 1 / (1 + np.exp(-x))


def loss(X: Any, W: Any) -> Any:
    """L = Λ(σ(XW)), as in the first chapter."""
    N = X @ W
    S = sigmoid(N)
    L = np.sum(S)
    return L


def matrices() -> tuple[Any, ...]:
    """The two matrices of the example."""
    X = np.array([[0.42, -1.15, 0.73], [1.28, 0.36, -0.54], [-0.87, 0.61, 1.09]])
    W = np.array([[0.94, -0.58], [-0.31, 1.22], [0.67, -0.46]])
    return X, W


def classification(model: Any, x: Any, y: Any) -> Any:
    """The loss of a classifier."""
    L = nn.cross_entropy(model(x), y)
    return L


def lenet() -> tuple[Any, ...]:
    """LeNet and two digits, enlarged to its 28×28 points."""
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    ).initialise(0)  # fmt: skip
    images, labels = bg.data.digits().test
    x = np.zeros((2, 1, 28, 28), np.float32)
    chosen = [0, 40]
    x[:, :, 2:26, 2:26] = np.kron(images[chosen], np.ones((3, 3), np.float32))
    return model, x, labels[chosen]


def sequence(model: Any, x: Any, y: Any) -> Any:
    """The squared error of a sequence."""
    outputs, _ = model(x)
    L = np.mean((outputs - y) ** 2)
    return L


def lstm() -> tuple[Any, ...]:
    """An LSTM over five steps."""
    random = np.random.default_rng(0)
    x = random.normal(size=(5, 2, 3)).astype(np.float32)
    y = random.normal(size=(5, 2, 4)).astype(np.float32)
    return nn.LSTM(3, 4).initialise(0), x, y


PICTURES: list[tuple[str, Callable[..., Any], Callable[[], tuple[Any, ...]], str, tuple[int, int]]] = [
    ("loss", loss, matrices, "cell=∂X,1,1&theme=light", (1440, 1120)),
    ("loss-dark", loss, matrices, "open=2&step=12&lang=zh&theme=dark", (1440, 1120)),
    ("lenet", classification, lenet, "theme=light&open=1", (1440, 860)),
    ("lstm", sequence, lstm, "theme=light", (1440, 1480)),
]


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "pictures")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, Browser() as browser:
        for name, function, arguments, fragment, (width, height) in PICTURES:
            page = bg.explain(function, *arguments()).save(Path(place) / f"{name}.html")
            browser.size(width, height)
            browser.open(page, fragment)
            browser.evaluate("new Promise((done) => setTimeout(done, 600))")
            browser.screenshot(folder / f"{name}.png")
            print(folder / f"{name}.png", f"({page.stat().st_size / 1000:.0f} kB page)", *browser.messages)


if __name__ == "__main__":
    main()

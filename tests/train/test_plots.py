import struct
import sys

import numpy as np
import pytest

from boxgrad.train import plots


def size(path):
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", content[16:24])


def rows(epochs):
    return [
        {
            "epoch": epoch,
            "train_loss": 1 / epoch,
            "train_accuracy": 0.5,
            "val_loss": None if epoch == 2 else 1.5 / epoch,
            "learning_rate": 0.1,
            "seconds": 1.0,
        }
        for epoch in range(1, epochs + 1)
    ]


@pytest.mark.parametrize("epochs", [1, 3, 60])
def test_a_panel_for_each_quantity(tmp_path, epochs):
    plots.curves(rows(epochs), tmp_path / "curves.png", "digits")
    width, height = size(tmp_path / "curves.png")
    assert width > 3 * height  # loss, accuracy and learning rate side by side


def test_confusion_of_many_classes_is_larger(tmp_path):
    true = np.arange(100) % 5
    plots.confusion(true, true, list("abcde"), tmp_path / "five.png")
    plots.confusion(true, (true + 1) % 5, [f"name {n}" for n in range(12)], tmp_path / "twelve.png")
    assert size(tmp_path / "twelve.png")[0] > size(tmp_path / "five.png")[0]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("wrong", [0, 1, 50])
def test_the_sheet_of_misclassified_images(tmp_path, wrong, channels):
    images = np.zeros((60, channels, 8, 8), np.float32)
    true = np.zeros(60, np.int64)
    predicted = np.where(np.arange(60) < wrong, 1, 0)
    path = tmp_path / "misclassified.png"
    plots.misclassified(images, true, predicted, np.linspace(0, 1, 60), ["no", "yes"], path)
    assert size(path)[0] > 300


def test_pyplot_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    plots.curves(rows(2), tmp_path / "curves.png")
    assert "matplotlib.pyplot" not in sys.modules

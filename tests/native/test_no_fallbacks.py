"""Training steps compile whole: layers, losses and optimisers leave nothing to NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn, optim, tree

random = np.random.default_rng(0)
ALLOWED: dict[str, str] = {}
"""Primitives that may fall back in a training step, and why: none."""


def normal(*shape):
    return random.normal(size=shape).astype(np.float32)


def left_to_numpy(function, *inputs):
    compiled = bg.compile(function, engine="native")
    compiled(*inputs)
    notes = [note for note in compiled.report().notes if "runs in NumPy" in note]
    return [note for note in notes if note.split()[0] not in ALLOWED]


IMAGE, ROWS, STEPS = normal(2, 4, 10, 7), normal(4, 5), normal(6, 3, 4)
TWICE = {"num_layers": 2, "bidirectional": True, "dropout": 0.3, "seed": 1}
LAYERS = [
    (nn.Conv2d(4, 6, 3, padding=1, stride=2, seed=1), IMAGE),
    (nn.Conv2d(4, 6, 3, padding=1, groups=2, dilation=2, seed=1), IMAGE),
    (nn.ConvTranspose2d(4, 5, 3, stride=2, padding=1, seed=1), IMAGE),
    (nn.Conv3d(2, 3, 3, padding=1, seed=1), normal(2, 2, 5, 6, 4)),
    (nn.Conv1d(3, 5, 3, padding=1, seed=1), normal(2, 3, 9)),
    (nn.MaxPool2d(3, 2, 1), IMAGE), (nn.MaxPool2d(3, 2), IMAGE), (nn.MaxPool1d(3, 2, 1), normal(2, 3, 9)),
    (nn.AvgPool2d(3, 2, 1), IMAGE), (nn.AvgPool1d(3, 2, 1), normal(2, 3, 9)),
    (nn.AdaptiveAvgPool2d((3, 2)), IMAGE), (nn.Flatten(), IMAGE),
    *((layer, ROWS) for layer in (
        nn.ReLU(), nn.LeakyReLU(), nn.ELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Sigmoid(), nn.Tanh(),
        nn.Softplus(), nn.Softmax(), nn.LogSoftmax(), nn.Dropout(0.3, seed=1), nn.LayerNorm(5),
        nn.BatchNorm1d(5),
    )),
    (nn.BatchNorm2d(4), IMAGE), (nn.GroupNorm(2, 4), IMAGE),
    (nn.Embedding(9, 4, padding_idx=0, seed=1), random.integers(0, 9, (3, 5))),
    (nn.RNN(4, 5, **TWICE), STEPS), (nn.LSTM(4, 5, **TWICE), STEPS), (nn.GRU(4, 5, **TWICE), STEPS),
    (nn.RNNCell(4, 5, seed=1), ROWS[:, :4]), (nn.LSTMCell(4, 5, seed=1), ROWS[:, :4]),
    (nn.GRUCell(4, 5, seed=1), ROWS[:, :4]),
    (nn.MultiheadAttention(4, 2, dropout=0.3, seed=1), STEPS),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(LAYERS)), ids=[type(layer).__name__ for layer, _ in LAYERS])
def test_layers(number):
    """Forward and backward, in the layer's parameters and, where it is a float, in its input."""
    layer, x = LAYERS[number]

    def step(layer, scale, x):
        def loss(scale, layer):
            given = x * scale if x.dtype.kind == "f" else x
            y = layer(given, given, given) if isinstance(layer, nn.MultiheadAttention) else layer(given)
            parts = [part for part in tree.leaves(y) if part.dtype.kind == "f"]
            return scale * sum(np.sum(np.tanh(part) * 1.5) for part in parts)

        slopes = (0, 1) if optim.parameters.named_parameters(layer) else 0
        return bg.value_and_grad(loss, slopes)(scale, layer)

    assert left_to_numpy(step, layer, np.float32(0.7), x) == []


SHARES = random.uniform(0.1, 0.9, (3, 4)).astype(np.float32)
CLASSES = random.integers(0, 4, 3)
LOSSES = [
    (nn.mse, normal(3, 4), SHARES), (nn.l1, normal(3, 4), SHARES), (nn.huber, normal(3, 4), SHARES),
    (nn.nll, normal(3, 4), CLASSES), (nn.cross_entropy, normal(3, 4), CLASSES),
    (nn.cross_entropy, normal(3, 4), SHARES), (nn.binary_cross_entropy, SHARES, SHARES[::-1].copy()),
    (nn.binary_cross_entropy_with_logits, normal(3, 4), SHARES), (nn.kl_div, normal(3, 4), SHARES),
    (lambda x, y: nn.cross_entropy(x, y, label_smoothing=0.1), normal(3, 4), CLASSES),
    (lambda x, y: nn.cross_entropy(x, y, ignore_index=1), normal(3, 4), CLASSES),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(LOSSES)))
def test_losses(number):
    loss, x, y = LOSSES[number]
    assert left_to_numpy(bg.value_and_grad(loss), x, y) == []


def model():
    return nn.Sequential(
        nn.Linear(5, 8, seed=1),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.5, seed=2),
        nn.Linear(8, 4, seed=3),
    )


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        (optim.SGD, {}), (optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
        (optim.Adam, {"weight_decay": 0.1}), (optim.AdamW, {}), (optim.Adagrad, {}),
        (optim.RMSprop, {"momentum": 0.9, "centered": True}),
    ],
)  # fmt: skip
def test_training_steps(rule, options):
    """Dropout, running statistics, clipped gradients, a rate that changes; the same as without compiling."""
    x, y = normal(6, 5), random.integers(0, 4, 6)

    def step(net, rules, x, y):
        loss, slopes = bg.value_and_grad(lambda net: nn.cross_entropy(net(x), y))(net)
        slopes, _ = optim.clip_by_norm(slopes, 1.0)
        rules.update(net, optim.clip_by_value(slopes, 0.5))
        return loss

    nets = model(), model()
    rules = [rule(net, 0.1, **options) for net in nets]
    compiled = bg.compile(step, engine="native")
    schedule = optim.schedules.Cosine(0.1, 3)
    for number in range(3):
        for each in rules:
            each.lr = schedule(number)
        np.testing.assert_allclose(
            compiled(nets[0], rules[0], x, y), step(nets[1], rules[1], x, y), rtol=1e-4
        )
    assert not [note for note in compiled.report().notes if "runs in NumPy" in note]

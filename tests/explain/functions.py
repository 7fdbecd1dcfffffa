"""The functions and models that every view of an explanation must be able to explain, with arguments.

All arguments are float64, so that views can be compared with boxgrad to the last digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import boxgrad as bg
from boxgrad import nn


class Case(NamedTuple):
    """A function to explain and its arguments."""

    id: str
    function: Callable[..., Any]
    args: tuple[Any, ...]


def double(module: Any) -> Any:
    """A module with all its numbers in float64."""
    return bg.tree.map(lambda a: a.astype(np.float64) if a.dtype.kind == "f" else a, module)


_random = np.random.default_rng(11)


def normal(*shape: int) -> Any:
    """Numbers that are neither equal nor at a kink."""
    return _random.normal(size=shape)


# ---- chapter 1
def square(x):
    return x**2


def leaky_relu(x):
    return np.maximum(0.2 * x, x)


def chain2(x):
    a = np.maximum(0.2 * x, x)
    b = a**2
    return b


def chain3(x):
    a = np.maximum(0.2 * x, x)
    b = a**2
    c = 1 / (1 + np.exp(-b))
    return c


@bg.boxed
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sum_of_two(x, y):
    a = x + y
    s = sigmoid(a)
    return s


def dot(x, w):
    N = np.dot(x, w)
    return N


def new_features(X, W):
    N = X @ W
    S = sigmoid(N)
    L = np.sum(S)
    return L


def new_features_open(X, W):
    N = X @ W
    S = 1 / (1 + np.exp(-N))
    L = np.sum(S)
    return L


# ---- small models
def linear_regression(X, y, w, b):
    p = X @ w + b
    loss = np.mean((y - p) ** 2)
    return loss


def two_layers(X, y, W1, b1, W2, b2):
    M1 = X @ W1
    N1 = M1 + b1
    O1 = sigmoid(N1)
    M2 = O1 @ W2
    P = M2 + b2
    loss = np.mean((y - P) ** 2)
    return loss


def softmax_cross_entropy(Z, y):
    exps = np.exp(Z - np.max(Z, axis=1, keepdims=True))
    P = exps / np.sum(exps, axis=1, keepdims=True)
    L = -np.mean(np.log(P[np.arange(len(y)), y]))
    return L


def broadcasting(x, y):
    z = x[:, None] * y + 2 * y
    return np.sum(np.sin(z))


def norms(x):
    n = np.sqrt(np.sum(x * x))
    return n + np.linalg.norm(x / n - 0.3)


def fan_out(x):
    a = np.tanh(x)
    b = a * x
    return np.sum(a * b + b / (1 + x * x))


def variance(X):
    m = np.mean(X, axis=0)
    v = np.var(X, axis=0)
    return np.sum((X - m) / np.sqrt(v + 1e-5) * np.arange(X.shape[1]))


def heat(u, steps):
    u = u.copy()
    for _ in range(steps):
        u[1:-1] += 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
    return np.sum(u**2)


def products(x):
    return np.prod(x) + np.sum(np.cumprod(x)) + np.sum(np.cumsum(x) ** 2)


def order(x):
    return np.sum(np.sort(x, axis=1) * np.arange(x.shape[1])) + np.max(x) - np.sum(np.min(x, axis=0))


def pieces(x, y):
    z = np.concatenate([x, y])
    w = np.stack([x, 2 * y])
    return np.sum(z * z) + np.sum(w[0] * w[1]) + np.sum(np.where(x > 0, x, 0.1 * y))


def batched(A, B):
    C = A @ B
    D = np.einsum("bij,bik->jk", A, C)
    return np.sum(np.tanh(D))


# ---- loops
def rnn_scan(h0, xs, U, V):
    def cell(h, x):
        h = np.tanh(h @ U + x @ V)
        return h, h

    last, hs = bg.scan(cell, h0, xs)
    return np.sum(hs**2) + np.sum(last)


def rnn_loop(h, xs, U, V):
    for x in xs:
        h = np.tanh(h @ U + x @ V)
    L = np.sum(h**2)
    return L


def reversed_scan(c, xs, w):
    def cell(c, x):
        a, b = c
        new = np.sin(a * w) + x
        return (b, new), a * x

    (a, b), ys = bg.scan(cell, (c, 2 * c), xs, reverse=True)
    return np.sum(ys) + np.sum(a * b)


# ---- layers, each with a loss
def mean_square(model, x):
    y = model(x)
    L = np.mean(y**2)
    return L


def weighted(model, x, c):
    return np.sum(model(x) * c)


def recurrent(model, x):
    y = model(x)[0]
    L = np.sum(y**2)
    return L


def cell_through_time(cell, xs, h):
    for x in xs:
        h = cell(x, h)
    return np.sum(h**2)


def lstm_through_time(cell, xs, h, c):
    for x in xs:
        h, c = cell(x, (h, c))
    return np.sum(h**2) + np.sum(c)


def residual(layers, x):
    for layer in layers:
        x = x + np.tanh(layer(x))
    return np.sum(x**2)


def masked_attention(model, x, mask):
    y, weights = model(x, x, x, attn_mask=mask)
    return np.sum(y**2) + np.sum(weights**2)


def cross_attention(model, x, keys, values):
    y, _ = model(x, keys, values)
    return np.sum(y**2)


def classified(model, x, y):
    return nn.cross_entropy(model(x), y)


def attention(model, x):
    y, _ = model(x, x, x)
    return np.sum(y**2)


def lenet(small: bool) -> Any:
    """LeNet-5, or one of the same shape for small images."""
    if small:
        return nn.Sequential(
            nn.Conv2d(1, 2, 3, seed=0), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(2, 3, 2, seed=1), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 5, seed=2), nn.ReLU(), nn.Linear(5, 4, seed=3),
        )  # fmt: skip
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2, seed=0), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5, seed=1), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120, seed=2), nn.Tanh(), nn.Linear(120, 84, seed=3),
        nn.Tanh(), nn.Linear(84, 10, seed=4),
    )  # fmt: skip


def _layer(name: str, module: Any, *shape: int) -> Case:
    return Case(name, mean_square, (double(module), normal(*shape)))


def cases() -> list[Case]:
    """All of them."""
    integers = np.array([1, 3, 0])
    activations = {
        "relu": nn.relu, "leaky_relu": nn.leaky_relu, "elu": nn.elu, "gelu": nn.gelu, "sigmoid": nn.sigmoid,
        "silu": nn.silu, "tanh": nn.tanh, "softplus": nn.softplus, "softmax": nn.softmax,
        "log_softmax": nn.log_softmax,
    }  # fmt: skip
    found = [
        Case("square", square, (3.0,)),
        Case("leaky relu", leaky_relu, (-1.5,)),
        Case("chain of two", chain2, (-1.5,)),
        Case("chain of three", chain3, (1.5,)),
        Case("two inputs", sum_of_two, (0.5, -1.0)),
        Case("dot", dot, (normal(3), normal(3))),
        Case("sigma(XW)", new_features, (normal(3, 3), normal(3, 2))),
        Case("sigma(XW) open", new_features_open, (normal(3, 3), normal(3, 2))),
        Case("linear regression", linear_regression, (normal(6, 3), normal(6), normal(3), 0.3)),
        Case(
            "two layers",
            two_layers,
            (normal(5, 3), normal(5, 1), normal(3, 4), normal(4), normal(4, 1), normal(1)),
        ),
        Case("softmax cross-entropy", softmax_cross_entropy, (normal(3, 4), integers)),
        Case("broadcasting", broadcasting, (normal(3), normal(4))),
        Case("norms", norms, (normal(5),)),
        Case("fan-out", fan_out, (normal(4),)),
        Case("variance", variance, (normal(6, 3),)),
        Case("heat", heat, (normal(12), 3)),
        Case("products", products, (normal(5),)),
        Case("order", order, (normal(3, 5),)),
        Case("pieces", pieces, (normal(4), normal(4))),
        Case("batched", batched, (normal(3, 2, 4), normal(3, 4, 2))),
        Case("rnn by scan", rnn_scan, (normal(2, 4), normal(5, 2, 3), normal(4, 4), normal(3, 4))),
        Case("rnn by a loop", rnn_loop, (normal(2, 4), normal(5, 2, 3), normal(4, 4), normal(3, 4))),
        Case("reversed scan", reversed_scan, (normal(3), normal(5, 3), normal(3))),
        _layer("Linear", nn.Linear(3, 4, seed=0), 5, 3),
        _layer("Conv1d", nn.Conv1d(2, 3, 3, stride=2, padding=1, seed=0), 2, 2, 9),
        _layer("Conv2d", nn.Conv2d(2, 3, 3, seed=0), 2, 2, 6, 6),
        _layer("Conv2d in groups", nn.Conv2d(4, 4, 3, padding=1, dilation=2, groups=2, seed=0), 2, 4, 7, 7),
        _layer("Conv3d", nn.Conv3d(1, 2, 2, seed=0), 2, 1, 4, 4, 4),
        _layer("ConvTranspose2d", nn.ConvTranspose2d(2, 3, 3, stride=2, seed=0), 2, 2, 4, 4),
        _layer("MaxPool2d", nn.MaxPool2d(3, stride=2, padding=1), 2, 2, 7, 7),
        _layer("AvgPool1d", nn.AvgPool1d(3, stride=2, padding=1), 2, 2, 9),
        _layer("AdaptiveAvgPool2d", nn.AdaptiveAvgPool2d(3), 2, 2, 7, 7),
        Case("BatchNorm1d", weighted, (double(nn.BatchNorm1d(3)), normal(6, 3), normal(6, 3))),
        Case("BatchNorm2d", weighted, (double(nn.BatchNorm2d(2)), normal(3, 2, 4, 4), normal(3, 2, 4, 4))),
        Case("LayerNorm", weighted, (double(nn.LayerNorm(4)), normal(3, 4), normal(3, 4))),
        Case("GroupNorm", weighted, (double(nn.GroupNorm(2, 4)), normal(2, 4, 3), normal(2, 4, 3))),
        _layer("Dropout", nn.Dropout(0.4, seed=3), 4, 5),
        Case("Embedding", mean_square, (double(nn.Embedding(6, 3, seed=0)), np.array([[1, 4], [1, 0]]))),
        Case("RNN", recurrent, (double(nn.RNN(3, 4, seed=0)), normal(5, 2, 3))),
        Case("GRU", recurrent, (double(nn.GRU(3, 4, seed=0)), normal(5, 2, 3))),
        Case("LSTM", recurrent, (double(nn.LSTM(3, 4, seed=0)), normal(5, 2, 3))),
        Case("attention", attention, (double(nn.MultiheadAttention(4, 2, seed=0)), normal(3, 2, 4))),
        Case("LeNet small", classified, (double(lenet(True)), normal(3, 1, 14, 14), integers)),
        Case("LeNet", classified, (double(lenet(False)), normal(3, 1, 28, 28), integers)),
        Case("cross_entropy", nn.cross_entropy, (normal(3, 4), integers)),
        Case("mse", nn.mse, (normal(3, 2), normal(3, 2))),
        Case("l1", nn.l1, (normal(3, 2), normal(3, 2))),
        Case("huber", nn.huber, (2 * normal(4), normal(4))),
        Case("bce with logits", nn.binary_cross_entropy_with_logits, (normal(5), _random.uniform(size=5))),
    ]
    for name, function in activations.items():
        found.append(Case(name, lambda x, c, f=function: np.sum(f(x) * c), (normal(3, 4), normal(3, 4))))
    return [*found, *_more_layers(), *_more_losses()]


def _more_layers() -> list[Case]:
    """The rest of ``nn``: cells, several layers and directions, pooling, containers."""
    found = [
        _layer("MaxPool1d", nn.MaxPool1d(2), 2, 3, 8),
        _layer("AvgPool2d", nn.AvgPool2d(2, stride=1, padding=1), 2, 2, 4, 5),
        _layer(
            "AvgPool2d without padding counted",
            nn.AvgPool2d(3, padding=1, count_include_pad=False),
            1,
            2,
            6,
            6,
        ),
        _layer(
            "ConvTranspose2d in groups",
            nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1, groups=2, seed=0),
            2,
            4,
            3,
            3,
        ),
        _layer("Conv2d without bias", nn.Conv2d(1, 2, (2, 3), stride=(1, 2), bias=False, seed=0), 2, 1, 4, 7),
        _layer("Linear without bias", nn.Linear(3, 2, bias=False, seed=0), 4, 3),
        _layer("Flatten", nn.Sequential(nn.Flatten(), nn.Linear(6, 2, seed=0)), 3, 2, 3),
        Case(
            "GroupNorm of images",
            weighted,
            (double(nn.GroupNorm(2, 4)), normal(2, 4, 2, 3), normal(2, 4, 2, 3)),
        ),
        Case(
            "LayerNorm over two axes",
            weighted,
            (double(nn.LayerNorm((3, 4))), normal(2, 3, 4), normal(2, 3, 4)),
        ),
        Case(
            "BatchNorm1d of sequences",
            weighted,
            (double(nn.BatchNorm1d(3)), normal(4, 3, 5), normal(4, 3, 5)),
        ),
        Case(
            "BatchNorm2d in use",
            weighted,
            (double(nn.BatchNorm2d(2)).eval(), normal(3, 2, 2, 2), normal(3, 2, 2, 2)),
        ),
        Case(
            "Embedding with padding",
            mean_square,
            (double(nn.Embedding(6, 3, padding_idx=1, seed=0)), np.array([[1, 4], [1, 0]])),
        ),
        Case("RNNCell", cell_through_time, (double(nn.RNNCell(3, 4, seed=0)), normal(2, 2, 3), normal(2, 4))),
        Case("GRUCell", cell_through_time, (double(nn.GRUCell(3, 4, seed=0)), normal(1, 2, 3), normal(2, 4))),
        Case(
            "LSTMCell",
            lstm_through_time,
            (double(nn.LSTMCell(3, 4, seed=0)), normal(2, 2, 3), normal(2, 4), normal(2, 4)),
        ),
        Case(
            "RNN with ReLU", recurrent, (double(nn.RNN(3, 4, nonlinearity="relu", seed=0)), normal(5, 2, 3))
        ),
        Case("RNN both ways", recurrent, (double(nn.RNN(3, 2, bidirectional=True, seed=0)), normal(5, 2, 3))),
        Case("GRU of two layers", recurrent, (double(nn.GRU(3, 2, num_layers=2, seed=0)), normal(5, 2, 3))),
        Case(
            "LSTM both ways", recurrent, (double(nn.LSTM(3, 2, bidirectional=True, seed=0)), normal(5, 2, 3))
        ),
        Case(
            "LSTM, batch first", recurrent, (double(nn.LSTM(3, 2, batch_first=True, seed=0)), normal(2, 5, 3))
        ),
        Case(
            "attention with a mask",
            masked_attention,
            (
                double(nn.MultiheadAttention(4, 2, batch_first=True, seed=0)),
                normal(2, 3, 4),
                np.triu(np.ones((3, 3), bool), 1),
            ),
        ),
        Case(
            "attention to another sequence",
            cross_attention,
            (
                double(nn.MultiheadAttention(4, 2, kdim=3, vdim=5, seed=0)),
                normal(3, 2, 4),
                normal(4, 2, 3),
                normal(4, 2, 5),
            ),
        ),
        Case(
            "list of layers",
            residual,
            (double(nn.ModuleList([nn.Linear(3, 3, seed=0), nn.Linear(3, 3, seed=1)])), normal(4, 3)),
        ),
        Case(
            "dropout in a network",
            mean_square,
            (
                double(
                    nn.Sequential(
                        nn.Linear(3, 4, seed=0), nn.ReLU(), nn.Dropout(0.5, seed=1), nn.Linear(4, 2, seed=2)
                    )
                ),
                normal(5, 3),
            ),
        ),
    ]
    layers = (
        nn.ELU(0.7), nn.GELU(), nn.GELU("tanh"), nn.LeakyReLU(0.1), nn.LogSoftmax(), nn.ReLU(), nn.SiLU(),
        nn.Sigmoid(), nn.Softmax(), nn.Softmax(0), nn.Softplus(2.0), nn.Tanh(),
    )  # fmt: skip
    for number, layer in enumerate(layers):
        found.append(
            Case(f"layer {number} {type(layer).__name__}", weighted, (layer, normal(3, 4), normal(3, 4)))
        )
    return found


def _more_losses() -> list[Case]:
    """The other losses, and other ways of the same."""
    classes, rows = np.array([2, 0, 3]), normal(3, 4)
    shares = np.exp(rows) / np.sum(np.exp(rows), axis=1, keepdims=True)
    return [
        Case(
            "bce", nn.binary_cross_entropy, (_random.uniform(0.1, 0.9, (4, 2)), _random.uniform(size=(4, 2)))
        ),
        Case("kl", nn.kl_div, (np.log(shares), shares[::-1].copy())),
        Case(
            "kl of logarithms",
            lambda x, y: nn.kl_div(x, y, "batchmean", log_target=True),
            (np.log(shares), np.log(shares[::-1])),
        ),
        Case("nll", nn.nll, (np.log(shares), classes)),
        Case(
            "cross_entropy with weights",
            lambda z, y, w: nn.cross_entropy(z, y, weight=w),
            (normal(3, 4), classes, np.array([1.0, 2.0, 0.5, 1.5])),
        ),
        Case(
            "cross_entropy, smoothed",
            lambda z, y: nn.cross_entropy(z, y, label_smoothing=0.1),
            (normal(3, 4), classes),
        ),
        Case(
            "cross_entropy with one left out",
            lambda z, y: nn.cross_entropy(z, y, ignore_index=0),
            (normal(3, 4), classes),
        ),
        Case("cross_entropy of shares", nn.cross_entropy, (normal(3, 4), shares)),
        Case("huber, summed", lambda x, y: nn.huber(x, y, "sum", 0.5), (2 * normal(4), normal(4))),
    ]

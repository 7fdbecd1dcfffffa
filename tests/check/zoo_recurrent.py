"""Recurrent functions of the zoo, as Python loops and with ``bg.scan``; see ``zoo.py``."""

from __future__ import annotations

import numpy as np
from zoo_case import Case, normal, one_hot

import boxgrad as bg


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn_loop(X, h, W, U, b, R):
    for t in range(3):
        a = X[t] @ W + h @ U + b
        h = np.tanh(a)
    L = np.sum(R * h)
    return L


def rnn_scan(X, h, W, U, b, R):
    def cell(h, x):
        h = np.tanh(x @ W + h @ U + b)
        return h, h

    _last, H = bg.scan(cell, h, X)
    L = np.sum(R * H)
    return L


def lstm_loop(X, h, c, W, U, b, R):
    for t in range(2):
        a = X[t] @ W + h @ U + b
        i = sigmoid(a[:, :4])
        f = sigmoid(a[:, 4:8])
        g = np.tanh(a[:, 8:12])
        o = sigmoid(a[:, 12:])
        c = f * c + i * g
        h = o * np.tanh(c)
    L = np.sum(R * h)
    return L


def lstm_scan(X, h, c, Wf, Wi, Wo, Wg, R):
    def cell(state, x):
        h, c = state
        z = np.concatenate([x, h], axis=1)
        f = sigmoid(z @ Wf)
        i = sigmoid(z @ Wi)
        o = sigmoid(z @ Wo)
        g = np.tanh(z @ Wg)
        c = f * c + i * g
        h = o * np.tanh(c)
        return (h, c), h

    _state, H = bg.scan(cell, (h, c), X)
    L = np.sum(R * H)
    return L


def gru_loop(X, h, Wu, Uu, Wr, Ur, Wc, Uc, R):
    for t in range(2):
        u = sigmoid(X[t] @ Wu + h @ Uu)
        r = sigmoid(X[t] @ Wr + h @ Ur)
        m = r * h
        c = np.tanh(X[t] @ Wc + m @ Uc)
        h = u * h + (1 - u) * c
    L = np.sum(R * h)
    return L


def gru_scan(X, h, Wu, Uu, Wr, Ur, Wc, Uc, R):
    def cell(h, x):
        u = sigmoid(x @ Wu + h @ Uu)
        r = sigmoid(x @ Wr + h @ Ur)
        c = np.tanh(x @ Wc + (r * h) @ Uc)
        h = u * h + (1 - u) * c
        return h, h

    _last, H = bg.scan(cell, h, X)
    L = np.sum(R * H)
    return L


def characters(T, Y, E, W, U, V):
    h = np.zeros((2, 4))
    L = 0.0
    for t in range(3):
        x = E[T[t]]
        h = np.tanh(x @ W + h @ U)
        z = h @ V
        n = bg.logsumexp(z, axis=1)
        L = L + np.mean(n - np.sum(Y[t] * z, axis=1))
    return L


def gated_average(X, w, v, R):
    s = X[0]
    for t in range(1, 4):
        k = sigmoid(X[t] * w + v)
        s = k * s + (1 - k) * X[t]
    L = np.sum(R * s)
    return L


def euler(y, A, R):
    for _ in range(3):
        d = np.tanh(y @ A)
        y = y + 0.2 * d
    L = np.sum(R * y)
    return L


def attention_over_time(H, q, W, R):
    k = np.tanh(H @ W)
    s = k @ q
    e = np.exp(s - np.max(s, axis=0))
    p = e / np.sum(e, axis=0)
    c = np.sum(p[:, :, None] * H, axis=0)
    L = np.sum(R * c)
    return L


_GRU = ((2, 5, 3), (5, 4), (3, 4), (4, 4), (3, 4), (4, 4), (3, 4), (4, 4))

CASES = (
    Case(
        rnn_loop, lambda r: normal(r, (3, 5, 2), (5, 4), (2, 4), (4, 4), 4, (5, 4)), ("X", "h", "W", "U", "b")
    ),
    Case(
        rnn_scan,
        lambda r: normal(r, (3, 5, 2), (5, 4), (2, 4), (4, 4), 4, (3, 5, 4)),
        ("X", "h", "W", "U", "b"),
    ),
    Case(
        lstm_loop,
        lambda r: normal(r, (2, 5, 3), (5, 4), (5, 4), (3, 16), (4, 16), 16, (5, 4)),
        ("h", "W", "U", "b"),
    ),
    Case(
        lstm_scan,
        lambda r: normal(r, (3, 5, 2), (5, 4), (5, 4), (6, 4), (6, 4), (6, 4), (6, 4), (3, 5, 4)),
        ("h", "c", "Wf", "Wi", "Wo", "Wg"),
    ),
    Case(gru_loop, lambda r: normal(r, *_GRU, (5, 4)), ("h", "Wu", "Uu", "Wr", "Ur", "Wc", "Uc")),
    Case(gru_scan, lambda r: normal(r, *_GRU, (2, 5, 4)), ("h", "Wu", "Uu", "Wr", "Ur", "Wc", "Uc")),
    Case(
        characters,
        lambda r: (
            np.array([[1, 4], [0, 4], [2, 3]]),
            np.stack([one_hot(r, 2, 6) for _ in range(3)]),
            *normal(r, (5, 3), (3, 4), (4, 4), (4, 6)),
        ),
        ("E", "W", "U", "V"),
    ),
    Case(gated_average, lambda r: normal(r, (4, 5, 3), 3, 3, (5, 3)), ("X", "w", "v")),
    Case(euler, lambda r: normal(r, (5, 3), (3, 3), (5, 3)), ("y", "A")),
    Case(attention_over_time, lambda r: normal(r, (4, 5, 3), 2, (3, 2), (5, 3)), ("H", "q", "W")),
)

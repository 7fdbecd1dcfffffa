"""Functions that gradients are checked of, and their gradients by hand; each mistake has a name."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def draw(seed: int, *shapes: tuple[int, ...]) -> tuple[Array, ...]:
    random = np.random.default_rng(seed)
    return tuple(random.normal(size=shape) for shape in shapes)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def network(X: Array, W: Array, b: Array, V: Array, y: Array) -> Any:
    N = X @ W + b
    S = sigmoid(N)
    P = S @ V
    L = np.mean((P - y) ** 2)
    return L


NETWORK = draw(0, (7, 3), (3, 5), (5,), (5, 2), (7, 2))


def network_backward(X: Array, W: Array, b: Array, V: Array, y: Array, bug: str = "") -> tuple[Array, ...]:
    S = sigmoid(X @ W + b)
    P = S @ V
    dP = 2 * (P - y) / (1 if bug == "count" else P.size)
    if bug == "target":
        dP = 2 * P / P.size
    dS = dP @ V.T
    at = X @ W + b if bug == "before" else S
    dN = dS if bug == "slope" else dS * at * (1 - at)
    if bug == "odd":
        dN = dN * np.cos(S)
    db = dN.sum(0)
    if bug == "wide":
        db = np.full(5, dN.sum())
    if bug == "rows":
        db = dN
    dW = (X.T @ dN).T if bug == "transposed" else X.T @ dN
    if bug == "infinite":
        dW = dW / 0.0
    if bug == "both":
        dW, db = -dW, np.full(5, dN.sum())
    return dN @ W.T, dW, db, S.T @ dP, -dP


def recurrent(h: Array, xs: Array, U: Array, V: Array) -> Any:
    for x in xs:
        h = np.tanh(h @ U + x @ V)
    return np.sum(h**2)


RECURRENT = draw(1, (2, 4), (3, 2, 5), (4, 4), (5, 4))


def recurrent_backward(h: Array, xs: Array, U: Array, V: Array, bug: str = "") -> tuple[Array, ...]:
    states = [h]
    for x in xs:
        states.append(np.tanh(states[-1] @ U + x @ V))
    dh, dU, dV, dx = 2 * states[-1], np.zeros_like(U), np.zeros_like(V), np.zeros_like(xs)
    for t in reversed(range(len(xs))):
        da = dh * (1 - (states[t + 1] if bug == "square" else states[t + 1] ** 2))
        dU += states[t + 1 if bug == "late" else t].T @ da
        dV += xs[t].T @ da
        dx[t] = da @ V.T
        dh = da @ (U if bug == "transposed" else U.T)
    return dh, dx, dU, dV

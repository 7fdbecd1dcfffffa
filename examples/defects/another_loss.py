"""Softmax cross-entropy: the gradient belongs to another loss.

The loss that is printed also counts (1 - y) log(1 - p), as for one class against the rest. The gradient
is the well-known p - y, which is that of -Σ y log p alone. Both are good losses; together they are
neither.
"""

import numpy as np


def loss(X, Y, W, b):
    Z = X @ W + b
    E = np.exp(Z)
    P = E / np.sum(E, axis=1, keepdims=True)
    A = Y * np.log(P)
    B = (1 - Y) * np.log(1 - P)
    L = -np.sum(A + B) / len(X)
    return L


def wrong(X, Y, W, b):
    E = np.exp(X @ W + b)
    P = E / np.sum(E, axis=1, keepdims=True)
    dZ = (P - Y) / len(X)
    return X.T @ dZ, np.sum(dZ, axis=0)


def right(X, Y, W, b):
    E = np.exp(X @ W + b)
    P = E / np.sum(E, axis=1, keepdims=True)
    dP = ((1 - Y) / (1 - P) - Y / P) / len(X)
    dZ = P * (dP - np.sum(dP * P, axis=1, keepdims=True))
    return X.T @ dZ, np.sum(dZ, axis=0)


def arguments(random):
    return (
        random.normal(size=(7, 3)),
        np.eye(4)[random.permutation(7) % 4],
        random.normal(size=(3, 4)),
        random.normal(size=4),
    )


WRT = ("W", "b")
EXPECTED = (("another loss", "L"),)

"""Mean squared error that normalises its input, and does not say so on the way back.

The loss divides the predictions of each row by their sum before it compares them. The gradient that is
handed back is that with respect to the normalised predictions, as if the division were not there.
"""

import numpy as np


def loss(X, Y, W):
    N = X @ W
    S = 1 / (1 + np.exp(-N))
    T = np.sum(S, axis=1, keepdims=True)
    P = S / T
    E = P - Y
    L = np.sum(E**2) / len(Y)
    return L


def wrong(X, Y, W):
    S = 1 / (1 + np.exp(-(X @ W)))
    P = S / np.sum(S, axis=1, keepdims=True)
    dS = 2 * (P - Y) / len(Y)
    return X.T @ (dS * S * (1 - S))


def right(X, Y, W):
    S = 1 / (1 + np.exp(-(X @ W)))
    T = np.sum(S, axis=1, keepdims=True)
    P = S / T
    dP = 2 * (P - Y) / len(Y)
    dS = (dP - np.sum(dP * P, axis=1, keepdims=True)) / T
    return X.T @ (dS * S * (1 - S))


def arguments(random):
    return random.normal(size=(7, 3)), np.eye(4)[random.permutation(7) % 4], random.normal(size=(3, 4))


WRT = ("W",)
EXPECTED = (("derivative left out", "P"),)

"""Two layers: the hidden bias is summed over the hidden units too.

A bias is added to every row, so its gradient is the sum over the rows. ``np.sum`` without an axis sums
over the units as well, and broadcasting then spreads that one number over all of them. No shape
complains.
"""

import numpy as np


def loss(X, Y, W1, B1, W2, B2):
    N1 = X @ W1 + B1
    O1 = 1 / (1 + np.exp(-N1))
    P = O1 @ W2 + B2
    E = P - Y
    L = np.mean(E**2)
    return L


def wrong(X, Y, W1, B1, W2, B2):
    O1 = 1 / (1 + np.exp(-(X @ W1 + B1)))
    dP = 2 / len(Y) * (O1 @ W2 + B2 - Y)
    dN1 = dP @ W2.T * O1 * (1 - O1)
    dB1 = np.ones_like(B1) * np.sum(dN1)
    return X.T @ dN1, dB1, O1.T @ dP, np.sum(dP, axis=0)


def right(X, Y, W1, B1, W2, B2):
    O1 = 1 / (1 + np.exp(-(X @ W1 + B1)))
    dP = 2 / len(Y) * (O1 @ W2 + B2 - Y)
    dN1 = dP @ W2.T * O1 * (1 - O1)
    dB1 = np.sum(dN1, axis=0)
    return X.T @ dN1, dB1, O1.T @ dP, np.sum(dP, axis=0)


def arguments(random):
    return tuple(random.normal(size=size) for size in ((23, 4), (23, 1), (4, 5), 5, (5, 1), 1))


WRT = ("W1", "B1", "W2", "B2")
EXPECTED = (("sum too wide", "N1"),)

"""ReLU: the mask is always true.

The output of ReLU is never negative, so ``output >= 0`` holds everywhere and the derivative is 1
everywhere: on the way back there is no ReLU at all. The network still learns, only worse.
"""

import numpy as np


def loss(X, Y, W1, b1, W2, b2):
    A = X @ W1 + b1
    H = np.maximum(A, 0)
    P = H @ W2 + b2
    E = P - Y
    L = np.sum(E**2)
    return L


def backward(X, Y, W1, b1, W2, b2, mask):
    H = np.maximum(X @ W1 + b1, 0)
    dP = 2 * (H @ W2 + b2 - Y)
    dA = dP @ W2.T * mask(H)
    return X.T @ dA, np.sum(dA, axis=0), H.T @ dP, np.sum(dP, axis=0)


def wrong(X, Y, W1, b1, W2, b2):
    return backward(X, Y, W1, b1, W2, b2, lambda output: output >= 0)


def right(X, Y, W1, b1, W2, b2):
    return backward(X, Y, W1, b1, W2, b2, lambda output: output > 0)


def arguments(random):
    return tuple(random.normal(size=size) for size in ((7, 3), (7, 2), (3, 5), 5, (5, 2), 2))


WRT = ("W1", "b1", "W2", "b2")
EXPECTED = (("derivative left out", "H"),)

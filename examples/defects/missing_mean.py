"""Linear regression: the mean's 1/N is missing.

The loss is a mean over N examples. Whoever derives "two times the error times X" and stops there has the
gradient of the sum: N times too long, in the right direction. Training seems to work, with a learning
rate that is N times what it says and that changes with the size of the batch.
"""

import numpy as np


def loss(X, y, w, b):
    P = X @ w + b
    E = P - y
    L = np.mean(E**2)
    return L


def wrong(X, y, w, b):
    E = X @ w + b - y
    dE = 2 * E
    return X.T @ dE, np.sum(dE)


def right(X, y, w, b):
    E = X @ w + b - y
    dE = 2 * E / len(y)
    return X.T @ dE, np.sum(dE)


def arguments(random):
    return random.normal(size=(23, 4)), random.normal(size=23), random.normal(size=4), random.normal()


WRT = ("w", "b")
EXPECTED = (("constant factor", "L"),)

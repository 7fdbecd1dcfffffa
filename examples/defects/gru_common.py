"""A gated recurrent unit over three steps, and its right backward pass; three of the defects are about it."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def loss(X, h, Wu, Uu, Wr, Ur, Wn, Un, R):
    for t in range(3):
        u = sigmoid(X[t] @ Wu + h @ Uu)
        r = sigmoid(X[t] @ Wr + h @ Ur)
        m = r * h
        n = np.tanh(X[t] @ Wn + m @ Un)
        h = u * h + (1 - u) * n
    L = np.sum(R * h)
    return L


def forward(X, h, Wu, Uu, Wr, Ur, Wn, Un):
    """What each step has to remember: its input and state, the gates, the candidate."""
    steps = []
    for x in X:
        u = sigmoid(x @ Wu + h @ Uu)
        r = sigmoid(x @ Wr + h @ Ur)
        n = np.tanh(x @ Wn + (r * h) @ Un)
        steps.append((x, h, u, r, n))
        h = u * h + (1 - u) * n
    return steps


def right(X, h, Wu, Uu, Wr, Ur, Wn, Un, R):
    dWu, dUu, dWr, dUr, dWn, dUn = (np.zeros_like(W) for W in (Wu, Uu, Wr, Ur, Wn, Un))
    dh = R
    for x, old, u, r, n in reversed(forward(X, h, Wu, Uu, Wr, Ur, Wn, Un)):
        an = dh * (1 - u) * (1 - n**2)
        dm = an @ Un.T
        au = dh * (old - n) * u * (1 - u)
        ar = dm * old * r * (1 - r)
        dWu, dUu = dWu + x.T @ au, dUu + old.T @ au
        dWr, dUr = dWr + x.T @ ar, dUr + old.T @ ar
        dWn, dUn = dWn + x.T @ an, dUn + (r * old).T @ an
        dh = dh * u + dm * r + au @ Uu.T + ar @ Ur.T
    return dh, dWu, dUu, dWr, dUr, dWn, dUn


def arguments(random):
    sizes = ((3, 5, 2), (5, 4), (2, 4), (4, 4), (2, 4), (4, 4), (2, 4), (4, 4), (5, 4))
    return tuple(random.normal(size=size) for size in sizes)


WRT = ("h", "Wu", "Uu", "Wr", "Ur", "Wn", "Un")

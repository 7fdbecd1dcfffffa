"""Convolution: the kernel is not flipped on the way back.

What deep learning calls a convolution slides the kernel as it is. Each input pixel was seen through the
kernel's last entry first, so the gradient of the input slides the kernel reversed, in rows and in
columns.
"""

import numpy as np

import boxgrad as bg


def loss(X, K, R):
    C = bg.conv(X, K, padding=1)
    L = np.sum(R * C)
    return L


def slide(X, K):
    """Each output channel o: the sum over channels c and places (i, j) of X shifted, times K[o, c, i, j]."""
    rows, columns = X.shape[2] - 2, X.shape[3] - 2
    return sum(
        np.einsum("nchw,oc->nohw", X[:, :, i : i + rows, j : j + columns], K[:, :, i, j])
        for i in range(3)
        for j in range(3)
    )


def padded(X):
    return np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1)))


def wrong(X, K, R):
    return slide(padded(R), K.transpose(1, 0, 2, 3))


def right(X, K, R):
    return slide(padded(R), K.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])


def arguments(random):
    return tuple(random.normal(size=size) for size in ((2, 3, 5, 6), (4, 3, 3, 3), (2, 4, 5, 6)))


WRT = ("X",)
EXPECTED = (("kernel not flipped", "C"),)

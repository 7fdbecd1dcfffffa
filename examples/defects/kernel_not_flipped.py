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


def slide(X, K, size):
    """Each output channel o: the sum over channels c and places (i, j) of X shifted, times K[o, c, i, j]."""
    rows, columns = size
    return sum(
        np.einsum("nchw,oc->nohw", X[:, :, i : i + rows, j : j + columns], K[:, :, i, j])
        for i in range(K.shape[2])
        for j in range(K.shape[3])
    )


def padded(R, K):
    above, left = K.shape[2] - 2, K.shape[3] - 2
    return np.pad(R, ((0, 0), (0, 0), (above, above), (left, left)))


def wrong(X, K, R):
    return slide(padded(R, K), K.transpose(1, 0, 2, 3), X.shape[2:])


def right(X, K, R):
    return slide(padded(R, K), K.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1], X.shape[2:])


def arguments(random):
    return tuple(random.normal(size=size) for size in ((2, 3, 5, 6), (4, 3, 3, 3), (2, 4, 5, 6)))


WRT = ("X",)
EXPECTED = (("kernel not flipped", "C"),)

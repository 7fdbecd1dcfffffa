"""Convolution as one matrix product: patches and gradients have their rows in different orders.

Each row of the patch matrix is one place of one image, image after image. The gradient is flattened with
the places first and the images second. The product is a sum over all rows, but of pairs that do not
belong together. With a batch of one image both orders are the same, and every check passes.
"""

import numpy as np


def loss(X, K, R):
    P = np.stack([X[:, i : i + 4, j : j + 5] for i in range(3) for j in range(2)], axis=3)
    M = P.reshape(-1, 6)
    C = M @ K
    Y = C.reshape(len(X), 4, 5, 3)
    L = np.sum(R * Y)
    return L


def patches(X):
    return np.stack([X[:, i : i + 4, j : j + 5] for i in range(3) for j in range(2)], axis=3).reshape(-1, 6)


def wrong(X, K, R):
    rows = R.transpose(1, 2, 0, 3).reshape(-1, 3)  # height, width, image
    return patches(X).T @ rows


def right(X, K, R):
    rows = R.reshape(-1, 3)  # image, height, width
    return patches(X).T @ rows


def arguments(random):
    return tuple(random.normal(size=size) for size in ((2, 6, 6), (6, 3), (2, 4, 5, 3)))


def one_image(random):
    """Where a plain check passes."""
    return tuple(random.normal(size=size) for size in ((1, 6, 6), (6, 3), (1, 4, 5, 3)))


WRT = ("K",)
EXPECTED = (("order permuted", "C"),)

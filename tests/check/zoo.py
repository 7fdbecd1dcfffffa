"""The functions in whose derivatives mistakes are planted, with arguments whose sizes all differ.

Plain NumPy, as people write it. A result that is an array is weighted by random numbers ``R`` rather than
summed, so that no mistake hides behind an upstream gradient of ones. ``CASES`` has all of them, by name;
further ones are in ``zoo_layers.py``, ``zoo_recurrent.py``, and in the backward passes of ``blind.py``.
"""

from __future__ import annotations

import numpy as np
import zoo_layers
import zoo_losses
import zoo_recurrent
from blind import PASSES
from zoo_case import Case, normal


# ---- chapter 1: functions, chains, two inputs, matrices
def chain_of_two(x, R):
    a = np.maximum(0.2 * x, x)
    b = a**2
    L = np.sum(R * b)
    return L


def chain_of_three(x, R):
    a = np.maximum(0.2 * x, x)
    b = a**2
    c = 1 / (1 + np.exp(-b))
    L = np.sum(R * c)
    return L


def two_inputs(x, y, R):
    a = x + y
    s = 1 / (1 + np.exp(-a))
    L = np.sum(R * s)
    return L


def product_and_power(x, y, R):
    a = x * y
    b = np.sin(a)
    c = b / (1 + x**2)
    L = np.sum(R * c)
    return L


def dot_product(x, w):
    N = np.dot(x, w)
    L = np.tanh(N)
    return L


def new_features(X, W, R):
    N = X @ W
    S = 1 / (1 + np.exp(-N))
    L = np.sum(R * S)
    return L


def fan_out(x, R):
    a = np.tanh(x)
    b = a * x
    c = np.exp(-(a**2))
    d = b + c
    L = np.sum(R * d)
    return L


def broadcasting(x, y, R):
    z = x[:, None] * y + y**3
    L = np.sum(R * np.sin(z))
    return L


# ---- networks
def linear_regression(X, y, w, b):
    p = X @ w + b
    L = np.mean((y - p) ** 2)
    return L


def two_layers(X, Y, W1, B1, W2, B2):
    M1 = X @ W1
    N1 = M1 + B1
    O1 = 1 / (1 + np.exp(-N1))
    M2 = O1 @ W2
    P = M2 + B2
    L = np.mean((Y - P) ** 2)
    return L


def relu_network(X, Y, W1, b1, W2, b2):
    a = X @ W1 + b1
    h = np.maximum(a, 0)
    o = h @ W2 + b2
    L = np.mean((o - Y) ** 2)
    return L


def deep_tanh(X, Y, W1, b1, W2, b2, W3, b3):
    h1 = np.tanh(X @ W1 + b1)
    h2 = np.tanh(h1 @ W2 + b2)
    o = h2 @ W3 + b3
    L = np.sum((o - Y) ** 2) / len(Y)
    return L


def logistic_regression(X, y, w, b):
    a = X @ w + b
    p = 1 / (1 + np.exp(-a))
    L = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    return L


def polynomial_features(x, y, w):
    F = np.stack([x, x**2, x**3], axis=1)
    p = F @ w
    L = np.mean((p - y) ** 2)
    return L


def heat(u, k, R):
    v = u.copy()
    for _ in range(2):
        flux = v[1:] - v[:-1]
        inner = v[1:-1] + k * (flux[1:] - flux[:-1])
        v = np.concatenate([v[:1], inner, v[-1:]])
    L = np.sum(R * v)
    return L


def binary(r: np.random.Generator, size: int) -> np.ndarray:
    """Zeros and ones, both of them."""
    return r.permutation((np.arange(size) % 2).astype(float))


_HERE = (
    Case(chain_of_two, lambda r: normal(r, 5, 5)),
    Case(chain_of_three, lambda r: normal(r, 5, 5)),
    Case(two_inputs, lambda r: normal(r, 4, 4, 4)),
    Case(product_and_power, lambda r: normal(r, 4, 4, 4)),
    Case(dot_product, lambda r: normal(r, 3, 3)),
    Case(new_features, lambda r: normal(r, (5, 3), (3, 4), (5, 4))),
    Case(fan_out, lambda r: normal(r, 5, 5)),
    Case(broadcasting, lambda r: normal(r, 3, 4, (3, 4))),
    Case(linear_regression, lambda r: (*normal(r, (7, 3), 7, 3), r.normal()), ("w", "b")),
    Case(
        two_layers,
        lambda r: normal(r, (7, 3), (7, 1), (3, 5), (1, 5), (5, 1), (1, 1)),
        ("W1", "B1", "W2", "B2"),
    ),
    Case(relu_network, lambda r: normal(r, (7, 3), (7, 2), (3, 5), 5, (5, 2), 2), ("W1", "b1", "W2", "b2")),
    Case(
        deep_tanh,
        lambda r: normal(r, (7, 3), (7, 2), (3, 5), 5, (5, 4), 4, (4, 2), 2),
        ("W1", "b1", "W2", "b2", "W3", "b3"),
    ),
    Case(
        logistic_regression,
        lambda r: (r.normal(size=(8, 3)), binary(r, 8), r.normal(size=3), r.normal()),
        ("w", "b"),
    ),
    Case(polynomial_features, lambda r: normal(r, 6, 6, 3)),
    Case(heat, lambda r: (r.normal(size=7), r.uniform(0.1, 0.4), r.normal(size=7))),
)

_BY_HAND = tuple(Case(each.function, each.sample, each.wrt) for each in PASSES)

CASES: dict[str, Case] = {
    case.name: case
    for case in (*_HERE, *zoo_losses.CASES, *zoo_layers.CASES, *zoo_recurrent.CASES, *_BY_HAND)
}

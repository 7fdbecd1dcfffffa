"""Losses of the zoo; see ``zoo.py``."""

from __future__ import annotations

import numpy as np
from zoo_case import Case, normal, one_hot

import boxgrad as bg


def mean_squares(P, Y):
    E = P - Y
    L = np.mean(E**2)
    return L


def cross_entropy_of_logits(X, Y, W, b):
    z = X @ W + b
    m = np.max(z, axis=1, keepdims=True)
    s = np.sum(np.exp(z - m), axis=1)
    n = np.log(s) + m[:, 0]
    L = np.mean(n - np.sum(z * Y, axis=1))
    return L


def cross_entropy_of_softmax(X, Y, W, b):
    z = X @ W + b
    e = np.exp(z)
    p = e / np.sum(e, axis=1, keepdims=True)
    L = -np.mean(np.sum(Y * np.log(p), axis=1))
    return L


def cross_entropy_of_labels(X, y, W):
    z = X @ W
    p = z - bg.logsumexp(z, axis=1, keepdims=True)
    chosen = p[np.arange(6), y]
    L = -np.mean(chosen)
    return L


def binary_cross_entropy_of_logits(a, y):
    t = np.logaddexp(0, a) - y * a
    L = np.mean(t)
    return L


def huber(x, y):
    r = x - y
    q = np.where(np.abs(r) < 1, 0.5 * r**2, np.abs(r) - 0.5)
    L = np.mean(q)
    return L


def pseudo_huber(x, y):
    r = (x - y) / 0.7
    q = np.sqrt(1 + r**2) - 1
    L = np.sum(q)
    return L


def absolute_error(X, y, w):
    r = X @ w - y
    L = np.mean(np.abs(r))
    return L


def binary_hinge(X, y, w, b):
    m = y * (X @ w + b)
    h = np.maximum(0, 1 - m)
    L = np.mean(h**2)
    return L


def divergence(z, u):
    p = np.exp(z - bg.logsumexp(z, axis=1, keepdims=True))
    q = np.exp(u - bg.logsumexp(u, axis=1, keepdims=True))
    L = np.sum(p * (np.log(p) - np.log(q)))
    return L


def gaussian(m, s, y):
    r = (y - m) / np.exp(s)
    L = np.sum(0.5 * r**2 + s)
    return L


def poisson_regression(X, y, w, b):
    a = X @ w + b
    k = np.exp(a)
    L = np.mean(k - y * a)
    return L


def triplet(A, P, N, W):
    a, p, n = A @ W, P @ W, N @ W
    near = np.sum((a - p) ** 2, axis=1)
    far = np.sum((a - n) ** 2, axis=1)
    h = np.maximum(near - far + 5, 0)
    L = np.mean(h)
    return L


def contrastive(A, B):
    S = A @ B.T / 0.5
    n = bg.logsumexp(S, axis=1)
    d = np.sum(A * B, axis=1) / 0.5
    L = np.mean(n - d)
    return L


def mixture(x, m, s, w):
    d = (x[:, None] - m) / np.exp(s)
    c = w - bg.logsumexp(w)
    e = c - 0.5 * d**2 - s
    L = -np.mean(bg.logsumexp(e, axis=1))
    return L


def weighted_ridge(X, y, c, w, b):
    r = X @ w + b - y
    fit = np.sum(c * r**2) / np.sum(c)
    L = fit + 0.1 * np.sum(w**2)
    return L


CASES = (
    Case(mean_squares, lambda r: normal(r, (5, 3), (5, 3))),
    Case(
        cross_entropy_of_logits,
        lambda r: (r.normal(size=(6, 3)), one_hot(r, 6, 4), r.normal(size=(3, 4)), r.normal(size=4)),
        ("X", "W", "b"),
    ),
    Case(
        cross_entropy_of_softmax,
        lambda r: (r.normal(size=(6, 3)), one_hot(r, 6, 4), r.normal(size=(3, 4)), r.normal(size=4)),
        ("W", "b"),
    ),
    Case(
        cross_entropy_of_labels,
        lambda r: (r.normal(size=(6, 3)), r.permutation(np.arange(6) % 4), r.normal(size=(3, 4))),
    ),
    Case(
        binary_cross_entropy_of_logits,
        lambda r: (r.normal(size=7), r.permutation(np.arange(7.0) % 2)),
        ("a",),
    ),
    Case(huber, lambda r: tuple(1.3 * x for x in normal(r, 9, 9))),
    Case(pseudo_huber, lambda r: normal(r, 6, 6)),
    Case(absolute_error, lambda r: normal(r, (7, 3), 7, 3)),
    Case(
        binary_hinge,
        lambda r: (
            r.normal(size=(9, 3)),
            r.permutation(np.arange(9) % 2 * 2.0 - 1),
            r.normal(size=3),
            r.normal(),
        ),
        ("w", "b"),
    ),
    Case(divergence, lambda r: normal(r, (5, 3), (5, 3))),
    Case(gaussian, lambda r: normal(r, 5, 5, 5)),
    Case(
        poisson_regression,
        lambda r: (
            r.normal(size=(7, 3)),
            r.integers(1, 6, 7).astype(float),
            0.3 * r.normal(size=3),
            r.normal(),
        ),
        ("w", "b"),
    ),
    Case(triplet, lambda r: normal(r, (5, 3), (5, 3), (5, 3), (3, 4)), ("W",)),
    Case(contrastive, lambda r: normal(r, (5, 3), (5, 3))),
    Case(mixture, lambda r: normal(r, 7, 3, 3, 3)),
    Case(
        weighted_ridge,
        lambda r: (
            r.normal(size=(7, 3)),
            r.normal(size=7),
            r.uniform(0.3, 2, 7),
            r.normal(size=3),
            r.normal(),
        ),
        ("w", "b"),
    ),
)

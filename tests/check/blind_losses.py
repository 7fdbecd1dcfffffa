"""Hand-written backward passes of losses; see ``blind.py``."""

from __future__ import annotations

import numpy as np
from blind_pass import Pass


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# ---- cross-entropy with a temperature and soft targets
def soft_targets(X, Q, W, b):
    s = X @ W + b
    z = s / 1.7
    m = np.max(z, axis=1, keepdims=True)
    n = np.log(np.sum(np.exp(z - m), axis=1, keepdims=True)) + m
    P = z - n
    L = -np.sum(Q * P) / len(X)
    return L


def soft_targets_backward(bug, X, Q, W, b):
    z = (X @ W + b) / 1.7
    p = softmax(z)
    dz = (p - Q) / len(X)
    if bug == "target as a hard label":
        hard = Q.max(axis=1, keepdims=True) == Q
        dz = (p - hard) / len(X)
    if bug == "normalised over the batch":
        e = np.exp(z)
        dz = (e / e.sum(0) - Q) / len(X)
    if bug == "normaliser left out":
        dz = -Q / len(X)
    if bug == "log-probabilities for probabilities":
        dz = (np.log(p) - Q) / len(X)
    if bug == "mean over all entries":
        dz = (p - Q) / p.size
    if bug == "weighted by the target":
        dz = (p - 1) * Q / len(X)
    ds = dz / 1.7
    if bug == "temperature forgotten":
        ds = dz
    if bug == "multiplied by the temperature":
        ds = dz * 1.7
    dX = ds @ W.T
    return dX, X.T @ ds, ds.sum(0)


# ---- softmax regression with weight decay
def decayed_softmax(X, Y, W, b):
    z = X @ W + b
    e = np.exp(z)
    p = e / np.sum(e, axis=1, keepdims=True)
    data = -np.mean(np.sum(Y * np.log(p), axis=1))
    decay = 0.5 * np.sum(W**2)
    L = data + 0.03 * decay
    return L


def decayed_softmax_backward(bug, X, Y, W, b):
    p = softmax(X @ W + b)
    dz = (p - Y) / len(X)
    if bug == "only the row of the label":
        dz = (p - Y) * Y / len(X)
    if bug == "derivative of softmax as of sigmoid":
        dz = -Y / p * p * (1 - p) / len(X)
    if bug == "log forgotten":
        dp = -Y / len(X)
        dz = p * (dp - np.sum(dp * p, axis=1, keepdims=True))
    dW, db = X.T @ dz, dz.sum(0)
    if bug == "decay with a two":
        return dW + 0.06 * W, db
    if bug == "decay divided by the batch":
        return dW + 0.03 * W / len(X), db
    if bug == "bias decayed too":
        return dW + 0.03 * W, db + 0.03 * b
    if bug == "decay forgotten":
        return dW, db
    if bug == "decay of the squares":
        return dW + 0.03 * W**2, db
    return dW + 0.03 * W, db


# ---- Huber's loss of a linear model
def huber_regression(X, y, w, b):
    p = X @ w + b
    r = p - y
    a = np.abs(r)
    q = np.where(a < 0.8, 0.5 * r**2, 0.8 * (a - 0.4))
    L = np.mean(q)
    return L


def huber_regression_backward(bug, X, y, w, b):
    r = X @ w + b - y
    near = np.abs(r) < 0.8
    dr = np.where(near, r, 0.8 * np.sign(r)) / len(r)
    if bug == "slope one outside":
        dr = np.where(near, r, np.sign(r)) / len(r)
    if bug == "squared everywhere":
        dr = r / len(r)
    if bug == "absolute everywhere":
        dr = 0.8 * np.sign(r) / len(r)
    if bug == "no sign outside":
        dr = np.where(near, r, 0.8) / len(r)
    if bug == "branches exchanged":
        dr = np.where(near, 0.8 * np.sign(r), r) / len(r)
    if bug == "two from the square":
        dr = np.where(near, 2 * r, 0.8 * np.sign(r)) / len(r)
    if bug == "zero outside":
        dr = np.where(near, r, 0.0) / len(r)
    if bug == "threshold at one":
        dr = np.where(np.abs(r) < 1.3, r, 0.8 * np.sign(r)) / len(r)
    return X.T @ dr, dr.sum()


# ---- hinge loss of several classes
def hinge(X, Y, W):
    S = X @ W
    c = np.sum(S * Y, axis=1, keepdims=True)
    d = S - c + 1
    M = (1 - Y) * np.maximum(d, 0)
    L = np.sum(M) / len(X)
    return L


def hinge_backward(bug, X, Y, W):
    S = X @ W
    d = S - np.sum(S * Y, axis=1, keepdims=True) + 1
    over = (d > 0) * (1 - Y)
    if bug == "every wrong class counted":
        over = 1 - Y
    if bug == "mask of the scores":
        over = (S > 0) * (1 - Y)
    dd = over / len(X)
    if bug == "margins instead of ones":
        dd = np.maximum(d, 0) * (1 - Y) / len(X)
    count = dd.sum(axis=1, keepdims=True)
    dS = dd - Y * count
    if bug == "right class forgotten":
        dS = dd
    if bug == "right class counted once":
        dS = dd - Y / len(X)
    if bug == "right class pushed up and all down":
        dS = dd + Y * count
    if bug == "margin summed over the batch":
        dS = dd - Y * dd.sum(axis=0, keepdims=True)
    return dS @ W.T, X.T @ dS


# ---- a variational autoencoder's two losses, with given noise
def variational(X, eps, A, B, V):
    mu = X @ A
    s = X @ B
    d = np.exp(0.5 * s)
    z = mu + d * eps
    E = z @ V - X
    fit = np.sum(E**2)
    kl = 0.5 * np.sum(mu**2 + np.exp(s) - s - 1)
    L = (fit + kl) / len(X)
    return L


def variational_backward(bug, X, eps, A, B, V):
    mu, s = X @ A, X @ B
    d = np.exp(0.5 * s)
    z = mu + d * eps
    n = len(X)
    dE = 2 * (z @ V - X) / n
    dV = z.T @ dE
    dz = dE @ V.T
    if bug == "decoder's weights see the mean":
        dV = mu.T @ dE
    dmu = dz + mu / n
    if bug == "mean only from the divergence":
        dmu = mu / n
    if bug == "mean only from the fit":
        dmu = dz
    if bug == "two in the divergence":
        dmu = dz + 2 * mu / n
    through_noise = dz * eps * d * 0.5
    if bug == "half of the exponent":
        through_noise = dz * eps * d
    if bug == "noise left out":
        through_noise = dz * d * 0.5
    if bug == "variance for deviation":
        through_noise = dz * eps * np.exp(s) * 0.5
    ds = through_noise + 0.5 * (np.exp(s) - 1) / n
    if bug == "minus one of the divergence":
        ds = through_noise + 0.5 * np.exp(s) / n
    if bug == "deviation in the divergence":
        ds = through_noise + 0.5 * (d - 1) / n
    if bug == "divergence not averaged":
        ds = through_noise + 0.5 * (np.exp(s) - 1)
    return X.T @ dmu, X.T @ ds, dV


# ---- a mean and a variance for every example
def heteroscedastic(X, y, w, v):
    m = X @ w
    s = X @ v
    r = y - m
    q = r**2 * np.exp(-s)
    L = 0.5 * np.mean(q + s)
    return L


def heteroscedastic_backward(bug, X, y, w, v):
    m, s = X @ w, X @ v
    r = y - m
    n = len(y)
    dm = -r * np.exp(-s) / n
    if bug == "sign of the residual":
        dm = r * np.exp(-s) / n
    if bug == "variance not used for the mean":
        dm = -r / n
    ds = 0.5 * (1 - r**2 * np.exp(-s)) / n
    if bug == "growth term only":
        ds = np.full(n, 0.5 / n)
    if bug == "fit term only":
        ds = -0.5 * r**2 * np.exp(-s) / n
    if bug == "exponent's sign":
        ds = 0.5 * (1 + r**2 * np.exp(-s)) / n
    if bug == "deviation for variance":
        ds = 0.5 * (1 - r**2 * np.exp(-0.5 * s)) / n
    if bug == "residual not squared":
        ds = 0.5 * (1 - r * np.exp(-s)) / n
    return X.T @ dm, X.T @ ds


# ---- how alike two lists of vectors are
def cosine(A, B, R):
    d = np.sum(A * B, axis=1)
    n = np.sqrt(np.sum(A**2, axis=1))
    k = np.sqrt(np.sum(B**2, axis=1))
    c = d / (n * k)
    L = np.sum(R * c)
    return L


def cosine_backward(bug, A, B, R):
    d = np.sum(A * B, axis=1)
    n, k = np.sqrt(np.sum(A**2, axis=1)), np.sqrt(np.sum(B**2, axis=1))
    c = d / (n * k)
    first = R[:, None] * (B / (n * k)[:, None] - A * (c / n**2)[:, None])
    second = R[:, None] * (A / (n * k)[:, None] - B * (c / k**2)[:, None])
    if bug == "length of A held fixed":
        first = R[:, None] * B / (n * k)[:, None]
    if bug == "length not squared":
        first = R[:, None] * (B / (n * k)[:, None] - A * (c / n)[:, None])
    if bug == "cosine left out":
        first = R[:, None] * (B / (n * k)[:, None] - A / (n**2)[:, None])
    if bug == "other length":
        second = R[:, None] * (A / (n * k)[:, None] - B * (c / n**2)[:, None])
    if bug == "plus":
        second = R[:, None] * (A / (n * k)[:, None] + B * (c / k**2)[:, None])
    if bug == "numerator only":
        second = R[:, None] * A
    return first, second


def _normal(r, *shapes):
    return tuple(r.normal(size=shape) for shape in shapes)


def _one_hot(r, n, k):
    return np.eye(k)[np.arange(n) % k][r.permutation(n)]


PASSES = (
    Pass(
        soft_targets,
        lambda r: (
            r.normal(size=(6, 3)),
            r.dirichlet(np.ones(4), 6),
            r.normal(size=(3, 4)),
            r.normal(size=4),
        ),
        ("X", "W", "b"),
        soft_targets_backward,
        {
            "target as a hard label": ("L",),
            "normalised over the batch": ("n",),
            "normaliser left out": ("P", "n"),
            "log-probabilities for probabilities": ("n",),
            "mean over all entries": ("L", "P"),
            "weighted by the target": ("n", "P"),
            "temperature forgotten": ("z",),
            "multiplied by the temperature": ("z",),
        },
    ),
    Pass(
        decayed_softmax,
        lambda r: (r.normal(size=(7, 3)), _one_hot(r, 7, 4), r.normal(size=(3, 4)), r.normal(size=4)),
        ("W", "b"),
        decayed_softmax_backward,
        {
            "only the row of the label": ("p", "data"),
            "derivative of softmax as of sigmoid": ("p",),
            "log forgotten": ("data",),
            "decay with a two": ("decay", "L"),
            "decay divided by the batch": ("decay", "L"),
            "bias decayed too": ("decay", "L"),
            "decay forgotten": ("decay", "L"),
            "decay of the squares": ("decay",),
        },
    ),
    Pass(
        huber_regression,
        lambda r: (r.normal(size=(23, 3)), 2 * r.normal(size=23), r.normal(size=3), r.normal()),
        ("w", "b"),
        huber_regression_backward,
        {
            "slope one outside": ("q",),
            "squared everywhere": ("q",),
            "absolute everywhere": ("q",),
            "no sign outside": ("a", "q"),
            "branches exchanged": ("q",),
            "two from the square": ("q",),
            "zero outside": ("q", "a"),
            "threshold at one": ("q",),
        },
    ),
    Pass(
        hinge,
        lambda r: (r.normal(size=(7, 3)), _one_hot(r, 7, 4), r.normal(size=(3, 4))),
        ("X", "W"),
        hinge_backward,
        {
            "every wrong class counted": ("M",),
            "mask of the scores": ("M",),
            "margins instead of ones": ("M",),
            "right class forgotten": ("c", "d"),
            "right class counted once": ("c", "d"),
            "right class pushed up and all down": ("c", "d"),
            "margin summed over the batch": ("c", "d"),
        },
    ),
    Pass(
        variational,
        lambda r: _normal(r, (7, 4), (7, 3), (4, 3), (4, 3), (3, 4)),
        ("A", "B", "V"),
        variational_backward,
        {
            "decoder's weights see the mean": ("E",),
            "mean only from the divergence": ("z",),
            "mean only from the fit": ("kl",),
            "two in the divergence": ("kl",),
            "half of the exponent": ("d",),
            "noise left out": ("z",),
            "variance for deviation": ("d",),
            "minus one of the divergence": ("kl",),
            "deviation in the divergence": ("kl",),
            "divergence not averaged": ("kl", "L"),
        },
    ),
    Pass(
        heteroscedastic,
        lambda r: _normal(r, (9, 3), 9, 3, 3),
        ("w", "v"),
        heteroscedastic_backward,
        {
            "sign of the residual": ("r", "m"),
            "variance not used for the mean": ("q",),
            "growth term only": ("q",),
            "fit term only": ("L",),
            "exponent's sign": ("q",),
            "deviation for variance": ("q",),
            "residual not squared": ("q",),
        },
    ),
    Pass(
        cosine,
        lambda r: _normal(r, (5, 3), (5, 3), 5),
        ("A", "B"),
        cosine_backward,
        {
            "length of A held fixed": ("n",),
            "length not squared": ("n",),
            "cosine left out": ("c",),
            "other length": ("k",),
            "plus": ("k", "c"),
            "numerator only": ("c",),
        },
    ),
)

"""Hand-written backward passes of dense networks; see ``blind.py``."""

from __future__ import annotations

import numpy as np
from blind_pass import Pass


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# ---- two layers with softplus, mean squared error
def softplus_network(X, Y, W1, b1, W2, b2):
    a1 = X @ W1 + b1
    h1 = np.logaddexp(0, a1)
    a2 = h1 @ W2 + b2
    e = a2 - Y
    L = np.mean(e**2)
    return L


def softplus_network_backward(bug, X, Y, W1, b1, W2, b2):
    a1 = X @ W1 + b1
    h1 = np.logaddexp(0, a1)
    a2 = h1 @ W2 + b2
    e = a2 - Y
    da2 = 2 * e / e.size
    if bug == "error the other way round":
        da2 = 2 * (Y - a2) / e.size
    if bug == "mean over the rows only":
        da2 = 2 * e / len(e)
    if bug == "square not differentiated":
        da2 = e**2 / e.size
    dW2 = (a1 if bug == "weights from before the activation" else h1).T @ da2
    db2 = da2.sum(0)
    if bug == "output bias shared by all units":
        db2 = np.full(b2.shape, da2.sum())
    weights = W2
    if bug == "weights already updated":
        weights = W2 - 0.1 * dW2
    dh1 = da2 @ weights.T
    slope = sigmoid(a1)
    if bug == "slope of relu":
        slope = (a1 > 0).astype(float)
    if bug == "sigmoid of the output":
        slope = sigmoid(h1)
    if bug == "slope of sigmoid":
        slope = sigmoid(a1) * (1 - sigmoid(a1))
    da1 = dh1 * slope
    dW1 = X.T @ da1
    db1 = da1.mean(0) if bug == "hidden bias averaged" else da1.sum(0)
    if bug == "bias before the slope":
        db1 = dh1.sum(0)
    return dW1, db1, dW2, db2


# ---- three layers that end in a probability
def binary_network(X, Y, W1, b1, W2, b2, W3, b3):
    a1 = X @ W1 + b1
    h1 = np.tanh(a1)
    a2 = h1 @ W2 + b2
    h2 = sigmoid(a2)
    a3 = h2 @ W3 + b3
    p = sigmoid(a3)
    t = Y * np.log(p) + (1 - Y) * np.log(1 - p)
    L = -np.mean(t)
    return L


def binary_network_backward(bug, X, Y, W1, b1, W2, b2, W3, b3):
    a1 = X @ W1 + b1
    h1 = np.tanh(a1)
    a2 = h1 @ W2 + b2
    h2 = sigmoid(a2)
    p = sigmoid(h2 @ W3 + b3)
    dp = (p - Y) / (p * (1 - p)) / Y.size
    if bug == "positive examples only":
        dp = -Y / p / Y.size
    if bug == "no mean":
        dp = dp * Y.size
    da3 = dp * p * (1 - p)
    if bug == "sigmoid and cross-entropy together, then the slope again":
        da3 = (p - Y) / Y.size * p * (1 - p)
    dW3, db3 = h2.T @ da3, da3.sum(0)
    dh2 = da3 @ W3.T
    da2 = dh2 * h2 * (1 - h2)
    if bug == "slope of tanh for sigmoid":
        da2 = dh2 * (1 - h2**2)
    if bug == "slope without one minus":
        da2 = dh2 * h2
    dW2, db2 = h1.T @ da2, da2.sum(0)
    if bug == "second bias takes the third's":
        db2 = np.full(b2.shape, db3.sum())
    dh1 = da2 @ W2.T
    da1 = dh1 * (1 - h1**2)
    if bug == "tanh slope without a square":
        da1 = dh1 * (1 - h1)
    if bug == "tanh slope at the input":
        da1 = dh1 * (1 - a1**2)
    if bug == "tanh slope of tanh twice":
        da1 = dh1 * (1 - np.tanh(h1) ** 2)
    dW1, db1 = X.T @ da1, da1.sum(0)
    if bug == "first weights before the slope":
        dW1 = X.T @ dh1
    return dW1, db1, dW2, db2, dW3, db3


# ---- an autoencoder that uses its weights twice
def tied_autoencoder(X, W, b, c):
    a = X @ W + b
    H = np.tanh(a)
    Z = H @ W.T + c
    E = Z - X
    L = np.sum(E**2) / len(X)
    return L


def tied_autoencoder_backward(bug, X, W, b, c):
    a = X @ W + b
    H = np.tanh(a)
    Z = H @ W.T + c
    dZ = 2 * (Z - X) / len(X)
    if bug == "one half forgotten in the square":
        dZ = (Z - X) / len(X)
    dH = dZ @ W
    da = dH * (1 - H**2)
    if bug == "no slope":
        da = dH
    encoder, decoder = X.T @ da, dZ.T @ H
    dW = encoder + decoder
    if bug == "encoder only":
        dW = encoder
    if bug == "decoder only":
        dW = decoder
    if bug == "decoder subtracted":
        dW = encoder - decoder
    if bug == "mean of both uses":
        dW = dW / 2
    if bug == "decoder from the reconstruction":
        dW = encoder + (Z.T @ (dZ @ W))
    dX = da @ W.T - dZ
    if bug == "the data is also the target":
        dX = da @ W.T
    if bug == "target's sign":
        dX = da @ W.T + dZ
    dc = dZ.sum(0)
    return dX, dW, da.sum(0), dc


# ---- a gated unit with a residual path
def gated_residual(X, V, a, U, c, R):
    s = X @ V + a
    g = sigmoid(s)
    u = np.tanh(X @ U + c)
    m = g * u
    Y = X + m
    L = np.sum(R * Y)
    return L


def gated_residual_backward(bug, X, V, a, U, c, R):
    g = sigmoid(X @ V + a)
    u = np.tanh(X @ U + c)
    dY = R
    dm = dY
    dg, du = dm * u, dm * g
    if bug == "gate and unit exchanged":
        dg, du = dm * g, dm * u
    if bug == "gate not applied":
        du = dm
    if bug == "one minus the gate":
        du = dm * (1 - g)
    ds = dg * g * (1 - g)
    if bug == "slope of the unit for the gate":
        ds = dg * (1 - u**2)
    dk = du * (1 - u**2)
    if bug == "slope of sigmoid for tanh":
        dk = du * u * (1 - u)
    dX = dY + ds @ V.T + dk @ U.T
    if bug == "residual path":
        dX = ds @ V.T + dk @ U.T
    if bug == "gate held fixed":
        dX = dY + dk @ U.T
    if bug == "gate's way back through the other weights":
        dX = dY + ds @ U.T + dk @ U.T
    if bug == "residual gated too":
        dX = dY * g + ds @ V.T + dk @ U.T
    return dX, X.T @ ds, ds.sum(0), X.T @ dk, dk.sum(0)


# ---- factors of a table with holes
def factorisation(P, Q, T, M):
    S = P @ Q.T
    D = M * (S - T)
    fit = np.sum(D**2)
    size = np.sum(P**2) + np.sum(Q**2)
    L = fit + 0.05 * size
    return L


def factorisation_backward(bug, P, Q, T, M):
    S = P @ Q.T
    D = M * (S - T)
    dS = 2 * D * M
    if bug == "holes not masked":
        dS = 2 * (S - T)
    if bug == "factor two":
        dS = dS / 2
    dP, dQ = dS @ Q, dS.T @ P
    if bug == "penalty without its two":
        return dP + 0.05 * P, dQ + 0.05 * Q
    if bug == "penalty on one only":
        return dP + 0.1 * P, dQ
    if bug == "penalty subtracted":
        return dP - 0.1 * P, dQ - 0.1 * Q
    if bug == "absolute penalty":
        return dP + 0.05 * np.sign(P), dQ + 0.05 * np.sign(Q)
    if bug == "updated factor":
        return dP + 0.1 * P, dS.T @ (P - 0.01 * dP) + 0.1 * Q
    return dP + 0.1 * P, dQ + 0.1 * Q


def _holes(r, *shape):
    mask = (r.random(shape) < 0.7).astype(float)
    mask.flat[0] = 0.0
    return mask


def _labels(r, *shape):
    drawn = (r.random(shape) < 0.5).astype(float)
    drawn.flat[:2] = 0.0, 1.0
    return drawn


PASSES = (
    Pass(
        softplus_network,
        lambda r: tuple(r.normal(size=s) for s in ((7, 3), (7, 2), (3, 5), 5, (5, 2), 2)),
        ("W1", "b1", "W2", "b2"),
        softplus_network_backward,
        {
            "error the other way round": ("e", "L"),
            "mean over the rows only": ("L", "e"),
            "square not differentiated": ("L", "e"),
            "weights from before the activation": ("a2",),
            "output bias shared by all units": ("a2",),
            "weights already updated": ("a2",),
            "slope of relu": ("h1",),
            "sigmoid of the output": ("h1",),
            "slope of sigmoid": ("h1",),
            "hidden bias averaged": ("a1",),
            "bias before the slope": ("a1",),
        },
    ),
    Pass(
        binary_network,
        lambda r: (
            r.normal(size=(9, 3)), _labels(r, 9, 1), r.normal(size=(3, 5)), r.normal(size=5),
            r.normal(size=(5, 4)), r.normal(size=4), r.normal(size=(4, 1)), r.normal(size=1),
        ),
        ("W1", "b1", "W2", "b2", "W3", "b3"),
        binary_network_backward,
        {
            "positive examples only": ("t",),
            "no mean": ("L", "t"),
            "sigmoid and cross-entropy together, then the slope again": ("p", "t"),
            "slope of tanh for sigmoid": ("h2",),
            "slope without one minus": ("h2",),
            "second bias takes the third's": ("a2",),
            "tanh slope without a square": ("h1",),
            "tanh slope at the input": ("h1",),
            "tanh slope of tanh twice": ("h1",),
            "first weights before the slope": ("a1",),
        },
    ),
    Pass(
        tied_autoencoder,
        lambda r: tuple(r.normal(size=s) for s in ((7, 5), (5, 3), 3, 5)),
        ("X", "W", "b", "c"),
        tied_autoencoder_backward,
        {
            "one half forgotten in the square": ("L", "E"),
            "no slope": ("H",),
            "encoder only": ("Z",),
            "decoder only": ("a",),
            "decoder subtracted": ("Z",),
            "mean of both uses": ("a", "Z"),
            "decoder from the reconstruction": ("Z",),
            "the data is also the target": ("E",),
            "target's sign": ("E",),
        },
    ),
    Pass(
        gated_residual,
        lambda r: tuple(r.normal(size=s) for s in ((6, 4), (4, 4), 4, (4, 4), 4, (6, 4))),
        ("X", "V", "a", "U", "c"),
        gated_residual_backward,
        {
            "gate and unit exchanged": ("m",),
            "gate not applied": ("m",),
            "one minus the gate": ("m",),
            "slope of the unit for the gate": ("g",),
            "slope of sigmoid for tanh": ("u",),
            "residual path": ("Y",),
            "gate held fixed": ("s",),
            "gate's way back through the other weights": ("s",),
            "residual gated too": ("Y",),
        },
    ),
    Pass(
        factorisation,
        lambda r: (r.normal(size=(6, 3)), r.normal(size=(5, 3)), r.normal(size=(6, 5)), _holes(r, 6, 5)),
        ("P", "Q"),
        factorisation_backward,
        {
            "holes not masked": ("D",),
            "factor two": ("fit", "D"),
            "penalty without its two": ("size", "L"),
            "penalty on one only": ("size",),
            "penalty subtracted": ("L", "size"),
            "absolute penalty": ("size",),
            "updated factor": ("S",),
        },
    ),
)  # fmt: skip

"""Hand-written backward passes of normalisations; see ``blind.py``."""

from __future__ import annotations

import numpy as np
from blind_pass import Pass

EPS = 1e-3


# ---- batch normalisation, step by step
def batch_norm(X, gamma, beta, R):
    m = np.mean(X, axis=0)
    c = X - m
    v = np.mean(c**2, axis=0)
    s = np.sqrt(v + EPS)
    n = c / s
    Y = gamma * n + beta
    L = np.sum(R * Y)
    return L


def batch_norm_backward(bug, X, gamma, beta, R):
    N = len(X)
    m = X.mean(0)
    c = X - m
    v = (c**2).mean(0)
    s = np.sqrt(v + EPS)
    n = c / s
    dgamma, dbeta = (R * n).sum(0), R.sum(0)
    if bug == "gamma from the input":
        dgamma = (R * X).sum(0)
    if bug == "gamma from the centred input":
        dgamma = (R * c).sum(0)
    dn = R * gamma
    if bug == "gamma left out":
        dn = R
    ds = -(dn * c).sum(0) / s**2
    if bug == "quotient's minus":
        ds = -ds
    if bug == "quotient not squared":
        ds = -(dn * c).sum(0) / s
    dv = ds / (2 * s)
    if bug == "root without its half":
        dv = ds / s
    if bug == "root of the root":
        dv = ds / (2 * np.sqrt(s))
    dc = dn / s + dv * 2 * c / N
    if bug == "variance's count":
        dc = dn / s + dv * 2 * c
    if bug == "variance of N - 1":
        dc = dn / s + dv * 2 * c / (N - 1)
    if bug == "variance path":
        dc = dn / s
    if bug == "direct path":
        dc = dv * 2 * c / N
    dm = -dc.sum(0)
    if bug == "mean's minus":
        dm = -dm
    dX = dc + dm / N
    if bug == "mean's count":
        dX = dc + dm
    return dX, dgamma, dbeta


# ---- layer normalisation in one formula
def layer_norm(X, gamma, beta, R):
    m = np.mean(X, axis=1, keepdims=True)
    c = X - m
    v = np.mean(c * c, axis=1, keepdims=True)
    s = np.sqrt(v + EPS)
    n = c / s
    Y = n * gamma + beta
    L = np.sum(R * Y)
    return L


def layer_norm_backward(bug, X, gamma, beta, R):
    D = X.shape[1]
    c = X - X.mean(1, keepdims=True)
    s = np.sqrt((c**2).mean(1, keepdims=True) + EPS)
    n = c / s
    dn = R * gamma
    first, second = dn.mean(1, keepdims=True), (dn * n).mean(1, keepdims=True)
    if bug == "sums for means":
        first, second = first * D, second * D
    if bug == "means over the batch":
        first, second = dn.mean(0), (dn * n).mean(0)
    if bug == "second mean of the gradient alone":
        second = dn.mean(1, keepdims=True)
    dX = (dn - first - n * second) / s
    if bug == "divided by the variance":
        dX = (dn - first - n * second) / s**2
    if bug == "not divided":
        dX = dn - first - n * second
    if bug == "second term added":
        dX = (dn - first + n * second) / s
    if bug == "centred instead of normalised":
        dX = (dn - first - c * second) / s
    if bug == "gamma at the end":
        dX = gamma * (R - R.mean(1, keepdims=True) - n * (R * n).mean(1, keepdims=True)) / s
    dgamma, dbeta = (R * n).sum(0), R.sum(0)
    if bug == "beta averaged":
        dbeta = R.mean(0)
    if bug == "gamma and beta exchanged":
        dgamma, dbeta = dbeta, dgamma
    return dX, dgamma, dbeta


# ---- root-mean-square normalisation before a product
def rms_norm(X, g, W, R):
    q = np.mean(X**2, axis=1, keepdims=True)
    r = 1 / np.sqrt(q + EPS)
    n = X * r
    h = n * g
    Y = h @ W
    L = np.sum(R * Y)
    return L


def rms_norm_backward(bug, X, g, W, R):
    D = X.shape[1]
    r = 1 / np.sqrt((X**2).mean(1, keepdims=True) + EPS)
    n = X * r
    dh = R @ W.T
    dn = dh * g
    dW = (n * g).T @ R
    if bug == "weights see the unscaled":
        dW = n.T @ R
    dr = (dn * X).sum(1, keepdims=True)
    if bug == "scale summed over the batch":
        dr = (dn * X).sum(0, keepdims=True)
    dq = -0.5 * dr * r**3
    if bug == "power of the root":
        dq = -0.5 * dr * r**2
    if bug == "half of the root":
        dq = -dr * r**3
    dX = dn * r + dq * 2 * X / D
    if bug == "scale held fixed":
        dX = dn * r
    if bug == "count of the batch":
        dX = dn * r + dq * 2 * X / len(X)
    if bug == "mean subtracted as in layer norm":
        dX = (dn - dn.mean(1, keepdims=True)) * r + dq * 2 * X / D
    if bug == "square's two":
        dX = dn * r + dq * X / D
    dg = (dh * n).sum(0)
    if bug == "scale's gradient after the scale":
        dg = (dn * n).sum(0)
    return dX, dg, dW


# ---- weights given as a direction and a length
def weight_norm(X, V, g, b, R):
    k = np.sqrt(np.sum(V**2, axis=0))
    U = V / k
    W = g * U
    a = X @ W + b
    Y = np.tanh(a)
    L = np.sum(R * Y)
    return L


def weight_norm_backward(bug, X, V, g, b, R):
    k = np.sqrt(np.sum(V**2, axis=0))
    U = V / k
    Y = np.tanh(X @ (g * U) + b)
    da = R * (1 - Y**2)
    dW = X.T @ da
    dg = (dW * U).sum(0)
    if bug == "length from the unnormalised":
        dg = (dW * V).sum(0)
    dU = dW * g
    along = (dU * U).sum(0)
    if bug == "along the other axis":
        along = (dU * U).sum(1, keepdims=True)
    dV = (dU - U * along) / k
    if bug == "norm held fixed":
        dV = dU / k
    if bug == "projected on the raw direction":
        dV = (dU - V * along) / k
    if bug == "length left out":
        dV = (dW - U * (dW * U).sum(0)) / k
    if bug == "not divided by the norm":
        dV = dU - U * along
    if bug == "projection added":
        dV = (dU + U * along) / k
    return da @ (g * U).T, dV, dg, da.sum(0)


# ---- standardised data, then a mean squared error: the statistics depend on the data
def standardised(X, y, w):
    m = np.mean(X, axis=0)
    c = X - m
    s = np.sqrt(np.mean(c**2, axis=0) + EPS)
    Z = c / s
    p = Z @ w
    L = np.mean((p - y) ** 2)
    return L


def standardised_backward(bug, X, y, w):
    N = len(X)
    c = X - X.mean(0)
    s = np.sqrt((c**2).mean(0) + EPS)
    Z = c / s
    dp = 2 * (Z @ w - y) / N
    dw = Z.T @ dp
    if bug == "weights from the raw data":
        dw = X.T @ dp
    dZ = np.outer(dp, w)
    dX = (dZ - dZ.mean(0) - Z * (dZ * Z).mean(0)) / s
    if bug == "statistics held fixed":
        dX = dZ / s
    if bug == "mean held fixed":
        dX = (dZ - Z * (dZ * Z).mean(0)) / s
    if bug == "deviation held fixed":
        dX = (dZ - dZ.mean(0)) / s
    if bug == "no division":
        dX = dZ - dZ.mean(0) - Z * (dZ * Z).mean(0)
    if bug == "projection without the gradient":
        dX = (dZ - dZ.mean(0) - Z * Z.mean(0)) / s
    return dX, dw


def _normal(r, *shapes):
    return tuple(r.normal(size=shape) for shape in shapes)


PASSES = (
    Pass(
        batch_norm,
        lambda r: _normal(r, (7, 4), 4, 4, (7, 4)),
        ("X", "gamma", "beta"),
        batch_norm_backward,
        {
            "gamma from the input": ("Y",),
            "gamma from the centred input": ("Y",),
            "gamma left out": ("Y",),
            "quotient's minus": ("n", "s", "v"),
            "quotient not squared": ("n",),
            "root without its half": ("s", "v"),
            "root of the root": ("s",),
            "variance's count": ("v", "s"),
            "variance of N - 1": ("v",),
            "variance path": ("v", "s", "n"),
            "direct path": ("n",),
            "mean's minus": ("c", "m"),
            "mean's count": ("m", "c"),
        },
    ),
    Pass(
        layer_norm,
        lambda r: _normal(r, (6, 5), 5, 5, (6, 5)),
        ("X", "gamma", "beta"),
        layer_norm_backward,
        {
            "sums for means": ("m", "v"),
            "means over the batch": ("m", "v", "c", "n"),
            "second mean of the gradient alone": ("n", "v", "s"),
            "divided by the variance": ("n",),
            "not divided": ("n",),
            "second term added": ("n", "v", "s"),
            "centred instead of normalised": ("n", "v", "s"),
            "gamma at the end": ("Y", "n"),
            "beta averaged": ("Y",),
            "gamma and beta exchanged": ("Y",),
        },
    ),
    Pass(
        rms_norm,
        lambda r: _normal(r, (6, 4), 4, (4, 3), (6, 3)),
        ("X", "g", "W"),
        rms_norm_backward,
        {
            "weights see the unscaled": ("Y",),
            "scale summed over the batch": ("n",),
            "power of the root": ("r",),
            "half of the root": ("r", "q"),
            "scale held fixed": ("n", "r", "q"),
            "count of the batch": ("q",),
            "mean subtracted as in layer norm": ("n", "q"),
            "square's two": ("q", "r"),
            "scale's gradient after the scale": ("h",),
        },
    ),
    Pass(
        weight_norm,
        lambda r: _normal(r, (6, 3), (3, 4), 4, 4, (6, 4)),
        ("X", "V", "g", "b"),
        weight_norm_backward,
        {
            "length from the unnormalised": ("W",),
            "along the other axis": ("U", "k"),
            "norm held fixed": ("k", "U"),
            "projected on the raw direction": ("k", "U"),
            "length left out": ("W",),
            "not divided by the norm": ("U",),
            "projection added": ("k", "U"),
        },
    ),
    Pass(
        standardised,
        lambda r: _normal(r, (8, 3), 8, 3),
        ("X", "w"),
        standardised_backward,
        {
            "weights from the raw data": ("p",),
            "statistics held fixed": ("Z", "c", "s", "m"),
            "mean held fixed": ("c", "m"),
            "deviation held fixed": ("s", "Z"),
            "no division": ("Z",),
            "projection without the gradient": ("Z", "s"),
        },
    ),
)

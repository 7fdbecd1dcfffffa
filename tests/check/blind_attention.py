"""Hand-written backward passes of attention and embeddings; see ``blind.py``."""

from __future__ import annotations

import numpy as np
from blind_pass import Pass


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# ---- attention of one head, scores scaled
def one_head(X, A, B, C, R):
    Q = X @ A
    K = X @ B
    V = X @ C
    S = Q @ K.transpose(0, 2, 1)
    Z = S / np.sqrt(4.0)
    E = np.exp(Z - np.max(Z, axis=2, keepdims=True))
    P = E / np.sum(E, axis=2, keepdims=True)
    Y = P @ V
    L = np.sum(R * Y)
    return L


def one_head_backward(bug, X, A, B, C, R):
    Q, K, V = X @ A, X @ B, X @ C
    P = softmax(Q @ K.transpose(0, 2, 1) / 2)
    dV = P.transpose(0, 2, 1) @ R
    if bug == "probabilities not transposed":
        dV = P @ R
    dP = R @ V.transpose(0, 2, 1)
    dot = (dP * P).sum(-1, keepdims=True)
    if bug == "mean in softmax":
        dot = (dP * P).mean(-1, keepdims=True)
    if bug == "gradient not weighted in softmax":
        dot = dP.sum(-1, keepdims=True)
    if bug == "softmax over the queries":
        dot = (dP * P).sum(-2, keepdims=True)
    dZ = P * (dP - dot)
    if bug == "softmax as a sigmoid":
        dZ = P * (1 - P) * dP
    if bug == "softmax left out":
        dZ = dP
    dS = dZ / 2
    if bug == "scale forgotten":
        dS = dZ
    if bug == "scale of four":
        dS = dZ / 4
    dQ, dK = dS @ K, dS.transpose(0, 2, 1) @ Q
    if bug == "scores not transposed for the keys":
        dK = dS @ Q
    if bug == "queries and keys exchanged":
        dQ, dK = dK, dQ
    dX = dQ @ A.T + dK @ B.T + dV @ C.T
    if bug == "keys' way back":
        dX = dQ @ A.T + dV @ C.T
    if bug == "keys' way back through the queries' weights":
        dX = dQ @ A.T + dK @ A.T + dV @ C.T
    rows = X.transpose(0, 2, 1)
    return dX, (rows @ dQ).sum(0), (rows @ dK).sum(0), (rows @ dV).sum(0)


# ---- attention that does not look ahead, in two heads, with an output projection
MASK = np.where(np.tril(np.ones((4, 4))) > 0, 0.0, -1e9)


def two_heads(X, W, U, R):
    H = X @ W
    G = H.reshape(4, 3, 2, 5)
    Q = G[:, 0].transpose(1, 0, 2)
    K = G[:, 1].transpose(1, 0, 2)
    V = G[:, 2].transpose(1, 0, 2)
    S = np.einsum("htd,hsd->hts", Q, K) + MASK
    E = np.exp(S - np.max(S, axis=2, keepdims=True))
    P = E / np.sum(E, axis=2, keepdims=True)
    T = np.einsum("hts,hsd->htd", P, V)
    M = T.transpose(1, 0, 2).reshape(4, 10)
    Y = M @ U
    L = np.sum(R * Y)
    return L


def two_heads_backward(bug, X, W, U, R):
    G = (X @ W).reshape(4, 3, 2, 5)
    Q, K, V = (G[:, i].transpose(1, 0, 2) for i in range(3))
    P = softmax(np.einsum("htd,hsd->hts", Q, K) + MASK)
    T = np.einsum("hts,hsd->htd", P, V)
    M = T.transpose(1, 0, 2).reshape(4, 10)
    if bug == "heads merged in the wrong order":
        dU = T.reshape(4, 10).T @ R
    else:
        dU = M.T @ R
    dM = R @ U.T
    dO = dM.reshape(4, 2, 5).transpose(1, 0, 2)
    if bug == "heads split in the wrong order":
        dO = dM.reshape(2, 4, 5)
    dV = np.einsum("hts,htd->hsd", P, dO)
    dP = np.einsum("htd,hsd->hts", dO, V)
    if bug == "mask forgotten":
        P = softmax(np.einsum("htd,hsd->hts", Q, K))
    dS = P * (dP - (dP * P).sum(-1, keepdims=True))
    if bug == "gradient of one head for both":
        dS = np.broadcast_to(dS[:1], dS.shape)
    dQ, dK = np.einsum("hts,hsd->htd", dS, K), np.einsum("hts,htd->hsd", dS, Q)
    if bug == "values get the keys' gradient":
        dV = dK
    dG = np.stack([dQ, dK, dV]).transpose(2, 0, 1, 3)
    if bug == "parts stacked in another order":
        dG = np.stack([dK, dQ, dV]).transpose(2, 0, 1, 3)
    dH = dG.reshape(4, 30)
    dX = dH @ W.T
    if bug == "residual path that is not there":
        dX = dX + R[:, :3]
    return dX, X.T @ dH, dU


# ---- a bag of words: rows of a table, averaged
def bag(E, W, b, T, R):
    V = E[T]
    m = np.mean(V, axis=1)
    a = m @ W + b
    h = np.maximum(0.1 * a, a)
    L = np.sum(R * h)
    return L


def bag_backward(bug, E, W, b, T, R):
    m = E[T].mean(1)
    a = m @ W + b
    da = R * np.where(a > 0, 1.0, 0.1)
    if bug == "leak forgotten":
        da = R * (a > 0)
    if bug == "leak on both sides":
        da = R * 0.1
    dm = da @ W.T
    dV = np.repeat(dm[:, None] / T.shape[1], T.shape[1], axis=1)
    if bug == "average as a sum":
        dV = np.repeat(dm[:, None], T.shape[1], axis=1)
    if bug == "divided by the batch":
        dV = np.repeat(dm[:, None] / len(T), T.shape[1], axis=1)
    if bug == "only the first word":
        dV[:, 1:] = 0
    dE = np.zeros_like(E)
    if bug == "repeated words written over":
        dE[T] = dV
    elif bug == "repeated words counted once":
        dE[T] += dV
    else:
        np.add.at(dE, T, dV)
    dW, db = m.T @ da, da.sum(0)
    if bug == "sum of the words in the weights":
        dW = (m * T.shape[1]).T @ da
    return dE, dW, db


def _normal(r, *shapes):
    return tuple(r.normal(size=shape) for shape in shapes)


PASSES = (
    Pass(
        one_head,
        lambda r: _normal(r, (2, 5, 3), (3, 4), (3, 4), (3, 6), (2, 5, 6)),
        ("X", "A", "B", "C"),
        one_head_backward,
        {
            "probabilities not transposed": ("Y",),
            "mean in softmax": ("P", "E"),
            "gradient not weighted in softmax": ("P", "E"),
            "softmax over the queries": ("P", "E"),
            "softmax as a sigmoid": ("P", "E"),
            "softmax left out": ("P", "E"),
            "scale forgotten": ("Z", "S"),
            "scale of four": ("Z", "S"),
            "scores not transposed for the keys": ("S",),
            "queries and keys exchanged": ("S", "Q", "K"),
            "keys' way back": ("K",),
            "keys' way back through the queries' weights": ("K",),
        },
    ),
    Pass(
        two_heads,
        lambda r: _normal(r, (4, 3), (3, 30), (10, 6), (4, 6)),
        ("X", "W", "U"),
        two_heads_backward,
        {
            "heads merged in the wrong order": ("M", "Y"),
            "heads split in the wrong order": ("M",),
            "mask forgotten": ("P", "E"),
            "gradient of one head for both": ("P", "E"),
            "values get the keys' gradient": ("T", "V"),
            "parts stacked in another order": ("Q", "K", "G", "S"),
            "residual path that is not there": ("H",),
        },
    ),
    Pass(
        bag,
        lambda r: (
            *_normal(r, (9, 4), (4, 3), 3),
            np.array([[1, 4, 1, 7, 0], [2, 4, 4, 8, 3]]),
            r.normal(size=(2, 3)),
        ),
        ("E", "W", "b"),
        bag_backward,
        {
            "leak forgotten": ("h",),
            "leak on both sides": ("h",),
            "average as a sum": ("m",),
            "divided by the batch": ("m",),
            "only the first word": ("m", "V"),
            "repeated words written over": ("V",),
            "repeated words counted once": ("V",),
            "sum of the words in the weights": ("a",),
        },
    ),
)

"""Layers of the zoo: dense, convolution, pooling, normalisation, attention; see ``zoo.py``."""

from __future__ import annotations

import numpy as np
from zoo_case import Case, normal, one_hot

import boxgrad as bg


def dense_softplus(X, W, b, R):
    a = X @ W + b
    Y = np.logaddexp(a, 0)
    L = np.sum(R * Y)
    return L


def residual_block(X, W, V, R):
    a = X @ W
    h = np.maximum(a, 0)
    Y = X + h @ V
    L = np.sum(R * Y)
    return L


def dropout(X, W, M, V, R):
    h = np.tanh(X @ W)
    d = h * M / 0.8
    Y = d @ V
    L = np.sum(R * Y)
    return L


def gelu_block(X, W, V, R):
    a = X @ W
    h = 0.5 * a * (1 + np.tanh(0.7978845608 * (a + 0.044715 * a**3)))
    Y = h @ V
    L = np.sum(R * Y)
    return L


def gated_linear(X, W, V, R):
    g = 1 / (1 + np.exp(-(X @ W)))
    Y = g * (X @ V)
    L = np.sum(R * Y)
    return L


def swish_gate(X, W, V, U, R):
    a = X @ W
    s = a / (1 + np.exp(-a))
    u = X @ V
    Y = (s * u) @ U
    L = np.sum(R * Y)
    return L


def highway(X, W, V, R):
    t = 1 / (1 + np.exp(-(X @ W)))
    h = np.tanh(X @ V)
    Y = t * h + (1 - t) * X
    L = np.sum(R * Y)
    return L


def bilinear(A, W, B, R):
    T = np.einsum("ni,kij->nkj", A, W)
    S = np.einsum("nkj,nj->nk", T, B)
    L = np.sum(R * S)
    return L


def autoencoder(X, W, b, V, c):
    H = 1 / (1 + np.exp(-(X @ W + b)))
    Z = H @ V + c
    L = np.mean((Z - X) ** 2)
    return L


def mixture_of_experts(X, G, W, R):
    z = X @ G
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    H = np.tanh(np.einsum("nd,kdh->nkh", X, W))
    Y = np.einsum("nk,nkh->nh", p, H)
    L = np.sum(R * Y)
    return L


# ---- convolution and pooling
def patches_1d(X, w, b, R):
    P = np.stack([X[:, k : k + 7] for k in range(3)], axis=2)
    a = P @ w + b
    Y = np.maximum(a, 0)
    L = np.sum(R * Y)
    return L


def patches_2d(X, K, b, R):
    P = np.stack([X[:, :, i : i + 4, j : j + 6] for i in range(3) for j in range(2)], axis=4)
    C = P.transpose(0, 2, 3, 1, 4).reshape(48, 18)
    A = C @ K.reshape(5, 18).T + b
    Y = np.maximum(A, 0).reshape(2, 4, 6, 5)
    L = np.sum(R * Y)
    return L


def conv_1d(X, K, b, R):
    C = bg.conv(X, K, stride=2, padding=1)
    Y = np.tanh(C + b[:, None])
    L = np.sum(R * Y)
    return L


def conv_2d(X, K, b, R):
    C = bg.conv(X, K, padding=1)
    A = C + b[:, None, None]
    Y = np.maximum(A, 0)
    L = np.sum(R * Y)
    return L


def conv_2d_stride(X, K, R):
    C = bg.conv(X, K, stride=(2, 1))
    Y = 1 / (1 + np.exp(-C))
    L = np.sum(R * Y)
    return L


def depthwise(X, K, V, R):
    C = bg.conv(X, K, groups=3)
    Y = np.einsum("nchw,oc->nohw", C, V)
    L = np.sum(R * Y)
    return L


def max_pooling(X, K, R):
    C = bg.conv(X, K)
    P = bg.max_pool(C, 2)
    Y = np.tanh(P)
    L = np.sum(R * Y)
    return L


def average_pooling(X, K, R):
    C = np.tanh(bg.conv(X, K))
    P = bg.avg_pool(C, 2)
    L = np.sum(R * P)
    return L


def small_lenet(X, Y, K, W, b):
    C = np.tanh(bg.conv(X, K))
    P = bg.max_pool(C, 2)
    F = P.reshape(3, 18)
    z = F @ W + b
    p = z - bg.logsumexp(z, axis=1, keepdims=True)
    L = -np.mean(np.sum(Y * p, axis=1))
    return L


# ---- normalisation, embedding, attention
def group_norm(X, gamma, beta, R):
    G = X.reshape(3, 2, 10)
    m = np.mean(G, axis=2, keepdims=True)
    v = np.var(G, axis=2, keepdims=True)
    N = ((G - m) / np.sqrt(v + 1e-3)).reshape(3, 4, 5)
    Y = gamma[:, None] * N + beta[:, None]
    L = np.sum(R * Y)
    return L


def batch_norm_of_images(X, gamma, beta, R):
    m = np.mean(X, axis=(0, 2, 3), keepdims=True)
    c = X - m
    v = np.mean(c**2, axis=(0, 2, 3), keepdims=True)
    N = c / np.sqrt(v + 1e-3)
    Y = gamma[:, None, None] * N + beta[:, None, None]
    L = np.sum(R * Y)
    return L


def embedding(E, W, T, R):
    V = E[T]
    h = np.tanh(V @ W)
    Y = np.sum(h, axis=1)
    L = np.sum(R * Y)
    return L


def squeeze_and_excite(X, W, V, R):
    s = np.mean(X, axis=2)
    h = np.maximum(s @ W, 0)
    g = 1 / (1 + np.exp(-(h @ V)))
    Y = X * g[:, :, None]
    L = np.sum(R * Y)
    return L


def attention(Q, K, V, R):
    S = Q @ K.T / np.sqrt(3.0)
    E = np.exp(S)
    P = E / np.sum(E, axis=1, keepdims=True)
    Y = P @ V
    L = np.sum(R * Y)
    return L


def multi_head_attention(X, A, B, C, U, R):
    Q = (X @ A).reshape(5, 2, 3).transpose(1, 0, 2)
    K = (X @ B).reshape(5, 2, 3).transpose(1, 0, 2)
    V = (X @ C).reshape(5, 2, 3).transpose(1, 0, 2)
    S = Q @ K.transpose(0, 2, 1) / np.sqrt(3.0)
    P = np.exp(S - bg.logsumexp(S, axis=2, keepdims=True))
    H = (P @ V).transpose(1, 0, 2).reshape(5, 6)
    Y = H @ U
    L = np.sum(R * Y)
    return L


def kept(r: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """A mask that drops every fifth entry, in random places."""
    return (r.permutation(rows * columns) % 5 > 0).reshape(rows, columns).astype(float)


CASES = (
    Case(dense_softplus, lambda r: normal(r, (6, 3), (3, 4), 4, (6, 4))),
    Case(residual_block, lambda r: normal(r, (6, 3), (3, 5), (5, 3), (6, 3)), ("X", "W", "V")),
    Case(
        dropout,
        lambda r: (*normal(r, (6, 3), (3, 5)), kept(r, 6, 5), *normal(r, (5, 4), (6, 4))),
        ("X", "W", "V"),
    ),
    Case(gelu_block, lambda r: normal(r, (6, 3), (3, 5), (5, 4), (6, 4)), ("X", "W", "V")),
    Case(gated_linear, lambda r: normal(r, (6, 3), (3, 4), (3, 4), (6, 4)), ("X", "W", "V")),
    Case(swish_gate, lambda r: normal(r, (6, 3), (3, 5), (3, 5), (5, 4), (6, 4)), ("X", "W", "V", "U")),
    Case(highway, lambda r: normal(r, (6, 3), (3, 3), (3, 3), (6, 3)), ("X", "W", "V")),
    Case(bilinear, lambda r: normal(r, (6, 3), (5, 3, 4), (6, 4), (6, 5)), ("A", "W", "B")),
    Case(autoencoder, lambda r: normal(r, (7, 5), (5, 3), 3, (3, 5), 5)),
    Case(mixture_of_experts, lambda r: normal(r, (6, 3), (3, 4), (4, 3, 5), (6, 5)), ("X", "G", "W")),
    Case(patches_1d, lambda r: (*normal(r, (4, 9), 3), r.normal(), r.normal(size=(4, 7))), ("X", "w", "b")),
    Case(patches_2d, lambda r: normal(r, (2, 3, 6, 7), (5, 3, 3, 2), 5, (2, 4, 6, 5)), ("X", "K", "b")),
    Case(conv_1d, lambda r: normal(r, (3, 2, 9), (4, 2, 3), 4, (3, 4, 5)), ("X", "K", "b")),
    Case(conv_2d, lambda r: normal(r, (2, 3, 5, 6), (4, 3, 3, 3), 4, (2, 4, 5, 6)), ("X", "K", "b")),
    Case(conv_2d_stride, lambda r: normal(r, (2, 3, 7, 6), (4, 3, 3, 2), (2, 4, 3, 5)), ("X", "K")),
    Case(depthwise, lambda r: normal(r, (2, 3, 5, 6), (3, 1, 3, 2), (4, 3), (2, 4, 3, 5)), ("X", "K", "V")),
    Case(max_pooling, lambda r: normal(r, (2, 1, 7, 9), (3, 1, 2, 2), (2, 3, 3, 4)), ("X", "K")),
    Case(average_pooling, lambda r: normal(r, (2, 1, 7, 9), (3, 1, 2, 2), (2, 3, 3, 4)), ("X", "K")),
    Case(
        small_lenet,
        lambda r: (r.normal(size=(3, 1, 8, 7)), one_hot(r, 3, 5), *normal(r, (3, 1, 3, 4), (18, 5), 5)),
        ("K", "W", "b"),
    ),
    Case(group_norm, lambda r: normal(r, (3, 4, 5), 4, 4, (3, 4, 5)), ("X", "gamma", "beta")),
    Case(batch_norm_of_images, lambda r: normal(r, (3, 2, 4, 5), 2, 2, (3, 2, 4, 5)), ("X", "gamma", "beta")),
    Case(
        embedding,
        lambda r: (
            *normal(r, (7, 4), (4, 3)),
            np.array([[1, 4, 1, 6, 0], [2, 4, 4, 5, 3]]),
            r.normal(size=(2, 3)),
        ),
        ("E", "W"),
    ),
    Case(squeeze_and_excite, lambda r: normal(r, (3, 4, 5), (4, 2), (2, 4), (3, 4, 5)), ("X", "W", "V")),
    Case(attention, lambda r: normal(r, (5, 3), (6, 3), (6, 4), (5, 4)), ("Q", "K", "V")),
    Case(
        multi_head_attention,
        lambda r: normal(r, (5, 4), (4, 6), (4, 6), (4, 6), (6, 7), (5, 7)),
        ("X", "A", "B", "C", "U"),
    ),
)

"""Hand-written backward passes of convolution and pooling; see ``blind.py``."""

from __future__ import annotations

import numpy as np
from blind_pass import Pass

import boxgrad as bg

windows = np.lib.stride_tricks.sliding_window_view


# ---- one-dimensional convolution with relu
def conv_line(X, w, b, R):
    P = np.stack([X[:, k : k + 7] for k in range(3)], axis=2)
    a = P @ w + b
    Y = np.maximum(a, 0)
    L = np.sum(R * Y)
    return L


def conv_line_backward(bug, X, w, b, R):
    a = sum(X[:, k : k + 7] * w[k] for k in range(3)) + b
    da = R * (a > 0)
    if bug == "mask of the upstream":
        da = R * (R > 0)
    if bug == "output for the mask":
        da = R * np.maximum(a, 0)
    dX, dw = np.zeros_like(X), np.zeros_like(w)
    for k in range(3):
        dw[k] = (da * X[:, k : k + 7]).sum()
        if bug == "last window only":
            dX[:, k : k + 7] = da * w[k]
        elif bug == "kernel reversed on the way back":
            dX[:, k : k + 7] += da * w[2 - k]
        elif bug == "shift of one":
            dX[:, 2 - k : 9 - k] += da * w[k]
        else:
            dX[:, k : k + 7] += da * w[k]
    if bug == "filter reversed":
        dw = dw[::-1].copy()
    if bug == "filter averaged over the batch":
        dw = dw / len(X)
    db = da.sum()
    if bug == "bias of one example":
        db = da[0].sum()
    return dX, dw, db


# ---- two-dimensional convolution with padding, by boxgrad's own function
def conv_image(X, K, b, R):
    C = bg.conv(X, K, padding=1)
    A = C + b[:, None, None]
    Y = np.tanh(A)
    L = np.sum(R * Y)
    return L


def conv_image_backward(bug, X, K, b, R):
    padded = np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1)))
    patches = windows(padded, (3, 3), axis=(2, 3))  # N, C, H, W, 3, 3
    A = np.einsum("nchwij,ocij->nohw", patches, K) + b[:, None, None]
    Y = np.tanh(A)
    dA = R * (1 - Y**2)
    if bug == "tanh's slope at the input":
        dA = R * (1 - A**2)
    dK = np.einsum("nchwij,nohw->ocij", patches, dA)
    if bug == "first image only":
        dK = np.einsum("nchwij,nohw->ocij", patches[:1], dA[:1])
    if bug == "filter transposed in space":
        dK = dK.transpose(0, 1, 3, 2)
    if bug == "padding forgotten in the filter":
        inside = windows(np.pad(X, ((0, 0), (0, 0), (0, 2), (0, 2))), (3, 3), axis=(2, 3))
        dK = np.einsum("nchwij,nohw->ocij", inside, dA)
    db = dA.sum((0, 2, 3))
    if bug == "bias averaged over the image":
        db = dA.mean((2, 3)).sum(0)
    if bug == "bias of the activation":
        db = R.sum((0, 2, 3))
    around = windows(np.pad(dA, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), axis=(2, 3))
    kernel = K[:, :, ::-1, ::-1]
    if bug == "kernel as it is":
        kernel = K
    if bug == "flipped in rows only":
        kernel = K[:, :, ::-1]
    if bug == "rotated the wrong way":
        kernel = K[:, :, ::-1, ::-1].transpose(0, 1, 3, 2)
    dX = np.einsum("nohwij,ocij->nchw", around, kernel)
    return dX, dK, db


# ---- convolution by patches, max pooling, a dense layer
def small_cnn(X, K, W, b, R):
    P = np.stack([X[:, i : i + 4, j : j + 6] for i in range(2) for j in range(2)], axis=3)
    C = P @ K.reshape(4, 4).T
    A = np.maximum(C, 0)
    B = A.reshape(len(X), 2, 2, 3, 2, 4)
    M = np.max(B, axis=(2, 4))
    F = M.reshape(len(X), 24)
    Y = F @ W + b
    L = np.sum(R * Y)
    return L


def small_cnn_backward(bug, X, K, W, b, R):
    N = len(X)
    P = windows(X, (2, 2), axis=(1, 2))
    C = np.einsum("nhwij,oij->nhwo", P, K)
    A = np.maximum(C, 0)
    B = A.reshape(N, 2, 2, 3, 2, 4)
    M = B.max((2, 4))
    F = M.reshape(N, 24)
    dW, db = F.T @ R, R.sum(0)
    dF = R @ W.T
    dM = dF.reshape(M.shape)
    if bug == "unflattened in another order":
        dM = dF.reshape(N, 4, 2, 3).transpose(0, 2, 3, 1)
    if bug == "flattened in another order":
        dW = M.transpose(0, 3, 1, 2).reshape(N, 24).T @ R
    largest = M[:, :, None, :, None, :] == B
    if bug == "gradient to the whole window":
        largest = np.ones_like(B)
    if bug == "gradient shared by the window":
        largest = np.full(B.shape, 0.25)
    if bug == "smallest of the window":
        largest = B.min((2, 4), keepdims=True) == B
    if bug == "largest of everything":
        largest = B.max((1, 2, 3, 4), keepdims=True) == B
    ties = np.maximum(largest.sum((2, 4), keepdims=True), 1)
    share = largest / ties if bug in ("", "relu's mask forgotten", "filter of one place") else largest
    dA = (dM[:, :, None, :, None, :] * share).reshape(A.shape)
    dC = dA * (C > 0)
    if bug == "relu's mask forgotten":
        dC = dA
    dK = np.einsum("nhwij,nhwo->oij", P, dC)
    if bug == "filter of one place":
        dK = np.einsum("nij,no->oij", P[:, 0, 0], dC[:, 0, 0])
    return dK, dW, db


# ---- strided convolution, average over the image
def strided(X, K, V):
    C = bg.conv(X, K, stride=2)
    A = 1 / (1 + np.exp(-C))
    G = np.mean(A, axis=(2, 3))
    S = G @ V
    L = np.sum(S**2)
    return L


def strided_backward(bug, X, K, V):
    patches = windows(X, (3, 2), axis=(2, 3))[:, :, ::2, ::2]
    C = np.einsum("nchwij,ocij->nohw", patches, K)
    A = 1 / (1 + np.exp(-C))
    G = A.mean((2, 3))
    S = G @ V
    dS = 2 * S
    dV = G.T @ dS
    dG = dS @ V.T
    places = A.shape[2] * A.shape[3]
    if bug == "average as a sum":
        places = 1
    if bug == "average over one axis":
        places = A.shape[2]
    dA = np.broadcast_to(dG[:, :, None, None] / places, A.shape)
    dC = dA * A * (1 - A)
    if bug == "slope of the average":
        dC = dA * (G * (1 - G))[:, :, None, None]
    if bug == "slope without its second factor":
        dC = dA * A
    source = patches
    if bug == "stride forgotten in the filter":
        source = windows(X, (3, 2), axis=(2, 3))[:, :, : C.shape[2], : C.shape[3]]
    dK = np.einsum("nchwij,nohw->ocij", source, dC)
    dX = np.zeros_like(X)
    for i in range(3):
        for j in range(2):
            step = np.einsum("nohw,oc->nchw", dC, K[:, :, i, j])
            rows, columns = 2 * C.shape[2], 2 * C.shape[3]
            if bug == "written instead of added":
                dX[:, :, i : i + rows : 2, j : j + columns : 2] = step
            elif bug == "rows and columns of the kernel":
                step = np.einsum("nohw,oc->nchw", dC, K[:, :, 2 - i, 1 - j])
                dX[:, :, i : i + rows : 2, j : j + columns : 2] += step
            else:
                dX[:, :, i : i + rows : 2, j : j + columns : 2] += step
    return dX, dK, dV


def _normal(r, *shapes):
    return tuple(r.normal(size=shape) for shape in shapes)


PASSES = (
    Pass(
        conv_line,
        lambda r: (*_normal(r, (4, 9), 3), r.normal(), r.normal(size=(4, 7))),
        ("X", "w", "b"),
        conv_line_backward,
        {
            "mask of the upstream": ("Y",),
            "output for the mask": ("Y",),
            "last window only": ("P",),
            "kernel reversed on the way back": ("a",),
            "shift of one": ("P", "a"),
            "filter reversed": ("a",),
            "filter averaged over the batch": ("a",),
            "bias of one example": ("a",),
        },
    ),
    Pass(
        conv_image,
        lambda r: _normal(r, (2, 2, 5, 6), (3, 2, 3, 3), 3, (2, 3, 5, 6)),
        ("X", "K", "b"),
        conv_image_backward,
        {
            "tanh's slope at the input": ("Y",),
            "first image only": ("C",),
            "filter transposed in space": ("C",),
            "padding forgotten in the filter": ("C",),
            "bias averaged over the image": ("A",),
            "bias of the activation": ("A",),
            "kernel as it is": ("C",),
            "flipped in rows only": ("C",),
            "rotated the wrong way": ("C",),
        },
    ),
    Pass(
        small_cnn,
        lambda r: _normal(r, (3, 5, 7), (4, 2, 2), (24, 5), 5, (3, 5)),
        ("K", "W", "b"),
        small_cnn_backward,
        {
            "unflattened in another order": ("F",),
            "flattened in another order": ("Y", "F"),
            "gradient to the whole window": ("M",),
            "gradient shared by the window": ("M",),
            "smallest of the window": ("M",),
            "largest of everything": ("M",),
            "relu's mask forgotten": ("A",),
            "filter of one place": ("C",),
        },
    ),
    Pass(
        strided,
        lambda r: _normal(r, (3, 2, 7, 8), (4, 2, 3, 2), (4, 5)),
        ("X", "K", "V"),
        strided_backward,
        {
            "average as a sum": ("G",),
            "average over one axis": ("G",),
            "slope of the average": ("A",),
            "slope without its second factor": ("A",),
            "stride forgotten in the filter": ("C",),
            "written instead of added": ("C",),
            "rows and columns of the kernel": ("C",),
        },
    ),
)

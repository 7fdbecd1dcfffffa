"""What printed functions of whole arrays mean: softmax, convolutions, pooling, slices.

It shares no code with boxgrad.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def softmax(x: Any, axis: int = -1) -> Any:
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


def permuted(x: Any, index: str) -> Any:
    """permute_{ijk→jik}(x)."""
    before, after = index.split("→")
    return np.transpose(x, [before.index(c) for c in after])


def sliced(x: Any, index: str) -> Any:
    """x_{…,0:4} and x_{:,∗}: counted from 0, ∗ an axis of size 1."""
    key: list[Any] = []
    for part in index.split(","):
        if part == "…":
            key.append(Ellipsis)
        elif part == "∗":
            key.append(None)
        elif ":" in part:
            key.append(slice(*[int(n) if n else None for n in part.split(":")]))
        else:
            key.append(int(part))
    return x[tuple(key)]


def windows(note: str, axes: int) -> tuple[list[int], list[int], list[int], int]:
    """Stride, padding, dilation and groups from s=2,p=1."""
    found = dict(part.split("=") for part in note.split(",") if part)

    def each(key: str, default: int) -> list[int]:
        numbers = [int(n) for n in found.get(key, str(default)).split("×")]
        return numbers * axes if len(numbers) == 1 else numbers

    return each("s", 1), each("p", 0), each("d", 1), int(found.get("g", "1"))


def correlate(x: Any, w: Any, note: str) -> Any:
    """x ⋆ w by sums over windows, as its definition says."""
    axes = w.ndim - 2
    stride, padding, dilation, groups = windows(note, axes)
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    sizes = [(x.shape[2 + i] - dilation[i] * (w.shape[2 + i] - 1) - 1) // stride[i] + 1 for i in range(axes)]
    y = np.zeros((x.shape[0], w.shape[0], *sizes))
    inside, outside = w.shape[1], w.shape[0] // groups
    for o in range(w.shape[0]):
        first = (o // outside) * inside
        for k in np.ndindex(*w.shape[2:]):
            cut = tuple(
                slice(dilation[i] * k[i], dilation[i] * k[i] + stride[i] * (sizes[i] - 1) + 1, stride[i])
                for i in range(axes)
            )
            y[:, o] += np.einsum(
                "nc...,c->n...", x[(slice(None), slice(first, first + inside), *cut)], w[(o, slice(None), *k)]
            )
    return y


def _cuts(x: Any, w: Any, g: Any, note: str) -> Any:
    """For each output channel and place in the kernel: the channels and the part of x that it meets."""
    axes = w.ndim - 2
    stride, _, dilation, groups = windows(note, axes)
    outside = w.shape[0] // groups
    for o in range(w.shape[0]):
        first = (o // outside) * w.shape[1]
        for k in np.ndindex(*w.shape[2:]):
            cut = tuple(
                slice(
                    dilation[i] * k[i], dilation[i] * k[i] + stride[i] * (g.shape[2 + i] - 1) + 1, stride[i]
                )
                for i in range(axes)
            )
            yield o, k, (slice(None), slice(first, first + w.shape[1]), *cut)


def input_gradient(g: Any, w: Any, shape: tuple[int, ...], note: str) -> Any:
    """g ∗ w: every product goes back to where the element of x came from."""
    padding = windows(note, w.ndim - 2)[1]
    x = np.zeros((*shape[:2], *(n + 2 * p for n, p in zip(shape[2:], padding, strict=True))))
    for o, k, cut in _cuts(x, w, g, note):
        x[cut] += np.einsum("n...,c->nc...", g[:, o], w[(o, slice(None), *k)])
    return x[(slice(None), slice(None), *(slice(p, p + n) for n, p in zip(shape[2:], padding, strict=True)))]


def adjoint_shape(g: Any, w: Any, note: str) -> tuple[int, ...]:
    """The smallest shape of x of which x ⋆ w has the shape of g, with q more places at each end."""
    found = dict(part.split("=") for part in note.split(",") if part)
    more = [int(n) for n in found.get("q", "0").split("×")]
    more = more * (w.ndim - 2) if len(more) == 1 else more
    stride, padding, dilation, groups = windows(note, w.ndim - 2)
    sizes = (
        (n - 1) * s + d * (k - 1) + 1 - 2 * p + q
        for n, s, d, k, p, q in zip(g.shape[2:], stride, dilation, w.shape[2:], padding, more, strict=True)
    )
    return (g.shape[0], w.shape[1] * groups, *sizes)


def kernel_gradient(x: Any, g: Any, shape: tuple[int, ...], note: str) -> Any:
    """x ⋆ g, summed over the batch."""
    w = np.zeros(shape)
    padding = windows(note, w.ndim - 2)[1]
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    for o, k, cut in _cuts(x, w, g, note):
        w[(o, slice(None), *k)] = np.sum(x[cut] * g[:, o : o + 1], axis=(0, *range(2, x.ndim)))
    return w


def pooled(name: str, note: str, x: Any, g: Any = None) -> Any:
    """maxpool and avgpool, or with g their derivatives applied to g; windows over the last axes."""
    size_text, *rest = note.split(",")
    sizes = [int(n) for n in size_text.split("×")]
    axes = len(sizes) if len(sizes) > 1 else x.ndim - 2
    sizes = sizes * axes if len(sizes) == 1 else sizes
    stride, padding, _, _ = windows(",".join(rest), axes)
    stride = stride if any(part.startswith("s=") for part in rest) else sizes
    fill = -np.inf if name == "maxpool" else 0.0
    lead = x.shape[: x.ndim - axes]
    wide = np.pad(x, [(0, 0)] * len(lead) + [(p, p) for p in padding], constant_values=fill)
    counts = [(wide.shape[len(lead) + i] - sizes[i]) // stride[i] + 1 for i in range(axes)]
    y, back = np.zeros((*lead, *counts)), np.zeros(wide.shape)
    last = tuple(range(len(lead), x.ndim))
    for place in np.ndindex(*counts):
        cut = (..., *(slice(p * s, p * s + n) for p, s, n in zip(place, stride, sizes, strict=True)))
        part = wide[cut]
        if g is None:
            y[(..., *place)] = np.max(part, axis=last) if name == "maxpool" else np.mean(part, axis=last)
        else:
            share = np.ones_like(part)
            if name == "maxpool":
                share = (part == np.max(part, axis=last, keepdims=True)).astype(float)
            share /= np.sum(share, axis=last, keepdims=True)
            back[cut] += share * g[(..., *place)].reshape((*lead, *(1,) * axes))
    if g is None:
        return y
    return back[(..., *(slice(p, p + n) for p, n in zip(padding, x.shape[len(lead) :], strict=True)))]

"""Losses: how far predictions are from targets, as one number.

Knows formulas that stay finite; each function is one box. ``reduction`` is "mean", "sum" or
"none" everywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from boxgrad.boxed import boxed
from boxgrad.errors import BoxgradError, ShapeError, message
from boxgrad.functions import stop_gradient
from boxgrad.nn import expect
from boxgrad.nn.expect import array
from boxgrad.nn.lookup import rows


def _reduce(losses: Any, reduction: str) -> Any:
    if reduction == "mean":
        return np.mean(losses)
    if reduction == "sum":
        return np.sum(losses)
    if reduction == "none":
        return losses
    raise BoxgradError(
        message(
            f"no reduction {reduction!r}",
            "a loss per element is made one number by its mean or its sum, or is left as it is",
            "reduction='mean', 'sum' or 'none'",
        )
    )


@boxed
def mse(input: Any, target: Any, reduction: str = "mean") -> Any:
    """The mean squared error.

    ``L = 1/n Σ (x - y)²``, with x = input and y = target of one shape, n elements.

    Args:
        input: predictions.
        target: what they should be, in the same unit.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: the shapes differ (nothing is broadcast).

    >>> float(mse(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    input, target = array(input), array(target)
    expect.same("mse", input, target)
    return _reduce(np.square(input - target), reduction)


@boxed
def l1(input: Any, target: Any, reduction: str = "mean") -> Any:
    """The mean absolute error (derivative 0 where a prediction is exact).

    ``L = 1/n Σ |x - y|``, with x = input and y = target of one shape, n elements.

    Args and errors as for :func:`mse`.

    >>> float(l1(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    1.0
    """
    input, target = array(input), array(target)
    expect.same("l1", input, target)
    return _reduce(np.abs(input - target), reduction)


@boxed
def huber(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """Squared where close, absolute where far.

    ``L = 1/n Σ h(x - y)``, ``h(d) = d²/2`` where |d| ≤ δ, ``δ (|d| - δ/2)`` elsewhere;
    x = input and y = target of one shape, n elements.

    Args:
        input: predictions.
        target: what they should be, in the same unit.
        reduction: "mean", "sum" or "none".
        delta: δ > 0, where the one becomes the other, in the same unit.

    Raises:
        ShapeError: the shapes differ.

    Source: Huber, 1964.

    >>> float(huber(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    0.75
    """
    input, target = array(input), array(target)
    expect.same("huber", input, target)
    d = input - target
    near = np.clip(d, -delta, delta)
    return _reduce(near * (d - 0.5 * near), reduction)


def _class_axis(what: str, x: Any) -> int:
    if x.ndim == 0:
        raise ShapeError(
            message(
                f"{what} expected one score per class, found a single number",
                "the classes are axis 1, or axis 0 where there is no batch",
                "pass scores of shape (N, C)",
            )
        )
    return min(1, x.ndim - 1)


def _picked(what: str, scores: Any, target: Any, axis: int, ignore_index: int) -> tuple[Any, Any]:
    """Each target's index, 0 where it is ignored, and the score that is there."""
    classes = scores.shape[axis]
    wanted = scores.shape[:axis] + scores.shape[axis + 1 :]
    if target.shape != wanted:
        raise ShapeError(
            message(
                f"{what} expected class indices of shape {wanted}, found {tuple(target.shape)}",
                f"scores of shape {tuple(scores.shape)} have their classes on axis {axis}",
                "indices[:, 0] drops an axis that is too many; np.moveaxis(scores, -1, 1) "
                "brings the classes to axis 1",
            )
        )
    checked = expect.indices(what, target, classes, ignore_index)
    index = np.where(target == ignore_index, 0, checked)
    chosen = np.take_along_axis(scores, np.expand_dims(index, axis), axis)
    return index, np.squeeze(chosen, axis)


def _weights(index: Any, target: Any, weight: Any, ignore_index: int, dtype: Any) -> Any:
    """How much each target counts: its class's weight, 0 where it is ignored."""
    kept = target != ignore_index
    if weight is None:
        return kept.astype(dtype)
    return np.where(kept, rows(array(weight), index), 0).astype(dtype)


def _reduce_weighted(losses: Any, weights: Any, reduction: str) -> Any:
    """As :func:`_reduce`, where the mean is over the weights."""
    if reduction == "mean":
        return np.sum(losses) / np.sum(weights)
    return _reduce(losses, reduction)


@boxed
def nll(
    input: Any, target: Any, reduction: str = "mean", *, weight: Any = None, ignore_index: int = -100
) -> Any:
    """The negative log-likelihood of the right classes.

    ``L = -Σ_n w_{t_n} x[n, t_n] / Σ_n w_{t_n}``, with x = input (N, C, …), t = target (N, …),
    w = weight (C,), all 1 if None.

    Args:
        input: logarithms of probabilities, as ``log_softmax(scores, axis=1)`` gives them.
        target: class indices, 0 to C - 1.
        reduction: "mean" (over the weights), "sum" or "none".
        weight: of each class.
        ignore_index: targets of this value do not count.

    Raises:
        ShapeError: the shapes do not fit.
        IndexingError: an index is out of range.

    Source: PyTorch's ``nll_loss``.

    >>> float(nll(np.log(np.array([[0.5, 0.5]])), np.array([1])).round(4))
    0.6931
    """
    input, target = array(input), array(target)
    axis = _class_axis("nll", input)
    index, chosen = _picked("nll", input, target, axis, ignore_index)
    weights = _weights(index, target, weight, ignore_index, input.dtype)
    losses = np.where(target != ignore_index, 0 - chosen, 0) * weights
    return _reduce_weighted(losses, weights, reduction)


@boxed
def cross_entropy(
    logits: Any,
    targets: Any,
    reduction: str = "mean",
    *,
    weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Any:
    """How surprised a softmax of the scores is by the targets, in nats.

    ``L = -Σ_n w_{t_n} log p[n, t_n] / Σ_n w_{t_n}`` with ``p = softmax(x)`` along axis 1; for
    targets that are probabilities q, ``L = -1/N Σ_n Σ_c w_c q[n, c] log p[n, c]``.
    x = logits (N, C, …) or (C,), t (N, …) or (), q of x's shape, w = weight (C,), all 1 if None.

    Args:
        logits: scores of any size; they are not probabilities and need not sum to 1.
        targets: class indices 0 to C - 1 (integers), or probabilities (floats of logits' shape).
        reduction: "mean" (over the weights for indices, over the batch for probabilities),
            "sum" or "none".
        weight: of each class.
        ignore_index: target indices of this value do not count.
        label_smoothing: ε from 0 to 1; the targets become ``(1 - ε) q + ε / C``.

    Raises:
        ShapeError: shapes or dtypes do not fit.
        IndexingError: an index is out of range.

    Source: PyTorch's ``cross_entropy``; smoothing: Szegedy et al., 2016.

    >>> x = np.array([[1e4, -1e4], [0.0, 0.0]], np.float32)
    >>> cross_entropy(x, np.array([0, 1]), "none")
    array([0.       , 0.6931472], dtype=float32)
    >>> cross_entropy(x, np.array([[1.0, 0.0], [0.5, 0.5]], np.float32))
    np.float32(0.3465736)
    """
    logits, targets = array(logits), array(targets)
    axis = _class_axis("cross_entropy", logits)
    # Any shift cancels; that by the maximum keeps large scores exact and exponentials small.
    shifted = logits - stop_gradient(np.max(logits, axis=axis, keepdims=True))
    logarithm = np.log(np.sum(np.exp(shifted), axis=axis))
    if targets.dtype.kind == "f" and targets.shape == logits.shape:
        if label_smoothing:
            targets = (1 - label_smoothing) * targets + label_smoothing / logits.shape[axis]
        log_p = shifted - np.expand_dims(logarithm, axis)
        return _reduce(-_sum_of_classes(targets * log_p, weight, axis), reduction)
    if targets.dtype.kind not in "iu":
        raise ShapeError(
            message(
                f"cross_entropy cannot use targets of dtype {targets.dtype} and shape {tuple(targets.shape)}",
                "targets are class indices (integers) or probabilities "
                f"(floats of shape {tuple(logits.shape)})",
                "targets.astype(np.int64) for class indices",
            )
        )
    index, chosen = _picked("cross_entropy", shifted, targets, axis, ignore_index)
    weights = _weights(index, targets, weight, ignore_index, logits.dtype)
    kept = targets != ignore_index
    losses = np.where(kept, logarithm - chosen, 0)
    if weight is not None:
        losses = losses * weights
    if label_smoothing:
        log_p = shifted - np.expand_dims(logarithm, axis)
        spread = np.where(kept, -_sum_of_classes(log_p, weight, axis), 0)
        share = label_smoothing / logits.shape[axis]
        losses = (1 - label_smoothing) * losses + share * spread
    return _reduce_weighted(losses, weights, reduction)


def _sum_of_classes(values: Any, weight: Any, axis: int) -> Any:
    """The sum over the classes, each times its weight if there are weights."""
    if weight is not None:
        weight = array(weight)
        values = values * weight.reshape(weight.shape + (1,) * (values.ndim - axis - 1))
    return np.sum(values, axis=axis)


def _log(p: Any) -> Any:
    """The logarithm, but -100 at 0, as PyTorch has it: one wrong certainty must not be infinite."""
    counts = p > math.exp(-100)
    return np.where(counts, np.log(np.where(counts, p, 1)), -100)


@boxed
def binary_cross_entropy(input: Any, target: Any, reduction: str = "mean", *, weight: Any = None) -> Any:
    """The cross-entropy of yes and no, from probabilities, in nats.

    ``L = -1/n Σ w (y log p + (1 - y) log(1 - p))``, p = input, y = target and w = weight of one
    shape, n elements. Logarithms count as at least -100. From scores rather than probabilities
    use :func:`binary_cross_entropy_with_logits`, which loses no digits.

    Args:
        input: probabilities, 0 to 1.
        target: 0, 1 or between.
        reduction: "mean", "sum" or "none".
        weight: of each element; broadcast.

    Raises:
        ShapeError: the shapes differ.

    Source: PyTorch's ``binary_cross_entropy``.

    >>> binary_cross_entropy(np.array([0.5, 1.0]), np.array([1.0, 0.0]), "none").round(4)
    array([  0.6931, 100.    ])
    """
    input, target = array(input), array(target)
    expect.same("binary_cross_entropy", input, target)
    losses = -(target * _log(input) + (1 - target) * _log(1 - input))
    return _reduce(losses if weight is None else losses * array(weight), reduction)


@boxed
def binary_cross_entropy_with_logits(
    input: Any, target: Any, reduction: str = "mean", *, weight: Any = None, pos_weight: Any = None
) -> Any:
    """The cross-entropy of yes and no, from scores, in nats.

    ``L = -1/n Σ w (v y log σ(x) + (1 - y) log(1 - σ(x)))``, x = input and y = target of one
    shape, w = weight, v = pos_weight (all 1 if None), n elements.

    Args:
        input: scores of any size.
        target: 0, 1 or between.
        reduction: "mean", "sum" or "none".
        weight: of each element; broadcast.
        pos_weight: of yes against no; broadcast.

    Raises:
        ShapeError: the shapes differ.

    Source: PyTorch's ``binary_cross_entropy_with_logits``.

    >>> binary_cross_entropy_with_logits(np.array([0.0, -1e4]), np.array([1.0, 1.0]), "none")
    array([6.93147181e-01, 1.00000000e+04])
    """
    input, target = array(input), array(target)
    expect.same("binary_cross_entropy_with_logits", input, target)
    if pos_weight is None:
        losses = np.logaddexp(input, 0) - input * target
    else:
        yes, no = np.logaddexp(-input, 0), np.logaddexp(input, 0)
        losses = array(pos_weight) * target * yes + (1 - target) * no
    return _reduce(losses if weight is None else losses * array(weight), reduction)


@boxed
def kl_div(input: Any, target: Any, reduction: str = "mean", *, log_target: bool = False) -> Any:
    """How far a distribution is from another (Kullback and Leibler), in nats.

    ``L = 1/n Σ q (log q - x)``, with x = input = log p and q = target of one shape, n elements;
    0 where q is 0.

    Args:
        input: logarithms of the predicted probabilities.
        target: probabilities (logarithms of them if log_target).
        reduction: "mean", "batchmean" (the sum over the size of axis 0: the true divergence),
            "sum" or "none".
        log_target: whether target holds logarithms.

    Raises:
        ShapeError: the shapes differ.

    Source: PyTorch's ``kl_div``.

    >>> q = np.array([[1.0, 0.0]])
    >>> float(kl_div(np.log(np.array([[0.5, 0.5]])), q, "batchmean").round(4))
    0.6931
    """
    input, target = array(input), array(target)
    expect.same("kl_div", input, target)
    if log_target:
        losses = np.exp(target) * (target - input)
    else:
        logarithm = np.log(np.where(target > 0, target, 1))
        losses = target * (logarithm - input)
    if reduction == "batchmean":
        return np.sum(losses) / input.shape[0]
    return _reduce(losses, reduction)

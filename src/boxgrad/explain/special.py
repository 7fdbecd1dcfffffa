"""Boxes that mathematics writes whole: softmax, its logarithm, and cross-entropy.

Their gradients are short only as a whole (p − y). Each form is used only where its numbers agree with the
gradient that the box itself has; elsewhere the box is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad.explain import expression as x
from boxgrad.explain.boxes import Box, Model, Value
from boxgrad.explain.expression import Expression, Symbol

SYMBOLS = {"softmax": "softmax", "log_softmax": "logsoftmax", "cross_entropy": "CE"}


@dataclass(frozen=True)
class Whole:
    """A box as one formula: definitions before it, the result, the gradients of its inputs.

    A gradient takes ∂L/∂(result).
    """

    before: tuple[tuple[Symbol, Expression], ...]
    result: Expression
    gradients: dict[Value, Callable[[Expression], Expression]]


def whole(
    box: Box, symbol: Callable[[Value], Symbol], fresh: Callable[[str, tuple[int, ...]], Symbol]
) -> Whole | None:
    """The formulas of a closed box of one of these functions; None where it is another or in another form."""
    make = _MAKERS.get(box.title) if box.inner else None
    return None if make is None else make(box, symbol, fresh)


def _argument(box: Box) -> Value | None:
    """The only input of a gradient."""
    if len(box.outputs) != 1 or box.outputs[0].node.value is None:
        return None
    reals = [value for value in box.inputs if value.node.dtype.kind == "f" and value.node.value is not None]
    return reals[0] if len(reals) == 1 else None


def _probabilities(scores: Any, axis: int) -> Any:
    powers = np.exp(scores - np.max(scores, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


def _agrees(box: Box, argument: Value, slope: Callable[[Any], Any]) -> bool:
    """Whether a formula of the gradient has the numbers that the box has."""
    if argument not in box.local:
        return True
    gradient = box.outputs[0].gradient
    if gradient is None or gradient.value is None or box.local[argument].value is None:
        return False
    found = np.asarray(box.local[argument].value)
    return np.allclose(
        slope(np.asarray(gradient.value)),
        found,
        rtol=1e-6 if found.itemsize < 8 else 1e-9,
        atol=1e-7 * np.max(np.abs(found), initial=0),
    )


def _summed(e: Expression, axis: int) -> Expression:
    shape = tuple(1 if i == axis else n for i, n in enumerate(e.shape))
    return x.Reduce("Σ", e, (axis,), True, shape=shape)


def _softmax(box: Box, symbol: Any, fresh: Any) -> Whole | None:
    argument = _argument(box)
    if argument is None or argument.shape != box.outputs[0].shape:
        return None
    value, y = np.asarray(argument.node.value), np.asarray(box.outputs[0].node.value)
    for axis in range(value.ndim - 1, -1, -1):
        p = _probabilities(value, axis)
        if np.allclose(p, y, rtol=1e-5) and _agrees(
            box, argument, lambda g, p=p, axis=axis: p * (g - np.sum(g * p, axis=axis, keepdims=True))
        ):
            break
    else:
        return None
    result = x.Call("softmax", (symbol(argument),), note=_axis_note(axis, value.ndim), shape=argument.shape)
    named = symbol(box.outputs[0])

    def gradient(g: Expression, axis: int = axis) -> Expression:
        return x.times(named, x.add(g, x.negative(_summed(x.times(g, named), axis))))

    return Whole((), result, {argument: gradient})


def _log_softmax(box: Box, symbol: Any, fresh: Any) -> Whole | None:
    argument = _argument(box)
    if argument is None or argument.shape != box.outputs[0].shape:
        return None
    value, y = np.asarray(argument.node.value), np.asarray(box.outputs[0].node.value)
    for axis in range(value.ndim - 1, -1, -1):
        p = _probabilities(value, axis)
        if np.allclose(np.log(p), y, rtol=1e-5) and _agrees(
            box, argument, lambda g, p=p, axis=axis: g - p * np.sum(g, axis=axis, keepdims=True)
        ):
            break
    else:
        return None
    note = _axis_note(axis, value.ndim)
    softmax = x.Call("softmax", (symbol(argument),), note=note, shape=argument.shape)
    result = x.Call("log", (softmax,), shape=argument.shape)

    def gradient(g: Expression, axis: int = axis) -> Expression:
        return x.add(g, x.negative(x.times(softmax, _summed(g, axis))))

    return Whole((), result, {argument: gradient})


def _axis_note(axis: int, ndim: int) -> str:
    """Nothing for the last axis, which is meant where nothing is said."""
    return "" if axis == ndim - 1 else "ijklmn"[axis]


def _cross_entropy(box: Box, symbol: Any, fresh: Any) -> Whole | None:
    if len(box.outputs) != 1 or box.outputs[0].shape != () or box.outputs[0].node.value is None:
        return None
    shaped = [
        v for v in box.inputs if len(v.shape) == 2 and v.node.dtype.kind == "f" and v.node.value is not None
    ]
    for argument in shaped:
        found = _entropy_of(box, argument, symbol, fresh)
        if found is not None:
            return found
    return None


def _entropy_of(box: Box, argument: Value, symbol: Any, fresh: Any) -> Whole | None:
    """Cross-entropy where the scores are this input."""
    scores = np.asarray(argument.node.value)
    n, classes = scores.shape
    p = _probabilities(scores, 1)
    for target in box.inputs:
        value = target.node.value
        if target is argument or value is None:
            continue
        value = np.asarray(value)
        if value.shape == (n,) and value.dtype.kind in "iu":
            y = (value[:, None] == np.arange(classes)).astype(scores.dtype)
            picked: Expression = x.Call("onehot", (symbol(target),), note=str(classes), shape=(n, classes))
        elif value.shape == (n, classes) and value.dtype.kind == "f":
            y, picked = value, symbol(target)
        else:
            continue
        loss = -np.sum(y * np.log(p)) / n
        if not np.allclose(loss, box.outputs[0].node.value, rtol=1e-5):
            continue
        if _agrees(box, argument, lambda g, y=y: g * (p - y) / n):
            break
    else:
        return None
    probabilities = fresh("P", argument.shape)
    log = x.Call("log", (probabilities,), shape=argument.shape)
    share = x.number((1, n))
    result = x.negative(x.times(share, x.Reduce("Σ", x.times(picked, log), (0, 1), shape=())))

    def gradient(g: Expression) -> Expression:
        return x.times(g, share, x.add(probabilities, x.negative(picked)))

    softmax = x.Call("softmax", (symbol(argument),), shape=argument.shape)
    gradients = {argument: gradient}
    if isinstance(picked, Symbol):
        gradients[target] = lambda g: x.negative(x.times(g, share, log))
    return Whole(((probabilities, softmax),), result, gradients)


_MAKERS: dict[str, Callable[[Box, Any, Any], Whole | None]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "cross_entropy": _cross_entropy,
}


def definitions(names: set[str]) -> list[Expression]:
    """The formulas of functions that were written whole."""
    found: list[Expression] = []
    if "softmax" in names:
        row = Symbol("x", "x", shape=(2,))
        one, other = x.Element(row, ("i",), shape=()), x.Element(row, ("k",), shape=())
        below = x.Over("Σ", "k", "", "", x.call("exp", other), shape=())
        left = x.Item(x.Call("softmax", (Symbol("x", "x", shape=()),), shape=()), "i", shape=())
        found.append(x.Relation((left, x.fraction(x.call("exp", one), below)), shape=()))
    return found


def one_hot(formulas: Iterable[Expression]) -> list[Expression]:
    """What onehot₄(y) means: (onehot₄(y))ᵢⱼ = [yᵢ = j]."""
    notes = {
        part.note: None
        for e in formulas
        for part in x.parts_of(e)
        if isinstance(part, x.Call) and part.function == "onehot"
    }
    found: list[Expression] = []
    for note in notes:
        y, j = Symbol("y", "y", shape=(2,)), Symbol("", "j", shape=())
        left = x.Item(x.Call("onehot", (y,), note=note, shape=(2, 2)), "ij", shape=())
        holds = x.Infix("=", (x.Element(y, ("i",), shape=()), j), shape=())
        found.append(x.Relation((left, x.Indicator(holds, shape=())), shape=()))
    return found


def convolutions(symbols: set[str]) -> list[Expression]:
    """What ⋆ and ∗ mean: cross-correlation, and convolution, whose kernel is flipped (s − k for s + k)."""
    found: list[Expression] = []
    for symbol, other, sign, summed, kept in (("⋆", "w", "+", "c", "o"), ("∗", "w", "−", "o", "c")):
        if symbol not in symbols:
            continue
        first, second = (
            Symbol("x", "x" if symbol == "⋆" else "g", shape=(2,)),
            Symbol(other, other, shape=(2,)),
        )
        left = x.Item(x.Convolve(symbol, first, second, shape=(2,)), f"n,{kept},s", shape=())
        body = x.times(x.Item(first, f"n,{summed},s{sign}k", shape=()), x.Item(second, "o,c,k", shape=()))
        right = x.Over("Σ", f"{summed},k", "", "", body, shape=())
        found.append(x.Relation((left, right), shape=()))
    return found


@dataclass(frozen=True)
class Difference:
    """∂L/∂Z = c (P − Y): where softmax meets cross-entropy, all else cancels."""

    scores: Value
    probabilities: Value
    targets: Value
    count: int


def differences(model: Model) -> list[Difference]:
    """Where a gradient is (p − y)/N or p − y, by its numbers; P a softmax that somebody wrote out.

    The targets are rows of their own, or numbers of classes.
    """
    rows = [value for value in model.values.values() if _is_rows(value)]
    inner = [value for value in rows if value.role == "inner"]
    given = [value for value in rows if value.role != "inner"]
    classes = [v for v in model.values.values() if len(v.shape) == 1 and v.node.dtype.kind in "iu"]
    found: list[Difference] = []
    for scores in model.values.values():
        g = scores.gradient
        if g is None or g.value is None or len(scores.shape) != 2 or scores in rows:
            continue
        for p in inner:
            for y in [*given, *classes]:
                targets = _targets(y, scores.shape)
                if p.shape != scores.shape or targets is None:
                    continue
                gap = np.asarray(p.node.value) - targets
                for count in (scores.shape[0], 1):
                    if np.allclose(np.asarray(g.value) * count, gap, rtol=1e-9, atol=1e-12):
                        found.append(Difference(scores, p, y, count))
                        break
    return found[:1]


def _targets(y: Value, shape: tuple[int, ...]) -> Any:
    """The rows of targets: as given, or one-hot where they are numbers of classes."""
    value = y.node.value
    if value is None or y.shape == shape:
        return value
    return np.asarray(value)[:, None] == np.arange(shape[1]) if y.shape == shape[:1] else None


def picked(one: Difference, symbol: Callable[[Value], Symbol]) -> Expression:
    """The targets of a difference, as rows."""
    y, shape = symbol(one.targets), one.scores.shape
    return y if y.shape == shape else x.Call("onehot", (y,), note=str(shape[1]), shape=shape)


def _is_rows(value: Value) -> bool:
    if (
        value.node.value is None
        or len(value.shape) != 2
        or value.node.dtype.kind != "f"
        or value.shape[1] < 2
    ):
        return False
    array = np.asarray(value.node.value)
    return bool(np.all(array >= 0) and np.allclose(np.sum(array, axis=1), 1))

"""Closed boxes with a short form of their own: softmax with cross-entropy, whose gradient is (P - Y) / N.

A box is taken for one of these only if its numbers, forward and backward, are those of the short form; a box
with weights, smoothing or ignored targets is written out instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from boxgrad.explain.boxes import Box, Model, Value
from boxgrad.explain.code_lines import NamesTaken, Page, names_in
from boxgrad.explain.code_terms import Term, number, product, total
from boxgrad.explain.code_text import dtype_text, shape_text, text
from boxgrad.graph.node import Node


class CrossEntropy:
    """The mean of -log softmax(scores)[target], as two lines and their gradient."""

    def __init__(self, box: Box, scores: Value, target: Value) -> None:
        self.box, self.scores, self.target = box, scores, target
        self._logarithm: Term | None = None

    @property
    def hidden(self) -> set[Node]:
        """The nodes inside, which get no lines of their own."""
        return {node for node in self.box.nodes if node is not self.box.outputs[0].node}

    def forward(self, page: Page, names: NamesTaken, name: str, scores: Term, target: Term) -> None:
        """Write the two lines."""
        count, classes = scores.shape
        called = names.unique("log_P")
        self._logarithm = Term("name", (), called, scores.shape, scores.dtype)
        page.add(
            f"{called} = log_softmax({text(scores)})",
            value=name, box=self.box, reads=names_in(scores), comment=shape_text((count, classes)),
        )  # fmt: skip
        page.add(
            f"{name} = -np.mean({called}[np.arange({count}), {text(target)}])",
            value=name, box=self.box, reads={called, *names_in(target)},
        )  # fmt: skip

    def gradient(self, g: Term, target: Term) -> Term:
        """(P - Y) / N: each probability less 1 where the target is."""
        logarithm = self._logarithm
        assert logarithm is not None
        count, classes = logarithm.shape
        shape, dtype = logarithm.shape, logarithm.dtype
        powers = Term("call", (logarithm,), ("np.exp", ""), shape, dtype)
        rows = Term("text", (), _identity(classes, dtype), (classes, classes), dtype)
        chosen = Term("index", (rows, target), "{0}", shape, dtype)
        difference = total([(powers, 1), (chosen, -1)], shape, dtype)
        return product([(g, 1), (difference, 1), (number(count), -1)], shape, dtype)


def _identity(classes: int, dtype: np.dtype[Any]) -> str:
    kind = "" if dtype == np.float64 else f", dtype={dtype_text(dtype)}"
    return f"np.eye({classes}{kind})"


def known_boxes(model: Model) -> dict[Node, CrossEntropy]:
    """The boxes with a short form, by the node of their result."""
    found: dict[Node, CrossEntropy] = {}
    for box in _closed(model.boxes):
        made = _cross_entropy(box)
        if made is not None:
            found[box.outputs[0].node] = made
    return found


def _closed(boxes: list[Box]) -> Iterator[Box]:
    for box in boxes:
        if box.kind == "closed":
            yield box
        yield from _closed(box.inner)


def _cross_entropy(box: Box) -> CrossEntropy | None:
    if box.title != "cross_entropy" or len(box.outputs) != 1 or box.outputs[0].shape:
        return None
    reals = [value for value in box.inputs if value in box.local]
    whole = [value for value in box.inputs if value.node.dtype.kind in "iu" and value.role != "constant"]
    if len(reals) != 1 or len(whole) != 1:
        return None
    [scores], [target], result = reals, whole, box.outputs[0]
    x, t, upstream = scores.node.value, target.node.value, result.gradient and result.gradient.value
    local = box.local[scores].value
    if x is None or t is None or upstream is None or local is None or np.ndim(x) != 2 or np.ndim(t) != 1:
        return None
    shifted = x - np.max(x, axis=1, keepdims=True)
    log_p = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    if np.min(t) < 0 or np.max(t) >= x.shape[1]:
        return None
    loss = -np.mean(log_p[np.arange(len(t)), t])
    slope = upstream * (np.exp(log_p) - np.eye(x.shape[1])[t]) / len(t)
    accuracy = 1e-12 if x.dtype == np.float64 else 1e-5
    pairs = ((loss, result.node.value), (slope, local))
    same = all(np.allclose(a, b, accuracy, accuracy) for a, b in pairs)
    return CrossEntropy(box, scores, target) if same else None

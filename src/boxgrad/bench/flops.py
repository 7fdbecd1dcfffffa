"""How much arithmetic a graph is: the operations of its products and convolutions.

A multiply-add counts as two, as peaks of processors are given, and elementwise work is left out. The graph is
counted as it was written: an engine that needs fewer operations for the same result is faster, and may exceed
the peak. Knows graphs; knows nothing of clocks.
"""

from __future__ import annotations

import math

from boxgrad.graph.node import Graph, Node
from boxgrad.ops import control
from boxgrad.ops.contract import contract


def flops(graph: Graph) -> int:
    """The operations of all products and convolutions of a graph, those in loops once for each step.

    >>> from boxgrad.trace import trace
    >>> import numpy as np
    >>> flops(trace(lambda x, w: x @ w, np.ones((2, 3)), np.ones((3, 5))))
    60
    """
    return sum(_flops(node) for node in graph.nodes if node.primitive is not None)


def _flops(node: Node) -> int:
    parameters = node.parameters
    if node.primitive is control.loop:
        return parameters["length"] * flops(parameters["body"])
    if node.primitive is contract:
        letters: dict[str, int] = {}
        for part, x in zip(parameters["subscripts"].split("->")[0].split(","), node.inputs, strict=True):
            letters.update(zip(part, x.shape, strict=True))
        return 2 * math.prod(letters.values())
    assert node.primitive is not None
    if node.primitive.name in ("conv", "conv_input_gradient"):
        w = node.inputs[1]
        images = node if node.primitive.name == "conv" else node.inputs[0]
        return 2 * math.prod(images.shape) * math.prod(w.shape[1:])
    if node.primitive.name == "conv_filter_gradient":
        return 2 * math.prod(node.inputs[1].shape) * math.prod(node.shape[1:])
    return 0

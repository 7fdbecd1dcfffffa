"""Random numbers in formulas: a name for what is drawn, M ∼ Bernoulli(0.6), instead of how it is drawn.

Knows what depends on random bits alone. Knows no medium.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Expression
from boxgrad.functions.random_bits import random_bits
from boxgrad.graph.node import Node
from boxgrad.ops.elementwise import cast, less

WORDS_OF_BITS = 2**32


def drawn(nodes: Iterable[Node], results: Iterable[Node]) -> list[Node]:
    """The values that depend on nothing but random bits, as far as they go: a mask, noise."""
    random: set[Node] = set()
    nodes = list(nodes)
    for node in nodes:
        parts = [part for part in node.inputs if part.primitive is not None or part.label is not None]
        if node.primitive is random_bits or (parts and all(part in random for part in parts)):
            random.add(node)
    leaving = set(results) | {part for node in nodes if node not in random for part in node.inputs}
    return [node for node in nodes if node in random and node in leaving]


def law(node: Node) -> Expression:
    """How such a value is distributed, where that has a name."""
    if node.primitive is less and _is_bits(node.inputs[0]) and node.inputs[1].value is not None:
        share = float(np.reshape(node.inputs[1].value, ())) / WORDS_OF_BITS
        return x.Call("Bernoulli", (x.number(float(f"{share:.6g}")),), shape=node.shape)
    return x.Call("random", (), note="×".join(map(str, node.shape)), shape=node.shape)


def _is_bits(node: Node) -> bool:
    if node.primitive is cast:
        node = node.inputs[0]
    return node.primitive is random_bits

"""Common subexpressions: the same box on the same inputs is computed once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from boxgrad.graph.node import Graph, Node
from boxgrad.graph.walk import rewrite


def _key(value: Any) -> Hashable:
    """A parameter as something that can be compared; slices cannot be hashed before Python 3.12."""
    if isinstance(value, slice):
        return ("slice", value.start, value.stop, value.step)
    if isinstance(value, (tuple, list)):
        return tuple(_key(part) for part in value)
    if isinstance(value, np.generic | np.ndarray):
        return (value.dtype, value.shape, value.tobytes())
    return (type(value), value)


def _leaf_key(node: Node) -> Hashable | None:
    """Small constants of equal type and bits are one."""
    if node.value is None or node.items is not None or np.asarray(node.value).nbytes > 1024:
        return None
    value = np.asarray(node.value)
    return ("constant", node.weak, value.dtype, value.shape, value.tobytes())


def share(graph: Graph) -> Graph:
    """Keep one node of each set that computes the same."""
    known: dict[Hashable, Node] = {}
    inputs = set(graph.inputs)

    def rule(node: Node) -> Node | None:
        if node in inputs:
            return None
        if node.primitive is None:
            key = _leaf_key(node)
            return None if key is None else known.setdefault(key, node)
        parameters = tuple((name, _key(value)) for name, value in sorted(node.parameters.items()))
        return known.setdefault((node.primitive, node.inputs, parameters), node)

    return rewrite(graph, rule)

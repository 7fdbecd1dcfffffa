"""The reference engine: walk the graph and call each primitive's meaning in NumPy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from boxgrad.engines.engine import Report, Row, Run
from boxgrad.graph.evaluate import Program
from boxgrad.graph.node import Graph, Node
from boxgrad.ops import control
from boxgrad.passes import fold, prune, share
from boxgrad.types import ArrayType


class NumpyEngine:
    """Every other engine is tested against this one."""

    name = "numpy"

    def build(self, graph: Graph, targets: Mapping[int, int] | None = None) -> Run:
        program = Program(simplified(graph))

        def run(values: Sequence[Any]) -> list[Any]:
            return program(*values)

        return run

    def report(self, graph: Graph) -> Report:
        counts: Counter[str] = Counter()
        reads: Counter[str] = Counter()
        writes: Counter[str] = Counter()
        for node, times in _boxes(simplified(graph), 1):
            assert node.primitive is not None
            counts[node.primitive.name] += times
            reads[node.primitive.name] += times * sum(map(_bytes, dict.fromkeys(node.inputs)))
            writes[node.primitive.name] += times * _bytes(node)
        rows = tuple(Row(name, count, reads[name], writes[name]) for name, count in counts.most_common())
        return Report(self.name, rows, ("every box is one NumPy call, none is fused; views move nothing",))

    def obstacle(self) -> None:
        """It runs wherever NumPy does."""


def simplified(graph: Graph) -> Graph:
    """The graph as it is run: nothing twice and nothing for nobody, and every bit as it was written."""
    return prune(share(fold(graph)))


def _boxes(graph: Graph, times: int) -> Iterator[tuple[Node, int]]:
    inputs = set(graph.inputs)
    for node in graph.nodes:
        if node.primitive is not None and node not in inputs:
            yield node, times
            if node.primitive is control.loop:
                yield from _boxes(node.parameters["body"], times * node.parameters["length"])


def _bytes(node: Node) -> int:
    if node.items is not None:
        return 0
    return ArrayType(node.shape, node.dtype).size * node.dtype.itemsize


ENGINE = NumpyEngine()

"""The meaning of a graph: walk it once and call each primitive's meaning in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from boxgrad.graph.node import Graph, Node

_programs: WeakKeyDictionary[Graph, Program] = WeakKeyDictionary()


class Program:
    """A graph as a list of steps over numbered registers, ready to run many times.

    A register is emptied after its last use, so memory is held no longer than needed.
    """

    __slots__ = ("_constants", "_count", "_inputs", "_outputs", "_steps")

    def __init__(self, graph: Graph) -> None:
        nodes = graph.nodes
        register = {node: number for number, node in enumerate(nodes)}
        last: dict[Node, int] = {}
        for position, node in enumerate(nodes):
            for x in node.inputs:
                last[x] = position
        for node in graph.outputs:
            last[node] = len(nodes)
        inputs = set(graph.inputs)
        self._inputs = len(graph.inputs)
        self._count = len(nodes)
        self._constants = [
            (register[node], node.value) for node in nodes if node.primitive is None and node not in inputs
        ]
        constant = {number for number, _ in self._constants}
        self._steps = [
            (
                node.primitive.meaning,
                tuple(register[x] for x in node.inputs),
                node.parameters,
                register[node],
                tuple(
                    {
                        register[x]
                        for x in (*node.inputs, node)
                        if last.get(x, position) <= position and register[x] not in constant
                    }
                ),
            )
            for position, node in enumerate(nodes)
            if node.primitive is not None and node not in inputs
        ]
        self._outputs = tuple(register[node] for node in graph.outputs)

    def __call__(self, *values: Any) -> list[Any]:
        """Run on as many values as the graph has inputs."""
        registers: list[Any] = [*values, *[None] * (self._count - self._inputs)]
        for number, value in self._constants:
            registers[number] = value
        for meaning, sources, parameters, target, done in self._steps:
            registers[target] = meaning(*[registers[i] for i in sources], **parameters)
            for number in done:
                registers[number] = None
        return [registers[number] for number in self._outputs]


def program(graph: Graph) -> Program:
    """The program of a graph, made once."""
    found = _programs.get(graph)
    if found is None:
        found = _programs[graph] = Program(graph)
    return found


def evaluate(graph: Graph, values: Sequence[Any]) -> list[Any]:
    """The values of a graph's outputs for values of its inputs."""
    return program(graph)(*values)

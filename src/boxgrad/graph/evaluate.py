"""The meaning of a graph: walk it once and call each primitive's meaning in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np

from boxgrad.graph.node import Graph, Node, refuse

_programs: WeakKeyDictionary[Graph, Program] = WeakKeyDictionary()


class Program:
    """A graph as a list of steps over numbered registers, ready to run many times.

    A register is emptied after its last use, so memory is held no longer than needed.
    """

    __slots__ = ("_constants", "_inputs", "_nodes", "_outputs", "_steps")

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
        self._nodes = nodes
        self._constants = [
            (register[node], node.value) for node in nodes if node.primitive is None and node not in inputs
        ]
        constant = {number for number, _ in self._constants}
        reusable = _reusable(nodes, inputs, set(graph.outputs))
        self._steps = [
            (
                cast("Any", _as_number(node.primitive.meaning) if node.weak else node.primitive.meaning),
                _target(node, position, last, reusable, register),
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
        registers: list[Any] = [*values, *[None] * (len(self._nodes) - self._inputs)]
        for number, value in self._constants:
            registers[number] = value
        target = 0
        try:
            for meaning, reuse, sources, parameters, target, done in self._steps:
                if reuse is None:
                    registers[target] = meaning(*[registers[i] for i in sources], **parameters)
                else:
                    registers[target] = meaning(*[registers[i] for i in sources], out=registers[reuse])
                for number in done:
                    registers[number] = None
        except Exception as error:
            node = self._nodes[target]
            assert node.primitive is not None
            refuse(node.primitive, node.inputs, error, node.places)
        return [registers[number] for number in self._outputs]


def _as_number(meaning: Callable[..., Any]) -> Callable[..., Any]:
    """Python's operators on Python numbers give Python numbers, which promotion does not count."""
    return lambda *inputs, **parameters: np.asarray(meaning(*inputs, **parameters)).item()


def _computes_anew(node: Node) -> bool:
    """Whether a box writes a new array of its own, as a ufunc with axes does."""
    return node.primitive is not None and isinstance(node.primitive.meaning, np.ufunc) and node.shape != ()


def _reusable(nodes: Sequence[Node], inputs: set[Node], outputs: set[Node]) -> set[Node]:
    """Values whose memory nothing but their users can see: made by a ufunc, read by ufuncs only.

    Other boxes may answer with a view of their argument, which would see the memory written again.
    """
    seen = {x for node in nodes if not _computes_anew(node) for x in node.inputs}
    return {x for x in nodes if _computes_anew(x) and x not in seen and x not in inputs and x not in outputs}


def _target(
    node: Node, position: int, last: dict[Node, int], reusable: set[Node], register: dict[Node, int]
) -> int | None:
    """The register whose array the box can write into: that of an input of its type which dies here."""
    if not _computes_anew(node):
        return None
    for x in node.inputs:
        if x in reusable and last[x] == position and x.shape == node.shape and x.dtype == node.dtype:
            return register[x]
    return None


def program(graph: Graph) -> Program:
    """The program of a graph, made once."""
    found = _programs.get(graph)
    if found is None:
        found = _programs[graph] = Program(graph)
    return found


def evaluate(graph: Graph, values: Sequence[Any]) -> list[Any]:
    """The values of a graph's outputs for values of its inputs."""
    return program(graph)(*values)

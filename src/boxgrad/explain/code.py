"""The code view: a function and its gradient as one Python file that imports NumPy only.

``forward(X, W)`` returns the result and what ``backward`` needs; ``backward(saved)`` returns the gradient of
each argument by its name. The names are the user's, each value's shape is in a comment. Knows how the file is
laid out; its lines are made in ``code_block``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from boxgrad.explain.boxes import Box, Model, readable
from boxgrad.explain.code_block import Block, Setting, Sink, depends
from boxgrad.explain.code_convert import Converter
from boxgrad.explain.code_file import (
    assembled,
    defined_locally,
    defines,
    helpers,
    literal,
    without_idle_steps,
    written_out,
)
from boxgrad.explain.code_functions import Functions
from boxgrad.explain.code_known import known_boxes
from boxgrad.explain.code_lines import BACKWARD, FORWARD, Line, NamesTaken, Page
from boxgrad.explain.code_loops import backward_loop, forward_loop
from boxgrad.explain.code_terms import Term, number, variable
from boxgrad.explain.code_text import shape_text, text
from boxgrad.explain.code_write import add_into, write_total
from boxgrad.explain.words import word
from boxgrad.graph.node import Graph, Node
from boxgrad.listing.names import variable as user_name
from boxgrad.ops import control


@dataclass(frozen=True)
class Code:
    """A standalone Python file.

    ``lines`` are its statements in order: each has its text, its number in ``source`` (from 1), and, where it
    computes something, the name of the value, the box and the direction ("forward", "backward").
    ``parameters`` are the names of the arguments of ``forward``, in order.
    """

    source: str
    lines: list[Line]
    parameters: tuple[str, ...]
    _arguments: dict[str, Any] = field(repr=False)

    def arguments(self) -> dict[str, Any]:
        """The arguments of ``forward`` by name: those of the explained function, and arrays it captured."""
        return dict(self._arguments)

    def run(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        """Execute the source where there is nothing but NumPy; the result and the gradients by name."""
        space: dict[str, Any] = {"__name__": "explained"}
        exec(compile(self.source, "<explained>", "exec"), space)
        found = space["forward"](**{**self._arguments, **arguments})
        if "backward" not in space:
            return found, {}
        result, saved = found
        return result, space["backward"](saved)

    def __str__(self) -> str:
        return self.source


def code_of(model: Model, lang: str = "en") -> Code:
    """The code of a model.

    Args:
        model: a function with its boxes and gradients.
        lang: language of the words in comments, "en" or "zh".

    Returns:
        The file, its lines, and a way to run it.

    >>> from boxgrad.explain.explanation import modelled
    >>> def loss(X, W):
    ...     S = np.tanh(X @ W)
    ...     return np.sum(S)
    >>> code = code_of(modelled(loss, (np.ones((2, 3)), np.zeros((3, 1)))))
    >>> code.parameters
    ('X', 'W')
    >>> code.run()[1]["W"].shape
    (3, 1)
    """
    return _Writer(model, lang).code()


class _Writer:
    """Makes the file of one model."""

    def __init__(self, model: Model, lang: str) -> None:
        self._model, self._lang = model, lang
        self._called: dict[Node, str] = {}
        names = NamesTaken([value.name for value in model.values.values()], helpers())
        for node, value in model.values.items():
            if node.primitive is not None or node.value is None or node in model.graph.inputs:
                self._called[node] = value.name
        self._names = names
        self._captured: dict[Node, str] = {}
        forward_nodes = {node for graph in _graphs(model.graph) for node in graph.nodes}
        self._converter = Converter(forward_nodes, self._constant)
        self._setting = Setting(
            names,
            model.output.name,
            self._converter,
            _boxes_of(model),
            self._called,
            forward_loop,
            backward_loop,
            known_boxes(model),
            Functions(forward_nodes, self._converter, names),
        )

    def _constant(self, node: Node) -> Term:
        """A captured array: written out if it is small or regular, else an argument."""
        array = np.asarray(node.value)
        written = written_out(array)
        if written is not None:
            return literal(written, array)
        if node not in self._captured:
            same = next((known for known in self._captured if known.value is node.value), None)
            value = self._model.values.get(node)
            if same is not None:
                name = self._captured[same]
            else:
                name = value.name if value else self._names.unique(readable(node.label or "C"))
            self._captured[node] = name
        return variable(self._captured[node], array.shape, array.dtype)

    def code(self) -> Code:
        model = self._model
        graph = model.graph
        wrt = [value.node for value in model.wrt]
        inner = [node for node in graph.nodes if node.primitive is not None]
        active = depends([model.output.node], wrt) | set(wrt)
        known = {node: variable(self._called[node], node.shape, node.dtype) for node in graph.inputs}
        block = Block(self._setting, inner, list(graph.outputs), known, active, self._wanted, wrt)
        forward, backward = Page(FORWARD), Page(BACKWARD)
        block.forward(forward)
        one = number(1.0)
        collected: dict[Node, list[Term]] = {}
        sinks: dict[Node, Sink] = {node: self._sink(block, node, collected) for node in wrt}
        if wrt:
            block.backward(backward, {model.output.node: [one]}, sinks)
        result = block.terms[model.output.node]
        return self._file(forward, backward, result)

    def _wanted(self, node: Node) -> str | None:
        known = self._model.values.get(node)
        if known is not None:
            return None if known.automatic else known.name
        wanted = user_name(node.places) if node.primitive is not None else node.label
        return readable(wanted) if wanted else None

    def _sink(self, block: Block, node: Node, collected: dict[Node, list[Term]]) -> Sink:
        """Where the gradient of an argument is written, as soon as it is complete."""
        own = self._setting.gradient_name(self._called[node])
        started: list[str] = []

        def write(page: Page, term: Term | None, last: bool) -> None:
            box, value = page.box, self._called[node]
            if term is not None:
                collected.setdefault(node, []).append(term)
            if not last and node not in block.many:
                return
            terms = collected.pop(node, [])
            if terms and len(terms) == 1 and terms[0].op == "name" and terms[0].data == own:
                started.append(own)
                return
            if terms and started:
                for x in terms:
                    add_into(page, own, x, value, box)
            elif terms:
                started.append(own)
                self._names.unique(own)
                write_total(page, own, terms, node, value, box, fresh=node in block.many)

        return write

    # ---- the file
    def _file(self, forward: Page, backward: Page, result: Term) -> Code:
        model = self._model
        ahead = without_idle_steps(forward, backward)
        wanted = {name for line in backward.lines for name in line.reads}
        outcome = result.data if result.op == "name" else text(result)
        read = wanted | {outcome}.union(*(line.reads for line in ahead))
        names = [self._called[node] for node in model.graph.inputs] + list(self._captured.values())
        parameters = {name: self._value(name) for name in dict.fromkeys(names) if name in read}
        made = [name for line in ahead for name in sorted(defines(line.text), key=line.text.index)]
        saved = [
            name
            for name in dict.fromkeys([*parameters, *made])
            if name in wanted and not defined_locally(backward, name)
        ]
        defined = set().union(*(defines(line.text) for line in backward.lines))
        gradients: dict[str, str] = {}
        for value in model.wrt:
            name = self._setting.gradient_name(value.name)
            nothing = f"np.zeros({shape_text(value.shape)})" if value.shape else "0.0"
            gradients[value.name] = name if name in defined else nothing
        title = word("code_file" if gradients else "code_file_forward", self._lang)
        functions = self._setting.functions.sources()
        lines = assembled(title, functions, parameters, ahead, backward.lines, outcome, saved, gradients)
        source = "\n".join(line.text for line in lines) + "\n"
        return Code(source, lines, tuple(parameters), parameters)

    def _value(self, name: str) -> Any:
        for node in self._model.graph.inputs:
            if self._called[node] == name:
                return node.value
        return next(node.value for node, known in self._captured.items() if known == name)


def _graphs(graph: Graph) -> Iterator[Graph]:
    """A graph and those inside its loops."""
    yield graph
    for node in graph.nodes:
        if node.primitive is control.loop:
            yield from _graphs(node.parameters["body"])


def _boxes_of(model: Model) -> dict[Node, Box]:
    """The innermost box of each node."""
    found: dict[Node, Box] = {}

    def note(boxes: list[Box]) -> None:
        for box in boxes:
            for node in box.nodes:
                found[node] = box
            note(box.inner)

    note(model.boxes)
    return found

"""The code view: a function and its gradient as one Python file that imports NumPy only.

``forward(X, W)`` returns the result and what ``backward`` needs; ``backward(saved)`` returns the gradient of
each argument by its name. The names are the user's, each value's shape is in a comment. Knows how the file is
laid out; its lines are made in ``code_block``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from boxgrad.explain import code_helpers
from boxgrad.explain.boxes import Box, Model, readable
from boxgrad.explain.code_block import Block, Sink, depends, write_total
from boxgrad.explain.code_convert import Converter
from boxgrad.explain.code_lines import BACKWARD, FORWARD, Line, NamesTaken, Page
from boxgrad.explain.code_loops import backward_loop, derived_loop, forward_loop
from boxgrad.explain.code_terms import Term, number, variable
from boxgrad.explain.code_text import dtype_text, shape_text
from boxgrad.explain.words import word
from boxgrad.graph.names import variable as user_name
from boxgrad.graph.node import Graph, Node
from boxgrad.ops import control

_WRITTEN_OUT = 12
"""Captured arrays of so many elements are written in the code; larger ones are arguments of ``forward``."""


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
        result, saved = space["forward"](**{**self._arguments, **arguments})
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
        names = NamesTaken([value.name for value in model.values.values()], _helpers())
        for node, value in model.values.items():
            if node.primitive is not None or node.value is None or node in model.graph.inputs:
                self._called[node] = value.name
        self._names = names
        self._captured: dict[Node, str] = {}
        forward_nodes = {node for graph in _graphs(model.graph) for node in graph.nodes}
        self._converter = Converter(
            forward_nodes, self._constant, lambda node, known: derived_loop(None, None, node, known)
        )  # type: ignore[arg-type]
        from boxgrad.explain.code_block import Setting

        self._setting = Setting(
            names,
            model.output.name,
            self._converter,
            _boxes_of(model),
            self._called,
            forward_loop,
            backward_loop,
        )

    def _constant(self, node: Node) -> Term:
        """A captured array: written out if it is small or regular, else an argument."""
        array = np.asarray(node.value)
        written = _written_out(array)
        if written is not None:
            return (
                Term("call", (), ("", ""), array.shape, array.dtype)
                if not written
                else _literal(written, array)
            )
        if node not in self._captured:
            same = next((n for n in self._captured if n.value is node.value), None)
            value = self._model.values.get(node)
            name = (
                self._captured[same]
                if same is not None
                else value.name
                if value
                else self._names.unique(readable(node.label or "C"))
            )
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
        if model.output.node in sinks:
            collected[model.output.node] = [one]
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
            box = self._setting.boxes.get(node)
            value = self._called[node]
            if term is not None:
                collected.setdefault(node, []).append(term)
            if not last and node not in block.many:
                return
            terms = collected.pop(node, [])
            if terms and len(terms) == 1 and terms[0].op == "name" and terms[0].data == own:
                started.append(own)
                return
            if terms and started:
                from boxgrad.explain.code_block import add_into

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
        forward.lines = [
            line for line in forward.lines if not line.text.strip() == "" and ".append()" not in line.text
        ]
        kept_steps = {name for line in backward.lines for name in line.reads}
        forward.lines = [
            line
            for line in forward.lines
            if not re.fullmatch(r"\s*steps\w* = \[\]", line.text) or line.text.split()[0] in kept_steps
        ]
        inputs = [self._called[node] for node in model.graph.inputs]
        read = {name for line in (*forward.lines, *backward.lines) for name in line.reads} | {result.data}
        parameters = [name for name in inputs if name in read]
        captured = list(dict.fromkeys(name for name in self._captured.values() if name in read))
        parameters += captured
        defined: set[str] = set()
        for line in backward.lines:
            defined |= _defines(line.text)
        gradients = {value.name: self._setting.gradient_name(value.name) for value in model.wrt}
        outside = [
            name for line in forward.lines for name in sorted(_defines(line.text), key=line.text.index)
        ]
        saved = [
            name
            for name in dict.fromkeys([*parameters, *outside])
            if any(name in line.reads for line in backward.lines)
            and name not in defined_locally(backward, name)
        ]
        lines: list[Line] = []

        def plain(text: str) -> None:
            lines.append(Line(text))

        plain(f'"""{word("code_file", self._lang)}"""')
        body = [line.text for line in (*forward.lines, *backward.lines)]
        if any("np." in text for text in (*body, *gradients.values())) or _needed("\n".join(body)):
            plain("")
            plain("import numpy as np")
        for source in _needed("\n".join(body)):
            plain("")
            plain("")
            for row in source.splitlines():
                plain(row)
        plain("")
        plain("")
        plain(f"def forward({', '.join(parameters)}):")
        for name in parameters:
            array = np.asarray(self._value(name))
            kind = f" {dtype_text(array.dtype)}" if array.dtype != np.float64 else ""
            plain(f"    # {name}: {shape_text(array.shape)}{kind}")
        lines += forward.lines
        plain(_wrapped_tuple("    saved = ", saved))
        plain(f"    return {result.data if result.op == 'name' else result.data[1]}, saved")
        plain("")
        plain("")
        plain("def backward(saved):")
        if saved:
            plain(_wrapped_tuple("    ", saved, " = saved"))
        lines += backward.lines
        for value in model.wrt:
            if gradients[value.name] not in defined:
                gradients[value.name] = f"np.zeros({shape_text(value.shape)})" if value.shape else "0.0"
        pairs = [f'"{name}": {gradient}' for name, gradient in gradients.items()]
        whole = f"    return {{{', '.join(pairs)}}}"
        if len(whole) > 100:
            whole = "\n".join(["    return {", *(f"        {pair}," for pair in pairs), "    }"])
        plain(whole)
        number = 1
        for line in lines:
            line.number = number
            number += line.text.count("\n") + 1
        source = "\n".join(line.text for line in lines) + "\n"
        return Code(source, lines, tuple(parameters), {name: self._value(name) for name in parameters})

    def _value(self, name: str) -> Any:
        for node in self._model.graph.inputs:
            if self._called[node] == name:
                return node.value
        return next(node.value for node, known in self._captured.items() if known == name)


def defined_locally(page: Page, name: str) -> set[str]:
    """The name, if the page defines it before it reads it."""
    for line in page.lines:
        if name in _defines(line.text):
            return {name}
        if name in line.reads:
            return set()
    return set()


def _defines(text: str) -> set[str]:
    """The names that a line assigns."""
    head, equals, _ = text.strip().partition(" = ")
    if not equals or not re.fullmatch(r"[\w, ]+", head):
        return set()
    return {name.strip() for name in head.split(",")}


def _wrapped_tuple(before: str, names: list[str], after: str = "") -> str:
    """A tuple of names, over several lines if it is long."""
    inner = f"{names[0]}," if len(names) == 1 else ", ".join(names)
    short = f"{before}({inner}){after}" if not after or len(names) == 1 else f"{before}{inner}{after}"
    if len(short) <= 100:
        return short
    rows = ["        "]
    for name in names:
        if len(rows[-1]) + len(name) > 96:
            rows[-1] = rows[-1].rstrip()
            rows.append("        ")
        rows[-1] += f"{name}, "
    return "\n".join([f"{before}(", *(row.rstrip() for row in rows), f"    ){after}"])


def _literal(written: str, array: Any) -> Term:
    return Term("text", (), written, array.shape, array.dtype)


def _written_out(array: Any) -> str | None:
    """A small or regular array as Python, else None."""
    if not array.size:
        return f"np.zeros({shape_text(array.shape)}, {dtype_text(array.dtype)})"
    if (
        array.ndim == 1
        and array.size > 1
        and array.dtype.kind == "i"
        and np.array_equal(array, np.arange(len(array)))
    ):
        return f"np.arange({len(array)})"
    if array.ndim == 2 and array.shape[1] == 1 and array.dtype.kind == "i" and len(array) > 1:
        if np.array_equal(array[:, 0], np.arange(len(array))):
            return f"np.arange({len(array)})[:, np.newaxis]"
    if array.size and array.ndim and np.all(array == array.flat[0]) and array.flat[0] in (0, 1):
        return (
            f"np.{'ones' if array.flat[0] else 'zeros'}({shape_text(array.shape)}, {dtype_text(array.dtype)})"
        )
    if array.ndim == 2 and array.shape[0] == array.shape[1] and array.shape[0] > 1:
        if np.array_equal(array, np.tril(np.ones_like(array))):
            return f"np.tril(np.ones({shape_text(array.shape)}, {dtype_text(array.dtype)}))"
        if np.array_equal(array, np.eye(len(array))):
            return f"np.eye({len(array)}, dtype={dtype_text(array.dtype)})"
    if array.size <= _WRITTEN_OUT and np.all(np.isfinite(array)):
        kind = (
            ""
            if array.dtype in (np.float64, np.int64, np.bool_) and array.size
            else f", {dtype_text(array.dtype)}"
        )
        return f"np.array({array.tolist()!r}{kind})"
    return None


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


# ---- the functions that the file needs
@cache
def _helpers() -> dict[str, str]:
    """The text of each function of ``code_helpers`` by its name."""
    found = inspect.getmembers(code_helpers, inspect.isfunction)
    return {name: inspect.getsource(function).rstrip() for name, function in found}


def _needed(text: str) -> list[str]:
    """The texts of the functions that a text calls, and those that these call, in the order of the module."""
    needed: set[str] = set()
    stack = [text]
    while stack:
        current = stack.pop()
        for name, source in _helpers().items():
            if name not in needed and re.search(rf"(?<![\w.]){name}\b(?! =)[(,]", current):
                needed.add(name)
                stack.append(source)
    order = inspect.getsource(code_helpers)
    return [_helpers()[name] for name in sorted(needed, key=lambda name: order.index(f"def {name}("))]

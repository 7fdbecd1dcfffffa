"""The canonical listing of a graph, and its parser.

One line a node: ``name: type = primitive(inputs, parameter=value)``. What is printed parses back to a graph
that computes the same. Nothing is evaluated: the parser knows names, literals and a few forms.
"""

from __future__ import annotations

import ast
import base64
import re
from typing import Any

import numpy as np

from boxgrad.errors import GraphError
from boxgrad.graph.node import Graph, Node, constant_node, input_node
from boxgrad.graph.primitive import primitive_named
from boxgrad.listing.names import names
from boxgrad.ops.index import Slot
from boxgrad.types import ArrayType, dtype_name, dtype_of_name, is_dtype, is_slice, is_tuple

_LINE = re.compile(r"^(\w+): (\([^=]*\)|\S+) = (.*)$")
_HEAD = re.compile(r"^graph(?: (\w+))?\((.*)\):$")
_DTYPE = re.compile(r"^(bool|[fiuc]\d+)$")
_INLINE = 16


# ---- printing
def text(graph: Graph, name: str = "") -> str:
    """The listing of a graph.

    >>> x = input_node(ArrayType.parse("f64[2]"), "x")
    >>> print(text(Graph((x,), (x,))))
    graph(x: f64[2]):
      return x
    """
    called = names(graph.nodes)
    inputs = ", ".join(f"{called[node]}: {node.type!r}" for node in graph.inputs)
    lines = [f"graph{' ' + name if name else ''}({inputs}):"]
    for node in graph.nodes[len(graph.inputs) :]:
        if node.primitive is None:
            lines.append(f"  {called[node]}: {node.type!r} = {_constant(node.value)}")
            continue
        arguments = [called[x] for x in node.inputs]
        for key, value in node.parameters.items():
            if isinstance(value, Graph):
                inner = f"{name}{called[node]}_{key}"
                lines += ["  " + line for line in text(value, inner).splitlines()]
                arguments.append(f"{key}={inner}")
            else:
                arguments.append(f"{key}={_literal(value)}")
        kind = repr(node.type) if node.items is None else f"({', '.join(map(repr, node.items))},)"
        lines.append(f"  {called[node]}: {kind} = {node.primitive.name}({', '.join(arguments)})")
    lines.append(f"  return {', '.join(called[node] for node in graph.outputs)}")
    return "\n".join(lines)


def _constant(value: Any) -> str:
    array = np.asarray(value)
    if array.size <= _INLINE:
        return repr(array.tolist())
    packed = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return f"base64({packed!r})"


def _literal(value: Any) -> str:
    if is_dtype(value):
        return dtype_name(value)
    if is_slice(value):
        return f"slice({value.start!r}, {value.stop!r}, {value.step!r})"
    if is_tuple(value):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    if value is ...:
        return "..."
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    return repr(value)


# ---- parsing
def parse(listing: str) -> Graph:
    """Read what :func:`text` printed.

    Raises:
        GraphError: a line that is not of the listing's form, with the line.
    """
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in listing.splitlines() if line.strip()]
    graph, rest, _ = _graph(lines)
    if rest:
        raise GraphError(f"after the end of the graph: {rest[0][1]!r}")
    return graph


Lines = list[tuple[int, str]]


def _graph(lines: Lines) -> tuple[Graph, Lines, str]:
    if not lines or (head := _HEAD.match(lines[0][1])) is None:
        raise GraphError(f"a listing begins with graph(x: f64[3], …): {lines[0][1] if lines else ''!r}")
    indent, lines = lines[0][0], lines[1:]
    inputs: list[Node] = []
    known: dict[str, Node | Graph] = {}
    for part in re.findall(r"(\w+): (\S+?\]~?)(?:, |$)", head[2]):
        node = input_node(_type(part[1]), _label(part[0]))
        inputs.append(node)
        known[part[0]] = node
    while lines and lines[0][0] > indent:
        line = lines[0][1]
        if line.startswith("graph "):
            inner, lines, name = _graph(lines)
            known[name] = inner
            continue
        lines = lines[1:]
        if line.startswith("return"):
            outputs = [part.strip() for part in line[6:].split(",") if part.strip()]
            return (Graph(tuple(inputs), tuple(_node(known, x) for x in outputs)), lines, head[1] or "")
        found = _LINE.match(line)
        if found is None:
            raise GraphError(f"not a line of a listing (name: type = …): {line!r}")
        known[found[1]] = _definition(found[1], found[2], found[3], known)
    raise GraphError("the graph has no return line")


def _type(written: str) -> Any:
    try:
        if written.startswith("("):
            return tuple(ArrayType.parse(x) for x in re.findall(r"\w+\[[\d,]*\]~?", written))
        return ArrayType.parse(written)
    except ValueError as error:
        raise GraphError(str(error)) from None


def _label(name: str) -> str | None:
    """A name, unless it is a mere number."""
    return None if re.fullmatch(r"[cv]\d+", name) else name


def _node(known: dict[str, Node | Graph], name: str) -> Node:
    found = known.get(name)
    if not isinstance(found, Node):
        raise GraphError(f"{name!r} is used before it is defined")
    return found


def _definition(name: str, written: str, right: str, known: dict[str, Node | Graph]) -> Node:
    kind = _type(written)
    label = _label(name)
    try:
        tree = ast.parse(right, mode="eval").body
    except SyntaxError:
        raise GraphError(f"{name}: cannot read {right!r}") from None
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.func.id == "base64":
        return _read_constant(tree, kind, label)
    try:
        primitive = primitive_named(tree.func.id)
    except KeyError:
        raise GraphError(f"{name}: there is no primitive {tree.func.id!r}") from None
    inputs = tuple(_node(known, x.id if isinstance(x, ast.Name) else "?") for x in tree.args)
    parameters = {part.arg: _read(part.value, known) for part in tree.keywords if part.arg}
    return Node(primitive, inputs, parameters, None, kind, label=label)


def _read_constant(tree: ast.expr, kind: ArrayType, label: str | None) -> Node:
    if isinstance(tree, ast.Call):
        packed = ast.literal_eval(tree.args[0])
        value: Any = np.frombuffer(base64.b64decode(packed), kind.dtype).reshape(kind.shape).copy()
        return constant_node(value, label)
    value = _read(tree, {})
    if kind.weak:
        return constant_node(kind.dtype.type(value).item(), label)
    array = np.array(value, kind.dtype).reshape(kind.shape)
    return constant_node(array if kind.shape else array[()], label)


def _read(tree: ast.expr, known: dict[str, Node | Graph]) -> Any:
    """A literal: numbers, texts, tuples, lists, slices, slots, dtypes, graphs."""
    if isinstance(tree, ast.Constant):
        return tree.value
    if isinstance(tree, (ast.Tuple, ast.List)):
        parts = [_read(part, known) for part in tree.elts]
        return tuple(parts) if isinstance(tree, ast.Tuple) else parts
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_read(tree.operand, known)
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, (ast.Add, ast.Sub)):
        left, right = _read(tree.left, known), _read(tree.right, known)
        return left + right if isinstance(tree.op, ast.Add) else left - right
    if isinstance(tree, ast.Name):
        if tree.id in ("nan", "inf"):
            return float(tree.id)
        if isinstance(known.get(tree.id), Graph):
            return known[tree.id]
        if _DTYPE.match(tree.id):
            return dtype_of_name(tree.id)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in _FORMS:
        return _FORMS[tree.func.id](
            *[_read(part, known) for part in tree.args],
            **{part.arg: _read(part.value, known) for part in tree.keywords if part.arg},
        )
    raise GraphError(f"not a literal of a listing: {ast.unparse(tree)!r}")


_FORMS: dict[str, Any] = {"slice": slice, "Slot": Slot}

setattr(Graph, "__str__", text)  # noqa: B010  here, because the listing reads nodes, not they it

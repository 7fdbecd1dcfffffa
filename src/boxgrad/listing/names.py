"""The user's variable names, read from the source of the lines that made the nodes.

A node remembers where in the user's code it was made, down to the expression. If that expression is the
whole right-hand side of an assignment, the target names the value; if it is what a function returns, the
caller's assignment does. No hook runs during tracing, so debuggers and profilers are not disturbed.
"""

from __future__ import annotations

import ast
import linecache
import re
from collections.abc import Iterable

from boxgrad.errors import Place
from boxgrad.graph.node import Node

Span = tuple[int, int, int, int]
_files: dict[str, tuple[int, dict[Span, str | None]]] = {}


def _span(node: ast.AST) -> Span:
    return (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)  # type: ignore[attr-defined]


def _target(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return _target(node.value) if isinstance(node, ast.Subscript) else None


def _index(source: str) -> dict[Span, str | None]:
    """For each expression that is assigned its target; None for one that is returned."""
    try:
        module = ast.parse(source)
    except SyntaxError:
        return {}
    found: dict[Span, str | None] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Assign):
            _assign(found, node.targets[0], node.value)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            _assign(found, node.target, node.value)
        elif isinstance(node, ast.AugAssign):
            found[_span(node)] = _target(node.target)
        elif isinstance(node, ast.Return) and node.value is not None:
            found[_span(node.value)] = None
        elif isinstance(node, ast.Lambda):
            found[_span(node.body)] = None
    return found


def _assign(found: dict[Span, str | None], target: ast.expr, value: ast.expr) -> None:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for part, expression in zip(target.elts, value.elts, strict=False):
            _assign(found, part, expression)
        return
    name = _target(target)
    if name is not None:
        found[_span(value)] = name


def _assignments(filename: str) -> dict[Span, str | None]:
    lines = linecache.getlines(filename)
    known = _files.get(filename)
    if known is None or known[0] != hash(tuple(lines)):
        known = _files[filename] = (hash(tuple(lines)), _index("".join(lines)))
    return known[1]


def variable(places: Iterable[Place]) -> str | None:
    """The name that the user gave to a value made at these places, innermost first."""
    for place in places:
        assignments = _assignments(place.filename)
        span = place.span
        if span not in assignments:
            return None
        name = assignments[span]
        if name is not None:
            return name
    return None


def own_name(node: Node) -> str | None:
    """The name that the user gave to a node's value: a label, or the variable it was assigned to."""
    if node.primitive is None or node.label is not None or node.derived:
        return node.label
    return variable(node.places)


def names(nodes: Iterable[Node]) -> dict[Node, str]:
    """One name for each node, all different, each an identifier.

    Arguments and variables keep the user's names; a gradient is called after its value, ``dW``; constants
    are c1, c2 … and other values v1, v2 …
    """
    found: dict[Node, str] = {}
    taken: set[str] = set()
    counts = {"v": 0, "c": 0}
    for node in nodes:
        wanted = _wanted(node, found)
        if wanted is None:
            kind = "c" if node.primitive is None and node.value is not None else "v"
            counts[kind] += 1
            wanted = f"{kind}{counts[kind]}"
        name, number = wanted, 2
        while name in taken:
            name, number = f"{wanted}_{number}", number + 1
        taken.add(name)
        found[node] = name
    return found


def _wanted(node: Node, found: dict[Node, str]) -> str | None:
    if node.gradient_of is not None:
        base = found.get(node.gradient_of) or _wanted(node.gradient_of, found)
        return None if base is None else f"d{base}"
    name = own_name(node)
    if name is None:
        return None
    name = re.sub(r"\W", "_", name)
    return name if name.isidentifier() else f"x_{name}"

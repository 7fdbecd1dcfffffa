"""Boxed functions that a program calls more than once, as functions of the file.

They are functions of each element of one array, such as activations; others are written out where they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from boxgrad.explain.boxes import is_elementwise
from boxgrad.explain.code_convert import Converter
from boxgrad.explain.code_cut import Statement
from boxgrad.explain.code_lines import NamesTaken
from boxgrad.explain.code_terms import Term, variable
from boxgrad.explain.code_text import text
from boxgrad.graph.node import Node, Scope


class Functions:
    """The functions of a file, found as its statements are written."""

    def __init__(self, nodes: Iterable[Node], converter: Converter, names: NamesTaken) -> None:
        calls: dict[str, set[Scope]] = {}
        for node in nodes:
            if node.scope is not None:
                calls.setdefault(node.scope.name, set()).add(node.scope)
        self._repeated = {name for name, scopes in calls.items() if len(scopes) > 1}
        self._converter, self._names = converter, names
        self._found: dict[tuple[str, str], str] = {}

    def call(self, statement: Statement, known: Mapping[Node, Term]) -> Term | None:
        """The statement as a call, if all of it is one boxed function that is called again."""
        node, scope = statement.node, statement.node.scope
        if scope is None or scope.name not in self._repeated or len(statement.nodes) < 2:
            return None
        inside = {inner for inner in statement.nodes if inner.scope is scope and inner not in known}
        entries = {
            x
            for inner in inside
            for x in inner.inputs
            if x not in inside and not (x.primitive is None and x.shape == () and x not in known)
        }
        if len(inside) < 2 or len(entries) != 1 or not all(map(is_elementwise, inside)):
            return None
        [entry] = entries
        if entry.shape != node.shape:
            return None
        formula = text(self._converter.term(node, {entry: variable("x", entry.shape, entry.dtype)}))
        key = (scope.name, formula)
        if key not in self._found:
            self._found[key] = self._names.unique(scope.name)
        argument = self._converter.term(entry, known)
        return Term("helper", (argument,), (self._found[key], ()), node.shape, node.dtype)

    def sources(self) -> list[str]:
        """Their texts."""
        return [f"def {name}(x):\n    return {formula}" for (_, formula), name in self._found.items()]

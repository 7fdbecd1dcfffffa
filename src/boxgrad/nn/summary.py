"""How a module prints: a tree with the arrays' shapes and the numbers of parameters.

Knows lines and columns; asks a module only for its attributes and its named parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from boxgrad import tree
from boxgrad.types import ArrayType


def describe(module: Any) -> str:
    """The module as one would construct it: ``Conv2d(1, 32, 3, padding=1)``.

    Shows the constructor's arguments that the module keeps as attributes of the same names and
    that differ from their defaults.
    """
    shown: list[str] = []
    positional = True
    for name, parameter in list(inspect.signature(type(module).__init__).parameters.items())[1:]:
        if name not in vars(module):
            positional = False
            continue
        value = vars(module)[name]
        if parameter.default is True and value is None:
            value = False  # bias=True asks for an array, and None says there is none
        if _holds_arrays(value) or value == parameter.default:
            positional = False
            continue
        required = parameter.default is parameter.empty
        shown.append(repr(value) if positional and required else f"{name}={value!r}")
    arguments = f"({', '.join(shown)})" if shown else ""
    return type(module).__name__ + arguments


def summary(module: Any) -> str:
    """The tree: one line per module with its arrays and how many parameters it has in all."""
    rows = list(_rows("", "", "", module))
    left = max(len(row[0]) for row in rows)
    middle = max(len(row[1]) for row in rows)
    right = max(len(row[2]) for row in rows)
    lines = []
    for tree_text, arrays, count in rows:
        columns = [tree_text.ljust(left), *([arrays.ljust(middle)] if middle else [])]
        number = count.rjust(right) + (" parameters" if not lines else "") if count else ""
        lines.append("  ".join([*columns, number]).rstrip())
    return "\n".join(lines)


def _rows(lead: str, rest: str, name: str, module: Any) -> Iterator[tuple[str, str, str]]:
    label = f"{name}: {describe(module)}" if name else describe(module)
    count = sum(array.size for array in module.parameters())
    inside = [(key, value) for key, value in vars(module).items() if _is_branch(value)]
    yield lead + label, _arrays(module), f"{count:,}" if count or not lead else ""
    yield from _branches(rest, inside)


def _branches(rest: str, inside: list[tuple[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for position, (key, value) in enumerate(inside):
        last = position == len(inside) - 1
        lead, below = rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  ")
        if hasattr(value, "named_parameters"):
            yield from _rows(lead, below, key, value)
        elif isinstance(value, (list, tuple, dict)):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            yield lead + f"{key}: {type(value).__name__}", "", ""
            yield from _branches(below, [(str(k), v) for k, v in items if _is_branch(v)])
        else:
            yield lead + f"{key}: {getattr(value, '__name__', repr(value))}", "", ""


def _is_branch(value: Any) -> bool:
    """Whether a value gets a line: a module, a plain function of a Sequential, a list of them."""
    if isinstance(value, (list, tuple, dict)):
        return any(map(_is_branch, value.values() if isinstance(value, dict) else value))
    return callable(value) and not tree.is_array(value)


def _holds_arrays(value: Any) -> bool:
    return hasattr(value, "named_parameters") or any(map(tree.is_array, tree.leaves(value)))


def _arrays(module: Any) -> str:
    own = {
        name: f"{name} {ArrayType.of(value)}" for name, value in vars(module).items() if tree.is_array(value)
    }
    buffers = [own.pop(name) for name in module._buffer_names if name in own]
    return "; ".join(filter(None, [", ".join(own.values()), ", ".join(buffers)]))

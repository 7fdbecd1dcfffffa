"""Which arrays of a model are its parameters, and what they are called.

Knows containers, and that a module offers ``named_parameters()`` and ``named_buffers()``; knows no
optimiser.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from boxgrad import tree
from boxgrad.errors import ShapeError, message


def named_leaves(node: Any) -> dict[str, Any]:
    """Each leaf of a tree under its dotted name, a leaf in two places under both; None left out.

    >>> list(named_leaves({"cell": [np.ones(2), np.ones(3)], "bias": np.ones(1)}))
    ['cell.0', 'cell.1', 'bias']
    """
    return dict(_walk("", node, open_modules=True))


def named_arrays(gradients: Any) -> list[tuple[str, Any]]:
    """The floating-point leaves of a tree of gradients with their names, without modules' buffers.

    ``named_parameters()`` would not do: it names an array once, and the gradients of two parameters
    can be one array.

    >>> first = np.ones(2)
    >>> named_arrays({"a": first, "b": [first, None]})
    [('a', array([1., 1.])), ('b.0', array([1., 1.]))]
    """
    untrained = set(_untrained("", gradients))
    leaves = named_leaves(gradients).items()
    return [(name, leaf) for name, leaf in leaves if is_floating(leaf) and name not in untrained]


def is_floating(value: Any) -> bool:
    """Whether a leaf is an array (or NumPy scalar) of real floating-point numbers."""
    return isinstance(value, np.floating) or (tree.is_array(value) and value.dtype.kind == "f")


def named_parameters(model: Any) -> list[tuple[str, Any]]:
    """The floating-point arrays of a model with their names: what an optimiser changes.

    Integer arrays, flags, strings and the buffers of modules are left out. A leaf that ought to be
    trained and cannot be changed in place is an error.

    Raises:
        ShapeError: for a Python or NumPy scalar, and for complex arrays.
    """
    found: list[tuple[str, Any]] = []
    for name, leaf in _walk("", model, open_modules=False):
        if isinstance(leaf, (float, np.floating)):
            raise ShapeError(
                message(
                    f"the parameter {name or 'itself'!r} is a number, {leaf!r}",
                    "a number cannot be changed in place, so an update would be lost",
                    f"make it an array without axes: np.array({float(leaf)!r})",
                )
            )
        if is_floating(leaf):
            found.append((name, leaf))
        elif tree.is_array(leaf) and leaf.dtype.kind == "c":
            raise ShapeError(
                message(
                    f"the parameter {name or 'itself'!r} is complex ({leaf.dtype})",
                    "the update equations are those of real numbers",
                    "keep the real and the imaginary part as two arrays",
                )
            )
    return found


def _walk(prefix: str, node: Any, open_modules: bool) -> Iterator[tuple[str, Any]]:
    if node is None:
        return
    if tree.is_array(node):
        yield prefix, node
    elif hasattr(node, "named_parameters") and not open_modules:
        yield from ((_join(prefix, name), leaf) for name, leaf in node.named_parameters())
    else:
        children = _children(node)
        if children is None:
            yield from ((_join(prefix, name), leaf) for name, leaf in tree.named_leaves(node))
        else:
            for key, child in children:
                yield from _walk(_join(prefix, str(key)), child, open_modules)


def _untrained(prefix: str, node: Any) -> Iterator[str]:
    """The names of what modules hold that is no parameter: buffers, and NumPy scalars, constants."""
    if hasattr(node, "named_buffers"):
        yield from (_join(prefix, name) for name, _ in node.named_buffers())
        leaves = _walk(prefix, node, open_modules=True)
        yield from (name for name, leaf in leaves if isinstance(leaf, np.generic))
    elif not tree.is_array(node):
        for key, child in _children(node) or ():
            yield from _untrained(_join(prefix, str(key)), child)


def _children(node: Any) -> list[tuple[Any, Any]] | None:
    """What is directly inside; None for a leaf and for what only :mod:`boxgrad.tree` can open."""
    if isinstance(node, dict):
        return list(node.items())
    if isinstance(node, (list, tuple)):
        return list(enumerate(node))
    if hasattr(node, "named_parameters"):
        return list(vars(node).items())
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        return [(field.name, getattr(node, field.name)) for field in dataclasses.fields(node)]
    return None


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix and name else prefix or name

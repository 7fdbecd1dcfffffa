"""Nested containers, modules and dataclasses of arrays, over optree.

A *tree* is what a function takes or returns: arrays and numbers inside tuples, lists, dicts,
dataclasses and modules. Knows Python objects; knows nothing of graphs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import optree

_NAMESPACE = "boxgrad"
_registered: set[type] = set()
Structure = optree.PyTreeSpec


def is_array(value: Any) -> bool:
    """Whether a value is an array, plain or traced; a NumPy scalar is a number, not an array."""
    return hasattr(type(value), "__array_ufunc__")


class _Static(dict[str, Any]):
    """The attributes of an object that hold no arrays; equal where Python says so.

    A list or dict may be changed later, so what is compared is what was in it when this was made.
    """

    __slots__ = ("_then",)

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self._then = {name: _copied(value) for name, value in values.items() if type(value) not in PLAIN}

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Static) and dict.__eq__(self, other) and self._then == other._then

    def __ne__(self, other: object) -> bool:
        return not self == other


def _copied(value: Any) -> Any:
    """The containers in a value, copied; other objects as they are."""
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [_copied(part) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    if isinstance(value, (set, bytearray)):
        return value.copy()
    if is_dataclass(value):
        return type(value), {name: _copied(part) for name, part in attributes(value).items()}
    return value


def is_dataclass(value: Any) -> bool:
    """Whether a value is an instance of a dataclass."""
    return hasattr(type(value), "__dataclass_fields__")


def attributes(instance: Any) -> dict[str, Any]:
    """The attributes of an object, with slots or without."""
    if hasattr(instance, "__dict__"):
        return vars(instance)
    return {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}


PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None)})
"""Types of immutable values that are no part of a tree as attributes."""
CONTAINERS = (dict, list, tuple, set, bytearray)
_known = dict.fromkeys(PLAIN, False)
"""Types of which every instance is part of the tree, or none."""


def _holds_arrays(value: Any) -> bool:
    """Whether an attribute is part of the tree: an array, a registered object, or a container of such."""
    known = _known.get(type(value))
    if known is not None:
        return known
    if is_array(value):
        _known[type(value)] = True
        return True
    if isinstance(value, (dict, list, tuple)):
        parts = value.values() if isinstance(value, dict) else value
        return any(_holds_arrays(part) for part in parts)
    return is_dataclass(value) and any(is_array(leaf) for leaf in leaves(value))


def _flatten_object(instance: Any) -> tuple[tuple[Any, ...], Any, tuple[str, ...]]:
    moving: dict[str, Any] = {}
    static: dict[str, Any] = {}
    for name, value in attributes(instance).items():
        (moving if _holds_arrays(value) else static)[name] = value
    names = tuple(moving)
    return tuple(moving.values()), (names, _Static(static)), names


def register(cls: type) -> type:
    """Make instances of a class trees: attributes that hold arrays are children, the others static.

    Rebuilding an instance does not call ``__init__``. Returns the class, so it can decorate.
    """
    if cls in _registered:
        return cls

    def rebuild(metadata: Any, children: Iterable[Any]) -> Any:
        names, static = metadata
        instance = object.__new__(cls)
        for name, value in (*static.items(), *zip(names, children, strict=True)):
            object.__setattr__(instance, name, value)
        return instance

    optree.register_pytree_node(cls, _flatten_object, rebuild, namespace=_NAMESPACE)  # type: ignore[arg-type]
    _registered.add(cls)
    _known[cls] = True
    return cls


def _register_dataclasses(values: Iterable[Any]) -> bool:
    """Register the classes of dataclass instances among the leaves; whether there were any."""
    kinds = {type(value) for value in values}
    found = [kind for kind in kinds if kind not in PLAIN and hasattr(kind, "__dataclass_fields__")]
    for cls in found:
        register(cls)
    return bool(found)


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of a tree in a fixed order, and the structure that :func:`unflatten` needs.

    >>> leaves, structure = flatten({"b": 1.0, "a": (2.0, [3.0])})
    >>> leaves
    [2.0, 3.0, 1.0]
    >>> unflatten(structure, leaves)
    {'b': 1.0, 'a': (2.0, [3.0])}
    """
    found, structure = optree.tree_flatten(tree, namespace=_NAMESPACE)
    if _register_dataclasses(found):
        return flatten(tree)
    return found, structure


def leaves(tree: Any) -> list[Any]:
    """The leaves alone."""
    return flatten(tree)[0]


def unflatten(structure: Structure, values: Iterable[Any]) -> Any:
    """Put leaves back into a structure."""
    return optree.tree_unflatten(structure, values)


def map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Apply a function to each leaf (and to the leaves of other trees of the same structure)."""
    values, structure = flatten(tree)
    rest = [structure.flatten_up_to(other) for other in others]
    return unflatten(structure, [function(*group) for group in zip(values, *rest, strict=True)])


def named_leaves(tree: Any) -> list[tuple[str, Any]]:
    """Each leaf with its path, written as one would name it: ``layers.0.weight``.

    >>> named_leaves({"cell": [1.0, 2.0]})
    [('cell.0', 1.0), ('cell.1', 2.0)]
    """
    paths, values, _ = flatten_with_path(tree)
    return [(".".join(str(part) for part in path), leaf) for path, leaf in zip(paths, values, strict=True)]


def flatten_with_path(tree: Any) -> tuple[list[tuple[Any, ...]], list[Any], Structure]:
    """As :func:`flatten`, and before it the path of each leaf: keys, indices and names of attributes."""
    flatten(tree)  # registers dataclasses
    return optree.tree_flatten_with_path(tree, namespace=_NAMESPACE)


def is_registered(value: Any) -> bool:
    """Whether a value is an instance of a class that :func:`register` made a tree."""
    return type(value) in _registered

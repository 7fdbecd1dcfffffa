"""What every part of a formula is: immutable, with a shape and a size, equal by structure.

Knows no kind of expression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Expression:
    """A part of a formula. ``shape`` is that of its value; () is a number."""

    shape: Shape = field(kw_only=True)
    size: int = field(init=False, repr=False)
    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", 1 + sum(child.size for child in self.children()))
        object.__setattr__(self, "_hash", hash((type(self), *self._content())))

    def _content(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in _names(type(self)))

    def children(self) -> tuple[Expression, ...]:
        """The expressions directly inside this one."""
        found: list[Expression] = []
        for value in self._content():
            if isinstance(value, Expression):
                found.append(value)
            elif isinstance(value, tuple):
                found.extend(_within(value))
        return tuple(found)

    def over(self, change: Callable[[Expression], Expression]) -> Expression:
        """This expression with each direct child changed."""
        changed: dict[str, Any] = {}
        for name in _names(type(self)):
            value = getattr(self, name)
            new = _mapped(value, change)
            if new is not value:
                changed[name] = new
        return replace(self, **changed) if changed else self

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            type(self) is type(other)
            and isinstance(other, Expression)
            and self._hash == other._hash
            and self._content() == other._content()
        )


_known_names: dict[type, tuple[str, ...]] = {}


def _names(kind: type) -> tuple[str, ...]:
    if kind not in _known_names:
        _known_names[kind] = tuple(f.name for f in fields(kind) if f.init)
    return _known_names[kind]


def _within(value: tuple[Any, ...]) -> Iterator[Expression]:
    for item in value:
        if isinstance(item, Expression):
            yield item
        elif isinstance(item, tuple):
            yield from _within(item)


def _mapped(value: Any, change: Callable[[Expression], Expression]) -> Any:
    if isinstance(value, Expression):
        return change(value)
    if isinstance(value, tuple):
        new = tuple(_mapped(item, change) for item in value)
        return value if all(a is b for a, b in zip(new, value, strict=True)) else new
    return value

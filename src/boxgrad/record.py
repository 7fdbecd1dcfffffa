"""Records: a few named values that do not change.

What frozen dataclasses are, but made without writing and compiling source for each class, which takes half a
millisecond: for the records that ``import boxgrad`` brings, a fifth of its time. Making a record takes longer
than making such a dataclass, so what is made by the thousand is one of these.
"""

from __future__ import annotations

from typing import Any, dataclass_transform


@dataclass_transform(frozen_default=True)
class Record:
    """Base of records: the annotations of a class are its fields, in order, and its values their defaults.

    Records are equal if they are of one class and their fields are equal.

    Raises:
        TypeError: a field without a value, with two, or of a name that there is not.
        AttributeError: an attempt to change a field.

    >>> class Point(Record):
    ...     x: int
    ...     y: int = 0
    >>> Point(3), Point(3) == Point(3, 0), Point(x=3, y=4).y
    (Point(x=3, y=0), True, 4)
    """

    __match_args__: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        cls.__match_args__ = tuple(cls.__annotations__)

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = self.__match_args__
        given = dict(zip(fields, values, strict=False))
        wrong = [name for name in named if name in given or name not in fields]
        given.update(named)
        wrong += [name for name in fields if name not in given and not hasattr(type(self), name)]
        if wrong or len(values) > len(fields):
            raise TypeError(f"{type(self).__name__} has the fields {fields}; given were {values}, {named}")
        self.__dict__.update(given)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} does not change; make another one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} does not change; make another one")

    def _values(self) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in self.__match_args__])

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        fields = zip(self.__match_args__, self._values(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in fields)})"

"""Objects whose parts are remembered, so that a call with the same ones need not walk through them again.

Knows attributes, containers and identity; knows nothing of graphs and engines. A training step is called with
the same model and optimiser thousands of times; what is inside them is asked for anew by a handful of calls
that loop in C, and compared with what was there.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import attrgetter, is_, itemgetter
from typing import Any

from boxgrad import tree

_attributes, _values = attrgetter("__dict__"), dict.values


class Watch:
    """The parts of one object as they were, and where its leaves are among them.

    The object is not kept alive; what is in it is, until it dies or is seen with other parts.
    """

    def __init__(self, whole: Any, forget: Callable[[Any], None]) -> None:
        """Raises TypeError where the object has parts of a kind that is not watched."""
        steps, _, self.structure = tree.flatten_with_path(whole)
        owners = [_owner(whole, path) for path in steps]
        parts = _Parts({id(owner) for owner in owners})
        parts.visit(whole)
        self._whole = weakref.ref(whole, forget)
        self._objects, self._inner, self._lists = parts.objects[1:], parts.dicts, parts.lists
        self.uses = 0
        dicts = self._dicts(whole)
        self._kinds, self._lengths = [*map(type, parts.objects)], [*map(len, self._lists)]
        self._named = [*map(dict, dicts)]
        self._values = [*self._contents(dicts)]
        where = parts.places()
        leaves = [where.get((id(owner), path[-1]), -1) for owner, path in zip(owners, steps, strict=True)]
        if -1 in leaves:
            raise TypeError("a leaf in a container of another kind is not watched")
        self._leaves_of = taker(leaves)
        self._others_of = taker(sorted(set(range(len(self._values))) - set(leaves)))
        self._leaves = self._leaves_of(self._values)

    def leaves(self, whole: Any) -> Sequence[Any] | None:
        """The leaves as they are now; None where anything else in the object may be another."""
        if self._whole() is not whole:
            return None
        dicts = self._dicts(whole)
        same = all(map(is_, self._contents(dicts), self._values))
        if not (same or self._has_other_leaves(dicts)) or not self._is_built_alike(whole, dicts):
            return None
        self.uses += 1
        return self._leaves

    def _dicts(self, whole: Any) -> list[dict[Any, Any]]:
        return [*map(_attributes, (whole, *self._objects)), *self._inner]

    def _contents(self, dicts: list[dict[Any, Any]]) -> Iterator[Any]:
        return chain.from_iterable([*map(_values, dicts), *self._lists])

    def _has_other_leaves(self, dicts: list[dict[Any, Any]]) -> bool:
        """Whether nothing but leaves are others, of the same kinds; they are remembered then."""
        values = [*self._contents(dicts)]
        if len(values) != len(self._values):
            return False
        leaves = self._leaves_of(values)
        others = map(is_, self._others_of(values), self._others_of(self._values))
        if [*map(type, leaves)] != [*map(type, self._leaves)] or not all(others):
            return False
        if [*map(list, dicts)] != [*map(list, self._named)]:
            return False
        self._named, self._values, self._leaves = [*map(dict, dicts)], values, leaves
        return True

    def _is_built_alike(self, whole: Any, dicts: list[dict[Any, Any]]) -> bool:
        """Whether classes, names and lengths are what they were, if the values are."""
        try:
            named = dicts == self._named  # the same values are not asked whether they are equal
        except Exception:  # arrays under other names
            return False
        kinds = [*map(type, (whole, *self._objects))]
        return named and kinds == self._kinds and [*map(len, self._lists)] == self._lengths


class _Parts:
    """The mutable parts of a tree, static ones too, each once; and tuples that hold something."""

    def __init__(self, owners: set[int]) -> None:
        self.objects: list[Any] = []
        self.dicts: list[dict[Any, Any]] = []
        self.lists: list[Sequence[Any]] = []
        self._owners = owners
        self._seen: set[int] = set()

    def visit(self, part: Any) -> None:
        kind = type(part)
        if id(part) in self._seen or kind in tree.PLAIN:
            return
        self._seen.add(id(part))
        if tree.is_registered(part):
            self.objects.append(part)
            inner: Any = vars(part).values()
        elif kind is dict:
            self.dicts.append(part)
            inner = part.values()
        elif kind is list or kind is tuple:
            if kind is list or id(part) in self._owners or any(type(x) not in tree.PLAIN for x in part):
                self.lists.append(part)
            inner = part
        elif isinstance(part, tree.CONTAINERS) or tree.is_dataclass(part):
            raise TypeError(f"a {kind.__name__} is not watched")
        else:
            return
        for each in inner:
            self.visit(each)

    def places(self) -> dict[tuple[int, Any], int]:
        """At which position of all values an entry of a part is."""
        keys = [(part, vars(part)) for part in self.objects] + [(part, part) for part in self.dicts]
        keys += [(part, range(len(part))) for part in self.lists]
        return {place: n for n, place in enumerate((id(part), key) for part, names in keys for key in names)}


def _owner(whole: Any, path: Sequence[Any]) -> Any:
    """The object or container that the last step of a path starts from."""
    for step in path[:-1]:
        whole = vars(whole)[step] if tree.is_registered(whole) else whole[step]
    return whole


def taker(positions: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """What takes the values at some positions, in one call."""
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda values: tuple(values[position] for position in positions)

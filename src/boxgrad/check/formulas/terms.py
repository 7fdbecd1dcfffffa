"""A formula as a tree, whatever notation it was written in.

``op`` says what a term is, ``parts`` are its operands, ``mark`` what else belongs to it:

=============  ==========================================================================================
name           a value of the function (mark: its name)
gradient       ∂L/∂(value) (mark: its name)
partial        ∂(value)/∂(value), which stands beside an upstream gradient (mark: both names)
number, ones   a number; an array of ones (mark: its value, its shape)
add … power    add subtract negative multiply divide power, element by element (mark: the sign as written)
matmul outer   products (mark: the sign as written); ``transpose`` of the last two axes
call, slope    f(x), f′(x) (mark: the function's name and its index)
sum            a sum, mean, maximum … over axes (mark: which, the axes or None, whether they are kept)
reduce, index  Σ over letters, x with letters as indices (mark: the letters)
item, where    a part by an index (mark); values by conditions; ``compare`` and ``both`` make conditions
chain, count   not decided yet: factors side by side (mark: the signs between); a number of examples
=============  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, final

Path = tuple[int, ...]


@final
class Term:
    """A node of the tree. Equality is by structure."""

    __slots__ = ("_hash", "mark", "op", "parts")

    def __init__(self, op: str, parts: tuple[Term, ...] = (), mark: Any = None) -> None:
        self.op, self.parts, self.mark = op, parts, mark
        self._hash = hash((op, mark, parts))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Term)
            and self._hash == other._hash
            and self.op == other.op
            and self.mark == other.mark
            and self.parts == other.parts
        )

    def __repr__(self) -> str:
        inside = ", ".join([*([repr(self.mark)] if self.mark is not None else []), *map(repr, self.parts)])
        return f"{self.op}({inside})"

    def with_parts(self, parts: tuple[Term, ...]) -> Term:
        """The same with other operands."""
        return (
            self
            if all(a is b for a, b in zip(parts, self.parts, strict=True))
            else Term(self.op, parts, self.mark)
        )

    def over(self, function: Callable[[Term], Term]) -> Term:
        """The same with a function applied to each operand."""
        return self.with_parts(tuple(function(part) for part in self.parts))

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, Term]]:
        """All terms in it with their places, itself first."""
        yield path, self
        for i, part in enumerate(self.parts):
            yield from part.walk((*path, i))

    def put(self, path: Path, new: Term) -> Term:
        """The tree with another term at a place."""
        if not path:
            return new
        parts = list(self.parts)
        parts[path[0]] = parts[path[0]].put(path[1:], new)
        return Term(self.op, tuple(parts), self.mark)

    @property
    def is_leaf(self) -> bool:
        """Whether it stands for a value without operands."""
        return not self.parts


def number(value: float) -> Term:
    """A number."""
    return Term("number", (), float(value))


def name(key: str) -> Term:
    """A value of the function."""
    return Term("name", (), key)


def gradient(key: str) -> Term:
    """The gradient of the result with respect to a value."""
    return Term("gradient", (), key)


def transposed(term: Term) -> Term:
    """The transpose, of a transpose the term itself."""
    return term.parts[0] if term.op == "transpose" else Term("transpose", (term,))

"""The index t of a loop: names that carry it, and formulas at another time."""

from __future__ import annotations

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Derivative, Expression, Symbol
from boxgrad.explain.naming import written

TIME = Symbol("t", "t", shape=())


def timed(name: str, shape: tuple[int, ...], time: str) -> Symbol:
    """A name with an index of time: h with t − 1."""
    base, subscript = written(name)
    mark = f"{subscript},{time}" if subscript else time
    return Symbol(f"{name}[{time}]", base, mark, shape=shape)


def at_time(e: Expression, time: str, other: str) -> Expression:
    """An expression at another time: t becomes t + 1, and t − 1 becomes t."""
    shift = {"t": other}
    if other == "t+1":
        shift["t−1"] = "t"
    elif other == "t−1":
        shift["t+1"] = "t"
    elif other.isdigit():
        shift["t−1"], shift["t+1"] = str(int(other) - 1), str(int(other) + 1)

    def move(part: Expression) -> Expression:
        if isinstance(part, Symbol):
            head, comma, mark = part.subscript.rpartition(",")
            if mark in shift and part.key.endswith("]"):
                name = part.key[: part.key.rindex("[")]
                return Symbol(
                    f"{name}[{shift[mark]}]", part.base, f"{head}{comma}{shift[mark]}", shape=part.shape
                )
            return part
        if isinstance(part, x.Item) and part.index in shift:
            return x.Item(move(part.x), shift[part.index], shape=part.shape)
        return part.over(move)

    return move(e)


def has_time(e: Expression) -> bool:
    """Whether a formula has the index t."""
    return any(
        (isinstance(part, Symbol) and part.key.endswith("[t]"))
        or (isinstance(part, x.Item) and part.index == "t")
        or (isinstance(part, Derivative) and isinstance(part.by, Symbol) and part.by.key.endswith("[t]"))
        for part in x.parts_of(e)
        if not isinstance(part, x.Over)
    ) and not any(isinstance(part, x.Over) for part in x.parts_of(e))


def at_the_edge(e: Expression, outside: str, time: int) -> Expression:
    """A formula without the gradients of a step that does not exist, and with t = T decided."""

    def change(part: Expression) -> Expression:
        if (
            isinstance(part, x.Indicator)
            and isinstance(part.condition, x.Infix)
            and part.condition.parts[0] == TIME
        ):
            return x.number(int(part.condition.parts[1] == x.number(time)))
        if (
            isinstance(part, Derivative)
            and isinstance(part.by, Symbol)
            and part.by.key.endswith(f"[{outside}]")
        ):
            return x.Fill(0, shape=part.shape) if part.shape else x.number(0)
        return part.over(change)

    return change(e)


def equal(left: Expression, right: Expression) -> Expression:
    return x.Relation((left, right), shape=left.shape)

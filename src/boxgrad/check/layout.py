"""From a tree of claimed gradients to one array for each input of the function.

A result may be an array, a tuple with one entry for each argument (None where nothing is claimed), a dict,
or a container or module of the argument's own shape. Names are understood in every spelling: as the model
has them (``weight_0``), as a state dict has them (``0.weight``), and in full (``model.0.weight``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad import tree
from boxgrad.check.claim_words import WORDS
from boxgrad.check.claimed import Arrays, ClaimProblem, nearest
from boxgrad.explain.boxes import Model
from boxgrad.explain.words import word
from boxgrad.trace.arguments import is_real
from boxgrad.trace.tracer import argument_names


@dataclass(frozen=True)
class Argument:
    """An argument of the function, and its real arrays: full names and the inputs they are."""

    name: str
    value: Any
    inputs: dict[str, str]

    @property
    def is_leaf(self) -> bool:
        return is_real(self.value)


def _owners(wrt: Any, model: Model) -> dict[str, int]:
    """The arguments that a sequence ``wrt`` names, by name or number, with their places in it."""
    order: dict[str, int] = {}
    for item in wrt if isinstance(wrt, (tuple, list)) else ():
        label = model.inputs[item].node.label if isinstance(item, int) else str(item)
        order.setdefault((label or "").partition(".")[0], len(order))
    return order


class Layout:
    """The arguments of a function, and where in a result the gradient of each input stands."""

    def __init__(self, function: Any, args: Sequence[Any], model: Model, lang: str, wrt: Any = None) -> None:
        self.lang = lang
        self._order = _owners(wrt, model)
        self.chosen = tuple(value.name for value in model.wrt)
        self.inputs = tuple(value.name for value in model.inputs if value.node.dtype.kind in "fc")
        labels = {value.node.label: value.name for value in model.inputs}
        names = argument_names(function, len(args))
        self.arguments: list[Argument] = []
        for name, value in zip(names, args, strict=True):
            found: dict[str, str] = {}
            shared: dict[int, str] = {}
            for path, leaf in tree.named_leaves(value):
                label = f"{name}.{path}" if path else name
                if not is_real(leaf):
                    continue
                known = labels.get(label) or shared.get(id(leaf))
                if known is not None:
                    found[label] = shared[id(leaf)] = known
            self.arguments.append(Argument(name, value, found))
        self._spellings = dict(self._spelled())

    def _spelled(self) -> Iterator[tuple[str, str]]:
        """Every name of every input; the fullest names last, so that they win."""
        for argument in self.arguments:
            for label, name in argument.inputs.items():
                yield label.partition(".")[2] or label, name
        for name in self.inputs:
            yield name, name
        for argument in self.arguments:
            yield from argument.inputs.items()

    # ---- names
    @property
    def wanted(self) -> str:
        return ", ".join(self.chosen)

    @property
    def claimable(self) -> list[Argument]:
        """The arguments with arrays whose gradients are asked for, in the order in which they were."""
        found = [one for one in self.arguments if set(one.inputs.values()) & set(self.chosen)]
        last = len(self._order)
        return sorted(found, key=lambda one: self._order.get(one.name, last))

    def say(self, key: str, **values: Any) -> str:
        return word(key, self.lang, WORDS, **values)

    def resolve(self, key: Any, whose: str, within: Argument | None = None) -> str:
        """The input of a name."""
        text = str(key)
        if within is not None and f"{within.name}.{text}" in within.inputs:
            return within.inputs[f"{within.name}.{text}"]
        found = self._spellings.get(text)
        if found is None:
            near = nearest(text, self._spellings)
            suggestion = self.say("perhaps", found=near) if near else ""
            known = ", ".join(self.inputs)
            text = self.say("unknown", name=whose, given=text, known=known, suggestion=suggestion)
            raise ClaimProblem("wrong number of results", text)
        return found

    # ---- results
    def arrays(self, result: Any, whose: str) -> Arrays:
        """The gradient of each input in a result."""
        if result is None:
            raise ClaimProblem("returns nothing", self.say("nothing", name=whose, wanted=self.wanted))
        found: Arrays = {}
        for name, value in self._pieces(result, whose):
            if name not in found:
                found[name] = self.array(value, name)
        wanted = {name: found[name] for name in self.chosen if name in found}
        if found and not wanted:
            text = self.say("not_chosen", name=whose, given=", ".join(found), wanted=self.wanted)
            raise ClaimProblem("wrong number of results", text)
        if not wanted:
            raise ClaimProblem("returns nothing", self.say("nothing_claimed", name=whose, wanted=self.wanted))
        return wanted

    def _pieces(self, result: Any, whose: str) -> Iterator[tuple[str, Any]]:
        if isinstance(result, Mapping):
            yield from self._mapped(result, whose)
            return
        claimable = self.claimable
        if isinstance(result, (tuple, list)):
            yield from self._sequence(result, whose)
            return
        if len(claimable) != 1:
            expected = len(claimable)
            text = self.say("count", name=whose, count=1, expected=expected, wanted=self.wanted)
            raise ClaimProblem("wrong number of results", text)
        yield from self._part(claimable[0], result, whose)

    def _mapped(self, result: Mapping[Any, Any], whose: str) -> Iterator[tuple[str, Any]]:
        arguments = {one.name: one for one in self.arguments if not one.is_leaf}
        for key, value in result.items():
            if value is None:
                continue
            if str(key) in arguments and str(key) not in self._spellings:
                yield from self._part(arguments[str(key)], value, whose)
            elif str(key) not in self._spellings and (inner := list(self._within(key, value))):
                yield from inner
            else:
                yield self.resolve(key, whose), value

    def _within(self, key: Any, value: Any) -> Iterator[tuple[str, Any]]:
        """The arrays below one key of an argument that is itself a container."""
        for argument in self.arguments:
            for path, leaf in tree.named_leaves(value):
                label = ".".join(part for part in (argument.name, str(key), path) if part)
                if label in argument.inputs:
                    yield argument.inputs[label], leaf

    def _sequence(self, result: Sequence[Any], whose: str) -> Iterator[tuple[str, Any]]:
        claimable, everything = self.claimable, self.arguments
        leaves = [name for one in claimable for name in one.inputs.values() if name in self.chosen]
        if len(claimable) == 1 and _is_numbers(result) and np.shape(result) == np.shape(claimable[0].value):
            yield from self._part(claimable[0], result, whose)
        elif len(result) == len(claimable):
            for argument, value in zip(claimable, result, strict=True):
                yield from self._part(argument, value, whose)
        elif len(result) == len(everything):
            for argument, value in zip(everything, result, strict=True):
                if argument.inputs:
                    yield from self._part(argument, value, whose)
        elif len(claimable) == 1 and not claimable[0].is_leaf and _is_like(result, claimable[0].value):
            yield from self._part(claimable[0], result, whose)
        elif len(result) == len(leaves):
            yield from ((n, v) for n, v in zip(leaves, result, strict=True) if v is not None)
        elif len(claimable) == 1 and claimable[0].is_leaf and _is_numbers(result):
            yield from self._part(claimable[0], result, whose)
        else:
            expected, count = len(claimable), len(result)
            text = self.say("count", name=whose, count=count, expected=expected, wanted=self.wanted)
            raise ClaimProblem("wrong number of results", text)

    def _part(self, argument: Argument, value: Any, whose: str) -> Iterator[tuple[str, Any]]:
        """The gradients of one argument's arrays."""
        if value is None:
            return
        if argument.is_leaf:
            yield argument.inputs[argument.name], value
            return
        if isinstance(value, Mapping) and not isinstance(argument.value, Mapping):
            for key, inner in value.items():
                if inner is not None:
                    yield self.resolve(key, whose, argument), inner
            return
        found = [(f"{argument.name}.{path}", leaf) for path, leaf in tree.named_leaves(value) if path]
        fits = [(argument.inputs[label], leaf) for label, leaf in found if label in argument.inputs]
        if not fits:
            text = self.say(
                "structure",
                given=argument.name,
                kind=type(value).__name__,
                expected=type(argument.value).__name__,
                known=", ".join(label.partition(".")[2] for label in argument.inputs),
            )
            raise ClaimProblem("wrong number of results", text, argument.name)
        yield from fits

    def array(self, value: Any, name: str) -> np.ndarray[Any, Any]:
        """A gradient as an array of real numbers, apart from the claim's own memory."""
        try:
            found = np.array(value)
        except ValueError as error:
            text = self.say("ragged", given=name, error=str(error).split(". ")[0])
            raise ClaimProblem("impossible shape", text, name) from None
        if found.dtype.kind in "biu":
            return found.astype(np.float64)
        if found.dtype.kind == "c" and not np.any(found.imag):
            return found.real.copy()
        if found.dtype.kind != "f":
            kind = type(value).__name__ if found.shape == () and found.dtype.kind == "O" else str(found.dtype)
            raise ClaimProblem("returns nothing", self.say("not_numbers", given=name, kind=kind), name)
        return found


def _is_numbers(result: Sequence[Any]) -> bool:
    """Whether a nested list is an array written as a list."""
    flat = [part for one in result for part in (one if isinstance(one, (list, tuple)) else [one])]
    return bool(flat) and all(isinstance(one, (int, float, np.number, list, tuple)) for one in flat)


def _is_like(result: Sequence[Any], value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == len(result)

"""``compile``: a function traced once for each combination of argument types, then run by an engine.

Arrays and floats in the arguments are traced; Python integers, texts and other objects are part of the
key, and a new one traces anew. Modules and optimisers are in-out arguments: what the function writes into
them is written back after each call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from operator import attrgetter, is_
from typing import Any, overload

import numpy as np

from boxgrad import tree
from boxgrad.boxed import activate, current_tracer
from boxgrad.engines.engine import Engine, Report, Run, default_engine, engine_named, usable_engine
from boxgrad.engines.watch import Watch, taker
from boxgrad.errors import TraceError, message
from boxgrad.graph.node import Graph, Node, input_node
from boxgrad.memory import owned
from boxgrad.ops.control import item
from boxgrad.record import Record
from boxgrad.trace.apply import call_traced, context, noting
from boxgrad.trace.arguments import Arguments, IntoArray, IntoAttribute, is_traceable, result_nodes, type_of
from boxgrad.trace.box import Box
from boxgrad.trace.tracer import Tracing, argument_names

_VIEWS = ("reshape", "transpose", "broadcast", "slice", "identity", "stop_gradient", "real", "imag")


class _Entry(Record):
    """What is kept for one combination of types."""

    graph: Graph
    run: Run
    structure: tree.Structure
    targets: tuple[int, ...]
    """The arrays that are written into, as numbers of values; after the results among the outputs."""
    targets_of: Callable[[Sequence[Any]], tuple[Any, ...]]
    """Takes those arrays."""
    writes: tuple[IntoAttribute, ...]
    """The assignments to attributes; after the targets."""
    results: int
    lent: tuple[int, ...]
    """Which outputs may be memory of an argument or of a constant, and are copied."""


_look = attrgetter("__class__", "shape", "dtype", "flags.num")
"""What of an array decides about the entry, if it lies in C order: its flags say so."""


def _looks(leaves: Sequence[Any]) -> list[Any]:
    """What of each leaf decides about the entry."""
    try:
        return [*map(_look, leaves)]
    except AttributeError:  # not arrays only
        return [
            _look(leaf) if type(leaf) is np.ndarray else (type(leaf), None if is_traceable(leaf) else leaf)
            for leaf in leaves
        ]


class _Call(Record):
    """What a call looked like, so that the next is recognised without asking for its key."""

    structures: list[Hashable]
    looks: list[Any] | None
    """None where looks do not tell: of arrays that do not lie in C order, of texts of NumPy's."""
    traced: Callable[[list[Any]], Sequence[Any]]
    """Takes the leaves that are traced, each array once."""
    repeated: list[tuple[int, int]]
    """Arrays that stand at several places: the first, and a later one."""
    entry: _Entry

    def values(self, structures: list[Hashable], looks: list[Any], leaves: list[Any]) -> Sequence[Any] | None:
        """The traced leaves of a call that looks the same; None if it does not."""
        if structures != self.structures or looks != self.looks:
            return None
        values = self.traced(leaves)
        # Arrays that were apart may now be one.
        if len({*map(id, values)}) < len(values):
            return None
        for first, later in self.repeated:
            if leaves[first] is not leaves[later]:
                return None
        return values


class Compiled:
    """A compiled function. Call it as the function; ``report()`` tells what was made of it."""

    def __init__(self, function: Callable[..., Any], engine: str | None) -> None:
        self.__wrapped__ = function
        functools.update_wrapper(self, function)
        if engine is not None:
            engine_named(engine)  # a wrong name is told at once
        self._name = engine
        self._engine: Engine | None = None  # found at the first call, since LLVM takes a moment to load
        self._entries: dict[Hashable, _Entry] = {}
        self._watches: dict[int, Watch] = {}
        self._last: _Call | None = None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method: the instance is the first argument."""
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run; trace first where this combination of types is new."""
        if current_tracer() is not None:
            return self.__wrapped__(*args, **kwargs)
        leaves, structures = self._flattened(args, kwargs)
        looks = _looks(leaves)
        call = self._last
        values = call.values(structures, looks, leaves) if call is not None else None
        if call is None or values is None:
            if any(isinstance(leaf, Box) for leaf in leaves):
                return self.__wrapped__(*args, **kwargs)
            call, values = self._found((args, kwargs), structures, looks, leaves)
        entry = call.entry
        results = entry.run(values)
        for number in entry.lent:
            if isinstance(results[number], np.ndarray):
                results[number] = results[number].copy()
        written = results[entry.results :]
        if not all(map(is_, written, entry.targets_of(values))):  # else all were updated in place
            for number, value in zip(entry.targets, written, strict=False):
                if value is not values[number]:
                    values[number][...] = value
        if entry.writes:
            for write, value in zip(entry.writes, written[len(entry.targets) :], strict=True):
                write.repeat((args, kwargs), values, value)
        return tree.unflatten(entry.structure, owned(results[: entry.results], ()))

    def _flattened(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], list[Hashable]]:
        """The leaves of all arguments, and the structure of each: None for an array."""
        leaves: list[Any] = []
        structures: list[Hashable] = []
        if kwargs:
            names = sorted(kwargs)
            structures.append(tuple(names))
            args = (*args, *(kwargs[name] for name in names))
        for argument in args:
            if type(argument) is np.ndarray:
                leaves.append(argument)
                structures.append(None)
                continue
            watch = self._watches.get(id(argument))
            found = watch.leaves(argument) if watch is not None else None
            if watch is None or found is None:
                found, structure = self._walked(argument, watch)
            else:
                structure = watch.structure
            leaves += found
            structures.append(structure)
        return leaves, structures

    def _walked(self, argument: Any, before: Watch | None) -> tuple[Sequence[Any], Hashable]:
        """The leaves and the structure; remembered, but not again of what is another at every call."""
        found, structure = tree.flatten(argument)
        if tree.is_registered(argument) and (before is None or before.uses):
            number, watches = id(argument), self._watches
            with suppress(TypeError):
                watches[number] = Watch(argument, lambda _: watches.pop(number, None))
                return found, watches[number].structure
        return found, structure

    def _found(
        self, arguments: tuple[Any, Any], structures: list[Hashable], looks: list[Any], leaves: list[Any]
    ) -> tuple[_Call, Sequence[Any]]:
        """The entry for these types, traced where there is none, and the values to run it with."""
        places: list[int] = []
        repeated: list[tuple[int, int]] = []
        signature: list[Hashable] = []
        seen: dict[int, int] = {}
        telling = True
        for number, leaf in enumerate(leaves):
            kind = type(leaf)
            if kind is np.ndarray and leaf.dtype.kind in "fiubc":
                first = seen.setdefault(id(leaf), number)
                # Whether a reshaped argument is a view depends on how it lies in memory.
                signature += (first, leaf.shape, leaf.dtype, leaf.flags.c_contiguous or leaf.strides)
                telling = telling and leaf.flags.c_contiguous
                if first < number:
                    repeated.append((first, number))
                    continue
            elif is_traceable(leaf):
                signature += (kind, leaf.dtype if isinstance(leaf, np.generic) else None)
            else:
                signature += (kind, leaf)
                telling = telling and not isinstance(leaf, np.generic)
                continue
            places.append(number)
        key = (*structures, *signature)
        try:
            entry = self._entries.get(key)
        except TypeError as error:
            raise TraceError.because(
                f"an argument of a compiled function that cannot be compared ({error})",
                "what is no array is part of the key under which a trace is kept",
                "a tuple for a set, two integers for a slice; or arrays",
            ) from error
        if entry is None:
            entry = self._entries[key] = self._trace(arguments)
        traced = taker(places)
        values = traced(leaves)
        for number in entry.targets:
            if not values[number].flags.writeable:
                raise ValueError(
                    message(
                        f"the function writes into {entry.graph.inputs[number].label}, which is read-only",
                        "what it writes into its arguments is written back, and NumPy refuses that",
                        "a copy of the array, or a function that returns the new value",
                    )
                )
        self._last = _Call(structures, looks if telling else None, traced, repeated, entry)
        return self._last, values

    def _trace(self, arguments: tuple[Any, Any]) -> _Entry:
        names = argument_names(self.__wrapped__, len(arguments[0]))

        def label(path: str) -> str:
            group, _, rest = path.partition(".")
            if group == "1":
                return rest
            number, _, rest = rest.partition(".")
            return f"{names[int(number)]}.{rest}" if rest else names[int(number)]

        boxed = Arguments(
            arguments, is_traceable, lambda leaf, path: input_node(type_of(leaf), label(path)), named=True
        )
        args, kwargs = boxed.args
        laid = {
            node.number: np.empty_like(leaf, bool)
            for node, leaf in zip(boxed.nodes, boxed.leaves, strict=True)
            if type(leaf) is np.ndarray and not leaf.flags.c_contiguous
        }
        with activate(Tracing(compiling=True)), noting():
            before, context.laid = context.laid, {**context.laid, **laid}
            try:
                result = call_traced(self.__wrapped__, args, kwargs)
            finally:
                context.laid = before
        nodes, structure, _ = result_nodes(result)
        writes = boxed.writes()
        graph = Graph(boxed.nodes, (*nodes, *(node for _, node in writes)))
        into = tuple(write.number for write, _ in writes if isinstance(write, IntoArray))
        if self._engine is None:
            self._engine = usable_engine(self._name or default_engine())
        run = self._engine.build(graph, dict(enumerate(into, len(nodes))))
        lent = tuple(number for number, node in enumerate(graph.outputs) if _is_lent(node))
        assigned = tuple(write for write, _ in writes if isinstance(write, IntoAttribute))
        return _Entry(graph, run, structure, into, taker(into), assigned, len(nodes), lent)

    @property
    def graph(self) -> Graph:
        """The graph of the last call: results first, then what is written back."""
        return self._known().graph

    def report(self) -> Report:
        """What the engine made of the last call."""
        graph = self._known().graph
        assert self._engine is not None
        return self._engine.report(graph)

    def _known(self) -> _Entry:
        if self._last is None:
            raise RuntimeError("call the compiled function once; then there is something to report")
        return self._last.entry


def _is_lent(node: Node) -> bool:
    """Whether a value may be a view of an argument or of a constant, which the caller must not change."""
    while node.primitive is not None and node.primitive.name in _VIEWS:
        node = node.inputs[0]
    if node.primitive is item:  # a carry that the loop only hands on
        return node.parameters["index"] < node.inputs[0].parameters.get("carries", 0)
    return node.primitive is None


@overload
def compile(function: Callable[..., Any], *, engine: str | None = ...) -> Compiled: ...
@overload
def compile(
    function: None = None, *, engine: str | None = ...
) -> Callable[[Callable[..., Any]], Compiled]: ...
def compile(function: Callable[..., Any] | None = None, *, engine: str | None = None) -> Any:
    """Trace a function once for each combination of argument types, and run it by an engine.

    Args:
        function: plain NumPy; Python control flow may depend on shapes, dtypes and Python integers, not on
            the values of arrays.
        engine: ``"native"``, which makes machine code; or ``"numpy"``, which defines what every graph means.
            Without a name, what BOXGRAD_ENGINE says; else native where it can run, and NumPy where not.

    Returns:
        A callable with the function's arguments and results; ``.report()`` and ``.graph`` show what it made.

    Raises:
        EngineError: an engine that was asked for and cannot run here, at the first call.
        BranchError: control flow on a value, with the line and the repair.

    >>> @compile
    ... def double(x):
    ...     return 2 * x
    >>> double(np.arange(3.0))
    array([0., 2., 4.])
    """
    if function is None:
        return lambda function: Compiled(function, engine)
    return Compiled(function, engine)

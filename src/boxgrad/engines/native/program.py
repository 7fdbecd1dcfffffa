"""A lowered graph, ready to run: its memory, its jobs, and the way between NumPy arrays and addresses.

Knows steps after planning and the pool; knows no primitive. Kernels that follow each other are run by one
native call; between them stand fallbacks, which NumPy runs on views of the same memory.
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import call, is_
from typing import Any

import numpy as np

from boxgrad.engines.native import jit
from boxgrad.engines.native.checking import STATUS_WORDS
from boxgrad.engines.native.jobs import begin, parts, turns
from boxgrad.engines.native.layout import Home, Shape, Value
from boxgrad.engines.native.outside import accessed, explained
from boxgrad.engines.native.plan import ALIGNMENT, GUARD, Plan
from boxgrad.engines.native.pool import num_threads, pool
from boxgrad.engines.native.steps import NOT_FINITE, Fallback, Kernel, Literal, Step, parts_of
from boxgrad.engines.watch import taker
from boxgrad.graph.node import Graph, Node

Array = np.ndarray[Any, Any]
Result = Value | Literal
CANARY = 0xA5
SMALL = 4096
"""Bytes up to which copying an output costs less than memory of its own."""
_Memories = list[Array] | dict[int, Array]
_MadeOf = tuple[Node, Result | Array]
"""How an output is made: a view of memory, or a value."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """A box that NumPy runs; in a loop, at step ``time``, the ``number``-th that is run."""

    step: Fallback
    time: int
    number: int


class Program:
    """Steps with their memory. Calling it runs them; calls of several threads take turns."""

    def __init__(
        self,
        graph: Graph,
        steps: Sequence[Step],
        plan: Plan,
        constants: Sequence[Array],
        results: Sequence[Result],
        donated: Mapping[int, int],
        code: jit.Code,
        again: Callable[[], Callable[[Sequence[Any]], list[Any]]],
        direct: Callable[[], Program],
        timed: bool = False,
    ) -> None:
        """``again`` makes NumPy's program and ``direct`` one without fast sums, when they are needed."""
        self._inputs = graph.inputs
        self._steps = tuple(steps)
        self._code, self._plan = code, plan
        self._again = functools.cache(again)
        self._direct = functools.cache(direct)
        self._lock = threading.Lock()
        self._caller = 0
        """The thread that runs the program, where one does."""
        _programs.add(self)
        self._donated = dict(donated)
        self._written = set(donated.values())
        self._spans: dict[int, tuple[int, int]] = {}
        self._constants = tuple(constants)
        self._outputs = _outputs(results)
        arena = np.zeros(plan.bytes + ALIGNMENT, np.uint8)
        self._arena = arena[(-arena.ctypes.data) % ALIGNMENT :]
        for buffer in plan.fixed:
            if buffer.fill:
                whole = Value(buffer, (buffer.size,), (1,), 0, buffer.dtype)
                self._view(whole, [], [])[...] = buffer.fill
        self._slots = np.zeros(plan.slots, np.uint64)
        self._slots[0] = self._arena.ctypes.data
        for number, constant in enumerate(self._constants):
            self._slots[plan.first_constant + number] = constant.ctypes.data
        self._status = (ctypes.c_int64 * STATUS_WORDS)()
        self._checked = plan.guarded
        self.timed = timed
        self.seconds: dict[Kernel | Fallback, float] = {
            part: 0.0 for step in self._steps for part in parts_of(step)
        }
        """What each kernel and fallback took in all calls; of kernels only where they are timed."""
        self.calls = self.direct_calls = 0
        self.bytes = plan.bytes
        for start in plan.guards:
            self._arena[start : start + GUARD] = CANARY
        self._seen: list[Callable[[], Any]] = [_nothing] * len(graph.inputs)
        self._small = {
            number: np.empty(shape, dtype)
            for number, (shape, dtype) in enumerate(self._outputs)
            if math.prod(shape) * dtype.itemsize <= SMALL
        }
        whole = {**{n: len(graph.inputs) + m for n, m in self._made_whole(results)}, **self._donated}
        self._whole = taker([whole.get(n, -1) for n in range(len(results))])
        """Takes the outputs that are inputs written over, or arrays of the outputs' memory as they are."""
        self._computed = [
            (n, self._ready(graph.outputs[n], results[n])) for n in range(len(results)) if n not in whole
        ]
        """How the others are made."""
        self._tables: list[Array] = []
        self._owners: list[Kernel] = []
        self._runs = self._segments()
        replaced = (n for n, kernel in enumerate(self._owners) if _replaces(kernel))
        self._first_final = next(replaced, len(self._owners))
        """The first job that writes over an argument."""
        self._addresses = (
            self._jobs.ctypes.data, self._slots.ctypes.data, ctypes.addressof(self._status)
        )  # fmt: skip
        for number, array in self._small.items():
            self._slots[plan.first_output + number] = array.ctypes.data

    def _segments(self) -> list[tuple[int, int] | _Turn]:
        """Runs of jobs, as first and last number, and the boxes between them that NumPy runs."""
        rows: list[tuple[int, int, int, int]] = []
        runs: list[tuple[int, int] | _Turn] = []
        addresses = {
            part: self._code.address(part.function.name) for part in self.seconds if isinstance(part, Kernel)
        }
        for part, where in (
            turn for step in self._steps for turn in turns(step, self._tables, self._checked)
        ):
            if isinstance(part, Fallback):
                assert isinstance(where, tuple)
                runs.append(_Turn(part, *where))
                continue
            first = len(rows)
            assert isinstance(where, int)
            for start, count in parts(part):
                rows.append((addresses[part], where, count, start))
                self._owners.append(part)
            if runs and isinstance(runs[-1], tuple):
                first, _ = runs.pop()
            runs.append((first, len(rows)))
        self._jobs = np.array(rows, np.uint64).reshape(-1, 4)
        return runs

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        """The values of the outputs for those of the inputs."""
        me = threading.get_ident()
        if self._caller == me:  # a signal's handler, which interrupted a call of this very program
            return self._again()(values)
        with self._lock:
            self._caller = me
            try:
                return self._call(values)
            finally:
                self._caller = 0

    def _call(self, values: Sequence[Any]) -> list[Any]:
        given = values
        if not all(map(is_, values, map(call, self._seen))):
            given = [
                value if known() is value else self._bind(number, value)
                for number, (value, known) in enumerate(zip(values, self._seen, strict=True))
            ]
        made = self._made()
        self._status[0] = 0
        if self._plan.words:  # a call that was cut off, by an error or a fork, left them as they were
            self._arena[: self._plan.words] = 0
        if self._checked:
            self._spoil()
        self.calls += 1
        if self.calls == 2:  # the first call also starts threads and touches memory
            self.seconds = dict.fromkeys(self.seconds, 0.0)
        for run in self._runs:
            if isinstance(run, _Turn):
                start = time.perf_counter()
                with suppress(Exception):
                    self._fall_back(run, given, made)
                    self.seconds[run.step] += time.perf_counter() - start
                    continue
                return self._again()(values)  # which fails too, and names the user's line
            if not self._native(*run):
                if self._status[0] != NOT_FINITE:
                    return self._again()(values)
                self.direct_calls += 1
                return self._direct()(values)
        results = [*self._whole([*given, *made, None])]
        for position, made_of in self._computed:
            results[position] = self._result(made_of, values, given, made)
        return results

    def _made(self) -> list[Array]:
        """The outputs' memory: of large ones anew for each call, of small ones the program's own."""
        if len(self._small) == len(self._outputs):
            return [*self._small.values()]
        made: list[Array] = []
        for number, (shape, dtype) in enumerate(self._outputs):
            array = self._small.get(number)
            if array is None:
                array = np.empty(shape, dtype)
                self._slots[self._plan.first_output + number] = array.ctypes.data
            made.append(array)
        return made

    def mean_seconds(self, part: Kernel | Fallback) -> float:
        """What a kernel or a fallback takes in a call: the mean of all calls but the first, if there are."""
        return self.seconds[part] / max(1, self.calls - 1)

    def _bind(self, number: int, value: Any) -> Any:
        """Put an input's address into its slot; what is not an array in C order becomes one."""
        if (
            type(value) is np.ndarray
            and value.flags.c_contiguous
            and value.flags.aligned
            and self._is_apart(number, value)
        ):
            # In this order, so that no interruption leaves an array with another one's address.
            self._seen[number] = _nothing
            self._slots[1 + number] = self._spans[number][0]
            self._seen[number] = weakref.ref(value)
            return value
        self._seen[number] = _nothing
        self._spans.pop(number, None)
        array = np.array(value, self._inputs[number].dtype, order="C")
        self._slots[1 + number] = array.ctypes.data
        return array

    def _is_apart(self, number: int, value: Array) -> bool:
        """Whether what is written into arguments leaves this one alone, and the other way round."""
        start = value.ctypes.data
        stop = start + value.nbytes
        self._spans[number] = (start, stop)
        written = number in self._written
        others = self._spans if written else self._written & self._spans.keys()
        return (not written or value.flags.writeable) and not any(
            other != number and self._spans[other][0] < stop and start < self._spans[other][1]
            for other in others
        )

    def _native(self, start: int, stop: int) -> bool:
        """Run jobs; False where the status was set."""
        workers = pool()
        with workers.lock:
            while start < stop and not self._status[0]:
                end = start + 1 if self._checked or self.timed else stop
                began = time.perf_counter()
                # Once an argument is being replaced, the run goes to its end.
                start = workers.run(*self._addresses, start, end, num_threads(), self._first_final)
                if self.timed:
                    self.seconds[self._owners[start - 1]] += time.perf_counter() - began
                if self._checked:
                    self._check(start - 1)
        return not self._status[0]

    def _check(self, job: int) -> None:
        """Whether every access was inside, and the bytes after every buffer are as they were."""
        if self._status[1]:
            status, self._status[1] = list(self._status), 0
            raise accessed(self._owners[job], status, self._inputs)
        for start in self._plan.guards:
            if np.any(self._arena[start : start + GUARD] != CANARY):
                self._arena[start : start + GUARD] = CANARY
                what = f"the kernel {self._owners[job].label!r} wrote beyond the end of a buffer"
                raise explained(what, self._owners[job])

    def _spoil(self) -> None:
        """Fill what a call has to write before it reads it with NaN."""
        for buffer in self._plan.spoiled:
            self._arena[buffer.offset : buffer.offset + buffer.bytes] = 0xFF

    def _fall_back(self, turn: _Turn, given: Sequence[Any], made: list[Array]) -> None:
        step, node = turn.step, turn.step.node
        assert node.primitive is not None
        inputs: list[Any] = []
        for x, source in zip(node.inputs, step.reads, strict=True):
            if isinstance(source, Literal):
                inputs.append(_as_array(source, x))
            else:
                view = self._view(source, given, made, turn)
                inputs.append(view.item() if x.weak else view if view.shape else view[()])
        results: Any = node.primitive.meaning(*inputs, **node.parameters)
        for item, value in step.results.items():
            self._view(value, given, made, turn)[...] = results if item is None else results[item]

    def _view(self, value: Value, given: Sequence[Any], made: _Memories, turn: _Turn | None = None) -> Array:
        """A value as an array over the memory that it lies in, in a loop at one of its steps."""
        window, buffer, size = value.buffer.window, value.buffer.host, value.dtype.itemsize
        memory: Any = self._arena
        if buffer.home is Home.INPUT:
            memory = given[buffer.number]
        elif buffer.home is Home.OUTPUT:
            memory = made[buffer.number]
        elif buffer.home is Home.CONSTANT:
            memory = self._constants[buffer.number]
        start = buffer.offset + value.offset * size
        if window is not None:
            assert turn is not None
            start += begin(window, turn.time, turn.number) * size
        strides = tuple(stride * size for stride in value.strides)
        if value.size == 0:
            return np.empty(value.shape, value.dtype)
        return np.ndarray(value.shape, value.dtype, _flat(memory), start, strides)

    def _made_whole(self, results: Sequence[Result]) -> Iterator[tuple[int, int]]:
        """The outputs that are all of a large buffer made for the call, and which."""
        for position, result in enumerate(results):
            if isinstance(result, Value) and result.buffer.home is Home.OUTPUT:
                number = result.buffer.number
                fits = self._outputs[number][0] == result.shape and _is_whole(result)
                if fits and number not in self._small:
                    yield position, number

    def _ready(self, node: Node, result: Result) -> _MadeOf:
        """What is known before any call about how an output is made."""
        if isinstance(result, Value):
            home, number = result.buffer.home, result.buffer.number
            if home is Home.CONSTANT or (home is Home.OUTPUT and number in self._small):
                return node, self._view(result, [], self._small)
        return node, result

    def _result(
        self, made_of: _MadeOf, values: Sequence[Any], given: Sequence[Any], made: list[Array]
    ) -> Any:
        node, result = made_of
        if isinstance(result, Literal):
            return _as_array(result, node)
        if isinstance(result, np.ndarray):  # memory of the program's own
            return result.item() if node.weak else result.copy() if result.shape else result[()]
        buffer = result.buffer
        if buffer.home is Home.INPUT and result.shape == self._inputs[buffer.number].shape:
            array = np.asarray(values[buffer.number])
            if result.is_contiguous and array.flags.c_contiguous:
                return values[buffer.number]
        view = self._view(result, given, made)
        return view.item() if node.weak else view


_programs: weakref.WeakSet[Program] = weakref.WeakSet()


def _unlock() -> None:
    """In a forked child: the threads that were in a program are not there."""
    for program in _programs:
        program._lock, program._caller = threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def _replaces(kernel: Kernel) -> bool:
    return any(value.buffer.host.home is Home.INPUT for value in kernel.writes)


def _nothing() -> None:
    """Stands for an array that has not been seen."""


def _as_array(literal: Literal, node: Any) -> Any:
    """A literal as NumPy sees the node's value: in its shape, or a Python number."""
    return literal.number.item() if node.weak else np.full(node.shape, literal.number)[()]


def _flat(memory: Array) -> Array:
    return memory.reshape(-1)


def _is_whole(result: Value) -> bool:
    """Whether a result is all of its buffer, in C order."""
    return result.is_contiguous and result.size == result.buffer.size


def _outputs(results: Sequence[Result]) -> list[tuple[Shape, np.dtype[Any]]]:
    """The buffers that are made anew for each call, in the shape of the result that is all of one."""
    found: dict[int, tuple[Shape, np.dtype[Any]]] = {}
    for r in results:
        if isinstance(r, Value) and r.buffer.home is Home.OUTPUT:
            shape = r.shape if _is_whole(r) else (r.buffer.size,)
            found.setdefault(r.buffer.number, (shape, r.buffer.dtype))
    return [found[number] for number in range(len(found))]

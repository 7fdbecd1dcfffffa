"""A lowered graph, ready to run: its memory, its jobs, and the way between NumPy arrays and addresses.

Knows steps after planning and the pool; knows no primitive. Kernels that follow each other are run by one
native call; between them stand fallbacks, which NumPy runs on views of the same memory.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from boxgrad.engines.native import jit
from boxgrad.engines.native.checking import STACK, STATUS_WORDS
from boxgrad.engines.native.layout import Home, Value
from boxgrad.engines.native.plan import ALIGNMENT, GUARD, Plan
from boxgrad.engines.native.pool import num_threads, pool
from boxgrad.engines.native.steps import AT_ONCE, Fallback, Kernel, Literal, Repeated, Step
from boxgrad.errors import BoxgradError
from boxgrad.graph.node import Graph, Node

Array = np.ndarray[Any, Any]
Result = Value | Literal
CANARY = 0xA5


class OutsideError(BoxgradError):
    """A kernel left the memory that it was given; found where ``BOXGRAD_NATIVE_CHECK`` is set."""


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
        again: Callable[[Sequence[Any]], list[Any]],
        timed: bool = False,
    ) -> None:
        self._inputs = graph.inputs
        self._steps = tuple(steps)
        self._results = tuple(zip(graph.outputs, results, strict=True))
        self._code, self._again, self._plan = code, again, plan
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
        for buffer in plan.filled:
            whole = Value(buffer, (buffer.size,), (1,), 0, buffer.dtype)
            self._view(whole, [], [])[...] = buffer.fill
        self._slots = np.zeros(plan.slots, np.uint64)
        self._slots[0] = self._arena.ctypes.data
        for number, constant in enumerate(self._constants):
            self._slots[plan.first_constant + number] = constant.ctypes.data
        self._status = np.zeros(STATUS_WORDS, np.int64)
        self._checked = plan.guarded
        self._timed = timed
        parts = (step.kernels if isinstance(step, Repeated) else (step,) for step in self._steps)
        self.seconds: dict[Kernel | Fallback, float] = {part: 0.0 for group in parts for part in group}
        """What each kernel and fallback took in all calls; of kernels only where they are timed."""
        self.calls = 0
        for start in plan.guards:
            self._arena[start : start + GUARD] = CANARY
        self._seen: list[weakref.ref[Array] | None] = [None] * len(graph.inputs)
        self._tables: list[Array] = []
        self._owners: list[Kernel] = []
        self._runs = self._segments()
        self._first_final = next((n for n, k in enumerate(self._owners) if _replaces(k)), len(self._owners))
        """The first job that writes over an argument."""

    def _segments(self) -> list[tuple[int, int] | Fallback]:
        """Runs of jobs, as first and last number, and the fallbacks between them."""
        rows: list[tuple[int, int, int, int]] = []
        runs: list[tuple[int, int] | Fallback] = []
        for step in self._steps:
            first = len(rows)
            if isinstance(step, Fallback):
                runs.append(step)
                continue
            kernels = step.kernels if isinstance(step, Repeated) else (step,)
            order = step.order if isinstance(step, Repeated) else range(1)
            tables = [_tables(kernel.values, order, self._checked) for kernel in kernels]
            self._tables += tables
            for number in range(len(order)):
                for kernel, table in zip(kernels, tables, strict=True):
                    address = self._code.address(kernel.function.name)
                    for begin, count in _parts(kernel):
                        rows.append((address, table[number].ctypes.data, count, begin))
                        self._owners.append(kernel)
            if runs and isinstance(runs[-1], tuple):
                first, _ = runs.pop()
            runs.append((first, len(rows)))
        self._jobs = np.array(rows, np.uint64).reshape(-1, 4)
        return runs

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        """The values of the outputs for those of the inputs."""
        me = threading.get_ident()
        if self._caller == me:  # a signal's handler, which interrupted a call of this very program
            return self._again(values)
        with self._lock:
            self._caller = me
            try:
                return self._call(values)
            finally:
                self._caller = 0

    def _call(self, values: Sequence[Any]) -> list[Any]:
        given = [self._bind(number, value) for number, value in enumerate(values)]
        made = [np.empty(size, dtype) for size, dtype in self._outputs]
        for number, array in enumerate(made, self._plan.first_output):
            self._slots[number] = array.ctypes.data
        self._status[:] = 0
        if self._checked:
            self._spoil()
        self.calls += 1
        for run in self._runs:
            if isinstance(run, Fallback):
                start = time.perf_counter()
                self._fall_back(run, given, made)
                self.seconds[run] += time.perf_counter() - start
            elif not self._native(*run):
                return self._again(values)
        return [
            given[self._donated[position]]
            if position in self._donated
            else self._result(node, result, values, given, made)
            for position, (node, result) in enumerate(self._results)
        ]

    def _bind(self, number: int, value: Any) -> Any:
        """Put an input's address into its slot; what is not an array in C order becomes one."""
        if type(value) is np.ndarray:
            known = self._seen[number]
            same = known is not None and known() is value
            if same and (number not in self._written or value.flags.writeable):
                return value
            if value.flags.c_contiguous and value.flags.aligned and self._is_apart(number, value):
                # In this order, so that no interruption leaves an array with another one's address.
                self._seen[number] = None
                self._slots[1 + number] = self._spans[number][0]
                self._seen[number] = weakref.ref(value)
                return value
        self._seen[number] = None
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
        """Run jobs; False where an index was out of range."""
        workers = pool()
        with workers.lock:
            while start < stop and not self._status[0]:
                # Once an argument is being replaced, the run goes to its end.
                final = start >= self._first_final
                end = stop if final else min(stop, self._first_final)
                end = start + 1 if self._checked or self._timed else end
                began = time.perf_counter()
                start = workers.run(
                    self._jobs.ctypes.data, start, end,
                    self._slots.ctypes.data, self._status.ctypes.data, num_threads(), final,
                )  # fmt: skip
                if self._timed:
                    self.seconds[self._owners[start - 1]] += time.perf_counter() - began
                if self._checked:
                    self._check(start - 1)
        return not self._status[0]

    def _check(self, job: int) -> None:
        """Whether every access was inside, and the bytes after every buffer are as they were."""
        if self._status[1]:
            raise OutsideError(outside(self._owners[job], self._status, self._inputs))
        for start in self._plan.guards:
            if np.any(self._arena[start : start + GUARD] != CANARY):
                self._arena[start : start + GUARD] = CANARY
                what = f"the kernel {self._owners[job].label!r} wrote beyond the end of a buffer"
                raise OutsideError(explained(what, self._owners[job]))

    def _spoil(self) -> None:
        """Fill what a call has to write before it reads it with NaN."""
        for buffer in self._plan.spoiled:
            self._arena[buffer.offset : buffer.offset + buffer.bytes] = 0xFF

    def _fall_back(self, step: Fallback, given: list[Any], made: list[Array]) -> None:
        node = step.node
        assert node.primitive is not None
        inputs: list[Any] = []
        for x, source in zip(node.inputs, step.reads, strict=True):
            if isinstance(source, Literal):
                inputs.append(_as_array(source, x))
            else:
                view = self._view(source, given, made)
                inputs.append(view.item() if x.weak else view if view.shape else view[()])
        results: Any = node.primitive.meaning(*inputs, **node.parameters)
        for item, value in step.results.items():
            self._view(value, given, made)[...] = results if item is None else results[item]

    def _view(self, value: Value, given: list[Any], made: list[Array]) -> Array:
        """A value as an array over the memory that it lies in."""
        buffer, size = value.buffer, value.dtype.itemsize
        memory: Any = self._arena
        if buffer.home is Home.INPUT:
            memory = given[buffer.number]
        elif buffer.home is Home.OUTPUT:
            memory = made[buffer.number]
        elif buffer.home is Home.CONSTANT:
            memory = self._constants[buffer.number]
        start = buffer.offset + value.offset * size
        strides = tuple(stride * size for stride in value.strides)
        if value.size == 0:
            return np.empty(value.shape, value.dtype)
        return np.ndarray(value.shape, value.dtype, _flat(memory), start, strides)

    def _result(
        self, node: Any, result: Result, values: Sequence[Any], given: list[Any], made: list[Array]
    ) -> Any:
        if isinstance(result, Literal):
            return _as_array(result, node)
        buffer = result.buffer
        if buffer.home is Home.INPUT and result.shape == self._inputs[buffer.number].shape:
            array = np.asarray(values[buffer.number])
            if result.is_contiguous and array.flags.c_contiguous:
                return values[buffer.number]
        view = self._view(result, given, made)
        if buffer.home is Home.CONSTANT:
            view = view.copy()
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


def _parts(kernel: Kernel) -> Iterator[tuple[int, int]]:
    """The jobs of a kernel, as first chunk and number of chunks; fewer at once where each takes long."""
    most = AT_ONCE // 4 if kernel.is_long else AT_ONCE
    for first in range(0, kernel.chunks, most):
        yield first, min(most, kernel.chunks - first)


def outside(kernel: Kernel, status: Array, inputs: Sequence[Node]) -> str:
    """What a kernel did that left its memory, as its status words tell."""
    _, _, writes, number, offset, size = map(int, status)
    did = f"the kernel {kernel.label!r} {'wrote' if writes else 'read'} {size} bytes at byte {offset} of "
    if number < 0:
        return explained(did + ("an array on its stack" if number == STACK else "its arguments"), kernel)
    buffer = kernel.values[number].buffer.host
    whose = {Home.OUTPUT: "a result", Home.CONSTANT: "a constant", Home.FIXED: "an image with room around it"}
    owner = whose.get(buffer.home, "an intermediate value")
    if buffer.home is Home.INPUT:
        owner = f"the argument {inputs[buffer.number].label!r}"
    return explained(f"{did}{owner}, which has {buffer.bytes}", kernel)


def explained(what: str, kernel: Kernel) -> str:
    """A defect of a kernel, with the boxes that it runs and the user's lines that made them."""
    boxes = dict.fromkeys(
        f"{node.primitive.name} at {node.place}" if node.place else node.primitive.name
        for node in kernel.nodes
        if node.primitive is not None
    )
    where = "\n           ".join(boxes) or ", ".join(kernel.boxes)
    return (
        f"{what}\n  where:   {where}\n"
        "  why:     this is a defect of the native engine, not of your program\n"
        "  instead: engine='numpy', and a report of it with the graph's listing"
    )


def _as_array(literal: Literal, node: Any) -> Any:
    """A literal as NumPy sees the node's value: in its shape, or a Python number."""
    return literal.number.item() if node.weak else np.full(node.shape, literal.number)[()]


def _tables(values: Sequence[Value], order: range, checked: bool = False) -> Array:
    """The slots and offsets of a kernel's values, for each step of a loop.

    Where kernels are checked, the offsets and sizes of their buffers follow.
    """
    count = len(values)
    table = np.zeros((len(order), max(1, 2 * count if checked else count), 2), np.int64)
    if checked and count:
        table[:, count:] = [(value.buffer.host.offset, value.buffer.host.bytes) for value in values]
    for number, value in enumerate(values):
        buffer, size = value.buffer, value.dtype.itemsize
        start: Any = value.offset
        if buffer.window is not None:
            w = buffer.window
            steps = np.array(order)
            if w.period:
                steps = (np.arange(len(order)) + w.shift) % w.period
            start = value.offset + w.start + w.advance * steps
        table[:, number, 0] = buffer.host.slot
        table[:, number, 1] = buffer.host.offset + start * size
    return table


def _flat(memory: Array) -> Array:
    return memory.reshape(-1)


def _outputs(results: Sequence[Result]) -> list[tuple[int, np.dtype[Any]]]:
    """The buffers that are made anew for each call."""
    found = {
        r.buffer.number: (r.buffer.size, r.buffer.dtype)
        for r in results
        if isinstance(r, Value) and r.buffer.home is Home.OUTPUT
    }
    return [found[number] for number in range(len(found))]

"""The native engine: lower, fuse, emit, plan, compile; and the report of what came of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from weakref import WeakKeyDictionary

from boxgrad.engines.engine import Report, Row, Run
from boxgrad.engines.native import checking, convolution, jit, pointwise, product
from boxgrad.engines.native.donate import donate
from boxgrad.engines.native.fuse import Fusion
from boxgrad.engines.native.ir import Function
from boxgrad.engines.native.layout import Home, Value, fresh
from boxgrad.engines.native.lowering import Lowering
from boxgrad.engines.native.machine import Machine, host
from boxgrad.engines.native.plan import plan
from boxgrad.engines.native.pool import pool
from boxgrad.engines.native.program import Program
from boxgrad.engines.native.steps import (
    Convolution,
    Fallback,
    Kernel,
    Literal,
    Operation,
    Repeated,
    Scan,
    Special,
    Step,
)
from boxgrad.engines.native.table import ROWS
from boxgrad.engines.numpy import ENGINE as NUMPY
from boxgrad.engines.numpy import prepared
from boxgrad.graph.node import Graph

_NOTHING: Mapping[int, int] = MappingProxyType({})


class NativeEngine:
    """Machine code for the CPU, through LLVM."""

    name = "native"

    def __init__(self) -> None:
        self._made: WeakKeyDictionary[Graph, tuple[Program, list[Step], jit.Code]] = WeakKeyDictionary()

    def build(self, graph: Graph, targets: Mapping[int, int] = _NOTHING) -> Run:
        program, steps, code = built(graph, targets)
        self._made[graph] = (program, steps, code)
        return program

    def report(self, graph: Graph) -> Report:
        if graph not in self._made:
            self.build(graph)
        program, steps, code = self._made[graph]
        rows = tuple(row for step in steps for row in _rows(step, program))
        kernels = sum(len(_kernels_of(step)) for step in steps)
        fallbacks = [step for step in steps if isinstance(step, Fallback)]
        notes = [f"{kernels} kernels, {'from the cache' if code.cached else 'compiled'}"]
        if not pool().sleeps:
            notes.append(pool().description())
        notes += [f"{step.label} runs in NumPy: {step.reason}" for step in _distinct(fallbacks)]
        return Report(self.name, rows, tuple(notes))


def is_checked() -> bool:
    """Whether every access to memory is compared with its buffer's bounds: slow, for finding defects."""
    return os.environ.get("BOXGRAD_NATIVE_CHECK", "") not in ("", "0")


def is_timed() -> bool:
    """Whether every kernel is timed, for the report: each is then a native call of its own."""
    return os.environ.get("BOXGRAD_NATIVE_TIME", "") not in ("", "0")


def built(
    graph: Graph, targets: Mapping[int, int] = _NOTHING, machine: Machine | None = None
) -> tuple[Program, list[Step], jit.Code]:
    """The program of a graph, its steps and its code."""
    machine = machine or host()
    ready = prepared(graph)
    lowering = Lowering(ready, ROWS, machine)
    results = [_movable(lowering, lowering.source(node)) for node in ready.outputs]
    for result in results:
        if isinstance(result, Value) and result.buffer.home is Home.ARENA:
            result.buffer.home = Home.OUTPUT
    late = {id(results[number].buffer) for number in targets if isinstance(results[number], Value)}
    steps = _steps(lowering, machine, late)
    donated = donate(steps, results, targets, ready)
    outputs = {id(r.buffer) for r in results if isinstance(r, Value) and r.buffer.home is Home.OUTPUT}
    checked = is_checked()
    places = plan(steps, len(ready.inputs), len(outputs), len(lowering.constants), checked)
    kernels = [kernel for step in steps for kernel in _kernels_of(step)]
    distinct: dict[str, Function] = {}
    for kernel in kernels:  # layers of one shape have the same kernels
        kernel.function = distinct.setdefault(kernel.function.body, kernel.function)
    if checked:
        texts = [checking.text_of(function, places.slots) for function in distinct.values()]
        texts.append(checking.REPORT)
    else:
        texts = [function.text() for function in distinct.values()]
    declarations = [line for function in distinct.values() for line in function.declarations]
    code = jit.compiled(texts, declarations, machine)
    program = Program(
        ready, steps, places, lowering.constants, results, donated, code, NUMPY.build(graph), is_timed()
    )
    return program, steps, code


def object_of(graph: Graph, machine: Machine) -> bytes:
    """The object code of a graph for a machine that need not be this one."""
    lowering = Lowering(prepared(graph), ROWS, machine)
    kernels = [kernel for step in _steps(lowering, machine, set()) for kernel in _kernels_of(step)]
    declarations = {line for kernel in kernels for line in kernel.function.declarations}
    texts = [kernel.function.text() for kernel in kernels]
    return jit.object_code("\n".join([*sorted(declarations), *texts]), machine)


def _movable(lowering: Lowering, source: Value | Literal) -> Value | Literal:
    """A result that lies in memory which the program keeps is copied out of it."""
    if not isinstance(source, Value) or source.buffer.home is not Home.FIXED:
        return source
    place = fresh(source.shape, source.dtype)
    lowering.copy(source, place, "result")
    return place


def _steps(lowering: Lowering, machine: Machine, late: set[int], name: str = "k") -> list[Step]:
    fusion = Fusion(lowering.steps)
    steps: list[Step] = []
    for number, group in enumerate(fusion.ordered(late)):
        (_, first), *_ = group.members
        made: list[Kernel] = []
        if isinstance(first, Fallback):
            steps.append(first)
        elif isinstance(first, Scan):
            body = tuple(_steps(first.body, machine, set(), f"{name}{number}_"))
            assert all(isinstance(step, Kernel) for step in body)
            steps.append(Repeated(first.label, body, first.reads, first.writes, first.order))
        elif isinstance(first, Special):
            made = first.make(machine, f"{name}{number}")
        else:
            made = _kernels(fusion.cluster(group), machine, f"{name}{number}")
        members = (member for _, member in group.members if isinstance(member, Operation | Special))
        nodes = dict.fromkeys(member.node for member in members if member.node is not None)
        for kernel in made:
            kernel.nodes = tuple(nodes)
        steps += made
    return steps


def _kernels(cluster: pointwise.Cluster, machine: Machine, name: str) -> list[Kernel]:
    if any(operation.product is not None for operation in cluster.operations):
        root = next(operation.product for operation in cluster.operations if operation.product)
        if isinstance(root, Convolution):
            return [convolution.kernel(cluster, machine, name)]
        return product.kernels(cluster, machine, name)
    return pointwise.kernels(cluster, machine, name)


def _kernels_of(step: Step) -> tuple[Kernel, ...]:
    if isinstance(step, Repeated):
        return step.kernels
    return (step,) if isinstance(step, Kernel) else ()


def _rows(step: Step, program: Program) -> list[Row]:
    """The rows of a report: how often each part runs, what it writes and computes, and its mean time."""
    times = len(step.order) if isinstance(step, Repeated) else 1
    rows: list[Row] = []
    for part in _kernels_of(step) or (step,):
        assert isinstance(part, Kernel | Fallback)
        size = times * sum(v.size * v.dtype.itemsize for v in part.writes)
        flops = times * part.flops if isinstance(part, Kernel) else 0
        taken = program.seconds[part] / program.calls if is_timed() and program.calls else None
        rows.append(Row(part.label, times, size, flops, taken))
    return rows


def _distinct(fallbacks: Sequence[Fallback]) -> list[Fallback]:
    return list({(step.label, step.reason): step for step in fallbacks}.values())


ENGINE = NativeEngine()

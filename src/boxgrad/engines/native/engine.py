"""The native engine: lower, fuse, emit, plan, compile; and the report of what came of it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

from boxgrad.engines.engine import Report, Row, Run
from boxgrad.engines.native import checking, convolution, jit, pointwise, product, winograd
from boxgrad.engines.native.borders import bordered
from boxgrad.engines.native.chain import caller, chained
from boxgrad.engines.native.donate import donate
from boxgrad.engines.native.fuse import Fusion
from boxgrad.engines.native.held import held
from boxgrad.engines.native.ir import Function
from boxgrad.engines.native.layout import Home, Value, fresh
from boxgrad.engines.native.lowering import Lowering
from boxgrad.engines.native.machine import Machine, host
from boxgrad.engines.native.overlay import hold
from boxgrad.engines.native.plan import Plan, plan
from boxgrad.engines.native.pool import num_threads, pool
from boxgrad.engines.native.program import Program
from boxgrad.engines.native.repeat import Repeats
from boxgrad.engines.native.reuse import reuse
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
    parts_of,
    repeated,
)
from boxgrad.engines.native.table import ROWS
from boxgrad.engines.numpy import ENGINE as NUMPY
from boxgrad.engines.numpy import simplified
from boxgrad.graph.node import Graph
from boxgrad.passes import lookups, loosen, prune, recompute, share

PROCESSORS = ("x86_64", "aarch64", "arm64")
_NOTHING: Mapping[int, int] = MappingProxyType({})


class NativeEngine:
    """Machine code for the CPU, through LLVM."""

    name = "native"

    def __init__(self) -> None:
        self._made: WeakKeyDictionary[Graph, tuple[Program, list[Step], jit.Code]] = WeakKeyDictionary()

    def build(self, graph: Graph, targets: Mapping[int, int] = _NOTHING) -> Run:
        program, steps, code = built(graph, targets)
        self._made[graph] = (program, steps, code)
        jit.trim()
        return program

    def report(self, graph: Graph) -> Report:
        if graph not in self._made:
            self.build(graph)
        program, steps, code = self._made[graph]
        rows = tuple(row for step in steps for row in _rows(step, program))
        kernels = [kernel for step in steps for kernel in _kernels_of(step)]
        functions = len({kernel.function.name for kernel in kernels})
        fallbacks = [part for step in steps for part in parts_of(step) if isinstance(part, Fallback)]
        notes = [
            f"different kernels: {functions}, {'from the cache' if code.cached else 'compiled'}; "
            f"threads: {num_threads()}"
        ]
        if not pool().sleeps:
            notes.append(pool().description())
        if program.direct_calls:
            notes.append(
                f"{program.direct_calls} of {program.calls} calls run again, for sums were not finite"
            )
        notes += [f"{step.label} runs in NumPy: {step.reason}" for step in _distinct(fallbacks)]
        if program.calls == 1 and program.timed:
            notes.append("times are those of the first call, which also starts threads and touches memory")
        # Last, for what is held of it is printed below.
        notes.append(f"{program.bytes / 1e3:,.1f} kB of memory for what lies between arguments and results")
        unit = "kernels and boxes of NumPy" if fallbacks else "kernels"
        return Report(self.name, rows, tuple(notes), unit, held(steps))

    def obstacle(self) -> str | None:
        """What is missing for machine code: the library, the processor, or the right to run it."""
        try:
            machine = host()
            if not machine.triple.startswith(PROCESSORS):
                return f"machine code is made for {', '.join(PROCESSORS)}; this is {machine.triple}"
            pool()
        except ImportError as error:
            return f"llvmlite cannot be imported ({error}); 'pip install llvmlite' mends it"
        except (OSError, RuntimeError, AttributeError) as error:
            return f"LLVM cannot make code for this machine ({type(error).__name__}: {error})"
        return None


def is_checked() -> bool:
    """Whether every access to memory is compared with its buffer's bounds: slow, for finding defects."""
    return _is_set("BOXGRAD_NATIVE_CHECK")


def is_timed() -> bool:
    """Whether every kernel is timed, for the report: each is then a native call of its own."""
    return _is_set("BOXGRAD_NATIVE_TIME")


def is_direct() -> bool:
    """Whether convolutions are computed as they are defined, never with fewer multiplications."""
    return _is_set("BOXGRAD_NATIVE_DIRECT")


def _is_set(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def built(
    graph: Graph, targets: Mapping[int, int] = _NOTHING, machine: Machine | None = None
) -> tuple[Program, list[Step], jit.Code]:
    """The program of a graph, its steps and its code."""
    simple = simplified(graph)
    return _built(_arranged(simple), targets, machine or host(), lambda: NUMPY.build(simple), is_direct())


@dataclass(frozen=True, slots=True)
class _Planned:
    """Steps whose buffers have their places, before there is code for them."""

    steps: list[Step]
    plan: Plan
    constants: list[Any]
    results: list[Value | Literal]
    donated: dict[int, int]


def planned(graph: Graph, targets: Mapping[int, int], machine: Machine) -> tuple[list[Step], Plan]:
    """The steps of a graph and their memory, for a machine that need not be this one."""
    found = _planned(prepared(graph), targets, machine, is_direct())
    return found.steps, found.plan


def _planned(
    ready: Graph, targets: Mapping[int, int], machine: Machine, direct: bool, overlaying: bool = True
) -> _Planned:
    lowering = Lowering(ready, ROWS, machine, direct=direct, overlaying=overlaying)
    results = _apart(lowering, [lowering.source(node) for node in ready.outputs])
    for result in results:
        if isinstance(result, Value) and result.buffer.home is Home.ARENA:
            result.buffer.home = Home.OUTPUT
    late = {id(results[number].buffer) for number in targets if isinstance(results[number], Value)}
    checked = is_checked()
    steps = _steps(lowering, machine, late)
    if not hold(lowering, steps):
        return _planned(ready, targets, machine, direct, overlaying=False)
    if not checked:
        steps = chained(steps)
    donated = donate(steps, results, targets, ready)
    if not checked:
        reuse(steps)
    steps = bordered(steps, machine)
    outputs = {id(r.buffer) for r in results if isinstance(r, Value) and r.buffer.home is Home.OUTPUT}
    places = plan(steps, len(ready.inputs), len(outputs), len(lowering.constants), checked)
    return _Planned(steps, places, lowering.constants, results, donated)


def _built(
    ready: Graph, targets: Mapping[int, int], machine: Machine, again: Callable[[], Run], direct: bool
) -> tuple[Program, list[Step], jit.Code]:
    found = _planned(ready, targets, machine, direct)
    steps, places = found.steps, found.plan
    kernels = [kernel for step in steps for kernel in _kernels_of(step)]
    distinct: dict[str, Function] = {}
    for kernel in kernels:  # layers of one shape have the same kernels
        for link in kernel.links:
            link.function = distinct.setdefault(link.function.body, link.function)
        if kernel.links:
            kernel.function = caller(kernel)
        kernel.function = distinct.setdefault(kernel.function.body, kernel.function)
    shared: list[str] = []
    if places.guarded:
        texts = [checking.text_of(function, places.slots) for function in distinct.values()]
        shared.append(checking.REPORT)
    else:
        texts = [function.text(body) for body, function in distinct.items()]
    shared += [line for function in distinct.values() for line in function.declarations]
    code = jit.compiled(texts, shared, machine)
    for function in distinct.values():
        function.forget()
    program = Program(
        ready, steps, places, found.constants, found.results, found.donated, code, again,
        lambda: _built(ready, targets, machine, again, True)[0], is_timed(),
    )  # fmt: skip
    return program, steps, code


def prepared(graph: Graph) -> Graph:
    """The graph as it is lowered: products are taken where they are least work."""
    return _arranged(simplified(graph))


def _arranged(simple: Graph) -> Graph:
    found = lookups(loosen(recompute(simple)))
    return simple if found.outputs == simple.outputs else prune(share(found))


def object_of(graph: Graph, machine: Machine) -> bytes:
    """The object code of a graph for a machine that need not be this one."""
    lowering = Lowering(prepared(graph), ROWS, machine)
    kernels = [kernel for step in _steps(lowering, machine, set()) for kernel in _kernels_of(step)]
    declarations = {line for kernel in kernels for line in kernel.function.declarations}
    texts = [kernel.function.text() for kernel in kernels]
    return jit.object_code("\n".join([*sorted(declarations), *texts]), machine)


def _apart(lowering: Lowering, sources: Sequence[Value | Literal]) -> list[Value | Literal]:
    """Results in memory of their own.

    One that lies in memory which the program keeps is copied, and so is one that is a small part of an array
    or shares it with another result.
    """
    found: list[Value | Literal] = []
    seen: dict[int, Value] = {}
    for source in sources:
        if isinstance(source, Value):
            home, buffer = source.buffer.home, source.buffer
            first = seen.setdefault(id(buffer), source)
            part = home is Home.ARENA and (2 * source.size <= buffer.size or not first.same_place(source))
            if (home is Home.FIXED or part) and source.size:
                place = fresh(source.shape, source.dtype)
                lowering.copy(source, place, "result")
                source = place
        found.append(source)
    return found


def _steps(lowering: Lowering, machine: Machine, late: set[int], name: str = "k") -> list[Step]:
    fusion = Fusion(lowering.steps)
    repeats = Repeats(fusion)
    steps: list[Step] = []
    for number, group in enumerate(fusion.ordered(late)):
        (_, first), *_ = group.members
        if isinstance(first, Fallback):
            steps.append(first)
        elif isinstance(first, Scan):
            parts = tuple(_steps(first.body, machine, set(), f"{name}{number}_"))
            steps.append(Repeated(first.label, parts, first.reads, first.writes, first.order))
        elif isinstance(first, Special):
            steps += _named(first.make(machine, f"{name}{number}"), [first])
        elif (cluster := repeats.cluster(group)) is not None:
            steps += _named(_kernels(cluster, machine, f"{name}{number}"), cluster.operations)
    return steps


def _named(kernels: list[Kernel], members: Sequence[Operation | Special]) -> list[Kernel]:
    """Kernels that know the boxes they run."""
    nodes = tuple(dict.fromkeys(member.node for member in members if member.node is not None))
    for kernel in kernels:
        kernel.nodes = nodes
    return kernels


def _kernels(cluster: pointwise.Cluster, machine: Machine, name: str) -> list[Kernel]:
    if any(operation.product is not None for operation in cluster.operations):
        root = next(operation.product for operation in cluster.operations if operation.product)
        if isinstance(root, Convolution):
            way = convolution if root.tiling is None else winograd
            return [way.kernel(cluster, machine, name)]
        return product.kernels(cluster, machine, name)
    return pointwise.kernels(cluster, machine, name)


def _kernels_of(step: Step) -> tuple[Kernel, ...]:
    return tuple(part for part in parts_of(step) if isinstance(part, Kernel))


def _rows(step: Step, program: Program) -> list[Row]:
    """The rows of a report: how often each part runs, what it moves and computes, and its mean time."""
    rows: list[Row] = []
    for part, times in repeated(step):
        flops = times * part.flops if isinstance(part, Kernel) else 0
        taken = program.mean_seconds(part) if program.timed and program.calls else None
        reads, writes = (times * _moved(values) for values in (part.reads, part.writes))
        rows.append(Row(part.label, times, reads, writes, flops, taken))
    return rows


def _moved(values: Sequence[Value | Literal]) -> int:
    """The bytes of memory that values are; what is spread over an axis, or named twice, lies there once."""
    places: dict[tuple[int, int], int] = {}
    for value in values:
        if isinstance(value, Value):
            axes = zip(value.shape, value.strides, strict=True)
            size = math.prod(n for n, stride in axes if stride) * value.dtype.itemsize if value.size else 0
            key = (id(value.buffer), value.offset)
            places[key] = max(size, places.get(key, 0))
    return sum(places.values())


def _distinct(fallbacks: Sequence[Fallback]) -> list[Fallback]:
    return list({(step.label, step.reason): step for step in fallbacks}.values())


ENGINE = NativeEngine()

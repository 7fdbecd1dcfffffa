"""The most that the processor can do: multiply-adds on registers alone, in as many threads as are measured.

Knows the machine and LLVM's text; knows nothing of what the figure is compared with.
"""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from boxgrad.engines.native import jit
from boxgrad.engines.native.machine import Machine, host

_ITEM = 4  # bytes of a float32


def _text(machine: Machine, sums: int, lanes: int) -> str:
    """A loop that adds a product to each of ``sums`` registers; nothing depends on memory."""
    kind = f"<{lanes} x float>"
    fused = "+fma" in machine.features.split(",") or machine.triple.startswith(("aarch64", "arm64"))
    lines = [
        f"declare {kind} @llvm.fma.v{lanes}f32({kind}, {kind}, {kind})" if fused else "",
        "define void @multiply_add(ptr %out, i64 %count) {",
        "entry:",
        f"  %x = load {kind}, ptr %out, align 4",
        "  br label %loop",
        "loop:",
        "  %i = phi i64 [0, %entry], [%next, %loop]",
        *(f"  %a{k} = phi {kind} [%x, %entry], [%b{k}, %loop]" for k in range(sums)),
    ]
    for k in range(sums):
        if fused:
            lines.append(f"  %b{k} = call {kind} @llvm.fma.v{lanes}f32({kind} %a{k}, {kind} %x, {kind} %x)")
        else:
            lines += [f"  %m{k} = fmul {kind} %a{k}, %x", f"  %b{k} = fadd {kind} %m{k}, %x"]
    lines += [
        "  %next = add i64 %i, 1",
        "  %more = icmp slt i64 %next, %count",
        "  br i1 %more, label %loop, label %done",
        "done:",
        *(f"  %s{k} = fadd {kind} {f'%s{k - 1}' if k else '%x'}, %b{k}" for k in range(sums)),
        f"  store {kind} %s{sums - 1}, ptr %out, align 4",
        "  ret void",
        "}",
    ]
    return "\n".join(lines)


@functools.cache
def _kernel() -> tuple[Callable[[int, int], None], int, jit.Code]:
    """The loop, the operations of one turn, and the code that must live as long."""
    machine = host()
    sums, lanes = 3 * machine.registers // 4, machine.lanes(_ITEM)
    code = jit.compiled([_text(machine, sums, lanes)], [], machine)
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(code.address("multiply_add"))
    return call, 2 * sums * lanes, code


@functools.cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="probe")


def peak(threads: int = 1, seconds: float = 0.01, repeat: int = 3) -> float:
    """The best rate of ``repeat`` runs, in GFLOP/s of float32, a multiply-add counted as two operations.

    Args:
        threads: how many run at once, on as many processors as the system gives them.
        seconds: about how long a run takes.

    >>> peak(seconds=0.001) > 0.1
    True
    """
    call, operations, _ = _kernel()
    turns = max(1, int(seconds * 3e9 / 12))  # a turn is about twelve cycles of a third of a nanosecond
    buffers = [np.full(64, 1e-3, np.float32) for _ in range(threads)]
    pool = _threads(threads)
    rates: list[float] = []
    for _ in range(repeat):
        start = time.perf_counter()
        if threads == 1:
            call(buffers[0].ctypes.data, turns)
        else:
            list(pool.map(lambda buffer: call(buffer.ctypes.data, turns), buffers))
        rates.append(threads * turns * operations / (time.perf_counter() - start) / 1e9)
    return max(rates)

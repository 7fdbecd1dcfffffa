"""The threads that run kernels, and the entry into native code.

A *job* is a kernel, its table of addresses and a number of chunks; ``pool_text`` says how threads share one.
Workers are Python threads that sit in native code without holding the interpreter. There is one pool in a
process; runs of several Python threads take turns. After ``fork`` the child starts a pool of its own.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad.engines.native import jit, pool_text
from boxgrad.engines.native.machine import host

SPIN = 20_000
"""Pauses (about 40 ns each) before a worker sleeps."""
SLICE = 400_000_000
"""Cycles after which a long run comes back to Python, so that Ctrl-C is heard."""


class Pool:
    """The process's threads, and the entry into native code."""

    def __init__(self) -> None:
        source, self.sleeps = pool_text.text()
        self._code = jit.compiled([source], [], host())
        words = (ctypes.c_int64,)
        self._worker = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(self._code.address("worker"))
        self._run = ctypes.CFUNCTYPE(
            ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, *words * 2, ctypes.c_void_p, ctypes.c_void_p,
            *words * 2,
        )(self._code.address("run"))  # fmt: skip
        self._leave = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self._code.address("stop"))
        self._reset()
        os.register_at_fork(after_in_child=self._reset)
        atexit.register(self._stop)

    def _reset(self) -> None:
        """No threads, and a state that no thread knows."""
        self.lock = threading.Lock()
        memory = np.zeros(512, np.uint8)
        self._state = memory[(-memory.ctypes.data) % 64 :]
        self._address = self._state.ctypes.data
        self._threads: list[threading.Thread] = []
        self._wake: list[threading.Event] = []

    def _stop(self) -> None:
        """At exit: no thread may be in code that is about to be freed."""
        if self._threads:
            self._leave(self._address)
            for event in self._wake:
                event.set()
            for thread in self._threads:
                thread.join(1.0)

    def start(self, threads: int) -> None:
        """Have that many threads, the caller's included; none is ever ended."""
        while len(self._threads) < threads - 1:
            event = threading.Event()
            thread = threading.Thread(
                target=self._work, args=(self._address, event), name="boxgrad", daemon=True
            )
            self._threads.append(thread)
            self._wake.append(event)
            thread.start()

    def _work(self, address: int, event: threading.Event) -> None:
        if self.sleeps:
            self._worker(address, SPIN)
            return
        while not self._state[256]:
            event.wait()
            event.clear()
            self._worker(address, SPIN)

    def run(self, jobs: int, slots: int, status: int, start: int, stop: int, threads: int) -> int:
        """Run jobs (with the lock held); the number of the first that was not run."""
        if threads > 1:
            self.start(threads)
            if not self.sleeps:
                for event in self._wake:
                    event.set()
        return self._run(self._address, jobs, start, stop, slots, status, threads, SLICE)


@dataclass(slots=True)
class _Process:
    """What there is once in a process."""

    pool: Pool | None = None
    threads: int = 0


_process = _Process()
_making = threading.Lock()


def pool() -> Pool:
    """The one pool."""
    if _process.pool is None:
        with _making:
            _process.pool = _process.pool or Pool()
    return _process.pool


def num_threads() -> int:
    """How many threads kernels use: ``BOXGRAD_NUM_THREADS``, or what the container grants."""
    if not _process.threads:
        chosen = os.environ.get("BOXGRAD_NUM_THREADS", "")
        _process.threads = max(1, int(chosen)) if chosen.isdigit() else available()
    return _process.threads


def set_num_threads(count: int) -> None:
    """Let the native engine's kernels use ``count`` threads, the caller's included.

    Results do not depend on it, to the last bit.
    """
    if count < 1:
        raise ValueError(f"there is no computing with {count} threads; give a number of at least 1")
    _process.threads = int(count)


def available() -> int:
    """The processors that this process may use: its affinity, and the quota of its control group."""
    count: Any = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        if quota != "max":
            count = min(count, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return count
    return count

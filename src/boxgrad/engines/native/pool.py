"""The threads that run kernels, and the entry into native code.

A *job* is a kernel, its table of addresses, how many chunks of it and from which on; how threads share one
says ``pool_sharing``. Workers are Python threads that sit in native code without holding the interpreter.
There is one pool in a process; runs of several Python threads take turns. After ``fork`` the child starts a
pool of its own, and what other threads of the parent were doing is forgotten. How many threads there are by
default is ``processors``' affair.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import platform
import sys
import threading
from dataclasses import dataclass, field

import numpy as np

from boxgrad.engines.native import jit, pool_text
from boxgrad.engines.native.machine import host
from boxgrad.engines.native.pool_sharing import STATE
from boxgrad.engines.native.processors import available, chosen
from boxgrad.errors import BoxgradError

SPIN = 20_000
"""Pauses (about 40 ns each) before a worker sleeps."""
_THREADS, _RUNNING, _STOP, _END = 240, 248, 256, 264
"""Where in the pool's state are the number of threads, whether a run lasts, and whether the pool is over."""


def _state() -> np.ndarray:
    """A pool's state, at the beginning of a line of the cache."""
    memory = np.zeros(STATE + 64, np.uint8)
    return memory[(-memory.ctypes.data) % 64 :]


class Pool:
    """The process's threads, and the entry into native code."""

    def __init__(self, portable: bool = False) -> None:
        made = pool_text.pool_text(platform.machine(), sys.platform, portable)
        self.sleeps, self._slice = made.sleeps, made.slice
        self._code = jit.compiled([made.text], [], host())
        word, pointer = ctypes.c_int64, ctypes.c_void_p
        self._worker = ctypes.CFUNCTYPE(None, pointer, word, word)(self._code.address("worker"))
        # It lets go of the interpreter itself: what a signal's handler raises comes out of it.
        self._run = ctypes.PYFUNCTYPE(word, pointer, pointer, word, word, pointer, pointer, word, word, word)(
            self._code.address("run")
        )
        self._leave = ctypes.CFUNCTYPE(None, pointer)(self._code.address("stop"))
        self._closing = False
        self.reset()
        atexit.register(self.close)

    def reset(self) -> None:
        """No threads, and a state that no thread knows."""
        self.lock = threading.RLock()
        self._state = _state()
        self._address = self._state.ctypes.data
        self._inside = False
        self._threads: list[threading.Thread] = []
        self._wake: list[threading.Event] = []
        self._count = 1

    def forget(self) -> None:
        """In a forked child: a run that a signal's handler forked from ends, for its workers are not here."""
        self._state[_STOP:_END].view(np.int64)[:] = pool_text.ORPHAN
        self.reset()

    def close(self) -> None:
        """At exit: no thread may be in code that is about to be freed."""
        self._closing = True
        self._state[_STOP:_END].view(np.int64)[:] = 1
        # A daemon thread that is in a run comes back when it asks, and does not get any further.
        if self.lock.acquire(timeout=5.0):
            self.lock.release()
        if self._threads:
            self._leave(self._address)
            for event in self._wake:
                event.set()
            for thread in self._threads:
                thread.join(1.0)

    def start(self, threads: int) -> None:
        """Have that many threads, the caller's included; those beyond them wait until they are needed.

        Called when the number changes; and before each run where workers sleep in Python.
        """
        while len(self._threads) < threads - 1:
            event, number = threading.Event(), len(self._threads) + 1
            thread = threading.Thread(
                target=self._work,
                args=(self._address, self._state, event, number),
                name="boxgrad",
                daemon=True,
            )
            thread.start()
            self._threads.append(thread)
            self._wake.append(event)
        self._count = threads
        # Said before they look: who comes too early would wait for another run.
        self._state[_THREADS:_STOP].view(np.int64)[:] = threads, threads > 1
        for event in self._wake[: threads - 1]:
            event.set()

    def _work(self, address: int, state: np.ndarray, event: threading.Event, number: int) -> None:
        """A worker's life: in native code while it is needed there, in Python otherwise."""
        while not state[_STOP]:
            event.wait()
            event.clear()
            self._worker(address, SPIN, number)

    def run(
        self,
        jobs: int,
        slots: int,
        status: int,
        start: int,
        stop: int,
        threads: int,
        final: int | None = None,
    ) -> int:
        """Run jobs (with the lock held); the number of the first that was not run.

        Until job ``final`` begins, Python's handlers of signals run meanwhile; what they raise ends the run.
        A run inside of such a handler has one thread: the others are still at the work that was interrupted.
        """
        if self._closing:
            self._give_up()
        final = stop if final is None else final
        if self._inside:
            state = _state()
            return self._run(state.ctypes.data, jobs, start, stop, slots, status, 1, self._slice, final)
        try:
            self._inside = True
            if threads != self._count or (threads > 1 and not self.sleeps):
                self.start(threads)
            return self._run(self._address, jobs, start, stop, slots, status, threads, self._slice, final)
        finally:
            self._inside = False
            if not self.sleeps:  # also if a signal came before the run began
                self._state[_RUNNING:_STOP] = 0
            if self._closing:
                self._give_up()

    def _give_up(self) -> None:
        """The interpreter is ending, and with it any daemon thread."""
        if threading.current_thread() is not threading.main_thread():
            raise SystemExit

    def description(self) -> str:
        """One line for a report."""
        how = "sleep in native code" if self.sleeps else "sleep in Python: the portable pool"
        return f"{num_threads()} threads, which {how}"


@dataclass(slots=True)
class _Process:
    """What there is once in a process."""

    pool: Pool | None = None
    threads: int = 0
    processors: int = 0
    making: threading.RLock = field(default_factory=threading.RLock)  # a signal's handler may come in between


_process = _Process()


def pool() -> Pool:
    """The one pool. ``BOXGRAD_NATIVE_POOL=portable`` does without Linux's system calls, for tests of it."""
    if _process.pool is None:
        with _process.making:
            if _process.pool is None:
                wanted = os.environ.get("BOXGRAD_NATIVE_POOL", "")
                if wanted not in ("", "portable"):
                    raise BoxgradError(
                        f"BOXGRAD_NATIVE_POOL is {wanted!r}\n  why:     there is one choice, 'portable'\n"
                        "  instead: leave it unset"
                    )
                _process.pool = Pool(wanted == "portable")
    return _process.pool


def _forget() -> None:
    """In a forked child: the parent's threads are not there, nor what they were doing."""
    _process.making = threading.RLock()
    if _process.pool is not None:
        _process.pool.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def num_threads() -> int:
    """How many threads kernels use: ``BOXGRAD_NUM_THREADS``, or what the container grants."""
    if not _process.threads:
        _process.threads = chosen() or available()
    return _process.threads


def most_threads() -> int:
    """How many threads may be at work at once, as things stand: a processor each, or as many as are set."""
    if not _process.processors:
        _process.processors = available()
    return max(num_threads(), _process.processors)


def set_num_threads(count: int) -> None:
    """Let the native engine's kernels use ``count`` threads, the caller's included.

    Results do not depend on it, to the last bit.
    """
    if count < 1:
        raise ValueError(f"there is no computing with {count} threads; give a number of at least 1")
    _process.threads = int(count)

"""The threads that run kernels, and the loop that runs a program's jobs: native code, entered once a run.

A *job* is a kernel, its table of addresses and a number of chunks. All threads, the caller's among them,
claim chunks of the present job from one counter until none is left, so nobody waits for a thread that sleeps.
The counter is one word, ``generation · 2³² + next chunk``: a chunk is claimed by exchanging the word, which
fails if the job has changed meanwhile. A worker spins for a while after a job and then sleeps, on Linux on a
futex; elsewhere it returns to Python and waits there for the next run.

Workers are Python threads that sit in native code without holding the interpreter. There is one pool in a
process; runs of several Python threads take turns. After ``fork`` the child starts a pool of its own.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import platform
import sys
import threading
from typing import Any

import numpy as np

from boxgrad.engines.native import jit
from boxgrad.engines.native.machine import host

SPIN = 20_000
"""Pauses (about 40 ns each) before a worker sleeps."""
SLICE = 400_000_000
"""Cycles after which a long run comes back to Python, so that Ctrl-C is heard."""

_FUTEX = {"x86_64": (202, 24), "AMD64": (202, 24), "aarch64": (98, 124)}
_PAUSE = {"x86_64": "llvm.x86.sse2.pause()", "AMD64": "llvm.x86.sse2.pause()"}
_PAUSE |= {"aarch64": "llvm.aarch64.hint(i32 1)", "arm64": "llvm.aarch64.hint(i32 1)"}

TEXT = """
%job = type { ptr, ptr, i64, i64 }
PAUSE_DECLARATION
declare i64 @llvm.readcyclecounter()
SYSTEM_DECLARATION

; pool: 0 counter, 64 done, 128 sleepers, 192 kernel, 200 table, 208 chunks, 216 slots, 224 status, 256 stop

define internal void @drain(ptr %pool, i64 %generation) nounwind {
entry:
  %done = getelementptr i8, ptr %pool, i64 64
  %kernel_at = getelementptr i8, ptr %pool, i64 192
  %table_at = getelementptr i8, ptr %pool, i64 200
  %chunks_at = getelementptr i8, ptr %pool, i64 208
  %slots_at = getelementptr i8, ptr %pool, i64 216
  %status_at = getelementptr i8, ptr %pool, i64 224
  br label %look
look:
  %word = load atomic i64, ptr %pool acquire, align 8
  %present = lshr i64 %word, 32
  %same = icmp eq i64 %present, %generation
  br i1 %same, label %check, label %end
check:
  %chunks = load volatile i64, ptr %chunks_at
  %chunk = and i64 %word, 4294967295
  %left = icmp ult i64 %chunk, %chunks
  br i1 %left, label %claim, label %end
claim:
  %next = add i64 %word, 1
  %exchange = cmpxchg ptr %pool, i64 %word, i64 %next acq_rel acquire
  %won = extractvalue { i64, i1 } %exchange, 1
  br i1 %won, label %work, label %look
work:
  %kernel = load volatile ptr, ptr %kernel_at
  %table = load volatile ptr, ptr %table_at
  %slots = load volatile ptr, ptr %slots_at
  %status = load volatile ptr, ptr %status_at
  call void %kernel(ptr %slots, ptr %table, i64 %chunk, i64 %chunks, ptr %status)
  %count = atomicrmw add ptr %done, i64 1 release
  br label %look
end:
  ret void
}

define void @worker(ptr %pool, i64 %spin) nounwind {
entry:
  %sleepers = getelementptr i8, ptr %pool, i64 128
  %stop_at = getelementptr i8, ptr %pool, i64 256
  %high = getelementptr i8, ptr %pool, i64 4
  br label %rest
rest:
  %last = phi i64 [ 0, %entry ], [ %generation, %run ]
  br label %watch
watch:
  %count = phi i64 [ 0, %rest ], [ %more, %pause ], [ 0, %sleep ]
  %stop = load atomic i64, ptr %stop_at acquire, align 8
  %stopped = icmp ne i64 %stop, 0
  br i1 %stopped, label %end, label %see
see:
  %word = load atomic i64, ptr %pool acquire, align 8
  %generation = lshr i64 %word, 32
  %new = icmp ne i64 %generation, %last
  br i1 %new, label %run, label %pause
pause:
  call void @PAUSE
  %more = add i64 %count, 1
  %again = icmp slt i64 %more, %spin
  br i1 %again, label %watch, label %sleep
sleep:
SLEEP
run:
  call void @drain(ptr %pool, i64 %generation)
  br label %rest
end:
  ret void
}

define internal void @share(ptr %pool, ptr %kernel, ptr %table, i64 %chunks) nounwind {
entry:
  %done = getelementptr i8, ptr %pool, i64 64
  %sleepers = getelementptr i8, ptr %pool, i64 128
  %kernel_at = getelementptr i8, ptr %pool, i64 192
  %table_at = getelementptr i8, ptr %pool, i64 200
  %chunks_at = getelementptr i8, ptr %pool, i64 208
  %high = getelementptr i8, ptr %pool, i64 4
  %word = load atomic i64, ptr %pool acquire, align 8
  %closed = or i64 %word, 4294967295
  store atomic i64 %closed, ptr %pool seq_cst, align 8
  store volatile ptr %kernel, ptr %kernel_at
  store volatile ptr %table, ptr %table_at
  store volatile i64 %chunks, ptr %chunks_at
  store atomic i64 0, ptr %done release, align 8
  %before = lshr i64 %word, 32
  %after = add i64 %before, 1
  %wrapped = and i64 %after, 2147483647
  %open = shl i64 %wrapped, 32
  store atomic i64 %open, ptr %pool seq_cst, align 8
  %asleep = load atomic i64, ptr %sleepers seq_cst, align 8
  %any = icmp sgt i64 %asleep, 0
  br i1 %any, label %wake, label %own
wake:
WAKE
  br label %own
own:
  call void @drain(ptr %pool, i64 %wrapped)
  br label %wait
wait:
  %count = phi i64 [ 0, %own ], [ %more, %pause ], [ 0, %yield ]
  %finished = load atomic i64, ptr %done acquire, align 8
  %all = icmp sge i64 %finished, %chunks
  br i1 %all, label %end, label %pause
pause:
  call void @PAUSE
  %more = add i64 %count, 1
  %again = icmp slt i64 %more, 2000
  br i1 %again, label %wait, label %yield
yield:
YIELD
  br label %wait
end:
  ret void
}

; Tell the workers to return: a new generation without chunks.
define void @stop(ptr %pool) nounwind {
entry:
  %stop_at = getelementptr i8, ptr %pool, i64 256
  %high = getelementptr i8, ptr %pool, i64 4
  store atomic i64 1, ptr %stop_at seq_cst, align 8
  %word = load atomic i64, ptr %pool acquire, align 8
  %next = add i64 %word, 4294967296
  %closed = or i64 %next, 4294967295
  store atomic i64 %closed, ptr %pool seq_cst, align 8
WAKE
  ret void
}

; Run jobs from start to stop; the number of the first one that was not run.
define i64 @run(ptr %pool, ptr %jobs, i64 %start, i64 %stop, ptr %slots, ptr %status, i64 %threads, i64 %slice) nounwind {
entry:
  %slots_at = getelementptr i8, ptr %pool, i64 216
  %status_at = getelementptr i8, ptr %pool, i64 224
  store volatile ptr %slots, ptr %slots_at
  store volatile ptr %status, ptr %status_at
  %begin = call i64 @llvm.readcyclecounter()
  br label %next
next:
  %number = phi i64 [ %start, %entry ], [ %following, %after ]
  %more = icmp slt i64 %number, %stop
  br i1 %more, label %job, label %end
job:
  %at = getelementptr %job, ptr %jobs, i64 %number
  %table_at = getelementptr i8, ptr %at, i64 8
  %chunks_at = getelementptr i8, ptr %at, i64 16
  %kernel = load ptr, ptr %at
  %table = load ptr, ptr %table_at
  %chunks = load i64, ptr %chunks_at
  %single = icmp eq i64 %chunks, 1
  %alone = icmp eq i64 %threads, 1
  %here = or i1 %single, %alone
  br i1 %here, label %own, label %together
own:
  %chunk = phi i64 [ 0, %job ], [ %chunk1, %own ]
  call void %kernel(ptr %slots, ptr %table, i64 %chunk, i64 %chunks, ptr %status)
  %chunk1 = add i64 %chunk, 1
  %left = icmp slt i64 %chunk1, %chunks
  br i1 %left, label %own, label %after
together:
  call void @share(ptr %pool, ptr %kernel, ptr %table, i64 %chunks)
  br label %after
after:
  %following = add i64 %number, 1
  %wrong = load volatile i64, ptr %status
  %failed = icmp ne i64 %wrong, 0
  %now = call i64 @llvm.readcyclecounter()
  %taken = sub i64 %now, %begin
  %late = icmp ugt i64 %taken, %slice
  %leave = or i1 %failed, %late
  br i1 %leave, label %end, label %next
end:
  %reached = phi i64 [ %number, %next ], [ %following, %after ]
  ret i64 %reached
}
"""
_SLEEP = """  %before = atomicrmw add ptr %sleepers, i64 1 seq_cst
  %last32 = trunc i64 %last to i32
  %slept = call i64 (i64, ...) @syscall(i64 FUTEX, ptr %high, i64 128, i32 %last32, ptr null)
  %since = atomicrmw sub ptr %sleepers, i64 1 seq_cst
  br label %watch"""
_WAKE = "  %woken = call i64 (i64, ...) @syscall(i64 FUTEX, ptr %high, i64 129, i32 1000)"
_YIELD = "  %yielded = call i64 (i64, ...) @syscall(i64 YIELD_NUMBER)"


def text() -> tuple[str, bool]:
    """The pool for this machine, and whether its workers can sleep in native code."""
    machine = platform.machine()
    pause = _PAUSE.get(machine)
    native = sys.platform == "linux" and machine in _FUTEX
    if pause is None:
        declaration, pause = "define internal void @nothing() { ret void }", "nothing()"
    else:
        declaration = f"declare void @{pause.replace('i32 1', 'i32')}"
    result = TEXT.replace("PAUSE_DECLARATION", declaration).replace("@PAUSE", f"@{pause}")
    if not native:
        result = result.replace("SLEEP", "  br label %end").replace("WAKE", "").replace("YIELD", "")
        result = result.replace(
            "[ 0, %rest ], [ %more, %pause ], [ 0, %sleep ]", "[ 0, %rest ], [ %more, %pause ]"
        )
        return result.replace("SYSTEM_DECLARATION", ""), False
    futex, give_way = map(str, _FUTEX[machine])
    result = result.replace("SLEEP", _SLEEP).replace("WAKE", _WAKE).replace("YIELD", _YIELD, 1)
    result = result.replace("YIELD_NUMBER", give_way).replace("FUTEX", futex)
    return result.replace("SYSTEM_DECLARATION", "declare i64 @syscall(i64, ...)"), True


class Pool:
    """The process's threads, and the entry into native code."""

    def __init__(self) -> None:
        source, self.sleeps = text()
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

    def run(self, jobs: int, start: int, stop: int, slots: int, status: int, threads: int) -> int:
        """Run jobs (with the lock held); the number of the first that was not run."""
        if threads > 1:
            self.start(threads)
            if not self.sleeps:
                for event in self._wake:
                    event.set()
        return self._run(self._address, jobs, start, stop, slots, status, threads, SLICE)


_pool: Pool | None = None
_threads: int | None = None
_making = threading.Lock()


def pool() -> Pool:
    """The one pool."""
    global _pool
    if _pool is None:
        with _making:
            if _pool is None:
                _pool = Pool()
    return _pool


def num_threads() -> int:
    """How many threads kernels use: ``BOXGRAD_NUM_THREADS``, or what the container grants."""
    global _threads
    if _threads is None:
        chosen = os.environ.get("BOXGRAD_NUM_THREADS", "")
        _threads = max(1, int(chosen)) if chosen.isdigit() else available()
    return _threads


def set_num_threads(count: int) -> None:
    """Let the native engine's kernels use ``count`` threads, the caller's included.

    Results do not depend on it, to the last bit.
    """
    global _threads
    if count < 1:
        raise ValueError(f"there is no computing with {count} threads; give a number of at least 1")
    _threads = int(count)


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

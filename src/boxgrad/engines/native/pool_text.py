"""The thread pool's native part, as LLVM's text: claiming chunks, sleeping and waking, running jobs.

Knows atomic words and, on Linux, the futex; knows nothing of Python. All threads, the caller's among them,
claim chunks of the present job from one counter until none is left, so nobody waits for a thread that sleeps.
The counter is one word, ``generation · 2³² + next chunk``: a chunk is claimed by exchanging the word, which
fails if the job has changed meanwhile. A worker spins for a while after a job and then sleeps on the
counter's upper half. Where there is no futex it waits for as long as a run lasts and then returns, as does a
worker beyond the present number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

_FUTEX = {"x86_64": (202, 24), "aarch64": (98, 124)}
_PAUSE = {"x86_64": "llvm.x86.sse2.pause()", "AMD64": "llvm.x86.sse2.pause()"}
_PAUSE |= {"aarch64": "llvm.aarch64.hint(i32 1)", "arm64": "llvm.aarch64.hint(i32 1)"}

TEXT = """
%job = type { ptr, ptr, i64, i64 }
PAUSE_DECLARATION
declare i64 @llvm.readcyclecounter()
SYSTEM_DECLARATION

; pool: 0 counter, 64 done, 128 sleepers, 192 kernel, 200 table, 208 chunks, 216 slots, 224 status,
;       232 first chunk, 240 threads, 248 running, 256 stop

define internal void @drain(ptr %pool, i64 %generation) nounwind {
entry:
  %done = getelementptr i8, ptr %pool, i64 64
  %kernel_at = getelementptr i8, ptr %pool, i64 192
  %table_at = getelementptr i8, ptr %pool, i64 200
  %chunks_at = getelementptr i8, ptr %pool, i64 208
  %slots_at = getelementptr i8, ptr %pool, i64 216
  %status_at = getelementptr i8, ptr %pool, i64 224
  %first_at = getelementptr i8, ptr %pool, i64 232
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
  %first = load volatile i64, ptr %first_at
  %part = add i64 %first, %chunk
  call void %kernel(ptr %slots, ptr %table, i64 %part, i64 %chunks, ptr %status)
  %count = atomicrmw add ptr %done, i64 1 release
  br label %look
end:
  ret void
}

define void @worker(ptr %pool, i64 %spin, i64 %number) nounwind {
entry:
  %threads_at = getelementptr i8, ptr %pool, i64 240
  %running_at = getelementptr i8, ptr %pool, i64 248
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
  br i1 %stopped, label %end, label %needed
needed:
  %threads = load atomic i64, ptr %threads_at acquire, align 8
  %surplus = icmp sge i64 %number, %threads
  br i1 %surplus, label %end, label %see
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

define internal void @share(ptr %pool, ptr %kernel, ptr %table, i64 %first, i64 %chunks) nounwind {
entry:
  %first_at = getelementptr i8, ptr %pool, i64 232
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
  store volatile i64 %first, ptr %first_at
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

; Run jobs from start to stop; the number of the first one that was not run. A job is a kernel, its table,
; how many chunks of it, and from which on.
define i64 @run(ptr %pool, ptr %jobs, i64 %start, i64 %stop, ptr %slots, ptr %status,
                i64 %threads, i64 %slice) nounwind {
entry:
  %slots_at = getelementptr i8, ptr %pool, i64 216
  %status_at = getelementptr i8, ptr %pool, i64 224
  store volatile ptr %slots, ptr %slots_at
  store volatile ptr %status, ptr %status_at
  %threads_at = getelementptr i8, ptr %pool, i64 240
  %running_at = getelementptr i8, ptr %pool, i64 248
  store atomic i64 1, ptr %running_at seq_cst, align 8
  store atomic i64 %threads, ptr %threads_at seq_cst, align 8
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
  %first_at = getelementptr i8, ptr %at, i64 24
  %first = load i64, ptr %first_at
  %kernel = load ptr, ptr %at
  %table = load ptr, ptr %table_at
  %chunks = load i64, ptr %chunks_at
  %single = icmp eq i64 %chunks, 1
  %alone = icmp eq i64 %threads, 1
  %here = or i1 %single, %alone
  br i1 %here, label %own, label %together
own:
  %chunk = phi i64 [ 0, %job ], [ %chunk1, %own ]
  %part = add i64 %first, %chunk
  call void %kernel(ptr %slots, ptr %table, i64 %part, i64 %chunks, ptr %status)
  %chunk1 = add i64 %chunk, 1
  %left = icmp slt i64 %chunk1, %chunks
  br i1 %left, label %own, label %after
together:
  call void @share(ptr %pool, ptr %kernel, ptr %table, i64 %first, i64 %chunks)
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
  store atomic i64 0, ptr %running_at seq_cst, align 8
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
_WAIT = """  %running = load atomic i64, ptr %running_at acquire, align 8
  %go_on = icmp ne i64 %running, 0
  br i1 %go_on, label %watch, label %end"""
_GIVE_WAY = "  %yielded = call i32 @boxgrad_yield()"

SLICE = 400_000_000
"""Ticks after which a long run comes back to Python: about a tenth of a second of cycles."""
_STEADY_SLICE = 2_400_000
"""The same where ticks are those of Arm's counter, which has from 24 million to 1000 million in a second."""


@dataclass(frozen=True, slots=True)
class PoolText:
    """The text, whether workers sleep in native code, and after how many ticks a run comes back."""

    text: str
    sleeps: bool
    slice: int


def pool_text(machine: str, system: str, portable: bool = False) -> PoolText:
    """The pool for a processor and an operating system, as ``platform`` and ``sys`` name them.

    Without Linux's system calls, or where ``portable`` is asked for, workers sleep in Python.
    """
    pause = _PAUSE.get(machine)
    if pause is None:
        declaration, pause = "define internal void @nothing() { ret void }", "nothing()"
    else:
        declaration = f"declare void @{pause.replace('i32 1', 'i32')}"
    steady = machine in ("aarch64", "arm64")  # where LLVM reads that counter, for programs may read no other
    result = TEXT.replace("PAUSE_DECLARATION", declaration).replace("@PAUSE", f"@{pause}")
    amount = _STEADY_SLICE if steady else SLICE
    if system != "linux" or machine not in _FUTEX or portable:
        result = result.replace("SLEEP", _WAIT).replace("WAKE", "").replace("YIELD", _GIVE_WAY)
        result = result.replace("SYSTEM_DECLARATION", "declare i32 @boxgrad_yield()")
        return PoolText(result, False, amount)
    futex, give_way = map(str, _FUTEX[machine])
    result = result.replace("SLEEP", _SLEEP).replace("WAKE", _WAKE).replace("YIELD", _YIELD, 1)
    result = result.replace("YIELD_NUMBER", give_way).replace("FUTEX", futex)
    return PoolText(result.replace("SYSTEM_DECLARATION", "declare i64 @syscall(i64, ...)"), True, amount)

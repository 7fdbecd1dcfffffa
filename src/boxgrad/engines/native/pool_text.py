"""The thread pool's native part, as LLVM's text: running jobs, listening for signals, the systems' calls.

Knows atomic words, Python's three calls around signals and, on Linux, the futex; knows nothing of kernels.
How threads share a job is ``pool_sharing``'s affair.

About ten times a second the caller asks Python whether a signal came. If its handler raises, the status is
set, and with that nobody begins a chunk any more, and long kernels leave their loops (``pauses``).
"""

from __future__ import annotations

from dataclasses import dataclass

from boxgrad.engines.native.pauses import ASK
from boxgrad.engines.native.pool_sharing import RANGES, SHARING

_FUTEX = {"x86_64": (202, 24), "aarch64": (98, 124)}
_PAUSE = {"x86_64": "llvm.x86.sse2.pause()", "AMD64": "llvm.x86.sse2.pause()"}
_PAUSE |= {"aarch64": "llvm.aarch64.hint(i32 1)", "arm64": "llvm.aarch64.hint(i32 1)"}

TEXT = """
%job = type { ptr, ptr, i64, i64 }
PAUSE_DECLARATION
declare i64 @llvm.readcyclecounter()
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare i32 @PyErr_CheckSignals()
SYSTEM_DECLARATION

; pool: 0 generation, 8 kernel, 16 table, 24 chunks, 32 slots, 40 status, 48 first chunk, 56 ranges,
;       64 chunks not finished, 72 whether the caller sleeps, 128 sleepers, 240 threads, 248 running,
;       256 stop, from 320 on a line of the cache for each range: its word, and the chunk at which it ends
; clock: 0 when to ask, 8 whom, 16 pool, 24 the caller's state in Python, 32 ticks between questions
ASK
; The caller is asked: is there a reason to stop? Python's handlers of signals run here.
define internal i64 @listen(ptr %clock, ptr %status) nounwind {
entry:
  %known = load atomic i64, ptr %status monotonic, align 8
  %set = icmp ne i64 %known, 0
  br i1 %set, label %end, label %look
look:
  %pool_at = getelementptr i8, ptr %clock, i64 16
  %pool = load ptr, ptr %pool_at
  %stop_at = getelementptr i8, ptr %pool, i64 256
  %stop = load atomic i64, ptr %stop_at acquire, align 8
  %stopped = icmp ne i64 %stop, 0
  br i1 %stopped, label %leave, label %signals
signals:
  %thread_at = getelementptr i8, ptr %clock, i64 24
  %thread = load ptr, ptr %thread_at
  call void @PyEval_RestoreThread(ptr %thread)
  %raised = call i32 @PyErr_CheckSignals()
  %again = call ptr @PyEval_SaveThread()
  store ptr %again, ptr %thread_at
  %slice_at = getelementptr i8, ptr %clock, i64 32
  %slice = load i64, ptr %slice_at
  %now = call i64 @llvm.readcyclecounter()
  %later = add i64 %now, %slice
  store i64 %later, ptr %clock
  %error = icmp ne i32 %raised, 0
  br i1 %error, label %leave, label %go_on
leave:
  %before = cmpxchg ptr %status, i64 0, i64 INTERRUPTED seq_cst seq_cst
  store i64 0, ptr %clock
  ret i64 INTERRUPTED
go_on:
  %orphan = load atomic i64, ptr %stop_at acquire, align 8
  %left = icmp ne i64 %orphan, 0
  br i1 %left, label %leave, label %end
end:
  %answer = phi i64 [ %known, %entry ], [ 0, %go_on ]
  ret i64 %answer
}

; A worker is asked: it only looks whether somebody else has stopped.
define internal i64 @look(ptr %clock, ptr %status) nounwind {
entry:
  %known = load atomic i64, ptr %status monotonic, align 8
  ret i64 %known
}

SHARING

; Tell the workers to return: a new generation without chunks. If a run has not ended yet, it is left alone.
define void @stop(ptr %pool) nounwind {
entry:
  %stop_at = getelementptr i8, ptr %pool, i64 256
  %high = getelementptr i8, ptr %pool, i64 4
  store atomic i64 1, ptr %stop_at seq_cst, align 8
  %word = load atomic i64, ptr %pool acquire, align 8
  %unfinished = getelementptr i8, ptr %pool, i64 64
  %left = load atomic i64, ptr %unfinished acquire, align 8
  %idle = icmp eq i64 %left, 0
  br i1 %idle, label %wake, label %end
wake:
  %next = add i64 %word, 4294967296
  %exchange = cmpxchg ptr %pool, i64 %word, i64 %next seq_cst seq_cst
WAKE
  br label %end
end:
  ret void
}

; Run jobs from start to stop; the number of the first one that was not run. A job is a kernel, its table,
; how many chunks of it, and from which on. Called with the interpreter held, which is let go meanwhile. From
; the job of number ``final`` on nobody asks for signals.
define i64 @run(ptr %pool, ptr %jobs, i64 %start, i64 %stop, ptr %slots, ptr %status,
                i64 %threads, i64 %slice, i64 %final) nounwind {
entry:
  %clock = alloca [5 x i64], align 16
  %whom = getelementptr i8, ptr %clock, i64 8
  %owner = getelementptr i8, ptr %clock, i64 16
  %thread_at = getelementptr i8, ptr %clock, i64 24
  %slice_at = getelementptr i8, ptr %clock, i64 32
  store ptr @listen, ptr %whom
  store ptr %pool, ptr %owner
  store i64 %slice, ptr %slice_at
  %thread = call ptr @PyEval_SaveThread()
  store ptr %thread, ptr %thread_at
  %slots_at = getelementptr i8, ptr %pool, i64 32
  %status_at = getelementptr i8, ptr %pool, i64 40
  %ranges_at = getelementptr i8, ptr %pool, i64 56
  store volatile ptr %slots, ptr %slots_at
  store volatile ptr %status, ptr %status_at
  %many = icmp ugt i64 %threads, RANGES
  %ranges = select i1 %many, i64 RANGES, i64 %threads
  store volatile i64 %ranges, ptr %ranges_at
  %threads_at = getelementptr i8, ptr %pool, i64 240
  %running_at = getelementptr i8, ptr %pool, i64 248
BEGUN
  ; Workers look at it all the time: it is not written where it stays the same.
  %known_threads = load atomic i64, ptr %threads_at monotonic, align 8
  %as_before = icmp eq i64 %known_threads, %threads
  br i1 %as_before, label %start_clock, label %tell
tell:
  store atomic i64 %threads, ptr %threads_at seq_cst, align 8
  br label %start_clock
start_clock:
  %begin = call i64 @llvm.readcyclecounter()
  %late = add i64 %begin, %slice
  store i64 %late, ptr %clock
  br label %next
next:
  %number = phi i64 [ %start, %start_clock ], [ %following, %after ]
  %more = icmp slt i64 %number, %stop
  br i1 %more, label %look_ahead, label %end
look_ahead:
  %is_final = icmp sge i64 %number, %final
  br i1 %is_final, label %hush, label %job
hush:
  store i64 -1, ptr %clock
  br label %job
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
  call void %kernel(ptr %slots, ptr %table, i64 %part, i64 %chunks, ptr %status, ptr %clock)
  %chunk1 = add i64 %chunk, 1
  %unfinished = icmp slt i64 %chunk1, %chunks
  %heard = call i64 @ask(ptr %clock, ptr %status)
  %quiet = icmp eq i64 %heard, 0
  %left = and i1 %unfinished, %quiet
  br i1 %left, label %own, label %after
together:
  call void @share(ptr %pool, ptr %kernel, ptr %table, i64 %first, i64 %chunks, ptr %status, ptr %clock)
  %asked = call i64 @ask(ptr %clock, ptr %status)
  br label %after
after:
  %following = add i64 %number, 1
  %wrong = load volatile i64, ptr %status
  %failed = icmp ne i64 %wrong, 0
  br i1 %failed, label %end, label %next
end:
  %reached = phi i64 [ %number, %next ], [ %following, %after ]
ENDED
  %mine = load ptr, ptr %thread_at
  call void @PyEval_RestoreThread(ptr %mine)
  ret i64 %reached
}
"""
_SLEEP = """  %before = atomicrmw add ptr %sleepers, i64 1 seq_cst
  %last32 = trunc i64 %last to i32
  %slept = call i64 (i64, ...) @syscall(i64 FUTEX, ptr %high, i64 128, i32 %last32, ptr null)
  %since = atomicrmw sub ptr %sleepers, i64 1 seq_cst
  br label %watch"""
_ROUSE = "  %roused = call i64 (i64, ...) @syscall(i64 FUTEX, ptr %unfinished, i64 129, i32 1)"
_DOZE = """  store atomic i64 1, ptr %waiting_at seq_cst, align 8
  %left32 = trunc i64 %left to i32
  %dozed = call i64 (i64, ...) @syscall(i64 FUTEX, ptr %unfinished, i64 128, i32 %left32, ptr %moment)
  store atomic i64 0, ptr %waiting_at seq_cst, align 8"""
_WAKE = "  %woken = call i64 (i64, ...) @syscall(i64 FUTEX, ptr %high, i64 129, i32 1000)"
_YIELD = "  %yielded = call i64 (i64, ...) @syscall(i64 GIVE_WAY_NUMBER)"
_WAIT = """  %running = load atomic i64, ptr %running_at acquire, align 8
  %go_on = icmp ne i64 %running, 0
  %yielded = call i32 @boxgrad_yield()
  br i1 %go_on, label %watch, label %end"""
_GIVE_WAY = "  %yielded = call i32 @boxgrad_yield()"
_BEGUN = "  store atomic i64 1, ptr %running_at seq_cst, align 8"
_ENDED = "  store atomic i64 0, ptr %running_at seq_cst, align 8"
_OTHER_DECLARATIONS = "declare i32 @boxgrad_yield()\ndeclare i32 @boxgrad_rest(i32)"
_REST = "  %rested = call i32 @boxgrad_rest(i32 REST_AMOUNT)"

INTERRUPTED, ORPHAN = 4, 2
"""A status: the run was stopped. And what ``stop`` is in a child, where the parent's threads are not."""

SLICE = 400_000_000
"""Ticks after which a long run asks Python for signals: about a tenth of a second of cycles."""
_STEADY_SLICE = 2_400_000
"""The same where ticks are those of Arm's counter, which has from 24 million to 1000 million in a second."""


@dataclass(frozen=True, slots=True)
class PoolText:
    """The text, whether workers sleep in native code, and after how many ticks a run asks for signals."""

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
    amount = _STEADY_SLICE if steady else SLICE
    sleeps = system == "linux" and machine in _FUTEX and not portable
    parts = {
        "PAUSE_DECLARATION": declaration,
        "@PAUSE": f"@{pause}",
        "INTERRUPTED": str(INTERRUPTED),
        "ORPHAN": str(ORPHAN),
        "PATIENCE": str(amount // 200),
        "ASK": ASK,
        "RANGES": str(RANGES),
    }
    if sleeps:
        parts |= {"BEGUN": "", "ENDED": ""}
        futex, give_way = map(str, _FUTEX[machine])
        parts |= {"SYSTEM_DECLARATION": "declare i64 @syscall(i64, ...)", "RESTART": "add i64 0, 0"}
        parts |= {"SLEEP": _SLEEP, "WAKE": _WAKE, "ROUSE": _ROUSE, "DOZE": _DOZE, "YIELD": _YIELD}
        parts |= {"FUTEX": futex, "GIVE_WAY_NUMBER": give_way}
    else:
        moment = "1" if system == "win32" else "100"  # milliseconds, microseconds
        parts |= {"SYSTEM_DECLARATION": _OTHER_DECLARATIONS, "RESTART": "sub i64 %spin, 50"}
        parts |= {"SLEEP": _WAIT, "WAKE": "", "ROUSE": "", "DOZE": _REST, "YIELD": _GIVE_WAY}
        parts |= {"REST_AMOUNT": moment, "BEGUN": _BEGUN, "ENDED": _ENDED}
    result = TEXT.replace("SHARING", SHARING)
    for word, text in parts.items():
        result = result.replace(word, text)
    return PoolText(result, sleeps, amount)

"""The thread pool's native part, as LLVM's text: claiming chunks, sleeping and waking, running jobs.

Knows atomic words, Python's three calls around signals and, on Linux, the futex; knows nothing of kernels.
All threads, the caller's among them, claim chunks of the present job from one counter until none is left, so
nobody waits for a thread that sleeps. The counter is one word, ``generation · 2³² + chunks left``, which goes
down: while it is not zero in its lower half the job cannot end, so whoever lowers it has a chunk of the job
that the pool describes, however late it comes. The last to finish a chunk wakes the caller, if it sleeps.

Nobody spins for long. A worker does for a while after a job and then sleeps on the counter's upper half; the
caller does while workers finish, then gives way, and after about a millisecond sleeps: the processor that it
leaves is the one on which the worker that it waits for can go on. Where there is no futex, the caller sleeps
for a moment at a time, and a worker gives way for as long as a run lasts and then returns, as does a worker
beyond the present number of threads.

About ten times a second the caller asks Python whether a signal came. If its handler raises, the status is
set, and with that nobody begins a chunk any more, and long kernels leave their loops (``pauses``).
"""

from __future__ import annotations

from dataclasses import dataclass

from boxgrad.engines.native.pauses import ASK

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

; pool: 0 counter, 64 chunks not finished, 72 whether the caller sleeps, 128 sleepers, 192 kernel, 200 table,
;       208 chunks, 216 slots, 224 status, 232 first chunk, 240 threads, 248 running, 256 stop
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

define internal void @drain(ptr %pool, i64 %generation, ptr %clock) nounwind {
entry:
  %unfinished = getelementptr i8, ptr %pool, i64 64
  %waiting_at = getelementptr i8, ptr %pool, i64 72
  %kernel_at = getelementptr i8, ptr %pool, i64 192
  %table_at = getelementptr i8, ptr %pool, i64 200
  %chunks_at = getelementptr i8, ptr %pool, i64 208
  %slots_at = getelementptr i8, ptr %pool, i64 216
  %status_at = getelementptr i8, ptr %pool, i64 224
  %first_at = getelementptr i8, ptr %pool, i64 232
  br label %see
see:
  %word = load atomic i64, ptr %pool acquire, align 8
  %present = lshr i64 %word, 32
  %same = icmp eq i64 %present, %generation
  br i1 %same, label %check, label %end
check:
  %left = and i64 %word, 4294967295
  %any = icmp ne i64 %left, 0
  br i1 %any, label %claim, label %end
claim:
  %next = sub i64 %word, 1
  %exchange = cmpxchg ptr %pool, i64 %word, i64 %next acq_rel acquire
  %won = extractvalue { i64, i1 } %exchange, 1
  br i1 %won, label %claimed, label %see
claimed:
  %status = load volatile ptr, ptr %status_at
  %wrong = call i64 @ask(ptr %clock, ptr %status)
  %failed = icmp ne i64 %wrong, 0
  br i1 %failed, label %finished, label %work
work:
  %kernel = load volatile ptr, ptr %kernel_at
  %table = load volatile ptr, ptr %table_at
  %slots = load volatile ptr, ptr %slots_at
  %chunks = load volatile i64, ptr %chunks_at
  %first = load volatile i64, ptr %first_at
  %chunk = sub i64 %chunks, %left
  %part = add i64 %first, %chunk
  call void %kernel(ptr %slots, ptr %table, i64 %part, i64 %chunks, ptr %status, ptr %clock)
  br label %finished
finished:
  %before = atomicrmw sub ptr %unfinished, i64 1 seq_cst
  %last = icmp eq i64 %before, 1
  br i1 %last, label %call, label %see
call:
  %waiting = load atomic i64, ptr %waiting_at seq_cst, align 8
  %asleep = icmp ne i64 %waiting, 0
  br i1 %asleep, label %rouse, label %see
rouse:
ROUSE
  br label %see
end:
  ret void
}

define void @worker(ptr %pool, i64 %spin, i64 %number) nounwind {
entry:
  %clock = alloca [5 x i64], align 16
  %whom = getelementptr i8, ptr %clock, i64 8
  store i64 0, ptr %clock
  store ptr @look, ptr %whom
  %restart = RESTART
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
  %count = phi i64 [ 0, %rest ], [ %more, %pause ], [ %restart, %sleep ]
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
  call void @drain(ptr %pool, i64 %generation, ptr %clock)
  br label %rest
end:
  ret void
}

define internal void @share(ptr %pool, ptr %kernel, ptr %table, i64 %first, i64 %chunks, ptr %status,
                            ptr %clock) nounwind {
entry:
  %moment = alloca [2 x i64], align 16
  %nanoseconds = getelementptr i8, ptr %moment, i64 8
  store i64 0, ptr %moment
  store i64 20000000, ptr %nanoseconds
  %first_at = getelementptr i8, ptr %pool, i64 232
  %unfinished = getelementptr i8, ptr %pool, i64 64
  %waiting_at = getelementptr i8, ptr %pool, i64 72
  %sleepers = getelementptr i8, ptr %pool, i64 128
  %kernel_at = getelementptr i8, ptr %pool, i64 192
  %table_at = getelementptr i8, ptr %pool, i64 200
  %chunks_at = getelementptr i8, ptr %pool, i64 208
  %stop_at = getelementptr i8, ptr %pool, i64 256
  %high = getelementptr i8, ptr %pool, i64 4
  ; No chunk is left of the job before, and all are finished: nobody reads what is written here.
  %word = load atomic i64, ptr %pool acquire, align 8
  store volatile ptr %kernel, ptr %kernel_at
  store volatile ptr %table, ptr %table_at
  store volatile i64 %chunks, ptr %chunks_at
  store volatile i64 %first, ptr %first_at
  store atomic i64 %chunks, ptr %unfinished release, align 8
  %before = lshr i64 %word, 32
  %after = add i64 %before, 1
  %wrapped = and i64 %after, 2147483647
  %begun = shl i64 %wrapped, 32
  %open = or i64 %begun, %chunks
  store atomic i64 %open, ptr %pool seq_cst, align 8
  %asleep = load atomic i64, ptr %sleepers seq_cst, align 8
  %any = icmp sgt i64 %asleep, 0
  br i1 %any, label %wake, label %own
wake:
WAKE
  br label %own
own:
  call void @drain(ptr %pool, i64 %wrapped, ptr %clock)
  %begin = call i64 @llvm.readcyclecounter()
  br label %wait
wait:
  %count = phi i64 [ 0, %own ], [ %more, %pause ], [ 0, %late ]
  %left = load atomic i64, ptr %unfinished acquire, align 8
  %all = icmp eq i64 %left, 0
  br i1 %all, label %end, label %pause
pause:
  call void @PAUSE
  %more = add i64 %count, 1
  %again = icmp slt i64 %more, 2000
  br i1 %again, label %wait, label %give_way
give_way:
  %now = call i64 @llvm.readcyclecounter()
  %taken = sub i64 %now, %begin
  %long = icmp ugt i64 %taken, PATIENCE
  br i1 %long, label %sleep, label %yield
yield:
YIELD
  br label %late
sleep:
DOZE
  br label %late
late:
  %heard = call i64 @ask(ptr %clock, ptr %status)
  ; In a forked child the workers are not there: nobody will finish.
  %stop = load atomic i64, ptr %stop_at acquire, align 8
  %orphan = icmp eq i64 %stop, ORPHAN
  br i1 %orphan, label %end, label %wait
end:
  ret void
}

; Tell the workers to return: a new generation without chunks. If a run has not ended yet, it is left alone.
define void @stop(ptr %pool) nounwind {
entry:
  %stop_at = getelementptr i8, ptr %pool, i64 256
  %high = getelementptr i8, ptr %pool, i64 4
  store atomic i64 1, ptr %stop_at seq_cst, align 8
  %word = load atomic i64, ptr %pool acquire, align 8
  %left = and i64 %word, 4294967295
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
; how many chunks of it, and from which on. Called with the interpreter held, which is let go meanwhile.
define i64 @run(ptr %pool, ptr %jobs, i64 %start, i64 %stop, ptr %slots, ptr %status,
                i64 %threads, i64 %slice) nounwind {
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
  %slots_at = getelementptr i8, ptr %pool, i64 216
  %status_at = getelementptr i8, ptr %pool, i64 224
  store volatile ptr %slots, ptr %slots_at
  store volatile ptr %status, ptr %status_at
  %threads_at = getelementptr i8, ptr %pool, i64 240
  %running_at = getelementptr i8, ptr %pool, i64 248
  store atomic i64 1, ptr %running_at seq_cst, align 8
  store atomic i64 %threads, ptr %threads_at seq_cst, align 8
  %begin = call i64 @llvm.readcyclecounter()
  %late = add i64 %begin, %slice
  store i64 %late, ptr %clock
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
  store atomic i64 0, ptr %running_at seq_cst, align 8
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
    }
    if sleeps:
        futex, give_way = map(str, _FUTEX[machine])
        parts |= {"SYSTEM_DECLARATION": "declare i64 @syscall(i64, ...)", "RESTART": "add i64 0, 0"}
        parts |= {"SLEEP": _SLEEP, "WAKE": _WAKE, "ROUSE": _ROUSE, "DOZE": _DOZE, "YIELD": _YIELD}
        parts |= {"FUTEX": futex, "GIVE_WAY_NUMBER": give_way}
    else:
        moment = "1" if system == "win32" else "100"  # milliseconds, microseconds
        parts |= {"SYSTEM_DECLARATION": _OTHER_DECLARATIONS, "RESTART": "sub i64 %spin, 50"}
        parts |= {"SLEEP": _WAIT, "WAKE": "", "ROUSE": "", "DOZE": _REST, "YIELD": _GIVE_WAY}
        parts |= {"REST_AMOUNT": moment}
    result = TEXT
    for word, text in parts.items():
        result = result.replace(word, text)
    return PoolText(result, sleeps, amount)

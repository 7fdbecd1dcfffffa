"""How threads share a job, as LLVM's text: claiming chunks, waiting, sleeping and waking.

The chunks of a job are cut into as many ranges as there are threads, up to ``RANGES``. Each thread, the
caller's among them, first claims the chunks of its own range, then those that are left of the others, until
none is left: so nobody waits for a thread that sleeps, and the same thread sees the same part of an array in
one kernel after the other, where it is in the caches of that thread's processor.

A range is one word, ``generation · 2³² + chunks left``, which goes down: while it is not zero in its lower
half the job cannot end, so whoever lowers it has a chunk of the job that the pool describes, however late it
comes. What a thread has finished it counts itself, and tells when it finds nothing more to claim. Who tells
last wakes the caller, if it sleeps.

Nobody spins for long. A worker does for a while after a job and then sleeps on the generation; the caller
does while workers finish, then gives way, and after about a millisecond sleeps: the processor that it
leaves is the one on which the worker that it waits for can go on. Where there is no futex, the caller sleeps
for a moment at a time, and a worker gives way for as long as a run lasts and then returns, as does a worker
beyond the present number of threads.

Words in capitals stand for what differs between systems; ``pool_text`` puts it in, and says what lies where.
``tests/native/test_pool_protocol.py`` is a model of it.
"""

RANGES = 16
STATE = 320 + 64 * RANGES
"""Bytes of a pool's state: what all threads know, and a line of the cache for each range."""

SHARING = """
define internal void @drain(ptr %pool, i64 %generation, i64 %number, ptr %clock) nounwind {
entry:
  %unfinished = getelementptr i8, ptr %pool, i64 64
  %waiting_at = getelementptr i8, ptr %pool, i64 72
  %kernel_at = getelementptr i8, ptr %pool, i64 8
  %table_at = getelementptr i8, ptr %pool, i64 16
  %chunks_at = getelementptr i8, ptr %pool, i64 24
  %slots_at = getelementptr i8, ptr %pool, i64 32
  %status_at = getelementptr i8, ptr %pool, i64 40
  %first_at = getelementptr i8, ptr %pool, i64 48
  %ranges_at = getelementptr i8, ptr %pool, i64 56
  %words = getelementptr i8, ptr %pool, i64 320
  %ranges = load volatile i64, ptr %ranges_at
  %own = urem i64 %number, %ranges
  br label %range
range:
  %place = phi i64 [ %own, %entry ], [ %beside, %empty ]
  %seen = phi i64 [ 0, %entry ], [ %seen1, %empty ]
  %known = phi i64 [ 0, %entry ], [ %finished, %empty ]
  %range_at = getelementptr [64 x i8], ptr %words, i64 %place
  %end_at = getelementptr i8, ptr %range_at, i64 8
  br label %see
see:
  %finished = phi i64 [ %known, %range ], [ %finished, %claim ], [ %more, %done ]
  %word = load atomic i64, ptr %range_at acquire, align 8
  %present = lshr i64 %word, 32
  %same = icmp eq i64 %present, %generation
  %left = and i64 %word, 4294967295
  %any = icmp ne i64 %left, 0
  %open = and i1 %same, %any
  br i1 %open, label %claim, label %empty
claim:
  %next = sub i64 %word, 1
  %exchange = cmpxchg ptr %range_at, i64 %word, i64 %next acq_rel acquire
  %won = extractvalue { i64, i1 } %exchange, 1
  br i1 %won, label %claimed, label %see
claimed:
  %status = load volatile ptr, ptr %status_at
  %wrong = call i64 @ask(ptr %clock, ptr %status)
  %failed = icmp ne i64 %wrong, 0
  br i1 %failed, label %done, label %work
work:
  %kernel = load volatile ptr, ptr %kernel_at
  %table = load volatile ptr, ptr %table_at
  %slots = load volatile ptr, ptr %slots_at
  %chunks = load volatile i64, ptr %chunks_at
  %first = load volatile i64, ptr %first_at
  %range_end = load volatile i64, ptr %end_at
  %chunk = sub i64 %range_end, %left
  %part = add i64 %first, %chunk
  call void %kernel(ptr %slots, ptr %table, i64 %part, i64 %chunks, ptr %status, ptr %clock)
  br label %done
done:
  %more = add i64 %finished, 1
  br label %see
empty:
  %seen1 = add i64 %seen, 1
  %beyond = add i64 %place, 1
  %last_place = icmp uge i64 %beyond, %ranges
  %beside = select i1 %last_place, i64 0, i64 %beyond
  %others = icmp ult i64 %seen1, %ranges
  br i1 %others, label %range, label %nothing_left
nothing_left:
  %idle = icmp eq i64 %finished, 0
  br i1 %idle, label %end, label %tell
tell:
  %before = atomicrmw sub ptr %unfinished, i64 %finished seq_cst
  %last = icmp eq i64 %before, %finished
  br i1 %last, label %call, label %end
call:
  %waiting = load atomic i64, ptr %waiting_at seq_cst, align 8
  %asleep = icmp ne i64 %waiting, 0
  br i1 %asleep, label %rouse, label %end
rouse:
ROUSE
  br label %end
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
  call void @drain(ptr %pool, i64 %generation, i64 %number, ptr %clock)
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
  %first_at = getelementptr i8, ptr %pool, i64 48
  %ranges_at = getelementptr i8, ptr %pool, i64 56
  %words = getelementptr i8, ptr %pool, i64 320
  %unfinished = getelementptr i8, ptr %pool, i64 64
  %waiting_at = getelementptr i8, ptr %pool, i64 72
  %sleepers = getelementptr i8, ptr %pool, i64 128
  %kernel_at = getelementptr i8, ptr %pool, i64 8
  %table_at = getelementptr i8, ptr %pool, i64 16
  %chunks_at = getelementptr i8, ptr %pool, i64 24
  %stop_at = getelementptr i8, ptr %pool, i64 256
  %high = getelementptr i8, ptr %pool, i64 4
  ; No chunk is left of the job before, and all are finished: nobody reads what is written here.
  %word = load atomic i64, ptr %pool acquire, align 8
  store volatile ptr %kernel, ptr %kernel_at
  store volatile ptr %table, ptr %table_at
  store volatile i64 %chunks, ptr %chunks_at
  store volatile i64 %first, ptr %first_at
  store atomic i64 %chunks, ptr %unfinished release, align 8
  %ranges = load volatile i64, ptr %ranges_at
  %before = lshr i64 %word, 32
  %after = add i64 %before, 1
  %wrapped = and i64 %after, 2147483647
  %begun = shl i64 %wrapped, 32
  br label %range
range:
  %place = phi i64 [ 0, %entry ], [ %beside, %range ]
  %range_begin = phi i64 [ 0, %entry ], [ %range_end, %range ]
  %range_at = getelementptr [64 x i8], ptr %words, i64 %place
  %end_at = getelementptr i8, ptr %range_at, i64 8
  %beside = add i64 %place, 1
  %scaled = mul i64 %chunks, %beside
  %range_end = udiv i64 %scaled, %ranges
  %amount = sub i64 %range_end, %range_begin
  %open = or i64 %begun, %amount
  store volatile i64 %range_end, ptr %end_at
  store atomic i64 %open, ptr %range_at release, align 8
  %others = icmp ult i64 %beside, %ranges
  br i1 %others, label %range, label %announce
announce:
  store atomic i64 %begun, ptr %pool seq_cst, align 8
  %asleep = load atomic i64, ptr %sleepers seq_cst, align 8
  %any = icmp sgt i64 %asleep, 0
  br i1 %any, label %wake, label %own
wake:
WAKE
  br label %own
own:
  call void @drain(ptr %pool, i64 %wrapped, i64 0, ptr %clock)
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
"""

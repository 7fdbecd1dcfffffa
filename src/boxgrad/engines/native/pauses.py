"""Pauses of long kernels, in which they ask whether to go on.

Knows loops and how much work there is in them. A kernel's last argument is a clock: when to ask, and whom.
The caller's thread asks about ten times a second, and lets Python's signal handlers run; a worker asks
whether the caller has stopped. Loops of little work have no pauses, and long ones have them so far apart that
they cost nothing: a pause is a comparison with the processor's counter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from boxgrad.engines.native.ir import Function, Index

APART = 1 << 21
"""Simple operations between two pauses, about: a fraction of a millisecond."""
LONG = 1 << 24
"""Simple operations in a loop beyond which it has pauses."""
VECTOR = 8
"""Multiplications of a product that are a simple operation, about."""
ASK = """
define internal i64 @ask(ptr %clock, ptr %status) nounwind {
entry:
  %when = load i64, ptr %clock
  %now = call i64 @llvm.readcyclecounter()
  %late = icmp ugt i64 %now, %when
  br i1 %late, label %question, label %end
question:
  %whom_at = getelementptr i8, ptr %clock, i64 8
  %whom = load ptr, ptr %whom_at
  %answer = call i64 %whom(ptr %clock, ptr %status)
  ret i64 %answer
end:
  ret i64 0
}
"""


@contextmanager
def patient(
    f: Function, start: Index, stop: Index, step: int = 1, *, count: int, work: int
) -> Iterator[Index]:
    """A loop over about ``count`` indices of so much ``work`` each; where that is long, with pauses."""
    if count * work < LONG or count <= 1:
        with f.loop(start, stop, step) as index:
            yield index
        return
    each = max(1, APART // max(1, work)) * step
    with f.loop(start, stop, each) as first, f.when(asked(f)):
        if each == step:
            yield first
        else:
            with f.loop(first, f.minimum(f.add(first, each), stop), step) as index:
                yield index


def asked(f: Function) -> str:
    """Whether the kernel is to go on."""
    f.declarations |= {"declare i64 @llvm.readcyclecounter()", ASK}
    return f.value(f"icmp eq i64 {f.value('call i64 @ask(ptr %clock, ptr %status)')}, 0")

"""Whether fast sums are numbers: a kernel adds up its results, and says so if their sum is none.

A tile of few multiplications spreads a NaN or an infinity over all of its results, and very large numbers
may overflow in it alone. But where every result is finite, so is all that it was made of. A call in which one
is not is therefore run again by a program without such tiles; until then nothing has been written over an
argument, for such a kernel may fail.
"""

from __future__ import annotations

import numpy as np

from boxgrad.engines.native.steps import NOT_FINITE
from boxgrad.engines.native.vector import Lanes, Term


class Watch:
    """Adds up results, lane by lane."""

    def __init__(self, e: Lanes, dtype: np.dtype) -> None:
        self.e, self.dtype, self.kind = e, dtype, e.type(dtype)
        self.sum = e.function.slot(self.kind)
        e.function.store(self.kind, "zeroinitializer", self.sum, 64)

    def see(self, x: Term) -> None:
        f = self.e.function
        known = Term(f.load(self.kind, self.sum, 64), self.dtype)
        f.store(self.kind, self.e.op("fadd", known, x).text, self.sum, 64)

    def report(self) -> None:
        """Set the status if the sum is not finite, which it is if all results are, but for an overflow."""
        e, f = self.e, self.e.function
        total = Term(f.load(self.kind, self.sum, 64), self.dtype)
        zero = e.like(0, total)
        wrong = e.compare("une", e.op("fmul", total, zero), zero)
        bits = f.value(f"bitcast <{e.count} x i1> {wrong.text} to i{e.count}")
        with f.when(f.value(f"icmp ne i{e.count} {bits}, 0")):
            f.store("i64", str(NOT_FINITE), "%status", 8)

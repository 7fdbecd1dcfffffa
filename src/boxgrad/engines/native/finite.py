"""What is done where fast sums are not finite: the direct way, under a condition.

A tile of few multiplications spreads a NaN or an infinity over all of its results, and very large numbers may
overflow in it alone. So kernels add up their results and leave a word for each chunk that says whether the sum
is a number. It is not if any result is not, and then the kernels that compute the same directly are run as
well, which write what NumPy writes. Otherwise each of these returns at once.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from boxgrad.engines.native.ir import Function
from boxgrad.engines.native.layout import Value, fresh
from boxgrad.engines.native.steps import HEAD, Kernel, addresses
from boxgrad.engines.native.vector import INT64, Lanes, Term


def marks(chunks: int) -> Value:
    """A word for each chunk: 0 where all of its results are finite."""
    return fresh((chunks,), INT64)


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

    def leave(self, pointer: str) -> None:
        """Write the word of this chunk."""
        e, f = self.e, self.e.function
        total = Term(f.load(self.kind, self.sum, 64), self.dtype)
        zero = e.like(0, total)
        wrong = e.compare("une", e.op("fmul", total, zero), zero)
        bits = f.value(f"bitcast <{e.count} x i1> {wrong.text} to i{e.count}")
        found = f.value(f"icmp ne i{e.count} {bits}, 0")
        f.store("i64", f.value(f"zext i1 {found} to i64"), f.at(pointer, "%chunk", 8), 8)


def only_where_marked(kernel: Kernel, words: Value) -> Kernel:
    """A kernel that returns at once if all words are 0."""
    f = kernel.function
    head = Function(f.name, HEAD)
    head.continue_from(f)
    values = (*kernel.values, words)
    pointer = addresses(head, len(values))[-1]
    found = "0"
    for number in range(words.size):
        word = head.load("i64", head.at(pointer, number, 8), 8)
        found = head.value(f"or i64 {found}, {word}")
    f.guard(head, head.value(f"icmp ne i64 {found}, 0"))
    return replace(
        kernel,
        label=f"{kernel.label}, if sums are not finite",
        values=values,
        reads=(*kernel.reads, words),
        flops=0,
    )

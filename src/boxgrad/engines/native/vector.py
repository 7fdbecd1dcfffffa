"""Typed vectors of a fixed number of lanes: what emitters compute with.

Knows dtypes, masks, and how lanes get from memory into registers and back. Knows no primitive and no loop.
A mask is a constant, for shapes are known; ``None`` stands for all lanes. Masked lanes are never read and
never written.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from boxgrad.engines.native.ir import Function, literal, memory_type, scalar_type

BOOL, INT32, INT64 = np.dtype(bool), np.dtype(np.int32), np.dtype(np.int64)
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


class Term(NamedTuple):
    """A vector in a register."""

    text: str
    dtype: np.dtype[Any]


class Lanes:
    """Writes instructions on vectors of ``count`` lanes into a function."""

    def __init__(self, function: Function, count: int) -> None:
        self.function = function
        self.count = count
        self._types: dict[np.dtype[Any], str] = {}

    # ---- types and constants
    def type(self, dtype: np.dtype[Any]) -> str:
        known = self._types.get(dtype)
        if known is None:
            known = self._types[dtype] = f"<{self.count} x {scalar_type(dtype)}>"
        return known

    def constant(self, value: Any, dtype: np.dtype[Any]) -> Term:
        return Term(f"splat ({scalar_type(dtype)} {literal(value, dtype)})", dtype)

    def like(self, value: Any, x: Term) -> Term:
        return self.constant(value, x.dtype)

    def splat(self, scalar: str, dtype: np.dtype[Any]) -> Term:
        """All lanes the same."""
        kind = self.type(dtype)
        one = self.function.value(f"insertelement {kind} poison, {scalar_type(dtype)} {scalar}, i32 0")
        text = f"shufflevector {kind} {one}, {kind} poison, <{self.count} x i32> zeroinitializer"
        return Term(self.function.value(text), dtype)

    def mask(self, active: int) -> str | None:
        """The first ``active`` lanes."""
        if active >= self.count:
            return None
        return f"<{', '.join(f'i1 {int(i < active)}' for i in range(self.count))}>"

    def numbers(self) -> Term:
        """0, 1, 2 … as int64."""
        return Term(f"<{', '.join(f'i64 {i}' for i in range(self.count))}>", INT64)

    # ---- instructions
    def op(self, name: str, x: Term, *others: Term, dtype: np.dtype[Any] | None = None) -> Term:
        """An instruction on operands of one type."""
        operands = ", ".join([x.text, *[term.text for term in others]])
        return Term(self.function.value(f"{name} {self.type(x.dtype)} {operands}"), dtype or x.dtype)

    def compare(self, predicate: str, x: Term, z: Term) -> Term:
        """``predicate`` is LLVM's: "oeq", "une", "olt" for floats; "eq", "ne", "lt" for the others."""
        if x.dtype.kind == "f":
            return self.op(f"fcmp {predicate}", x, z, dtype=BOOL)
        if predicate not in ("eq", "ne"):
            predicate = ("s" if x.dtype.kind == "i" else "u") + predicate
        return self.op(f"icmp {predicate}", x, z, dtype=BOOL)

    def choose(self, condition: Term, x: Term, z: Term) -> Term:
        kind = self.type(x.dtype)
        text = f"select {self.type(BOOL)} {condition.text}, {kind} {x.text}, {kind} {z.text}"
        return Term(self.function.value(text), x.dtype)

    def intrinsic(self, name: str, x: Term, *others: Term) -> Term:
        """``llvm.<name>`` on operands of one type."""
        kind = self.type(x.dtype)
        arguments = [(kind, term.text) for term in (x, *others)]
        return Term(self.function.call(kind, f"llvm.{name}.{_suffix(kind)}", *arguments), x.dtype)

    def multiply_add(self, x: Term, z: Term, w: Term) -> Term:
        """x z + w, rounded once where the processor can."""
        return self.intrinsic("fmuladd", x, z, w)

    def bits(self, x: Term, dtype: np.dtype[Any]) -> Term:
        """The same bits as another dtype of that size."""
        text = f"bitcast {self.type(x.dtype)} {x.text} to {self.type(dtype)}"
        return Term(self.function.value(text), dtype)

    def each(self, symbol: str, *terms: Term) -> Term:
        """A function of the C library on each lane, in float64."""
        result, wide = "poison", [self.cast(term, FLOAT64) for term in terms]
        kind = self.type(FLOAT64)
        for lane in range(self.count):
            parts = [self.function.value(f"extractelement {kind} {t.text}, i32 {lane}") for t in wide]
            y = self.function.call("double", symbol, *(("double", part) for part in parts))
            result = self.function.value(f"insertelement {kind} {result}, double {y}, i32 {lane}")
        return self.cast(Term(result, FLOAT64), terms[0].dtype)

    def fill(self, pointer: str, size: int, number: Any, dtype: np.dtype[Any]) -> None:
        """Write a number to so many elements."""
        f, term, (blocks, tail) = self.function, self.constant(number, dtype), divmod(size, self.count)
        if blocks:
            with f.loop(0, blocks) as block:
                self.store(term, f.at(pointer, block, self.count * dtype.itemsize), 1, None)
        if tail:
            self.store(term, f.at(pointer, blocks * self.count, dtype.itemsize), 1, self.mask(tail))

    def turned(self, rows: Sequence[Term]) -> list[Term]:
        """The columns of a square of lanes; rows that are missing are zeros.

        Blocks of 1, 2, 4 … lanes change places, so a square of n rows takes n log n instructions.
        """
        result = [*rows, *[self.like(0, rows[0])] * (self.count - len(rows))]
        kind, step = self.type(rows[0].dtype), 1
        while step < self.count:
            places = [(i if not i & step else self.count + i - step) for i in range(self.count)]
            for i in (i for i in range(self.count) if not i & step):
                pair = result[i], result[i + step]
                for row, shift in ((i, 0), (i + step, step)):
                    lanes = ", ".join(f"i32 {place + shift}" for place in places)
                    text = f"{kind} {pair[0].text}, {kind} {pair[1].text}, <{self.count} x i32> <{lanes}>"
                    result[row] = Term(self.function.value(f"shufflevector {text}"), pair[0].dtype)
            step *= 2
        return result

    def cast(self, x: Term, dtype: np.dtype[Any]) -> Term:
        """As ``astype``; floats beyond an integer's range give what the C cast gives."""
        old, new = x.dtype, dtype
        if old == new:
            return x
        if new.kind == "b":
            return self.compare("une" if old.kind == "f" else "ne", x, self.like(0, x))
        if old.kind == "f" and new.kind == "f":
            name = "fptrunc" if new.itemsize < old.itemsize else "fpext"
        elif old.kind == "f":
            return self._to_integer(x, new)
        elif new.kind == "f":
            name = "sitofp" if old.kind == "i" else "uitofp"
        elif old.kind == "b" or new.itemsize > old.itemsize:
            name = "sext" if old.kind == "i" else "zext"
        elif new.itemsize < old.itemsize:
            name = "trunc"
        else:
            return Term(x.text, new)
        text = f"{name} {self.type(old)} {x.text} to {self.type(new)}"
        return Term(self.function.value(text), new)

    def _to_integer(self, x: Term, dtype: np.dtype[Any]) -> Term:
        """Through int64, as C does it for narrower types; out of range gives int64's smallest number."""
        kind, wide = self.type(x.dtype), self.type(INT64)
        limit = self.constant(2.0**63, x.dtype)
        inside = self.op(
            "and", self.compare("olt", x, limit), self.compare("oge", x, self.constant(-(2.0**63), x.dtype))
        )
        safe = self.choose(inside, x, self.like(0, x))
        whole = Term(self.function.value(f"fptosi {kind} {safe.text} to {wide}"), INT64)
        return self.cast(self.choose(inside, whole, self.constant(-(2**63), INT64)), dtype)

    # ---- memory
    def load(self, pointer: str, dtype: np.dtype[Any], stride: int, mask: str | None) -> Term:
        """Lanes from memory, ``stride`` elements apart; stride 0 repeats one element."""
        item, kind = memory_type(dtype), f"<{self.count} x {memory_type(dtype)}>"
        if stride == 0:
            scalar = self.function.load(item, pointer)
            if dtype.kind == "b":
                scalar = self.function.value(f"icmp ne i8 {scalar}, 0")
            return self.splat(scalar, dtype)
        if stride == 1 and mask is None:
            text = self.function.load(kind, pointer)
        elif stride == 1:
            text = self._masked("load.{}.p0", kind, ("ptr", pointer), mask)
        else:
            text = self._masked("gather.{}.{}", kind, self._pointers(pointer, stride * dtype.itemsize), mask)
        return self._truth(text, kind) if dtype.kind == "b" else Term(text, dtype)

    def load_at(self, pointer: str, offsets: Term, dtype: np.dtype[Any], mask: str | None) -> Term:
        """Lanes from anywhere: offsets in bytes."""
        kind = f"<{self.count} x {memory_type(dtype)}>"
        text = f"getelementptr i8, ptr {pointer}, {self.type(INT64)} {offsets.text}"
        pointers = (f"<{self.count} x ptr>", self.function.value(text))
        loaded = self._masked("gather.{}.{}", kind, pointers, mask)
        return self._truth(loaded, kind) if dtype.kind == "b" else Term(loaded, dtype)

    def store(self, x: Term, pointer: str, stride: int, mask: str | None) -> None:
        """Lanes to memory."""
        kind, text = f"<{self.count} x {memory_type(x.dtype)}>", x.text
        if x.dtype.kind == "b":
            text = self.function.value(f"zext {self.type(BOOL)} {text} to {kind}")
        if stride == 1 and mask is None:
            self.function.store(kind, text, pointer)
            return
        if stride == 1:
            target, name = ("ptr", pointer), f"llvm.masked.store.{_suffix(kind)}.p0"
        else:
            target = self._pointers(pointer, stride * x.dtype.itemsize)
            name = f"llvm.masked.scatter.{_suffix(kind)}.v{self.count}p0"
        lanes = self.type(BOOL)
        self.function.call("void", name, (kind, text), target, ("i32", "1"), (lanes, mask or "splat (i1 1)"))

    def _pointers(self, pointer: str, step: int) -> tuple[str, str]:
        """Addresses ``step`` bytes apart."""
        offsets = f"<{', '.join(f'i64 {i * step}' for i in range(self.count))}>"
        text = f"getelementptr i8, ptr {pointer}, {self.type(INT64)} {offsets}"
        return f"<{self.count} x ptr>", self.function.value(text)

    def _masked(self, name: str, kind: str, source: tuple[str, str], mask: str | None) -> str:
        full = "llvm.masked." + name.format(_suffix(kind), f"v{self.count}p0")
        lanes, every = self.type(BOOL), "splat (i1 1)"
        rest = (("i32", "1"), (lanes, mask or every), (kind, "zeroinitializer"))
        return self.function.call(kind, full, source, *rest)

    def _truth(self, text: str, kind: str) -> Term:
        return Term(self.function.value(f"icmp ne {kind} {text}, zeroinitializer"), BOOL)


@functools.cache
def _suffix(kind: str) -> str:
    """``<8 x float>`` as it stands in an intrinsic's name: v8f32."""
    count, item = kind[1:-1].split(" x ")
    return f"v{count}{({'float': 'f32', 'double': 'f64'}).get(item, item)}"

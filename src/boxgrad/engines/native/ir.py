"""The text of an LLVM function, line by line.

Knows LLVM's syntax: fresh names, loops, addresses. Knows nothing of arrays or of what is computed. An index
is a Python integer where it is known and a name (``%v7``) where it is not, and arithmetic on integers is done
at once, so kernels for fixed shapes carry no arithmetic that could have been done before.

Variables that change (counters, sums) are stack slots; LLVM's first pass turns them into registers. What a
``Register`` holds is known by name until the next branch, so that straight code is written without them.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

Index = int | str
_DOUBLE, _BITS = struct.Struct("<d"), struct.Struct("<Q")

# Full-width registers are used even where LLVM would rather save power on some processors.
ATTRIBUTES = 'nounwind "min-legal-vector-width"="512" "prefer-vector-width"="512"'


class Function:
    """One function under construction."""

    def __init__(self, name: str, arguments: Sequence[tuple[str, str]]) -> None:
        self.name = name
        self._head = f"define void @{name}({', '.join(f'{kind} %{label}' for kind, label in arguments)})"
        self._slots: list[str] = []
        self._lines: list[str] = []
        self._count = 0
        self._called: set[str] = set()
        self.declarations: set[str] = set()
        self._held: dict[str, str] = {}
        """By slot: the value of a register in the block that is being written."""
        self._late: dict[str, str] = {}
        """By slot: the store that the end of the block will need."""
        self.bases: list[str] = []
        """The addresses of the values that a kernel is called with, in their order."""

    # ---- lines
    def value(self, text: str) -> str:
        """A new name for what an instruction computes."""
        self._count += 1
        name = f"%v{self._count}"
        self._lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        """An instruction without a result."""
        self._lines.append(f"  {text}")

    def call(self, result: str, name: str, *arguments: tuple[str, str]) -> str:
        """Call an intrinsic or a function of the C library; arguments are (type, value)."""
        if name not in self._called:
            kinds = ", ".join(kind for kind, _ in arguments)
            self.declarations.add(f"declare {result} @{name}({kinds})")
            self._called.add(name)
        text = f"call {result} @{name}({', '.join([f'{kind} {x}' for kind, x in arguments])})"
        if result == "void":
            self.do(text)
            return ""
        return self.value(text)

    def slot(self, kind: str) -> str:
        """A stack slot, which becomes a register."""
        self._count += 1
        self._slots.append(f"  %s{self._count} = alloca {kind}")
        return f"%s{self._count}"

    def load(self, kind: str, pointer: str, align: int = 1) -> str:
        return self.value(f"load {kind}, ptr {pointer}, align {align}")

    def store(self, kind: str, value: str, pointer: str, align: int = 1) -> None:
        self.do(f"store {kind} {value}, ptr {pointer}, align {align}")

    # ---- integers
    def add(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if a == 0 or b == 0:
            return b if a == 0 else a
        return self.value(f"add i64 {a}, {b}")

    def multiply(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        if a == 0 or b == 0:
            return 0
        if a == 1 or b == 1:
            return b if a == 1 else a
        return self.value(f"mul i64 {a}, {b}")

    def divide(self, a: Index, b: int) -> Index:
        if isinstance(a, int):
            return a // b
        return a if b == 1 else self.value(f"udiv i64 {a}, {b}")

    def remainder(self, a: Index, b: int) -> Index:
        if isinstance(a, int):
            return a % b
        return 0 if b == 1 else self.value(f"urem i64 {a}, {b}")

    def minimum(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b)
        less = self.value(f"icmp slt i64 {a}, {b}")
        return self.value(f"select i1 {less}, i64 {a}, i64 {b}")

    def at(self, pointer: str, index: Index, size: int = 1) -> str:
        """The address ``index`` elements of ``size`` bytes further on."""
        if isinstance(index, str) and size > 1:
            return self.value(f"getelementptr [{size} x i8], ptr {pointer}, i64 {index}")
        offset = index * size if isinstance(index, int) else self.multiply(index, size)
        return pointer if offset == 0 else self.value(f"getelementptr i8, ptr {pointer}, i64 {offset}")

    # ---- control
    @contextmanager
    def loop(self, start: Index, stop: Index, step: int = 1) -> Iterator[Index]:
        """Run what is written inside for start, start + step, … below stop."""
        if isinstance(start, int) and isinstance(stop, int) and start < stop <= start + step:
            yield start
            return
        counter = self.slot("i64")
        self._count += 1
        number = self._count
        self.store("i64", str(start), counter, 8)
        first = self.value(f"icmp slt i64 {start}, {stop}")
        self._branch(f"br i1 {first}, label %body{number}, label %done{number}", f"body{number}")
        # Frozen, it is no induction variable to LLVM, which would look for cheaper addresses than those
        # that are written here: two fifths of the time of compiling, for nothing.
        index = self.value(f"freeze i64 {self.load('i64', counter, 8)}")
        yield index
        following = self.value(f"add i64 {index}, {step}")
        self.store("i64", following, counter, 8)
        more = self.value(f"icmp slt i64 {following}, {stop}")
        self._branch(f"br i1 {more}, label %body{number}, label %done{number}", f"done{number}")

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Run what is written inside if a truth value (i1) holds."""
        self._count += 1
        number = self._count
        self._branch(f"br i1 {condition}, label %then{number}, label %after{number}", f"then{number}")
        yield
        self._branch(f"br label %after{number}", f"after{number}")

    def _branch(self, text: str, label: str) -> None:
        """End a block, and begin another that may be come to from elsewhere."""
        self._lines += [*self._late.values(), f"  {text}", f"{label}:"]
        self._late.clear()
        self._held.clear()

    def claim(self, word: str, most: int | None = None) -> Index:
        """Set the lowest bit of a word that is clear, and answer its number; several threads may do so.

        While ``most`` bits are set, wait until one is clear.
        """
        self._count += 1
        again, done = f"again{self._count}", f"claimed{self._count}"
        full, take = f"full{self._count}", f"take{self._count}"
        self._branch(f"br label %{again}", again)
        old = self.value(f"load atomic i64, ptr {word} monotonic, align 8")
        clear = self.value(f"xor i64 {old}, -1")
        bit = self.call("i64", "llvm.cttz.i64", ("i64", clear), ("i1", "true"))
        if most is not None:
            none = self.value(f"icmp uge i64 {bit}, {most}")
            self._branch(f"br i1 {none}, label %{full}, label %{take}", full)
            self.call("i32", "boxgrad_yield")
            self._branch(f"br label %{again}", take)
        new = self.value(f"or i64 {old}, {self.value(f'shl i64 1, {bit}')}")
        pair = self.value(f"cmpxchg ptr {word}, i64 {old}, i64 {new} acquire monotonic")
        claimed = self.value(f"extractvalue {{ i64, i1 }} {pair}, 1")
        self._branch(f"br i1 {claimed}, label %{done}, label %{again}", done)
        return bit

    def release(self, word: str, bit: Index) -> None:
        """Clear a bit that was claimed."""
        kept = self.value(f"xor i64 {self.value(f'shl i64 1, {bit}')}, -1")
        self.value(f"atomicrmw and ptr {word}, i64 {kept} release")

    @property
    def body(self) -> str:
        """All but the name."""
        return "\n".join([*self._slots, *self._lines])

    def text(self, body: str | None = None) -> str:
        """The whole function; with another body where one is given."""
        return f"{self._head} {ATTRIBUTES} {{\nentry:\n{body or self.body}\n  ret void\n}}\n"

    def forget(self) -> None:
        """Free the lines, which are many small strings, once there is machine code."""
        self._slots, self._lines, self.bases = [], [], []


class Register:
    """A variable of one type. Its slot is nobody else's to read or write."""

    __slots__ = ("_function", "_kind", "_slot")

    def __init__(self, function: Function, kind: str) -> None:
        self._function, self._kind, self._slot = function, kind, function.slot(kind)

    def get(self) -> str:
        held = self._function._held
        if self._slot not in held:
            held[self._slot] = self._function.load(self._kind, self._slot)
        return held[self._slot]

    def set(self, value: str) -> None:
        self._function._held[self._slot] = value
        self._function._late[self._slot] = f"  store {self._kind} {value}, ptr {self._slot}, align 1"


# ---- types and constants
@functools.cache
def scalar_type(dtype: np.dtype) -> str:
    """LLVM's type of an element in a register; signs are the instructions' affair."""
    if dtype.kind == "b":
        return "i1"
    if dtype.kind == "f":
        return {4: "float", 8: "double"}[dtype.itemsize]
    return f"i{8 * dtype.itemsize}"


@functools.cache
def memory_type(dtype: np.dtype) -> str:
    """LLVM's type of an element in memory: truth values are bytes."""
    return "i8" if dtype.kind == "b" else scalar_type(dtype)


def literal(value: object, dtype: np.dtype) -> str:
    """A constant of a dtype, as LLVM writes it."""
    if dtype.kind == "b":
        return "1" if value else "0"
    if dtype.kind == "f":
        (bits,) = _BITS.unpack(_DOUBLE.pack(dtype.type(value)))
        return f"0x{bits:016X}"
    return str(int(np.asarray(value).astype(dtype)))


def is_supported(dtype: np.dtype) -> bool:
    """Whether kernels compute with a dtype: float32, float64, integers and truth values."""
    return dtype.kind in "iub" or (dtype.kind == "f" and dtype.itemsize in (4, 8))

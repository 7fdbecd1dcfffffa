"""Bounds checks: a kernel's text once more, with a comparison before every access to memory.

Knows LLVM's text and the arguments of kernels; knows neither emitters nor what is computed. Checks
are put in afterwards for two reasons: no emitter can forget one, and without them the code is the same.

Each pointer is followed from where it comes from: a value of the kernel, whose buffer begins and ends where
the second half of the kernel's table says, an array on the stack, or an argument of the function. An access
that leaves its memory records the value, the offset and the size in the status words and ends the kernel.
An instruction with a pointer that is not understood here is an error, so nothing goes unchecked; only
prefetches, which never fail, and pauses are let through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from boxgrad.engines.native.ir import Function

STATUS_WORDS = 6
"""Of the status: whether to stop, whether what follows is taken; then write or read, value, offset, size."""
CLOCK_BYTES = 40
STACK, ARGUMENT = -1, -2
"""Numbers of memory that is no value of the kernel."""

REPORT = """
define internal void @outside(ptr %status, i64 %writes, i64 %number, i64 %offset, i64 %size) nounwind {
entry:
  %taken_at = getelementptr i8, ptr %status, i64 8
  %pair = cmpxchg ptr %taken_at, i64 0, i64 1 seq_cst seq_cst
  %first = extractvalue { i64, i1 } %pair, 1
  br i1 %first, label %record, label %end
record:
  %writes_at = getelementptr i8, ptr %status, i64 16
  %number_at = getelementptr i8, ptr %status, i64 24
  %offset_at = getelementptr i8, ptr %status, i64 32
  %size_at = getelementptr i8, ptr %status, i64 40
  store i64 %writes, ptr %writes_at
  store i64 %number, ptr %number_at
  store i64 %offset, ptr %offset_at
  store i64 %size, ptr %size_at
  br label %end
end:
  store atomic i64 3, ptr %status seq_cst, align 8
  ret void
}
"""

_ITEMS = {"float": 4, "double": 8, "ptr": 8, "half": 2}
_LOAD = re.compile(r"(%\w+) = load (?:atomic |volatile )?(.+), ptr (%\w+)\b")
_STORE = re.compile(r"store (?:atomic |volatile )?(.+), ptr (%\w+), align")
_UPDATE = re.compile(r"%\w+ = (?:cmpxchg|atomicrmw \w+) ptr (%\w+), (\w+) ")
_MOVE = re.compile(r"(%\w+) = getelementptr (?:i8|\[\d+ x i8\]), ptr (%\w+), (i64|<\d+ x i64>) (.+)")
_CHOICE = re.compile(r"(%\w+) = select i1 (%\w+|true|false), ptr (%\w+), ptr (%\w+)")
_MASKED = re.compile(r"call .+? @llvm\.masked\.(load|store|gather|scatter)\.[^(]+\((.*)\)$")
_SLOT = re.compile(r"(%\w+) = alloca (.+)")
_POINTER = re.compile(r"\bptr\b")


@dataclass(frozen=True, slots=True)
class _Region:
    """Memory that a pointer may be used in: its first address, its size in bytes, and its number."""

    start: str
    size: str
    number: str


def text_of(function: Function, slots: int) -> str:
    """The function with checks; ``slots`` is how many addresses of memory there are."""
    return _Rewriter(function, slots).text()


class _Rewriter:
    def __init__(self, function: Function, slots: int) -> None:
        self.function = function
        self.lines: list[str] = []
        self.count = 0
        self.regions: dict[str, _Region] = {}
        self.exact: dict[str, int] = {}
        """Stack slots that are one register: accesses by name cannot leave them."""
        self.memory: set[str] = set()
        """Addresses of whole blocks of memory, of which the kernel's values are parts."""
        self.bases = {name: number for number, name in enumerate(function.bases)}
        self.given = {"%slots": 8 * slots, "%table": 32 * len(self.bases), "%status": 8 * STATUS_WORDS}
        self.given["%clock"] = CLOCK_BYTES

    def text(self) -> str:
        for name, size in self.given.items():
            self._known(name, str(size), str(ARGUMENT))
        slots, lines = [], self.function.body.splitlines()
        for line in lines:
            found = _SLOT.fullmatch(line.strip())
            if found is None:
                continue
            slots.append(line)
            name, kind = found.groups()
            if kind.startswith("["):
                self._known(name, str(size_of(kind)), str(STACK))
            else:
                self.exact[name] = size_of(kind)
        for line in lines[len(slots) :]:
            self._line(line)
        return self.function.text("\n".join([*slots, *self.lines]))

    # ---- writing
    def _value(self, text: str) -> str:
        self.count += 1
        self.lines.append(f"  %c{self.count} = {text}")
        return f"%c{self.count}"

    def _known(self, pointer: str, size: str, number: str) -> None:
        self.regions[pointer] = _Region(self._value(f"ptrtoint ptr {pointer} to i64"), size, number)

    def _region(self, pointer: str) -> _Region:
        """The memory of a pointer that is handed on; a register becomes an address by that."""
        if pointer in self.exact:
            start = self._value(f"ptrtoint ptr {pointer} to i64")
            return _Region(start, str(self.exact[pointer]), str(STACK))
        if pointer not in self.regions:
            raise _unknown(pointer)
        return self.regions[pointer]

    def _line(self, line: str) -> None:
        """One instruction, and before it the check of what it reads or writes."""
        bare = line.strip()
        if not _POINTER.search(bare) or "@llvm.prefetch" in bare or "@ask(" in bare:
            self.lines.append(line)
        elif found := _MOVE.fullmatch(bare):
            name, source, *_ = found.groups()
            self.lines.append(line)
            if name in self.bases:
                self._base(name, source)
            else:
                self.regions[name] = self._region(source)
        elif found := _CHOICE.fullmatch(bare):
            self.lines.append(line)
            self._choice(*found.groups())
        elif found := _LOAD.match(bare):
            name, kind, pointer = found.groups()
            self._access(pointer, size_of(kind), False, bare)
            self.lines.append(line)
            if kind == "ptr":
                self.memory.add(name)
        elif found := _STORE.match(bare):
            kind = _kind_of(found.group(1))
            if kind == "ptr":
                raise _unknown(bare)
            self._access(found.group(2), size_of(kind), True, bare)
            self.lines.append(line)
        elif found := _UPDATE.match(bare):
            self._access(found.group(1), size_of(found.group(2)), True, bare)
            self.lines.append(line)
        elif found := _MASKED.search(bare):
            self._masked(found.group(1), _split(found.group(2)), bare)
            self.lines.append(line)
        else:
            raise _unknown(bare)

    def _base(self, name: str, block: str) -> None:
        """A value of the kernel: the table says where in its block of memory the buffer lies."""
        if block not in self.memory:
            raise _unknown(name)
        number = self.bases[name]
        row = 16 * (len(self.bases) + number)
        offset_at = self._value(f"getelementptr i8, ptr %table, i64 {row}")
        size_at = self._value(f"getelementptr i8, ptr %table, i64 {row + 8}")
        offset = self._value(f"load i64, ptr {offset_at}, align 8")
        size = self._value(f"load i64, ptr {size_at}, align 8")
        origin = self._value(f"ptrtoint ptr {block} to i64")
        start = self._value(f"add i64 {origin}, {offset}")
        self.regions[name] = _Region(start, size, str(number))

    def _choice(self, name: str, condition: str, first: str, second: str) -> None:
        one, other = self._region(first), self._region(second)
        self.regions[name] = _Region(*(
            a if a == b else self._value(f"select i1 {condition}, i64 {a}, i64 {b}")
            for a, b in ((one.start, other.start), (one.size, other.size), (one.number, other.number))
        ))  # fmt: skip

    # ---- checks
    def _access(self, pointer: str, size: int, writes: bool, line: str, first: int = 0) -> None:
        """Bytes ``first`` to ``first + size`` from a pointer on."""
        if pointer in self.exact:
            if first or size > self.exact[pointer]:
                raise _unknown(line)
            return
        if pointer not in self.regions:
            raise _unknown(line)
        region = self.regions[pointer]
        address = self._value(f"ptrtoint ptr {pointer} to i64")
        offset = self._value(f"sub i64 {address}, {region.start}")
        if first:
            offset = self._value(f"add i64 {offset}, {first}")
        limit = self._value(f"sub i64 {region.size}, {size}")
        below = self._value(f"icmp slt i64 {offset}, 0")
        beyond = self._value(f"icmp sgt i64 {offset}, {limit}")
        self._leave_if(self._value(f"or i1 {below}, {beyond}"), writes, region.number, offset, size)

    def _masked(self, name: str, arguments: list[str], line: str) -> None:
        writes = name in ("store", "scatter")
        stored = _kind_of(arguments.pop(0)) if writes else ""
        pointers, _, mask = arguments[:3]
        kind = stored or _kind_of(arguments[3])
        count, item = lanes_of(kind)
        pointer = pointers.rsplit(" ", 1)[1]
        mask = mask.removeprefix(f"<{count} x i1> ")
        if name in ("load", "store") and not mask.startswith("%"):
            active = range(count) if mask.startswith("splat") else _active(mask)
            if active:
                self._access(pointer, (active[-1] + 1 - active[0]) * item, writes, line, active[0] * item)
            return
        if pointer not in self.regions:
            raise _unknown(line)
        region, wide = self.regions[pointer], f"<{count} x i64>"
        if name in ("gather", "scatter"):
            addresses = self._value(f"ptrtoint <{count} x ptr> {pointer} to {wide}")
        else:
            first = self._splat(self._value(f"ptrtoint ptr {pointer} to i64"), count)
            steps = ", ".join(f"i64 {lane * item}" for lane in range(count))
            addresses = self._value(f"add {wide} {first}, <{steps}>")
        offsets = self._value(f"sub {wide} {addresses}, {self._splat(region.start, count)}")
        limit = self._splat(self._value(f"sub i64 {region.size}, {item}"), count)
        below = self._value(f"icmp slt {wide} {offsets}, zeroinitializer")
        beyond = self._value(f"icmp sgt {wide} {offsets}, {limit}")
        either = self._value(f"or <{count} x i1> {below}, {beyond}")
        wrong = self._value(f"and <{count} x i1> {either}, {mask}")
        bits = self._value(f"bitcast <{count} x i1> {wrong} to i{count}")
        any_wrong = self._value(f"icmp ne i{count} {bits}, 0")
        self.function.declarations.add(f"declare i{count} @llvm.cttz.i{count}(i{count}, i1)")
        lane = self._value(f"call i{count} @llvm.cttz.i{count}(i{count} {bits}, i1 false)")
        whole = self._value(f"zext i{count} {lane} to i{2 * count}")
        safe = self._value(f"select i1 {any_wrong}, i{2 * count} {whole}, i{2 * count} 0")
        offset = self._value(f"extractelement {wide} {offsets}, i{2 * count} {safe}")
        self._leave_if(any_wrong, writes, region.number, offset, item)

    def _splat(self, scalar: str, count: int) -> str:
        kind = f"<{count} x i64>"
        one = self._value(f"insertelement {kind} poison, i64 {scalar}, i32 0")
        zeros = f"<{count} x i32> zeroinitializer"
        return self._value(f"shufflevector {kind} {one}, {kind} poison, {zeros}")

    def _leave_if(self, condition: str, writes: bool, number: str, offset: str, size: int) -> None:
        self.count += 1
        here = self.count
        self.lines += [
            f"  br i1 {condition}, label %outside{here}, label %inside{here}",
            f"outside{here}:",
            f"  call void @outside(ptr %status, i64 {int(writes)}, i64 {number}, i64 {offset}, i64 {size})",
            "  ret void",
            f"inside{here}:",
        ]


def _unknown(line: str) -> AssertionError:
    return AssertionError(f"an access that is not checked: {line}")


def size_of(kind: str) -> int:
    """The bytes of a type in memory."""
    if kind.startswith("["):
        count, item = kind[1:-1].split(" x ", 1)
        return int(count) * size_of(item)
    if kind.startswith("<"):
        count, item = lanes_of(kind)
        return count * item
    return _ITEMS.get(kind) or -(-int(kind[1:]) // 8)


def lanes_of(kind: str) -> tuple[int, int]:
    """How many elements a vector type has, and the bytes of each."""
    count, item = kind[1:-1].split(" x ")
    return int(count), size_of(item)


def _kind_of(typed: str) -> str:
    """The type at the beginning of a typed value."""
    closing = {"<": ">", "[": "]"}.get(typed[0])
    return typed.split(" ", 1)[0] if closing is None else typed[: typed.index(closing) + 1]


def _active(mask: str) -> list[int]:
    """The lanes that a constant mask lets through."""
    if mask == "zeroinitializer":
        return []
    return [lane for lane, bit in enumerate(mask[1:-1].split(", ")) if bit in ("i1 1", "i1 true")]


def _split(text: str) -> list[str]:
    """Arguments, at commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for position, letter in enumerate(text):
        depth += letter in "<[({"
        depth -= letter in ">])}"
        if letter == "," and not depth:
            parts.append(text[start:position].strip())
            start = position + 1
    return [*parts, text[start:].strip()]

"""Chains: kernels that follow each other on each chunk, while what one wrote is in the cache for the next.

Knows kernels, the buffers they touch and which part of these belongs to a chunk; knows nothing of what they
compute. A convolution, the sums of its result and the pooling of it run over the same images: chained, each
thread takes some images through all of them, and the images in between are read from the cache and not from
memory. What a chunk touches must be apart from what the other chunks write, in any link, so the order in
which chunks run does not matter. Kernels that are in the way are moved before the chain, if they can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from boxgrad.engines.native.ir import Function
from boxgrad.engines.native.layout import Home, Value
from boxgrad.engines.native.steps import HEAD, Fallback, Kernel, Part, Step, parts_of

WORTH = 1 << 18
"""Bytes that two kernels have in common, for which a chain is made."""
MOST_LINKS = 6
FARTHEST = 12
"""How many steps a kernel is moved to its chain."""


def chained(steps: Sequence[Step]) -> list[Step]:
    """The steps with kernels joined to chains."""
    result: list[Step] = []
    for step in steps:
        if not (isinstance(step, Kernel) and _fits(step) and _attach(result, step)):
            result.append(step)
    return result


def caller(chain: Kernel) -> Function:
    """The function of a chain: its kernels in order, each with its part of the table."""
    f = Function(f"{chain.function.name}_chain", HEAD)
    first = 0
    for link in chain.links:
        table = f.at("%table", 16 * first)
        f.do(
            f"call void @{link.function.name}(ptr %slots, ptr {table}, i64 %chunk, i64 %chunks, ptr %status, "
            "ptr %clock)"
        )
        first += len(link.values)
    return f


def _attach(steps: list[Step], kernel: Kernel) -> bool:
    """Add a kernel to a chain among the last steps; those in the way go before the chain."""
    before: list[Step] = []
    after: list[Step] = []
    for distance, other in enumerate(reversed(steps)):
        if distance == FARTHEST or isinstance(other, Fallback):
            return False
        blocked = any(_meet(other, step) for step in before)
        free = not blocked and not any(_meet(step, kernel) for step in after)
        if free and isinstance(other, Kernel) and _fits(other) and _continues(other, kernel):
            steps[len(steps) - distance - 1 :] = [*reversed(before), _joined(other, kernel), *reversed(after)]
            return True
        (before if blocked or _meet(other, kernel) else after).append(other)
    return False


def _fits(kernel: Kernel) -> bool:
    """Whether it is known what each chunk touches, and nobody outside wants the results."""
    own = all(value.buffer.home in (Home.ARENA, Home.FIXED, Home.WORD) for value in kernel.writes)
    return kernel.chunks > 1 and bool(kernel.parts) and own


def _touched(step: Step) -> tuple[set[int], set[int]]:
    """The buffers that a step reads, and those that it writes."""
    parts = (step, *parts_of(step))
    reads = {id(v.buffer.host) for part in parts for v in part.reads if isinstance(v, Value)}
    return reads, {id(v.buffer.host) for part in parts for v in part.writes}


def _meet(first: Step, second: Step) -> bool:
    """Whether the order of two steps matters."""
    reads, writes = _touched(first)
    others, written = _touched(second)
    return bool(writes & (others | written) or reads & written)


def _continues(chain: Kernel, kernel: Kernel) -> bool:
    """Whether a kernel reads what a chain wrote, chunk by chunk."""
    links = chain.links or (chain,)
    if chain.chunks != kernel.chunks or len(links) >= MOST_LINKS:
        return False
    written = {id(v.buffer): v.buffer for link in links for v in link.writes}
    common = sum(v.buffer.bytes for v in kernel.reads if id(v.buffer) in written)
    return common >= WORTH and all(_apart(link, kernel) for link in links)


def _apart(first: Kernel, second: Kernel) -> bool:
    """Whether no chunk of one kernel touches what another chunk of the other one writes."""
    written = {id(v.buffer) for v in (*first.writes, *second.writes)}
    return all(
        part is not None and piece is not None and _in_turn(value, part, other, piece, first.chunks)
        for value, part in zip(first.values, first.parts, strict=True)
        for other, piece in zip(second.values, second.parts, strict=True)
        if value.buffer is other.buffer and id(value.buffer) in written
    )


def _in_turn(value: Value, part: Part, other: Value, piece: Part, chunks: int) -> bool:
    """Whether the spans of two values move on together, each chunk's behind those of the chunk before."""
    if min(*value.strides, *other.strides, 0) < 0:
        return False
    spans = [(part.span(value, c, chunks), piece.span(other, c, chunks)) for c in range(chunks)]
    return all(max(a[1], b[1]) < min(after[0], later[0]) for (a, b), (after, later) in pairwise(spans))


def _joined(chain: Kernel, kernel: Kernel) -> Kernel:
    links = (*(chain.links or (chain,)), kernel)
    return Kernel(
        " → ".join(link.label for link in links),
        links[0].function,
        tuple(v for link in links for v in link.values),
        tuple(v for link in links for v in link.reads),
        tuple(v for link in links for v in link.writes),
        kernel.chunks,
        tuple(box for link in links for box in link.boxes),
        sum(link.flops for link in links),
        may_fail=any(link.may_fail for link in links),
        parts=tuple(part for link in links for part in link.parts),
        links=links,
    )

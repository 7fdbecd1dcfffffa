"""What lies in memory at the moment when most does: which kernels made it, and which read it last.

Knows steps and when their buffers are touched; knows nothing of where these lie.
"""

from __future__ import annotations

from collections.abc import Sequence

from boxgrad.engines.engine import Held
from boxgrad.engines.native.layout import Home, Value
from boxgrad.engines.native.plan import held_by, lives_of
from boxgrad.engines.native.steps import Kernel, Step, parts_of


def held(steps: Sequence[Step]) -> tuple[Held, ...]:
    """The buffers that live when those that live are most bytes, the largest first."""
    found, _ = lives_of(steps)
    lives = [life for life in found.values() if life[0].home in (Home.ARENA, Home.FIXED)]
    if not lives:
        return ()
    amounts = held_by(lives)
    fullest = amounts.index(max(amounts))
    makers: dict[int, str] = {}
    readers: dict[int, str] = {}
    for part in (part for step in steps for part in parts_of(step)):
        for link in (part.links or (part,)) if isinstance(part, Kernel) else (part,):
            for value in link.reads:
                if isinstance(value, Value):
                    readers[id(value.buffer.host)] = link.label
            for value in link.writes:
                host = id(value.buffer.host)
                # Who writes a border is not the maker of the image.
                if makers.get(host, "border") == "border":
                    makers[host] = link.label
    rows = [
        Held(makers.get(id(buffer), ""), readers.get(id(buffer), ""), buffer.bytes)
        for buffer, first, last in lives
        if first <= fullest <= last
    ]
    return tuple(sorted(rows, key=lambda row: -row.bytes))

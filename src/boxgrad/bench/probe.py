"""How fast the machine is right now, so that a slow moment is not mistaken for slow code.

Knows two rates, the processor's floating-point peak and the speed of a plain Python loop, and how to tell
good samples from bad ones; knows nothing of what is being measured.

A virtual machine has phases: its processors may share a core with each other or with somebody else's work.
``Bracketed`` probes the machine before and after each block of samples. The *usual* rates of a run are those
that nine of ten probes stay below: the very best is not taken, for one lucky reading would make all others
look slow. A block is *slow* where a probe beside it falls short of the usual by more than a fifth, or where
(on Linux, which counts it) its threads waited for a processor for more than a tenth of the time that they
wanted one, because others had it: so a run that is disturbed from beginning to end is known too. The machine
is in a *good phase* where at least half of the blocks are not slow. Medians of times are taken over the
blocks that are not slow where there are any, medians of ratios over the pairs of neighbours of which neither
is slow where there are three.

    python -m boxgrad.bench.probe         # print both rates twice a second
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from boxgrad.bench.peak import peak

SLACK = 0.2
"""How far a probe may fall short of the usual before its block counts as slow."""
WAITING = 0.1
"""The share of the time that threads may wait for a processor before their block counts as slow."""
USUAL = 0.9
"""The share of a run's probes that stay below the usual rates."""
PAIRS = 3
"""How many pairs of good blocks are enough to leave out the others."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One probe: billions of floating-point operations, and millions of loop steps, per second."""

    gflops: float
    loops: float

    def relative_to(self, usual: Reading) -> float:
        """The lower of both rates as a share of the usual."""
        return min(self.gflops / usual.gflops, self.loops / usual.loops)


def _loop() -> None:
    total = 0
    for i in range(20_000):
        total += i & 3


def _rate(work: Callable[[], None], amount: float, seconds: float) -> float:
    """The median rate of some work that is repeated for a while; the first repetition warms up."""
    work()
    rates: list[float] = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        work()
        rates.append(amount / (time.perf_counter() - start))
    return statistics.median(rates)


def probe(threads: int = 2, seconds: float = 0.03) -> Reading:
    """Measure both rates now, about ``seconds`` of each; the peak with as many threads as are measured."""
    return Reading(peak(threads, seconds / 3), _rate(_loop, 20_000 / 1e6, seconds))


@dataclass(slots=True)
class Block:
    """Samples of one subject, in seconds, with the probes around them."""

    subject: str
    samples: list[float]
    before: Reading
    after: Reading
    waiting: float = 0.0
    """For what share of the time that threads wanted a processor they had none."""


@dataclass(slots=True)
class Summary:
    """What a subject took, in seconds."""

    median: float
    low: float
    high: float
    samples: int
    slow: int
    """How many further samples were left out because the machine was slow."""


@dataclass(slots=True)
class Bracketed:
    """Blocks of samples of several subjects, each between two probes.

    Args:
        gap: seconds of rest before a probe. Thread pools of two libraries fight while the one that has
            just worked still spins for more; after a fifth of a second all of them are asleep.
        threads: how many threads the subjects use.
    """

    gap: float = 0.2
    threads: int = 2
    blocks: list[Block] = field(default_factory=list)

    def measure(self, subject: str, work: Callable[[], None], repeat: int, warm: int = 1) -> None:
        """Add a block: ``warm`` calls that are not timed, then ``repeat`` that are."""
        time.sleep(self.gap)
        before = probe(self.threads)
        time.sleep(self.gap)
        for _ in range(warm):
            work()
        samples: list[float] = []
        ran, waited = _scheduled()
        for _ in range(repeat):
            start = time.perf_counter()
            work()
            samples.append(time.perf_counter() - start)
        ran, waited = (max(0, now - then) for now, then in zip(_scheduled(), (ran, waited), strict=True))
        time.sleep(self.gap)
        waiting = waited / max(1, ran + waited)
        self.blocks.append(Block(subject, samples, before, probe(self.threads), waiting))

    @property
    def usual(self) -> Reading:
        """Of each rate what the machine reaches when nothing disturbs it."""
        readings = [reading for block in self.blocks for reading in (block.before, block.after)]
        return Reading(_usual([r.gflops for r in readings]), _usual([r.loops for r in readings]))

    def is_slow(self, block: Block) -> bool:
        """Whether the machine was slow before or after a block, or others had it meanwhile."""
        usual = self.usual
        return (
            block.waiting > WAITING
            or min(block.before.relative_to(usual), block.after.relative_to(usual)) < 1 - SLACK
        )

    def summary(self, subject: str) -> Summary:
        """Median and quartiles over the good blocks of a subject, or over all if none is good."""
        mine = [block for block in self.blocks if block.subject == subject]
        good = [block for block in mine if not self.is_slow(block)]
        samples = [sample for block in good or mine for sample in block.samples]
        dropped = sum(len(block.samples) for block in mine) - len(samples) if good else len(samples)
        low, median, high = quartiles(samples)
        return Summary(median, low, high, len(samples), dropped)

    def peak(self, subject: str) -> float:
        """The median of the floating-point peaks around a subject's good blocks, in GFLOP/s."""
        mine = [block for block in self.blocks if block.subject == subject]
        good = [block for block in mine if not self.is_slow(block)]
        return statistics.median(
            reading.gflops for block in good or mine for reading in (block.before, block.after)
        )

    def ratio(self, subject: str, other: str) -> float:
        """The median of the ratios of neighbouring blocks: what both lived through cancels out."""
        mine = [block for block in self.blocks if block.subject == subject]
        others = [block for block in self.blocks if block.subject == other]
        pairs = list(zip(mine, others, strict=True))
        good = [pair for pair in pairs if not any(map(self.is_slow, pair))]
        chosen = good if len(good) >= PAIRS else pairs
        return statistics.median(
            statistics.median(a.samples) / statistics.median(b.samples) for a, b in chosen
        )


def _scheduled() -> tuple[int, int]:
    """Nanoseconds for which this process's threads ran, and waited for a processor; 0 where unknown."""
    ran = waited = 0
    for file in Path("/proc/self/task").glob("*/schedstat"):
        with suppress(OSError, ValueError):  # a thread may have ended meanwhile
            first, second, _ = map(int, file.read_text(encoding="ascii").split())
            ran, waited = ran + first, waited + second
    return ran, waited


def _usual(rates: Sequence[float]) -> float:
    return sorted(rates)[int(USUAL * (len(rates) - 1))]


def quartiles(samples: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(samples) < 2:
        return (samples[0],) * 3
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return low, median, high


def main() -> None:
    """Print the two rates until interrupted."""
    try:
        while True:
            reading = probe()
            print(f"{reading.gflops:7.1f} GFLOP/s   {reading.loops:6.1f} M loop steps/s", flush=True)
            time.sleep(0.5)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()

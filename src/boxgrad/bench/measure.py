"""One model against its peers: the same weights, the same losses, alternating blocks between probes.

Knows steps and clocks; knows nothing of how figures are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from boxgrad.bench import torch_peer
from boxgrad.bench.flops import flops
from boxgrad.bench.models import CASES, Step
from boxgrad.bench.probe import Bracketed
from boxgrad.bench.steps import Maker, boxgrad_step, is_installed
from boxgrad.engines.native.pool import num_threads, set_num_threads
from boxgrad.errors import BoxgradError, message

CHECKED = 5
"""Steps over which the losses are compared."""
TOLERANCE = 1e-4
"""By how much the first losses may differ, relative to them: float32's rounding."""
APART = 0.1
"""By how much later ones may: Adam's first steps have the same length whether a gradient is large or all
rounding, so small differences do not stay small. The table and the file say what they are."""
OURS = "boxgrad"


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of a model; times are medians in milliseconds.

    ``ratio`` is the best peer's time over ours, the median over neighbouring blocks; ``gflops`` counts
    products and convolutions; ``probe`` is the peak of the machine in GFLOP/s while ours ran; ``slow`` counts
    blocks in which the machine was slower than usual (see ``probe``), left out where there are others.
    ``losses`` are ours over the first steps, ``differences`` by how much those of each peer differ, relative
    to the first.
    """

    model: str
    ours_ms: float
    peers: Mapping[str, float]
    ratio: float | None
    ratios: Mapping[str, float]
    gflops: float | None
    peak_fraction: float | None
    probe: float
    losses: tuple[float, ...]
    differences: Mapping[str, float]
    slow: int
    blocks: int

    @property
    def good_phase(self) -> bool:
        """Whether at least half of the blocks are not slow."""
        return 2 * self.slow <= self.blocks

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON has them."""
        return {name: getattr(self, name) for name in (*self.__slots__, "good_phase")}


@contextmanager
def threads_of(count: int) -> Iterator[None]:
    """All libraries use ``count`` threads meanwhile."""
    before = num_threads()
    set_num_threads(count)
    if is_installed("torch"):
        torch_peer.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        set_num_threads(before)


def measure_model(
    name: str, peers: Mapping[str, Maker], engine: str, threads: int, rounds: int, say: Callable[[str], None]
) -> Figures:
    """Measure one of the five models.

    Raises:
        BoxgradError: a peer computes another loss, so that the comparison would mean nothing.
    """
    case = CASES[name]
    state = case.state()
    own, compiled = boxgrad_step(case, state, engine)
    steps: dict[str, Step] = {OURS: own}
    for peer, make in peers.items():
        say(f"{name}: preparing {peer}")
        steps[peer] = make(case, state)
    losses, differences = _compared(name, steps)
    return _timed(name, steps, case.block, flops(compiled.graph), threads, rounds, losses, differences)


def measure_steps(
    name: str, steps: Mapping[str, Step], work: int | None, threads: int, rounds: int
) -> Figures:
    """Measure somebody's own step, given under the name ``boxgrad``, beside others of their own."""
    return _timed(name, steps, None, work, threads, rounds, (), {})


def _compared(name: str, steps: Mapping[str, Step]) -> tuple[tuple[float, ...], dict[str, float]]:
    losses = {library: [float(step()) for _ in range(CHECKED)] for library, step in steps.items()}
    expected = np.array(losses[OURS])
    apart = {library: np.abs(np.array(v) - expected) / abs(expected[0]) for library, v in losses.items()}
    worst = max(float(np.max(values)) for values in apart.values())
    if not (all(values[0] <= TOLERANCE for values in apart.values()) and worst <= APART):
        rows = "; ".join(f"{library} {', '.join(f'{v:.6f}' for v in row)}" for library, row in losses.items())
        raise BoxgradError(
            message(
                f"{name}: the losses of the first {CHECKED} steps differ by {worst:.1e} ({rows})",
                "a step that computes something else would be timed for nothing",
                "the same versions as in the documentation; please report it",
            )
        )
    return tuple(losses[OURS]), {peer: float(np.max(v)) for peer, v in apart.items() if peer != OURS}


def _timed(
    name: str,
    steps: Mapping[str, Step],
    block: int | None,
    work: int | None,
    threads: int,
    rounds: int,
    losses: tuple[float, ...],
    differences: Mapping[str, float],
) -> Figures:
    record = Bracketed(threads=threads)
    for _ in range(rounds):
        for library, step in steps.items():
            count = block or 5
            record.measure(library, step, count, warm=max(1, count // 10))
    summary = {library: record.summary(library).median for library in steps}
    ratios = {library: 1 / record.ratio(OURS, library) for library in steps if library != OURS}
    best = min(ratios, key=lambda library: summary[library], default=None)
    rate = work / summary[OURS] / 1e9 if work else None
    probe = record.peak(OURS)
    return Figures(
        model=name,
        ours_ms=summary[OURS] * 1e3,
        peers={library: summary[library] * 1e3 for library in ratios},
        ratio=None if best is None else ratios[best],
        ratios=ratios,
        gflops=rate,
        peak_fraction=None if rate is None else rate / probe,
        probe=probe,
        losses=losses,
        differences=differences,
        slow=sum(map(record.is_slow, record.blocks)),
        blocks=len(record.blocks),
    )

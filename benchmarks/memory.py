"""The most memory that a training step holds, beside PyTorch's: the peak of the resident set.

Each library trains each model in a process of its own. *Before* is the resident memory once the library is
imported and started (a step of a model of one layer), and weights and batch are made. The kernel's record of
the highest resident memory (``VmHWM``) is then set back (``/proc/self/clear_refs``), and read again:

first   what the first step adds to *before* at its highest, with tracing and compiling
step    what later steps add to *before* at their highest: activations, gradients, the optimiser's state, and
        what a library keeps
whole   the highest resident memory of the process in later steps, the library itself included

boxgrad compiles anew (``boxgrad``), or takes its code from the cache (``boxgrad-cached``).

Linux only.

    python benchmarks/memory.py [MODEL ...] [--against torch,jax] [--steps 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import models
from boxgrad.bench import torch_peer
from boxgrad.bench.measure import OURS
from boxgrad.bench.models import CASES, Case, Step
from boxgrad.bench.steps import State, boxgrad_step, is_installed, peers_named
from boxgrad.engines.native.pool import set_num_threads

CACHED = f"{OURS}-cached"
_STATUS = Path("/proc/self/status")
_SET_BACK = "5"
"""What is written to ``clear_refs`` to set the record of the highest resident memory back (man 5 proc)."""


def resident(field: str) -> int:
    """Bytes of resident memory: now (``VmRSS``), or the most since the record was set back (``VmHWM``)."""
    found = re.search(rf"{field}:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"))
    assert found is not None
    return 1024 * int(found[1])


def highest(run: Callable[[], Any]) -> int:
    """The most resident memory during a call."""
    Path("/proc/self/clear_refs").write_text(_SET_BACK, encoding="ascii")
    run()
    return resident("VmHWM")


def start(library: str) -> None:
    """Let a library load what it loads when it is first used: by a step of a model of one small layer."""
    tiny = Case((("Linear", (1, 10), {}),), (1,), 1)
    _step(tiny, tiny.state(), library)()


def _step(case: Case, state: State, library: str) -> Step:
    if library in (OURS, CACHED):
        return boxgrad_step(case, state, "native")[0]
    return peers_named(library)[library](case, state)


def measured(name: str, library: str, steps: int, threads: int) -> dict[str, int]:
    """The figures of one library, in bytes; for a process in which nothing else has happened."""
    case = CASES[name]
    state = case.state()
    if library.startswith("torch"):
        torch_peer.set_num_threads(threads)
    set_num_threads(threads)
    start(library)
    step = _step(case, state, library)
    before = resident("VmRSS")
    first = highest(lambda: float(step()))
    for _ in range(2):
        step()
    later = highest(lambda: [float(step()) for _ in range(steps)])
    return {"before": before, "first": first - before, "step": later - before, "whole": later}


def in_a_process(name: str, library: str, options: argparse.Namespace, cache: str) -> dict[str, int]:
    """The same, in a fresh process; boxgrad's cache is that folder."""
    arguments = ["--one", library, "--steps", str(options.steps), "--threads", str(options.threads), name]
    return models.in_a_process(__file__, arguments, cache, f"{library} did not train {name}")


def main() -> None:
    """Measure, print, write JSON if asked."""
    parser = models.arguments(__doc__)
    parser.add_argument("--against", metavar="PEERS", help="as of boxgrad bench; PyTorch if it is installed")
    parser.add_argument("--steps", type=int, default=5, help="steps after the first three")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", metavar="LIBRARY", help=argparse.SUPPRESS)
    options = models.parsed(parser)
    if options.one:
        print(json.dumps(measured(options.models[0], options.one, options.steps, options.threads)))
        return
    against = "torch" if options.against is None and is_installed("torch") else options.against or ""
    results: dict[str, dict[str, dict[str, int]]] = {}
    print(f"{'MB':<14}{'':<16}" + "".join(f"{kind:>10}" for kind in ("before", "first", "step", "whole")))
    for name in options.models:
        results[name] = {}
        with tempfile.TemporaryDirectory() as cache:
            for library in (OURS, CACHED, *peers_named(against)):
                taken = results[name][library] = in_a_process(name, library, options, cache)
                row = "".join(f"{value / 1e6:>10.1f}" for value in taken.values())
                print(f"{name if library == OURS else '':<14}{library:<16}{row}", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

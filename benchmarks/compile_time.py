"""How long the first call of a training step takes: trace, derive, compile; without the cache and with it.

Each figure is of a fresh process; the time of one step, measured after it, is taken off. ``llvm`` is the
import and start of LLVM, once in a process; ``trace`` is tracing and deriving; ``write`` from graph to LLVM's
text; ``machine code`` is LLVM's share, or loading from the cache.

    python benchmarks/compile_time.py [MODEL ...] [--runs 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import models
from boxgrad.bench.models import CASES
from boxgrad.bench.steps import boxgrad_step
from boxgrad.engines.native import engine, jit
from boxgrad.engines.native.machine import host
from boxgrad.engines.native.pool import pool

GOALS = {("lenet", "new"): 1.0, ("lenet", "cached"): 0.15}
"""Seconds."""
PARTS = ("llvm", "trace", "write", "machine code", "all")


def watched(owner: Any, name: str, times: dict[str, float]) -> None:
    """Add up how long calls of a function take."""
    function: Callable[..., Any] = getattr(owner, name)

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            times[name] = times.get(name, 0.0) + time.perf_counter() - start

    setattr(owner, name, timed)


def measured(name: str) -> dict[str, float]:
    """The seconds of each part, for a process in which nothing was compiled."""
    case = CASES[name]
    step, _ = boxgrad_step(case, case.state(), "native")
    times: dict[str, float] = {}
    start = time.perf_counter()
    host()
    pool()
    llvm = time.perf_counter() - start
    watched(jit, "compiled", times)
    watched(engine, "built", times)
    start = time.perf_counter()
    step()
    first = time.perf_counter() - start
    start = time.perf_counter()
    step()
    whole = first - (time.perf_counter() - start)
    return {
        "llvm": llvm,
        "trace": whole - times["built"],
        "write": times["built"] - times["compiled"],
        "machine code": times["compiled"],
        "all": llvm + whole,
    }


def main() -> None:
    """Measure, print, write JSON if asked."""
    parser = models.arguments(__doc__)
    parser.add_argument("--runs", type=int, default=3, help="fresh processes of each kind")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = models.parsed(parser)
    if options.one:
        print(json.dumps(measured(options.models[0])))
        return
    results: dict[str, dict[str, dict[str, float]]] = {}
    print(f"{'seconds':<14}{'':<8}" + "".join(f"{part:>14}" for part in PARTS))
    for name in options.models:
        runs: dict[str, list[dict[str, float]]] = {"new": [], "cached": []}
        for _ in range(options.runs):
            with tempfile.TemporaryDirectory() as cache:
                for row in runs.values():
                    row.append(
                        models.in_a_process(__file__, ["--one", name], cache, f"{name} was not compiled")
                    )
        results[name] = {}
        for kind, rows in runs.items():
            medians = {part: statistics.median(row[part] for row in rows) for part in PARTS}
            results[name][kind] = medians
            goal = GOALS.get((name, kind))
            line = f"{name if kind == 'new' else '':<14}{kind:<8}"
            line += "".join(f"{medians[part]:>14.3f}" for part in PARTS)
            print(line + (f"   (goal ≤ {goal})" if goal else ""), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

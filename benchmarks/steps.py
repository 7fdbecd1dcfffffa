"""Whole training steps (forward, backward, Adam) of five models: boxgrad's NumPy engine and PyTorch.

Both libraries get the same weights and the same batch, and their losses over the first steps must agree
to float32 accuracy before anything is timed. Then blocks of steps alternate in one process, each between
two probes of the machine (``probe.py``) and after a rest in which the other library's threads fall asleep;
the ratio is the median over neighbouring blocks. The mlp is also written by hand in NumPy.

    python benchmarks/steps.py [--models mlp lenet] [--rounds 8] [--json FILE]

Needs: boxgrad, torch. Two threads each; OPENBLAS_NUM_THREADS and OMP_NUM_THREADS change that.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from typing import Any

# Both libraries get the same number of threads, which NumPy's BLAS reads when it is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import torch

from models import CASES, boxgrad_step, by_hand_step, torch_step, weights
from probe import Bracketed

GOALS = {("mlp", "by hand"): 1.5, ("lenet", "torch"): 4.0}
"""What boxgrad's time may be at most, as a multiple of the other's."""

CHECKED = 5
"""Steps over which the losses are compared."""

TOLERANCE = 1e-4
"""float32's rounding, after a few steps of Adam have spread it: Adam's first steps have the same length
whether a gradient is large or all rounding, so that small differences do not stay small."""


def compare(name: str, steps: dict[str, Any]) -> tuple[list[float], float]:
    """The losses of the first steps, and by how much the libraries differ, relative to the first loss.

    They must agree: a step that computes something else would be timed for nothing.
    """
    losses = {library: [float(step()) for _ in range(CHECKED)] for library, step in steps.items()}
    expected = np.array(losses["torch"])
    worst = max(float(np.max(np.abs(values - expected)) / expected[0]) for values in losses.values())
    if not worst <= TOLERANCE:
        sys.exit(f"{name}: the losses of the first steps differ by {worst:.1e}: {losses}")
    return losses["boxgrad"], worst


def run(name: str, rounds: int) -> dict[str, Any]:
    """Measure one model; returns its figures."""
    case = CASES[name]
    state = weights(case)
    makers = {"boxgrad": boxgrad_step, "torch": torch_step}
    if name == "mlp":
        makers["by hand"] = by_hand_step
    steps = {library: make(case, state) for library, make in makers.items()}
    losses, difference = compare(name, steps)
    record = Bracketed()
    for _ in range(rounds):
        for library, step in steps.items():
            record.measure(library, step, case.block, warm=max(1, case.block // 10))
    others = [library for library in steps if library != "boxgrad"]
    return {
        "model": name,
        "losses": losses,
        "largest_difference_of_losses": difference,
        "seconds": {library: asdict(record.summary(library)) for library in steps},
        "ratios": {library: record.ratio("boxgrad", library) for library in others},
        "slow_blocks": sum(map(record.is_slow, record.blocks)),
        "blocks": len(record.blocks),
        "best_probe": asdict(record.best),
    }


def report(figures: dict[str, Any]) -> None:
    """Print the rows of a model."""
    name = figures["model"]
    for library, taken in figures["seconds"].items():
        row = f"{name:<12}{library:<10}{taken['median'] * 1e3:>10.2f} ms"
        row += f"   {taken['low'] * 1e3:>8.2f} to {taken['high'] * 1e3:.2f}"
        ratio = figures["ratios"].get(library)
        if ratio is not None:
            row += f"   boxgrad takes {ratio:.2f} ×"
            goal = GOALS.get((name, library))
            row += f" (goal ≤ {goal})" if goal else ""
        print(row)
    best = figures["best_probe"]
    print(
        f"{'':<12}losses {figures['losses'][0]:.4f} … {figures['losses'][-1]:.4f} agree to "
        f"{figures['largest_difference_of_losses']:.0e}; "
        f"{figures['slow_blocks']} of {figures['blocks']} blocks slow; "
        f"best probe {best['gflops']:.0f} GFLOP/s, {best['loops']:.0f} M loops/s",
        flush=True,
    )


def main() -> None:
    """Measure, print a table, write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--models", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=8, help="blocks of each library for each model")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    threads = int(os.environ["OMP_NUM_THREADS"])
    torch.set_num_threads(threads)
    figures = []
    for name in options.models:
        figures.append(run(name, options.rounds))
        report(figures[-1])
    if options.json:
        record = {"threads": threads, "torch": torch.__version__, "models": figures}
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)


if __name__ == "__main__":
    main()

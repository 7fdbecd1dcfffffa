"""The mlp's training step by boxgrad's NumPy engine, and the same step written by hand in NumPy.

What tracing and a graph cost where nothing is fused: the hand-written step is what one would write without
boxgrad. Whole models against other libraries are measured by ``boxgrad bench``.

    python benchmarks/steps.py [--rounds 8] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from boxgrad.bench.measure import OURS, Figures, measure_steps, threads_of
from boxgrad.bench.models import CASES, LEARNING_RATE, Case
from boxgrad.bench.steps import boxgrad_step

GOAL = 1.5
"""What the NumPy engine's time may be at most, as a multiple of the hand-written step's."""
Step = Callable[[], Any]


def by_hand_step(case: Case, state: Mapping[str, np.ndarray]) -> Step:
    """The mlp's step as one would write it in NumPy: the chain rule by hand, Adam in place."""
    state = {name: value.copy() for name, value in state.items()}
    W1, b1, W2, b2, W3, b3 = parameters = list(state.values())
    first = [np.zeros_like(p) for p in parameters]
    second = [np.zeros_like(p) for p in parameters]
    x, y = case.data()
    rows = np.arange(len(y))
    count = 0

    def step() -> Any:
        nonlocal count
        # forward
        h1 = np.tanh(x @ W1.T + b1)
        h2 = np.tanh(h1 @ W2.T + b2)
        scores = h2 @ W3.T + b3
        shifted = scores - scores.max(axis=1, keepdims=True)
        exponentials = np.exp(shifted)
        sums = exponentials.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(sums[:, 0]) - shifted[rows, y])
        # backward
        d3 = exponentials / sums
        d3[rows, y] -= 1
        d3 /= len(y)
        d2 = (d3 @ W3) * (1 - h2 * h2)
        d1 = (d2 @ W2) * (1 - h1 * h1)
        gradients = d1.T @ x, d1.sum(axis=0), d2.T @ h1, d2.sum(axis=0), d3.T @ h2, d3.sum(axis=0)
        # Adam
        count += 1
        rate = LEARNING_RATE / (1 - 0.9**count)
        root = (1 - 0.999**count) ** 0.5
        for p, g, m, v in zip(parameters, gradients, first, second, strict=True):
            m *= 0.9
            m += 0.1 * g
            v *= 0.999
            v += 0.001 * g * g
            p -= rate * m / (np.sqrt(v) / root + 1e-8)
        return loss

    return step


def main() -> None:
    """Measure, print, write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=8, help="blocks of each")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    case = CASES["mlp"]
    state = case.state()
    with threads_of(options.threads):
        steps = {OURS: boxgrad_step(case, state, "numpy")[0], "by hand": by_hand_step(case, state)}
        losses = [[float(step()) for _ in range(5)] for step in steps.values()]
        if not np.allclose(*losses, rtol=1e-4):
            sys.exit(f"the losses of the first steps differ: {losses}")
        figures: Figures = measure_steps("mlp", steps, None, options.threads, options.rounds)
    times = 1 / figures.ratios["by hand"]
    print(
        f"boxgrad's NumPy engine {figures.ours_ms:.3f} ms, by hand {figures.peers['by hand']:.3f} ms: "
        f"{times:.2f} × (goal ≤ {GOAL}); {figures.slow} of {figures.blocks} blocks slow"
    )
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(asdict(figures), file, indent=1)


if __name__ == "__main__":
    main()

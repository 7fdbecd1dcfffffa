"""How long an explanation takes: LeNet, a recurrent network of 200 steps as a Python loop, and as a scan.

Measured are the explanation with its three views made, and then the page with all its drawings; each in a
fresh process, as a user meets it, without the imports. Wall-clock time depends on what else the machine does,
so the processor's time is given beside it; medians of several runs, with quartiles.

    python benchmarks/explain_time.py [--runs 7] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import boxgrad as bg
from boxgrad import nn
from boxgrad.bench.probe import quartiles

GOALS = {"lenet": 2.0, "rnn loop": 5.0}
"""Seconds for the three views."""
PAGE = 2_000_000
"""Bytes of LeNet's page, at the most."""
STEPS = 200


def lenet() -> tuple[Callable[..., Any], list[Any]]:
    """LeNet-5 with its loss, on a small batch."""
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2, seed=0), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5, seed=1), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120, seed=2), nn.Tanh(), nn.Linear(120, 84, seed=3), nn.Tanh(),
        nn.Linear(84, 10, seed=4),
    )  # fmt: skip
    x = np.random.default_rng(0).random((2, 1, 28, 28), np.float32)

    def loss(model: Any, x: Any, y: Any) -> Any:
        return nn.cross_entropy(model(x), y)

    return loss, [model, x, np.array([3, 7])]


def arguments() -> list[Any]:
    """A state, 200 inputs, two matrices."""
    normal = np.random.default_rng(0).normal
    sizes = ((4, 8), (STEPS, 4, 3), (8, 8), (3, 8))
    return [0.5 * normal(size=size) for size in sizes]


def rnn_loop() -> tuple[Callable[..., Any], list[Any]]:
    """200 steps as a Python loop: thousands of values and gradients."""

    def loss(h: Any, xs: Any, U: Any, V: Any) -> Any:
        for x in xs:
            h = np.tanh(h @ U + x @ V)
        return np.sum(h**2)

    return loss, arguments()


def rnn_scan() -> tuple[Callable[..., Any], list[Any]]:
    """The same as a scan, which the page can unroll."""

    def loss(h: Any, xs: Any, U: Any, V: Any) -> Any:
        def cell(h: Any, x: Any) -> Any:
            h = np.tanh(h @ U + x @ V)
            return h, h

        last, states = bg.scan(cell, h, xs)
        return np.sum(last**2) + np.sum(states)

    return loss, arguments()


CASES = {"lenet": lenet, "rnn loop": rnn_loop, "rnn scan": rnn_scan}


def measure(name: str) -> dict[str, float]:
    """One explanation: seconds by the wall and of the processor, for the views and for the page."""
    function, args = CASES[name]()
    np.ones((64, 64)) @ np.ones((64, 64))  # BLAS starts its threads
    found: dict[str, float] = {}
    wall, processor = time.perf_counter(), time.process_time()
    explanation = bg.explain(function, *args)
    views = explanation.math, explanation.diagram.svg, explanation.code
    assert all(views)
    found["views wall"], found["views cpu"] = time.perf_counter() - wall, time.process_time() - processor
    wall, processor = time.perf_counter(), time.process_time()
    page = explanation.page
    found["page wall"], found["page cpu"] = time.perf_counter() - wall, time.process_time() - processor
    found["bytes"] = len(page.encode())
    return found


def fresh(name: str) -> dict[str, float]:
    """One measurement in an interpreter of its own."""
    command = [sys.executable, __file__, "--one", name]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure, print, write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=7, help="measurements of each")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--one", metavar="CASE", choices=CASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in CASES}
    for _ in range(options.runs):
        for name in CASES:
            runs[name].append(fresh(name))
    print("seconds     views: wall     cpu (quartiles)       page: wall     cpu       page")
    for name, each in runs.items():
        low, cpu, high = quartiles([run["views cpu"] for run in each])
        wall, page_wall, page_cpu = (
            quartiles([run[key] for run in each])[1] for key in ("views wall", "page wall", "page cpu")
        )
        size = each[0]["bytes"]
        goal = f"   goal: views ≤ {GOALS[name]:.0f} s" if name in GOALS else ""
        goal += f", page ≤ {PAGE / 1e6:.0f} MB" if name == "lenet" else ""
        print(
            f"{name:10} {wall:12.2f} {cpu:9.2f} ({low:.2f} to {high:.2f}) {page_wall:12.2f} {page_cpu:9.2f} "
            f"{size / 1e6:7.2f} MB{goal}"
        )
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"runs": runs, "goals": GOALS}, file, indent=1)


if __name__ == "__main__":
    main()

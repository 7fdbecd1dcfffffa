"""What a traced operation costs under ``grad``, forward and backward together, on tiny arrays.

Four libraries differentiate the same programs: boxgrad, HIPS autograd, MyGrad and PyTorch, each with its own
functions and arrays, in float64, alternating in one process. An *operation* is one call or operator that
the program's text applies to a traced value, counted by hand and the same for all; the time per operation is
that of a whole gradient, from plain arrays in to plain arrays out (PyTorch and MyGrad: with their own
leaves made before), divided by that count. NumPy alone, forward only, is shown for scale.

    python benchmarks/overhead.py [--rounds 40] [--json FILE]

Needs: numpy, boxgrad, autograd, mygrad, torch (those not installed are left out).
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

# One thread: the arrays have about ten elements. Set before NumPy loads its BLAS.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from boxgrad.bench.probe import SLACK, Reading, probe, quartiles

GOAL = 10.0
"""Microseconds per operation that boxgrad wants to stay below."""

Call = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Program:
    """A function of a namespace (numpy or a library of the same names) and arrays, returning a number.

    It is differentiated with respect to its ``arguments``, which follow its ``constants``; ``operations``
    counts what is applied to traced values in one run.
    """

    name: str
    function: Callable[..., Any]
    constants: tuple[Any, ...]
    arguments: tuple[Any, ...]
    operations: int


# ---- the programs
_LINKS = 15


def chain(xp: Any, x: Any) -> Any:
    """Ten elementwise operations in each link, then a sum."""
    h = x
    for _ in range(_LINKS):
        h = xp.sin(h) * 0.7 + x
        h = xp.tanh(h) - 0.1 * x
        h = xp.exp(-h) + h / 3.0
    return xp.sum(h)


def mlp(xp: Any, x: Any, y: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any) -> Any:
    """Three layers with matrix products over a batch of four, mean squared error: 11 operations."""
    h = xp.tanh(xp.matmul(x, w1) + b1)
    h = xp.tanh(xp.matmul(h, w2) + b2)
    return xp.mean((xp.matmul(h, w3) + b3 - y) ** 2)


def scalar(xp: Any, x: Any) -> Any:
    """Arithmetic on one number: Newton's method for a root, six operations a step."""
    guess = x
    for _ in range(_LINKS):
        guess = 0.5 * (guess + x / guess) - 0.01 * guess * guess
    return guess


_rng = np.random.default_rng(0)
_DATA = _rng.normal(size=(4, 3)), _rng.normal(size=(4, 2))
_WEIGHTS = tuple(_rng.normal(size=size) for size in ((3, 5), (5,), (5, 5), (5,), (5, 2), (2,)))

PROGRAMS = (
    Program("elementwise chain", chain, (), (_rng.normal(size=10),), 10 * _LINKS + 1),
    Program("small mlp", mlp, _DATA, _WEIGHTS, 11),
    Program("scalar", scalar, (), (2.0,), 6 * _LINKS),
)


# ---- the libraries: from a program to a call that computes all its gradients
def _with_numpy(program: Program) -> Call:
    return lambda: program.function(np, *program.constants, *program.arguments)


def _with_boxgrad(program: Program) -> Call:
    bg = importlib.import_module("boxgrad")
    gradient = bg.grad(lambda *args: program.function(np, *program.constants, *args), argnums=_all(program))
    return lambda: gradient(*program.arguments)


def _with_autograd(program: Program) -> Call:
    autograd = importlib.import_module("autograd")
    anp = importlib.import_module("autograd.numpy")
    gradient = autograd.grad(
        lambda *args: program.function(anp, *program.constants, *args), argnum=list(_all(program))
    )
    return lambda: gradient(*program.arguments)


def _with_mygrad(program: Program) -> Call:
    mg = importlib.import_module("mygrad")
    leaves = [mg.tensor(x) for x in program.arguments]

    def run() -> Any:
        program.function(mg, *program.constants, *leaves).backward()
        gradients = [leaf.grad for leaf in leaves]
        for leaf in leaves:
            leaf.null_grad()
        return gradients

    return run


def _with_torch(program: Program) -> Call:
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in program.arguments]
    constants = [torch.tensor(x) for x in program.constants]
    return lambda: torch.autograd.grad(program.function(torch, *constants, *leaves), leaves)


LIBRARIES: dict[str, Callable[[Program], Call]] = {
    "boxgrad": _with_boxgrad,
    "autograd": _with_autograd,
    "mygrad": _with_mygrad,
    "torch": _with_torch,
    "numpy forward": _with_numpy,
}


def _all(program: Program) -> tuple[int, ...]:
    return tuple(range(len(program.arguments)))


# ---- measuring
def check(calls: dict[str, Call], program: Program) -> None:
    """All libraries must agree on the gradients before any is timed."""
    expected = calls["boxgrad"]()
    for name, call in calls.items():
        if name not in ("boxgrad", "numpy forward"):
            for a, b in zip(expected, call(), strict=True):
                np.testing.assert_allclose(a, np.asarray(b), rtol=1e-10, err_msg=f"{name}: {program.name}")


def measure(calls: dict[str, Call], rounds: int) -> tuple[dict[str, list[float]], list[Reading]]:
    """Seconds of a call in each of many short alternating rounds, and the probes between the rounds."""
    inner = {name: max(1, int(0.004 / _once(call))) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    readings = [probe(threads=1, seconds=0.02)]
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(inner[name]):
                call()
            samples[name].append((time.perf_counter() - start) / inner[name])
        readings.append(probe(threads=1, seconds=0.02))
    return samples, readings


def _once(call: Call) -> float:
    for _ in range(5):
        call()
    start = time.perf_counter()
    for _ in range(5):
        call()
    return (time.perf_counter() - start) / 5


def good_rounds(readings: list[Reading]) -> list[int]:
    """The rounds between two good probes; all rounds where there is none. One thread: loops count."""
    best = max(reading.loops for reading in readings)
    quick = [reading.loops > (1 - SLACK) * best for reading in readings]
    good = [i for i in range(len(readings) - 1) if quick[i] and quick[i + 1]]
    return good or list(range(len(readings) - 1))


def main() -> None:
    """Measure, print a table, write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=40, help="alternating rounds of each program")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    record: list[dict[str, Any]] = []
    print(f"{'µs per operation':<20}{'operations':>12}" + "".join(f"{name:>16}" for name in LIBRARIES))
    for program in PROGRAMS:
        calls: dict[str, Call] = {}
        for name, make in LIBRARIES.items():
            try:
                calls[name] = make(program)
            except ModuleNotFoundError as error:
                print(f"  {name} is left out: {error}")
        check(calls, program)
        samples, readings = measure(calls, options.rounds)
        kept = good_rounds(readings)
        row = f"{program.name:<20}{program.operations:>12}"
        for name in LIBRARIES:
            if name not in calls:
                row += f"{'-':>16}"
                continue
            each = [samples[name][i] * 1e6 / program.operations for i in kept]
            low, median, high = quartiles(each)
            row += f"{median:>16.2f}"
            ratio = statistics.median(samples[name][i] / samples["boxgrad"][i] for i in kept)
            record.append(
                {
                    "program": program.name,
                    "operations": program.operations,
                    "library": name,
                    "microseconds_per_operation": median,
                    "quartiles": [low, high],
                    "relative_to_boxgrad": ratio,
                    "rounds": len(kept),
                    "slow_rounds": options.rounds - len(kept),
                }
            )
        print(row + f"   ({options.rounds - len(kept)} slow rounds left out)", flush=True)
    mine = [r["microseconds_per_operation"] for r in record if r["library"] == "boxgrad"]
    print(f"goal: boxgrad ≤ {GOAL} µs; measured {min(mine):.1f} to {max(mine):.1f} µs")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            last = asdict(readings[-1])
            json.dump({"goal": GOAL, "results": record, "probe": last}, file, indent=1)


if __name__ == "__main__":
    main()

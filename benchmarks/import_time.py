"""What ``import boxgrad`` adds to ``import numpy``.

Fresh interpreters import either in turn and tell how long it took; the difference of neighbours is taken,
then its median. Bytecode goes to a temporary folder, for an installed package has it and a working tree may
not; the first run of each, which writes it, does not count.

    python benchmarks/import_time.py [--runs 21] [--slowest 15] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

from boxgrad.bench.probe import quartiles

GOAL = 0.1
"""Seconds."""

_TIMED = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|(\s+)(\S+)")


def fresh(folder: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a fresh interpreter that keeps its bytecode in a folder."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = folder
    return subprocess.run(
        [sys.executable, "-P", *options], env=environment, check=True, capture_output=True, text=True
    )


def seconds(folder: str, module: str) -> float:
    """How long one import takes in a fresh interpreter."""
    return float(fresh(folder, "-c", _TIMED.format(module)).stdout)


def slowest(folder: str, count: int) -> list[tuple[str, float]]:
    """The modules that take longest by themselves when boxgrad is imported after NumPy."""
    times: dict[str, list[float]] = {}
    for _ in range(5):
        lines = fresh(folder, "-X", "importtime", "-c", "import numpy, boxgrad").stderr.splitlines()
        rows = [row for line in lines if (row := _LINE.match(line))]
        first = next(i for i, row in enumerate(rows) if row[4] == "numpy") + 1
        for row in rows[first:]:
            times.setdefault(row[4], []).append(int(row[1]) / 1e6)
    medians = [(name, statistics.median(each)) for name, each in times.items()]
    return sorted(medians, key=lambda pair: -pair[1])[:count]


def main() -> None:
    """Measure, print, write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=21, help="pairs of interpreters")
    parser.add_argument("--slowest", type=int, default=0, metavar="N", help="also list the N slowest modules")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pairs = [
            (seconds(folder, "numpy"), seconds(folder, "numpy, boxgrad")) for _ in range(options.runs + 1)
        ][1:]
        modules = slowest(folder, options.slowest) if options.slowest else []
    _, alone, _ = quartiles([pair[0] for pair in pairs])
    low, added, high = quartiles([pair[1] - pair[0] for pair in pairs])
    print(f"import numpy           {alone:.3f} s")
    print(f"import boxgrad adds    {added:.3f} s   (quartiles {low:.3f} to {high:.3f}; goal ≤ {GOAL} s)")
    for name, own in modules:
        print(f"  {own * 1e3:7.2f} ms by itself  {name}")
    if options.json:
        figures = {"numpy": alone, "added": added, "quartiles": [low, high], "goal": GOAL, "modules": modules}
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)


if __name__ == "__main__":
    main()

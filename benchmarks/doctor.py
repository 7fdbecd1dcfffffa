"""How often the gradient doctor finds, names and places a mistake, how often it is wrong, how long it takes.

    python benchmarks/doctor.py [--sample] [--each 2] [--only NAME] [--show] [--json FILE]

planted     mistakes of the catalogue, made in functions of the zoo: ``--each`` so many of each kind in each
            function, drawn at random, or every applicable one
by hand     mistakes written out by hand, without the catalogue
correct     gradients that are right: by boxgrad, by hand, by differences; in double and single precision
time        of one check, of the processor

``--sample`` is a small part of each, for the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

# One thread: the arrays are small. Set before NumPy loads its BLAS.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from planted import CASES, Score, Trial, blind, correct, planted, score
from timed import TIMED, seconds

GOALS = {"detected": 0.99, "reported": 0.99, "box": 0.97, "exact": 0.80, "localised": 0.90, "false alarms": 0}
SAMPLE = (
    "chain_of_three", "new_features", "two_layers", "decayed_softmax", "layer_norm", "conv_2d", "attention",
    "rnn_loop",
)  # fmt: skip
"""Functions of the sample."""


# ---- the trials
def chosen(trials: Sequence[Trial], each: int, random: np.random.Generator) -> list[Trial]:
    """So many trials of each kind, drawn at random; all where ``each`` is 0."""
    if not each:
        return list(trials)
    kinds: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        assert trial.mutation is not None
        kinds[trial.mutation.kind].append(trial)
    return [
        kind[int(i)] for kind in kinds.values() for i in random.permutation(len(kind))[: min(each, len(kind))]
    ]


def run_planted(names: Iterable[str], each: int, show: bool) -> dict[str, Any]:
    """Plant mistakes in functions and look for them."""
    random = np.random.default_rng(0)
    scores: dict[str, list[Score]] = {}
    times: list[float] = []
    left_out: Counter[str] = Counter()
    possible = 0
    for name in names:
        trials, dropped = planted(CASES[name])
        possible += len(trials)
        left_out.update(dropped)
        scores[name] = []
        for trial in chosen(trials, each, random):
            result, took = examined(trial)
            scores[name].append(result)
            times.append(took)
            if show and not result.exact:
                tell(trial, result, took)
    every = [each for found in scores.values() for each in found]
    return {
        "functions": {name: rates(found) for name, found in scores.items()},
        "kinds": {kind: rates(found) for kind, found in by_kind(every).items()},
        "all": rates(every),
        "possible": possible,
        "left out": dict(left_out),
        "seconds": spread(times),
    }


def run_blind(names: Iterable[str] | None, limit: int, show: bool) -> dict[str, Any]:
    """Look for the mistakes made by hand."""
    found: dict[str, list[Score]] = defaultdict(list)
    times: list[float] = []
    trials = [trial for trial in blind() if names is None or trial.case.name in names]
    for trial in trials[:: max(1, len(trials) // limit)] if limit else trials:
        result, took = examined(trial)
        found[trial.case.name].append(result)
        times.append(took)
        if show and not (result.named and result.place):
            tell(trial, result, took)
    every = [each for scores in found.values() for each in scores]
    return {
        "functions": {name: hand_rates(scores) for name, scores in found.items()},
        "all": hand_rates(every),
        "not named": hand_rates([each for each in every if each.detected and not each.named]),
        "seconds": spread(times),
    }


def run_correct(count: int, show: bool) -> dict[str, Any]:
    """Check gradients that are right."""
    alarms: Counter[str] = Counter()
    unclear: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    for trial in correct(count):
        verdict = trial.verdict()
        sources[trial.source] += 1
        if verdict.ok is False:
            alarms[trial.source] += 1
            if show:
                tell(trial, score(trial, verdict), 0.0)
        elif verdict.ok is None:
            unclear[trial.source] += 1
    return {
        "sources": {name: [n, alarms[name], unclear[name]] for name, n in sources.items()},
        "count": sum(sources.values()),
        "false alarms": sum(alarms.values()),
        "unclear": sum(unclear.values()),
    }


def examined(trial: Trial) -> tuple[Score, float]:
    """The score of an answer, and how long it took."""
    start = time.perf_counter()
    verdict = trial.verdict()
    took = time.perf_counter() - start
    return score(trial, verdict), took


def tell(trial: Trial, result: Score, took: float) -> None:
    """One line about an answer that is not as wished."""
    truth = trial.name if not trial.places else f"{trial.name!r} at {', '.join(trial.places)}"
    flags = " ".join(name for name, value in asdict(result).items() if value is True)
    print(f"  {trial.case.name}: {truth} → {result.answer}  [{flags or 'missed'}] {took:.2f} s", flush=True)


# ---- figures
def rates(scores: Sequence[Score]) -> dict[str, float]:
    """Shares of all answers."""
    count = len(scores) or 1
    shares = {
        name: sum(getattr(each, name) for each in scores) / count
        for name in ("detected", "reported", "chain", "exact")
    }
    first = sum(each.box for each in scores) / count
    return {
        "count": len(scores), "detected": shares["detected"], "reported": shares["reported"],
        "first box": first, "box": shares["chain"], "exact": shares["exact"],
    }  # fmt: skip


def hand_rates(scores: Sequence[Score]) -> dict[str, float]:
    """Shares of the answers about mistakes made by hand."""
    count = len(scores) or 1
    return {
        "count": len(scores),
        **{
            name: sum(bool(getattr(each, name)) for each in scores) / count
            for name in ("detected", "named", "localised")
        },
        "named and placed": sum(each.named and each.place for each in scores) / count,
    }


def by_kind(scores: Iterable[Score]) -> dict[str, list[Score]]:
    """Scores by what was planted."""
    found: dict[str, list[Score]] = defaultdict(list)
    for each in scores:
        found[each.kind or "not detected"].append(each)
    return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))


def spread(times: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and largest of some times."""
    if not times:
        return {"median": 0.0, "95 %": 0.0, "largest": 0.0}
    return {
        "median": statistics.median(times),
        "95 %": float(np.quantile(times, 0.95)),
        "largest": max(times),
    }


# ---- tables
def table(title: str, rows: dict[str, dict[str, float]]) -> Iterator[str]:
    """Rows of shares with their names."""
    if not rows:
        return
    heads = list(next(iter(rows.values())))
    yield f"{title:34s}" + "".join(f"{head:>18s}" for head in heads)
    for name, row in rows.items():
        cells = (
            f"{value:18.0f}" if head == "count" else f"{100 * value:16.1f} %" for head, value in row.items()
        )
        yield f"{name:34s}" + "".join(cells)
    yield ""


def report(figures: dict[str, Any]) -> Iterator[str]:
    """All tables."""
    if found := figures.get("planted"):
        yield from table("planted, by function", found["functions"])
        yield from table("planted, by kind", found["kinds"])
        yield from table("planted", {"all": found["all"]})
        goals = ", ".join(f"{name} ≥ {goal:.0%}" for name, goal in GOALS.items() if name in found["all"])
        dropped = ", ".join(f"{n} {why}" for why, n in found["left out"].items())
        yield f"goals: {goals}; {found['possible']} possible; left out: {dropped}"
        yield f"seconds: {found['seconds']}\n"
    if found := figures.get("by hand"):
        yield from table("by hand, by function", found["functions"])
        yield from table("by hand", {"all": found["all"], "of which not named": found["not named"]})
        yield f"goal: localised ≥ {GOALS['localised']:.0%}; seconds: {found['seconds']}\n"
    if found := figures.get("correct"):
        yield f"{'correct, by source':60s}{'count':>10s}{'false alarms':>16s}{'cannot tell':>16s}"
        for name, (count, alarms, unclear) in found["sources"].items():
            yield f"{name:60s}{count:10d}{alarms:16d}{unclear:16d}"
        yield f"{'all':60s}{found['count']:10d}{found['false alarms']:16d}{found['unclear']:16d}\n"
    if found := figures.get("time"):
        yield f"{'processor time of a check':44s}{'boxes':>8s}{'right':>10s}{'wrong':>10s}{'goal':>8s}"
        for name, row in found.items():
            yield f"{name:44s}{row['boxes']:8d}{row['right']:8.2f} s{row['wrong']:8.2f} s{row['goal']:6.0f} s"


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """All figures that were asked for."""
    sample = options.sample
    names = options.only or (SAMPLE if sample else tuple(CASES))
    parts = options.part or ("planted", "by hand", "correct", "time")
    figures: dict[str, Any] = {}
    if "planted" in parts:
        figures["planted"] = run_planted(names, 1 if sample else options.each, options.show)
    if "by hand" in parts:
        figures["by hand"] = run_blind(options.only, 25 if sample else 0, options.show)
    if "correct" in parts:
        figures["correct"] = run_correct(60 if sample else options.correct, options.show)
    if "time" in parts:
        figures["time"] = {case.name: seconds(case) for case in (TIMED[:1] if sample else TIMED)}
    return figures


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print, write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sample", action="store_true", help="a small part of everything, in under a minute")
    parser.add_argument(
        "--each", type=int, default=2, metavar="N", help="mistakes of a kind in a function; 0: all"
    )
    parser.add_argument("--correct", type=int, default=1000, metavar="N", help="how many right gradients")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these functions only")
    parser.add_argument("--part", nargs="+", choices=["planted", "by hand", "correct", "time"])
    parser.add_argument("--show", action="store_true", help="also print every answer that is not as wished")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)
    figures = measured(options)
    print("\n".join(report(figures)))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    return figures


if __name__ == "__main__":
    main()

"""Mistakes to be found, and how an answer about one is scored.

``planted`` makes every mistake of the catalogue in a function of the zoo; ``blind`` has the mistakes written
by hand; ``correct`` has gradients that are right. ``score`` compares a verdict with what was planted. Knows
neither clocks nor tables.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import boxgrad as bg
from boxgrad.check.mutations import Mutation, mutations
from boxgrad.check.subject import Subject

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "check")]

from blind import PASSES  # noqa: E402
from zoo import CASES  # noqa: E402
from zoo_case import Case  # noqa: E402

from numeric import is_real, richardson  # noqa: E402

Mine = Callable[..., Any]
LEAST_CHANGE = 1e-4
"""How much a mistake must change some gradient, relative to its norm, to count as one."""
KINKS = ("np.maximum", "np.abs", "np.where", "max_pool", "np.max(B")
"""What a function with kinks contains; differences across a kink are no derivative."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One gradient to be checked, and what is to be found: a kind and box, or the variables it belongs to."""

    case: Case
    mine: Mine
    args: tuple[Any, ...]
    name: str
    mutation: Mutation | None = None
    places: tuple[str, ...] = ()
    source: str = ""

    @property
    def wrt(self) -> tuple[str, ...]:
        return self.case.chosen(self.args)

    def verdict(self) -> Any:
        """What boxgrad says."""
        return bg.check(self.case.function, self.mine, *self.args, wrt=self.wrt)


def sampled(case: Case, seed: int) -> tuple[Any, ...]:
    """Arguments of a case; Python floats become float64 numbers, which keep their dtype."""
    return tuple(
        np.float64(x) if isinstance(x, float) else x for x in case.sample(np.random.default_rng(seed))
    )


# ---- mistakes of the catalogue
def planted(case: Case, seed: int = 0, least: float = LEAST_CHANGE) -> tuple[list[Trial], dict[str, int]]:
    """Every mistake of the catalogue that can be made in a function, and how many do not count."""
    args = sampled(case, seed)
    subject = Subject(case.function, args, case.chosen(args), seed=seed + 1)
    found: list[Trial] = []
    left_out = {"impossible shape": 0, "changes nothing": 0, "not finite": 0}
    for mutation in mutations(subject):
        change = changed(subject, mutation, args)
        if isinstance(change, str):
            left_out[change] += 1
        elif change < least:
            left_out["changes nothing"] += 1
        else:
            mine = _mine(subject, mutation, case.chosen(args))
            found.append(Trial(case, mine, args, repr(mutation), mutation))
    return found, left_out


def changed(subject: Subject, mutation: Mutation, args: tuple[Any, ...]) -> float | str:
    """The largest relative change of a gradient, or why the mistake cannot be made."""
    worst = 0.0
    for point in (subject.at(args), *subject.points[:1]):
        try:
            mine = mutation.gradients(subject, point)
        except (ValueError, TypeError, IndexError):
            return "impossible shape"
        true = subject.gradients(point)
        for name in subject.inputs:
            if np.shape(mine[name]) != np.shape(true[name]):
                return "impossible shape"
            if not np.all(np.isfinite(mine[name])):
                return "not finite"
            size = max(np.linalg.norm(true[name]), 1e-12)
            worst = max(worst, float(np.linalg.norm(mine[name] - true[name]) / size))
    return worst


def _mine(subject: Subject, mutation: Mutation, wrt: tuple[str, ...]) -> Mine:
    def mine(*args: Any) -> tuple[Any, ...]:
        found = mutation.gradients(subject, args)
        return tuple(found[name] for name in wrt)

    return mine


# ---- mistakes made by hand
def blind(seed: int = 0) -> Iterator[Trial]:
    """Every mistake of the backward passes by hand."""
    for each in PASSES:
        case = Case(each.function, each.sample, each.wrt)
        for mistake, places in each.mistakes.items():
            yield Trial(case, each.mine(mistake), sampled(case, seed), mistake, places=places)


# ---- gradients that are right
def correct(count: int) -> Iterator[Trial]:
    """So many gradients that are right, from several sources, in both precisions."""
    sources = [*_sources()]
    if count < len(sources):
        sources = [sources[i * len(sources) // count] for i in range(count)]
    for number in range(count):
        yield sources[number % len(sources)](number // len(sources))


def _sources() -> Iterator[Callable[[int], Trial]]:
    single = ("single precision", np.float32)
    double = ("double precision", np.float64)
    for case in CASES.values():
        for name, dtype in (double, single):
            yield _source(case, f"by boxgrad, {name}", dtype, _by_boxgrad)
        yield _source(case, "by boxgrad, rounded to single precision", np.float64, _rounded)
        if entries(case) <= 40 and all(is_real(x) for x in sampled(case, 0)):
            yield _source(case, "by boxgrad, entry by entry, single precision", np.float32, _forward)
        if not any(word in inspect.getsource(case.function) for word in KINKS):
            yield _source(case, "differences, extrapolated", np.float64, _by_richardson)
            yield _source(case, "central differences", np.float64, _by_differences)
    for each in PASSES:
        case = Case(each.function, each.sample, each.wrt)
        right = each.mine()
        for name, dtype in (double, single):
            yield _source(case, f"by hand, {name}", dtype, lambda case, args, right=right: right)
            yield _source(
                case,
                f"by hand, {name}, other memory order",
                dtype,
                lambda case, args, right=right: lambda *xs: right(*map(np.asfortranarray, xs)),
            )


def entries(case: Case) -> int:
    """How many numbers a gradient has."""
    args = sampled(case, 0)
    return sum(np.size(args[i]) for i in case.positions(args))


def _source(case: Case, name: str, dtype: Any, make: Callable[..., Mine]) -> Callable[[int], Trial]:
    def trial(seed: int) -> Trial:
        args = tuple(
            np.asarray(x).astype(dtype)[()] if np.asarray(x).dtype.kind == "f" else x
            for x in sampled(case, 100 + seed)
        )
        return Trial(case, make(case, args), args, name, source=name)

    return trial


def _by_boxgrad(case: Case, args: tuple[Any, ...]) -> Mine:
    return bg.grad(case.function, argnums=case.positions(args))


def _rounded(case: Case, args: tuple[Any, ...]) -> Mine:
    gradient = _by_boxgrad(case, args)
    return lambda *xs: tuple(np.asarray(g).astype(np.float32) for g in gradient(*xs))


def _forward(case: Case, args: tuple[Any, ...]) -> Mine:
    """Every entry by itself, forward: the same sums in quite another order."""

    def slope(f: Mine, xs: Any, vs: Any) -> Any:
        moves = tuple(
            np.zeros_like(x) if v is None else v.astype(x.dtype) for x, v in zip(xs, vs, strict=True)
        )
        return bg.jvp(f, xs, moves)[1]

    return _each_entry(case, args, slope, np.float32)


def _each_entry(case: Case, args: tuple[Any, ...], slope: Callable[..., Any], dtype: Any = float) -> Mine:
    def mine(*xs: Any) -> tuple[Any, ...]:
        found = []
        for position in case.positions(args):
            gradient = np.zeros(np.shape(xs[position]), dtype)
            for index in np.ndindex(gradient.shape):
                direction = np.zeros(gradient.shape)
                direction[index] = 1.0
                moves = [direction if i == position else None for i in range(len(xs))]
                gradient[index] = slope(case.function, xs, moves)
            found.append(gradient)
        return tuple(found)

    return mine


def _by_richardson(case: Case, args: tuple[Any, ...]) -> Mine:
    return _each_entry(case, args, lambda f, xs, vs: richardson(f, xs, vs, 1e-3))


def _by_differences(case: Case, args: tuple[Any, ...]) -> Mine:
    def slope(f: Callable[..., Any], xs: Any, vs: Any) -> float:
        ahead, behind = (
            f(*[x if v is None else x + h * v for x, v in zip(xs, vs, strict=True)]) for h in (1e-5, -1e-5)
        )
        return (ahead - behind) / 2e-5

    return _each_entry(case, args, slope)


# ---- scores
@dataclass(frozen=True, slots=True)
class Score:
    """How an answer compares with what was planted."""

    detected: bool
    named: bool
    reported: bool = False
    box: bool = False
    chain: bool = False
    exact: bool = False
    place: bool = False
    localised: bool = False
    kind: str = ""
    answer: str = ""


def score(trial: Trial, verdict: Any) -> Score:
    """Compare a verdict with what is wrong in truth."""
    if verdict.ok is not False or not verdict.findings:
        return Score(verdict.ok is False, False, answer="right" if verdict.ok else "cannot tell")
    first = verdict.findings[0]
    named = first.kind != "unknown"
    answer = f"{first.kind} at {', '.join(boxes(first)) or '?'}"
    if trial.mutation is None:
        return _score_by_hand(trial, verdict, named, answer)
    planted_at = trial.mutation.box
    same = _sameness(verdict.model, trial.mutation)
    everything = [each for finding in verdict.findings for each in (finding, *finding.alternatives)]
    reported = any(
        each.kind == trial.mutation.kind and any(same(box, planted_at) for box in boxes(each))
        for each in everything
    )
    box = bool(boxes(first)) and same(boxes(first)[0], planted_at)
    said = {*boxes(first), *(each for other in first.alternatives for each in boxes(other))}
    series = in_series(boxes(first)[:1], verdict.model, lambda name: name)
    chain = any(same(each, planted_at) for each in (*boxes(first), *(said & series)))
    exact = box and first.kind == trial.mutation.kind
    return Score(True, named, reported, box, chain, exact, kind=trial.mutation.kind, answer=answer)


def boxes(finding: Any) -> tuple[str, ...]:
    """The boxes of a finding, the likeliest first."""
    return () if finding.where is None else (finding.where.box, *finding.where.more)


def _sameness(model: Any, mutation: Mutation) -> Callable[[str, str], bool]:
    """Whether two names are of one box; copies of a line count as one where all of them are mistaken."""
    if mutation.copies == 1:
        return lambda a, b: a == b
    lines = lines_of(model)
    return lambda a, b: a == b or (a in lines and lines.get(a) == lines.get(b))


def lines_of(model: Any) -> dict[str, Any]:
    """The place in the source of each named value."""
    if model is None:
        return {}
    return {v.name: v.node.place for v in model.values.values() if v.node.place is not None}


def _score_by_hand(trial: Trial, verdict: Any, named: bool, answer: str) -> Score:
    variables = assigned(trial.case.function)
    lines = lines_of(verdict.model)

    def variable(box: str) -> str:
        place = lines.get(box)
        return variables.get(place.line, box) if place is not None else box

    places = in_series(trial.places, verdict.model, variable)
    first = boxes(verdict.findings[0])
    every = [
        box
        for finding in verdict.findings
        for each in (finding, *finding.alternatives)
        for box in boxes(each)
    ]
    different = list(dict.fromkeys(lines.get(box, box) for box in every))
    place = bool(first) and variable(first[0]) in places
    among = any(variable(box) in places for box in every)
    localised = (named and place) or (among and len(different) <= 2)
    return Score(True, named, place=place, chain=among, localised=localised, answer=answer)


def in_series(places: tuple[str, ...], model: Any, variable: Callable[[str], str]) -> set[str]:
    """The variables that no check can tell from these: a box with one gradient to give, and its only user.

    Whatever is wrong in the user's step back to it could as well be wrong in its own.
    """
    users: dict[Any, list[Any]] = {}
    for box in model.boxes:
        for value in box.local:
            users.setdefault(value, []).append(box)
    links = [
        {variable(box.outputs[-1].name), variable(users[box.outputs[-1]][0].outputs[-1].name)}
        for box in model.boxes
        if len(box.local) == 1 and len(users.get(box.outputs[-1], ())) == 1
    ]
    found = set(places)
    while any(link & found and not link <= found for link in links):
        found.update(*(link for link in links if link & found))
    return found


def assigned(function: Callable[..., Any]) -> dict[int, str]:
    """Which variable each line of a function assigns."""
    lines, start = inspect.getsourcelines(function)
    found: dict[int, str] = {}
    for node in ast.walk(ast.parse(textwrap.dedent("".join(lines)))):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                found[line + start - 1] = node.targets[0].id
    return found

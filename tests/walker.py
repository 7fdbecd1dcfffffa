"""Calls of NumPy that nobody wrote: every public callable with every small combination of arguments.

A call that NumPy accepts on plain arrays is tried with traced ones. It must give the same numbers and the
gradient that differences give, or be a constant, or raise an error of boxgrad that names the line. What it
must never do is answer something else.
"""

from __future__ import annotations

import itertools
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import boxgrad as bg
from boxgrad import tree
from boxgrad.trace import Box
from numeric import richardson

MODULES = (np, np.linalg, np.fft)
# They read or write files, ask for settings, or print: no arithmetic.
NO_ARITHMETIC = {
    "fromfile", "fromregex", "fromstring", "frombuffer", "genfromtxt", "get_include",
    "get_printoptions", "getbufsize", "geterr", "geterrcall", "info", "load", "loadtxt", "printoptions",
    "save", "savetxt", "savez", "savez_compressed", "set_printoptions", "setbufsize", "seterr",
    "seterrcall", "show_config", "show_runtime", "test", "datetime_data", "nested_iters", "row_stack",
    "bmat",
}  # fmt: skip
# What they answer is not determined: memory as it was, one of several orders.
NOT_COMPARED = {
    "nditer",
    "ndenumerate",
    "broadcast",
    "empty",
    "empty_like",
    "frompyfunc",
    "partition",
    "argpartition",
}


def callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public functions and ufuncs by their full names."""
    for module in MODULES:
        for name in sorted(vars(module) if module is not np else dir(np)):
            function = getattr(module, name)
            if (
                name.startswith("_")
                or isinstance(function, (type, types.ModuleType))
                or not callable(function)
            ):
                continue
            if name not in NO_ARITHMETIC:
                yield f"{module.__name__.replace('numpy', 'np')}.{name}", function


M = np.array([[2.1, 0.3, -0.4], [0.6, 3.2, 0.15], [-0.25, 0.55, 1.7]])
V = np.array([0.35, 0.8, 1.45])
W = np.array([0.21, 0.62, 0.93])


@dataclass(frozen=True)
class Traced:
    """Stands in a pattern for an argument that is varied."""

    number: int


POOL: tuple[Any, ...] = (Traced(0), Traced(1), Traced(2), [Traced(1), Traced(2)], 2, [0, 1])
THIRD: tuple[Any, ...] = (Traced(1), 1, 0.5)
VALUES = (M, V, W)
NONE: tuple[Any, ...] = ()


def patterns() -> Iterator[tuple[Any, ...]]:
    """Positional arguments, of which at least one is traced."""
    for first in POOL:
        yield (first,)
    yield from itertools.product(POOL, POOL)
    yield from itertools.product(POOL[:3], POOL[:4], THIRD)


def _used(pattern: Any) -> set[int]:
    if isinstance(pattern, Traced):
        return {pattern.number}
    return set().union(*map(_used, pattern)) if isinstance(pattern, (tuple, list)) else set()


def _filled(pattern: Any, values: Any) -> Any:
    if isinstance(pattern, Traced):
        return values[pattern.number]
    return (
        type(pattern)(_filled(x, values) for x in pattern) if isinstance(pattern, (tuple, list)) else pattern
    )


def _plain(function: Callable[..., Any], pattern: Any, values: Any) -> tuple[Any, list[Any]]:
    """The result on copies of the arguments, and the arguments after it."""
    own = [np.copy(x) for x in values]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return function(*_filled(pattern, own)), own


def _leaves(result: Any) -> list[Any]:
    """Arrays and numbers in a result; texts, dtypes and functions count as none."""
    if isinstance(result, types.GeneratorType):
        result = list(result)
    return [
        x for x in tree.leaves(result) if isinstance(x, (Box, np.ndarray, np.generic, float, int, complex))
    ]


class SilentError(AssertionError):
    """Something was answered that is not what NumPy answers, or its gradient is wrong."""


def walk(function: Callable[..., Any], name: str, counts: dict[str, int]) -> None:
    """Try all patterns; count what came of them. One that goes wrong does not stop the others."""
    wrong: list[str] = []
    for pattern in patterns():
        used = sorted(_used(pattern))
        aliased = len(pattern) == 3 and getattr(function, "signature", None) is not None
        if not used or aliased:  # an out= that overlaps an input of a product is NumPy's own riddle
            continue
        try:
            wanted, after = _plain(function, pattern, VALUES)
        except Exception:
            continue
        try:
            outcome = attempt(function, pattern, used, wanted, after, name.rpartition(".")[2])
        except Exception as error:
            wrong.append(f"{name}{pattern}: {type(error).__name__}: {error}")
        else:
            counts[outcome] = counts.get(outcome, 0) + 1
    if wrong:
        raise SilentError("\n".join(wrong))


def attempt(
    function: Callable[..., Any], pattern: Any, used: list[int], wanted: Any, after: list[Any], name: str
) -> str:
    """One call with traced arguments: "derivative", "constant" or "refused"; anything else is an error."""
    seen: dict[str, Any] = {}
    inputs = [VALUES[number] for number in used]

    def call(*xs: Any) -> Any:
        own = list(VALUES)
        for number, x in zip(used, xs, strict=True):
            own[number] = x.copy()
        result = function(*_filled(pattern, own))
        leaves = _leaves(result)
        changed = [own[number] for number in used]
        seen["result"], seen["changed"] = leaves, changed
        total: Any = 0.0
        written = [x for x, was in zip(changed, xs, strict=True) if np.any(_value(x) != _value(was))]
        for i, leaf in enumerate([*leaves, *written]):
            if getattr(leaf, "dtype", np.dtype(int)).kind in "fc":
                part = np.sum(leaf * WEIGHTS[: np.size(leaf)].reshape(np.shape(leaf)))
                total = total + (i + 1) * (np.real(part) - 0.3 * np.imag(part))
        return total

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            _, gradients = bg.value_and_grad(call, argnums=tuple(range(len(used))))(*inputs)
        except bg.BoxgradError as error:
            text = str(error)
            if "where: " not in text or "instead: " not in text:
                raise SilentError(f"the error does not help: {text}") from error
            if "result" not in seen:
                return "refused"
            gradients = ()
    if name in NOT_COMPARED:
        return "constant"
    got = [_value(x) for x in seen["result"]]
    plain = [np.asarray(x) for x in _leaves(wanted)]
    if [np.shape(x) for x in got] != [x.shape for x in plain]:
        raise SilentError(f"shapes {[np.shape(x) for x in got]} for {[x.shape for x in plain]}")
    for a, b in zip([*got, *map(_value, seen["changed"])], [*plain, *(after[i] for i in used)], strict=True):
        if np.asarray(a).dtype.kind != b.dtype.kind or not np.allclose(a, b, 1e-9, 1e-11, equal_nan=True):
            raise SilentError(f"{a!r} for {b!r}")
    if not gradients:
        return "constant"
    for g in gradients:
        if not np.all(np.isfinite(g)):
            return "derivative" if not all(np.all(np.isfinite(x)) for x in plain) else "edge"
    _compare(call, inputs, gradients)
    return "derivative" if any(np.any(g) for g in gradients) else "constant"


WEIGHTS = np.cos(np.arange(1.0, 4000.0))


def _value(x: Any) -> Any:
    return x.node.value if isinstance(x, Box) else x


def _compare(call: Callable[..., Any], inputs: list[Any], gradients: Any) -> None:
    """The gradient along a direction against differences, where these settle."""
    vs = [np.sin(3 * np.arange(1.0, x.size + 1)).reshape(x.shape) for x in inputs]
    got = sum(float(np.sum(g * v)) for g, v in zip(gradients, vs, strict=True))
    plain = lambda *xs: float(np.real(call(*[np.array(x) for x in xs])))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        steps = [richardson(plain, inputs, vs, h) for h in (2e-3, 7e-4)]
    scale = max(1.0, abs(float(steps[1])))
    if not np.isfinite(steps).all() or abs(steps[0] - steps[1]) > 1e-6 * scale:
        return  # a kink or a pole nearby
    if abs(got - steps[1]) > 1e-5 * scale:
        raise SilentError(f"gradient {got} where differences give {steps[1]}")

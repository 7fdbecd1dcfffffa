"""``check_grad``: boxgrad's own derivative of a function against numbers that owe nothing to boxgrad's rules.

Where the function runs on complex arrays and is analytic there, the complex step is exact to rounding
(Squire and Trapp, SIAM Review 40, 1998); elsewhere central differences are extrapolated (Richardson, 1911).
Knows plain calls of the function; knows nothing of graphs.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, final

import numpy as np

from boxgrad import tree
from boxgrad.autodiff.derived import value_and_grad
from boxgrad.check.claimed import nearest
from boxgrad.check.difference_words import said
from boxgrad.errors import DerivativeError, GradientMistake, TraceError, message
from boxgrad.explain.explanation import title_of
from boxgrad.explain.words import LANGUAGES
from boxgrad.trace.arguments import is_real
from boxgrad.trace.tracer import argument_names

Array = np.ndarray[Any, Any]
TINY = 1e-30
"""The complex step: no digits cancel, so it may be as small as one likes."""
STEPS = (2e-2, 2e-3, 2e-4, 2e-5)
"""The first steps of the central differences, relative to the size of the argument; each is halved five
times."""
LEVELS = 5
EXACT, EXTRAPOLATED = 1e-9, 1e-7
"""The relative errors that are allowed for the two methods."""
SECONDS = 4.0
"""How long is compared element by element; larger arguments are compared along random directions."""
DIRECTIONS = 24


@final
@dataclass(frozen=True)
class GradientCheck:
    """How near boxgrad's gradient is to differences of the function.

    ``errors`` has for each argument the largest difference between elements, relative to the largest
    element of the gradient; ``method`` and ``step`` say how the differences were taken, ``tolerance`` what
    is allowed. ``ok`` is None where the function gives another value each time.
    """

    ok: bool | None
    errors: dict[str, float]
    method: str
    step: float
    tolerance: dict[str, float]
    title: str = ""
    lang: str = "en"
    kinks: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def raise_if_wrong(self) -> None:
        """Raise unless the gradient is right, for tests.

        Raises:
            GradientMistake: an AssertionError with the text of the result.
        """
        if not self.ok:
            raise GradientMistake(str(self))

    def __bool__(self) -> bool:
        return bool(self.ok)

    def __str__(self) -> str:
        state = {True: "right", False: "wrong", None: "unclear"}[self.ok]
        lines = [said(state, self.lang, title=self.title)]
        if self.method:
            lines.append("  " + said(self.method, self.lang, step=f"{self.step:.0e}"))
        width = max(map(len, self.errors), default=0)
        for name, error in self.errors.items():
            allowed = self.tolerance[name]
            mark = said("fine" if error <= allowed else "bad", self.lang, allowed=f"{allowed:.0e}")
            lines.append(
                "  " + said("error", self.lang, name=name.ljust(width), error=f"{error:.1e}", mark=mark)
            )
        return "\n".join([*lines, *(f"  {text}" for text in (*self.kinks, *self.notes))])


def check_grad(function: Callable[..., Any], *args: Any, wrt: Any = None, lang: str = "en") -> GradientCheck:
    """Compare boxgrad's gradient of a function with differences of the function itself.

    ``∂L/∂x ≈ Im f(x + ihe)/h`` where f runs on complex arrays and is analytic, ``(f(x + he) − f(x − he))/2h``
    extrapolated to h → 0 elsewhere, for every element x, in double precision.

    Args:
        function: plain NumPy that returns one real number.
        args: arrays, numbers, modules: where it is checked. Single precision is checked in double copies.
        wrt: the arguments that are checked, by name or number; None for all real ones.
        lang: language of the words, "en" or "zh".

    Returns:
        the errors of each argument: print it, or ``raise_if_wrong()`` in a test.

    Raises:
        BoxgradError: the function cannot be differentiated, or does not return one real number.

    >>> import numpy as np
    >>> result = check_grad(lambda x: np.sum(np.sin(x) ** 2), np.array([0.3, 1.0]))
    >>> result.ok, result.method
    (True, 'complex step')
    """
    if lang not in LANGUAGES:
        known = f"the words are there in {', '.join(LANGUAGES)}"
        raise TraceError(message(f"lang={lang!r}", known, "lang='en' or lang='zh'"))
    return _Check(function, args, wrt, lang).result()


class _Check:
    """One comparison."""

    def __init__(self, function: Callable[..., Any], args: Sequence[Any], wrt: Any, lang: str) -> None:
        self.function, self.lang = function, lang
        self.title = title_of(function, args)
        self.notes: list[str] = []
        self.kinks: dict[str, str] = {}
        self.large: list[str] = []
        leaves, self.structure = tree.flatten(list(args))
        names = argument_names(function, len(args))
        paths = [path for path, _ in tree.named_leaves(list(args))]
        self.labels = [_label(path, names) for path in paths]
        single = [n for n, x in zip(self.labels, leaves, strict=True) if is_real(x) and _is_single(x)]
        if single:
            self.notes.append(said("single", lang, names=", ".join(single)))
        self.leaves = [_double(x) if is_real(x) else x for x in leaves]
        self.chosen = self._chosen(wrt, names)
        self.gradients = self._gradients()

    def _chosen(self, wrt: Any, names: Sequence[str]) -> list[int]:
        real = [i for i, x in enumerate(self.leaves) if is_real(x) and np.asarray(x).dtype.kind == "f"]
        if wrt is None:
            return real
        wanted = {wrt} if isinstance(wrt, (str, int)) else set(wrt)
        wanted = {names[one] if isinstance(one, int) and one < len(names) else str(one) for one in wanted}
        found = [i for i in real if {self.labels[i], self.labels[i].partition(".")[0]} & wanted]
        if not found:
            near = nearest(str(next(iter(wanted), "")), [self.labels[i] for i in real])
            what = f"no real argument is called {wrt!r}"
            why = f"the arguments are {', '.join(self.labels[i] for i in real)}"
            raise DerivativeError(message(what, why, f"wrt={near or names[0]!r}, or a list of names"))
        return found

    def _arguments(self, changes: dict[int, Any] | None = None) -> list[Any]:
        values = [x.copy() if isinstance(x, np.ndarray) else x for x in self.leaves]
        for place, value in (changes or {}).items():
            values[place] = value
        return tree.unflatten(self.structure, values)

    def _gradients(self) -> dict[int, Array]:
        """boxgrad's own derivative, argument by argument."""
        args = self._arguments()
        owners = {int(path.partition(".")[0]) for path, x in tree.named_leaves(args) if is_real(x)}
        with _quiet():
            _, found = value_and_grad(self.function, argnums=tuple(sorted(owners)))(*args)
        by_path: dict[str, Any] = {}
        for owner, one in zip(sorted(owners), found, strict=True):
            for path, leaf in tree.named_leaves(one):
                by_path[f"{owner}.{path}" if path else str(owner)] = leaf
        paths = [path for path, _ in tree.named_leaves(args)]
        return {i: np.asarray(by_path[paths[i]], np.float64) for i in self.chosen}

    # ---- the function in plain NumPy
    def value(self, changes: dict[int, Any] | None = None) -> Any:
        """The function on arrays, with some leaves changed."""
        with _quiet():
            return self.function(*self._arguments(changes))

    def result(self) -> GradientCheck:
        """The comparison."""
        first, again = (np.asarray(self.value()) for _ in range(2))
        if not np.array_equal(first, again, equal_nan=True):
            return GradientCheck(
                None, {}, "", 0.0, {}, self.title, self.lang, notes=(said("random", self.lang),)
            )
        random = np.random.default_rng(0)
        exact = self._is_analytic(random)
        slope = self._complex if exact else self._richardson
        method = "complex step" if exact else "Richardson"
        self.step = TINY if exact else STEPS[0]
        errors: dict[str, float] = {}
        allowed: dict[str, float] = {}
        end = time.perf_counter() + SECONDS
        for place in self.chosen:
            label = self.labels[place]
            error, uncertain = self._compare(place, slope, random, end)
            if self._cost < 0.02 or error > EXACT:
                self._look_for_kinks(place, random)
                if label in self.kinks and self._between(place, random):
                    error = 0.0
            errors[label] = error
            allowed[label] = EXACT if exact else max(EXTRAPOLATED, 10 * uncertain)
        ok = all(error <= allowed[name] for name, error in errors.items())
        kinks = tuple(self.kinks.values())
        if self.large:
            names = ", ".join(self.large[:4]) + (", …" if len(self.large) > 4 else "")
            self.notes.append(said("directions", lang=self.lang, names=names))
        notes = tuple(dict.fromkeys(self.notes))
        return GradientCheck(ok, errors, method, self.step, allowed, self.title, self.lang, kinks, notes)

    def _compare(
        self, place: int, slope: Any, random: np.random.Generator, end: float
    ) -> tuple[float, float]:
        """The largest error of an argument, relative to its largest element, and what differences leave
        open."""
        gradient = self.gradients[place]
        begun = time.perf_counter()
        slope(place, self._unit(place, 0)) if gradient.size else None
        self._cost = time.perf_counter() - begun
        left = max(end - begun, 0.0) / max(1, len(self.chosen) - self.chosen.index(place))
        whole = self._cost * gradient.size <= left
        if whole:
            directions = [self._unit(place, i) for i in range(gradient.size)]
        else:
            count = int(min(max(left / self._cost, 3), DIRECTIONS))
            self.large.append(self.labels[place])
            directions = [_direction(gradient.shape, random) for _ in range(count)]
        found = [slope(place, v) for v in directions]
        true = np.array([value for value, _ in found])
        own = np.array([float(np.sum(gradient * v)) for v in directions])
        size = max(float(np.max(np.abs(true), initial=0.0)), float(np.max(np.abs(own), initial=0.0)), 1e-300)
        size = max(size, 1e-12 * max(float(np.max(np.abs(g), initial=0.0)) for g in self.gradients.values()))
        uncertain = max((open_ for _, open_ in found), default=0.0) / size
        if not np.all(np.isfinite(true) == np.isfinite(own)):
            return float("inf"), uncertain
        return float(np.max(np.abs(true - own), initial=0.0)) / size, uncertain

    def _unit(self, place: int, i: int) -> Array:
        v = np.zeros(np.shape(self.leaves[place]))
        v.reshape(-1)[i] = 1.0
        return v

    # ---- complex step
    def _complex(self, place: int, v: Array) -> tuple[float, float]:
        """The derivative along v: Im f(x + ihv)/h."""
        return float(np.imag(np.asarray(self.value({place: self.leaves[place] + 1j * TINY * v})))) / TINY, 0.0

    def _is_analytic(self, random: np.random.Generator) -> bool:
        """Whether the complex step works, and agrees with coarse differences where it does."""
        try:
            for _ in range(2):
                vs = {place: _direction(np.shape(self.leaves[place]), random) for place in self.chosen}
                moved = {place: self.leaves[place] + 1j * TINY * v for place, v in vs.items()}
                exact = float(np.imag(np.asarray(self.value(moved)))) / TINY
                near = [self._along(vs, h) for h in (1e-4, 1e-5, 1e-6)]
                size = max(abs(exact), *map(abs, near))
                if not np.isfinite(exact) or min(abs(exact - one) for one in near) > 1e-4 * size + 1e-9:
                    return False
        except Exception:  # the function does not run on complex arrays, for whatever reason
            return False
        return True

    def _along(self, vs: dict[int, Array], h: float) -> float:
        """A central difference with all arguments moved at once."""
        after, before = (
            float(self.value({place: self.leaves[place] + s * h * v for place, v in vs.items()}))
            for s in (1, -1)
        )
        return (after - before) / (2 * h)

    # ---- differences
    def _richardson(self, place: int, v: Array) -> tuple[float, float]:
        """The derivative along v by extrapolated central differences, and how far that may be off."""
        x = self.leaves[place]
        size = max(1.0, float(np.max(np.abs(x), initial=0.0)))
        best, least, used = float("nan"), float("inf"), 0
        for place_, first in enumerate(STEPS):
            value, uncertain = self._extrapolated(place, v, first * size)
            if uncertain < least:
                best, least, used = value, uncertain, place_
            if uncertain <= 1e-10 * max(1.0, abs(value)):
                break
        self.step = min(self.step, STEPS[used]) if hasattr(self, "step") else STEPS[used]
        return best, least

    def _extrapolated(self, place: int, v: Array, first: float) -> tuple[float, float]:
        x = self.leaves[place]
        steps = [first / 2**level for level in range(LEVELS)]
        row = [
            (float(self.value({place: x + h * v})) - float(self.value({place: x - h * v}))) / (2 * h)
            for h in steps
        ]
        last = row
        for order in range(1, LEVELS):
            last = row
            row = [fine + (fine - coarse) / (4**order - 1) for coarse, fine in pairwise(row)]
        return row[0], abs(row[0] - last[-1])

    # ---- kinks
    def _sides(self, place: int, v: Array, h: float) -> tuple[float, float]:
        """The slopes along v just before and just after the point."""
        x = self.leaves[place]
        middle, after, before = (float(self.value({place: x + s * h * v})) for s in (0, 1, -1))
        return (middle - before) / h, (after - middle) / h

    def _look_for_kinks(self, place: int, random: np.random.Generator) -> None:
        """Note where one-sided slopes differ however near they are taken, or where a bend is near."""
        gradient = self.gradients[place]
        v = _direction(gradient.shape, random)
        size = float(np.sum(np.abs(gradient))) + 1e-300
        label = self.labels[place]
        left, right = self._sides(place, v, 1e-7)
        if abs(left - right) > 1e-3 * max(abs(left), abs(right), 1e-3 * size):
            self.kinks[label] = said("kink", self.lang, name=label)
            return
        before = abs(right - left)
        for h in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2):  # a smooth bend grows like h, a jump of the slope at once
            left, right = self._sides(place, v, h)
            bend, scale = abs(right - left), max(abs(left), abs(right), 1e-3 * size)
            if bend > 1e-3 * scale and bend > 60 * before:
                self.notes.append(said("near kink", self.lang, name=label, distance=f"{h:.0e}"))
                return
            before = max(bend, 1e-6 * scale)

    def _between(self, place: int, random: np.random.Generator) -> bool:
        """Whether boxgrad's slope at a kink lies between the slopes on both sides, in every element."""
        gradient = self.gradients[place]
        for i in range(min(gradient.size, 400)):
            left, right = self._sides(place, self._unit(place, i), 1e-7)
            own = float(gradient.reshape(-1)[i])
            slack = 1e-5 * max(abs(left), abs(right), abs(own), 1e-3)
            if not min(left, right) - slack <= own <= max(left, right) + slack:
                return False
        return True


@contextmanager
def _quiet() -> Generator[None]:
    """Warnings of the function about numbers are its own affair; a lost imaginary part is an error."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        yield


def _label(path: str, names: Sequence[str]) -> str:
    position, _, rest = path.partition(".")
    return f"{names[int(position)]}.{rest}" if rest else names[int(position)]


def _is_single(x: Any) -> bool:
    return np.asarray(x).dtype in (np.float32, np.float16)


def _double(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return x.astype(np.float64) if x.dtype.kind == "f" else x
    return float(x) if isinstance(x, (float, np.floating)) else x


def _direction(shape: tuple[int, ...], random: np.random.Generator) -> Array:
    """A random direction without elements near 0."""
    return random.uniform(0.3, 1.0, shape) * random.choice([-1.0, 1.0], shape)

"""Learning rate schedules: from the number of a step (or epoch) to a learning rate.

Knows formulas; knows no optimiser. A schedule has no state: use it as
``optimizer.lr = schedule(step)``, before the update, with step = 0, 1, 2, …
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from boxgrad.errors import message

Schedule = Callable[[int], float]


def _positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(message(f"{name} is {value}", "it counts steps", f"pass {name}=1 or more"))


@dataclass(frozen=True)
class Constant:
    """The same learning rate at every step: η(t) = lr.

    Args:
        lr: The learning rate.

    Source: PyTorch's ``ConstantLR`` with factor 1.

    >>> Constant(0.1)(1000)
    0.1
    """

    lr: float

    def __call__(self, step: int) -> float:
        return self.lr


@dataclass(frozen=True)
class Step:
    """Multiply by a factor every so many steps: η(t) = lr · factor^⌊t / size⌋.

    Args:
        lr: The learning rate at step 0.
        size: Steps between two changes, at least 1.
        factor: What each change multiplies by.

    Source: PyTorch's ``StepLR``.

    >>> [Step(1.0, size=2, factor=0.5)(step) for step in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    lr: float
    size: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        _positive("size", self.size)

    def __call__(self, step: int) -> float:
        return self.lr * self.factor ** (step // self.size)


@dataclass(frozen=True)
class Exponential:
    """Multiply by a factor at every step: η(t) = lr · factor^t.

    Args:
        lr: The learning rate at step 0.
        factor: What each step multiplies by.

    Source: PyTorch's ``ExponentialLR``.

    >>> Exponential(1.0, factor=0.5)(3)
    0.125
    """

    lr: float
    factor: float

    def __call__(self, step: int) -> float:
        return self.lr * self.factor**step


@dataclass(frozen=True)
class Linear:
    """A straight line between two multiples of the learning rate, then constant.

    η(t) = lr · (start + (end - start) · min(t, steps) / steps)

    Args:
        lr: The learning rate that start and end multiply.
        steps: Length of the line, at least 1.
        start: Factor at step 0.
        end: Factor from step ``steps`` on.

    Source: PyTorch's ``LinearLR``.

    >>> [Linear(1.0, steps=4, start=1.0, end=0.0)(step) for step in range(6)]
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    lr: float
    steps: int
    start: float = 1 / 3
    end: float = 1.0

    def __post_init__(self) -> None:
        _positive("steps", self.steps)

    def __call__(self, step: int) -> float:
        done = min(step, self.steps) / self.steps
        return self.lr * (self.start + (self.end - self.start) * done)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine wave from the learning rate down to a minimum.

    η(t) = minimum + (lr - minimum) · (1 + cos(π t / steps)) / 2

    As in PyTorch the wave goes on: after ``steps`` the rate rises again.

    Args:
        lr: The learning rate at step 0.
        steps: Steps until the minimum, at least 1.
        minimum: The learning rate at step ``steps``.

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017
    (arXiv:1608.03983), equation 5; PyTorch's ``CosineAnnealingLR``.

    >>> [round(Cosine(1.0, steps=4)(step), 6) for step in range(5)]
    [1.0, 0.853553, 0.5, 0.146447, 0.0]
    """

    lr: float
    steps: int
    minimum: float = 0.0

    def __post_init__(self) -> None:
        _positive("steps", self.steps)

    def __call__(self, step: int) -> float:
        wave = math.cos(math.pi * step / self.steps)
        return self.minimum + (self.lr - self.minimum) * (1 + wave) / 2


@dataclass(frozen=True)
class WarmUp:
    """Rise in a straight line to the first rate of another schedule, then follow that one.

    η(t) = after(0) · (start + (1 - start) · t / steps)   for t < steps
    η(t) = after(t - steps)                               for t ≥ steps

    Args:
        after: The schedule that follows; its steps count from the end of the warm-up.
        steps: Length of the warm-up, at least 1.
        start: Factor at step 0.

    Source: Goyal et al., "Accurate, large minibatch SGD", 2017 (arXiv:1706.02677), section 2.2;
    PyTorch's ``SequentialLR([LinearLR, after], [steps])``.

    >>> [WarmUp(Step(1.0, size=1, factor=0.5), steps=2, start=0.5)(step) for step in range(4)]
    [0.5, 0.75, 1.0, 0.5]
    """

    after: Schedule
    steps: int
    start: float = 1 / 3

    def __post_init__(self) -> None:
        _positive("steps", self.steps)

    def __call__(self, step: int) -> float:
        if step >= self.steps:
            return self.after(step - self.steps)
        return self.after(0) * (self.start + (1 - self.start) * step / self.steps)


@dataclass(frozen=True)
class OneCycle:
    """Up from a small learning rate to the largest, then down to next to nothing.

    With initial = maximum / divisor and final = initial / final_divisor, the peak at
    p = rise · steps - 1 and the last step at e = steps - 1::

        η(t) = between(initial, maximum, t / p)               for t ≤ p
        η(t) = between(maximum, final, (t - p) / (e - p))     for t > p

    where between(a, b, s) = b + (a - b) (1 + cos(π s)) / 2, or a + (b - a) s if linear. After the
    last step the rate stays.

    Args:
        maximum: The largest learning rate.
        steps: Steps of the whole cycle, at least 1.
        rise: Share of the cycle spent rising, 0 ≤ rise ≤ 1.
        anneal: ``"cosine"`` or ``"linear"``.
        divisor: maximum over the first learning rate.
        final_divisor: The first learning rate over the last.

    Raises:
        ValueError: if steps < 1, rise is no share, or anneal is another word.

    Source: Smith and Topin, "Super-convergence", 2018 (arXiv:1708.07120); the two-phase form and
    the defaults of PyTorch's ``OneCycleLR``.

    >>> cycle = OneCycle(1.0, steps=10)
    >>> [round(cycle(step), 4) for step in (0, 1, 2, 9)]
    [0.04, 0.52, 1.0, 0.0]
    """

    maximum: float
    steps: int
    rise: float = 0.3
    anneal: Literal["cosine", "linear"] = "cosine"
    divisor: float = 25.0
    final_divisor: float = 1e4

    def __post_init__(self) -> None:
        _positive("steps", self.steps)
        if not 0.0 <= self.rise <= 1.0:
            raise ValueError(message(f"rise is {self.rise}", "it is a share of the cycle", "rise=0.3"))
        if self.anneal not in ("cosine", "linear"):
            raise ValueError(
                message(
                    f"anneal is {self.anneal!r}",
                    "the curve is half a cosine wave or a straight line",
                    'anneal="cosine" or anneal="linear"',
                )
            )

    def __call__(self, step: int) -> float:
        last = self.steps - 1
        peak = self.rise * self.steps - 1
        initial = self.maximum / self.divisor
        step = min(step, last)
        if step <= peak:
            return self._between(initial, self.maximum, step / peak if peak > 0 else 1.0)
        return self._between(self.maximum, initial / self.final_divisor, (step - peak) / (last - peak))

    def _between(self, first: float, second: float, share: float) -> float:
        if self.anneal == "linear":
            return first + (second - first) * share
        return second + (first - second) * (1 + math.cos(math.pi * share)) / 2

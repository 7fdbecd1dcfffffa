"""The functions whose checks are timed: one of twenty boxes, and LeNet with a batch of three."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import boxgrad as bg
from boxgrad.explain.explanation import modelled


@dataclass(frozen=True, slots=True)
class Timed:
    """A function, and one that differs in a typical mistake on the way back only."""

    name: str
    function: Callable[..., Any]
    mistaken: Callable[..., Any]
    args: tuple[Any, ...]
    wrt: tuple[str, ...]
    positions: tuple[int, ...]
    goal: float


def network(X, Y, W1, b1, W2, b2, W3, b3, slope=np.tanh):
    M1 = X @ W1
    N1 = M1 + b1
    H1 = np.tanh(N1)
    M2 = H1 @ W2
    N2 = M2 + b2
    H2 = slope(N2)
    G = 1 / (1 + np.exp(-N2))
    H = H2 * G
    M3 = H @ W3
    Z = M3 + b3
    E = np.exp(Z)
    T = np.sum(E, axis=1, keepdims=True)
    P = E / T
    Q = Y * np.log(P)
    D = np.sum(Q, axis=1)
    fit = -np.mean(D)
    S = W1**2
    decay = np.sum(S)
    L = fit + 0.01 * decay
    return L


def lenet(X, Y, K1, b1, K2, b2, W1, c1, W2, c2, W3, c3, slope=np.tanh):
    A1 = np.tanh(bg.conv(X, K1, padding=2) + b1[:, None, None])
    P1 = bg.avg_pool(A1, 2)
    A2 = slope(bg.conv(P1, K2) + b2[:, None, None])
    P2 = bg.avg_pool(A2, 2)
    F = P2.reshape(P2.shape[0], 400)
    H1 = np.tanh(F @ W1 + c1)
    H2 = np.tanh(H1 @ W2 + c2)
    Z = H2 @ W3 + c3
    n = bg.logsumexp(Z, axis=1)
    L = np.mean(n - np.sum(Y * Z, axis=1))
    return L


def straight(x):
    """tanh whose derivative was left out."""
    return x + bg.stop_gradient(np.tanh(x) - x)


def _drawn(*shapes: Any) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(0)
    return tuple(random.normal(size=shape) / np.sqrt(np.prod(shape[1:])) for shape in shapes)


def _timed(name: str, function: Any, labels: tuple[str, ...], args: tuple[Any, ...], goal: float) -> Timed:
    def mistaken(*xs: Any) -> Any:
        return function(*xs, slope=straight)

    def right(*xs: Any) -> Any:
        return function(*xs)

    right.__name__ = function.__name__
    positions = tuple(range(2, 2 + len(labels)))
    return Timed(name, function, mistaken, args, labels, positions, goal)


_X, *_DENSE = _drawn((7, 3), (3, 5), (5,), (5, 4), (4,), (4, 6), (6,))
_IMAGES, *_LENET = _drawn(
    (3, 1, 28, 28),
    (6, 1, 5, 5),
    (6,),
    (16, 6, 5, 5),
    (16,),
    (400, 120),
    (120,),
    (120, 84),
    (84,),
    (84, 10),
    (10,),
)

TIMED = (
    _timed(
        "a network of twenty boxes",
        network,
        ("W1", "b1", "W2", "b2", "W3", "b3"),
        (_X, np.eye(6)[np.arange(7) % 6], *_DENSE),
        1.0,
    ),
    _timed(
        "LeNet, three images",
        lenet,
        ("K1", "b1", "K2", "b2", "W1", "c1", "W2", "c2", "W3", "c3"),
        (_IMAGES, np.eye(10)[[3, 1, 4]], *_LENET),
        10.0,
    ),
)


def seconds(case: Timed, runs: int = 3) -> dict[str, Any]:
    """The median processor time of a check of a right gradient and of a wrong one."""
    times = {}
    for word, function in (("right", case.function), ("wrong", case.mistaken)):
        gradient = bg.grad(function, argnums=case.positions)
        taken = []
        for _ in range(runs):
            start = time.process_time()
            verdict = bg.check(case.function, gradient, *case.args, wrt=case.wrt)
            taken.append(time.process_time() - start)
        assert verdict.ok is (word == "right"), f"{case.name}: {verdict}"
        times[word] = statistics.median(taken)
    boxes = len(modelled(case.function, case.args, case.wrt).boxes)
    return {"boxes": boxes, **times, "goal": case.goal}

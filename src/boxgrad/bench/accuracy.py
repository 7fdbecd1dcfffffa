"""How exact the gradients of a training step are, and how far its losses drift: measured against float64.

Knows models, engines and norms; knows nothing of clocks. The truth is the NumPy engine in float64, with the
same float32 weights and data. A gradient can be right in every digit of its arithmetic and still differ from
the truth where a ``relu`` or a maximum stands close to a tie and rounding decides the other way: then a
whole term comes or goes. Such *flips* are found by comparing positions; ``held`` is the error that is left if
the truth is told to decide as float32 did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from boxgrad import autodiff, engines, nn
from boxgrad.bench.models import Case
from boxgrad.bench.steps import State, boxgrad_model, boxgrad_step

Gradients = Mapping[str, np.ndarray[Any, Any]]
Decisions = list[Any]
VANISHING = 1e-10
"""A gradient so much smaller than the model's largest is 0 but for rounding, as that of a bias before batch
normalisation is: its error is taken relative to the largest."""


@dataclass(frozen=True, slots=True)
class Errors:
    """How far gradients are from the truth.

    ``norm`` is the worst ‖g − t‖ / ‖t‖ of all parameters, ``largest`` the worst max |g − t| / max |t|;
    ``parameter`` is that of the worst norm.
    """

    norm: float
    largest: float
    parameter: str


@dataclass(frozen=True, slots=True)
class Flips:
    """How many positions float32 decides the other way, of how many, and the errors when they are held."""

    count: int
    positions: int
    held: Errors


def gradients(case: Case, state: State, engine: str) -> dict[str, np.ndarray[Any, Any]]:
    """The gradient of every parameter at these weights, by name."""
    return _run(case, state, engine, lambda model, x: (model(x), ()))[0]


def truth(case: Case, state: State) -> dict[str, np.ndarray[Any, Any]]:
    """The gradients by the NumPy engine, in float64."""
    return gradients(replace(case, double=True), state, "numpy")


def errors(found: Gradients, true: Gradients) -> Errors:
    """Compare gradients with the truth.

    >>> t = {"w": np.array([3.0, 4.0])}
    >>> errors({"w": np.array([3.0, 4.5])}, t)
    Errors(norm=0.1, largest=0.125, parameter='w')
    """
    top = max(float(np.linalg.norm(t)) for t in true.values())
    peak = max(float(np.max(np.abs(t))) for t in true.values())
    rows: list[tuple[float, float, str]] = []
    for name, t in true.items():
        off = np.asarray(found[name], np.float64) - t
        length, most = float(np.linalg.norm(t)), float(np.max(np.abs(t)))
        if length < VANISHING * top:
            length, most = top, peak
        rows.append((float(np.linalg.norm(off)) / length, float(np.max(np.abs(off))) / most, name))
    norm, _, parameter = max(rows)
    return Errors(norm, max(row[1] for row in rows), parameter)


def flips(case: Case, state: State, engine: str) -> Flips | None:
    """What float32 decides otherwise than float64; None for a model that decides nothing."""
    if not any(kind in ("ReLU", "MaxPool2d") for kind, *_ in case.layers):
        return None
    double = replace(case, double=True)
    found, ours = _run(case, state, engine, _deciding)
    _, exact = _run(double, state, "numpy", _deciding)
    count = sum(int(np.sum(a != b)) for a, b in zip(ours, exact, strict=True))
    held, _ = _run(double, state, "numpy", lambda model, x: (_as_decided(model, x, ours), ()))
    return Flips(count, sum(a.size for a in ours), errors(found, held))


def trained(case: Case, state: State, engine: str, steps: int) -> dict[str, np.ndarray[Any, Any]]:
    """The weights after some steps."""
    model = boxgrad_model(case, state)
    step, _ = boxgrad_step(case, state, engine, model)
    for _ in range(steps):
        step()
    return {name: np.array(value) for name, value in model.state_dict().items()}


def losses(step: Callable[[], Any], steps: int) -> list[float]:
    """The losses of the first steps."""
    return [float(step()) for _ in range(steps)]


def _run(
    case: Case, state: State, engine: str, forward: Callable[[Any, Any], tuple[Any, Any]]
) -> tuple[dict[str, np.ndarray[Any, Any]], Decisions]:
    """Gradients by name, and what the forward pass returned beside the scores."""
    x, y = case.data()

    def loss(model: Any, x: Any, y: Any) -> Any:
        scores, decisions = forward(model, x)
        return nn.cross_entropy(scores, y), decisions

    run = engines.compile(autodiff.value_and_grad(loss, has_aux=True), engine=engine)
    (_, decisions), found = run(boxgrad_model(case, state), x, y)
    return dict(found.named_parameters()), list(decisions)


def _deciding(model: Sequence[Any], x: Any) -> tuple[Any, tuple[Any, ...]]:
    """The scores, and what each layer decided: the positions above 0, or that of each window's maximum."""
    decisions: list[Any] = []
    for layer in model:
        if isinstance(layer, nn.ReLU):
            decisions.append(x > 0)
        elif isinstance(layer, nn.MaxPool2d):
            decisions.append(np.argmax(_windows(x), axis=-1))
        x = layer(x)
    return x, tuple(decisions)


def _as_decided(model: Sequence[Any], x: Any, decisions: Decisions) -> Any:
    """The scores, where decisions are given."""
    given = iter(decisions)
    for layer in model:
        if isinstance(layer, nn.ReLU):
            x = x * next(given)
        elif isinstance(layer, nn.MaxPool2d):
            x = np.take_along_axis(_windows(x), next(given)[..., None], axis=-1)[..., 0]
        else:
            x = layer(x)
    return x


def _windows(x: Any) -> Any:
    """Windows of 2 × 2, as the cases have them: x (N, C, H, W) to (N, C, H/2, W/2, 4)."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)

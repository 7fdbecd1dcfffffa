"""The cases in PyTorch, eager and by torch.compile.

Knows PyTorch, which is imported when a step is made.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from boxgrad.bench.models import LEARNING_RATE, Case, Step

State = Mapping[str, np.ndarray[Any, Any]]


def set_num_threads(count: int) -> None:
    """Let PyTorch use that many threads."""
    importlib.import_module("torch").set_num_threads(count)


def eager(case: Case, state: State) -> Step:
    """A step as PyTorch's tutorials write it."""
    return _step(case, state, lambda torch, model: model)


def compiled(case: Case, state: State) -> Step:
    """The same with ``torch.compile`` around the model, which its guide recommends."""
    return _step(case, state, lambda torch, model: torch.compile(model))


def gradients(case: Case, state: State) -> dict[str, np.ndarray[Any, Any]]:
    """The gradients of the first step, by name."""
    torch = importlib.import_module("torch")
    model = _model(torch, case, state)
    x, y = map(torch.tensor, case.data())
    torch.nn.functional.cross_entropy(model(x), y).backward()
    return {name: p.grad.numpy() for name, p in model.named_parameters()}


def _model(torch: Any, case: Case, state: State) -> Any:
    model = case.build(torch.nn).to(torch.float64 if case.double else torch.float32)
    model.load_state_dict({name: torch.tensor(value) for name, value in state.items()}, strict=False)
    return model


def _step(case: Case, state: State, prepared: Any) -> Step:
    torch = importlib.import_module("torch")
    model = _model(torch, case, state)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    x, y = map(torch.tensor, case.data())
    run = prepared(torch, model)

    def step() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(run(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step

"""How each library trains a case: boxgrad by one of its engines, PyTorch and JAX in files of their own.

Knows names of peers; knows nothing of clocks. A peer is imported when it is asked for, so none need be
installed.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from boxgrad import autodiff, engines, nn, optim, tree
from boxgrad.bench import jax_peer, torch_peer
from boxgrad.bench.models import LEARNING_RATE, Case, Step
from boxgrad.errors import BoxgradError, message

State = Mapping[str, np.ndarray[Any, Any]]
Maker = Callable[[Case, State], Step]


def boxgrad_model(case: Case, state: State) -> Any:
    """The model with these weights."""
    model = case.build(nn)
    if case.double:
        model = tree.map(_doubled, model)
    model.load_state_dict(dict(state))
    return model


def _doubled(leaf: Any) -> Any:
    return leaf.astype(np.float64) if tree.is_array(leaf) and leaf.dtype.kind == "f" else leaf


def boxgrad_step(case: Case, state: State, engine: str, model: Any = None) -> tuple[Step, engines.Compiled]:
    """A compiled step of a given model or of its own, and the compiled function, which knows its graph."""
    model = model or boxgrad_model(case, state)
    optimizer = optim.Adam(model, lr=LEARNING_RATE)
    x, y = case.data()

    @engines.compile(engine=engine)
    def step(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
        value, gradients = autodiff.value_and_grad(lambda model: nn.cross_entropy(model(x), y))(model)
        optimizer.update(model, gradients)
        return value

    return (lambda: step(model, optimizer, x, y)), step


def _numpy(case: Case, state: State) -> Step:
    return boxgrad_step(case, state, "numpy")[0]


_PEERS: dict[str, tuple[str | None, Maker]] = {
    "torch-eager": ("torch", torch_peer.eager),
    "torch-compile": ("torch", torch_peer.compiled),
    "jax": ("jax", jax_peer.compiled),
    "numpy": (None, _numpy),
}
_GROUPS = {"torch": ("torch-eager", "torch-compile")}


def is_installed(library: str) -> bool:
    """Whether a library can be imported here."""
    return importlib.util.find_spec(library) is not None


def peers_named(names: str) -> dict[str, Maker]:
    """The peers of a list such as ``torch,jax``; ``numpy`` is boxgrad's own reference engine.

    Raises:
        BoxgradError: an unknown name, or a library that is not installed.
    """
    found: dict[str, Maker] = {}
    for name in filter(None, (part.strip() for part in names.split(","))):
        for peer in _GROUPS.get(name, (name,)):
            if peer not in _PEERS:
                known = ", ".join(sorted({*_GROUPS, *_PEERS}))
                raise BoxgradError(
                    message(f"there is no peer {peer!r}", f"there are {known}", "--against torch")
                )
            library, maker = _PEERS[peer]
            if library is not None and not is_installed(library):
                raise BoxgradError(
                    message(
                        f"{peer} cannot be measured: {library} is not installed",
                        "a peer is measured in the same process",
                        f"pip install {library}, or --against numpy",
                    )
                )
            found[peer] = maker
    return found

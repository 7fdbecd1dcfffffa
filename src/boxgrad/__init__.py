"""boxgrad: deep learning that you can see through.

A function written in plain NumPy is traced into one computational graph; from that graph come its
derivative, and a training step.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from boxgrad import tree
from boxgrad.autodiff import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from boxgrad.boxed import boxed
from boxgrad.engines import compile
from boxgrad.errors import (
    BoxgradError,
    BranchError,
    DerivativeError,
    FactorisationError,
    GradientMistake,
    GraphError,
    IndexingError,
    ShapeError,
    TraceError,
)
from boxgrad.functions import (
    Random,
    avg_pool,
    conv,
    conv_transpose,
    erf,
    logsumexp,
    max_pool,
    one_hot,
    scan,
    stop_gradient,
)
from boxgrad.trace import trace

if TYPE_CHECKING:
    from boxgrad import data, nn, optim

__version__ = "0.1.0"

# Loaded on first use: a derivative needs no layers and no data, and training brings plots and progress
# bars, which take longer to load than NumPy.
_ON_USE = {
    "Trainer": "boxgrad.train",
    "Verdict": "boxgrad.check.verdict",
    "check": "boxgrad.check.checking",
    "check_grad": "boxgrad.check.differences",
    "data": "boxgrad.data",
    "explain": "boxgrad.explain.explanation",
    "nn": "boxgrad.nn",
    "optim": "boxgrad.optim",
    "set_num_threads": "boxgrad.engines.native.pool",
    "train": "boxgrad.train",
}

__all__ = [
    "BoxgradError",
    "BranchError",
    "DerivativeError",
    "FactorisationError",
    "GradientMistake",
    "GraphError",
    "IndexingError",
    "Random",
    "ShapeError",
    "TraceError",
    "Trainer",
    "Verdict",
    "avg_pool",
    "boxed",
    "check",
    "check_grad",
    "compile",
    "conv",
    "conv_transpose",
    "data",
    "erf",
    "explain",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "logsumexp",
    "max_pool",
    "nn",
    "one_hot",
    "optim",
    "scan",
    "set_num_threads",
    "stop_gradient",
    "trace",
    "train",
    "tree",
    "value_and_grad",
    "vjp",
]


def __getattr__(name: str) -> Any:
    if name not in _ON_USE:
        raise AttributeError(f"module 'boxgrad' has no attribute {name!r}")
    module = importlib.import_module(_ON_USE[name])
    return module if module.__name__.endswith(f".{name}") else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_USE})


class _Package(ModuleType):
    """``bg.explain`` and ``bg.check`` are functions, also when folders of these names have been imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("explain", "check") or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

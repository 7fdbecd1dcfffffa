"""Special functions as primitives: their meaning is scipy's, which is loaded when one is first computed."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from boxgrad.graph.primitive import Call, Primitive, Rule
from boxgrad.types import ArrayType

_SLOPE = 2 / math.sqrt(math.pi)


def _scipy(name: str, *args: Any) -> Any:
    special: Any = importlib.import_module("scipy.special")  # on use: it loads slower than boxgrad itself
    return getattr(special, name)(*args)


def float_type(x: ArrayType, **parameters: Any) -> ArrayType:
    """Floating-point, in the precision of the argument."""
    return ArrayType(x.shape, np.sqrt(np.zeros((), x.dtype)).dtype)


def _special(name: str, rule: Rule) -> Primitive:
    return Primitive(name, lambda x: _scipy(name, x), float_type, (rule,), Call(name), ())


erf = _special("erf", lambda g, y, x: g * _SLOPE * np.exp(-x * x))
erfc = _special("erfc", lambda g, y, x: -g * _SLOPE * np.exp(-x * x))
erfinv = _special("erfinv", lambda g, y, x: g / _SLOPE * np.exp(y * y))
gammaln = _special("gammaln", lambda g, y, x: g * polygamma(x, order=0))


def _polygamma(x: Any, *, order: int) -> Any:
    return _scipy("psi", x) if order == 0 else _scipy("polygamma", order, x).astype(np.sqrt(x).dtype)[()]


polygamma = Primitive(
    "polygamma",
    _polygamma,
    float_type,
    (lambda g, y, x, order: g * polygamma(x, order=order + 1),),
    Call("ψ"),
    (),
)

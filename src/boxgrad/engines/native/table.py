"""What the native engine makes of each primitive: the one table, with a row for every primitive there is.

A row names how a box is lowered, or says why NumPy runs it. ``test_complete.py`` names primitives without a
row. A row that lowers may still fall back for some dtypes; the report says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from boxgrad.engines.native import emitters
from boxgrad.engines.native.emitters import EMITTERS, Emitter
from boxgrad.engines.native.vector import Lanes, Term


@dataclass(frozen=True, slots=True)
class Map:
    """An elementwise operation."""

    emit: Emitter


@dataclass(frozen=True, slots=True)
class Reduce:
    """A reduction: how two partial results combine, and what leaves any of them as it is."""

    combine: Callable[[Lanes, Term, Term], Term]
    identity: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Rearrange:
    """Elements move or are looked at otherwise; the method of that name of ``Lowering`` knows how."""

    method: str


@dataclass(frozen=True, slots=True)
class InNumpy:
    """NumPy runs it: a named fallback."""

    reason: str


Row = Map | Reduce | Rearrange | InNumpy


def _lowest(dtype: Any) -> Any:
    return False if dtype.kind == "b" else -float("inf") if dtype.kind == "f" else _limits(dtype)[0]


def _highest(dtype: Any) -> Any:
    return True if dtype.kind == "b" else float("inf") if dtype.kind == "f" else _limits(dtype)[1]


def _limits(dtype: Any) -> tuple[int, int]:
    bits = 8 * dtype.itemsize
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dtype.kind == "i" else (0, 2**bits - 1)


_SORTING = InNumpy("sorting is NumPy's")
_POSITIONS = InNumpy("positions of extrema are NumPy's")
_RUNNING = InNumpy("running sums and products are NumPy's")
_POOLING = InNumpy("pooling has no kernel yet")
_CONVOLUTION = InNumpy("convolution has no kernel yet")
_INTEGERS = InNumpy("integers that may be divided by 0, where NumPy warns")

ROWS: dict[str, Row] = {
    **{name: Map(emit) for name, emit in EMITTERS.items()},
    "floor_divide": _INTEGERS, "remainder": _INTEGERS,
    "gcd": InNumpy("Euclid's algorithm is a loop of unknown length"),
    "lcm": InNumpy("Euclid's algorithm is a loop of unknown length"),
    "logaddexp": InNumpy("no kernel yet"), "logaddexp2": InNumpy("no kernel yet"),
    "sinc": InNumpy("no kernel yet"),
    # ---- reductions
    "sum": Reduce(emitters.ADD, lambda dtype: 0), "prod": Reduce(emitters.MULTIPLY, lambda dtype: 1),
    "max": Reduce(emitters.MAXIMUM, _lowest), "min": Reduce(emitters.MINIMUM, _highest),
    "any": Reduce(emitters.MAXIMUM, lambda dtype: False),
    "all": Reduce(emitters.MINIMUM, lambda dtype: True),
    "argmax": _POSITIONS, "argmin": _POSITIONS, "cumsum": _RUNNING, "cumprod": _RUNNING,
    "sort": _SORTING, "argsort": _SORTING,
    # ---- products
    "contract": Rearrange("contract"),
    # ---- arrangement
    "identity": Rearrange("same"), "stop_gradient": Rearrange("same"),
    "reshape": Rearrange("reshape"), "transpose": Rearrange("transpose"),
    "broadcast": Rearrange("broadcast"), "slice": Rearrange("slice"),
    "concatenate": Rearrange("concatenate"), "embed": Rearrange("embed"),
    "put_slice": Rearrange("put_slice"), "gather": Rearrange("gather"),
    "scatter_add": Rearrange("scatter_add"),
    "put": InNumpy("positions may repeat, of which the last counts"),
    # ---- windows
    "conv": _CONVOLUTION, "conv_input_gradient": _CONVOLUTION, "conv_filter_gradient": _CONVOLUTION,
    "max_pool": _POOLING, "max_pool_scatter": _POOLING, "max_pool_select": _POOLING,
    "avg_pool": _POOLING, "avg_pool_input_gradient": _POOLING,
    # ---- loops and random bits
    "scan": InNumpy("loops run in NumPy, box by box"), "item": Rearrange("item"),
    "random_bits": InNumpy("no kernel yet"),
}  # fmt: skip

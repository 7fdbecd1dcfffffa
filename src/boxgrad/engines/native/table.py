"""What the native engine makes of each primitive: the one table, with a row for every primitive there is.

A row names how a box is lowered, or says why NumPy runs it. ``test_complete.py`` names primitives without a
row. A row that lowers may still fall back for some dtypes; the report says so.
"""

from __future__ import annotations

from typing import Any

from boxgrad.engines.native import (
    arrange,
    bits,
    emitters,
    loops,
    multiply,
    orders,
    quotients,
    running,
    sums,
    windows,
)
from boxgrad.engines.native.emitters import EMITTERS
from boxgrad.engines.native.lowering import InNumpy, Lower, Map, Reduce, Row


def _lowest(dtype: Any) -> Any:
    return False if dtype.kind == "b" else -float("inf") if dtype.kind == "f" else _limits(dtype)[0]


def _highest(dtype: Any) -> Any:
    return True if dtype.kind == "b" else float("inf") if dtype.kind == "f" else _limits(dtype)[1]


def _limits(dtype: Any) -> tuple[int, int]:
    bits = 8 * dtype.itemsize
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dtype.kind == "i" else (0, 2**bits - 1)


_SPECIAL = InNumpy("special functions are SciPy's")
_COMPLEX = InNumpy("complex numbers are NumPy's")
_LAPACK = InNumpy("factorisations are LAPACK's")

ROWS: dict[str, Row] = {
    **{name: Map(emit) for name, emit in EMITTERS.items()},
    "floor_divide": Map(quotients.floor_divide), "remainder": Map(quotients.remainder),
    "fmod": Map(quotients.fmod), "power": Lower(quotients.power),
    "gcd": InNumpy("Euclid's algorithm is a loop of unknown length"),
    "lcm": InNumpy("Euclid's algorithm is a loop of unknown length"),
    "logaddexp": Map(quotients.logaddexp), "logaddexp2": Map(quotients.logaddexp2),
    "sinc": Map(quotients.sinc), "bitwise_count": Map(quotients.bitwise_count),
    "erfc": _SPECIAL, "erfinv": _SPECIAL, "gammaln": _SPECIAL, "polygamma": _SPECIAL,
    "conjugate": _COMPLEX, "real": _COMPLEX, "imag": _COMPLEX,
    # ---- linear algebra and transforms
    **dict.fromkeys(("solve", "det", "cofactor", "slogdet", "cholesky"), _LAPACK),
    **dict.fromkeys(("eigh", "svd", "qr", "pinv"), _LAPACK),
    "fft": InNumpy("transforms are NumPy's"),
    # ---- reductions
    "sum": Lower(sums.total), "prod": Reduce(emitters.MULTIPLY, lambda dtype: 1),
    "max": Reduce(emitters.MAXIMUM, _lowest), "min": Reduce(emitters.MINIMUM, _highest),
    "any": Reduce(emitters.MAXIMUM, lambda dtype: False),
    "all": Reduce(emitters.MINIMUM, lambda dtype: True),
    "argmax": running.position(emitters.MAXIMUM, _lowest),
    "argmin": running.position(emitters.MINIMUM, _highest),
    "cumsum": running.running(emitters.ADD), "cumprod": running.running(emitters.MULTIPLY),
    "sort": orders.ordered(False), "argsort": orders.ordered(True),
    # ---- products
    "contract": Lower(multiply.contract),
    # ---- arrangement
    "identity": Lower(arrange.same), "stop_gradient": Lower(arrange.same),
    "reshape": Lower(arrange.reshape), "transpose": Lower(arrange.transpose),
    "broadcast": Lower(arrange.broadcast), "slice": Lower(arrange.basic_slice),
    "concatenate": Lower(arrange.concatenate), "embed": Lower(arrange.embed),
    "put_slice": Lower(arrange.put_slice), "gather": Lower(arrange.gather),
    "scatter_add": Lower(arrange.scatter_add),
    "put": Lower(arrange.put),
    # ---- windows
    "conv": Lower(windows.conv), "conv_input_gradient": Lower(windows.conv_input_gradient),
    "conv_filter_gradient": Lower(windows.conv_filter_gradient),
    "max_pool": Lower(windows.max_pool), "max_pool_scatter": Lower(windows.max_pool_scatter),
    "max_pool_select": Lower(windows.max_pool_select), "avg_pool": Lower(windows.avg_pool),
    "avg_pool_input_gradient": Lower(windows.avg_pool_input_gradient),
    # ---- loops and random bits
    "scan": Lower(loops.scan), "item": Lower(arrange.item),
    "random_bits": Lower(bits.random_bits),
}  # fmt: skip

"""The methods and attributes of a box that say no more than a NumPy function of it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from boxgrad.errors import TraceError
from boxgrad.ops import shape
from boxgrad.trace.apply import apply
from boxgrad.trace.box import Box
from boxgrad.trace.table import composites
from boxgrad.trace.ufunc import compose


def _method(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def method(self: Box, *args: Any, **kwargs: Any) -> Any:
        return compose(composites[function], (self, *args), kwargs)

    method.__name__, method.__doc__ = name, f"As ``np.{name}``."
    return method


class _Methods:
    """Written as methods; ``_install`` gives them to Box, which is defined before what they use."""

    shape: Any
    dtype: Any
    size: Any
    view_through: Any
    reshape: Any
    transpose: Any
    ndim: Any
    copy: Any
    memory: Any

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def mT(self) -> Any:  # noqa: N802  NumPy's name
        return self.swapaxes(-1, -2)

    @property
    def real(self) -> Any:
        return np.real(self)  # type: ignore[call-overload]

    @real.setter
    def real(self, value: Any) -> None:
        self.real[...] = value

    @property
    def imag(self) -> Any:
        return np.imag(self)  # type: ignore[call-overload]

    @imag.setter
    def imag(self, value: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError("array does not have imaginary part to set")
        self.imag[...] = value

    @property
    def flat(self) -> Any:
        """All elements in order, as a view of one axis, whatever the layout in memory."""
        put = lambda node, value: apply(shape.reshape, (value,), {"shape": node.shape})
        return self.view_through(shape.reshape, {"shape": (self.size,)}, put)

    @flat.setter
    def flat(self, value: Any) -> None:
        self.flat[...] = value

    @property
    def device(self) -> str:
        return "cpu"

    def to_device(self, device: str, /, *, stream: Any = None) -> Any:
        if device != "cpu":
            raise ValueError(f"Unsupported device: {device!r}.")
        return self

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        order = list(range(self.ndim))
        order[axis1], order[axis2] = order[axis2], order[axis1]
        return self.transpose(order)

    def ravel(self, order: str = "C") -> Any:
        flat, memory = self.reshape(-1, order=order), self.memory
        shared = np.may_share_memory(memory.ravel(order), memory)  # type: ignore[arg-type]
        return flat if shared or not self.size else flat.copy()

    def flatten(self, order: str = "C") -> Any:
        return self.reshape(-1, order=order).copy()

    def squeeze(self, axis: Any = None) -> Any:
        return np.squeeze(self, axis=axis)  # type: ignore[call-overload]

    def compress(self, condition: Any, axis: Any = None, out: Any = None) -> Any:
        return np.compress(condition, self, axis, out)  # type: ignore[call-overload]

    def dot(self, b: Any, out: Any = None) -> Any:
        return np.dot(self, b, out)  # type: ignore[call-overload]

    def conj(self, out: Any = None) -> Any:
        if out is None and self.dtype.kind != "c":
            return self
        return np.conjugate(self, out=out)  # type: ignore[call-overload]

    conjugate = conj

    def nonzero(self) -> Any:
        """The positions of the elements that are not 0: constants to every derivative."""
        return np.nonzero(np.atleast_1d(self._value("nonzero()")))  # type: ignore[attr-defined]

    # ---- in place
    def fill(self, value: Any) -> None:
        self[...] = value  # type: ignore[index]

    def sort(self, axis: int = -1, kind: Any = None, **_: Any) -> None:
        self[...] = np.sort(self, axis=axis)  # type: ignore[call-overload,index]

    def partition(self, kth: Any, axis: int = -1, **_: Any) -> None:
        self.sort(axis)


class MissingAttributeError(TraceError, AttributeError):
    """An attribute of arrays that a traced value does not have."""


_MEMORY = (
    "a traced value stands for a result, not for memory of its own",
    "the same on a plain array, outside of the traced function",
)
_INSTEAD = {
    "view": (_MEMORY[0], "x.astype(dtype), or x[...] for a view of the whole array"),
    "resize": (
        "it would change the size of an array that others may share",
        "np.resize(x, shape), which makes one",
    ),
    "shape": ("it is read only", "x = x.reshape(...)"),
}


def _missing(self: Box, name: str) -> Any:
    """What arrays have and a traced value has not: strides, flags, bytes."""
    if name.startswith("_") or not hasattr(np.ndarray, name):
        raise AttributeError(f"a traced array has no attribute {name!r}")
    why, instead = _INSTEAD.get(name, _MEMORY)
    raise MissingAttributeError.because(f".{name} of a traced value", why, instead)


def _namespace(self: Box, *, api_version: str | None = None) -> Any:
    """The array API standard: NumPy itself, whose functions take boxes."""
    return np.ndarray.__array_namespace__(np.empty(0), api_version=api_version)  # type: ignore[attr-defined]


def _no_dlpack(self: Box, **options: Any) -> Any:
    raise TraceError.because(
        "a traced value was to be handed to another library (DLPack)",
        "its computation there would not be part of the graph, and its gradient would be lost",
        "NumPy functions of x; or the result of the function, which is a plain array",
    )


def _install() -> None:
    for name, special in {
        "__divmod__": lambda self, other: np.divmod(self, other),  # noqa: PLW0108  a ufunc is no method
        "__rdivmod__": lambda self, other: np.divmod(other, self),
        "__round__": lambda self, digits=0: np.round(self, digits),
        "__contains__": lambda self, value: bool(np.any(self == value)),
        "__getattr__": _missing, "__array_namespace__": _namespace, "__dlpack__": _no_dlpack,
        "__dlpack_device__": _no_dlpack,
    }.items():  # fmt: skip
        setattr(Box, name, special)
    for name, method in vars(_Methods).items():
        if not name.startswith("__"):
            setattr(Box, name, method)
    for name in (
        "all", "any", "argmax", "argmin", "argpartition", "argsort", "choose", "clip", "cumprod", "cumsum",
        "diagonal", "max", "mean", "min", "prod", "put", "repeat", "round", "searchsorted", "std", "sum",
        "take", "trace", "var",
    ):  # fmt: skip
        setattr(Box, name, _method(name))


_install()

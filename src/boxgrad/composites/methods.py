"""The methods and attributes of a box that say no more than a NumPy function of it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

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
        size = self.size
        return self.view_through(
            lambda node: apply(shape.reshape, (node,), {"shape": (size,)}),
            lambda node, value: apply(shape.reshape, (value,), {"shape": node.shape}),
        )

    @flat.setter
    def flat(self, value: Any) -> None:
        self.flat[...] = value

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        order = list(range(self.ndim))
        order[axis1], order[axis2] = order[axis2], order[axis1]
        return self.transpose(order)

    def ravel(self, order: str = "C") -> Any:
        return self.reshape(-1, order=order)

    def flatten(self, order: str = "C") -> Any:
        return self.reshape(-1, order=order).copy()

    def squeeze(self, axis: Any = None) -> Any:
        return np.squeeze(self, axis=axis)  # type: ignore[call-overload]

    def compress(self, condition: Any, axis: Any = None, out: Any = None) -> Any:
        return np.compress(condition, self, axis, out)  # type: ignore[call-overload]

    def dot(self, b: Any, out: Any = None) -> Any:
        return np.dot(self, b, out)  # type: ignore[call-overload]

    def conj(self) -> Any:
        return np.conjugate(self) if self.dtype.kind == "c" else self  # type: ignore[call-overload]

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


def _install() -> None:
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

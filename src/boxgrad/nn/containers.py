"""Modules that hold other modules in order.

Knows numbered attributes; knows nothing of what the modules compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from boxgrad.nn.module import Module


class _Numbered(Module):
    """Modules under the attribute names ``"0"``, ``"1"`` …, which make PyTorch's state names."""

    _names: tuple[str, ...]

    def _take(self, layers: Iterable[Any]) -> None:
        layers = list(layers)
        self._names = tuple(str(position) for position in range(len(layers)))
        for name, layer in zip(self._names, layers, strict=True):
            setattr(self, name, layer)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, name) for name in self._names)

    def __getitem__(self, position: int | slice) -> Any:
        if isinstance(position, slice):
            return self._like(list(self)[position])
        return getattr(self, self._names[position])

    def __setitem__(self, position: int, layer: Any) -> None:
        setattr(self, self._names[position], layer)

    def append(self, layer: Any) -> _Numbered:
        """Put one more at the end; returns the module."""
        self._take([*self, layer])
        return self

    def extend(self, layers: Iterable[Any]) -> _Numbered:
        """Put more at the end; returns the module."""
        self._take([*self, *layers])
        return self

    def _like(self, layers: list[Any]) -> _Numbered:
        raise NotImplementedError


class Sequential(_Numbered):
    """Layers one after the other: each is called with what the one before returned.

    ``y = f_n(… f_2(f_1(x)))``

    Args:
        layers: modules, or plain functions of one array.

    Source: PyTorch's ``nn.Sequential``.

    >>> import numpy as np
    >>> from boxgrad import nn
    >>> model = nn.Sequential(nn.Linear(4, 3), np.tanh, nn.Linear(3, 2))
    >>> model(np.ones((5, 4), np.float32)).shape
    (5, 2)
    >>> list(model.state_dict())
    ['0.weight', '0.bias', '2.weight', '2.bias']
    >>> model
    Sequential                                                23 parameters
    ├─ 0: Linear(4, 3)  weight f32[3,4], bias f32[3]  15
    ├─ 1: tanh
    └─ 2: Linear(3, 2)  weight f32[2,3], bias f32[2]   8
    """

    def __init__(self, *layers: Callable[[Any], Any]) -> None:
        self._take(layers)

    def __call__(self, x: Any) -> Any:
        for layer in self:
            x = layer(x)
        return x

    def _like(self, layers: list[Any]) -> Sequential:
        return Sequential(*layers)


class ModuleList(_Numbered):
    """A list of modules; what is done with them is written by whoever holds it.

    Args:
        modules: the modules, in order.

    Source: PyTorch's ``nn.ModuleList``. A plain Python list of modules works as well.

    >>> from boxgrad import nn
    >>> layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    >>> len(layers), list(layers.state_dict())[-1]
    (3, '2.bias')
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._take(modules)

    def _like(self, layers: list[Any]) -> ModuleList:
        return ModuleList(layers)

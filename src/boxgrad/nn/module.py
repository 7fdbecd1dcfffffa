"""Modules: objects that hold arrays and other modules, and compute when called.

Knows names, parameters, buffers and states; knows no particular layer. The arrays are plain
attributes, so nothing has to be declared except which of them are buffers.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from boxgrad import tree
from boxgrad.boxed import boxed
from boxgrad.errors import BoxgradError, ShapeError, message
from boxgrad.functions import Random
from boxgrad.nn.summary import summary


class Incompatible(NamedTuple):
    """What ``load_state_dict(..., strict=False)`` passed over."""

    missing: list[str]
    unexpected: list[str]


class _Part(NamedTuple):
    """An array or a module inside a module: its name, where it is kept, and itself."""

    name: str
    owner: Any
    key: Any
    value: Any


class Module:
    """Something with parameters that can be called: the base class of every layer and model.

    A subclass assigns arrays and other modules to attributes and defines ``__call__`` in plain
    NumPy; there is no ``super().__init__()`` to remember. Arrays of real or complex numbers are
    *parameters*, except those named by :meth:`register_buffer`. Modules and arrays may also sit
    in lists, tuples, dicts and dataclasses. Numbers, strings and NumPy scalars are constants.

    In every view a call of a module is one box, named after its class.

    Attributes:
        training: True until :meth:`eval` is called; Dropout and batch normalisation look at it.

    >>> class Gate(Module):
    ...     def __init__(self, inputs, hidden):
    ...         self.weight = np.ones((hidden, inputs), np.float32)
    ...         self.bias = np.zeros(hidden, np.float32)
    ...     def __call__(self, x):
    ...         return np.tanh(x @ self.weight.T + self.bias)
    >>> gate = Gate(3, 2)
    >>> gate(np.zeros((1, 3), np.float32))
    array([[0., 0.]], dtype=float32)
    >>> [name for name, _ in gate.named_parameters()]
    ['weight', 'bias']
    >>> gate
    Gate  weight f32[2,3], bias f32[2]  8 parameters
    """

    training: bool
    _buffer_names: tuple[str, ...]

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Any:
        instance = super().__new__(cls)
        instance.training = True
        instance._buffer_names = ()
        return instance

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        tree.register(cls)
        if "__call__" in vars(cls):
            cls.__call__ = boxed(cls.__call__)  # type: ignore[method-assign]

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        """Compute. Every subclass that is called defines this itself."""
        name = type(self).__name__
        held = "rename forward to __call__" if hasattr(self, "forward") else "define __call__"
        raise BoxgradError(
            message(
                f"{name} cannot be called",
                "a module computes in its __call__ method, and this class has none",
                f"{held}: class {name}(nn.Module): def __call__(self, x): ...",
            )
        )

    def __repr__(self) -> str:
        return summary(self)

    # What it holds ----------------------------------------------------------------------------

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all modules inside it, each once, with dotted names; itself first."""
        seen: set[int] = set()

        def walk(name: str, module: Module) -> Iterator[tuple[str, Module]]:
            if id(module) in seen:
                return
            seen.add(id(module))
            yield name, module
            for part in _parts(module):
                if isinstance(part.value, Module):
                    yield from walk(_join(name, part.name), part.value)

        return walk(prefix, self)

    def modules(self) -> Iterator[Module]:
        """This module and all modules inside it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, np.ndarray]]:
        """The parameters with dotted names, as PyTorch orders them; a tied one appears once."""
        return _once(self._named_arrays(_is_parameter))

    def parameters(self) -> Iterator[np.ndarray]:
        """The parameters; a tied one appears once."""
        return (array for _, array in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """The arrays that are kept but not trained, with dotted names."""
        return _once(self._named_arrays(_is_buffer))

    def buffers(self) -> Iterator[np.ndarray]:
        """The arrays that are kept but not trained."""
        return (array for _, array in self.named_buffers())

    def register_buffer(self, name: str, array: np.ndarray | None) -> None:
        """Keep an array under ``name`` that is part of the state but not a parameter."""
        self._buffer_names = (*self._buffer_names, name)
        setattr(self, name, array)

    def _named_arrays(self, wanted: Any) -> Iterator[tuple[str, np.ndarray]]:
        for prefix, module in self.named_modules():
            for part in _parts(module):
                if wanted(module, part):
                    yield _join(prefix, part.name), part.value

    # Its state --------------------------------------------------------------------------------

    def _state(self) -> dict[str, _Part]:
        """Parameters and buffers by their names in a state; a tied one has each of its names."""
        found: dict[str, _Part] = {}

        def walk(prefix: str, module: Module) -> None:
            parts = list(_parts(module))
            for wanted in (_is_parameter, _is_buffer):
                found.update((_join(prefix, part.name), part) for part in parts if wanted(module, part))
            for part in parts:
                if isinstance(part.value, Module):
                    walk(_join(prefix, part.name), part.value)

        walk("", self)
        return found

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers by name; the names are PyTorch's.

        Streams of random numbers are not in it, because PyTorch has no names for them.
        """
        return {name: np.array(part.value) for name, part in self._state().items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> Incompatible:
        """Copy arrays into this module's own, in place.

        Everything is checked before anything is written. Numbers are cast to this module's
        dtypes (never from fractions to whole numbers).

        Args:
            state: name -> array, as :meth:`state_dict` or PyTorch gives it.
            strict: whether every name here must be there and the reverse.

        Returns:
            The names that were missing and those that were not expected.

        Raises:
            ShapeError: names (if strict), shapes or kinds of numbers do not fit.
        """
        parts = self._state()
        arrays = {name: np.asarray(state[name]) for name in parts if name in state}
        missing = [name for name in parts if name not in state]
        unexpected = [name for name in state if name not in parts]
        problems = [
            f"{name}: the model has {_kind(parts[name].value)}, the state {_kind(array)}"
            for name, array in arrays.items()
            if array.shape != parts[name].value.shape
            or not np.can_cast(array.dtype, parts[name].value.dtype, "same_kind")
        ]
        if strict:
            problems += [f"{name}: missing{_nearest(name, unexpected)}" for name in missing]
            problems += [f"{name}: unexpected{_nearest(name, parts)}" for name in unexpected]
        if problems:
            raise ShapeError(
                message(
                    f"the state does not fit {type(self).__name__}: " + "; ".join(problems),
                    "each array of a state is copied into the parameter or buffer of its name",
                    "build the model as it was when the state was saved, or rename its entries; "
                    "strict=False passes over missing and unexpected names",
                )
            )
        for name, array in arrays.items():
            part = parts[name]
            np.copyto(part.value, array, casting="same_kind")
        return Incompatible(missing, unexpected)

    # Its mode and its beginning ---------------------------------------------------------------

    def train(self, mode: bool = True) -> Module:
        """Set this module and all inside it to training (or not); returns the module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Set this module and all inside it to evaluation; returns the module."""
        return self.train(False)

    def reset_parameters(self, random: Random) -> None:
        """Draw this module's own parameters afresh, in place; modules inside draw their own.

        A class with parameters of its own that wants :meth:`initialise` defines this.
        """
        own = [part.name for part in _parts(self) if _is_parameter(self, part)]
        if own:
            name = type(self).__name__
            raise BoxgradError(
                message(
                    f"{name} does not say how to draw {', '.join(own)}",
                    "initialise calls reset_parameters(random) of every module inside",
                    f"define it in {name}, for example: def reset_parameters(self, random): "
                    f"self.{own[0]}[...] = random.normal(self.{own[0]}.shape)",
                )
            )

    def initialise(self, seed: int | None = None) -> Module:
        """Draw the parameters of the whole model afresh from one seed; returns the module.

        Each module draws from its own stream, which depends on the seed and on the module's name
        alone. Dropout's streams start again too.

        >>> from boxgrad import nn
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.Dropout())
        >>> first = model.initialise(7).state_dict()
        >>> bool(np.all(first["0.weight"] == model.initialise(7).state_dict()["0.weight"]))
        True
        """
        root = Random(seed)
        # The innermost first: a module may overrule how the modules inside it begin.
        for name, module in reversed(list(self.named_modules())):
            module.reset_parameters(root.split(name))
        return self


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _items(owner: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(owner, dict):
        yield from owner.items()
    elif isinstance(owner, (list, tuple)):
        yield from enumerate(owner)
    elif dataclasses.is_dataclass(owner) and not isinstance(owner, (type, Module)):
        yield from ((field.name, getattr(owner, field.name)) for field in dataclasses.fields(owner))


def _parts(module: Module) -> Iterator[_Part]:
    """The arrays and modules directly inside a module, through containers but not modules."""

    def walk(prefix: str, owner: Any, items: Any) -> Iterator[_Part]:
        for key, value in items:
            name = _join(prefix, str(key))
            is_part = tree.is_array(value) and not isinstance(value, np.generic)
            if is_part or isinstance(value, Module):
                yield _Part(name, owner, key, value)
            else:
                yield from walk(name, value, _items(value))

    return walk("", module, list(vars(module).items()))


def _is_parameter(module: Module, part: _Part) -> bool:
    return (
        tree.is_array(part.value) and part.value.dtype.kind in "fc" and part.name not in module._buffer_names
    )


def _is_buffer(module: Module, part: _Part) -> bool:
    return tree.is_array(part.value) and part.name in module._buffer_names


def _once(named: Iterator[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
    seen: set[int] = set()
    for name, array in named:
        if id(array) not in seen:
            seen.add(id(array))
            yield name, array


def _kind(array: np.ndarray) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _nearest(name: str, candidates: Any) -> str:
    near = difflib.get_close_matches(name, list(candidates), n=1)
    return f" (did you mean {near[0]}?)" if near else ""

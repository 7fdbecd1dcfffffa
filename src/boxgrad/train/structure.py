"""Objects written down as JSON and arrays, and built again without running their code.

Knows modules, optimisers, schedules and callbacks of boxgrad as *data*: a class by its public
name, and its attributes. Building looks the name up in a fixed list of public names and sets the
attributes; no constructor is called, nothing is imported, nothing is unpickled. Objects of other
classes cannot be written down, which :class:`UnknownError` says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from types import FunctionType
from typing import Any

import numpy as np

import boxgrad.functions
from boxgrad import nn, optim, tree
from boxgrad.errors import message
from boxgrad.optim import schedules
from boxgrad.train import callbacks, metrics, models
from boxgrad.train.files import RunError

_PLACES: dict[str, Any] = {
    "nn": nn,
    "optim": optim,
    "schedules": schedules,
    "functions": boxgrad.functions,
    "models": models,
    "callbacks": callbacks,
    "metrics": metrics,
}
_LARGEST = 2**33  # elements in all arrays of a description that is believed


class UnknownError(TypeError):
    """An object that cannot be written down: its class or function is not boxgrad's."""


def _public_name(value: Any) -> str:
    name = getattr(value, "__name__", type(value).__name__)
    for place, module in _PLACES.items():
        if not name.startswith("_") and getattr(module, name, None) is value:
            return f"{place}.{name}"
    raise UnknownError(f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', name)}")


def _look_up(name: Any, kind: type) -> Any:
    place, _, rest = str(name).partition(".")
    found = getattr(_PLACES.get(place), rest, None) if rest.isidentifier() else None
    ours = str(getattr(found, "__module__", "")).startswith("boxgrad.")
    if rest.startswith("_") or not isinstance(found, kind) or not ours:
        raise RunError(
            message(
                f"the description names {name!r}, which is no public {kind.__name__} of boxgrad",
                "descriptions may come from anywhere, so only known names are followed",
                "resume with the model of your own: Trainer(model, ...).fit(..., resume=True)",
            )
        )
    return found


def describe(value: Any) -> Any:
    """Write an object down as JSON; arrays by their shape and dtype.

    Raises:
        UnknownError: for objects of classes, and for functions, that are not boxgrad's.

    >>> describe(("cosine", 3, None))
    {'tuple': ['cosine', 3, None]}
    >>> build(describe(("cosine", 3, None)))
    ('cosine', 3, None)
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if tree.is_array(value):
        return {"array": [*value.shape], "dtype": value.dtype.name}
    if isinstance(value, np.dtype):
        return {"dtype": value.name}
    if isinstance(value, list):
        return [describe(item) for item in value]
    if type(value) is tuple:
        return {"tuple": [describe(item) for item in value]}
    if type(value) is dict:
        if not all(isinstance(key, str) for key in value):
            raise UnknownError("a dict whose keys are not strings")
        return {"dict": {key: describe(item) for key, item in value.items()}}
    if isinstance(value, type) and issubclass(value, np.generic):
        return {"dtype_class": np.dtype(value).name}
    if isinstance(value, np.ufunc) and getattr(np, value.__name__, None) is value:
        return {"ufunc": value.__name__}
    if isinstance(value, type | FunctionType):
        return {"function" if isinstance(value, FunctionType) else "class": _public_name(value)}
    attributes = {name: describe(item) for name, item in vars(value).items()}
    return {"object": _public_name(type(value)), "attributes": attributes}


def build(description: Any) -> Any:
    """Build what :func:`describe` wrote down, with arrays of zeros.

    Raises:
        RunError: for a description that is malformed or names what is not boxgrad's.
    """
    try:
        return _Builder().build(description)
    except RunError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as problem:
        raise RunError(
            message(
                "a description in config.json cannot be built",
                f"{type(problem).__name__}: {problem}",
                "resume with the model of your own: Trainer(model, ...).fit(..., resume=True)",
            )
        ) from problem


class _Builder:
    def __init__(self) -> None:
        self.elements = 0

    def build(self, description: Any) -> Any:
        if isinstance(description, list):
            return [self.build(item) for item in description]
        if not isinstance(description, dict):
            return description
        if "array" in description:
            return self._array(description["array"], description["dtype"])
        ((kind, content), *rest) = description.items()
        match kind:
            case "float":
                return float(content)
            case "dtype":
                return np.dtype(content)
            case "dtype_class":
                return np.dtype(content).type
            case "ufunc" if isinstance(getattr(np, str(content), None), np.ufunc):
                return getattr(np, content)
            case "tuple":
                return tuple(self.build(item) for item in content)
            case "dict":
                return {str(key): self.build(item) for key, item in content.items()}
            case "class":
                return _look_up(content, type)
            case "function":
                return _look_up(content, FunctionType)
            case "object":
                return self._object(_look_up(content, type), dict(rest)["attributes"])
        raise ValueError(f"nothing is described by {kind!r}")

    def _array(self, shape: Iterable[int], dtype: str) -> np.ndarray:
        sizes = tuple(int(size) for size in shape)
        self.elements += math.prod(sizes)
        if self.elements > _LARGEST or np.dtype(dtype).hasobject:
            raise ValueError(f"an array {sizes} of {dtype} is not believed")
        return np.zeros(sizes, dtype)

    def _object(self, cls: type, attributes: dict[str, Any]) -> Any:
        instance = object.__new__(cls)
        for name, item in attributes.items():
            object.__setattr__(instance, str(name), self.build(item))
        return instance


def arrays_of(value: Any) -> dict[str, Any]:
    """Every leaf of a tree by its path: parameters, buffers, random streams, moments."""
    return dict(tree.named_leaves(value))


def restore(target: Any, arrays: dict[str, np.ndarray], what: str) -> None:
    """Put saved leaves back into an object, in place where it holds arrays.

    Raises:
        RunError: when the object has other leaves than those saved.
    """
    named = tree.named_leaves(target)
    _compare(named, arrays, what)
    _, structure = tree.flatten(target)
    values = [
        arrays[name] if tree.is_array(leaf) else type(leaf)(arrays[name].item()) for name, leaf in named
    ]
    _graft(target, tree.unflatten(structure, values))


def _compare(named: list[tuple[str, Any]], arrays: dict[str, np.ndarray], what: str) -> None:
    problems = [f"{name} is missing from the checkpoint" for name, _ in named if name not in arrays]
    problems += [f"{name} is only in the checkpoint" for name in arrays.keys() - dict(named).keys()]
    problems += [
        f"{name} is {np.shape(leaf)} {np.asarray(leaf).dtype}, saved "
        f"{arrays[name].shape} {arrays[name].dtype}"
        for name, leaf in named
        if name in arrays
        and (np.shape(leaf) != arrays[name].shape or np.asarray(leaf).dtype != arrays[name].dtype)
    ]
    if problems:
        raise RunError(
            message(
                f"the {what} is not the one that the run was saved with",
                "; ".join(sorted(problems)[:5]) + ("; …" if len(problems) > 5 else ""),
                f"resume with the same {what}, or start a new run in another folder",
            )
        )


def _graft(target: Any, source: Any) -> Any:
    """What the holder of ``target`` should hold now; containers are changed in place."""
    if isinstance(target, np.ndarray) and target.flags.writeable:
        target[...] = source
        return target
    if isinstance(target, dict):
        for key in target:
            target[key] = _graft(target[key], source[key])
        return target
    if isinstance(target, list):
        target[:] = [_graft(*pair) for pair in zip(target, source, strict=True)]
        return target
    if type(target) is tuple:
        return tuple(_graft(*pair) for pair in zip(target, source, strict=True))
    if tree.is_array(target) or not tree.leaves(target) or not hasattr(target, "__dict__"):
        return source
    for name, item in vars(target).items():
        held = _graft(item, vars(source)[name])
        if held is not item:
            object.__setattr__(target, name, held)
    return target

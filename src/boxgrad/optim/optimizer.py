"""What all optimisers share: the step, the learning rate, finding parameters, and their state.

Knows names, shapes and dtypes of parameters; knows no update equation. Everything here is plain
NumPy that asks only for shapes and dtypes, so an update can be traced and compiled.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from boxgrad import tree
from boxgrad.errors import ShapeError, message
from boxgrad.optim.parameters import is_floating, named_leaves, named_parameters

Slots = dict[str, Any]
"""One array per parameter, under the parameter's name."""


class Optimizer(ABC):
    """Changes the parameters of a model in place, given their gradients.

    The model is read at construction for the names, shapes and dtypes of its parameters; it is not
    kept. It may be a module or any tree of arrays. What an optimiser remembers (its *state*) is
    allocated then and there as arrays of the parameters' dtypes and changed in place ever after.

    A subclass allocates its state with :meth:`allocate`, says in :meth:`scalars` which numbers one
    update needs, and in :meth:`apply` what happens to one parameter.

    Args:
        model: A module, or an array, or nested dicts, lists, tuples and dataclasses of arrays.
        lr: The learning rate, η; a number, not negative.

    Raises:
        ValueError: if the learning rate is negative, or the model has no parameters.
        ShapeError: if a parameter is a number or complex.

    >>> from boxgrad.optim import SGD
    >>> model = {"weight": np.ones((2, 3)), "bias": np.zeros(2)}
    >>> optimizer = SGD(model, lr=0.1)
    >>> optimizer.update(model, {"weight": np.full((2, 3), 5.0), "bias": np.ones(2)})
    >>> model["weight"][0], model["bias"]
    (array([0.5, 0.5, 0.5]), array([-0.1, -0.1]))
    >>> optimizer
    SGD(lr=0.1, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False;
        2 parameters, 8 values, step 1)
    """

    step: Any
    """Number of updates so far: an integer array without axes."""
    learning_rate: Any
    """The learning rate: a float64 array without axes; compiled steps read it anew each time."""
    shapes: dict[str, tuple[int, ...]]
    """The shape of each parameter under its name."""
    tied: dict[str, str]
    """Each further name of a parameter that sits in several places, with its first name."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        tree.register(cls)

    def __init__(self, model: Any, lr: float) -> None:
        at_least("lr", lr, 0.0)
        self.learning_rate = np.array(lr, np.float64)
        self.step = np.zeros((), np.int64)
        self.shapes = {}
        self.tied = {}
        first_names: dict[int, str] = {}
        for name, parameter in named_parameters(model):
            if first_names.setdefault(id(parameter), name) == name:
                self.shapes[name] = parameter.shape
        for name, leaf in named_leaves(model).items():
            first = first_names.get(id(leaf), name)
            if first != name:
                self.tied[name] = first
        if not self.shapes:
            raise ValueError(
                message(
                    f"{type(model).__name__} has no parameters",
                    "an optimiser changes floating-point arrays in place, and there are none",
                    "pass the model itself, or a dict, list or tuple of arrays of floats",
                )
            )

    @abstractmethod
    def scalars(self) -> tuple[Any, ...]:
        """The float64 numbers of this step that do not depend on the parameter."""

    @abstractmethod
    def apply(self, name: str, parameter: Any, gradient: Any, *scalars: Any) -> None:
        """Change one parameter in place; the scalars come in the parameter's dtype."""

    @property
    def lr(self) -> float:
        """The learning rate η as a number; assigning to it is seen by compiled steps at once."""
        return float(self.learning_rate)

    @lr.setter
    def lr(self, value: float) -> None:
        if isinstance(value, (int, float)):
            at_least("lr", value, 0.0)
        self.learning_rate[...] = value

    def update(self, model: Any, gradients: Any) -> None:
        """Take one step: change every parameter of the model in place.

        Args:
            model: The model given at construction, or one with the same names and shapes.
            gradients: ∂L/∂parameter in the structure of the model, as ``bg.grad`` returns it. Where
                it has None, or nothing, the parameter and its state stay as they are.

        A parameter that has two names (the same array in two places) is updated once, with the sum
        of its gradients; one gradient object found under both names counts once.

        Raises:
            ShapeError: if a name, a shape or a dtype does not fit.
        """
        given = named_leaves(gradients)
        for alias, name in self.tied.items():
            extra, first = given.pop(alias, None), given.get(name)
            if extra is not None and extra is not first:
                given[name] = extra if first is None else first + extra
        work = []
        for name, parameter in named_parameters(model):
            gradient = given.pop(name, None)
            if gradient is not None:
                self._compare(name, parameter, gradient)
                work.append((name, parameter, gradient))
        if given:
            self._refuse_surplus(given, model)
        # Nothing has been changed so far: an error above leaves model and optimiser as they were.
        self.step += 1
        scalars = self.scalars()
        cast: dict[Any, tuple[Any, ...]] = {}
        for name, parameter, gradient in work:
            dtype = parameter.dtype
            if dtype not in cast:
                cast[dtype] = tuple(scalar.astype(dtype) for scalar in scalars)
            self.apply(name, parameter, gradient, *cast[dtype])

    def allocate(self, model: Any, fill: float = 0.0) -> Slots:
        """One array per parameter, in its shape and dtype; one for a parameter with two names."""
        return {
            name: np.full(parameter.shape, fill, parameter.dtype)
            for name, parameter in named_parameters(model)
            if name in self.shapes
        }

    def _compare(self, name: str, parameter: Any, gradient: Any) -> None:
        if self.shapes.get(name) != parameter.shape:
            known = self.shapes.get(name)
            raise ShapeError(
                message(
                    f"the parameter {name!r} has shape {parameter.shape}",
                    "the optimiser was made for a model "
                    + ("without it" if known is None else f"where it has shape {known}"),
                    f"make a new optimiser for this model: {type(self).__name__}(model)",
                )
            )
        if not is_floating(gradient):
            kind = gradient.dtype if tree.is_array(gradient) else type(gradient).__name__
            raise ShapeError(
                message(
                    f"the gradient of {name!r} is of {kind}",
                    "a gradient is an array of real floating-point numbers",
                    "convert it: gradient.astype(parameter.dtype)",
                )
            )
        if gradient.shape != parameter.shape:
            raise ShapeError(
                message(
                    f"the gradient of {name!r} has shape {gradient.shape}, the parameter {parameter.shape}",
                    "∂L/∂X has the shape of X; NumPy would broadcast it without a word",
                    "pass what bg.grad(loss)(model) returns, or sum over the axis too many",
                )
            )

    def _refuse_surplus(self, given: dict[str, Any], model: Any) -> None:
        arrays = {name for name, leaf in given.items() if tree.is_array(leaf)}
        surplus = arrays - named_leaves(model).keys()
        if surplus:
            raise ShapeError(
                message(
                    f"gradients without a parameter: {', '.join(sorted(surplus))}",
                    f"the model's parameters are {', '.join(self.shapes)}",
                    "give the gradients the structure of the model, as bg.grad(loss)(model) does",
                )
            )

    def settings(self) -> dict[str, Any]:
        """The arguments that make such an optimiser anew: numbers and flags, fit for JSON.

        >>> from boxgrad.optim import Adam
        >>> Adam(np.ones(3)).settings()["betas"]
        (0.9, 0.999)
        """
        constants = {
            name: value for name, value in vars(self).items() if isinstance(value, (bool, int, float, tuple))
        }
        return {"lr": self.lr, **constants}

    def state_dict(self) -> dict[str, Any]:
        """Copies of all arrays of the state under flat names, for instance for safetensors.

        >>> from boxgrad.optim import SGD
        >>> list(SGD({"w": np.ones(3)}, momentum=0.9).state_dict())
        ['learning_rate', 'step', 'velocity.w']
        """
        return {name: array.copy() for name, array in self._state().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state, bit for bit, into the arrays that are there.

        Raises:
            ShapeError: if a name, a shape or a dtype does not fit; nothing has been changed then.
        """
        present = self._state()
        if present.keys() != state.keys():
            raise ShapeError(
                message(
                    f"the state of {type(self).__name__} does not fit: "
                    f"missing {sorted(present.keys() - state.keys())}, "
                    f"unknown {sorted(state.keys() - present.keys())}",
                    "it comes from another optimiser, another setting of it, or another model",
                    "make the optimiser with the arguments that the saved one had",
                )
            )
        for name, array in present.items():
            if (state[name].shape, state[name].dtype) != (array.shape, array.dtype):
                raise ShapeError(
                    message(
                        f"{name!r} in the state is {state[name].dtype}{list(state[name].shape)}, "
                        f"here it is {array.dtype}{list(array.shape)}",
                        "a state is taken over bit for bit, without conversion",
                        "make the model with the shapes and dtypes that the saved one had",
                    )
                )
        for name, array in present.items():
            array[...] = state[name]

    def _state(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for attribute, value in vars(self).items():
            if tree.is_array(value):
                found[attribute] = value
            elif isinstance(value, dict) and attribute not in ("shapes", "tied"):
                found.update((f"{attribute}.{name}", array) for name, array in value.items())
        return found

    def __repr__(self) -> str:
        if type(self.learning_rate) is not np.ndarray:
            return f"{type(self).__name__}(traced)"
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings().items())
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        return (
            f"{type(self).__name__}({settings}; {len(sizes)} parameters, "
            f"{sum(sizes):,} values, step {int(self.step)})"
        )


def at_least(name: str, value: float, least: float) -> None:
    """Refuse an argument below a bound; NaN is refused too."""
    if not value >= least:
        raise ValueError(
            message(
                f"{name} is {value!r}",
                f"it must be a number of at least {least:g}",
                f"pass {name}={least:g} or more",
            )
        )


def fraction(name: str, value: float) -> None:
    """Refuse an argument outside 0 ≤ value < 1."""
    if not 0.0 <= value < 1.0:
        raise ValueError(
            message(
                f"{name} is {value!r}",
                "it is the share of the past that is kept at each step: 0 ≤ value < 1",
                "pass for instance 0.9",
            )
        )

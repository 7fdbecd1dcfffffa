"""Adagrad. Knows its update equation and nothing else."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from boxgrad.optim.optimizer import Optimizer, Slots, at_least


@final
class Adagrad(Optimizer):
    r"""Adagrad: each value's step shrinks with the sum of its squared gradients.

    With gradient g, parameter θ, sum s, learning rate η, its decay δ, weight decay λ and step
    t = 1, 2, …::

        g ← g + λ θ
        s ← s + g²
        θ ← θ - η / (1 + (t - 1) δ) · g / (√s + ε)

    Shapes: θ, g and s have the shape and dtype of the parameter; t, η, δ, λ and ε are scalars.

    Args:
        model: A module or a tree of arrays; read for names, shapes and dtypes.
        lr: Learning rate η ≥ 0.
        lr_decay: δ ≥ 0.
        weight_decay: λ ≥ 0.
        initial_accumulator_value: s before the first step, ≥ 0.
        eps: ε ≥ 0, added to the denominator.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and
    stochastic optimization", 2011. Defaults and the order of operations are PyTorch's.

    >>> w = np.array([1.0, 2.0])
    >>> Adagrad(w, lr=0.5).update(w, np.array([4.0, -4.0]))
    >>> w
    array([0.5, 2.5])
    """

    def __init__(
        self,
        model: Any,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(model, lr)
        at_least("lr_decay", lr_decay, 0.0)
        at_least("weight_decay", weight_decay, 0.0)
        at_least("initial_accumulator_value", initial_accumulator_value, 0.0)
        at_least("eps", eps, 0.0)
        self.lr_decay = lr_decay
        self.weight_decay = weight_decay
        self.initial_accumulator_value = initial_accumulator_value
        self.eps = eps
        self.sum_of_squares: Slots = self.allocate(model, initial_accumulator_value)

    def scalars(self) -> tuple[Any, ...]:
        if self.lr_decay:
            return (self.learning_rate / (1.0 + (self.step - 1) * self.lr_decay),)
        return (self.learning_rate,)

    def apply(self, name: str, parameter: Any, gradient: Any, *scalars: Any) -> None:
        (rate,) = scalars
        total = self.sum_of_squares[name]
        if self.weight_decay:
            gradient = gradient + self.weight_decay * parameter
        total += gradient * gradient
        parameter -= rate * gradient / (np.sqrt(total) + self.eps)

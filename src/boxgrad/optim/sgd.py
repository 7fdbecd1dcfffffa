"""Stochastic gradient descent. Knows its update equation and nothing else."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from boxgrad.errors import message
from boxgrad.optim.optimizer import Optimizer, Slots, at_least, fraction


@final
class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum, Nesterov's momentum and weight decay.

    With gradient g, parameter θ, velocity v, learning rate η, momentum μ, dampening τ and weight
    decay λ, step t = 1, 2, …::

        g ← g + λ θ
        v ← g                     if t = 1
        v ← μ v + (1 - τ) g       if t > 1
        θ ← θ - η v               with momentum
        θ ← θ - η (g + μ v)       with Nesterov's momentum
        θ ← θ - η g               without momentum

    Shapes: θ, g and v have the shape and dtype of the parameter; t, η, μ, τ and λ are scalars.

    Args:
        model: A module or a tree of arrays; read for names, shapes and dtypes.
        lr: Learning rate η ≥ 0.
        momentum: μ, 0 ≤ μ < 1; 0 keeps no velocity.
        dampening: τ, 0 ≤ τ < 1.
        weight_decay: λ ≥ 0.
        nesterov: Look ahead along the velocity; needs momentum, and no dampening.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Robbins and Monro, "A stochastic approximation method", 1951; momentum: Polyak, 1964;
    Nesterov's in the form of Sutskever et al., "On the importance of initialization and momentum in
    deep learning", 2013. Defaults and the order of operations are PyTorch's.

    >>> w = np.array([1.0, 2.0])
    >>> optimizer = SGD(w, lr=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     optimizer.update(w, np.array([1.0, 1.0]))
    >>> w
    array([0.71, 1.71])
    """

    def __init__(
        self,
        model: Any,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(model, lr)
        fraction("momentum", momentum)
        fraction("dampening", dampening)
        at_least("weight_decay", weight_decay, 0.0)
        if nesterov and (momentum == 0.0 or dampening != 0.0):
            raise ValueError(
                message(
                    f"nesterov=True with momentum={momentum}, dampening={dampening}",
                    "Nesterov's step looks ahead along an undampened velocity",
                    "SGD(model, lr=0.1, momentum=0.9, nesterov=True)",
                )
            )
        self.momentum = momentum
        self.dampening = dampening
        self.weight_decay = weight_decay
        self.nesterov = nesterov
        self.velocity: Slots = self.allocate(model) if momentum else {}

    def scalars(self) -> tuple[Any, ...]:
        if self.momentum and self.dampening:
            return self.learning_rate, np.where(self.step == 1, 1.0, 1.0 - self.dampening)
        return (self.learning_rate,)

    def apply(self, name: str, parameter: Any, gradient: Any, *scalars: Any) -> None:
        if self.weight_decay:
            gradient = gradient + self.weight_decay * parameter
        if self.momentum:
            velocity = self.velocity[name]
            velocity *= self.momentum
            velocity += scalars[1] * gradient if self.dampening else gradient
            gradient = gradient + self.momentum * velocity if self.nesterov else velocity
        parameter -= scalars[0] * gradient

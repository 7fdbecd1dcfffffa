"""RMSprop. Knows its update equation and nothing else."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from boxgrad.optim.optimizer import Optimizer, Slots, at_least, fraction


@final
class RMSprop(Optimizer):
    r"""RMSprop: the gradient divided by the root of a running mean of its square.

    With gradient g, parameter θ, mean square v, mean gradient a, velocity b, learning rate η,
    smoothing α, momentum μ and weight decay λ::

        g ← g + λ θ
        v ← α v + (1 - α) g²
        d = √v + ε                    d = √(v - a²) + ε, a ← α a + (1 - α) g    where centered
        b ← μ b + g / d               b = g / d                                 without momentum
        θ ← θ - η b

    v - a² is a variance, not negative; where rounding makes it so, 0 is taken.

    Shapes: θ, g, v, a, b and d have the shape and dtype of the parameter; the others are scalars.

    Args:
        model: A module or a tree of arrays; read for names, shapes and dtypes.
        lr: Learning rate η ≥ 0.
        alpha: α, 0 ≤ α < 1.
        eps: ε ≥ 0, added to the denominator.
        weight_decay: λ ≥ 0.
        momentum: μ, 0 ≤ μ < 1; 0 keeps no velocity.
        centered: Divide by the standard deviation of the gradient.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Tieleman and Hinton, "Lecture 6.5: rmsprop", Neural Networks for Machine Learning, 2012;
    centred: Graves, "Generating sequences with recurrent neural networks", 2013. Defaults and the
    order of operations are PyTorch's.

    >>> w = np.array([1.0, 2.0])
    >>> RMSprop(w, lr=0.01, alpha=0.75).update(w, np.array([4.0, -4.0]))
    >>> w
    array([0.98, 2.02])
    """

    def __init__(
        self,
        model: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(model, lr)
        fraction("alpha", alpha)
        at_least("eps", eps, 0.0)
        at_least("weight_decay", weight_decay, 0.0)
        fraction("momentum", momentum)
        self.alpha = alpha
        self.eps = eps
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.centered = centered
        self.mean_square: Slots = self.allocate(model)
        self.mean_gradient: Slots = self.allocate(model) if centered else {}
        self.velocity: Slots = self.allocate(model) if momentum else {}

    def scalars(self) -> tuple[Any, ...]:
        return (self.learning_rate,)

    def apply(self, name: str, parameter: Any, gradient: Any, *scalars: Any) -> None:
        (rate,) = scalars
        square = self.mean_square[name]
        if self.weight_decay:
            gradient = gradient + self.weight_decay * parameter
        square *= self.alpha
        square += (1 - self.alpha) * gradient * gradient
        if self.centered:
            mean = self.mean_gradient[name]
            mean *= self.alpha
            mean += (1 - self.alpha) * gradient
            variance = square - mean * mean
            change = gradient / (np.sqrt(np.where(variance < 0, 0, variance)) + self.eps)
        else:
            change = gradient / (np.sqrt(square) + self.eps)
        if self.momentum:
            velocity = self.velocity[name]
            velocity *= self.momentum
            velocity += change
            change = velocity
        parameter -= rate * change

"""Adam, and AdamW with decoupled weight decay. Knows their update equations and nothing else."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from boxgrad.optim.optimizer import Optimizer, Slots, at_least, fraction


class _Moments(Optimizer):
    """Steps along the mean gradient over the root of the mean square, both freed of their bias."""

    decoupled: ClassVar[bool]
    """Whether weight decay shrinks the parameter instead of adding to the gradient."""

    def __init__(
        self,
        model: Any,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        amsgrad: bool,
    ) -> None:
        super().__init__(model, lr)
        fraction("betas[0]", betas[0])
        fraction("betas[1]", betas[1])
        at_least("eps", eps, 0.0)
        at_least("weight_decay", weight_decay, 0.0)
        self.betas = (betas[0], betas[1])
        self.eps = eps
        self.weight_decay = weight_decay
        self.amsgrad = amsgrad
        self.first_moment: Slots = self.allocate(model)
        self.second_moment: Slots = self.allocate(model)
        self.largest_second_moment: Slots = self.allocate(model) if amsgrad else {}

    def scalars(self) -> tuple[Any, ...]:
        first_beta, second_beta = self.betas
        rate = self.learning_rate / (1 - first_beta**self.step)
        # η/(1-β₁ᵗ) · m / (√v/r + ε) = η r/(1-β₁ᵗ) · m / (√v + ε r): one division less for each value.
        root = np.sqrt(1 - second_beta**self.step)
        return rate * root, self.eps * root, 1 - self.learning_rate * self.weight_decay

    def apply(self, name: str, parameter: Any, gradient: Any, *scalars: Any) -> None:
        rate, eps, shrink = scalars
        first_beta, second_beta = self.betas
        first, second = self.first_moment[name], self.second_moment[name]
        if self.weight_decay and self.decoupled:
            parameter *= shrink
        elif self.weight_decay:
            gradient = gradient + self.weight_decay * parameter
        first *= first_beta
        first += (1 - first_beta) * gradient
        second *= second_beta
        second += (1 - second_beta) * gradient * gradient
        if self.amsgrad:
            largest = self.largest_second_moment[name]
            largest[...] = np.maximum(largest, second)
            second = largest
        parameter -= rate * first / (np.sqrt(second) + eps)


@final
class Adam(_Moments):
    r"""Adam: adaptive estimates of the gradient's first and second moments.

    With gradient g, parameter θ, moments m and v, learning rate η, decay rates β₁ and β₂, weight
    decay λ and step t = 1, 2, …::

        g ← g + λ θ
        m ← β₁ m + (1 - β₁) g
        v ← β₂ v + (1 - β₂) g²
        θ ← θ - η / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε)

    With AMSGrad, the last line takes the largest v so far instead of v.

    Shapes: θ, g, m and v have the shape and dtype of the parameter; t, η, β₁, β₂, λ and ε are
    scalars, computed in float64 and then cast, so that float32 stays float32.

    Args:
        model: A module or a tree of arrays; read for names, shapes and dtypes.
        lr: Learning rate η ≥ 0.
        betas: (β₁, β₂), each in 0 ≤ β < 1.
        eps: ε ≥ 0, added to the denominator.
        weight_decay: λ ≥ 0, as a term of the gradient; for the decoupled kind see :class:`AdamW`.
        amsgrad: Never let v shrink.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015 (arXiv:1412.6980);
    AMSGrad: Reddi, Kale and Kumar, "On the convergence of Adam and beyond", 2018. Defaults and the
    order of operations are PyTorch's. The step t is that of the optimiser, also for a parameter
    that had no gradient at some steps.

    >>> w = np.array([1.0, 2.0])
    >>> Adam(w, lr=0.1).update(w, np.array([4.0, -0.25]))
    >>> w.round(6)
    array([0.9, 2.1])
    """

    decoupled = False

    def __init__(
        self,
        model: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(model, lr, betas, eps, weight_decay, amsgrad)


@final
class AdamW(_Moments):
    r"""Adam with weight decay apart from the gradient, so that the moments do not see it.

    With the symbols of :class:`Adam`::

        θ ← θ - η λ θ
        m ← β₁ m + (1 - β₁) g
        v ← β₂ v + (1 - β₂) g²
        θ ← θ - η / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε)

    Shapes: θ, g, m and v have the shape and dtype of the parameter; t, η, β₁, β₂, λ and ε are
    scalars.

    Args:
        model: A module or a tree of arrays; read for names, shapes and dtypes.
        lr: Learning rate η ≥ 0.
        betas: (β₁, β₂), each in 0 ≤ β < 1.
        eps: ε ≥ 0, added to the denominator.
        weight_decay: λ ≥ 0; a parameter shrinks by the factor 1 - η λ before each step.
        amsgrad: Never let v shrink.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019 (arXiv:1711.05101).
    Defaults and the order of operations are PyTorch's.

    >>> w = np.array([1.0, 2.0])
    >>> AdamW(w, lr=0.1, weight_decay=0.5).update(w, np.array([4.0, -0.25]))
    >>> w.round(6)
    array([0.85, 2.  ])
    """

    decoupled = True

    def __init__(
        self,
        model: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(model, lr, betas, eps, weight_decay, amsgrad)

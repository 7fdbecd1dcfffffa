"""Activation functions as layers, for ``Sequential``; they have no parameters.

Knows names and settings; the formulas are in ``activations``.
"""

from __future__ import annotations

from typing import Any

from boxgrad.nn import activations
from boxgrad.nn.module import Module


class ReLU(Module):
    """``y = max(x, 0)``, with derivative 0 at 0; x and y of one shape.

    >>> import numpy as np
    >>> ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __call__(self, x: Any) -> Any:
        return activations.relu(x)


class LeakyReLU(Module):
    """``y = x`` where x > 0, ``slope · x`` elsewhere; x and y of one shape.

    Args:
        negative_slope: the slope.

    Source: Maas et al., 2013.

    >>> import numpy as np
    >>> LeakyReLU(0.1)(np.array([-1.0, 2.0]))
    array([-0.1,  2. ])
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def __call__(self, x: Any) -> Any:
        return activations.leaky_relu(x, self.negative_slope)


class ELU(Module):
    """``y = x`` where x > 0, ``α (eˣ - 1)`` elsewhere; x and y of one shape.

    Args:
        alpha: α, minus the value far to the left.

    Source: Clevert et al., 2016.

    >>> import numpy as np
    >>> ELU()(np.array([-50.0, 2.0]))
    array([-1.,  2.])
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def __call__(self, x: Any) -> Any:
        return activations.elu(x, self.alpha)


class GELU(Module):
    """``y = x Φ(x)``, Φ the normal distribution's cumulative function; x and y of one shape.

    Args:
        approximate: "none", or "tanh" for the approximation by a hyperbolic tangent.

    Source: Hendrycks and Gimpel, 2016.

    >>> import numpy as np
    >>> GELU()(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.8413])
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def __call__(self, x: Any) -> Any:
        return activations.gelu(x, self.approximate)


class SiLU(Module):
    """``y = x / (1 + e⁻ˣ)``; x and y of one shape. Source: Elfwing et al., 2018.

    >>> import numpy as np
    >>> SiLU()(np.array([0.0, 1000.0]))
    array([   0., 1000.])
    """

    def __call__(self, x: Any) -> Any:
        return activations.silu(x)


class Sigmoid(Module):
    """``y = 1 / (1 + e⁻ˣ)``; x and y of one shape.

    >>> import numpy as np
    >>> Sigmoid()(np.array([0.0, 1000.0]))
    array([0.5, 1. ])
    """

    def __call__(self, x: Any) -> Any:
        return activations.sigmoid(x)


class Tanh(Module):
    """``y = (eˣ - e⁻ˣ) / (eˣ + e⁻ˣ)``; x and y of one shape.

    >>> import numpy as np
    >>> Tanh()(np.array([0.0, 1000.0]))
    array([0., 1.])
    """

    def __call__(self, x: Any) -> Any:
        return activations.tanh(x)


class Softplus(Module):
    """``y = log(1 + exp(β x)) / β``; x and y of one shape.

    Args:
        beta: β, how sharp the bend is.

    >>> import numpy as np
    >>> Softplus()(np.array([0.0, 1000.0])).round(4)
    array([6.931e-01, 1.000e+03])
    """

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = beta

    def __call__(self, x: Any) -> Any:
        return activations.softplus(x, self.beta)


class Softmax(Module):
    """``y_i = exp(x_i) / Σ_j exp(x_j)`` along an axis; x and y of one shape.

    Args:
        dim: the axis.

    >>> import numpy as np
    >>> Softmax()(np.array([[3.0, 3.0]]))
    array([[0.5, 0.5]])
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def __call__(self, x: Any) -> Any:
        return activations.softmax(x, self.dim)


class LogSoftmax(Module):
    """``y_i = x_i - log Σ_j exp(x_j)`` along an axis; x and y of one shape.

    Args:
        dim: the axis.

    >>> import numpy as np
    >>> LogSoftmax()(np.array([0.0, -1e4]))
    array([     0., -10000.])
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def __call__(self, x: Any) -> Any:
        return activations.log_softmax(x, self.dim)

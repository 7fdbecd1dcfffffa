r"""A formula from somebody's notes: the last factor is Xᵀ where it must be Wᵀ.

For L = Λ(σ(XW)) the notes have ∂Λ/∂u(X) = ∂Λ/∂u(S) × ∂σ/∂u(N) Xᵀ. With X of 3 by 3 and W of 3 by 2 the
shapes do not even fit: N is 3 by 2, and what multiplies it from the right must have two rows.
"""

import numpy as np


def loss(X, W):
    N = X @ W
    S = 1 / (1 + np.exp(-N))
    L = np.sum(S)
    return L


formula = (
    r"\frac{\partial L}{\partial X} = "
    r"\frac{\partial L}{\partial S} \times \frac{\partial \sigma}{\partial u}(N) "
)
wrong = formula + "X^T"
right = formula + "W^T"


def arguments(random):
    return random.normal(size=(3, 3)), random.normal(size=(3, 2))


WRT = ("X",)
EXPECTED = (("impossible shape", "N"),)

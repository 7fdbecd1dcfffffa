r"""A formula from somebody's notes: "the partial derivative with respect to x + 3".

What is meant is x₃, the third of the inputs; a subscript was read as a sum. A derivative with respect to
a sum is not anything: an input has a name.
"""

import numpy as np


def loss(x1, x2, x3, w1, w2, w3):
    n = x1 * w1 + x2 * w2 + x3 * w3
    L = 1 / (1 + np.exp(-n))
    return L


wrong = r"\frac{\partial L}{\partial x + 3} = L (1 - L) w_3"
right = r"\frac{\partial L}{\partial x_3} = L (1 - L) w_3"


def arguments(random):
    return tuple(random.normal(size=6))


WRT = ("x3",)
EXPECTED = (("does not parse", None),)

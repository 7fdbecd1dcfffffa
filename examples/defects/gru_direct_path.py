"""GRU: the direct path from one state to the next is missing on the way back.

The new state is u h + (1 - u) n. The gradient of the old state has four parts: through both gates,
through the candidate, and the direct one, u times the gradient of the new state. It is the part that
carries a memory over many steps, and it is the one that was forgotten.
"""

import numpy as np
from gru_common import WRT, arguments, forward, loss, right

__all__ = ["EXPECTED", "WRT", "arguments", "loss", "right", "wrong"]


def wrong(X, h, Wu, Uu, Wr, Ur, Wn, Un, R):
    dWu, dUu, dWr, dUr, dWn, dUn = (np.zeros_like(W) for W in (Wu, Uu, Wr, Ur, Wn, Un))
    dh = R
    for x, old, u, r, n in reversed(forward(X, h, Wu, Uu, Wr, Ur, Wn, Un)):
        an = dh * (1 - u) * (1 - n**2)
        dm = an @ Un.T
        au = dh * (old - n) * u * (1 - u)
        ar = dm * old * r * (1 - r)
        dWu, dUu = dWu + x.T @ au, dUu + old.T @ au
        dWr, dUr = dWr + x.T @ ar, dUr + old.T @ ar
        dWn, dUn = dWn + x.T @ an, dUn + (r * old).T @ an
        dh = dm * r + au @ Uu.T + ar @ Ur.T
    return dh, dWu, dUu, dWr, dUr, dWn, dUn


EXPECTED = (("path dropped", "h"),)

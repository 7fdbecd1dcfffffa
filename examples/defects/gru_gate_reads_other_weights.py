"""GRU: the update gate reads the reset gate's weights.

A line was copied and its names were not changed. Both gates are the same function, two of the six weights
are never used, and nothing fails: the gradient is that of the function as it was written, not as it was
meant.
"""

import numpy as np
from gru_common import WRT, arguments, forward, loss, right

__all__ = ["EXPECTED", "WRT", "arguments", "loss", "right", "wrong"]


def wrong(X, h, Wu, Uu, Wr, Ur, Wn, Un, R):
    dWr, dUr, dWn, dUn = (np.zeros_like(W) for W in (Wr, Ur, Wn, Un))
    dh = R
    for x, old, u, r, n in reversed(forward(X, h, Wr, Ur, Wr, Ur, Wn, Un)):  # u is computed as r is
        an = dh * (1 - u) * (1 - n**2)
        dm = an @ Un.T
        au = dh * (old - n) * u * (1 - u)
        ar = dm * old * r * (1 - r)
        dWr, dUr = dWr + x.T @ (au + ar), dUr + old.T @ (au + ar)
        dWn, dUn = dWn + x.T @ an, dUn + (r * old).T @ an
        dh = dh * u + dm * r + (au + ar) @ Ur.T
    return dh, np.zeros_like(Wu), np.zeros_like(Uu), dWr, dUr, dWn, dUn


EXPECTED = (("parameter swapped", "u"),)

"""GRU: the gates are given the wrong gradient, and get exactly nothing.

The code began as an LSTM, where a cell's gradient is carried beside the state's. A GRU has no such cell:
the array is made, filled with zeros, never written to, and it is what the update gate is multiplied with.
Zero is a well-shaped gradient.
"""

import numpy as np
from gru_common import WRT, arguments, forward, loss, right

__all__ = ["EXPECTED", "WRT", "arguments", "loss", "right", "wrong"]


def wrong(X, h, Wu, Uu, Wr, Ur, Wn, Un, R):
    dWu, dUu, dWr, dUr, dWn, dUn = (np.zeros_like(W) for W in (Wu, Uu, Wr, Ur, Wn, Un))
    dh, dc = R, np.zeros_like(R)
    for x, old, u, r, n in reversed(forward(X, h, Wu, Uu, Wr, Ur, Wn, Un)):
        an = dh * (1 - u) * (1 - n**2)
        dm = an @ Un.T
        au = dc * (old - n) * u * (1 - u)
        ar = dm * old * r * (1 - r)
        dWu, dUu = dWu + x.T @ au, dUu + old.T @ au
        dWr, dUr = dWr + x.T @ ar, dUr + old.T @ ar
        dWn, dUn = dWn + x.T @ an, dUn + (r * old).T @ an
        dh = dh * u + dm * r + au @ Uu.T + ar @ Ur.T
    return dh, dWu, dUu, dWr, dUr, dWn, dUn


EXPECTED = (("path dropped", "u"),)

"""The discrete Fourier transform along one axis; all others are made of it.

``y_k = Σ_j x_j exp(∓2πi jk/n)``, without a factor; the upper sign is forward. Its matrix
is symmetric, so the transform is its own derivative rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgrad.graph.primitive import Call, Primitive
from boxgrad.types import ArrayType


def _fft(x: Any, *, axis: int, inverse: bool) -> Any:
    return np.fft.ifft(x, axis=axis, norm="forward") if inverse else np.fft.fft(x, axis=axis)


fft = Primitive(
    "fft",
    _fft,
    lambda x, axis, inverse: ArrayType(x.shape, np.fft.fft(np.zeros(1, x.dtype)).dtype),
    (lambda g, y, x, axis, inverse: fft(g, axis=axis, inverse=inverse),),
    Call("fft"),
    (),
)

"""One step of a recurrent network: its equations, and the cells that make one step a call.

Knows gates and their order (PyTorch's); knows nothing of sequences.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from boxgrad.boxed import boxed
from boxgrad.errors import BoxgradError, message
from boxgrad.functions import Random
from boxgrad.nn import expect, init
from boxgrad.nn.activations import relu
from boxgrad.nn.module import Module

State = tuple[Any, ...]


@boxed
def gate(x: Any) -> Any:
    """A sigmoid by way of the hyperbolic tangent: ``σ(x) = (1 + tanh(x/2)) / 2``.

    Quicker than ``sigmoid`` and as good where only the absolute error counts, as in a gate.
    """
    return 0.5 * np.tanh(0.5 * x) + 0.5


def _parts(x: Any, count: int) -> list[Any]:
    size = x.shape[-1] // count
    return [x[..., part * size : (part + 1) * size] for part in range(count)]


# Each step takes the state, the part of the sum that comes from the input (biases included), and
# the weights of the hidden state, transposed; it returns the next state, the output first.


def tanh_step(state: State, projected: Any, weight: Any, _bias: Any) -> State:
    return (np.tanh(projected + state[0] @ weight),)


def relu_step(state: State, projected: Any, weight: Any, _bias: Any) -> State:
    return (relu(projected + state[0] @ weight),)


def lstm_step(state: State, projected: Any, weight: Any, _bias: Any) -> State:
    h, c = state
    a_i, a_f, a_g, a_o = _parts(projected + h @ weight, 4)
    i = gate(a_i)
    f = gate(a_f)
    g = np.tanh(a_g)
    o = gate(a_o)
    c = f * c + i * g
    h = o * np.tanh(c)
    return h, c


def gru_step(state: State, projected: Any, weight: Any, bias: Any) -> State:
    """The bias of the hidden state comes late, because the reset gate multiplies a part of it."""
    (h,) = state
    recalled = h @ weight
    if bias is not None:
        recalled = recalled + bias
    x_r, x_z, x_n = _parts(projected, 3)
    h_r, h_z, h_n = _parts(recalled, 3)
    r = gate(x_r + h_r)
    z = gate(x_z + h_z)
    n = np.tanh(x_n + r * h_n)
    h = n + z * (h - n)
    return (h,)


def step_of(nonlinearity: str) -> Any:
    """The step of a plain recurrent network with this nonlinearity."""
    steps = {"tanh": tanh_step, "relu": relu_step}
    if nonlinearity not in steps:
        raise BoxgradError(
            message(
                f"no recurrent network with the nonlinearity {nonlinearity!r}",
                "PyTorch's RNN knows two",
                "nonlinearity='tanh' or 'relu'",
            )
        )
    return steps[nonlinearity]


class _Cell(Module):
    """What the cells share: weights with rows for each gate."""

    _gates: int
    _late_bias = False

    def _hold(self, input_size: int, hidden_size: int, bias: bool, seed: init.Seed, dtype: DTypeLike) -> None:
        rows = self._gates * hidden_size
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.weight_ih = np.empty((rows, input_size), dtype)
        self.weight_hh = np.empty((rows, hidden_size), dtype)
        self.bias_ih = np.empty(rows, dtype) if bias else None
        self.bias_hh = np.empty(rows, dtype) if bias else None
        self.bias = bias
        self.reset_parameters(init.stream(seed))

    def reset_parameters(self, random: Random) -> None:
        reset_uniform(self, self.hidden_size, random)

    def _advance(self, step: Any, x: Any, state: State | None, states: int) -> State:
        expect.shape(self, "x", x, ("N", self.input_size))
        projected = x @ self.weight_ih.T
        if self.bias_ih is not None:
            bias = self.bias_ih if self._late_bias else self.bias_ih + self.bias_hh
            projected = projected + bias
        size = (x.shape[0], self.hidden_size)
        if state is None:
            state = (np.zeros(size, projected.dtype),) * states
        for part in state:
            expect.shape(self, "hx", part, size)
        return step(state, projected, self.weight_hh.T, self.bias_hh)


def reset_uniform(layer: Module, hidden_size: int, random: Random) -> None:
    """Draw all parameters as PyTorch does: ``U[-b, b)``, ``b = 1 / √H``."""
    bound = 1 / math.sqrt(hidden_size)
    for array in layer.parameters():
        array[...] = init.uniform(array.shape, low=-bound, high=bound, seed=random, dtype=array.dtype)


class RNNCell(_Cell):
    """One step of a plain recurrent network.

    ``h' = tanh(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh)``, x (N, I), h and h' (N, H), weight_ih (H, I),
    weight_hh (H, H), bias_ih and bias_hh (H,).

    Args:
        input_size: I.
        hidden_size: H.
        bias: whether there are biases.
        nonlinearity: "tanh" or "relu".
        seed: of the initial values, ``U[-1/√H, 1/√H)``; None for fresh ones.
        dtype: of the parameters.

    Raises:
        ShapeError: x or h does not fit.

    Source: Elman, 1990; PyTorch's ``nn.RNNCell``.

    >>> RNNCell(3, 4)(np.ones((2, 3), np.float32)).shape
    (2, 4)
    """

    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        seed: init.Seed = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        step_of(nonlinearity)
        self.nonlinearity = nonlinearity
        self._hold(input_size, hidden_size, bias, seed, dtype)

    def __call__(self, x: Any, hx: Any = None) -> Any:
        state = None if hx is None else (hx,)
        return self._advance(step_of(self.nonlinearity), x, state, 1)[0]


class LSTMCell(_Cell):
    """One step of a long short-term memory.

    ``i, f, o = σ(x W_i*ᵀ + b_i* + h W_h*ᵀ + b_h*)``, ``g = tanh(…)``,
    ``c' = f ⊙ c + i ⊙ g``, ``h' = o ⊙ tanh(c')``, x (N, I), h, c, h' and c' (N, H),
    weight_ih (4H, I), weight_hh (4H, H), bias_ih and bias_hh (4H,) with rows in the order
    i, f, g, o.

    Args:
        input_size: I.
        hidden_size: H.
        bias: whether there are biases.
        seed: of the initial values, ``U[-1/√H, 1/√H)``; None for fresh ones.
        dtype: of the parameters.

    Returns:
        h' and c'.

    Raises:
        ShapeError: x, h or c does not fit.

    Source: Hochreiter and Schmidhuber, 1997; PyTorch's ``nn.LSTMCell``.

    >>> h, c = LSTMCell(3, 4)(np.ones((2, 3), np.float32))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """

    _gates = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        seed: init.Seed = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self._hold(input_size, hidden_size, bias, seed, dtype)

    def __call__(self, x: Any, hx: tuple[Any, Any] | None = None) -> Any:
        return self._advance(lstm_step, x, hx, 2)


class GRUCell(_Cell):
    """One step of a gated recurrent unit.

    ``r, z = σ(x W_i*ᵀ + b_i* + h W_h*ᵀ + b_h*)``,
    ``n = tanh(x W_inᵀ + b_in + r ⊙ (h W_hnᵀ + b_hn))``, ``h' = (1 - z) ⊙ n + z ⊙ h``,
    x (N, I), h and h' (N, H), weight_ih (3H, I), weight_hh (3H, H), bias_ih and bias_hh (3H,)
    with rows in the order r, z, n.

    Args:
        input_size: I.
        hidden_size: H.
        bias: whether there are biases.
        seed: of the initial values, ``U[-1/√H, 1/√H)``; None for fresh ones.
        dtype: of the parameters.

    Raises:
        ShapeError: x or h does not fit.

    Source: Cho et al., 2014; PyTorch's ``nn.GRUCell``.

    >>> GRUCell(3, 4)(np.ones((2, 3), np.float32)).shape
    (2, 4)
    """

    _gates = 3
    _late_bias = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        seed: init.Seed = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self._hold(input_size, hidden_size, bias, seed, dtype)

    def __call__(self, x: Any, hx: Any = None) -> Any:
        return self._advance(gru_step, x, None if hx is None else (hx,), 1)[0]

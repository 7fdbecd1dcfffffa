"""Recurrent networks over whole sequences, on ``scan``.

Knows layers, directions and the order of axes; one step is in ``recurrent_cells``. What does not
depend on the hidden state, the product of the input and its weights, is computed for all steps at
once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from boxgrad.functions import Random, scan
from boxgrad.nn import expect, init
from boxgrad.nn.module import Module
from boxgrad.nn.recurrent_cells import State, gru_step, lstm_step, reset_uniform, step_of
from boxgrad.nn.regularisation import check_probability, drop


class _Recurrent(Module):
    """What the three networks share: a subclass names its gates and its step."""

    _gates: int
    _late_bias = False

    def _hold(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        seed: init.Seed,
        dtype: DTypeLike,
    ) -> None:
        check_probability(type(self).__name__, dropout)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        rows = self._gates * hidden_size
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else hidden_size * self._directions()
            for suffix in self._suffixes(layer):
                setattr(self, "weight_ih" + suffix, np.empty((rows, inputs), dtype))
                setattr(self, "weight_hh" + suffix, np.empty((rows, hidden_size), dtype))
                if bias:
                    setattr(self, "bias_ih" + suffix, np.empty(rows, dtype))
                    setattr(self, "bias_hh" + suffix, np.empty(rows, dtype))
        self.random: Random | None = None
        self.reset_parameters(init.stream(seed))

    def reset_parameters(self, random: Random) -> None:
        reset_uniform(self, self.hidden_size, random)
        self.random = random.split("dropout") if self.dropout else None

    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        return (f"_l{layer}", f"_l{layer}_reverse")[: self._directions()]

    def _run(self, step: Any, x: Any, state: State | None, states: int) -> tuple[Any, State]:
        """Run all layers; returns the outputs of the last and every layer's final states."""
        order: tuple[int | str, ...] = ("N", "T") if self.batch_first else ("T", "N")
        expect.shape(self, "x", x, (*order, self.input_size))
        if self.batch_first:
            x = np.swapaxes(x, 0, 1)
        wanted = (self.num_layers * self._directions(), x.shape[1], self.hidden_size)
        for part in state or ():
            expect.shape(self, "hx", part, wanted)
        final: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.training and self.random is not None:
                x = drop(x, self.dropout, self.random)
            outputs = []
            for reverse, suffix in enumerate(self._suffixes(layer)):
                projected = self._project(x, suffix)
                if state is None:
                    start = (np.zeros(wanted[1:], projected.dtype),) * states
                else:
                    start = tuple(part[len(final)] for part in state)
                last, output = self._scan(step, start, projected, suffix, bool(reverse))
                final.append(last)
                outputs.append(output)
            x = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=-1)
        if self.batch_first:
            x = np.swapaxes(x, 0, 1)
        return x, tuple(np.stack(parts) for parts in zip(*final, strict=True))

    def _project(self, x: Any, suffix: str) -> Any:
        """The input's part of every step's sum, as one product."""
        steps, batch, inputs = x.shape
        projected = x.reshape((steps * batch, inputs)) @ getattr(self, "weight_ih" + suffix).T
        if self.bias:
            bias = getattr(self, "bias_ih" + suffix)
            if not self._late_bias:
                bias = bias + getattr(self, "bias_hh" + suffix)
            projected = projected + bias
        return projected.reshape((steps, batch, -1))

    def _scan(self, step: Any, start: State, projected: Any, suffix: str, reverse: bool) -> tuple[State, Any]:
        weight = getattr(self, "weight_hh" + suffix).T
        late = getattr(self, "bias_hh" + suffix) if self.bias and self._late_bias else None

        def cell(state: State, projection: Any) -> tuple[State, Any]:
            state = step(state, projection, weight, late)
            return state, state[0]

        return scan(cell, start, projected, reverse=reverse)


class RNN(_Recurrent):
    """A plain recurrent network: the hidden state meets the next input, again and again.

    ``h_t = tanh(x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh)``, x (T, N, I), h_t (N, H);
    for layer l the parameters are weight_ih_l (H, I), weight_hh_l (H, H), bias_ih_l and bias_hh_l
    (H,); a further layer's input is the outputs below it, and ``_reverse`` runs backwards in time.

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: L, layers on top of each other.
        nonlinearity: "tanh" or "relu".
        bias: whether there are biases.
        batch_first: whether x and the outputs are (N, T, …) rather than (T, N, …).
        dropout: probability that an output between two layers is dropped in training.
        bidirectional: whether each layer also runs backwards (D = 2 directions, else 1).
        seed: of the initial values, ``U[-1/√H, 1/√H)``, and of dropout; None for fresh ones.
        dtype: of the parameters.

    Called with x, and hx (L·D, N, H) or None for zeros.

    Returns:
        The outputs (T, N, D·H) of the last layer, and the final hidden states (L·D, N, H).

    Raises:
        ShapeError: x or hx does not fit.

    Source: Elman, 1990; PyTorch's ``nn.RNN``.

    >>> outputs, h = RNN(3, 4, num_layers=2)(np.ones((7, 2, 3), np.float32))
    >>> outputs.shape, h.shape
    ((7, 2, 4), (2, 2, 4))
    """

    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        seed: init.Seed = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        step_of(nonlinearity)
        self.nonlinearity = nonlinearity
        self._hold(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, seed, dtype
        )

    def __call__(self, x: Any, hx: Any = None) -> tuple[Any, Any]:
        state = None if hx is None else (hx,)
        outputs, (h,) = self._run(step_of(self.nonlinearity), x, state, 1)
        return outputs, h


class LSTM(_Recurrent):
    """A long short-term memory: gates decide what a cell forgets, takes in and shows.

    ``i, f, o = σ(x_t W_i*ᵀ + b_i* + h_{t-1} W_h*ᵀ + b_h*)``, ``g = tanh(…)``,
    ``c_t = f ⊙ c_{t-1} + i ⊙ g``, ``h_t = o ⊙ tanh(c_t)``, x (T, N, I), h_t and c_t (N, H);
    for layer l the parameters are weight_ih_l (4H, I), weight_hh_l (4H, H), bias_ih_l and
    bias_hh_l (4H,), with rows in the order i, f, g, o; ``_reverse`` runs backwards in time.

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: L, layers on top of each other.
        bias: whether there are biases.
        batch_first: whether x and the outputs are (N, T, …) rather than (T, N, …).
        dropout: probability that an output between two layers is dropped in training.
        bidirectional: whether each layer also runs backwards (D = 2 directions, else 1).
        seed: of the initial values, ``U[-1/√H, 1/√H)``, and of dropout; None for fresh ones.
        dtype: of the parameters.

    Called with x, and hx = (h, c), each (L·D, N, H), or None for zeros.

    Returns:
        The outputs (T, N, D·H) of the last layer, and the final states (h, c), each (L·D, N, H).

    Raises:
        ShapeError: x, h or c does not fit.

    Source: Hochreiter and Schmidhuber, 1997; Gers et al., 2000; PyTorch's ``nn.LSTM``.

    >>> outputs, (h, c) = LSTM(3, 4, bidirectional=True)(np.ones((7, 2, 3), np.float32))
    >>> outputs.shape, h.shape, c.shape
    ((7, 2, 8), (2, 2, 4), (2, 2, 4))
    """

    _gates = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        seed: init.Seed = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self._hold(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, seed, dtype
        )

    def __call__(self, x: Any, hx: tuple[Any, Any] | None = None) -> tuple[Any, tuple[Any, Any]]:
        return self._run(lstm_step, x, hx, 2)  # type: ignore[return-value]


class GRU(_Recurrent):
    """A gated recurrent unit: one gate mixes old and new, another resets what the new is made of.

    ``r, z = σ(x_t W_i*ᵀ + b_i* + h_{t-1} W_h*ᵀ + b_h*)``,
    ``n = tanh(x_t W_inᵀ + b_in + r ⊙ (h_{t-1} W_hnᵀ + b_hn))``,
    ``h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}``, x (T, N, I), h_t (N, H); for layer l the parameters are
    weight_ih_l (3H, I), weight_hh_l (3H, H), bias_ih_l and bias_hh_l (3H,), with rows in the
    order r, z, n; ``_reverse`` runs backwards in time.

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: L, layers on top of each other.
        bias: whether there are biases.
        batch_first: whether x and the outputs are (N, T, …) rather than (T, N, …).
        dropout: probability that an output between two layers is dropped in training.
        bidirectional: whether each layer also runs backwards (D = 2 directions, else 1).
        seed: of the initial values, ``U[-1/√H, 1/√H)``, and of dropout; None for fresh ones.
        dtype: of the parameters.

    Called with x, and hx (L·D, N, H) or None for zeros.

    Returns:
        The outputs (T, N, D·H) of the last layer, and the final hidden states (L·D, N, H).

    Raises:
        ShapeError: x or hx does not fit.

    Source: Cho et al., 2014; PyTorch's ``nn.GRU`` (the reset gate comes after the product).

    >>> outputs, h = GRU(3, 4, batch_first=True)(np.ones((2, 7, 3), np.float32))
    >>> outputs.shape, h.shape
    ((2, 7, 4), (1, 2, 4))
    """

    _gates = 3
    _late_bias = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        seed: init.Seed = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self._hold(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, seed, dtype
        )

    def __call__(self, x: Any, hx: Any = None) -> tuple[Any, Any]:
        outputs, (h,) = self._run(gru_step, x, None if hx is None else (hx,), 1)
        return outputs, h

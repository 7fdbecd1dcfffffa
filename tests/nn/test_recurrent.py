"""Recurrent networks and cells against ONNX, and against each other."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_reference import onnx_run

from boxgrad import nn
from boxgrad.errors import BoxgradError, ShapeError

rng = np.random.default_rng(0)
CLASSES = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
CELLS = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}
# ONNX's order of gates, as positions in PyTorch's: i o f c from i f g o, z r h from r z n.
GATES = {"RNN": [0], "LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2]}


def _reordered(name, array):
    blocks = np.split(array, len(GATES[name]))
    return np.concatenate([blocks[gate] for gate in GATES[name]])


def _onnx(name, layer, x, state, suffix):
    """One layer in one direction, time first; returns outputs and final states."""
    flip = slice(None, None, -1 if suffix.endswith("_reverse") else 1)
    parts = [
        getattr(layer, f"{kind}{suffix}", None) for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    w, r, *biases = (None if part is None else _reordered(name, part) for part in parts)
    b = None if biases[0] is None else np.concatenate(biases)[None]
    attributes = {"hidden_size": layer.hidden_size}
    if name == "GRU":
        attributes["linear_before_reset"] = 1
    y, *final = onnx_run(
        name,
        x[flip],
        w[None],
        r[None],
        b,
        None,
        *[part[None] for part in state],
        outputs=3 if name == "LSTM" else 2,
        **attributes,
    )
    return y[flip, 0], [part[0] for part in final]


def _expected(name, layer, x, state):
    suffixes = ["", "_reverse"] if layer.bidirectional else [""]
    finals = []
    for number in range(layer.num_layers):
        outputs = []
        for suffix in suffixes:
            start = [part[len(finals)] for part in state]
            output, final = _onnx(name, layer, x, start, f"_l{number}{suffix}")
            outputs.append(output)
            finals.append(final)
        x = np.concatenate(outputs, axis=-1)
    return x, [np.stack(parts) for parts in zip(*finals, strict=True)]


def _state(name, *shape):
    return [rng.normal(size=shape) for _ in range(2 if name == "LSTM" else 1)]


def _given(name, state):
    return tuple(state) if name == "LSTM" else state[0]


def _tuple(final):
    return final if isinstance(final, tuple) else (final,)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_against_onnx(name, layers, bidirectional, batch, bias):
    layer = CLASSES[name](3, 5, layers, bias=bias, bidirectional=bidirectional, seed=0, dtype=np.float64)
    x = rng.normal(size=(6, batch, 3))
    state = _state(name, layers * (1 + bidirectional), batch, 5)
    expected, final = _expected(name, layer, x, state)
    outputs, found = layer(x, _given(name, state))
    np.testing.assert_allclose(outputs, expected, rtol=1e-10, atol=1e-13)
    for left, right in zip(_tuple(found), final, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("batch", [1, 3])
def test_relu_by_its_equation(batch):
    layer = nn.RNN(3, 5, nonlinearity="relu", seed=0, dtype=np.float64)
    x, h = rng.normal(size=(6, batch, 3)), rng.normal(size=(batch, 5))
    outputs, _ = layer(x, h[None])
    cell = nn.RNNCell(3, 5, nonlinearity="relu", dtype=np.float64)
    cell.load_state_dict({key[:-3]: value for key, value in layer.state_dict().items()})
    for step, output in zip(x, outputs, strict=True):
        np.testing.assert_allclose(cell(step, h), output, rtol=1e-12)
        total = step @ layer.weight_ih_l0.T + h @ layer.weight_hh_l0.T
        h = np.maximum(total + layer.bias_ih_l0 + layer.bias_hh_l0, 0)
        np.testing.assert_allclose(output, h, rtol=1e-12)


@pytest.mark.parametrize("name", CLASSES)
def test_no_state_is_zeros_and_batch_first_only_swaps_axes(name):
    layer = CLASSES[name](3, 5, 2, bidirectional=True, seed=0, dtype=np.float64)
    x = rng.normal(size=(6, 2, 3))
    outputs, final = layer(x)
    zeros = [np.zeros((4, 2, 5))] * (2 if name == "LSTM" else 1)
    np.testing.assert_array_equal(layer(x, _given(name, zeros))[0], outputs)
    layer.batch_first = True
    swapped, same = layer(np.swapaxes(x, 0, 1))
    np.testing.assert_array_equal(np.swapaxes(swapped, 0, 1), outputs)
    np.testing.assert_array_equal(_tuple(same)[0], _tuple(final)[0])


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_cell_called_again_and_again_is_the_network(name, bias):
    layer = CLASSES[name](3, 5, bias=bias, seed=0, dtype=np.float64)
    cell = CELLS[name](3, 5, bias=bias, dtype=np.float64)
    cell.load_state_dict({key[:-3]: value for key, value in layer.state_dict().items()})
    x = rng.normal(size=(4, 2, 3))
    outputs, _ = layer(x)
    state = None
    for step, expected in zip(x, outputs, strict=True):
        state = cell(step, state)
        np.testing.assert_allclose(_tuple(state)[0], expected, rtol=1e-12, atol=1e-14)


def test_names_and_beginning():
    layer = nn.LSTM(3, 16, 2, bidirectional=True, seed=0)
    state = layer.state_dict()
    assert list(state)[:5] == [
        "weight_ih_l0",
        "weight_hh_l0",
        "bias_ih_l0",
        "bias_hh_l0",
        "weight_ih_l0_reverse",
    ]
    assert state["weight_ih_l1_reverse"].shape == (64, 32)
    for array in state.values():
        assert array.dtype == np.float32
        assert 0.15 < np.abs(array).max() <= 0.25
    outputs, (h, c) = layer(np.ones((4, 2, 3), np.float32))
    assert outputs.dtype == h.dtype == c.dtype == np.float32
    assert list(nn.GRU(2, 3, bias=False).state_dict()) == ["weight_ih_l0", "weight_hh_l0"]


def test_dropout_between_layers_in_training_alone():
    layer = nn.GRU(3, 50, 2, dropout=0.5, seed=0)
    x = rng.normal(size=(4, 2, 3)).astype(np.float32)
    first, second = layer(x)[1], layer(x)[1]
    np.testing.assert_array_equal(first[0], second[0])
    assert np.any(first[1] != second[1])
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0], layer(x)[0])
    np.testing.assert_array_equal(layer.train().initialise(1)(x)[0], layer.initialise(1)(x)[0])


def test_large_inputs_do_not_overflow():
    for name, cls in CLASSES.items():
        layer = cls(3, 5, seed=0)
        outputs, _ = layer(np.full((3, 2, 3), 1e4, np.float32))
        assert np.all(np.isfinite(outputs)), name


def test_errors():
    layer = nn.LSTM(3, 5)
    with pytest.raises(ShapeError, match=r"LSTM\(3, 5\) expected x of shape \(T, N, 3\)"):
        layer(np.zeros((4, 3)))
    with pytest.raises(ShapeError, match=r"\(N, T, 3\), found \(4, 2, 5\)"):
        nn.GRU(3, 5, batch_first=True)(np.zeros((4, 2, 5)))
    with pytest.raises(ShapeError, match=r"expected hx of shape \(1, 2, 5\), found \(2, 5\)"):
        layer(np.zeros((4, 2, 3)), (np.zeros((2, 5)), np.zeros((2, 5))))
    with pytest.raises(ShapeError, match=r"GRUCell\(3, 5\) expected hx of shape \(2, 5\)"):
        nn.GRUCell(3, 5)(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(BoxgradError, match="nonlinearity 'sine'"):
        nn.RNN(3, 5, nonlinearity="sine")
    with pytest.raises(BoxgradError, match=r"p=1\.5 is not a probability"):
        nn.RNN(3, 5, dropout=1.5)

"""The gradient of every layer and loss, against differences; and the same layers compiled.

Differences are central, at three step sizes, extrapolated (Richardson) to the sixth order, in float64,
with random upstream gradients. Inputs keep away from kinks; what holds at a kink is said below.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn, tree

F64 = {"dtype": np.float64}


def _normal(*shape: int) -> Callable[[np.random.Generator, int], np.ndarray]:
    return lambda rng, batch: rng.normal(size=(batch, *shape))


def _time(*shape: int) -> Callable[[np.random.Generator, int], np.ndarray]:
    return lambda rng, batch: rng.normal(size=(shape[0], batch, *shape[1:]))


def _apart(*shape: int) -> Callable[[np.random.Generator, int], np.ndarray]:
    """No two elements, and none and 0, closer than 0.04."""

    def draw(rng: np.random.Generator, batch: int) -> np.ndarray:
        size = batch * int(np.prod(shape))
        values = (np.arange(size) - size // 2) * 0.08 + 0.04
        return rng.permutation(values).reshape(batch, *shape)

    return draw


def _states(layers: int, hidden: int) -> Callable[[np.random.Generator, int], np.ndarray]:
    return lambda rng, batch: rng.normal(size=(layers, batch, hidden))


def _indices(rng: np.random.Generator, batch: int) -> np.ndarray:
    return rng.integers(0, 5, (batch, 4))


class _SelfAttention(nn.Module):
    def __init__(self) -> None:
        self.inner = nn.MultiheadAttention(4, 2, dropout=0.3, seed=1, **F64)

    def __call__(self, x: Any) -> Any:
        mask = np.triu(np.ones((x.shape[0],) * 2, bool), 1)
        return self.inner(x, x, x, attn_mask=mask)


Maker = Callable[[], nn.Module]
LAYERS: dict[str, tuple[Maker, tuple[Callable[..., np.ndarray], ...]]] = {
    "Linear": (lambda: nn.Linear(4, 3, **F64), (_normal(4),)),
    "Linear of sequences": (lambda: nn.Linear(4, 3, **F64), (_normal(2, 4),)),
    "Conv1d": (lambda: nn.Conv1d(2, 3, 3, padding=1, **F64), (_normal(2, 6),)),
    "Conv2d": (lambda: nn.Conv2d(2, 3, (3, 2), **F64), (_normal(2, 5, 4),)),
    "Conv2d stride": (
        lambda: nn.Conv2d(2, 4, 3, stride=(2, 1), padding=1, groups=2, **F64),
        (_normal(2, 6, 5),),
    ),
    "Conv2d same": (
        lambda: nn.Conv2d(1, 2, (2, 3), padding="same", dilation=2, bias=False, **F64),
        (_normal(1, 5, 6),),
    ),
    "Conv3d": (lambda: nn.Conv3d(1, 2, (1, 2, 2), **F64), (_normal(1, 2, 4, 3),)),
    "ConvTranspose2d": (
        lambda: nn.ConvTranspose2d(2, 4, (2, 3), 2, 1, 1, groups=2, **F64),
        (_normal(2, 3, 4),),
    ),
    "MaxPool1d": (lambda: nn.MaxPool1d(3, 2, 1), (_apart(2, 7),)),
    "MaxPool2d": (lambda: nn.MaxPool2d((2, 3), 1), (_apart(2, 4, 5),)),
    "AvgPool1d": (lambda: nn.AvgPool1d(3, 2, 1), (_normal(2, 7),)),
    "AvgPool2d": (lambda: nn.AvgPool2d(2, 1, 1, count_include_pad=False), (_normal(2, 4, 5),)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((2, 3)), (_normal(2, 5, 4),)),
    "AdaptiveAvgPool2d one": (lambda: nn.AdaptiveAvgPool2d(1), (_normal(2, 5, 4),)),
    "Flatten": (nn.Flatten, (_normal(2, 3),)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3, **F64), (_normal(3, 4),)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(2, momentum=None, **F64), (_normal(2, 3, 4),)),
    "BatchNorm2d eval": (lambda: nn.BatchNorm2d(2, **F64).eval(), (_normal(2, 3, 4),)),
    "BatchNorm1d bare": (
        lambda: nn.BatchNorm1d(3, affine=False, track_running_stats=False),
        (_normal(3, 4),),
    ),
    "LayerNorm": (lambda: nn.LayerNorm((2, 3), **F64), (_normal(2, 3),)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4, **F64), (_normal(4, 3, 2),)),
    "Dropout": (lambda: nn.Dropout(0.4, seed=2), (_normal(3, 4),)),
    "Embedding": (lambda: nn.Embedding(5, 3, **F64), (_indices,)),
    "RNN": (lambda: nn.RNN(3, 2, 2, bidirectional=True, **F64), (_time(4, 3), _states(4, 2))),
    "RNN relu": (lambda: nn.RNN(3, 2, nonlinearity="relu", seed=3, **F64), (_time(3, 3),)),
    "LSTM": (lambda: nn.LSTM(3, 2, 2, bidirectional=True, **F64), (_time(4, 3),)),
    "GRU": (lambda: nn.GRU(3, 2, 2, dropout=0.5, **F64), (_time(4, 3), _states(2, 2))),
    "GRU batch_first": (lambda: nn.GRU(3, 2, bias=False, batch_first=True, **F64), (_normal(4, 3),)),
    "RNNCell": (lambda: nn.RNNCell(3, 2, **F64), (_normal(3), _normal(2))),
    "LSTMCell": (lambda: nn.LSTMCell(3, 2, **F64), (_normal(3),)),
    "GRUCell": (lambda: nn.GRUCell(3, 2, **F64), (_normal(3), _normal(2))),
    "MultiheadAttention": (
        lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=2, batch_first=True, **F64),
        (_normal(3, 4), _normal(5, 3), _normal(5, 2)),
    ),
    "self-attention": (_SelfAttention, (_time(3, 4),)),
    "ReLU": (nn.ReLU, (_apart(3, 4),)),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.2), (_apart(3, 4),)),
    "ELU": (lambda: nn.ELU(0.7), (_apart(3, 4),)),
    "GELU": (nn.GELU, (_normal(3, 4),)),
    "GELU tanh": (lambda: nn.GELU("tanh"), (_normal(3, 4),)),
    "SiLU": (nn.SiLU, (_normal(3, 4),)),
    "Sigmoid": (nn.Sigmoid, (_normal(3, 4),)),
    "Tanh": (nn.Tanh, (_normal(3, 4),)),
    "Softplus": (lambda: nn.Softplus(2.0), (_normal(3, 4),)),
    "Softmax": (lambda: nn.Softmax(1), (_normal(3, 4),)),
    "LogSoftmax": (nn.LogSoftmax, (_normal(3, 4),)),
    "Sequential": (
        lambda: nn.Sequential(nn.Linear(4, 3, **F64), np.tanh, nn.Linear(3, 2, **F64)),
        (_normal(4),),
    ),
}


def _upstream(outputs: Any) -> list[np.ndarray]:
    rng = np.random.default_rng(9)
    return [rng.normal(size=y.shape) for y in tree.leaves(outputs) if y is not None]


def _arranged(name: str, batch: int) -> tuple[nn.Module, list[np.ndarray], Callable[..., Any]]:
    """A layer with parameters that are nowhere 0, inputs, and a function with one number as result."""
    maker, inputs = LAYERS[name]
    rng = np.random.default_rng(4)
    layer = maker()
    for array in layer.parameters():
        array[...] = rng.uniform(0.2, 0.9, array.shape) * rng.choice([-1, 1], array.shape)
    arrays = [draw(rng, batch) for draw in inputs]
    upstream = _upstream(copy.deepcopy(layer)(*arrays))

    def weighted(layer: nn.Module, *arrays: Any) -> Any:
        outputs = tree.leaves(layer(*arrays))
        return sum(np.sum(y * g) for y, g in zip(outputs, upstream, strict=True))

    return layer, arrays, weighted


def _difference(function: Callable[[float], float]) -> float:
    """The derivative at 0, to the sixth order of the step."""

    def central(step: float) -> float:
        return (function(step) - function(-step)) / (2 * step)

    h = 4e-3
    return (64 * central(h / 4) - 20 * central(h / 2) + central(h)) / 45


def _check(value: Callable[[], Any], array: np.ndarray, gradient: np.ndarray, what: str) -> None:
    """Compare the gradient by an array with differences, along elements and random directions."""
    assert gradient.shape == array.shape, what
    assert gradient.dtype == array.dtype, what
    rng = np.random.default_rng(5)
    elements = rng.permutation(array.size)[:8]
    directions = [np.eye(array.size)[element].reshape(array.shape) for element in elements]
    directions.append(rng.normal(size=array.shape))
    kept = array.copy()
    for direction in directions:

        def moved(step: float, direction: np.ndarray = direction) -> float:
            array[...] = kept + step * direction
            result = float(value())
            array[...] = kept
            return result

        expected, found = _difference(moved), float(np.sum(gradient * direction))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=2e-10, err_msg=what)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_layers(name: str, batch: int) -> None:
    layer, arrays, weighted = _arranged(name, batch)
    smooth = [n + 1 for n, array in enumerate(arrays) if array.dtype.kind == "f"]
    traced, plain = copy.deepcopy(layer), copy.deepcopy(layer)
    value, gradients = bg.value_and_grad(weighted, argnums=(0, *smooth))(traced, *arrays)
    np.testing.assert_allclose(value, weighted(plain, *arrays), rtol=1e-12)
    for left, right in zip(tree.leaves(traced), tree.leaves(plain), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-12)  # buffers and streams are written back

    def again() -> Any:
        return weighted(copy.deepcopy(layer), *arrays)

    parameters = dict(layer.named_parameters())
    found = dict(tree.named_leaves(gradients[0]))
    for key, array in parameters.items():
        _check(again, array, found[key], f"{name}, {key}")
    for position, gradient in zip(smooth, gradients[1:], strict=True):
        _check(again, arrays[position - 1], gradient, f"{name}, input {position}")


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_compiled(name: str, engine: str) -> None:
    layer, arrays, weighted = _arranged(name, 3)
    eager, compiled = copy.deepcopy(layer), copy.deepcopy(layer)
    smooth = [n + 1 for n, array in enumerate(arrays) if array.dtype.kind == "f"]
    differentiated = bg.value_and_grad(weighted, argnums=(0, *smooth))
    step = bg.compile(differentiated, engine=engine)
    for _ in range(2):
        expected, gradients = differentiated(eager, *arrays)
        value, found = step(compiled, *arrays)
        np.testing.assert_allclose(value, expected, rtol=1e-12)
        for left, right in zip(tree.leaves(found), tree.leaves(gradients), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-12)
    for left, right in zip(tree.leaves(compiled), tree.leaves(eager), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-12)


def _scores(rng: np.random.Generator, batch: int) -> tuple[Any, Any]:
    return rng.normal(size=(batch, 4)), rng.normal(size=(batch, 4))


def _classes(rng: np.random.Generator, batch: int) -> tuple[Any, Any]:
    return rng.normal(size=(batch, 4)), rng.integers(0, 4, batch)


def _pixels(rng: np.random.Generator, batch: int) -> tuple[Any, Any]:
    targets = rng.integers(0, 4, (batch, 2, 3))
    targets[0, 0, 0] = -100
    return rng.normal(size=(batch, 4, 2, 3)), targets


def _distributions(rng: np.random.Generator, batch: int) -> tuple[Any, Any]:
    return rng.normal(size=(batch, 4)), nn.softmax(rng.normal(size=(batch, 4)))


def _chances(rng: np.random.Generator, batch: int) -> tuple[Any, Any]:
    return rng.uniform(0.1, 0.9, (batch, 4)), rng.uniform(0.1, 0.9, (batch, 4))


def _far(rng: np.random.Generator, batch: int) -> tuple[Any, Any]:
    targets = rng.normal(size=(batch, 4))
    differences = rng.permutation([-1.4, -0.3, 0.2, 1.1])
    return targets + differences, targets


WEIGHT = np.array([0.5, 1.0, 2.0, 0.3])
LOSSES: dict[str, tuple[Callable[..., Any], Callable[..., tuple[Any, Any]], dict[str, Any]]] = {
    "mse": (nn.mse, _scores, {}),
    "l1": (nn.l1, _far, {}),
    "huber": (nn.huber, _far, {"delta": 0.7}),
    "cross_entropy": (nn.cross_entropy, _classes, {}),
    "cross_entropy of pixels": (nn.cross_entropy, _pixels, {"weight": WEIGHT}),
    "cross_entropy smoothed": (nn.cross_entropy, _pixels, {"weight": WEIGHT, "label_smoothing": 0.1}),
    "cross_entropy of probabilities": (
        nn.cross_entropy,
        _distributions,
        {"weight": WEIGHT, "label_smoothing": 0.1},
    ),
    "nll": (nn.nll, _pixels, {"weight": WEIGHT}),
    "binary_cross_entropy": (nn.binary_cross_entropy, _chances, {}),
    "binary_cross_entropy_with_logits": (nn.binary_cross_entropy_with_logits, _scores, {}),
    "binary_cross_entropy_with_logits weighted": (
        nn.binary_cross_entropy_with_logits,
        _scores,
        {"weight": WEIGHT, "pos_weight": WEIGHT[::-1].copy()},
    ),
    "kl_div": (nn.kl_div, _distributions, {}),
    "kl_div of logarithms": (nn.kl_div, _scores, {"log_target": True, "reduction": "sum"}),
}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_losses(name: str, batch: int) -> None:
    loss, draw, options = LOSSES[name]
    x, y = draw(np.random.default_rng(6), batch)
    smooth = (0, 1) if y.dtype.kind == "f" else (0,)
    gradients = bg.grad(lambda x, y: loss(x, y, **options), argnums=smooth)(x, y)
    for array, gradient in zip((x, y), gradients, strict=False):
        _check(lambda: loss(x, y, **options), array, gradient, name)
    # One loss per sample, each with its own upstream gradient.
    if options.get("reduction") is None:
        losses = loss(x, y, "none", **options)
        upstream = np.random.default_rng(7).normal(size=losses.shape)

        def weighted(x: Any) -> Any:
            return np.sum(loss(x, y, "none", **options) * upstream)

        _check(lambda: weighted(x), x, bg.grad(weighted)(x), name)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_compiled(name: str) -> None:
    loss, draw, options = LOSSES[name]
    x, y = draw(np.random.default_rng(6), 3)
    function = bg.value_and_grad(lambda x, y: loss(x, y, **options))
    (value, gradient), (expected, same) = bg.compile(function)(x, y), function(x, y)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(gradient, same, rtol=1e-11, atol=1e-14)


SLOPES_AT_ZERO = {
    nn.relu: 0.0,
    nn.leaky_relu: 0.01,
    nn.elu: 1.0,
    nn.gelu: 0.5,
    nn.sigmoid: 0.25,
    nn.silu: 0.5,
    nn.tanh: 1.0,
    nn.softplus: 0.5,
}


@pytest.mark.parametrize("function", SLOPES_AT_ZERO, ids=lambda f: f.__name__)
def test_derivatives_at_zero(function: Callable[..., Any]) -> None:
    assert bg.grad(function)(0.0) == pytest.approx(SLOPES_AT_ZERO[function], abs=1e-15)


SECOND_AT_ZERO = {nn.gelu: np.sqrt(2 / np.pi), nn.sigmoid: 0.0, nn.silu: 0.5, nn.tanh: 0.0, nn.softplus: 0.25}


@pytest.mark.parametrize("function", SECOND_AT_ZERO, ids=lambda f: f.__name__)
def test_second_derivatives_at_zero(function: Callable[..., Any]) -> None:
    found = bg.grad(bg.grad(function))(0.0)
    assert found == pytest.approx(SECOND_AT_ZERO[function], abs=1e-15)


@pytest.mark.parametrize("function", [*SLOPES_AT_ZERO, nn.softmax, nn.log_softmax])
def test_gradients_of_large_numbers_are_finite(function: Callable[..., Any]) -> None:
    x = np.array([-1e4, -90, 90, 1e4], np.float32)
    gradient = bg.grad(lambda x: np.sum(function(x) * np.arange(4, dtype=np.float32)))(x)
    assert gradient.dtype == np.float32
    assert np.all(np.isfinite(gradient))


def test_gradient_of_cross_entropy_of_large_scores() -> None:
    x = np.array([[1e4, 1e4, -1e4], [-1e4, 1e4, 0]], np.float32)
    gradient = bg.grad(lambda x: nn.cross_entropy(x, np.array([0, 0]), "sum"))(x)
    np.testing.assert_allclose(gradient, [[-0.5, 0.5, 0], [-1, 1, 0]], atol=1e-6)
    x = np.array([-1e4, 0, 1e4], np.float32)
    targets = np.array([1, 1, 0], np.float32)
    gradient = bg.grad(lambda x: nn.binary_cross_entropy_with_logits(x, targets, "sum"))(x)
    np.testing.assert_allclose(gradient, [-1, -0.5, 1], atol=1e-6)


def test_the_padding_row_gets_no_gradient() -> None:
    layer = nn.Embedding(5, 3, padding_idx=1, **F64)
    indices = np.array([[1, 2], [4, 1]])
    gradient = bg.grad(lambda m: np.sum(m(indices) ** 2))(layer).weight
    np.testing.assert_allclose(gradient[[2, 4]], 2 * layer.weight[[2, 4]])
    assert not np.any(gradient[[0, 1, 3]])


def test_float32_layers_have_float32_gradients() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.GELU(), nn.Dropout(0.1), nn.Flatten(), nn.Linear(8, 3)
    )
    x = np.random.default_rng(0).normal(size=(5, 1, 4, 4)).astype(np.float32)
    value, gradients = bg.value_and_grad(
        lambda m: nn.cross_entropy(m(x), np.arange(5) % 3, label_smoothing=0.1)
    )(model)
    assert value.dtype == np.float32
    for name, parameter in model.named_parameters():
        gradient = dict(tree.named_leaves(gradients))[name]
        assert (gradient.dtype, gradient.shape) == (np.float32, parameter.shape), name
    assert model[1].running_mean.dtype == np.float32
    assert model[1].num_batches_tracked == 1


def test_a_layer_that_a_compiled_function_closes_over() -> None:
    layer, weight = nn.Embedding(5, 3, padding_idx=0, **F64), np.array([0.5, 1, 2])
    indices = np.array([[1, 0], [4, 2]])
    targets = np.array([[0, 1], [2, 2]])

    def loss(indices: Any, targets: Any) -> Any:
        return nn.cross_entropy(np.swapaxes(layer(indices), 1, 2), targets, weight=weight)

    np.testing.assert_allclose(bg.compile(loss)(indices, targets), loss(indices, targets))


def test_both_modes_of_a_compiled_model() -> None:
    model = nn.Sequential(nn.Dropout(0.5, seed=0), nn.BatchNorm1d(4, **F64))
    x = np.random.default_rng(0).normal(size=(6, 4))
    forward = bg.compile(lambda m, x: m(x))
    twin = copy.deepcopy(model)
    for training in (True, False, True):
        np.testing.assert_allclose(forward(model.train(training), x), twin.train(training)(x))
    np.testing.assert_allclose(model[1].running_var, twin[1].running_var)
    assert model[1].num_batches_tracked == 2


def test_a_compiled_step_of_nested_modules_on_plain_inputs() -> None:
    model = nn.Sequential(nn.Linear(4, 3, **F64), nn.BatchNorm1d(3, **F64), nn.Sequential(nn.Dropout(seed=0)))
    twin = copy.deepcopy(model)
    x, y = np.random.default_rng(0).normal(size=(6, 4)), np.arange(6) % 3

    def step(model: nn.Module, x: Any, y: Any) -> Any:
        value, gradients = bg.value_and_grad(lambda m: nn.cross_entropy(m(x), y))(model)
        for parameter, gradient in zip(model.parameters(), gradients.parameters(), strict=True):
            parameter -= 0.1 * gradient
        return value

    compiled = bg.compile(step)
    for _ in range(3):
        np.testing.assert_allclose(compiled(model, x, y), step(twin, x, y), rtol=1e-12)
    for left, right in zip(tree.leaves(model), tree.leaves(twin), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-12)

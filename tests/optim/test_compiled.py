"""The same update compiled: the same bits, nothing traced twice, ties kept."""

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn, optim

MAKERS = {
    "SGD": lambda model: optim.SGD(model, lr=0.1),
    "SGD, dampened": lambda model: optim.SGD(model, lr=0.1, momentum=0.9, dampening=0.2),
    "SGD, Nesterov": lambda model: optim.SGD(model, lr=0.1, momentum=0.9, nesterov=True),
    "Adagrad": lambda model: optim.Adagrad(model, lr_decay=0.1, weight_decay=0.1),
    "RMSprop": lambda model: optim.RMSprop(model, centered=True, momentum=0.5),
    "Adam": optim.Adam,
    "AMSGrad": lambda model: optim.Adam(model, amsgrad=True, weight_decay=0.1),
    "AdamW": optim.AdamW,
}
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(8, 4)).astype(np.float32)
Y = RANDOM.integers(0, 3, 8)


def make_model():
    # A bias before the normalisation would have a gradient of rounding alone, which Adam scales up.
    layers = nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)
    return nn.Sequential(*layers).initialise(0)


def step(model, optimizer, x, y):
    value, gradients = bg.value_and_grad(lambda model: nn.cross_entropy(model(x), y))(model)
    gradients, norm = optim.clip_by_norm(gradients, 0.5)
    optimizer.update(model, optim.clip_by_value(gradients, 0.2))
    return value, norm


def bits(state):
    return {name: (array.dtype, array.tobytes()) for name, array in state.items()}


def assert_same_bits(found, expected):
    assert bits(found) == bits(expected)


def assert_near(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(("engine", "compare"), [("numpy", assert_same_bits), ("native", assert_near)])
def test_compiled_steps_are_the_same(name, engine, compare):
    """Bit for bit by the NumPy engine, up to rounding by the native one."""
    traces = []

    def counted(*arguments):
        traces.append(arguments)
        return step(*arguments)

    compiled = bg.compile(counted, engine=engine)
    plain, fast = make_model(), make_model()
    optimizers = MAKERS[name](plain), MAKERS[name](fast)
    arrays = optimizers[1].learning_rate, optimizers[1].step, fast[0].weight
    for number in range(4):
        for optimizer in optimizers:
            optimizer.lr = 0.1 / (number + 1)
        expected, found = step(plain, optimizers[0], X, Y), compiled(fast, optimizers[1], X, Y)
        names = ("loss", "norm")
        compare(*(dict(zip(names, map(np.asarray, values), strict=True)) for values in (found, expected)))
    compare(fast.state_dict(), plain.state_dict())
    compare(optimizers[1].state_dict(), optimizers[0].state_dict())
    assert optimizers[1].step == 4
    assert len(traces) == 1  # a new learning rate is no reason to trace again
    now = optimizers[1].learning_rate, optimizers[1].step, fast[0].weight
    assert all(after is before for after, before in zip(now, arrays, strict=True))


class Tied(nn.Module):
    """Reads and writes with one and the same matrix."""

    def __init__(self):
        self.encoder = np.linspace(-1, 1, 12).reshape(4, 3)
        self.decoder = self.encoder

    def __call__(self, x):
        return np.tanh(x @ self.encoder) @ self.decoder.T


@pytest.mark.parametrize("compiled", [False, True])
def test_tied_parameters_get_their_whole_gradient_once(compiled):
    x = RANDOM.normal(size=(5, 4))
    model = Tied()
    before = model.encoder.copy()

    def loss_of(matrix):
        return np.sum((np.tanh(x @ matrix) @ matrix.T - x) ** 2)

    def update(model, optimizer):
        gradients = bg.grad(lambda model: np.sum((model(x) - x) ** 2))(model)
        optimizer.update(model, gradients)

    (bg.compile(update) if compiled else update)(model, optim.SGD(model, lr=0.01))
    assert model.decoder is model.encoder
    expected = before - 0.01 * bg.grad(loss_of)(before)
    np.testing.assert_allclose(model.encoder, expected, rtol=1e-12)


@pytest.mark.parametrize("compiled", [False, True])
def test_parameters_without_axes(compiled):
    class Scale(nn.Module):
        def __init__(self):
            self.factor = np.array(2.0)

        def __call__(self, x):
            return x * self.factor

    model = Scale()

    def update(model, optimizer):
        gradients = bg.grad(lambda model: np.sum(model(np.ones(3))))(model)
        optimizer.update(model, gradients)

    (bg.compile(update) if compiled else update)(model, optim.SGD(model, lr=0.5))
    assert model.factor == 0.5


def test_a_rate_computed_inside_the_step():
    def update(w, optimizer):
        optimizer.lr = 1.0 / (optimizer.step + 1)
        optimizer.update(w, np.ones(2))

    w = np.zeros(2)
    optimizer = optim.SGD(w)
    compiled = bg.compile(update)
    for _ in range(3):
        compiled(w, optimizer)
    np.testing.assert_allclose(w, -(1 + 1 / 2 + 1 / 3))
    assert optimizer.lr == pytest.approx(1 / 3)

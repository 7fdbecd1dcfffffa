"""Programs as people write them: plain NumPy, classes, loops, recursion, control flow on values."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn
from numeric import assert_near, direction, inner, richardson


def check(f, *args, relative=1e-9):
    """The gradient against differences, and compiled."""
    numbers = tuple(range(len(args)))
    gradients = bg.grad(f, numbers)(*args)
    vs = direction(args, np.random.default_rng(0))
    assert_near(inner(gradients, vs), richardson(f, args, vs, 0.005), "gradient", relative)
    return gradients


# ---- the programs of the design, as they stand
def f(x):
    a = np.maximum(0.2 * x, x)  # leaky ReLU
    b = a**2
    return 1 / (1 + np.exp(-b))


def test_the_chain_rule_and_any_order():
    s = f(1.5)
    assert bg.grad(f)(1.5) == pytest.approx(s * (1 - s) * 3, rel=1e-14)
    assert bg.grad(f)(-1.5) == pytest.approx(f(-1.5) * (1 - f(-1.5)) * 2 * -0.3 * 0.2, rel=1e-14)
    g = s * (1 - s)
    assert bg.grad(bg.grad(f))(1.5) == pytest.approx(g * (1 - 2 * s) * 9 + 2 * g, rel=1e-13)


def test_matrices():
    def loss(X, W):
        N = X @ W
        S = 1 / (1 + np.exp(-N))
        L = np.sum(S)
        return L

    X, W = np.random.default_rng(0).normal(size=(3, 3)), np.random.default_rng(1).normal(size=(3, 2))
    L, (dX, dW) = bg.value_and_grad(loss, argnums=(0, 1))(X, W)
    S = 1 / (1 + np.exp(-X @ W))
    assert loss(X, W) == L
    np.testing.assert_allclose(dX, (S * (1 - S)) @ W.T, rtol=1e-13)
    np.testing.assert_allclose(dW, X.T @ (S * (1 - S)), rtol=1e-13)


class Gate(nn.Module):
    def __init__(self, inputs, hidden, seed=0):
        self.weight = nn.init.xavier_uniform((hidden, inputs), seed=seed)
        self.bias = np.zeros(hidden, np.float32)

    def __call__(self, x):
        return x * nn.sigmoid(x @ self.weight.T + self.bias)


@bg.boxed
def softplus(x):
    return np.logaddexp(x, 0)


def rnn(h0, xs, U, V):
    def cell(h, x):
        h = np.tanh(h @ U + x @ V)
        return h, h

    return bg.scan(cell, h0, xs)  # (last state, all states), time first


def test_a_layer_of_ones_own():
    gate = Gate(3, 3)
    x = np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32)
    value, gradient = bg.value_and_grad(lambda gate: np.sum(gate(x)))(gate)
    s = 1 / (1 + np.exp(-(x @ gate.weight.T)))
    assert isinstance(gradient, Gate)
    np.testing.assert_allclose(gradient.bias, np.sum(x * s * (1 - s), axis=0), rtol=1e-5)
    np.testing.assert_allclose(gradient.weight, (x * s * (1 - s)).T @ x, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(bg.compile(lambda gate, x: np.sum(gate(x)))(gate, x), value, rtol=1e-6)


def test_a_boxed_function():
    x = np.array([-1.0, 0.0, 2.0])
    np.testing.assert_allclose(bg.grad(lambda x: np.sum(softplus(x)))(x), 1 / (1 + np.exp(-x)), rtol=1e-14)
    scopes = {node.scope.name for node in bg.trace(softplus, x).nodes if node.scope}
    assert scopes == {"softplus"}
    assert {node.scope.name for node in bg.trace(Gate(2, 2), np.ones((1, 2))).nodes if node.scope} >= {
        "sigmoid"
    }


def test_a_cell_of_ones_own():
    random = np.random.default_rng(3)
    h0, xs, U, V = (random.normal(size=shape) for shape in ((2, 3), (5, 2, 4), (3, 3), (4, 3)))
    check(lambda *args: np.sum(rnn(*args)[0] ** 2) + np.sum(rnn(*args)[1]), h0, xs, U, V)


def heat(u, steps):
    u = u.copy()
    for _ in range(steps):
        u[1:-1] += 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
    return np.sum(u**2)


def test_numpy_as_people_write_it():
    u = np.random.default_rng(4).normal(size=64)
    before = u.copy()
    gradient = bg.grad(heat)(u, 10)
    np.testing.assert_array_equal(u, before)
    v = np.random.default_rng(5).normal(size=64)
    assert_near(gradient @ v, richardson(lambda u: heat(u, 10), [u], [v]))
    np.testing.assert_allclose(bg.compile(bg.grad(heat))(u, 10), gradient, rtol=1e-13)


def test_second_order():
    A = np.random.default_rng(6).normal(size=(4, 4))
    vector = lambda x: np.sum(np.sin(A @ x)) + x[0] ** 3
    g = lambda x: np.sin(A @ x)
    x, v = np.random.default_rng(7).normal(size=(2, 4))
    H = -A.T @ np.diag(np.sin(A @ x)) @ A
    H[0, 0] += 6 * x[0]
    J = np.diag(np.cos(A @ x)) @ A
    np.testing.assert_allclose(bg.hvp(vector, x, v), H @ v, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(bg.hessian(vector)(x), H, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(bg.jacobian(g)(x), J, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(bg.jvp(g, (x,), (v,))[1], J @ v, rtol=1e-12)
    y, pullback = bg.vjp(g, x)
    np.testing.assert_array_equal(y, g(x))
    np.testing.assert_allclose(pullback(v)[0], v @ J, rtol=1e-12, atol=1e-14)


# ---- control flow on values
def collatz(x):
    steps = 0
    while x > 1.0:
        x = x / 2 if int(x) % 2 == 0 else 3 * x + 1
        steps += 1
        if steps > 50:
            break
    return x * steps


def bisected(a):
    """√a by bisection, then one Newton step, which carries the derivative."""
    low, high = 0.0, float(a) + 1
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if middle**2 < a else (low, middle)
    return 0.5 * (low + a / low)


def power(x, n):
    return 1.0 if n == 0 else x * power(x, n - 1)


def by_cases(x):
    total = 0.0
    for element in x:
        if element > 0.5:
            total += element**2
        elif abs(element) < 0.1:
            continue
        else:
            total -= np.sin(element)
    return total


def generator(x):
    def running():
        total = 0.0
        for element in x:
            total = total * 0.9 + element
            yield total

    return sum(y**2 for y in running())


def in_containers(x):
    parts = {"first": x[:2], "rest": [x[2:], (x * 2,)]}
    parts["rest"].append(np.stack([parts["first"], parts["rest"][0]]))
    return np.sum(parts["rest"].pop()) * np.sum(parts["rest"][1][0] ** 2)


def caught(x):
    try:
        return np.sum(x.reshape(3, 5))
    except ValueError:
        return np.sum(x**3)


def spread(a, b, *rest):
    return a * b + sum(rest)


def newton(a):
    x = a
    for _ in range(30):
        step = (x**3 - a) / (3 * x**2)
        x = x - step
        if abs(step) < 1e-15:
            break
    return x


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (collatz, 6.3), (lambda x: power(x, 5), 1.3), (by_cases, np.array([0.7, 0.05, -0.6, 2.0])),
        (generator, np.array([0.5, -1.0, 2.0])), (in_containers, np.array([0.5, -1.0, 2.0, 0.3])),
        (caught, np.array([0.5, -1.0, 2.0, 0.3])), (newton, 2.0),
        (lambda x: sorted(x, key=float)[1] * x[0], np.array([0.5, -1.0, 2.0])),
        (lambda x: max(x) * min(x), np.array([0.5, -1.0, 2.0])),
        (lambda x: sum(a * b for a, b in zip(x, x[::-1], strict=True)), np.array([0.5, -1.0, 2.0])),
        (lambda x: np.sum(x[x > 0] ** 2), np.array([0.5, -1.0, 2.0])),
        (lambda x: x[int(np.argmax(x))] ** 2, np.array([0.5, -1.0, 2.0])),
        (lambda x: spread(*x), np.array([0.5, -1.0, 2.0, 0.3])),
    ],
)  # fmt: skip
def test_control_flow_on_values(function, x):
    check(function, x)


def test_a_root_found_by_bisection():
    assert bisected(2.0) == pytest.approx(2**0.5, rel=1e-12)
    assert bg.grad(bisected)(2.0) == pytest.approx(0.25 * 2**0.5, rel=1e-9)


# ---- objects
@dataclass
class State:
    position: np.ndarray
    velocity: np.ndarray
    name: str = "state"


def test_dataclasses_go_in_and_out():
    def step(state, dt):
        a = -np.sin(state.position)
        return State(state.position + dt * state.velocity, state.velocity + dt * a)

    def energy(state):
        for _ in range(3):
            state = step(state, 0.1)
        return np.sum(state.velocity**2)

    start = State(np.array([0.5, 1.0]), np.array([0.0, -0.2]))
    gradient = bg.grad(energy)(start)
    assert isinstance(gradient, State)
    assert gradient.name == "state"
    after = bg.compile(step)(start, 0.1)
    assert isinstance(after, State)
    np.testing.assert_allclose(after.position, step(start, 0.1).position, rtol=1e-15)
    along = lambda p, v: energy(State(p, v))
    wanted = bg.grad(along, (0, 1))(start.position, start.velocity)
    np.testing.assert_array_equal(gradient.position, wanted[0])
    np.testing.assert_array_equal(gradient.velocity, wanted[1])


class Polynomial:
    scale = 2.0

    def __init__(self, n):
        self.n = n

    @property
    def order(self):
        return self.n

    @staticmethod
    def of(c, x):
        return sum(a * x**i for i, a in enumerate(c))

    def __call__(self, c, x):
        return self.scale * self.of(c[: self.order], x)


def test_methods_properties_and_closures():
    c, x = np.array([1.0, -2.0, 0.5, 9.0]), 1.7
    polynomial = Polynomial(3)
    check(polynomial, c, x)
    np.testing.assert_allclose(bg.compile(polynomial)(c, x), polynomial(c, x), rtol=1e-15)


def test_threads_do_not_mix():
    def work(k):
        x = np.full(50, float(k))
        return [bg.grad(lambda x: np.sum(x**2) * k)(x)[0] for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        for k, found in enumerate(pool.map(work, range(8))):
            assert found == [2.0 * k * k] * 20

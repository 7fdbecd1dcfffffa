"""A tour of boxgrad in a few seconds, run at every commit: does each part still do its one thing?"""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn, optim


def loss(X, W):
    N = X @ W
    S = 1 / (1 + np.exp(-N))
    L = np.sum(S)
    return L


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    return random.normal(size=(4, 3)), random.normal(size=(3, 2))


def test_trace(arrays):
    listing = str(bg.trace(loss, *arrays))
    assert listing.startswith("graph(X: f64[4,3], W: f64[3,2]):")
    assert "N: f64[4,2] = contract(X, W, subscripts='ij,jk->ik')" in listing
    assert listing.endswith("return L")


def test_gradient(arrays):
    X, W = arrays
    L, (dX, dW) = bg.value_and_grad(loss, argnums=(0, 1))(X, W)
    S = 1 / (1 + np.exp(-(X @ W)))
    np.testing.assert_allclose(L, S.sum(), rtol=1e-14)
    np.testing.assert_allclose(dX, (S * (1 - S)) @ W.T, rtol=1e-12)
    np.testing.assert_allclose(dW, X.T @ (S * (1 - S)), rtol=1e-12)


def test_every_order():
    f = np.sin
    for wanted in (np.cos(0.3), -np.sin(0.3), -np.cos(0.3), np.sin(0.3)):
        f = bg.grad(f)
        assert f(0.3) == pytest.approx(wanted, rel=1e-14)


def test_numpy_as_people_write_it():
    def heat(u):
        u = u.copy()
        for _ in range(3):
            u[1:-1] += 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
        return np.sum(u**2)

    u, v = np.random.default_rng(1).normal(size=(2, 8))
    step = 1e-6
    slope = (heat(u + step * v) - heat(u - step * v)) / (2 * step)
    assert bg.grad(heat)(u) @ v == pytest.approx(slope, rel=1e-8)


def test_a_loop():
    U, V = np.random.default_rng(2).normal(size=(2, 3, 3))
    xs = np.random.default_rng(3).normal(size=(5, 3))

    def unrolled(U):
        h = np.zeros(3)
        for x in xs:
            h = np.tanh(h @ U + x @ V)
        return np.sum(h)

    def scanned(U):
        h, _ = bg.scan(lambda h, x: ((h := np.tanh(h @ U + x @ V)), h), np.zeros(3), xs)
        return np.sum(h)

    np.testing.assert_allclose(bg.grad(scanned)(U), bg.grad(unrolled)(U), rtol=1e-12)


def test_compile(arrays):
    compiled = bg.compile(bg.value_and_grad(loss))
    for got, wanted in zip(compiled(*arrays), bg.value_and_grad(loss)(*arrays), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-14)


def test_an_error_says_what_to_write_instead():
    @bg.compile
    def leaky(x):
        return x if x > 0 else 0.1 * x

    with pytest.raises(bg.BranchError, match=r"instead: np\.where"):
        leaky(np.ones(()))


def test_a_layer_is_plain_numpy():
    layer = nn.Linear(3, 2, seed=0)
    x = np.ones((4, 3), np.float32)
    np.testing.assert_allclose(layer(x), x @ layer.weight.T + layer.bias, rtol=1e-6)


def test_a_compiled_training_step():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)).initialise(0)
    optimizer = optim.Adam(model, lr=0.05)
    x = np.random.default_rng(4).normal(size=(8, 1, 4, 4)).astype(np.float32)
    y = (x.mean(axis=(1, 2, 3)) > 0).astype(np.int64)

    @bg.compile
    def step(model, optimizer, x, y):
        value, gradients = bg.value_and_grad(lambda model: nn.cross_entropy(model(x), y))(model)
        optimizer.update(model, gradients)
        return value

    first, *_, last = [float(step(model, optimizer, x, y)) for _ in range(30)]
    assert last < first / 10


def test_a_run(tmp_path):
    x = np.random.default_rng(5).normal(size=(64, 2)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2)).initialise(0)
    trainer = bg.Trainer(
        model,
        nn.cross_entropy,
        optim.Adam(model, lr=0.05),
        batch_size=16,
        out=tmp_path / "run",
        verbosity="silent",
    )
    history = trainer.fit((x, y), validation=0.25, epochs=25)
    assert history["train_accuracy"][-1] > 0.9
    assert history["train_loss"][-1] < history["train_loss"][0]
    rows = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(rows) == 25
    np.testing.assert_array_equal(
        bg.Trainer.resume(tmp_path / "run", verbosity="silent").predict(x), trainer.predict(x)
    )

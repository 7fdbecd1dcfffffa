"""Sweeps over large arrays: what is summed together, computed again, put together and chained, against NumPy.

The limits from which these pay are set to 1 here, so that arrays of any size go through them.
"""

from __future__ import annotations

import contextlib
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import boxgrad as bg
from boxgrad import nn
from boxgrad.engines.native import chain, convolution, engine, lowering, nest, sums

CASES = int(os.environ.get("BOXGRAD_FUZZ", "60"))
thorough = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
LIMITS = (
    (chain, "WORTH"), (convolution, "GRAIN"), (lowering, "MOST_REPEATED"), (nest, "GRAIN"),
    (sums, "FEWEST"),
)  # fmt: skip


@contextlib.contextmanager
def no_limits():
    """Everything pays, however small."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in LIMITS:
            patch.setattr(module, name, 1)
        yield


def run(function, *arguments):
    with no_limits():
        compiled = bg.compile(function, engine="native")
        return compiled(*arguments), compiled.report()


def boxes(report):
    return [row.box for row in report.rows]


def moments(x, axes):
    """The arithmetic of batch normalisation."""
    mean = np.mean(x, axis=axes, keepdims=True)
    centred = x - mean
    variance = np.mean(np.square(centred), axis=axes, keepdims=True)
    return centred / np.sqrt(variance + 1e-3)


OPERATIONS = ("add", "subtract", "multiply", "maximum", "negative", "where", "sum", "spread", "largest")


@thorough
@given(st.data())
def test_sums_and_what_is_computed_again(data):
    """Programs over one space with sums along any axes, in numbers that are exact in float32."""
    draw = data.draw
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=4)))
    order = tuple(draw(st.permutations(range(len(shape)))))
    random = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    x = random.integers(-3, 4, [shape[i] for i in order]).astype(np.float32)
    row = random.integers(-2, 3, shape[-1:]).astype(np.float32)
    axes = tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
    number = st.integers(0, 30)
    choices = draw(st.lists(st.tuples(st.sampled_from(OPERATIONS), number, number), min_size=2, max_size=12))
    kept = draw(st.integers(1, 3))

    def program(x, row):
        values = [np.transpose(x, np.argsort(order)), row * 2 - 1]
        for name, i, j in choices:
            a, b = values[i % len(values)], values[j % len(values)]
            a = np.clip(a, -64, 64)
            if name == "sum":
                a = np.sum(a + np.zeros(shape, np.float32), axis=axes, keepdims=True)
            elif name == "largest":
                a = np.max(a + np.zeros(shape, np.float32), axis=axes, keepdims=True)
            elif name == "spread":
                a = np.broadcast_to(a, shape) - b
            elif name == "negative":
                a = -a
            elif name == "where":
                a = np.where(a <= 0, b, a)
            elif name == "multiply":
                a = np.clip(a, -4, 4) * np.clip(b, -4, 4)
            else:
                a = getattr(np, name)(a, b)
            values.append(a)
        return tuple(values[-kept:])

    got, _ = run(program, x, row)
    for left, right in zip(got, program(x, row), strict=True):
        assert np.shape(left) == np.shape(right)
        np.testing.assert_array_equal(left, right)


@thorough
@given(st.data())
def test_blocks_of_images(data):
    """Convolution, normalisation, relu, pooling and their derivatives, of any sizes."""
    draw = data.draw
    images, inner, outer = draw(st.integers(1, 19)), draw(st.integers(1, 5)), draw(st.integers(2, 11))
    height, width = draw(st.integers(4, 9)), draw(st.integers(4, 9))
    stride, padding = draw(st.integers(1, 2)), draw(st.integers(0, 1))
    random = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    x = random.normal(size=(images, inner, height, width))
    w = random.normal(size=(outer, inner, 3, 3))
    v = random.normal(size=(outer, outer, 3, 3))
    b, scale = random.normal(size=(2, outer, 1, 1))
    pooled = draw(st.booleans())

    def block(x, w, v, b, scale):
        y = bg.conv(x, w, stride=stride, padding=padding) + b
        y = bg.conv(np.maximum(moments(y, (0, 2, 3)) * scale + b, 0), v, padding=1)
        y = moments(y, (0, 2, 3)) + np.sum(y) / 1000
        return bg.max_pool(y, 2) if pooled and min(y.shape[2:]) > 1 else y

    upstream = random.normal(size=block(x, w, v, b, scale).shape)

    def gradients(upstream, *arguments):
        return bg.value_and_grad(lambda *a: np.sum(block(*a) * upstream), argnums=(0, 1, 2, 3, 4))(*arguments)

    arguments = (upstream, x, w, v, b, scale)
    wanted = gradients(*arguments)
    (value, got), _ = run(gradients, *arguments)
    np.testing.assert_allclose(value, wanted[0], rtol=1e-9, atol=1e-9)
    for left, right in zip(got, wanted[1], strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-8, atol=1e-9 * max(1.0, np.abs(right).max()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint8, bool])
@pytest.mark.parametrize("shape", [(3, 5, 7, 1), (2, 40, 3, 17), (70, 1, 2, 33), (130, 8), (65, 9, 64)])
def test_several_reductions_of_one_array(shape, dtype):
    random = np.random.default_rng(0)
    x = random.integers(0, 3, shape).astype(dtype)
    axes = tuple(range(len(shape) - 1))

    def several(x):
        return np.sum(x, axis=axes), np.max(x, axis=axes), np.min(x, axis=axes), np.sum(x * x, axis=axes)

    got, report = run(several, x)
    for left, right in zip(got, several(x), strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    assert sum("max" in box for box in boxes(report)) == 1  # one sweep, and what combines partial results


@thorough
@given(st.data())
def test_values_that_lie_across_the_loops(data):
    """Copies, sums and choices of arrays whose axes lie in memory in different orders, of any dtype."""
    draw = data.draw
    shape = tuple(draw(st.lists(st.integers(1, 19), min_size=2, max_size=4)))
    random = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    dtypes = st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.uint8, np.int16, bool])
    orders, arrays = [], []
    for _ in range(draw(st.integers(1, 3))):
        orders.append(draw(st.permutations(range(len(shape)))))
        x = random.integers(0, 2 if draw(st.booleans()) else 9, [shape[i] for i in orders[-1]])
        arrays.append(x.astype(draw(dtypes)))
    turn = draw(st.permutations(range(len(shape))))

    def program(*arrays):
        values = [x.transpose(np.argsort(order)) for x, order in zip(arrays, orders, strict=True)]
        total = values[0]
        for value in values[1:]:
            total = np.where(value > 1, total, value) + value
        return total.transpose(turn).reshape(-1), total + 1, total.transpose(turn)[::2].reshape(-1)

    got, _ = run(program, *arrays)
    for left, right in zip(got, program(*arrays), strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


def test_a_sum_along_an_axis_of_one():
    """Nothing is reduced in any loop, which is shared by vectors: each chunk clears what it adds to."""
    x = np.arange(103.0)[np.newaxis]
    with no_limits():
        compiled = bg.compile(lambda x: np.sum(x * 2, axis=0), engine="native")
        for _ in range(3000):
            np.testing.assert_array_equal(compiled(x), 2 * x[0])


def test_not_a_number_and_infinity():
    x = np.zeros((6, 5, 33), np.float32)
    x[1, 2, 3], x[2, 3, 4], x[0, 0, 5], x[1, 1, 5] = np.nan, np.inf, np.inf, -np.inf

    def program(x):
        centred = x - np.sum(x, axis=(0, 1), keepdims=True) / 30
        return np.max(x, axis=(0, 1)), np.sum(centred, axis=(0, 1)), np.sum(centred * 2, axis=(0, 1))

    with np.errstate(all="ignore"):
        wanted = program(x)
    for left, right in zip(run(program, x)[0], wanted, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


def test_a_sum_of_known_sums_reads_nothing():
    x = np.random.default_rng(0).normal(3, 1, (8, 16, 16, 32)).astype(np.float32)

    def program(x):
        mean = np.mean(x, axis=(0, 1, 2))
        y = (x - mean) * mean
        return y / (1 + np.sum(np.abs(x), axis=(0, 1, 2))), np.sum(y, axis=(0, 1, 2))

    (_, total), report = run(program, x)
    assert sum("sum of sums" in box for box in boxes(report)) == 1
    mean = np.mean(x.astype(np.float64), axis=(0, 1, 2)).astype(np.float32)
    exact = np.sum((x.astype(np.float64) - mean) * mean, axis=(0, 1, 2))
    np.testing.assert_allclose(total, exact, rtol=1e-5, atol=1e-6)


def test_what_is_cheap_is_computed_again():
    x = np.random.default_rng(0).normal(size=(8, 16, 16, 32)).astype(np.float32)

    def program(x):
        mean = np.mean(x, axis=(0, 1, 2))
        centred = x - mean
        variance = np.mean(np.square(centred), axis=(0, 1, 2))
        return centred / np.sqrt(variance)

    got, report = run(program, x)
    np.testing.assert_allclose(got, program(x.astype(np.float64)), rtol=1e-4, atol=1e-5)
    sweeps = [row for row in report.rows if "subtract" in row.box]
    assert [row.box for row in sweeps] == ["subtract+square+sum", "subtract+divide"]
    assert sweeps[0].writes < x.nbytes / 4  # it writes sums, not the differences


def test_what_is_equal_is_computed_once():
    b = np.random.default_rng(0).normal(size=(7, 1)).astype(np.float32)

    def program(b):
        return np.exp(np.broadcast_to(b, (7, 1000))), np.broadcast_to(b, (7, 1000)) * 2 + np.ones(1000)

    (first, second), _ = run(program, b)
    np.testing.assert_allclose(first, program(b)[0], rtol=1e-6)
    np.testing.assert_array_equal(second, program(b)[1])
    first[0, 0] = 5
    assert first[0, 1] != 5  # nobody else's memory


def images(count=64):
    random = np.random.default_rng(0)
    x = random.normal(size=(count, 8, 12, 12)).astype(np.float32)
    w, v = random.normal(size=(2, 8, 8, 5, 5)).astype(np.float32)
    return x, w, v, random.normal(size=(8, 1, 1)).astype(np.float32)


def layers(x, w, v, b):
    y = moments(bg.conv(x, w, padding=2) + b, (0, 2, 3))
    return np.sum(bg.max_pool(np.maximum(bg.conv(np.maximum(y, 0), v, padding=2), 0), 2) ** 2)


def test_kernels_form_chains():
    arguments = images()
    (value, _), report = run(bg.value_and_grad(layers, argnums=(1, 2, 3)), *arguments)
    assert any("conv+add → sum" in box for box in boxes(report))
    assert any("maximum → conv" in box for box in boxes(report))
    wanted = layers(*(a.astype(np.float64) for a in arguments))
    np.testing.assert_allclose(value, wanted, rtol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 13, 64])
def test_the_same_bits_with_any_number_of_threads(count):
    arguments = images(count)
    results = []
    for threads in (1, 2, 3):
        bg.set_num_threads(threads)
        try:
            results.append(run(bg.value_and_grad(layers, argnums=(0, 1, 2, 3)), *arguments)[0])
        finally:
            bg.set_num_threads(2)
    for value, gradients in results[1:]:
        assert value == results[0][0]
        for left, right in zip(gradients, results[0][1], strict=True):
            np.testing.assert_array_equal(left, right)


def test_chains_stay_inside_their_buffers(monkeypatch):
    monkeypatch.setenv("BOXGRAD_NATIVE_CHECK", "1")
    (value, _), _ = run(bg.value_and_grad(layers, argnums=(0, 1, 2, 3)), *images(13))
    assert np.isfinite(value)


def test_layers_train_alike_in_both_engines():
    """Losses over some steps of a small network with batch normalisation."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(24, 3, 8, 8)).astype(np.float32), random.integers(0, 4, 24)
    losses = {}
    for name in ("numpy", "native"):
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(128, 4),
        ).initialise(seed=0)  # fmt: skip
        optimizer = bg.optim.SGD(model, lr=0.1)

        def step(model, optimizer, x, y):
            value, gradients = bg.value_and_grad(lambda model: nn.cross_entropy(model(x), y))(model)
            optimizer.update(model, gradients)
            return value

        with no_limits():
            compiled = bg.compile(step, engine=name)
            losses[name] = [float(compiled(model, optimizer, x, y)) for _ in range(10)]
    np.testing.assert_allclose(losses["native"], losses["numpy"], rtol=1e-4)


def test_results_lie_where_operands_lay():
    """Sweeps that wait for sums of the one before need no memory each."""
    x = np.random.default_rng(0).normal(size=(64, 8, 40)).astype(np.float32)

    def program(x):
        for _ in range(5):
            x = np.exp(x / np.sum(np.abs(x), axis=(0, 1)))
        return np.sum(x)

    with no_limits():
        graph = bg.trace(program, x)
        made, _, _ = engine.built(graph)
    np.testing.assert_allclose(made([x])[0], program(x.astype(np.float64)), rtol=1e-5)
    assert made._plan.bytes < 2 * x.nbytes

"""Convolutions with few multiplications: the matrices, all three passes, and what is not finite."""

from __future__ import annotations

import functools
import os
import random as randomness
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import boxgrad as bg
from boxgrad.engines.native import engine, tiling
from boxgrad.engines.native.ir import Function
from boxgrad.engines.native.machine import host, machine_of
from boxgrad.engines.native.toom_cook import POINTS, short, sizes, transposed
from boxgrad.engines.native.transforms import combined
from boxgrad.engines.native.vector import FLOAT32, Lanes, Term

CASES = int(os.environ.get("BOXGRAD_FUZZ", "25"))
BOUND = 3e-6
"""The relative error of float32 in norm that all passes keep."""
ALGORITHMS = [(m, r) for r in range(1, 6) for m in sizes(r)]


# ---- the matrices
def times(matrix, vector):
    return [sum(c * x for c, x in zip(row, vector, strict=True)) for row in matrix]


@pytest.mark.parametrize(("results", "taps"), ALGORITHMS)
def test_a_short_correlation_is_its_definition(results, taps):
    draw = randomness.Random(0)
    w, d = ([Fraction(draw.randint(-99, 99), 7) for _ in range(n)] for n in (taps, results + taps - 1))
    s = short(results, taps)
    products = [x * z for x, z in zip(times(s.g, w), times(s.b, d), strict=True)]
    wanted = [sum(w[j] * d[i + j] for j in range(taps)) for i in range(results)]
    assert times(transposed(s.a), products) == wanted
    assert s.samples == len(d)


@pytest.mark.parametrize(("results", "taps"), ALGORITHMS)
def test_the_gradient_of_a_short_correlation_in_its_taps(results, taps):
    draw = randomness.Random(1)
    dy, d = ([Fraction(draw.randint(-99, 99), 7) for _ in range(n)] for n in (results, results + taps - 1))
    s = short(results, taps)
    products = [x * z for x, z in zip(times(s.a, dy), times(s.b, d), strict=True)]
    assert times(transposed(s.g), products) == [
        sum(dy[i] * d[i + j] for i in range(results)) for j in range(taps)
    ]


def test_there_are_algorithms_for_the_usual_kernels():
    assert ALGORITHMS == [(1, 1), (3, 2), (5, 2), (2, 3), (4, 3), (3, 4), (2, 5)]
    assert all(len({*points}) == n - 1 for n, points in POINTS.items())


@pytest.mark.parametrize(("results", "taps", "most"), [(2, 3, (4, 4)), (4, 3, (12, 12)), (2, 5, (12, 8))])
def test_transforms_take_few_instructions(results, taps, most):
    s = short(results, taps)
    for matrix, limit in zip((s.b, transposed(s.a)), most, strict=True):
        f = Function("count", ())
        e = Lanes(f, 8)
        combined(e, matrix, [Term(f"%x{i}", FLOAT32) for i in range(s.samples)])
        assert f.body.count("=") <= limit


# ---- the passes
def passes(padding, x, w, g):
    """y and the gradients in x and w, for a gradient g of y."""
    y, pullback = bg.vjp(lambda x, w: bg.conv(x, w, padding=padding), x, w)
    return y, *pullback(g)


def operands(images, inner, outer, size, kernel, padding, dtype=np.float32, seed=0):
    random = np.random.default_rng(seed)
    after = [n + 2 * padding - k + 1 for n, k in zip(size, kernel, strict=True)]
    x = random.normal(size=(images, inner, *size))
    w = random.normal(size=(outer, inner, *kernel))
    g = random.normal(size=(images, outer, *after))
    return tuple(value.astype(dtype) for value in (x, w, g))


def algorithms(compiled):
    """The kernels in tiles, by their names in the report."""
    return {row.box.split()[0]: row.box.split(" ", 1)[1] for row in compiled.report().rows if "F(" in row.box}


def assert_close(got, wanted, bound):
    for ours, exact in zip(got, wanted, strict=True):
        assert ours.shape == exact.shape
        assert np.linalg.norm(ours - exact) <= bound * np.linalg.norm(exact)
        assert np.max(np.abs(ours - exact)) <= 2 * bound * np.max(np.abs(exact))


SHAPES = [  # images, channels in and out, image, kernel, padding
    (64, 32, 32, (16, 16), (3, 3), 1),
    (3, 32, 64, (26, 26), (3, 3), 0),
    (9, 64, 48, (8, 8), (3, 3), 1),
    (1, 20, 37, (26, 11), (3, 3), 0),
    (3, 17, 33, (9, 13), (3, 3), 2),
    (3, 24, 17, (14, 11), (5, 5), 2),
    (3, 24, 17, (14, 11), (4, 2), 1),
    (3, 24, 40, (30, 11), (3, 1), 0),
    (8, 64, 72, (203,), (3,), 1),
    (2, 24, 24, (9, 10, 11), (3, 3, 3), 1),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_all_passes_are_in_tiles_and_keep_the_bound(shape):
    padding = shape[-1]
    values = operands(*shape)
    compiled = bg.compile(functools.partial(passes, padding), engine="native")
    got = compiled(*values)
    assert {"conv", "conv_input_gradient", "conv_filter_gradient"} <= algorithms(compiled).keys()
    exact = passes(padding, *(value.astype(np.float64) for value in values))
    assert_close(got, exact, BOUND)


@pytest.mark.parametrize("shape", SHAPES[1:7])
def test_float64(shape):
    padding = shape[-1]
    values = operands(*shape, dtype=np.float64)
    compiled = bg.compile(functools.partial(passes, padding), engine="native")
    got = compiled(*values)
    assert algorithms(compiled)
    assert_close(got, passes(padding, *values), 1e-14)


def test_many_images_keep_the_bound():
    """Sums over 65,536 windows."""
    values = operands(64, 32, 32, (32, 32), (3, 3), 1)
    got = bg.compile(functools.partial(passes, 1), engine="native")(*values)
    assert_close(got, passes(1, *(value.astype(np.float64) for value in values)), BOUND)


@pytest.fixture
def always(monkeypatch):
    """Tiles wherever there is an algorithm, however small the convolution."""
    monkeypatch.setattr(tiling, "GAIN", 1e9)


@settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_shape(always, data):
    draw = data.draw
    axes = draw(st.integers(1, 2))
    kernel = tuple(draw(st.integers(1, 5)) for _ in range(axes))
    padding = draw(st.integers(0, 2))
    size = tuple(max(1, k - 2 * padding) + draw(st.integers(0, 12)) for k in kernel)
    shape = (draw(st.sampled_from([1, 3, 8, 11])), draw(st.integers(1, 40)), draw(st.integers(1, 40)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    values = operands(*shape, size, kernel, padding, dtype, draw(st.integers(0, 1 << 30)))

    def program(x, w, g):
        y, *gradients = passes(padding, x * 2, w, g)
        return np.where(y > 0, y, 0.1 * y) * g, *gradients

    compiled = bg.compile(program, engine="native")
    exact = program(*(value.astype(np.float64) for value in values))
    assert_close(compiled(*values), exact, BOUND if dtype == np.float32 else 1e-14)


VECTORS = """
import numpy as np, boxgrad as bg
from test_winograd import algorithms, assert_close, operands, passes
import functools
for shape in ((3, 17, 33, (9, 13), (3, 3), 1), (8, 32, 20, (8, 8), (3, 3), 1)):
    values = operands(*shape)
    compiled = bg.compile(functools.partial(passes, 1), engine="native")
    got = compiled(*values)
    assert len(algorithms(compiled)) >= 3
    assert_close(got, passes(1, *(value.astype(np.float64) for value in values)), 3e-6)
"""


@pytest.mark.parametrize("widest", ["128", "avx2", "avx512"])
def test_other_vectors(widest):
    paths = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    environment = {**os.environ, "BOXGRAD_NATIVE_VECTORS": widest, "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", VECTORS], env=environment, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("triple", "cpu", "features", "lanes"),
    [
        ("aarch64-unknown-linux-gnu", "cortex-a72", "+neon", 4),
        ("x86_64-unknown-linux-gnu", "skylake-avx512", "+avx512f,+avx2,+fma", 16),
    ],
)
def test_other_machines_compile(triple, cpu, features, lanes):
    machine = machine_of(triple, cpu, features)
    assert machine.lanes(4) == lanes
    values = operands(8, 32, 32, (9, 13), (3, 3), 1)
    graph = bg.trace(functools.partial(passes, 1), *values)
    assert engine.object_of(graph, machine)[:4] == b"\x7fELF"


# ---- the choice
@pytest.mark.parametrize(
    ("inner", "options"), [(32, {"stride": 2}), (32, {"dilation": 2}), (16, {"groups": 2}), (1, {}), (3, {})]
)
def test_convolutions_that_stay_direct(inner, options):
    random = np.random.default_rng(0)
    x = random.normal(size=(8, inner * options.get("groups", 1), 20, 20)).astype(np.float32)
    w = random.normal(size=(32, inner, 3, 3)).astype(np.float32)
    compiled = bg.compile(lambda x, w: bg.conv(x, w, **options), engine="native")
    np.testing.assert_allclose(compiled(x, w), bg.conv(x, w, **options), rtol=1e-4, atol=1e-3)
    assert not algorithms(compiled)


def test_the_choice_follows_the_size():
    lanes = host().lanes(4)
    assert str(tiling.chosen((64, 64, 16, 16), (3, 3), 64, lanes)) == "F(4×4, 3×3)"
    assert str(tiling.chosen((64, 64, 2, 16), (3, 3), 64, lanes)) == "F(2×4, 3×3)"
    assert tiling.chosen((1, 256, 2, 2), (3, 3), 256, lanes) is None  # as many filters as windows
    assert tiling.chosen((64, 64, 16, 16), (7, 7), 64, lanes) is None
    assert tiling.chosen((64, 64, 16, 16), (1, 1), 64, lanes) is None


def test_direct_convolutions_on_demand(monkeypatch):
    monkeypatch.setenv("BOXGRAD_NATIVE_DIRECT", "1")
    values = operands(*SHAPES[1])
    compiled = bg.compile(functools.partial(passes, 0), engine="native")
    assert_close(compiled(*values), passes(0, *(v.astype(np.float64) for v in values)), BOUND)
    assert not algorithms(compiled)


def test_the_same_bits_with_any_number_of_threads():
    values = operands(9, 33, 40, (9, 13), (3, 3), 1)
    compiled = bg.compile(functools.partial(passes, 1), engine="native")
    results = []
    for threads in (1, 2, 3):
        bg.set_num_threads(threads)
        results += [compiled(*values) for _ in range(4)]
    bg.set_num_threads(2)
    for result in results[1:]:
        for x, z in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(x, z)


def test_kernels_that_are_watched(monkeypatch):
    monkeypatch.setenv("BOXGRAD_NATIVE_CHECK", "1")
    for shape in SHAPES[1:6]:
        values = operands(*shape)
        got = bg.compile(functools.partial(passes, shape[-1]), engine="native")(*values)
        assert_close(got, passes(shape[-1], *(v.astype(np.float64) for v in values)), BOUND)


# ---- what follows
def test_what_follows_is_computed_on_the_results():
    x, w, g = operands(3, 32, 24, (9, 13), (3, 3), 1)
    bias = np.random.default_rng(0).normal(size=(24, 1, 1)).astype(np.float32)

    def layer(x, w, bias, g):
        y = np.tanh(bg.conv(x, w, padding=1) / 20 + bias)
        return y, y * g

    compiled = bg.compile(layer, engine="native")
    exact = layer(*(v.astype(np.float64) for v in (x, w, bias, g)))
    assert_close(compiled(x, w, bias, g), exact, BOUND)
    assert algorithms(compiled) == {
        "transform": "filters F(4×4, 3×3)",
        "conv+divide+add+tanh+multiply": "F(4×4, 3×3)",
    }


def test_results_with_room_around_them():
    """A second convolution reads what the first one writes, padded."""
    x, w, _ = operands(3, 32, 32, (9, 13), (3, 3), 1)

    def twice(x, w):
        return bg.conv(np.maximum(bg.conv(x, w, padding=1), 0), w, padding=2)

    compiled = bg.compile(twice, engine="native")
    assert_close([compiled(x, w)], [twice(x.astype(np.float64), w.astype(np.float64))], BOUND)
    assert len([row for row in compiled.report().rows if row.box.startswith("pad")]) == 1


# ---- what is not finite
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", [0, 2])
def test_what_is_not_finite_spreads_as_in_numpy(which, number):
    values = list(operands(3, 16, 24, (9, 14), (3, 3), 1))
    compiled = bg.compile(functools.partial(passes, 1), engine="native")
    finite = [result.copy() for result in compiled(*values)]
    assert {"conv", "conv_input_gradient", "conv_filter_gradient"} <= algorithms(compiled).keys()
    random = np.random.default_rng(0)
    for _ in range(3):
        spoiled = [value.copy() for value in values]
        spoiled[which][tuple(random.integers(0, n) for n in spoiled[which].shape)] = number
        with np.errstate(all="ignore"):
            wanted = passes(1, *spoiled)
        for x, z in zip(compiled(*spoiled), wanted, strict=True):
            assert not np.isfinite(z).all() or which == 2 or x.shape == values[0].shape
            np.testing.assert_allclose(x, z, rtol=1e-3, atol=1e-3)
    assert "3 of 4 calls run again" in str(compiled.report())
    for x, z in zip(compiled(*values), finite, strict=True):  # and after that as before
        np.testing.assert_array_equal(x, z)


def test_what_overflows_in_a_tile_alone(always):
    """The filters' sums are too large, the results are not."""
    x = np.ones((2, 16, 9, 9), np.float32)
    w = np.zeros((16, 16, 3, 3), np.float32)
    w[:, 0, 1, 0], w[:, 0, 1, 1], w[:, 0, 1, 2] = 3e38, -3e38, 3e38
    convolve = bg.compile(bg.conv, engine="native")
    np.testing.assert_allclose(convolve(x, w), np.full((2, 16, 7, 7), 3e38), rtol=1e-6)
    assert "1 of 1 calls run again" in str(convolve.report())


def test_a_step_that_is_not_finite_updates_its_arguments_once():
    x, w, _ = operands(3, 16, 16, (9, 9), (3, 3), 1)
    x[0, 0, 0, 0] = np.inf

    def train(w, x):
        value, gradient = bg.value_and_grad(lambda w: np.sum(np.tanh(bg.conv(x, w, padding=1) / 50)))(w)
        return w - 0.1 * np.where(np.isfinite(gradient), gradient, 1), value

    with np.errstate(all="ignore"):
        wanted, _ = train(w, x)
    got, _ = bg.compile(train, engine="native")(w, x)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def test_in_a_loop(always):
    x, w, _ = operands(3, 16, 16, (6, 7), (3, 3), 1)

    def program(x, w):
        def step(carry, _):
            return np.tanh(bg.conv(carry, w, padding=1) / 20), np.sum(carry)

        return bg.scan(step, x, np.zeros(4, np.float32))

    compiled = bg.compile(program, engine="native")
    exact = program(x.astype(np.float64), w.astype(np.float64))
    assert_close([compiled(x, w)[0]], [exact[0]], BOUND)
    assert algorithms(compiled)
    x[0, 0, 0, 0] = np.nan
    np.testing.assert_array_equal(np.isnan(compiled(x, w)[0]), np.isnan(program(x, w)[0]))

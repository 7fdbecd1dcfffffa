"""Kernels with loops of their own, against NumPy: the same bits where NumPy's order is kept."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import boxgrad as bg
from boxgrad.engines.native import engine
from boxgrad.engines.native.machine import machine_of

random = np.random.default_rng(0)
DTYPES = ("bool", "int8", "uint8", "int16", "int32", "int64", "uint64", "float32", "float64")
SHAPES = [(1,), (16,), (1000,), (4, 17, 9), (120, 70), (3, 0, 2)]


def natively(program, *inputs):
    """The results under the native engine, which must not leave anything to NumPy."""
    compiled = bg.compile(program, engine="native")
    compiled(*inputs)
    got = compiled(*inputs)
    assert not [note for note in compiled.report().notes if "runs in NumPy" in note]
    return got


def check(program, *inputs, rtol=0.0):
    """Equal in dtype, value and the sign of zeros; of several results each."""
    with np.errstate(all="ignore"):
        got, wanted = natively(program, *inputs), program(*inputs)
    if not isinstance(wanted, tuple):
        got, wanted = (got,), (wanted,)
    for x, z in zip(got, wanted, strict=True):
        same(np.asarray(x), np.asarray(z), rtol)


def same(got, wanted, rtol):
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=rtol)
    if wanted.dtype.kind == "f" and not rtol:
        number = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(got)[number], np.signbit(wanted)[number])


def edges(dtype):
    """Zeros, ones, extremes, and for floats infinities and NaN."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        values = [0.0, -0.0, 1, -1, 2.5, -2.5, 7, -7, np.inf, -np.inf, np.nan, 1e30, -1e-30, 3, 0.1, 0.3]
        return np.array(values, dtype)
    limits = np.iinfo(dtype)
    values = [0, 1, 2, 3, 7, 100, -1, -2, -7, limits.min, limits.max, limits.max - 1, limits.min + 1]
    return np.array([x for x in values if limits.min <= x <= limits.max], dtype)


def drawn(shape, dtype):
    """Few different values, so that many are equal; for floats also NaN, infinities and both zeros."""
    x = random.integers(-4, 5, shape).astype(float)
    if np.dtype(dtype).kind == "f":
        for value in (np.nan, -0.0, np.inf, -np.inf):
            x[random.random(shape) < 0.04] = value
    elif dtype != "bool" and np.dtype(dtype).itemsize < 8:
        x[random.random(shape) < 0.1] = np.iinfo(dtype).max
    with np.errstate(all="ignore"):
        return x > 0 if dtype == "bool" else x.astype(dtype)


# ---- whole quotients, powers, functions with cases
@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_quotients(dtype):
    x, z = np.meshgrid(edges(dtype), edges(dtype))
    check(lambda x, z: (x // z, x % z, np.fmod(x, z), x // 3, x % 5), x, z)
    if np.dtype(dtype).kind != "f":
        check(lambda x: (x**3, x**0, np.bitwise_count(x)), x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_with_cases(dtype):
    x, z = np.meshgrid(edges(dtype), edges(dtype))
    for function in (np.logaddexp, np.logaddexp2):
        check(function, x, z, rtol=4 * np.finfo(dtype).eps)
    check(np.sinc, np.linspace(-5, 5, 101).astype(dtype), rtol=4 * np.finfo(dtype).eps)


# ---- random numbers
@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 33, 100, 20_003])
def test_random_bits(count):
    """The same words on every engine; the counter passes 2³²."""

    def draw(stream):
        return stream.bits(count), stream.bernoulli(0.3, (count, 2)), stream.uniform((3, count))

    ours, theirs = bg.Random(5), bg.Random(5)
    for stream in (ours, theirs):
        stream.counter += np.uint64(2**32 - 3)
    compiled = bg.compile(draw, engine="native")
    for _ in range(2):
        for got, wanted in zip(compiled(ours), draw(theirs), strict=True):
            assert got.dtype == wanted.dtype
            np.testing.assert_array_equal(got, wanted)
    assert ours.counter == theirs.counter
    assert not [note for note in compiled.report().notes if "runs in NumPy" in note]


# ---- along an axis
ALONG = {
    "argmax": np.argmax, "argmin": np.argmin, "cumsum": np.cumsum, "cumprod": np.cumprod,
    "sort": lambda x, axis: np.sort(x, axis=axis, kind="stable"),
    "argsort": lambda x, axis: np.argsort(x, axis=axis, kind="stable"),
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_along_an_axis(shape, dtype):
    """NaN, ties, both zeros, sums that wrap around; views with any strides."""

    def program(x, z):
        return tuple(
            function(view, axis=axis)
            for name, function in ALONG.items()
            for axis, size in enumerate(shape)
            for view in (x[::-1], z.T)
            if size or not name.startswith("argm")
        )

    x = drawn(shape, dtype)
    check(program, x, np.ascontiguousarray(x.T))


# ---- index arrays
def index(size, *shape):
    return random.integers(-size, size, shape)


WHOLE = slice(None)
KEYS = [
    (index(5, 3),), (WHOLE, index(6, 4)), (index(5, 3, 1), WHOLE, index(7, 4)), (..., index(7, 20)),
    (slice(1, 4), index(6, 4, 2), index(7, 2)), (slice(None, None, -1), index(6, 3), slice(0, 7, 2)),
    (index(5, 9), index(6, 9), index(7, 9)), (index(5, 3), ..., index(7, 3)), (WHOLE, index(6, 0)),
    (index(5, 3), slice(2, 2)), (0, index(6, 3)), (index(5, 3), None), (index(5, 3), None, index(6, 3)),
    (2, WHOLE, index(7, 3)), (WHOLE, 3, index(7, 2, 2)), (..., None, index(7, 3), None),
    (np.abs(index(5, 6)).astype(np.uint8) % 5, slice(3)),
]  # fmt: skip


def replaced(x, z, key):
    x = x.copy()
    x[key] = z
    return x


@pytest.mark.parametrize("number", range(len(KEYS)))
def test_index_arrays(number):
    """Read, replaced (the last of repeated positions stays) and added to, with the gradients."""
    key = KEYS[number]
    for dtype in ("float32", "int64", "bool"):
        x = random.integers(-9, 9, (5, 6, 7)).astype(dtype)
        z = random.integers(-9, 9, x[key].shape).astype(dtype)
        turned = np.ascontiguousarray(x.T)
        check(lambda x, y, z: (x[key], replaced(x, z, key), replaced(y.T, z, key)), x, turned, z)
    x, z = x.astype(float), z.astype(float)
    check(bg.grad(lambda x, z: np.sum(x[key] * z) + np.sum(replaced(x, z, key) ** 2), (0, 1)), x, z)


@pytest.mark.parametrize("bad", [6, -7])
def test_a_position_out_of_range(bad):
    x = np.ones((5, 6))
    for program in (lambda x, i: x[:, i], lambda x, i: replaced(x, 0.0, (WHOLE, i))):
        with pytest.raises(IndexError):
            bg.compile(program, engine="native")(x, np.array([0, bad]))


# ---- products of integers
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "int64"])
def test_integer_products(dtype):
    cases = [((3, 4), (4, 5)), ((30, 40), (40, 33)), ((3, 4), (4,)), ((4,), (4, 5)), ((2, 3, 4), (2, 4, 5))]
    for left, right in [*cases, ((4,), (4,)), ((2, 3, 4), (4, 5))]:
        a, b = (random.integers(-99, 99, shape).astype(dtype) for shape in (left, right))
        check(lambda a, b: (a @ b, a.astype(np.int64) @ b), a, b)
    check(lambda a, b: np.einsum("ij,kj->ki", a, b), a[0], a[1])
    w = random.integers(-9, 9, (4, 6)).astype(np.float32)
    check(lambda a, w: a @ w, random.integers(0, 9, (5, 4)).astype(dtype), w)


# ---- pooling
POOLS = [
    (3, 2, 0), (3, 2, 1), (2, 1, 0), (3, 3, 1), ((3, 2), (1, 2), 1), (2, 3, 1), (5, 2, 2),
    (3, (1, 3), ((1, 0), (0, 1))), ((4, 3), (2, 4), 0),
]  # fmt: skip


@pytest.mark.parametrize("options", POOLS)
@pytest.mark.parametrize("pool", [bg.max_pool, bg.avg_pool])
def test_pooling(pool, options):
    """Windows that overlap, or stand on padding; ties; windows of nothing but −∞; NaN; second order."""
    for shape in [(2, 3, 10, 7), (1, 1, 5, 5)]:
        x = random.integers(0, 4, shape).astype(float)
        largest = pool is bg.max_pool
        for special in (None, -np.inf, np.nan) if largest else (None,):
            if special is not None:
                x[random.random(shape) < 0.3] = special
                x[..., :4, :4] = special
            g = random.normal(size=pool(x, *options).shape)

            def slope(x, g):
                return bg.vjp(lambda x: pool(x, *options), x)[1](g)[0]

            def program(x, g, w):
                return slope(x, g), bg.grad(lambda g: np.sum(slope(x, g) * w))(g)

            check(program, x, g, random.normal(size=shape), rtol=1e-12)


# ---- loops in loops
def nested(x, w, xs):
    def outer(state, x):
        def inner(h, t):
            h = np.tanh(h @ w + t * x[:, None])
            return h, (h.sum(), h[0])

        h, (ys, rows) = bg.scan(inner, state, np.arange(4) * 0.1)
        h, (again, back) = bg.scan(inner, h * 0.5, ys[:3], reverse=True)
        return h, (ys.sum() + again, rows[1] + back[2])

    state, (sums, rows) = bg.scan(outer, x, xs)
    return np.sum(state**2) + np.sum(sums) + np.sum(np.sin(rows))


def test_loops_in_loops():
    draws = np.random.default_rng(1)  # of its own, and small: the loops let errors grow
    inputs = draws.normal(size=(3, 5)), draws.normal(0, 0.4, size=(5, 5)), draws.normal(size=(6, 3))
    check(nested, *inputs, rtol=1e-12)
    check(bg.grad(nested, (0, 1, 2)), *inputs, rtol=1e-10)


def test_three_loops():
    def repeat(cell, count):
        return lambda state, _: bg.scan(cell, state, None, length=count)

    def step(x, _):
        return np.sin(x) + 0.1, x[0]

    check(lambda x: repeat(repeat(repeat(step, 3), 4), 2)(x, None)[1], np.linspace(0, 1, 7), rtol=1e-13)


# ---- threads, vectors, machines
def everything(x, n, stream):
    order = np.argsort(x, axis=-1, kind="stable")
    x = np.take_along_axis(x, order, axis=-1) * stream.bernoulli(0.5, x.shape)
    slope = bg.grad(lambda x: np.sum(bg.max_pool(x[None, None], 3, 2, 1) ** 2))(x)
    return np.cumsum(x, axis=0), slope, np.argmax(x, axis=0), n // 3 @ n.T, replaced(x, 1, (WHOLE, n[0]))


def test_any_number_of_threads():
    """The same bits."""
    x = random.normal(size=(300, 200)).astype(np.float32)
    n = random.integers(0, 200, (50, 60))
    results = []
    try:
        for threads in (1, 2, 4):
            bg.set_num_threads(threads)
            results.append(natively(everything, x, n, bg.Random(1)))
    finally:
        bg.set_num_threads(2)
    for result in results[1:]:
        for got, wanted in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("triple", "cpu", "features"),
    [
        ("x86_64-unknown-linux-gnu", "skylake-avx512", "+avx512f,+avx512vl,+fma,+avx2"),
        ("x86_64-unknown-linux-gnu", "haswell", "+avx2,+fma"),
        ("x86_64-unknown-linux-gnu", "x86-64", ""),
        ("aarch64-unknown-linux-gnu", "cortex-a72", "+neon"),
    ],
)
def test_code_for_other_machines(triple, cpu, features):
    graph = bg.trace(everything, np.ones((20, 30), np.float32), np.ones((5, 6), int), bg.Random(1))
    assert engine.object_of(graph, machine_of(triple, cpu, features))[:4] == b"\x7fELF"


def test_narrow_vectors_in_guarded_memory():
    """All of the above for 128-bit vectors, with every write watched."""
    environment = {"BOXGRAD_NATIVE_VECTORS": "128", "BOXGRAD_NATIVE_CHECK": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-o",
        "addopts=",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        __file__,
    ]
    done = subprocess.run(
        [*command, "-k", "(float32 or bits or index or pooling or loops or threads) and not guarded"],
        capture_output=True, text=True, timeout=1200, env={**os.environ, **environment}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]

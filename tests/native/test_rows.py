"""Extrema, orders and sums of rows: every length around a block, every dtype, NaN and ties, any vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import boxgrad as bg
from boxgrad.engines.engine import Report, Row
from boxgrad.engines.native import engine
from boxgrad.engines.native.machine import host, machine_of

RANDOM = np.random.default_rng(0)
DTYPES = ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u4", "u8", "?")
SHAPES = (((127,), 0), ((128,), 0), ((129,), 0), ((300,), 0), ((3, 257), 1), ((257, 3), 0), ((2, 3, 400), 2))


def values(dtype: str, shape: tuple[int, ...]) -> list[np.ndarray[Any, Any]]:
    """Distinct numbers, many equal ones, the ends of the dtype, and of floats NaN, infinities and −0."""
    kind = np.dtype(dtype)
    spread = 20 * RANDOM.normal(size=shape)
    found = [(spread > 30 if kind.kind == "b" else spread).astype(kind)]
    found.append(np.zeros(shape, kind))
    if kind.kind in "iu":
        ends = np.iinfo(kind)
        x = RANDOM.integers(ends.min, ends.max, shape, kind, endpoint=True)
        x.reshape(-1)[::3], x.reshape(-1)[::5] = ends.max, ends.min
        found += [x, (x // 3 % 3).astype(kind)]
    if kind.kind == "f":
        x = np.round(spread / 20).astype(kind)
        found += [x, np.where(RANDOM.random(shape) < 0.5, -0.0, 0.0).astype(kind)]
        x = spread.astype(kind)
        x.reshape(-1)[RANDOM.integers(0, x.size, 4)] = np.nan
        x.reshape(-1)[0], x.reshape(-1)[-1] = np.inf, -np.inf
        found += [x, np.full(shape, -np.inf, kind), np.full(shape, np.nan, kind)]
    return found


def agrees(function: Any, x: np.ndarray[Any, Any]) -> None:
    compiled, expected = bg.compile(function, engine="native"), function(x)
    found = compiled(x)
    for y, z in zip(
        *((each if isinstance(each, tuple) else (each,)) for each in (found, expected)), strict=True
    ):
        np.testing.assert_array_equal(y, z)
        assert np.asarray(y).dtype == np.asarray(z).dtype


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_positions_of_extrema(shape, axis, dtype):
    argmax = bg.compile(lambda x: np.argmax(x, axis=axis), engine="native")
    argmin = bg.compile(lambda x: np.argmin(x, axis=axis), engine="native")
    for x in values(dtype, shape):
        for function, expected in ((argmax, np.argmax(x, axis=axis)), (argmin, np.argmin(x, axis=axis))):
            found = function(x)
            np.testing.assert_array_equal(found, expected)
            assert np.asarray(found).dtype == np.asarray(expected).dtype


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), [((7,), 0), ((17,), 0), ((100,), 0), ((64, 10), 1), ((70, 3), 0)])
def test_orders(shape, axis, dtype):
    order = bg.compile(lambda x: np.argsort(x, axis=axis, kind="stable"), engine="native")
    for x in values(dtype, shape):
        np.testing.assert_array_equal(order(x), np.argsort(x, axis=axis, kind="stable"))


def everything(x):
    order = np.argsort(x, axis=1, kind="stable")
    return (
        np.argmax(x, axis=1),
        np.argmin(x),
        order,
        np.max(x, axis=1),
        np.min(x),
        np.sum(x),
        np.prod(1 + x / 1e3),
    )


@pytest.mark.parametrize("widest", ["avx512", "avx2", "128"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_any_vectors(dtype, widest):
    x = RANDOM.normal(size=(3, 1037)).astype(dtype)
    program, _, _ = engine.built(bg.trace(everything, x), machine=host(widest))
    for found, expected in zip(program([x]), everything(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4 if dtype == "f4" else 1e-11)


@pytest.mark.parametrize(
    ("triple", "cpu", "features"),
    [
        ("x86_64-unknown-linux-gnu", "skylake-avx512", "+avx512f,+avx512vl,+fma,+avx2"),
        ("aarch64-unknown-linux-gnu", "cortex-a72", "+neon"),
    ],
)
def test_code_for_other_machines(triple, cpu, features):
    graph = bg.trace(everything, np.ones((3, 1037), np.float32))
    assert engine.object_of(graph, machine_of(triple, cpu, features))[:4] == b"\x7fELF"


def test_every_access_is_inside(monkeypatch):
    monkeypatch.setenv("BOXGRAD_NATIVE_CHECK", "1")
    agrees(lambda x: everything(x)[:5], RANDOM.normal(size=(3, 333)).astype(np.float32))


@pytest.mark.parametrize("position", [0, 1, 32_767, 32_768, 99_999, 199_999, 200_000])
def test_long_rows_are_cut(position):
    x = RANDOM.normal(size=200_001).astype(np.float32)
    x[position] = 9
    x[min(position + 70_000, 200_000)] = 9  # of equals the first counts
    agrees(np.argmax, x)
    agrees(np.argmin, -x)
    x[position] = np.nan
    agrees(np.argmin, x)


def test_rows_with_gaps_between_them():
    x = RANDOM.normal(size=(6, 5, 300))
    agrees(lambda x: np.argmax(x[::2, 1:4, 20:280], axis=2), x)
    agrees(lambda x: np.argmax(np.swapaxes(x, 0, 1)[:, ::-1], axis=2), x)
    agrees(lambda x: np.argsort(x[::2, :, 3:50], axis=2), x)


def test_sums_have_the_same_bits_with_any_number_of_threads():
    x = RANDOM.normal(size=300_017)
    parts = bg.compile(lambda x: (np.sum(x), np.mean(x), np.var(x), np.max(x), np.prod(1 + x / 1e6)))
    try:
        found = []
        for threads in (1, 2, 5):
            bg.set_num_threads(threads)
            found.append([float(value) for value in parts(x)])
    finally:
        bg.set_num_threads(2)
    assert found[0] == found[1] == found[2]
    exact = np.asarray(x, np.longdouble)
    np.testing.assert_allclose(found[0][1], float(exact.mean()), rtol=1e-12)
    np.testing.assert_allclose(found[0][2], float(exact.var()), rtol=1e-13)


def test_a_variance_far_from_0_keeps_its_digits():
    x = 1e8 + RANDOM.normal(size=(3, 5000))
    found = bg.compile(lambda x: np.var(x, axis=1), engine="native")(x)
    np.testing.assert_allclose(found, np.var(x, axis=1), rtol=1e-12)


def test_large_results_are_arrays_of_their_own():
    double = bg.compile(lambda x: (2 * x, (3 * x).T, np.sum(x, axis=0)), engine="native")
    x = RANDOM.normal(size=(40, 50))
    first, second = double(x), double(x + 1)
    for y, z, expected in zip(first, second, (2 * x, 3 * x.T, x.sum(axis=0)), strict=True):
        np.testing.assert_allclose(y, expected, atol=1e-12)
        assert y.shape == expected.shape
        assert y.flags.writeable
        assert not np.shares_memory(y, z)


def test_a_report_fits_80_columns():
    name = "subtract+multiply+add+less_equal+where+sum+divide+sqrt"
    rows = (Row(name, 12, 6_923_000, 346_000, 433_000, 1.5e-3), Row("max", 1, 100, 4, 0, 1e-6))
    _, head, *lines = str(Report("native", rows, ("a note " * 20,), "kernels")).splitlines()
    assert all(len(line) <= 80 for line in (head, *lines))
    assert head.split() == ["runs", "reads", "kB", "writes", "kB", "MFLOP", "µs", "GFLOP/s"]
    folded, last = lines[:2], lines[2]
    assert "".join(line.strip() for line in folded) + last.split()[0] == name
    assert last.split()[1:] == ["12", "6,923.0", "346.0", "0.433", "1,500.0", "0.3"]
    assert len(head) == len(last)

"""Products of matrices of any size, layout and dtype, with what follows them fused in, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import boxgrad as bg
from boxgrad.engines.native import engine
from boxgrad.engines.native.product import SHALLOW

SUBSCRIPTS = (
    "ij,jk->ik", "ij,kj->ik", "ji,jk->ik", "ji,kj->ik", "ij,jk->ki", "bij,bjk->bik", "bij,bkj->bik",
    "aij,jk->aik", "tik,tij->jk", "abij,abjk->abik", "i,ij->j", "ij,j->i", "i,j->ij", "i,i->", "ibj,kbj->bik",
)  # fmt: skip


def assert_near(got, wanted, depth):
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    unit = np.finfo(got.dtype).eps * (4 + depth)
    np.testing.assert_allclose(got, wanted, rtol=unit, atol=unit * np.max(np.abs(wanted), initial=1.0))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(SUBSCRIPTS),
    st.fixed_dictionaries({c: st.integers(1, 40) for c in "abijkt"}),
    st.sampled_from([np.float32, np.float64]),
    st.randoms(use_true_random=False),
)
def test_contractions(subscripts, sizes, dtype, random):
    sizes = {c: min(n, 3) if c in "abt" else n for c, n in sizes.items()}
    operands = subscripts.split("->")[0].split(",")
    source = np.random.default_rng(random.randrange(1 << 30))
    a, b = (source.normal(size=[sizes[c] for c in letters]).astype(dtype) for letters in operands)
    compiled = bg.compile(lambda a, b: np.einsum(subscripts, a, b), engine="native")
    wanted = np.einsum(subscripts, a.astype(np.float64), b.astype(np.float64)).astype(dtype)
    assert_near(np.asarray(compiled(a, b)), np.asarray(wanted), 64)


@pytest.mark.parametrize(
    "shape", [(64, 128, 784), (1, 33, 7), (70, 1, 2000), (13, 17, 2000), (13, 17, 5000), (200, 40, 3)]
)
def test_what_follows_is_fused(shape):
    m, n, k = shape
    random = np.random.default_rng(0)
    x, w = (random.normal(0, 0.1, s).astype(np.float32) for s in ((m, k), (n, k)))
    bias, mask = random.normal(size=n).astype(np.float32), random.normal(size=(m, n)).astype(np.float32)

    def layer(x, w, bias, mask):
        y = np.tanh(x @ w.T + bias)
        return y, y * mask

    compiled = bg.compile(layer, engine="native")
    wanted = layer(*(v.astype(np.float64) for v in (x, w, bias, mask)))
    for got, exact in zip(compiled(x, w, bias, mask), wanted, strict=True):
        np.testing.assert_allclose(got, exact, rtol=1e-4, atol=1e-5)
    assert [row.box for row in compiled.report().rows] == ["contract+add+tanh+multiply"]


def test_any_strides_of_the_operands():
    random = np.random.default_rng(0)
    whole = random.normal(size=(40, 60)).astype(np.float32)
    product = bg.compile(lambda a, b: a @ b, engine="native")
    for a, b in ((whole[::2, ::-3], whole[::-2, ::2]), (whole[:20, :40], whole), (whole.T, whole)):
        assert_near(product(a, b), a @ b, 64)


def test_the_result_does_not_depend_on_the_number_of_threads():
    random = np.random.default_rng(0)
    a, b = (random.normal(size=(300, 300)).astype(np.float32) for _ in range(2))
    product = bg.compile(lambda a, b: np.sum(np.tanh(a @ b), axis=0), engine="native")
    results = []
    for threads in (1, 2, 3):
        bg.set_num_threads(threads)
        results += [product(a, b) for _ in range(3)]
    bg.set_num_threads(2)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "sizes", [(128, 784, 64), (100, 203, 20), (97, 64, 128), (64, 70, 1), (49, 85, 3), (128, 784, 129)]
)
def test_an_update_by_rows(sizes, dtype):
    """Arrays beside a gradient: chunks are rows, and the second factor is read where it lies."""
    m, n, k = sizes
    random = np.random.default_rng(0)
    d, x = random.normal(size=(k, m)).astype(dtype), random.normal(size=(k, n)).astype(dtype)

    def update(d, x, mean, weights):
        mean *= 0.9
        mean += 0.1 * (d.T @ x)
        weights -= 0.01 * mean / (np.sqrt(np.abs(mean)) + 1e-3)

    compiled = bg.compile(update, engine="native")
    results = []
    for threads in (1, 2, 5):
        bg.set_num_threads(threads)
        start = np.random.default_rng(1).normal(size=(2, m, n)).astype(dtype)
        for _ in range(3):
            compiled(d, x, *start)
        results.append(start)
    bg.set_num_threads(2)
    wanted = np.random.default_rng(1).normal(size=(2, m, n)).astype(dtype)
    for _ in range(3):
        update(d, x, *wanted)
    assert_near(results[0], wanted, 64)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    _, steps, _ = engine.ENGINE._made[compiled.graph]
    (kernel,) = (part for part in steps if part.flops >= 2 * m * n * k)
    _, _, panel, *_ = kernel.values
    assert bool(panel.size) == (k > SHALLOW)

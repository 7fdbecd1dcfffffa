"""Random bits against the published vectors of Threefry, and what is drawn from them."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad.functions.random_bits import threefry


# Salmon et al., Random123, kat_vectors: threefry2x32, 20 rounds.
@pytest.mark.parametrize(
    ("counter", "key", "wanted"),
    [
        ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_known_answers(counter, key, wanted):
    with np.errstate(over="ignore"):
        found = threefry(tuple(map(np.uint32, key)), *(np.full(1, word, np.uint32) for word in counter))
    assert tuple(int(word[0]) for word in found) == wanted


DRAWS = {
    "bits": lambda r: r.bits((3, 5)),
    "uniform": lambda r: r.uniform((4, 3), -1.0, 2.0),
    "uniform of 64 bits": lambda r: r.uniform((5,), dtype=np.float64),
    "normal": lambda r: r.normal((7,), 1.0, 0.5),
    "normal of 64 bits": lambda r: r.normal((2, 2), dtype=np.float64),
    "bernoulli": lambda r: r.bernoulli(0.3, (9,)),
    "nothing": lambda r: r.uniform((0, 3)),
    "a number": lambda r: r.uniform(()),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
def test_compiled_draws_are_the_same_and_advance(draw):
    plain, compiled = bg.Random(3), bg.Random(3)
    run = bg.compile(draw)
    for _ in range(3):
        wanted, got = draw(plain), run(compiled)
        np.testing.assert_array_equal(got, wanted)
        assert got.dtype == wanted.dtype
        assert int(compiled.counter) == int(plain.counter)


def test_no_number_is_drawn_twice():
    """Successive draws, of odd and even sizes, are different stretches of one stream."""
    r = bg.Random(0)
    words = np.concatenate([r.bits((n,)) for n in (1, 2, 3, 7, 64, 5)])
    assert len(np.unique(words)) == len(words)
    r.counter[...] = 0
    np.testing.assert_array_equal(r.bits((1,)), words[:1])


def test_streams_are_independent_and_reproducible():
    first, second = bg.Random(0).split("a").bits((8,)), bg.Random(0).split("b").bits((8,))
    np.testing.assert_array_equal(first, bg.Random(0).split("a").bits((8,)))
    assert not np.any(first == second)
    assert not np.any(bg.Random(1).bits((8,)) == bg.Random(0).bits((8,)))
    assert np.any(bg.Random().bits((8,)) != bg.Random().bits((8,)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distributions(dtype):
    r = bg.Random(11)
    u, z = r.uniform((200_000,), dtype=dtype), r.normal((200_000,), dtype=dtype)
    assert u.dtype == z.dtype == dtype
    assert 0 <= u.min() < 1e-4 < 1 - 1e-4 < u.max() < 1
    assert abs(u.mean() - 0.5) < 0.003
    assert abs(u.var() - 1 / 12) < 0.001
    assert abs(z.mean()) < 0.01
    assert abs(z.var() - 1) < 0.02
    assert abs((z**4).mean() - 3) < 0.1
    assert abs(r.bernoulli(0.25, (100_000,)).mean() - 0.25) < 0.01
    assert not r.bernoulli(0.0, (1000,)).any()
    assert r.bernoulli(1.0, (1000,)).all()


def test_a_stream_that_is_no_argument_is_refused_under_compile():
    r = bg.Random(0)
    with pytest.raises(bg.TraceError, match="argument"):
        bg.compile(lambda x: x + r.uniform((2,)))(np.zeros(2))
    assert bg.grad(lambda x: np.sum(x * r.uniform((2,))))(np.zeros(2)).shape == (2,)


def test_gradients_pass_through_what_is_drawn():
    """The location and scale of a distribution have derivatives; the draw advances once."""
    x = np.array([0.5, 2.0])

    def f(x, r):
        return np.sum(x[0] + x[1] * r.normal((4,), dtype=np.float64))

    r = bg.Random(5)
    gradient = bg.grad(f)(x, r)
    z = bg.Random(5).normal((4,), dtype=np.float64)
    np.testing.assert_allclose(gradient, [4.0, z.sum()], rtol=1e-14)
    assert int(r.counter) == int(bg.Random(5).counter) + 8

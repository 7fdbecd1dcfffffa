"""Memory is shared where lifetimes allow, never where they overlap, and margins stay as they were."""

import itertools

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn
from boxgrad.engines.native import engine
from boxgrad.engines.native.ir import Function
from boxgrad.engines.native.layout import Buffer, Home, Value, fresh
from boxgrad.engines.native.plan import plan
from boxgrad.engines.native.steps import Kernel

F32 = np.dtype(np.float32)


def kernel(reads, writes):
    values = (*reads, *writes)
    return Kernel("k", Function("k", ()), values, tuple(reads), tuple(writes), 1)


def chain(sizes, lives):
    """Steps in which buffer n is written at the first of its times and read at the last."""
    values = [fresh((size,), F32) for size in sizes]
    steps = []
    for time in range(max(last for _, last in lives) + 1):
        reads = [v for v, (first, last) in zip(values, lives, strict=True) if last == time > first]
        writes = [v for v, (first, _) in zip(values, lives, strict=True) if first == time]
        steps.append(kernel(reads, writes))
    return values, steps


@pytest.mark.parametrize("seed", range(20))
def test_buffers_that_live_together_lie_apart(seed):
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 2000, 40)
    starts = random.integers(0, 30, 40)
    lives = [(int(a), int(a + b)) for a, b in zip(starts, random.integers(0, 9, 40), strict=True)]
    values, steps = chain(sizes, lives)
    made = plan(steps, 0, 0, 0)
    placed = [
        (v.buffer.offset, v.buffer.offset + v.buffer.bytes, *t) for v, t in zip(values, lives, strict=True)
    ]
    for a, b in itertools.combinations(placed, 2):
        together = a[2] <= b[3] and b[2] <= a[3]
        assert not together or a[1] <= b[0] or b[1] <= a[0]
    assert all(stop <= made.bytes and start % 64 == 0 for start, stop, *_ in placed)
    needed = max(
        sum(-(-v.buffer.bytes // 64) * 64 for v, (a, b) in zip(values, lives, strict=True) if a <= t <= b)
        for t in range(40)
    )
    assert needed <= made.bytes <= 1.25 * needed


def image(pad, size=6, fill=0):
    """An image of 4 × 4 inside a fixed buffer of 6 × 6."""
    buffer = Buffer(F32, size * size, Home.FIXED, fill=fill)
    return Value(buffer, (4, 4), (size, 1), pad * size + pad, F32)


def placed_after_each_other(first, second):
    out = fresh((1,), F32)
    steps = [kernel([], [first]), kernel([first], [out]), kernel([out], [second]), kernel([second], [out])]
    plan(steps, 0, 0, 0)
    return first.buffer.offset, second.buffer.offset


def test_equal_margins_share_memory_and_others_do_not():
    a, b = placed_after_each_other(image(1), image(1))
    assert a == b
    for other in (image(2), image(1, fill=-np.inf)):
        a, b = placed_after_each_other(image(1), other)
        assert abs(a - b) >= 36 * 4


def test_equal_margins_that_live_together_lie_apart():
    first, second, out = image(1), image(1), fresh((1,), F32)
    plan([kernel([], [first]), kernel([], [second]), kernel([first, second], [out])], 0, 0, 0)
    assert abs(first.buffer.offset - second.buffer.offset) >= 36 * 4


def test_layers_of_one_size_keep_their_margins():
    """Three equal convolutions, whose gradients share memory: right at the first call and at later ones."""
    model = nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))).initialise(seed=0)
    x = np.random.default_rng(0).normal(size=(3, 4, 7, 6)).astype(np.float32)

    def loss(model, x):
        return np.sum(np.tanh(model(x)) ** 2)

    run = bg.compile(bg.value_and_grad(loss), engine="native")
    expected = bg.value_and_grad(loss)(model, x)[1]
    for _ in range(3):
        found = run(model, x)[1]
        for (name, g), (_, e) in zip(found.named_parameters(), expected.named_parameters(), strict=True):
            np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-4, err_msg=name)
    program, *_ = engine.built(run.graph)
    whole = 3 * 4 * (7 + 2) * (6 + 2) * 4
    assert program.bytes < 5 * whole + 60_000

"""How much memory a step takes and what holds it; borders and borrowed pieces, where it is shared."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn
from boxgrad.bench.models import CASES
from boxgrad.bench.steps import boxgrad_step
from boxgrad.engines.native import borders, borrowed, engine
from boxgrad.engines.native.borders import Border
from boxgrad.engines.native.held import held
from boxgrad.engines.native.layout import Buffer, Home, Value, ordered_strides
from boxgrad.engines.native.machine import machine_of
from boxgrad.engines.native.plan import plan
from boxgrad.engines.native.pool import num_threads

F32 = np.dtype(np.float32)
AVX2 = machine_of("x86_64-unknown-linux-gnu", "x86-64-v3", "+avx2,+fma")


# ---- the five models
class StoppedError(Exception):
    """Raised where code would be made."""


def planned(name, monkeypatch):
    """The steps and the memory of a model's training step, for a processor with AVX2 and two threads."""

    def stop(graph, targets):
        raise StoppedError(*engine.planned(graph, targets, AVX2))

    monkeypatch.setattr(engine, "built", stop)
    monkeypatch.setattr(borrowed, "most_threads", lambda: 2)
    step, _ = boxgrad_step(CASES[name], CASES[name].state(), "native")
    with pytest.raises(StoppedError) as stopped:
        step()
    return stopped.value.args


@pytest.mark.parametrize(
    ("name", "megabytes"),
    [("mlp", 0.18), ("lenet", 53.0), ("vgg", 80.5), ("lstm-small", 12.8), ("lstm-large", 175.0)],
)
def test_what_a_training_step_of_a_model_holds(name, megabytes, monkeypatch):
    steps, places = planned(name, monkeypatch)
    rows = held(steps)
    assert sum(row.bytes for row in rows) <= places.bytes <= megabytes * 1e6
    # What is needed at the fullest moment is nearly all that is taken.
    assert places.bytes <= 1.02 * sum(row.bytes for row in rows) + 4096


# ---- borders
@pytest.mark.parametrize("seed", range(12))
def test_a_border_is_all_that_a_box_leaves(seed):
    random = np.random.default_rng(seed)
    rank = int(random.integers(2, 6))
    shape = tuple(int(n) for n in random.integers(1, 6, rank))
    order = tuple(int(axis) for axis in random.permutation(rank))
    whole = Value(Buffer(F32, int(np.prod(shape)), Home.FIXED), shape, ordered_strides(shape, order), 0, F32)
    key = []
    for n in shape:
        begin = int(random.integers(0, n))
        key.append(slice(begin, int(random.integers(begin + 1, n + 1)), int(random.integers(1, 3))))
    box = whole.at(tuple(key))
    border = Border.of(box)
    if border is None:  # gaps whose last one is cut short
        assert any(part.step == 2 for part in key)
        return
    seen = np.zeros(whole.size, int)

    def visit(start, axes):
        if not axes:
            seen[start] += 1
            return
        (_, stride, begin, end), *rest = axes
        for index in range(begin, end):
            visit(start + index * stride, rest)

    visit(0, border.axes)
    expected = np.zeros(whole.size, int)
    places = np.lib.stride_tricks.as_strided(expected[box.offset :], box.shape, [8 * s for s in box.strides])
    places[...] = 1
    np.testing.assert_array_equal(seen, expected)
    assert border.bytes == 4 * (whole.size - box.size)


def share_all(monkeypatch):
    monkeypatch.setattr(borders, "LEAST", -(1 << 60))
    monkeypatch.setattr(borders, "WORTH", 0)


def convolutions():
    """Models with room around images of one to three axes, between them and beside them, and their inputs."""
    shape = {
        "1d": (nn.Conv1d, (5, 3, 11)),
        "2d": (nn.Conv2d, (3, 3, 9, 7)),
        "3d": (nn.Conv3d, (2, 3, 5, 4, 6)),
    }
    for name, (layer, size) in shape.items():
        for stride in (1, 2):
            layers = [
                layer(3, 5, 3, padding=1),
                nn.ReLU(),
                layer(5, 4, 3, padding=1, stride=stride),
                nn.Tanh(),
            ]
            yield pytest.param(nn.Sequential(*layers, layer(4, 2, 3, padding=2)), size, id=f"{name}-{stride}")
    pools = [
        nn.Conv2d(3, 4, 3, padding=1),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Conv2d(4, 2, 3, padding=1),
    ]
    yield pytest.param(nn.Sequential(*pools), (3, 3, 9, 8), id="pool")


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize(("model", "shape"), [*convolutions()])
def test_borders_that_are_written_in_every_call(model, shape, checked, monkeypatch):
    """All that can be shared is; where accesses are checked, each call finds NaN in all of it at first."""
    share_all(monkeypatch)
    monkeypatch.setenv("BOXGRAD_NATIVE_CHECK", "1" if checked else "0")
    model.initialise(seed=0)
    random = np.random.default_rng(0)

    def loss(model, x):
        return np.sum(np.tanh(model(x)) ** 2)

    run = bg.compile(bg.value_and_grad(loss), engine="native")
    for _ in range(3):
        x = random.normal(size=shape).astype(np.float32)
        value, found = run(model, x)
        wanted, expected = bg.value_and_grad(loss)(model, x)
        np.testing.assert_allclose(value, wanted, rtol=1e-5)
        for (name, g), (_, e) in zip(found.named_parameters(), expected.named_parameters(), strict=True):
            np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-4, err_msg=name)
    assert any(row.box == "border" for row in run.report().rows)


def test_the_same_bits_with_borders_and_without(monkeypatch):
    model = nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))).initialise(seed=0)
    x = np.random.default_rng(0).normal(size=(8, 4, 12, 10)).astype(np.float32)

    def found():
        run = bg.compile(bg.value_and_grad(lambda model: np.sum(np.tanh(model(x)) ** 2)), engine="native")
        run(model)
        return [np.array(g) for _, g in run(model)[1].named_parameters()], run.report()

    kept, before = found()
    share_all(monkeypatch)
    shared, after = found()
    assert not any(row.box == "border" for row in before.rows)
    assert any(row.box == "border" for row in after.rows)
    for a, b in zip(kept, shared, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- borrowed pieces
def test_threads_wait_for_pieces_and_agree(monkeypatch):
    """With one piece for all chunks, the bits are those of a piece for each, whatever the threads."""
    random = np.random.default_rng(1)
    x = random.normal(size=(64, 8, 20, 20)).astype(np.float32)
    w = random.normal(size=(8, 8, 3, 3)).astype(np.float32)

    def loss(w, x):
        return np.sum(np.tanh(bg.conv(x, w, padding=1)))

    before = num_threads()
    found = []
    try:
        for pieces in (1, 2, 64):
            monkeypatch.setattr(borrowed, "most_threads", lambda pieces=pieces: pieces)
            run = bg.compile(bg.grad(loss, argnums=(0, 1)), engine="native")
            for threads in (1, 2, 5):
                bg.set_num_threads(threads)
                found.append([np.array(g) for g in run(w, x)])
            assert any("F(" in row.box for row in run.report().rows)
    finally:
        bg.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_words_are_cleared_before_a_call(monkeypatch):
    """A piece that was never given back, as after a fork in a call, is free in the next one."""
    monkeypatch.setattr(borrowed, "most_threads", lambda: 2)
    random = np.random.default_rng(2)
    x, w = (random.normal(size=s).astype(np.float32) for s in ((64, 8, 20, 20), (8, 8, 3, 3)))
    run = bg.compile(lambda x, w: bg.conv(x, w, padding=1), engine="native")
    expected = run(x, w)
    program, *_ = engine.built(run.graph)
    words = program._arena[: program._plan.words].view(np.int64)
    assert words.size
    words[:] = 1
    np.testing.assert_array_equal(program([x, w])[0], expected)
    assert not words.any()


# ---- packing and the report
def test_what_lives_longest_lies_lowest():
    """Else what is left of memory after the fullest moment is in two pieces, and neither is large enough."""
    sizes, lives = (800, 600, 500, 1300), ((0, 5), (0, 9), (0, 5), (6, 9))
    values = [Value(Buffer(F32, 16 * n), (16 * n,), (1,), 0, F32) for n in sizes]
    steps = []
    for time in range(10):
        reads = [v for v, (first, last) in zip(values, lives, strict=True) if last == time]
        writes = [v for v, (first, _) in zip(values, lives, strict=True) if first == time]
        steps.append(
            engine.Kernel("k", engine.Function("k", ()), (*reads, *writes), tuple(reads), tuple(writes), 1)
        )
    assert plan(steps, 0, 0, 0).bytes == 64 * (600 + 1300)


def test_a_report_says_what_holds_memory():
    def f(x, w):
        return np.sum(np.tanh(x @ w) @ w)

    run = bg.compile(bg.grad(f), engine="native")
    run(np.ones((300, 200), np.float32), np.ones((200, 200), np.float32))
    report = run.report()
    sizes = [row.bytes for row in report.held]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 4 * 300 * 200
    assert report.held[0].made_by == "contract"
    assert "kB  from contract" in str(report)
    small = bg.compile(lambda x: x + 1, engine="native")
    small(np.ones(3))
    assert small.report().held == ()


def test_the_text_of_kernels_is_not_kept():
    run = bg.compile(lambda x: np.tanh(x) + 1, engine="native")
    run(np.ones(3))
    _, steps, _ = engine.built(run.graph)
    assert steps
    assert all(kernel.function.body == "" for kernel in steps)

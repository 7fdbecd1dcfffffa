"""The derivative of scan against loops written in Python, to second order, eager and compiled."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import tree

random = np.random.default_rng(0)
draw = lambda *shape: random.normal(size=shape) * 0.5


def unrolled(cell, carry, xs, length=None, reverse=False):
    """scan as a Python loop."""
    steps = length if xs is None else len(tree.leaves(xs)[0])
    outputs = [None] * steps
    for t in reversed(range(steps)) if reverse else range(steps):
        carry, outputs[t] = cell(carry, None if xs is None else tree.map(lambda x, t=t: x[t], xs))
    return carry, tree.map(lambda *ys: np.stack(ys), *outputs)


def rnn(scan, p, reverse=False):
    cell = lambda h, x: ((h := np.tanh(h @ p["U"] + x @ p["V"] + p["b"])), h)
    last, states = scan(cell, p["h"], p["xs"], reverse=reverse)
    return np.sum(last**2) + np.sum(np.sin(states))


def lstm(scan, p):
    def cell(carry, x):
        h, c = carry
        i, f, g, o = np.split(x @ p["V"] + h @ p["U"] + p["b"], 4, axis=-1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        return (h, c), h

    (h, c), states = scan(cell, (p["h"], p["c"]), p["xs"])
    return np.sum(states**2) + np.sum(h * c)


def linear(scan, p):
    """A loop whose body is linear: nothing of the carry needs to be saved."""
    last, ys = scan(lambda h, x: (h @ p["A"] + x, h), p["h"], p["xs"])
    return np.sum(last**3) + np.sum(ys**2)


def bilinear(scan, p):
    """A constant used several ways: in a product with the carry, alone, and elementwise."""

    def cell(h, x):
        h = np.sin(h @ p["A"]) * p["s"] + p["s"] * x + np.sum(p["A"] ** 2) * 0.1
        return h, (h, h @ p["A"])

    last, (a, b) = scan(cell, p["h"], p["xs"])
    return np.sum(last * a) + np.sum(b**2)


def last_only(scan, p):
    return np.sum(scan(lambda h, x: (np.cos(h) + x * p["s"], None), p["h"], p["xs"])[0] ** 2)


def outputs_only(scan, p):
    """The last carry is not used, and an output does not depend on the carry."""
    return np.sum(scan(lambda h, x: (h * x, np.exp(x * p["s"])), p["h"], p["xs"])[1])


def newton(scan, p):
    last, steps = scan(lambda y, _: (0.5 * (y + p["s"] / y), y), np.ones(()), None, length=6)
    return last + np.sum(steps) * 0.1


def cumulative(scan, p):
    last, ys = scan(lambda c, x: (c + x, c * x), 0.0, p["xs"][:, 0])
    return last + np.sum(ys**2)


def nested(scan, p):
    def outer(h, x):
        h, inner = scan(lambda k, z: (np.sin(k * z + h[0]), k), h, np.stack([x, x * 2]))
        return h, np.sum(inner)

    last, sums = scan(outer, p["h"][0], p["xs"][..., :2])
    return np.sum(last) + np.sum(sums**2)


def with_indices(scan, p):
    table = p["A"]

    def cell(carry, i):
        h, n = carry
        return (np.tanh(h + table[i] * (n + 1)), n + 1), table[i] @ h

    (h, _), ys = scan(cell, (p["h"][0], np.zeros((), np.int64)), np.array([1, 0, 1, 1]))
    return np.sum(h) + np.sum(ys**2)


def in_place(scan, p):
    def cell(h, x):
        h = h.copy()
        h[0] += np.sum(x)
        h *= p["s"]
        return h, np.sum(h)

    last, ys = scan(cell, p["h"], p["xs"])
    return np.sum(last) + np.sum(ys**2)


def convolution(scan, p):
    def cell(h, x):
        h = np.tanh(bg.conv(h, p["w"], padding=1) + x[:, None, :])
        return h, bg.max_pool(h, 2)

    last, ys = scan(cell, np.zeros((2, 1, 4)), p["images"])
    return np.sum(last) + np.sum(ys**2)


LOOPS = {
    rnn: {"h": draw(3, 2), "xs": draw(4, 3, 5), "U": draw(2, 2), "V": draw(5, 2), "b": draw(2)},
    lstm: {
        "h": draw(1, 2),
        "c": draw(1, 2),
        "xs": draw(3, 1, 3),
        "U": draw(2, 8),
        "V": draw(3, 8),
        "b": draw(8),
    },
    linear: {"h": draw(2, 3), "A": draw(3, 3), "xs": draw(4, 2, 3)},
    bilinear: {"h": draw(2, 3), "A": draw(3, 3), "s": np.array(0.7), "xs": draw(4, 2, 3)},
    last_only: {"h": draw(3), "s": np.array(0.7), "xs": draw(4, 3)},
    outputs_only: {"h": draw(3), "s": np.array(0.7), "xs": draw(4, 3)},
    newton: {"s": np.array(2.0)},
    cumulative: {"xs": draw(5, 2)},
    nested: {"h": draw(1, 2), "xs": draw(3, 2)},
    with_indices: {"h": draw(1, 2), "A": draw(2, 2)},
    in_place: {"h": draw(3), "s": np.array(0.7), "xs": draw(4, 3)},
    convolution: {"w": draw(1, 1, 3), "images": draw(3, 2, 4)},
}
loops = pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)


def near(got, wanted, relative=1e-12):
    for a, b in zip(tree.leaves(got), tree.leaves(wanted), strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=relative, atol=relative)


@loops
def test_first_derivative(loop):
    p = LOOPS[loop]
    wanted = bg.value_and_grad(lambda p: loop(unrolled, p))(p)
    near(loop(bg.scan, p), wanted[0])
    scanned = lambda p: loop(bg.scan, p)
    near(bg.value_and_grad(scanned)(p), wanted)
    near(bg.compile(bg.value_and_grad(scanned))(p), wanted)
    near(bg.compile(scanned)(p), wanted[0])
    near(bg.grad(bg.compile(scanned))(p), wanted[1])


@loops
def test_second_derivative(loop):
    p = LOOPS[loop]
    d = tree.map(lambda leaf: np.cos(np.arange(leaf.size)).reshape(leaf.shape), p)
    wanted = bg.hvp(lambda p: loop(unrolled, p), p, d)
    product = lambda p: bg.hvp(lambda p: loop(bg.scan, p), p, d)
    near(product(p), wanted, 1e-11)
    near(bg.compile(product)(p), wanted, 1e-11)
    forward = bg.jvp(bg.grad(lambda p: loop(bg.scan, p)), (p,), (d,))[1]
    near(forward, wanted, 1e-11)


@loops
def test_forward_derivative(loop):
    p = LOOPS[loop]
    d = tree.map(np.ones_like, p)
    wanted = bg.jvp(lambda p: loop(unrolled, p), (p,), (d,))
    near(bg.jvp(lambda p: loop(bg.scan, p), (p,), (d,)), wanted)
    near(bg.compile(lambda p: bg.jvp(lambda p: loop(bg.scan, p), (p,), (d,)))(p), wanted)


def test_third_derivative():
    p = LOOPS[rnn]
    third = lambda scan: bg.grad(
        lambda s: bg.hvp(lambda b: rnn(scan, {**p, "b": b * s}), p["b"], p["b"]) @ p["b"]
    )
    near(third(bg.scan)(0.5), third(unrolled)(0.5), 1e-10)


def test_reverse():
    p = LOOPS[rnn]
    run = lambda scan: bg.grad(lambda p: rnn(scan, p, reverse=True))(p)
    near(run(bg.scan), run(unrolled))


def test_single_precision_stays():
    p = tree.map(lambda leaf: leaf.astype(np.float32), LOOPS[lstm])
    value, gradient = bg.value_and_grad(lambda p: lstm(bg.scan, p))(p)
    assert value.dtype == np.float32
    assert {leaf.dtype for leaf in tree.leaves(gradient)} == {np.dtype(np.float32)}
    near(gradient, bg.grad(lambda p: lstm(bg.scan, p))(LOOPS[lstm]), 1e-4)


def test_a_long_loop():
    """A thousand steps compile to a few boxes, and need no deep stack."""
    xs = draw(1000, 2)
    f = bg.compile(
        bg.grad(lambda a: np.sum(bg.scan(lambda h, x: ((h := np.tanh(a * h + x)), h), np.zeros(2), xs)[1]))
    )
    wanted = bg.grad(
        lambda a: np.sum(unrolled(lambda h, x: ((h := np.tanh(a * h + x)), h), np.zeros(2), xs)[1])
    )
    assert f(0.9) == pytest.approx(wanted(0.9), rel=1e-11)
    assert len(f.graph.nodes) < 60


def test_products_leave_the_loop():
    """The gradient of a weight is one large product after the loop, not a sum of products inside it."""
    p = LOOPS[rnn]
    f = bg.compile(bg.grad(lambda U: rnn(bg.scan, {**p, "U": U})))
    f(p["U"])
    outside = [node for node in f.graph.nodes if node.primitive and node.primitive.name == "contract"]
    assert [node.shape for node in outside].count((2, 2)) == 1


@pytest.mark.parametrize("length", [1, 2])
def test_short_loops(length):
    p = {"h": draw(2, 3), "A": draw(3, 3), "xs": draw(length, 2, 3)}
    near(bg.grad(lambda p: linear(bg.scan, p))(p), bg.grad(lambda p: linear(unrolled, p))(p))


ERRORS = {
    "the carry grows": (lambda h, x: (np.concatenate([h, h]), x), np.ones(2), "keep its shape"),
    "another structure": (lambda h, x: ((h, h), x), np.ones(2), "structure"),
    "a branch": (lambda h, x: (h if h[0] > 0 else x, x), np.ones(2), r"np\.where"),
}


@pytest.mark.parametrize(("cell", "start", "pattern"), ERRORS.values(), ids=ERRORS.keys())
@pytest.mark.parametrize("run", [bg.compile, lambda f: lambda xs: bg.vjp(f, xs)], ids=["compile", "grad"])
def test_errors(cell, start, pattern, run):
    with pytest.raises(bg.BoxgradError, match=pattern):
        run(lambda xs: bg.scan(cell, start, xs))(np.ones((3, 2)))


def noisy(stream, xs):
    def cell(carry, x):
        h, stream = carry
        h = h * 0.9 + x * stream.uniform((2,), dtype=np.float64)
        return (h, stream), h

    (h, stream), ys = bg.scan(cell, (np.zeros(2), stream), xs)
    return np.sum(h) + np.sum(ys**2)


def test_random_numbers_in_the_carry():
    """A stream that is carried advances in every step, traced as it does without."""
    xs = draw(4, 2)
    wanted = noisy(bg.Random(0), xs)
    near(bg.compile(noisy)(bg.Random(0), xs), wanted)
    near(bg.vjp(lambda xs: noisy(bg.Random(0), xs), xs)[0], wanted)


class Total:
    def __init__(self):
        self.sum = np.zeros(2)


tree.register(Total)
STREAM = bg.Random(0)
OUTSIDE = {
    "a stream": lambda t, xs: bg.scan(lambda h, x: (h + x * STREAM.uniform(()), h), t.sum, xs),
    "a write": lambda t, xs: bg.scan(lambda h, x: (h + x, t.sum.__iadd__(1.0)), np.zeros(2), xs),
    "a write into a view": lambda t, xs: bg.scan(lambda h, x: (h, t.sum[:1].fill(1.0)), np.zeros(2), xs),
    "a write into xs": lambda t, xs: bg.scan(lambda h, x: (h, xs.__setitem__(0, h)), np.zeros(2), xs),
}


@pytest.mark.parametrize("function", OUTSIDE.values(), ids=OUTSIDE.keys())
@pytest.mark.parametrize("run", [bg.compile, lambda f: lambda *xs: bg.vjp(f, *xs)], ids=["compile", "grad"])
def test_a_cell_changes_nothing_outside_of_it(function, run):
    """Its body is traced once: a draw or a write would happen once, not in every step."""
    with pytest.raises(bg.TraceError, match=r"(?s)cell of a scan.*carry"):
        run(function)(Total(), np.ones((3, 2)))


def test_a_cell_may_change_copies():
    def cell(h, x, start):
        u = start.copy()
        u[0] = x[0]
        u += h
        return u, u[::-1] * 2

    f = lambda start, xs: bg.scan(lambda h, x: cell(h, x, start), np.zeros(2), xs)
    start, xs = draw(2), draw(3, 2)
    near(bg.compile(f)(start, xs), f(start, xs))
    near(bg.vjp(f, start, xs)[0], f(start, xs))


@pytest.mark.parametrize("xs", [(np.ones(3), np.ones(4)), np.ones(()), None])
def test_lengths_must_agree(xs):
    with pytest.raises(bg.ShapeError, match="length"):
        bg.scan(lambda h, x: (h, h), 0.0, xs)

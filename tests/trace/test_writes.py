"""In-place writes and views: what NumPy does, under a derivative and under compile as well.

Each program runs on plain arrays, traced with values, and compiled. All three must agree in the result, in
what they leave in their arguments, and the gradients must be those of differences.
"""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import tree
from numeric import assert_near, direction, inner, richardson
from sampling import apart

ROWS = np.array([0, 2, 0])
MASK = np.array([True, False, True])


def set_element(x, v):
    x[1, 2] = v[0] * 2


def set_row(x, v):
    x[0] = v**2


def set_from_the_end(x, v):
    x[-1, ::-2] = v[:2]


def set_broadcast(x, v):
    x[:, 1:3] = v[0]
    x[...] = x * 1.5


def set_new_axis(x, v):
    x[0:1] = v[None, :]


def set_index_array(x, v):
    x[[2, 0]] = np.stack([v, v * 2])


def set_repeated(x, v):
    x[ROWS] = np.outer([1.0, 2.0, 3.0], v)


def set_pairs(x, v):
    x[[0, 1, 1], [3, 0, 0]] = v[:3]


def set_mask(x, v):
    x[MASK] = v


def set_mask_of_elements(x, v):
    x[np.eye(3, 4, dtype=bool)] = v[1:]


def add_row(x, v):
    x[1] += v


def add_slice(x, v):
    x[1:, :2] *= v[:2]


def add_mask(x, v):
    x[MASK] += v


def add_repeated(x, v):
    x[ROWS] += v  # of repeated rows the last write stays, as in NumPy


def add_everywhere(x, v):
    x += v
    x *= 2
    x -= 0.5 * x
    x /= 4
    x **= 2


def add_at(x, v):
    np.add.at(x, ROWS, v)
    np.subtract.at(x, (slice(None), [1, 1]), v[:1])


def view_of_row(x, v):
    row = x[1]
    row[:2] = v[:2]
    row *= 3


def view_of_view(x, v):
    inner = x[1:, ::2][:, 1]
    inner += v[:2]
    x[2, 2] *= 5


def view_before_write(x, v):
    row = x[0]
    x[0] = v * 2
    x[1] = row + 1  # row shows what was written


def view_of_transpose(x, v):
    x.T[0] = v[:3]
    x.T[1:3, :2] *= 2


def view_of_reshape(x, v):
    flat = x.reshape(-1)
    flat[::5] = v[0]
    flat.reshape(2, 6)[1] *= 2


def view_of_ravel(x, v):
    np.ravel(x)[3:7] = v


def view_of_flip(x, v):
    x[::-1][0] = v
    np.flip(x, 1)[0, 0] = 7.0


def view_of_diagonal_axes(x, v):
    np.moveaxis(x[None], 0, -1)[0, :, 0] = v
    x.swapaxes(0, 1)[2] = 1.0


def copy_of_transpose(x, v):
    flat = x.T.reshape(-1)  # NumPy must copy here
    flat[:] = v[0]
    x[0, 0] += flat[3]


def copy_of_columns(x, v):
    part = x[:, :2].reshape(-1)
    part *= 100
    x[0, 0] += part[1]


def copy_of_index_array(x, v):
    part = x[[0, 1]]
    part += v
    x[2] = part[0]


def copy_is_apart(x, v):
    before = x.copy()
    x[0] = v
    x[1] = before[0]


def alias_is_not(x, v):
    same = x
    same += v
    x[0] *= 2


def swap_rows(x, v):
    x[0], x[1] = x[1].copy(), x[0].copy()
    x[2] = v


def rows_written_while_read(x, v):
    x[1:] += x[:-1]


def loop_over_rows(x, v):
    for i, row in enumerate(x):
        row += i * v


def into_like(x, v):
    h = np.zeros_like(x)
    for i in range(3):
        h[i] = x[i] * v
        h[i, i] += 1
    x[...] = h


def into_out(x, v):
    np.multiply(x, v, out=x)
    np.exp(v, out=x[0])
    np.sum(x[:2], axis=0, out=x[2])


def into_out_where(x, v):
    np.add(x, v, out=x, where=x > 0)
    np.negative(x, out=x, where=MASK[:, None])


def fill_and_sort(x, v):
    x[0].fill(v[0])
    x[1:].sort(axis=1)


def product_in_place(x, v):
    x @= np.outer(v, v)


def both_arguments(x, v):
    x[0] = v
    v *= x[1]
    x[2] = v


def swap_arguments(x, v):
    x[0], v[:] = v.copy(), x[0].copy()


def by_steps(x, v):
    for _ in range(4):
        x[1:-1, 1:-1] += 0.1 * (x[2:, 1:-1] - 2 * x[1:-1, 1:-1] + x[:-2, 1:-1])
        x[:, 0] = v[:3]


PROGRAMS = [
    value
    for value in list(globals().values())
    if getattr(value, "__code__", None) and value.__module__ == __name__
]
programs = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)


def arguments():
    return [apart((3, 4), "x"), apart((4,), "v")]


def result(program):
    """The program as a function of its arguments: what it leaves in them, and something computed after."""

    def function(x, v):
        program(x, v)
        return np.sin(x) @ v, x * v

    return function


def same(got, wanted):
    for a, b in zip(tree.leaves(got), tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14, atol=1e-15)


@programs
def test_value(program):
    wanted_arguments = arguments()
    wanted = result(program)(*wanted_arguments)
    for run in (bg.compile(result(program)), lambda *xs: bg.vjp(result(program), *xs)[0]):
        for _ in range(2):
            given = arguments()
            same(run(*given), wanted)
            same(given, wanted_arguments)


@programs
def test_gradient(program):
    random = np.random.default_rng(5)
    weights = random.normal(size=3), random.normal(size=(3, 4))

    def total(x, v):
        a, b = result(program)(x.copy(), v.copy())
        return np.sum(a * weights[0]) + np.sum(b * weights[1])

    vs = direction(arguments(), random)
    wanted = richardson(total, arguments(), vs, 0.005)
    gradients = bg.grad(total, (0, 1))(*arguments())
    assert_near(inner(gradients, vs), wanted, "gradient")
    same(bg.compile(bg.grad(total, (0, 1)))(*arguments()), gradients)

    def without_copies(x, v):
        a, b = result(program)(x, v)
        return np.sum(a * weights[0]) + np.sum(b * weights[1])

    given, left = arguments(), arguments()
    program(*left)
    same(bg.grad(without_copies, (0, 1))(*given), gradients)
    same(given, left)
    pulled = bg.vjp(without_copies, *arguments())[1](1.0)  # the writes are done before the pullback runs
    same(pulled, gradients)
    same(bg.jvp(without_copies, arguments(), vs)[1], inner(gradients, vs))


@programs
def test_second_derivative(program):
    """The gradient along a direction, differentiated again."""
    vs, ws = (direction(arguments(), np.random.default_rng(seed)) for seed in (1, 2))

    def slope(x, v):
        d = bg.grad(lambda x, v: np.sum(np.cos(result(program)(x.copy(), v.copy())[0])), (0, 1))(x, v)
        return np.sum(d[0] * vs[0]) + np.sum(d[1] * vs[1])

    wanted = richardson(slope, arguments(), ws, 0.005)
    assert_near(inner(bg.grad(slope, (0, 1))(*arguments()), ws), wanted, "second derivative", 1e-8)


# ---- errors that NumPy raises too
def write_to_scalar(x):
    x[0, 0][0] = 1.0


@pytest.mark.parametrize(
    ("write", "error"),
    [
        (lambda x: x.__setitem__((0, slice(None)), np.ones(3)), ValueError),
        (lambda x: x.__setitem__(5, 1.0), IndexError),
        (lambda x: x.__setitem__([0, 7], 1.0), IndexError),
        (lambda x: x.__setitem__((0, 0, 0), 1.0), IndexError),
        (lambda x: x.__iadd__(np.ones((2, 3, 4))), ValueError),
        (write_to_scalar, TypeError),
    ],
    ids=["shape", "row", "index array", "too many", "grows", "scalar"],
)
@pytest.mark.parametrize("run", [bg.vjp, lambda f, x: bg.compile(f)(x)], ids=["vjp", "compile"])
def test_refused_as_numpy(write, error, run):
    with pytest.raises(error):
        write(arguments()[0])
    with pytest.raises(error):
        run(lambda x: (write(x), np.sum(x))[1], arguments()[0])


def test_integers_stay_integers():
    """An integer array written with floats keeps its dtype; += with a float is refused, as in NumPy."""

    def cut(n, x):
        n[0] = x[0]
        return n * 1

    x, n = np.array([2.7]), np.array([1, 2])
    np.testing.assert_array_equal(bg.compile(cut)(n.copy(), x), cut(n.copy(), x))
    with pytest.raises(TypeError, match=r"same_kind|within a kind"):
        bg.compile(lambda n: n.__iadd__(0.5))(n)


# ---- h += x, where h is a plain array: the name stands for the result
def sums(x):
    h = np.zeros(3)
    for i in range(3):
        h += x[i] * x
        h *= 0.5
    h[1:] -= x[1:]
    return h


def kept_by_a_closure(x):
    h = np.ones(3)
    h *= x
    square = lambda: h * h
    return square()


def narrow(x):
    h = np.zeros((2, 3), np.float32)
    h += x.astype(np.float32)
    return h


@pytest.mark.parametrize("function", [sums, kept_by_a_closure, narrow])
def test_augmented_assignment_to_a_plain_array(function):
    x = np.array([0.5, 1.5, 2.5])
    wanted = function(x)
    value, gradient = bg.value_and_grad(lambda x: np.sum(np.sin(function(x))))(x)
    np.testing.assert_allclose(value, np.sum(np.sin(wanted)), 1e-6)
    got = bg.compile(function)(x)
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)
    if wanted.dtype == float:
        v = np.array([0.3, -0.7, 0.4])
        slope = richardson(lambda x: np.sum(np.sin(function(x))), [x], [v])
        np.testing.assert_allclose(np.sum(gradient * v), slope, 1e-9)


def test_it_forgets_nothing_that_others_see():
    """What the name stood for before stays as it was, for those who copied it."""

    def function(x):
        h = np.ones(3)
        before = h.copy()
        h += x
        return np.sum(h * before) + np.sum(before)

    np.testing.assert_array_equal(bg.grad(function)(np.zeros(3)), np.ones(3))


# ---- arguments of another memory order, compiled
@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_a_reshaped_argument_is_a_view_where_numpy_has_one(engine):
    def f(x):
        v = x.reshape(-1)
        v[0] = 100.0
        return np.sum(x * x) + np.sum(v)

    compiled = bg.compile(f, engine=engine)
    x = np.arange(1.0, 7.0).reshape(2, 3)
    for given in (x, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2], x):
        ours, theirs = given.copy("K"), given.copy("K")
        assert compiled(ours) == f(theirs)
        np.testing.assert_array_equal(ours, theirs)

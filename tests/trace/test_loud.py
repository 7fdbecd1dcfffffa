"""What cannot be traced fails loudly: never an object array, an ignored write, or a silent zero gradient.

An error quotes the user's line, says why, and what to write instead.
"""

from __future__ import annotations

import cmath
import math
import re
from math import sin

import numpy as np
import pytest

import boxgrad as bg

A = np.arange(9.0).reshape(3, 3)
x = np.array([0.5, 1.5, 2.5])


class Tagged(np.ndarray):
    """An array type with rules of its own."""


def writes_element(x):
    h = np.zeros(3)
    h[0] = x[0]
    return np.sum(h)


def writes_slice(x):
    h = np.zeros(3)
    h[1:] = x[1:]
    return np.sum(h)


def adds_to_alias(x):
    h = np.zeros(3)
    other = h
    h += x
    return np.sum(other)


def adds_to_base(x):
    h = np.zeros(3)
    part = h[1:]
    h += x
    return np.sum(part)


def adds_to_view(x):
    h = np.zeros(6)[::2]
    h += x
    return np.sum(h)


def adds_to_part(x):
    h = np.zeros(3)
    h[1:] += x[1:]
    return np.sum(h)


def adds_to_attribute(x):
    class Sums:
        pass

    Sums.h = np.zeros(3)
    Sums.h += x
    return np.sum(Sums.h)


def adds_to_item(x):
    sums = {"h": np.zeros(3)}
    sums["h"] += x
    return np.sum(sums["h"])


def adds_to_argument(x, h=np.zeros(3)):  # noqa: B008  one array for all calls
    h += x
    return np.sum(h)


def adds_to_integers(x):
    h = np.zeros(3, int)
    h += x
    return np.sum(h)


def _outer_name():
    h = np.zeros(3)

    def adds(x):
        nonlocal h
        h += x
        return np.sum(h)

    return adds


adds_to_outer_name = _outer_name()


def adds_by_method(x):
    h = np.zeros(3)
    h = h.__iadd__(x)
    return np.sum(h)


def writes_out(x):
    return np.sum(np.exp(x, out=np.zeros(3)))


def sums_out(x):
    return np.sum(np.sum(x, out=np.zeros(())))


def copies_to(x):
    h = np.zeros(3)
    np.copyto(h, x)
    return np.sum(h)


def puts(x):
    h = np.zeros(3)
    np.put(h, [0], x[0])
    return np.sum(h)


def adds_at(x):
    h = np.zeros(3)
    np.add.at(h, [0, 0, 1], x)
    return np.sum(h)


SILENT = {
    "np.array": lambda x: np.sum(np.array(x)),
    "np.asarray": lambda x: np.sum(np.asarray(x)),
    "np.array of elements": lambda x: np.sum(np.array([x[0], x[1]])),
    "np.array of rows": lambda x: np.sum(np.array([x, x])),
    "np.full": lambda x: np.sum(np.full(3, x[0])),
    "np.ascontiguousarray": lambda x: np.sum(np.ascontiguousarray(x)),
    "np.r_": lambda x: np.sum(np.r_[x, x]),
    "np.c_": lambda x: np.sum(np.c_[x, x]),
    "np.fromiter": lambda x: np.sum(np.fromiter(x, float)),
    "np.float64": lambda x: np.float64(x[0]) ** 2,
    "np.vectorize": lambda x: np.sum(np.vectorize(lambda u: u * u)(x)),
    "np.frompyfunc": lambda x: np.sum(np.frompyfunc(lambda u: u * u, 1, 1)(x)),
    "as_strided": lambda x: np.sum(np.lib.stride_tricks.as_strided(x, (2,), (8,))),
    "list": lambda x: np.sum([x[0], x[1]]),
    "mean of a list": lambda x: np.mean([x[0], 2.0]),
    "ndarray.dot": lambda x: np.sum(A.dot(x)),
    "ndarray.fill": lambda x: (h := np.zeros(2), h.fill(x[0]), np.sum(h))[-1],
    "index of an ndarray": lambda x: np.sum(np.take(A, x)),
    "math.sin": lambda x: x[0] * math.sin(x[0]),
    "sin from math": lambda x: x[0] * sin(x[0]),
    "math.pow": lambda x: math.pow(x[0], 2),
    "math.sqrt": lambda x: math.sqrt(np.sum(x)),
    "cmath.exp": lambda x: abs(cmath.exp(x[0])),
    "map of math.sin": lambda x: sum(map(math.sin, x)),
    "float": lambda x: float(x[0]) ** 2,
    "item": lambda x: x[0].item() ** 2,
    "tolist": lambda x: sum(x.tolist()),
    "np.random.normal": lambda x: np.random.normal(x[0]),
    "a generator": lambda x: np.sum(np.random.default_rng(0).normal(x)),
    "a permutation": lambda x: np.sum(np.random.default_rng(0).permutation(x)),
    "a choice": lambda x: np.random.default_rng(0).choice(x),
    "np.unique": lambda x: np.sum(np.unique(x)),
    "np.linalg.eig": lambda x: np.sum(np.abs(np.linalg.eig(np.diag(x))[0])),
    "np.frexp": lambda x: np.sum(np.frexp(x)[0]),
    "a masked ufunc": lambda x: np.sum(np.equal.reduce(x)),
    "where without out": lambda x: np.sum(np.exp(x, where=x > 1)),
    "pad by reflection": lambda x: np.sum(np.pad(x, 1, mode="reflect")),
    "einsum of lists": lambda x: np.einsum(x, [0], []),
    "through argmax": lambda x: A[0][np.argmax(x)] * 1.0 + np.argmax(x) * 1.0,
    "through a comparison": lambda x: np.sum((x > 1).astype(float)),
    "through rounding to integers": lambda x: np.sum(x.astype(int)),
    "a subclass of ndarray": lambda x: np.sum(A[0].view(Tagged) * x),
    "a masked array": lambda x: np.sum(x * np.ma.array(A[0], mask=[0, 1, 0])),
    "norm of three axes": lambda x: np.linalg.norm(x[None, None] * 1, 2),
    "out of another shape": lambda x: np.sum(np.sum(x, out=np.zeros_like(x))),
    "an object array": lambda x: np.sum(x * np.array([1, "a", None], dtype=object)),
}

WRITES = (
    adds_to_alias, adds_to_base, adds_to_view, adds_to_part, adds_to_attribute, adds_to_item,
    adds_to_argument, adds_to_integers, adds_to_outer_name, adds_by_method, writes_element, writes_slice,
    writes_out, sums_out, copies_to, puts, adds_at,
)  # fmt: skip
SILENT |= {f"{number} {function.__name__}": function for number, function in enumerate(WRITES)}


@pytest.mark.parametrize("function", SILENT.values(), ids=SILENT.keys())
def test_loud_under_grad(function):
    with pytest.raises((TypeError, ValueError, IndexError)):
        bg.grad(function)(x)


TYPES_ONLY = ("through", "item", "tolist", "float")


@pytest.mark.parametrize(
    "function",
    [f for name, f in SILENT.items() if not name.startswith(TYPES_ONLY)],
    ids=[name for name in SILENT if not name.startswith(TYPES_ONLY)],
)
def test_loud_under_compile(function):
    with pytest.raises((TypeError, ValueError, IndexError)):
        bg.compile(function)(x)


def if_positive(x):
    if x[0] > 0:
        return x * 2
    return x


BRANCHES = {
    "if": if_positive,
    "if else": lambda x: x if np.sum(x) > 0 else -x,
    "while": lambda x: next(iter([x for _ in range(2) if x[0] < 3])),
    "and": lambda x: (x[0] > 0) and x,
    "not": lambda x: x * (not x[0]),
    "float": lambda x: x * float(x[0]),
    "int": lambda x: x * int(x[0]),
    "item": lambda x: x * x[0].item(),
    "tolist": lambda x: x * x.tolist()[0],
    "range": lambda x: sum(range(np.argmax(x))),
    "max of Python": lambda x: max(x[0], x[1]),
    "sorted": lambda x: sorted(x)[0],
    "in": lambda x: x * (1.0 in x),
    "format": lambda x: (f"{x[0]:.2f}", x)[1],
    "a mask": lambda x: x[x > 1],
    "a mask written": lambda x: x.__setitem__(x > 1, 0.0),
    "np.nonzero": lambda x: np.nonzero(x > 0),
    "np.where of one": lambda x: np.where(x > 1),
    "assert": lambda x: next(x for _ in [0] if bool(np.all(np.isfinite(x)))),
}


@pytest.mark.parametrize("function", BRANCHES.values(), ids=BRANCHES.keys())
def test_branches_are_refused_under_compile(function):
    with pytest.raises(bg.BranchError, match=r"test_loud\.py") as caught:
        bg.compile(function)(x)
    assert re.search(r"instead: .*(np\.where|bg\.scan)", str(caught.value))


@pytest.mark.parametrize("name", BRANCHES)
def test_branches_work_under_grad(name):
    """Where values are known, Python's control flow sees them."""
    wanted = BRANCHES[name](x.copy())

    def function(x):
        result = BRANCHES[name](x)
        return np.zeros(1) if result is None else result

    value, _ = bg.vjp(function, x.copy())
    for got, want in zip(bg.tree.leaves(value), bg.tree.leaves(wanted), strict=wanted is not None):
        np.testing.assert_array_equal(got, want)


# ---- what the messages say
def message_of(function, run=bg.grad):
    with pytest.raises(bg.BoxgradError) as caught:
        run(function)(x)
    return str(caught.value)


@pytest.mark.parametrize(
    ("function", "run", "parts"),
    [
        (if_positive, bg.compile, ["if x[0] > 0:", "in if_positive", "np.where(condition, a, b)"]),
        (adds_to_alias, bg.grad, ["h += x", "np.zeros_like(x)"]),
        (SILENT["np.array of elements"], bg.grad, ["np.stack([a, b])", "test_loud.py"]),
        (SILENT["math.sin"], bg.grad, ["math.sin", "np.sin", "where: "]),
        (SILENT["math.sin"], bg.compile, ["math.sin", "np.sin"]),
        (SILENT["np.unique"], bg.grad, ["np.unique", "jumps", "np.sort"]),
        (SILENT["np.linalg.eig"], bg.grad, ["np.linalg.eig", "np.linalg.eigh"]),
        (SILENT["through argmax"], bg.grad, ["argmax", "stop_gradient", "positions"]),
        (SILENT["float"], bg.grad, ["float()", "stop_gradient"]),
        (SILENT["where without out"], bg.grad, ["np.where(condition, result, other)"]),
        (SILENT["a generator"], bg.grad, ["normal()", "deviation * rng.normal(size=x.shape)"]),
        (SILENT["np.vectorize"], bg.grad, ["np.vectorize()", "np.where for its branches"]),
        (SILENT["np.full"], bg.compile, ["np.full() was to make a plain ndarray", "like=x"]),
        (lambda x: np.array_equal([x[0]], [x[1]]), bg.grad, ["np.array_equal()", "test_loud.py"]),
        (lambda x: x @ np.ones((4, 2)), bg.compile, ["(3,)", "(4, 2)", "test_loud.py"]),
        (lambda x: x + np.ones(4), bg.compile, ["f64[3]", "f64[4]"]),
        (lambda x: x.reshape(2, 2), bg.compile, ["3 elements", "(2, 2)"]),
        (lambda x: x[5], bg.compile, ["index 5", "size 3"]),
        (lambda x: x[0.5], bg.compile, ["index", "astype(int)"]),
        (lambda x: np.sum(x, axis=2), bg.compile, ["axis 2"]),
    ],
)
def test_messages(function, run, parts):
    text = message_of(function, run)
    for part in [*parts, "why: ", "instead: "]:
        assert part in text, text


def shifted(a, b):
    a += 1
    return np.sum(b)


@pytest.mark.parametrize("run", [bg.vjp, lambda f, *xs: bg.compile(f)(*xs)], ids=["vjp", "compile"])
def test_overlapping_arguments_are_noticed(run):
    z = np.zeros(4)
    with pytest.raises(bg.TraceError, match="shares memory"):
        run(shifted, z, z[1:])
    assert run(shifted, z[:2], z[2:]) is not None


@pytest.mark.parametrize("bad", [{1, 2}, bytearray(b"x")], ids=["set", "bytearray"])
def test_arguments_that_are_no_keys(bad):
    with pytest.raises(bg.TraceError, match="cannot be compared"):
        bg.compile(lambda x, bad: x * len(bad))(x, bad)


def test_a_leaked_box_is_noticed():
    """A value kept from one compiled call does not silently become part of another."""
    kept = []
    bg.compile(lambda x: (kept.append(x), x * 2)[1])(x)
    with pytest.raises((bg.GraphError, bg.TraceError)):
        bg.compile(lambda y: y + kept[0])(x)
    with pytest.raises((bg.GraphError, bg.TraceError)):
        bg.grad(lambda y: np.sum(y + kept[0]))(x)
    with pytest.raises(bg.TraceError):
        np.asarray(kept[0])


def test_a_carry_that_leaks_is_noticed():
    kept = []

    def cell(h, x):
        kept.append(h)
        return h + x, h

    with pytest.raises((bg.GraphError, bg.TraceError)):
        bg.compile(lambda xs: bg.scan(cell, 0.0, xs)[0] + kept[0])(x)


def test_an_error_leaves_no_trace_behind():
    """After an error in the function, tracing is off: later calls run on plain arrays."""
    with pytest.raises(ZeroDivisionError):
        bg.grad(lambda x: np.sum(x) * (1 // 0))(x)
    with pytest.raises(ZeroDivisionError):
        bg.compile(lambda x: x * (1 // 0))(x)
    np.testing.assert_array_equal(bg.scan(lambda c, u: (c + u, c), 0.0, x)[1], [0.0, 0.5, 2.0])
    assert bg.grad(lambda x: np.sum(x * x))(x)[0] == 1.0

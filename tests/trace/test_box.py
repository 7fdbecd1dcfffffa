"""The box itself: attributes, numbers, iteration, printing, what Python asks of an array."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import boxgrad as bg
from boxgrad.trace import Box

X = np.array([[1.5, -2.0, 0.0], [4.0, 5.0, 6.0]])
RUNS = {"grad": lambda f: bg.vjp(f, X.copy())[0], "compile": lambda f: bg.compile(f)(X.copy())}
runs = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS.keys())


@runs
@pytest.mark.parametrize("name", ["shape", "dtype", "ndim", "size", "itemsize", "nbytes"])
def test_attributes_are_those_of_the_array(run, name):
    seen = []
    run(lambda x: (seen.append(getattr(x, name)), x * 1)[1])
    assert seen == [getattr(X, name)]


@runs
def test_python_sees_an_array(run):
    seen = []

    def f(x):
        seen.append((len(x), bg.tree.is_array(x), isinstance(x, Box), [row.shape for row in x]))
        a, b = x
        return a + b

    np.testing.assert_array_equal(run(f), X[0] + X[1])
    assert seen == [(2, True, True, [(3,), (3,)])]


@runs
@pytest.mark.parametrize(
    "use", [len, iter, lambda s: s[0], lambda s: [*s]], ids=["len", "iter", "index", "unpack"]
)
def test_a_scalar_is_no_sequence(run, use):
    with pytest.raises((TypeError, IndexError)):
        run(lambda x: use(np.sum(x)))


def test_values_are_seen_under_grad():
    seen = {}

    def f(x):
        y = x[0, 0] * 2
        seen.update(
            float=float(y), int=int(y), bool=bool(y), complex=complex(y), item=y.item(), list=x.tolist(),
            text=f"{y:.1f}", compare=y > 2, contains=4.0 in x, truth=[bool(v) for v in x[0]],
            index=[10, 20, 30, 40][x.astype(int)[1, 0] - 1], nonzero=[i.tolist() for i in np.nonzero(x)],
            rounded=round(y, 1).item(), element=x.item(3),
        )  # fmt: skip
        return np.sum(x)

    bg.grad(f)(X)
    assert seen.pop("compare").node.value
    assert seen == {
        "float": 3.0, "int": 3, "bool": True, "complex": 3 + 0j, "item": 3.0, "list": X.tolist(),
        "text": "3.0", "contains": True, "truth": [True, True, False], "index": 40, "rounded": 3.0,
        "nonzero": [i.tolist() for i in np.nonzero(X)], "element": 4.0,
    }  # fmt: skip


def test_printing_shows_the_value_or_the_type():
    texts = []
    f = lambda x: (texts.append((repr(x), str(x), f"{x}")), np.sum(x))[1]
    bg.grad(f)(np.array([1.0, 2.0]))
    bg.compile(f)(np.array([1.0, 2.0]))
    assert texts == [("Box(array([1., 2.]))",) * 3, ("Box(f64[2])",) * 3]


@runs
def test_copies_are_apart(run):
    def f(x):
        others = [x.copy(), copy.copy(x), copy.deepcopy(x), np.copy(x), x.astype(float), x.flatten()]
        x[0] = 0.0
        return [np.sum(y) for y in others]

    np.testing.assert_array_equal(run(f), [X.sum()] * 6)


@runs
def test_a_view_has_a_base(run):
    bases = []
    run(lambda x: (bases.append((x[0].base is x, x.T.base is x)), x * 1)[1])
    assert bases == [(True, True)]


@runs
def test_boxes_are_not_keys(run):
    with pytest.raises(TypeError, match="unhashable"):
        run(lambda x: {x: 1})


class Foreign:
    """Another library's array type: it opts out of NumPy's operators, and so of ours."""

    __array_ufunc__ = None

    def __radd__(self, other):
        return "theirs"

    def __rmul__(self, other):
        return "theirs"


@runs
def test_other_libraries_have_the_first_word(run):
    seen = []
    run(lambda x: (seen.append((x + Foreign(), x * Foreign())), x * 1)[1])
    assert seen == [("theirs", "theirs")]


@runs
@pytest.mark.parametrize("bad", ["text", None, {1: 2}, pytest.param(object(), id="object")], ids=str)
def test_what_is_no_number_is_refused(run, bad):
    with pytest.raises(TypeError):
        run(lambda x: x + bad)


KEYS = [
    0, -1, (1, 2), (1, -1), slice(None), slice(1, None), slice(None, None, -1), (slice(None), 1), (..., 0),
    (0, ...), None, (None, 0), (slice(None), None, slice(0, 2)), [0, 1, 1], np.array([[0, 1], [1, 0]]),
    (np.array([0, 1]), np.array([2, 0])), ([0, 1], slice(1)), (slice(None), [2, 2, 0]),
    (..., [True, False, True]),
    np.array([True, False]), X > 0, (np.array([True, True]), 1), (slice(None), np.array([True, False, True])),
    (), ..., np.int64(1), (np.int32(-1), np.uint8(2)), [], slice(5, 9), np.array(1), (0, [1, 2]),
    ([[0]], slice(None), None), (None, [0, 1], None, 0), np.zeros(0, int), (0, slice(2, 0, -1)),
]  # fmt: skip


@runs
@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_indexing_is_numpys(run, key):
    got, wanted = run(lambda x: x[key]), X[key]
    assert np.shape(got) == np.shape(wanted)
    assert isinstance(got, np.ndarray) == isinstance(wanted, np.ndarray)
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_indexing_has_its_gradient(key):
    weights = np.random.default_rng(0).normal(size=np.shape(X[key]))
    wanted = np.zeros_like(X)
    np.add.at(wanted, key, weights)
    f = lambda x: np.sum(x[key] * weights)
    for gradient in (bg.grad(f)(X), bg.compile(bg.grad(f))(X)):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-15)


@pytest.mark.parametrize(
    "key", [2, (0, 3), (0, 0, 0), 1.5, [3], "a", (..., ...), np.array([True]), (slice(None), -4)], ids=repr
)
@runs
def test_wrong_indices_are_refused(run, key):
    with pytest.raises((IndexError, TypeError, ValueError)):
        X[key]
    with pytest.raises((IndexError, TypeError, ValueError)):
        run(lambda x: x[key])


def test_traced_indices():
    """Integers that are traced are indices like any others."""
    table, i = np.arange(12.0).reshape(4, 3), np.array([3, 0, 3])

    def f(table, i):
        return table[i] * table[i[0]] + np.take(table, i, axis=0)[:, ::-1] + table[1 : i[1] + 2].sum()

    def g(table, i):
        return table[i] * table[i[0]] + np.take(table, i, axis=0)[:, ::-1]

    np.testing.assert_array_equal(bg.vjp(lambda t: f(t, i), table)[0], f(table, i))
    np.testing.assert_array_equal(bg.compile(g)(table, i), g(table, i))
    with pytest.raises(IndexError):
        bg.compile(g)(table, np.array([0, 4, 1]))
    with pytest.raises(bg.BranchError):
        bg.compile(f)(table, i)

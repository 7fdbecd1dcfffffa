"""What is differentiated with respect to what: arguments, containers, modules, auxiliary results, errors."""

from __future__ import annotations

import re
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn, tree

x, y = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])


def f(x, y):
    return np.sum(x**2 * y)


DX, DY = 2 * x * y, x**2


def equal(got, wanted):
    for a, b in zip(tree.leaves(got), tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


# ---- which arguments
@pytest.mark.parametrize(
    ("argnums", "wanted"),
    [
        (0, DX),
        (1, DY),
        (-1, DY),
        (-2, DX),
        ((0, 1), (DX, DY)),
        ((1, 0), (DY, DX)),
        ((-1,), (DY,)),
        ([0], (DX,)),
    ],
)
def test_argnums(argnums, wanted):
    got = bg.grad(f, argnums)(x, y)
    assert isinstance(got, tuple) == isinstance(wanted, tuple)
    equal(got, wanted)
    equal(bg.value_and_grad(f, argnums=argnums)(x, y)[1], wanted)


@pytest.mark.parametrize("argnums", [2, -3, (0, 5)])
def test_argnums_out_of_range(argnums):
    with pytest.raises(bg.DerivativeError, match=r"argnums.*2 arguments"):
        bg.grad(f, argnums)(x, y)


def test_the_same_array_twice_has_two_derivatives():
    equal(bg.grad(f, (0, 1))(x, x), (2 * x * x, x * x))
    equal(bg.vjp(f, x, x)[1](1.0), (2 * x * x, x * x))
    equal(bg.jvp(f, (x, x), (np.ones(3), np.zeros(3)))[1], np.sum(2 * x * x))
    equal(bg.compile(bg.grad(f, (0, 1)))(x, x), (2 * x * x, x * x))
    equal(bg.grad(lambda x: f(x, x))(x), 3 * x * x)


def test_keywords_and_defaults():
    def g(x, *rest, scale=2.0, mode="sum", flag=True):
        value = scale * sum(np.sum(x * r) for r in rest)
        return value if mode == "sum" and flag else np.sin(value)

    equal(bg.grad(g)(x, y), 2 * y)
    equal(bg.grad(g)(x, y, y, scale=3.0), 6 * y)
    equal(bg.grad(g, 1)(x, y, scale=np.float64(3)), 3 * x)
    equal(bg.compile(bg.grad(g))(x, y, scale=3.0), 3 * y)
    assert bg.grad(g)(x, y, mode="sin")[0] == pytest.approx(np.cos(2 * np.sum(x * y)) * 2 * y[0])


def test_names_and_documentation_are_kept():
    assert bg.grad(f).__name__ == "f"
    assert bg.compile(f).__name__ == "f"
    assert bg.value_and_grad(f).__wrapped__ is f


def test_auxiliary_results():
    def g(x):
        parts = {"squares": x**2, "text": "unchanged", "count": 3, "flag": None}
        return np.sum(parts["squares"]), parts

    gradient, aux = bg.grad(g, has_aux=True)(x)
    (value, same), again = bg.value_and_grad(g, has_aux=True)(x)
    equal([gradient, again], [2 * x, 2 * x])
    assert value == 14.0
    for found in (aux, same):
        np.testing.assert_array_equal(found["squares"], x**2)
        assert type(found["squares"]) is np.ndarray
        assert (found["text"], found["count"], found["flag"]) == ("unchanged", 3, None)


# ---- structures
Pair = namedtuple("Pair", "a b")


@dataclass
class Settings:
    weight: np.ndarray
    rates: list
    name: str = "settings"
    steps: int = 3
    inner: dict = field(default_factory=dict)


def structures():
    return {
        "tuple": (x, y),
        "list": [x, [y]],
        "dict": {"b": x, "a": {"c": y}},
        "ordered": OrderedDict(z=x, a=y),
        "named tuple": Pair(x, y),
        "dataclass": Settings(x, [y, 2.0], inner={"k": np.ones(2)}),
        "mixed": ({"layers": [Pair(x, 1.5)]}, y, ()),
    }


@pytest.mark.parametrize("name", structures())
def test_gradients_have_the_structure_of_the_argument(name):
    given = structures()[name]
    g = lambda given: sum(np.sum(leaf**2) for leaf in tree.leaves(given) if not isinstance(leaf, (int, str)))
    value, gradient = bg.value_and_grad(g)(given)
    assert type(gradient) is type(given)
    assert tree.flatten(gradient)[1] == tree.flatten(given)[1]
    equal(gradient, tree.map(lambda leaf: 2 * leaf, given))
    assert value == g(given)
    compiled = bg.compile(bg.grad(g))(given)
    assert tree.flatten(compiled)[1] == tree.flatten(given)[1]
    equal(compiled, gradient)
    direction = tree.map(np.ones_like, given)
    assert bg.jvp(g, (given,), (direction,))[1] == pytest.approx(sum(map(np.sum, tree.leaves(gradient))))


def test_integers_and_texts_have_no_gradient():
    given = {"x": x, "n": np.array([1, 2]), "k": 3, "name": "text", "mask": np.array(True), "s": 0.5}
    gradient = bg.grad(lambda d: np.sum(d["x"] * d["s"]) * d["k"] + np.sum(d["n"]) * d["mask"])(given)
    equal([gradient["x"], gradient["s"]], [np.full(3, 1.5), 3 * x.sum()])
    assert [gradient[name] for name in ("n", "k", "name", "mask")] == [None] * 4


def test_an_unused_argument_has_a_gradient_of_zeros():
    gradients = bg.grad(lambda x, y, s: np.sum(x), (0, 1, 2))(x, y.astype(np.float32), 2.0)
    equal(gradients, (np.ones(3), np.zeros(3), 0.0))
    assert gradients[1].dtype == np.float32
    equal(bg.grad(lambda x: 3.0)(x), np.zeros(3))


def test_modules():
    model = nn.Sequential(nn.Linear(3, 2, seed=0), nn.Tanh(), nn.Linear(2, 1, seed=1))
    data = np.ones((4, 3), np.float32)
    value, gradient = bg.value_and_grad(lambda m: np.mean(m(data) ** 2))(model)
    assert type(gradient) is type(model)
    pairs = list(zip(tree.named_leaves(model), tree.named_leaves(gradient), strict=True))
    assert [name for (name, _), _ in pairs] == [name for _, (name, _) in pairs]
    assert all(a.shape == b.shape and b.dtype == np.float32 for (_, a), (_, b) in pairs)
    assert value == pytest.approx(np.mean(model(data) ** 2), rel=1e-6)


def test_tied_arrays_inside_an_argument_share_the_whole_gradient():
    w = np.array([2.0, 3.0])
    given = {"encoder": w, "decoder": [w]}
    gradient = bg.grad(lambda d: np.sum(d["encoder"] ** 2 * d["decoder"][0]))(given)
    equal([gradient["encoder"], gradient["decoder"][0]], [3 * w**2] * 2)


def test_scalars_of_all_kinds():
    for s in (2.0, np.float64(2), np.array(2.0), np.float32(2), np.array(2.0, np.float32)):
        value, gradient = bg.value_and_grad(lambda s: s**3)(s)
        assert (value, gradient) == (8.0, 12.0)
        assert isinstance(gradient, np.ndarray) == isinstance(s, np.ndarray)
        assert gradient.dtype == np.asarray(s).dtype


# ---- errors
ERRORS = {
    "a vector": (lambda x: x * 2, (x,), r"f64\[3\].*\n(.*\n)*.*jacobian"),
    "a tuple": (lambda x: (np.sum(x), x), (x,), r"has_aux"),
    "None": (lambda x: None, (x,), r"NoneType"),
    "a text": (lambda x: "text", (x,), r"str"),
    "an integer": (lambda x: np.sum(x.astype(int)), (x,), r"i64"),
    "a truth value": (lambda x: np.all(x > 0), (x,), r"bool"),
    "a complex value": (lambda x: np.sum(x) * 1j, (x,), r"c128"),
    "an integer argument": (lambda x: x * 2.0, (3,), r"3\.0 for 3"),
    "an array of integers": (lambda x: np.sum(x * 2.0), (np.arange(3),), r"astype\(float\)"),
    "a text as argument": (lambda x: 2.0, ("text",), r"str"),
    "an empty container": (lambda x: 2.0, ([],), r"nothing"),
    "argmax only": (lambda x: np.argmax(x) * 1.0, (x,), r"argmax"),
    "a comparison only": (lambda x: np.mean(x > 1), (x,), r"greater"),
    "a choice of constants": (lambda x: np.sum(np.where(x > 1, 2.0, 1.0)), (x,), r"greater"),
    "an index only": (
        lambda x: y[x.astype(int)[0] - 1] * 1.0 + np.sum(x.astype(int)) * 0.5,
        (x,),
        r"integers",
    ),
}


@pytest.mark.parametrize(("function", "args", "pattern"), ERRORS.values(), ids=ERRORS.keys())
def test_errors(function, args, pattern):
    with pytest.raises(bg.DerivativeError) as caught:
        bg.grad(function)(*args)
    text = str(caught.value)
    assert re.search(pattern, text), text
    assert "why: " in text
    assert "instead: " in text


def test_auxiliary_results_must_be_a_pair():
    with pytest.raises(bg.DerivativeError, match="return value, others"):
        bg.grad(np.sum, has_aux=True)(x)


def test_zero_is_given_where_it_is_meant():
    """stop_gradient, steps and piecewise constants have a gradient of 0, not an error."""
    for g in (bg.stop_gradient, np.sign, np.floor, lambda x: x * 0, lambda x: x // 1):
        equal(bg.grad(lambda x, g=g: np.sum(g(x)))(x), np.zeros(3))


def test_a_step_beside_a_slope_is_no_error():
    equal(bg.grad(lambda x: np.sum(x) + np.argmax(x) * 2.0 + np.sum(x > 1))(x), np.ones(3))


@pytest.mark.parametrize(
    ("call", "pattern"),
    [
        (lambda: bg.vjp(lambda x: x, x)[1](np.ones(2)), r"shape \(2,\).*f64\[3\]"),
        (lambda: bg.vjp(lambda x: (x, x), x)[1](np.ones(3)), "structure"),
        (lambda: bg.jvp(np.sum, (x,), (np.ones(2),)), r"tangent of shape \(2,\)"),
        (lambda: bg.jvp(f, (x, y), (x,)), None),
        (lambda: bg.hvp(np.sum, x, np.ones(2)), None),
    ],
)
def test_shapes_that_do_not_fit(call, pattern):
    with pytest.raises(ValueError, match=pattern):
        call()

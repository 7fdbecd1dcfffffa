"""Claims in all their forms: what is read from them, and what is said of those that cannot be compared."""

from __future__ import annotations

import types

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn
from boxgrad.check.claim import ClaimProblem, claim_of
from boxgrad.check.subject import Subject

_random = np.random.default_rng(2)
X, W, b = _random.normal(size=(5, 3)), _random.normal(size=(3, 2)), _random.normal(size=2)


def loss(X, W, b):
    N = X @ W + b
    S = np.tanh(N)
    L = np.sum(S**2)
    return L


def truth(X, W, b):
    S = np.tanh(X @ W + b)
    dN = 2 * S * (1 - S * S)
    return dN @ W.T, X.T @ dN, dN.sum(0)


ARGS = (X, W, b)


def claimed(mine, f=loss, args=ARGS, wrt=None, lang="en"):
    return claim_of(mine, f, args, wrt, Subject(f, args, wrt), lang)


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        np.testing.assert_allclose(array, wanted[name], rtol=1e-12, atol=1e-12)


TRUE = dict(zip("XWb", truth(*ARGS), strict=True))


def forward(X, W, b):
    S = np.tanh(X @ W + b)
    return np.sum(S**2), (X, W, S)


def backward(saved):
    X, W, S = saved
    dN = 2 * S * (1 - S * S)
    return {"X": dN @ W.T, "W": X.T @ dN, "b": dN.sum(0)}


@pytest.mark.parametrize(
    "mine",
    [
        truth,
        lambda *args: list(truth(*args)),
        lambda *args: dict(zip("XWb", truth(*args), strict=True)),
        lambda *args: (loss(*args), truth(*args)),
        {name: lambda *args, i=i: truth(*args)[i] for i, name in enumerate("XWb")},
        {"X": TRUE["X"], "W": TRUE["W"].tolist(), "b": lambda *args: truth(*args)[2]},
        dict(TRUE),
        tuple(TRUE.values()),
        backward,
        types.SimpleNamespace(forward=forward, backward=backward),
    ],
)
def test_every_form_gives_the_gradients(mine):
    same(claimed(mine).gradients(ARGS), TRUE)


def test_nothing_is_claimed_where_none_stands():
    claim = claimed(lambda *args: (None, truth(*args)[1], None))
    assert claim.arguments == ("W",)
    same(claim.gradients(ARGS), {"W": TRUE["W"]})


@pytest.mark.parametrize(
    "mine", [lambda *args: truth(*args)[1], TRUE["W"], TRUE["W"].tolist(), {"W": TRUE["W"]}]
)
def test_one_argument_chosen(mine):
    same(claimed(mine, wrt="W").gradients(ARGS), {"W": TRUE["W"]})


def test_arrays_are_known_at_one_point_only():
    assert claimed(dict(TRUE)).fixed
    assert not claimed(truth).fixed
    assert claimed({"X": TRUE["X"], "W": lambda *args: truth(*args)[1]}).fixed


def test_the_callers_arrays_are_not_touched():
    def careless(X, W, b):
        found = truth(X, W, b)
        X[...] = 0
        W += 1
        return found

    before = X.copy(), W.copy()
    claim = claimed(careless)
    same(claim.gradients(ARGS), TRUE)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(W, before[1])


def test_integers_and_numbers_are_gradients():
    claim = claimed(lambda x: 6, lambda x: x**2, (3.0,))
    same(claim.gradients((3.0,)), {"x": np.float64(6)})


# ---- modules
def model_loss(model, x, y):
    return nn.mse(model(x), y)


MODEL = bg.tree.map(
    lambda a: a.astype(np.float64), nn.Sequential(nn.Linear(3, 4, seed=0), nn.Tanh(), nn.Linear(4, 2, seed=1))
)
DATA = _random.normal(size=(5, 3)), _random.normal(size=(5, 2))
GRADIENT = bg.grad(model_loss)(MODEL, *DATA)
NAMED = dict(bg.tree.named_leaves(GRADIENT))


def by_hand(model, x, y):
    """The last layer only, as one writes it while going backwards."""
    hidden = np.tanh(x @ model[0].weight.T + model[0].bias)
    p = hidden @ model[2].weight.T + model[2].bias
    dp = 2 * (p - y) / p.size
    return {"2.weight": dp.T @ hidden, "2.bias": dp.sum(0)}


@pytest.mark.parametrize(
    "mine",
    [
        by_hand,
        {"2.weight": NAMED["2.weight"], "2.bias": NAMED["2.bias"]},
        {"weight_2": NAMED["2.weight"], "bias_2": NAMED["2.bias"]},
        {"model.2.weight": NAMED["2.weight"], "2.bias": lambda *args: by_hand(*args)["2.bias"]},
        {"model": {"2.weight": NAMED["2.weight"], "2.bias": NAMED["2.bias"]}},
        lambda *args: (by_hand(*args), None, None),
    ],
)
def test_a_module_layer_by_layer(mine):
    claim = claimed(mine, model_loss, (MODEL, *DATA))
    wanted = {"weight_2": NAMED["2.weight"], "bias_2": NAMED["2.bias"]}
    same(claim.gradients((MODEL, *DATA)), wanted)


@pytest.mark.parametrize("mine", [bg.grad(model_loss), GRADIENT, {"model": GRADIENT}])
def test_a_module_as_a_gradient(mine):
    claim = claimed(mine, model_loss, (MODEL, *DATA), wrt="model")
    assert sorted(claim.arguments) == ["bias_0", "bias_2", "weight_0", "weight_2"]
    found = claim.gradients((MODEL, *DATA))
    np.testing.assert_allclose(found["weight_0"], NAMED["0.weight"])


def test_nested_containers():
    def f(params, x):
        return np.sum((x @ params["a"][0] + params["a"][1]) ** 2) * params["s"]

    args = ({"a": [W, b], "s": 2.0}, X)
    claim = claimed(bg.grad(f), f, args, wrt="params")
    assert len(claim.arguments) == 3
    same({"s": claim.gradients(args)["s"]}, {"s": np.sum((X @ W + b) ** 2)})
    partial = claimed(lambda params, x: {"s": np.sum((x @ params["a"][0] + params["a"][1]) ** 2)}, f, args)
    assert partial.arguments == ("s",)


# ---- what cannot be compared
def crashes(X, W, b):
    return X @ W @ X


@pytest.mark.parametrize(
    ("mine", "kind", "words", "zh"),
    [
        (crashes, "raises", ["crashes raised ValueError", "test_claim.py:", "return X @ W @ X"], "抛出了"),
        (lambda X, W: X, "raises", ["cannot be called", "X, W, b"], "不能像原函数那样"),
        (lambda *args: None, "returns nothing", ["returns None", "X, W, b"], "返回了 None"),
        (lambda *args: (None, None, None), "returns nothing", ["no gradient"], "没有给出任何梯度"),
        (lambda *args: {}, "returns nothing", ["no gradient"], "没有给出任何梯度"),
        (lambda *args: truth(*args)[:2], "wrong number of results", ["2 results for 3"], "2 个结果"),
        (lambda *args: truth(*args)[1], "wrong number of results", ["1 results for 3"], "1 个结果"),
        ({"w": TRUE["W"], "Q": 1.0}, "wrong number of results", ["speaks of w", "W?"], "W？"),
        (lambda *args: {"W": object()}, "returns nothing", ["W holds object"], "不是实数"),
        (lambda *args: {"W": ["a", "b"]}, "returns nothing", ["not real numbers"], "不是实数"),
        (lambda *args: {"W": 1j * truth(*args)[1]}, "returns nothing", ["complex128"], "complex128"),
        (lambda *args: {"W": [[1.0, 2.0], [3.0]]}, "impossible shape", ["different lengths"], "长度不同"),
        (TRUE["W"], "wrong number of results", ["one array", "wrt='X'"], "只给了一个数组"),
        (np, "returns nothing", ["a module is not a gradient"], "不是梯度"),
        (None, "returns nothing", ["NoneType is not a gradient"], "不是梯度"),
    ],
)
def test_problems_have_a_kind_and_a_text(mine, kind, words, zh):
    with pytest.raises(ClaimProblem) as english:
        claimed(mine)
    assert english.value.kind == kind
    for part in words:
        assert part in english.value.text
    with pytest.raises(ClaimProblem) as chinese:
        claimed(mine, lang="zh")
    assert zh in chinese.value.text


def test_an_argument_that_is_not_asked_for():
    with pytest.raises(ClaimProblem, match="wrt asks for W only"):
        claimed({"X": TRUE["X"]}, wrt="W")


def test_a_problem_at_another_point_is_a_problem_too():
    calls = []

    def moody(X, W, b):
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("not   again\nplease")
        return truth(X, W, b)

    claim = claimed(moody)
    with pytest.raises(ClaimProblem, match="moody raised RuntimeError: not again please"):
        claim.gradients(ARGS)


def test_a_layer_that_is_not_there():
    with pytest.raises(ClaimProblem, match=r"instead: (0|2)\.weight"):
        claimed({"1.weight": NAMED["2.weight"]}, model_loss, (MODEL, *DATA))
    with pytest.raises(ClaimProblem, match="the gradient of model is a tuple"):
        claimed(lambda m, x, y: ((1.0, 2.0), None, None), model_loss, (MODEL, *DATA))


@pytest.mark.parametrize("wrt", [("b", "W"), ["b", "X", "W"], (2, 1), (2, 0, 1)])
def test_a_tuple_has_the_order_of_wrt(wrt):
    by_name = dict(zip("XWb", truth(*ARGS), strict=True))
    names = ["XWb"[one] if isinstance(one, int) else one for one in wrt]
    found = claimed(lambda X, W, b: tuple(by_name[name] for name in names), wrt=wrt)
    same(found.gradients(ARGS), {name: by_name[name] for name in names})

"""Derivatives of derivatives, inside and around compile, and against each other."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import tree
from numeric import assert_near, direction, inner
from samples import SAMPLES

random = np.random.default_rng(0)
A = random.normal(size=(4, 4))
x, v, w = random.normal(size=(3, 4))


def scalar(x):
    return np.sum(np.sin(A @ x) * x) + np.prod(x) + np.exp(0.1 * x[0] * x[1])


def vector(x):
    return np.tanh(A @ x) * x[::-1] + x[0] * x[1:].sum()


# ---- any order
@pytest.mark.parametrize("wrap", [lambda f: f, bg.compile], ids=["eager", "compiled"])
def test_every_order_of_a_polynomial(wrap):
    f = lambda x: x**6 - 2 * x**3 + x
    values = [
        1.5**6 - 2 * 1.5**3 + 1.5,
        6 * 1.5**5 - 6 * 1.5**2 + 1,
        30 * 1.5**4 - 12 * 1.5,
        120 * 1.5**3 - 12,
    ]
    values += [360 * 1.5**2, 720 * 1.5, 720.0, 0.0]
    for wanted in values:
        assert wrap(f)(1.5) == pytest.approx(wanted, rel=1e-13)
        f = bg.grad(f)


@pytest.mark.parametrize(
    ("f", "at", "values"),
    [
        (np.exp, 0.5, [np.exp(0.5)] * 5),
        (lambda x: 1 / x, 2.0, [0.5, -0.25, 0.25, -0.375, 0.75]),
        (np.log, 2.0, [np.log(2), 0.5, -0.25, 0.25, -0.375]),
        (np.tanh, 0.0, [0, 1, 0, -2, 0, 16]),
        (np.sqrt, 4.0, [2, 0.25, -1 / 32, 3 / 256]),
        (np.arctan, 0.0, [0, 1, 0, -2, 0, 24]),
        (bg.erf, 0.0, [0, 2 / np.pi**0.5, 0, -4 / np.pi**0.5, 0, 24 / np.pi**0.5]),
        (np.sinc, 0.0, [1, 0, -(np.pi**2) / 3, 0, np.pi**4 / 5]),
        (lambda x: np.sum(np.ones(3) * x) ** 2, 1.0, [9, 18, 18, 0]),
    ],
)
def test_taylor_coefficients(f, at, values):
    for wanted in values:
        assert f(at) == pytest.approx(wanted, rel=1e-8, abs=1e-9)
        f = bg.grad(f)


# ---- perturbation confusion: an inner derivative must not see the outer one's variation
CONFUSION = [
    (lambda x: x * bg.grad(lambda y: x + y)(1.0), 3.0, 1.0),
    (lambda x: x * bg.grad(lambda y: x * y)(2.0), 3.0, 6.0),
    (lambda x: bg.grad(lambda y: y * bg.grad(lambda z: x * y * z)(5.0))(x), 3.0, 4 * 3.0),
    (lambda x: bg.grad(lambda y: x * y**2)(x), 3.0, 4 * 3.0),
    (lambda x: bg.grad(lambda x: x**2)(x) * x, 3.0, 4 * 3.0),
    (lambda x: bg.jvp(lambda y: x * y, (2.0,), (x,))[1], 3.0, 2 * 3.0),
    (lambda x: bg.vjp(lambda y: x * y**2, x)[1](x)[0], 3.0, 2 * 3 * 9.0),
    (lambda x: bg.value_and_grad(lambda y: y**3 * x)(2.0)[0], 3.0, 8.0),
    (lambda x: bg.hessian(lambda y: x * y**3)(2.0), 3.0, 12.0),
    (lambda x: bg.grad(lambda y: bg.stop_gradient(x) * y * x)(1.0), 3.0, 3.0),
]


@pytest.mark.parametrize(("f", "at", "wanted"), CONFUSION)
@pytest.mark.parametrize("wrap", [lambda f: f, bg.compile], ids=["eager", "compiled"])
def test_no_perturbation_confusion(f, at, wanted, wrap):
    assert wrap(bg.grad(f))(at) == pytest.approx(wanted, rel=1e-14)


def test_closing_over_an_outer_array():
    def outer(x):
        inner_gradient = bg.grad(lambda y: np.sum(x * y**2))(x + 1)
        return np.sum(inner_gradient * x)

    np.testing.assert_allclose(bg.grad(outer)(x), 2 * (3 * x**2 + 2 * x), rtol=1e-13)


# ---- compile and derivatives inside each other
def test_grad_inside_compile_inside_grad():
    step = bg.compile(lambda x: x - 0.1 * bg.grad(scalar)(x))
    plain = lambda x: x - 0.1 * bg.grad(scalar)(x)
    np.testing.assert_allclose(step(x), plain(x), rtol=1e-14)
    through = lambda f: bg.grad(lambda x: scalar(f(f(x))))(x)
    np.testing.assert_allclose(through(step), through(plain), rtol=1e-13)
    np.testing.assert_allclose(bg.compile(lambda x: through(step))(x), through(plain), rtol=1e-13)


def test_a_compiled_function_is_traced_once_for_each_type():
    traces = []

    @bg.compile
    def g(x, n=2):
        traces.append(x.shape)
        return x**n

    for z in (x, x + 1, x[:2], x[:2] * 2, x.astype(np.float32)):
        np.testing.assert_array_equal(g(z), z**2)
    assert len(traces) == 3
    g(x, n=3)
    assert len(traces) == 4


@pytest.mark.parametrize("wrap", [lambda f: f, bg.compile], ids=["eager", "compiled"])
@pytest.mark.parametrize(
    "derivative",
    [
        bg.grad(scalar), bg.hessian(scalar), bg.jacobian(vector), lambda x: bg.hvp(scalar, x, v),
        lambda x: bg.jvp(vector, (x,), (v,))[1], lambda x: bg.vjp(vector, x)[1](w)[0],
        bg.jacobian(bg.hessian(scalar)), lambda x: bg.jvp(bg.grad(scalar), (x,), (v,))[1],
        bg.grad(lambda x: bg.jvp(scalar, (x,), (v,))[1]),
        lambda x: bg.jvp(lambda x: bg.jvp(vector, (x,), (v,))[1], (x,), (w,))[1],
        lambda x: bg.vjp(lambda x: bg.vjp(vector, x)[1](w)[0], x)[1](v)[0],
    ],
)  # fmt: skip
def test_derivatives_compile(derivative, wrap):
    """Each derivative, compiled, equals itself; and equals differences of the one below it."""
    np.testing.assert_allclose(wrap(derivative)(x), derivative(x), rtol=1e-12, atol=1e-13)


# ---- the derivatives against each other
def test_second_derivatives_agree():
    H = bg.hessian(scalar)(x)
    np.testing.assert_allclose(H, H.T, rtol=1e-12, atol=1e-13)
    columns = {
        "hvp": bg.hvp(scalar, x, v),
        "forward over reverse": bg.jvp(bg.grad(scalar), (x,), (v,))[1],
        "reverse over forward": bg.grad(lambda x: bg.jvp(scalar, (x,), (v,))[1])(x),
        "jacobian of gradient": bg.jacobian(bg.grad(scalar))(x) @ v,
        "pullback of gradient": bg.vjp(bg.grad(scalar), x)[1](v)[0],
    }
    for name, found in columns.items():
        np.testing.assert_allclose(found, H @ v, rtol=1e-12, atol=1e-13, err_msg=name)


def test_rows_and_columns_of_the_jacobian():
    J = bg.jacobian(vector)(x)
    for i, e in enumerate(np.eye(4)):
        np.testing.assert_allclose(bg.vjp(vector, x)[1](e)[0], J[i], rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(bg.jvp(vector, (x,), (e,))[1], J[:, i], rtol=1e-13, atol=1e-14)


DOT = [sample for sample in SAMPLES if sample.order]


@pytest.mark.parametrize("sample", DOT[::3], ids=[sample.name for sample in DOT[::3]])
def test_forward_and_reverse_are_adjoint(sample):
    """⟨J v, g⟩ = ⟨v, Jᵀ g⟩ for every primitive: the dot-product test."""
    vs = [
        np.zeros(np.shape(x)) if d is None else d
        for x, d in zip(sample.inputs, direction(sample.inputs, random), strict=True)
    ]
    y, change = bg.jvp(sample.call, sample.inputs, vs)
    g = random.normal(size=np.shape(y))
    pulled = bg.vjp(sample.call, *sample.inputs)[1](g)
    assert_near(inner([change], [g]), inner(pulled, vs), "adjoint", 1e-12)


def test_the_pullback_can_be_used_again():
    z = x.copy()
    y, pullback = bg.vjp(lambda x: np.exp(vector(x)), z)
    J = bg.jacobian(lambda x: np.exp(vector(x)))(x)
    for g in np.eye(4):
        np.testing.assert_allclose(pullback(g)[0], g @ J, rtol=1e-13, atol=1e-14)
    y += 100  # the caller's own, as is the argument
    z += 100
    np.testing.assert_allclose(pullback(v)[0], v @ J, rtol=1e-13, atol=1e-14)


# ---- shapes of jacobians and hessians
@pytest.mark.parametrize("m", [(), (2,), (2, 3), (0,)])
@pytest.mark.parametrize("n", [(), (4,), (1, 2), (0,)])
def test_shapes_of_jacobians(m, n):
    B = np.random.default_rng(1).normal(size=(*m, *n))
    f = lambda x: np.tensordot(B, x, axes=len(n)) ** 2 if n else (B * x) ** 2
    at = np.ones(n)
    J = bg.jacobian(f)(at)
    assert J.shape == (*m, *n)
    y = np.tensordot(B, at, axes=len(n)) if n else B * at
    np.testing.assert_allclose(J, 2 * np.reshape(y, (*m, *(1,) * len(n))) * B, rtol=1e-12)


def test_jacobians_of_containers():
    f = lambda p: {"a": p[0] * p[1]["k"], "b": (p[0] ** 2, np.sum(p[1]["k"]))}
    p = (np.array([1.0, 2.0]), {"k": np.array([3.0, 4.0])})
    J = bg.jacobian(f)(p)
    np.testing.assert_array_equal(J["a"][0], np.diag(p[1]["k"]))
    np.testing.assert_array_equal(J["a"][1]["k"], np.diag(p[0]))
    np.testing.assert_array_equal(J["b"][0][0], np.diag(2 * p[0]))
    np.testing.assert_array_equal(J["b"][1][1]["k"], np.ones(2))
    np.testing.assert_array_equal(J["b"][1][0], np.zeros(2))
    two = bg.jacobian(lambda x, y: x * y, (0, 1))(p[0], p[1]["k"])
    np.testing.assert_array_equal(two[1], np.diag(p[0]))


def test_hvp_of_containers():
    f = lambda p: np.sum(p["x"] ** 3) * p["s"] ** 2
    p, d = {"x": np.array([1.0, 2.0]), "s": 0.5}, {"x": np.array([1.0, -1.0]), "s": 2.0}
    found = bg.hvp(f, p, d)
    np.testing.assert_allclose(found["x"], 6 * p["x"] * 0.25 * d["x"] + 3 * p["x"] ** 2 * 2 * 0.5 * 2.0)
    assert found["s"] == pytest.approx(np.sum(3 * p["x"] ** 2 * d["x"]) * 1.0 + np.sum(p["x"] ** 3) * 2 * 2.0)
    np.testing.assert_array_equal(bg.hvp(np.sum, x, v), np.zeros(4))


def test_large_graphs_do_not_recurse():
    """Ten thousand boxes one after the other: no limit of Python's stack is met."""

    def deep(x):
        for _ in range(5000):
            x = x * 0.9999 + 1e-4
        return x

    assert bg.grad(deep)(1.0) == pytest.approx(0.9999**5000, rel=1e-10)
    assert bg.compile(bg.grad(deep))(1.0) == pytest.approx(0.9999**5000, rel=1e-10)


def test_many_uses_of_one_value_add_up():
    f = lambda x: sum(np.sum(x * k) for k in range(200)) + np.sum(np.concatenate([x] * 50))
    np.testing.assert_allclose(bg.grad(f)(x), np.full(4, 19900.0 + 50))
    assert len(tree.leaves(bg.grad(f)(x))) == 1

"""Complex numbers: the gradient of L by z = a + ib is ∂L/∂a + i ∂L/∂b, to the digits of differences."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from numeric import assert_near, richardson
from sampling import between

Z = between(-1, 1, (3, 3), "a") + 1j * between(-1, 1, (3, 3), "b") + 2 * np.eye(3)
W = between(-1, 1, (3, 3), "c") + 1j * between(0.2, 1, (3, 3), "d")


def _written(z):
    z = z.copy()
    z.real[0] = 3 * z.imag[1]
    z.imag *= 2
    z[1] += 1j * z[0].real
    z.imag = np.sin(z.real)
    return np.sum(np.abs(z) ** 2 * z.real)


FUNCTIONS = {
    "parts written": _written,
    "size": lambda z: np.sum(np.abs(z) ** 3),
    "conjugate": lambda z: np.sum((z * np.conj(z)).real * np.abs(z)),
    "angle": lambda z: np.sum(np.angle(z + 4)),
    "sign": lambda z: np.sum(np.sign(z).real * np.sign(z).imag),
    "exponential": lambda z: np.sum((np.exp(z) * np.sin(W + z)).imag),
    "powers": lambda z: np.sum(np.abs((z + 3) ** W) + (W ** (z / 2)).real + (z**3).imag),
    "logarithms": lambda z: np.sum(np.abs(np.log(z + 3) * np.sqrt(z + 3) / np.arctan(z * 0.3 + 2))),
    "products": lambda z: np.sum(np.abs(z @ W @ z.T) + np.einsum("ij,kj->ik", z, W).real),
    "solve": lambda z: np.sum(np.abs(np.linalg.solve(z, W)) ** 2),
    "inverse": lambda z: np.abs(np.sum(np.linalg.inv(z))),
    "determinant": lambda z: np.abs(np.linalg.det(z)) + np.linalg.det(z @ W).real,
    "log determinant": lambda z: np.linalg.slogdet(z).logabsdet + np.linalg.slogdet(z).sign.imag,
    "transforms": lambda z: np.sum(np.abs(np.fft.fft2(z)) ** 3) + np.sum(np.fft.irfft(z, axis=0) ** 2),
    "norm": lambda z: np.linalg.norm(z) + np.sum(np.linalg.norm(z, 3, axis=0)),
    "statistics": lambda z: np.var(z) + np.abs(np.mean(z)) + np.abs(np.prod(z[0])),
    "running products": lambda z: np.sum(np.cumprod(z).real) + np.sum(np.abs(np.cumsum(z, 1))),
    "choice": lambda z: np.sum(np.abs(np.where(z.real > 0.1, z * z, W / (z + 4)))),
    "of real arrays": lambda z: np.sum(np.abs(z.real * 1j + np.exp(1j * z.imag))),
    "indices": lambda z: np.sum(np.abs(z[[0, 2, 0]] * z[:, ::-1])),
    "division": lambda z: np.sum((z / W + W / (z + 3) + 1 / (z + 4)).real),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradient(name: str):
    function = FUNCTIONS[name]
    gradient = bg.grad(function)(Z)
    assert (gradient.shape, gradient.dtype) == (Z.shape, Z.dtype)
    for number in range(2):
        v = between(-1, 1, (3, 3), f"v{number}") + 1j * between(-1, 1, (3, 3), f"w{number}")
        wanted = richardson(lambda t, v=v: function(Z + t * v), [np.float64(0.0)], [1.0], 0.01)
        assert_near(np.sum((np.conj(gradient) * v).real), wanted, name, 1e-9)
    np.testing.assert_array_equal(bg.compile(bg.grad(function))(Z).shape, gradient.shape)
    np.testing.assert_allclose(bg.compile(bg.grad(function))(Z), gradient, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_order(name: str):
    """Of a real function of real parts, through complex values."""
    function = FUNCTIONS[name]
    x, y, v = Z.real.copy(), Z.imag, between(-1, 1, (3, 3), "v")
    real = lambda x: function(x + 1j * y)
    got = bg.hvp(real, x, v)
    u = between(-1, 1, (3, 3), "u")
    slope = lambda x: np.sum(bg.grad(real)(x) * v)
    assert_near(np.sum(got * u), richardson(slope, [x], [u], 0.01), name, 1e-8)


def test_descent_goes_down():
    """z - step · gradient makes the function smaller: the convention of the conjugate."""
    z = np.array([1 + 2j, -0.5j])
    np.testing.assert_allclose(bg.grad(lambda z: np.sum(np.abs(z) ** 2))(z), 2 * z)
    np.testing.assert_allclose(bg.grad(lambda z: np.sum((z * z).real))(z), 2 * np.conj(z))
    np.testing.assert_allclose(bg.grad(lambda z: np.sum((1j * z).imag))(z), np.ones(2))


def test_pullback_and_change_along_a_direction():
    """The pullback is the conjugate transpose of the derivative, and jvp the derivative itself."""
    function = lambda z: np.exp(z) @ np.array([1.0, 2j]) + z * 1j
    z, v = np.array([0.3 + 0.2j, -0.1j]), np.array([0.5 - 1j, 2.0 + 0.1j])
    value, change = bg.jvp(function, (z,), (v,))
    np.testing.assert_allclose(value, function(z))
    wanted = richardson(lambda t: function(z + t * v).real, [np.float64(0.0)], [1.0])
    wanted = wanted + 1j * richardson(lambda t: function(z + t * v).imag, [np.float64(0.0)], [1.0])
    np.testing.assert_allclose(change, wanted, rtol=1e-9)
    g = np.array([1.0 + 1j, 0.3 - 2j])
    _, pullback = bg.vjp(function, z)
    (pulled,) = pullback(g)
    np.testing.assert_allclose(np.vdot(pulled, v), np.vdot(g, change), rtol=1e-9)


def test_numbers_and_real_arguments():
    assert bg.grad(lambda z: np.abs(z) ** 2)(1 + 2j) == pytest.approx(2 + 4j)
    gradient = bg.grad(lambda x: np.abs(np.exp(1j * x) + x))(0.7)
    assert isinstance(gradient, float)
    assert_near(gradient, richardson(lambda x: np.abs(np.exp(1j * x) + x), [0.7], [1.0]))
    half = bg.grad(lambda z: np.sum(np.abs(z)))(Z.astype(np.complex64))
    assert half.dtype == np.complex64


def test_where_a_size_is_0_its_slope_is_0():
    np.testing.assert_array_equal(bg.grad(lambda z: np.sum(np.abs(z)))(np.zeros(2, complex)), np.zeros(2))
    np.testing.assert_array_equal(
        bg.grad(lambda z: np.sum(np.sign(z).real))(np.zeros(2, complex)), np.zeros(2)
    )


@pytest.mark.parametrize("function", [lambda z: z * z, np.abs], ids=["analytic", "real"])
def test_jacobians_are_refused(function):
    with pytest.raises(bg.DerivativeError, match=r"Jacobian of complex[\s\S]*instead: "):
        bg.jacobian(function)(Z)


def test_a_complex_result_has_no_gradient():
    with pytest.raises(bg.DerivativeError, match="one real number"):
        bg.grad(np.sum)(Z)
    with pytest.raises(bg.TraceError, match="imaginary part"):
        bg.grad(lambda x: np.sum(_into(np.zeros_like(x), x * 1j)))(np.ones(3))


def _into(h, value):
    h[...] = value
    return h

"""Linear algebra where the rules are delicate: singular matrices, equal eigenvalues, what is not read."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from numeric import assert_near, complex_step, richardson
from sampling import between

SINGULAR = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.5, -1.0, 2.0]])


@pytest.mark.parametrize("a", [SINGULAR, SINGULAR[:2, :2], np.zeros((1, 1)), np.zeros((2, 2))])
def test_the_gradient_of_a_determinant_exists_where_it_is_0(a):
    v = between(-1, 1, a.shape)
    gradient = bg.grad(np.linalg.det)(a)
    n = len(a)
    cofactors = [[(-1) ** (i + j) * _minor(a, i, j) if n > 1 else 1.0 for j in range(n)] for i in range(n)]
    assert_near(gradient, np.array(cofactors), "cofactors", 1e-12)
    assert_near(np.sum(gradient * v), complex_step(_det_by_hand, [a], [v]), "by hand", 1e-12)


def _minor(a, i, j):
    return np.linalg.det(np.delete(np.delete(a, i, 0), j, 1))


def _det_by_hand(a):
    if len(a) == 1:
        return a[0, 0]
    parts = [(-1) ** j * a[0, j] * _det_by_hand(np.delete(np.delete(a, 0, 0), j, 1)) for j in range(len(a))]
    return sum(parts)


def test_symmetric_functions_of_equal_eigenvalues():
    """Where eigenvalues coincide, functions that treat them alike are smooth, and so is what is computed."""
    a = np.diag([2.0, 2.0, 5.0])
    assert_near(bg.grad(lambda x: np.sum(np.linalg.eigvalsh(x) ** 2))(a), 2 * a, "trace of the square", 1e-12)
    gradient = bg.grad(lambda x: np.sum(np.linalg.svdvals(x)))(np.eye(3))
    assert_near(gradient, np.eye(3), "nuclear norm", 1e-12)


@pytest.mark.parametrize("function", [np.linalg.cholesky, np.linalg.eigvalsh], ids=["cholesky", "eigvalsh"])
def test_what_is_not_read_has_no_gradient(function):
    a = np.array([[2.0, 0.3], [0.3, 1.0]])
    gradient = bg.grad(lambda x: np.sum(np.cos(function(x))))(a)
    assert gradient[0, 1] == 0.0
    v = between(-1, 1, (2, 2))
    wanted = richardson(lambda x: np.sum(np.cos(function(x))), [a], [v])
    assert_near(np.sum(gradient * v), wanted)


@pytest.mark.parametrize("function", [np.linalg.eigvalsh, lambda x: np.abs(np.linalg.pinv(x))])
def test_factorisations_of_complex_matrices_are_refused(function):
    a = np.array([[2.0, 0.3j], [-0.3j, 1.0]])
    with pytest.raises(bg.DerivativeError, match=r"complex matrix[\s\S]*test_linalg\.py"):
        bg.grad(lambda x: np.sum(function(x * a)))(np.ones((2, 2)))


def test_full_matrices_that_are_not_determined_are_refused():
    with pytest.raises(bg.TraceError, match="full_matrices=False"):
        bg.grad(lambda x: np.sum(np.linalg.svd(x)[0]))(np.ones((3, 2)))
    with pytest.raises(bg.TraceError, match=r"np\.linalg\.eigh"):
        bg.grad(lambda x: np.sum(np.abs(np.linalg.eigvals(x))))(np.eye(2))


@pytest.mark.parametrize("shape", [(2, 3), (3,), (2, 2, 3)])
def test_a_matrix_that_is_not_square(shape):
    for run in (bg.compile, lambda f: bg.grad(lambda x: np.sum(f(x)))):
        with pytest.raises((bg.BoxgradError, np.linalg.LinAlgError), match=r"[Ss]quare|dimensional"):
            run(np.linalg.det)(np.ones(shape))

"""Primitives of linear algebra, on the last two axes of an array: factorisations, inverses, determinants.

What NumPy does not read has no derivative: ``cholesky`` and ``eigh`` read the lower triangle, so the gradient
of the upper one is 0. Where eigenvalues or singular values coincide their vectors are not determined, and
pairs of such vectors contribute nothing. The rules of factorisations are those of real matrices.
Source: M. Giles, "An extended collection of matrix derivative results" (2008); S. Walter, L. Lehmann,
"Algorithmic differentiation of linear algebra functions" (2010).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from boxgrad.errors import DerivativeError
from boxgrad.graph.primitive import AllInputs, Call, Function, Primitive, Rule
from boxgrad.ops.control import item
from boxgrad.ops.reduce import others
from boxgrad.ops.typing import real_dtype
from boxgrad.types import ArrayType


def parts(results: Any, count: int) -> tuple[Any, ...]:
    """The results of a primitive that has several."""
    return tuple(item(results, index=i) for i in range(count))


def _mT(x: Any) -> Any:  # noqa: N802  NumPy's name
    return x.swapaxes(-1, -2)


def _inexact(*xs: ArrayType) -> np.dtype[Any]:
    """LAPACK computes in single precision only where all arguments have it."""
    return np.result_type(*(x.dtype if x.dtype.kind in "fc" else np.float64 for x in xs))


def _batch(x: ArrayType, square: bool = True) -> tuple[int, ...]:
    if len(x.shape) < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise ValueError(f"needs {'square ' * square}matrices in the last two axes, not shape {x.shape}")
    return x.shape[:-2]


def _number(x: ArrayType) -> ArrayType:
    """One number for each matrix."""
    return ArrayType(_batch(x), _inexact(x))


def _same(x: ArrayType) -> ArrayType:
    return ArrayType((*_batch(x), *x.shape[-2:]), _inexact(x))


def _several(function: Callable[..., Any], **options: Any) -> Function:
    """The meaning of a function with several results."""

    def meaning(x: Any) -> tuple[Any, ...]:
        return tuple(function(x, **options))

    return meaning


def _of_real(rule: Rule) -> AllInputs:
    """A rule of the first input that holds for real matrices; others have no gradient."""

    def checked(g: Any, y: Any, wanted: Any, x: Any, *rest: Any) -> Any:
        if x.dtype.kind == "c":
            raise DerivativeError.because(
                "the derivative of a factorisation of a complex matrix",
                "the rule is that of real matrices",
                "np.linalg.solve, inv or det, which have complex derivatives",
            )
        return (cast("Any", rule)(g, y, x, *rest), *(None for _ in rest))

    return AllInputs(checked)


# ---- systems of equations, determinants
def _solve_type(a: ArrayType, b: ArrayType) -> ArrayType:
    shape = np.broadcast_shapes(_batch(a), _batch(b, square=False))
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"{a.shape[-1]} unknowns and right-hand sides of {b.shape[-2]}")
    return ArrayType((*shape, *b.shape[-2:]), _inexact(a, b))


solve = Primitive(
    "solve",
    np.linalg.solve,
    _solve_type,
    (lambda g, y, x, z: -solve(_mT(x), g) @ _mT(y), lambda g, y, x, z: solve(_mT(x), g)),
    Call("solve"),
    (),
)


def _cofactor(x: Any) -> Any:
    """det(x) x⁻ᵀ, by singular values, so that it is exact where x has no inverse."""
    u, s, v = np.linalg.svd(x)
    return (np.linalg.det(u) * np.linalg.det(v))[..., None, None] * ((u * others(s)[..., None, :]) @ v).conj()


def _det_rule(g: Any, y: Any, x: Any) -> Any:
    return g[..., None, None] * cofactor(x)


def _cofactor_rule(g: Any, y: Any, x: Any) -> Any:
    along = np.sum(g * y, axis=(-2, -1), keepdims=True)
    return (y * along - y @ _mT(g) @ y) / det(x)[..., None, None]


det = Primitive("det", np.linalg.det, _number, (_det_rule,), Call("det"), (np.linalg.det,))
cofactor = Primitive("cofactor", _cofactor, _same, (_cofactor_rule,), Call("cof"), ())


def _slogdet_type(x: ArrayType) -> tuple[ArrayType, ArrayType]:
    return _number(x), ArrayType(_batch(x), real_dtype(_inexact(x)))


def _slogdet_rule(g: Any, y: Any, wanted: Any, x: Any) -> Any:
    """log |det x| has the slope x⁻ᵀ; a real sign is constant, a complex one turns."""
    if x.dtype.kind != "c" and 1 not in g:
        return (None,)
    weight = g.get(1, np.zeros(x.shape[:-2], x.dtype))
    if x.dtype.kind == "c" and 0 in g:
        weight = weight + (g[0] * item(y, index=0)).imag * 1j
    return (weight[..., None, None] * _mT(solve(x, np.eye(x.shape[-1], dtype=x.dtype))),)


slogdet = Primitive(
    "slogdet", _several(np.linalg.slogdet), _slogdet_type, AllInputs(_slogdet_rule), Call("slogdet"), ()
)


# ---- factorisations
def _lower(x: Any) -> Any:
    """The gradient of a symmetric matrix of which the lower triangle alone is read."""
    return np.tril(x) + np.tril(_mT(x), -1)


def _cholesky_rule(g: Any, y: Any, x: Any) -> Any:
    inner = np.tril(_mT(y) @ g) * (1 - 0.5 * np.eye(x.shape[-1], dtype=x.dtype))
    return _lower(_symmetric(_mT(solve(_mT(y), _mT(solve(_mT(y), inner))))))


def _symmetric(x: Any) -> Any:
    return (x + _mT(x)) / 2


cholesky = Primitive("cholesky", np.linalg.cholesky, _same, _of_real(_cholesky_rule), Call("chol"), ())


def _inverse_gaps(s: Any) -> Any:
    """1/(s_j - s_i), and 0 where they are equal."""
    gaps = s[..., None, :] - s[..., :, None]
    return np.where(gaps == 0, 0, 1 / np.where(gaps == 0, 1, gaps))


def _eigh_type(x: ArrayType) -> tuple[ArrayType, ArrayType]:
    vectors = _same(x)
    return ArrayType(x.shape[:-1], real_dtype(vectors.dtype)), vectors


def _eigh_rule(g: Any, y: Any, x: Any) -> Any:
    w, v = parts(y, 2)
    inner = 0
    if 0 in g:
        inner = g[0][..., None] * np.eye(x.shape[-1], dtype=x.dtype)
    if 1 in g:
        inner = inner + _inverse_gaps(w) * (_mT(v) @ g[1])
    return _lower(_symmetric(v @ inner @ _mT(v)))


eigh = Primitive("eigh", _several(np.linalg.eigh), _eigh_type, _of_real(_eigh_rule), Call("eigh"), ())


def _svd_type(x: ArrayType) -> tuple[ArrayType, ...]:
    (*batch, m, n), dtype = x.shape, _inexact(x)
    k = min(m, n)
    shapes = (*batch, m, k), (*batch, k), (*batch, k, n)
    return tuple(
        ArrayType(shape, kind) for shape, kind in zip(shapes, (dtype, real_dtype(dtype), dtype), strict=True)
    )


def _svd_rule(g: Any, y: Any, x: Any) -> Any:
    u, s, v = parts(y, 3)
    v = _mT(v)
    gaps, row, column = _inverse_gaps(s * s), s[..., None, :], s[..., :, None]
    inner, result = 0, 0
    if 1 in g:
        inner = g[1][..., None] * np.eye(s.shape[-1], dtype=x.dtype)
    if 0 in g:
        turn = gaps * (_mT(u) @ g[0])
        inner = inner + (turn + _mT(turn)) * row
        result = ((g[0] - u @ (_mT(u) @ g[0])) / row) @ _mT(v)
    if 2 in g:
        gv = _mT(g[2])
        turn = gaps * (_mT(v) @ gv)
        inner = inner + column * (turn + _mT(turn))
        result = result + u @ _mT((gv - v @ (_mT(v) @ gv)) / row)
    return result + u @ inner @ _mT(v)


svd = Primitive(
    "svd", _several(np.linalg.svd, full_matrices=False), _svd_type, _of_real(_svd_rule), Call("svd"), ()
)


def _qr_type(x: ArrayType) -> tuple[ArrayType, ArrayType]:
    n, dtype = x.shape[-1], _inexact(x)
    return ArrayType(x.shape, dtype), ArrayType((*x.shape[:-2], n, n), dtype)


def _qr_rule(g: Any, y: Any, x: Any) -> Any:
    q, r = parts(y, 2)
    product, first = 0, 0
    if 1 in g:
        product = r @ _mT(g[1])
    if 0 in g:
        product, first = product - _mT(g[0]) @ q, g[0]
    return _mT(solve(r, _mT(first + q @ (np.tril(product) + _mT(np.tril(product, -1))))))


qr = Primitive("qr", _several(np.linalg.qr), _qr_type, _of_real(_qr_rule), Call("qr"), ())


def _pinv_rule(g: Any, y: Any, x: Any, cutoff: Any) -> Any:
    """Of matrices near x of the same rank. Source: G. Golub, V. Pereyra, SIAM J. Numer. Anal. 10 (1973)."""
    back, inverse = _mT(g), _mT(y)
    kept = inverse @ y @ (back - (back @ y) @ x)
    return (back - x @ (y @ back)) @ y @ inverse + kept - inverse @ g @ inverse


def _pinv_type(x: ArrayType, cutoff: ArrayType) -> ArrayType:
    return ArrayType((*_batch(x, square=False), x.shape[-1], x.shape[-2]), _inexact(x))


pinv = Primitive("pinv", np.linalg.pinv, _pinv_type, _of_real(_pinv_rule), Call("pinv"), ())

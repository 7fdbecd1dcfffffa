"""``np.linalg`` as plain NumPy over the primitives of linear algebra: the last two axes hold matrices."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from boxgrad.composites.reductions import array, axes_of, holds_traced, one_axis
from boxgrad.errors import ShapeError, TraceError
from boxgrad.ops import linalg
from boxgrad.trace.table import implements, refuse

_NO_VALUE: Any = np._NoValue  # type: ignore[attr-defined]  # NumPy's own "not given"
_ONE = np.eye(1)
_EIGH, _SVD, _QR = (type(f(_ONE)) for f in (np.linalg.eigh, np.linalg.svd, np.linalg.qr))
_SLOGDET = type(np.linalg.slogdet(_ONE))

refuse(
    "eigenvalues of a matrix that is not symmetric may be complex, and their order is not determined",
    "np.linalg.eigh(a) for a symmetric matrix",
    np.linalg.eig,
    np.linalg.eigvals,
)


def _mT(x: Any) -> Any:  # noqa: N802  NumPy's name
    return x.swapaxes(-1, -2)


# ---- systems of equations, inverses, determinants
@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    b = array(b)
    return linalg.solve(array(a), b[:, None])[..., 0] if b.ndim == 1 else linalg.solve(array(a), b)


@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    return linalg.solve(a, np.eye(a.shape[-1], dtype=a.dtype if a.dtype.kind in "fc" else float))


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = _NO_VALUE) -> Any:
    """``hermitian`` only promises what makes the computation faster."""
    if rcond is None:
        rcond = 1e-15 if rtol is _NO_VALUE else rtol
    dtype = a.dtype if a.dtype.kind in "fc" else np.dtype(float)
    if rcond is None:
        rcond = max(a.shape[-2:]) * np.finfo(dtype).eps
    return _pinv(a, rcond)


def _pinv(a: Any, cutoff: Any) -> Any:
    """What is cut off must be 0 but for rounding: the rule is that of matrices of one rank."""
    if np.any(np.asarray(cutoff) > 1e-8):
        s = np.linalg.svd(array(a)._value("np.linalg.pinv with a large cutoff") if holds_traced(a) else a)[1]
        share = s / np.max(s, axis=-1, keepdims=True, initial=0)
        if np.any((share > 1e-8) & (share <= np.asarray(cutoff)[..., None])):
            raise TraceError.because(
                f"a pseudo-inverse that leaves out singular values above rcond={cutoff}",
                "the rule for its derivative is that of matrices whose rank stays the same",
                "the singular value decomposition: (Vᵀ / s) @ Uᵀ of those that are kept",
            )
    return linalg.pinv(a, np.asarray(cutoff))


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    return _SLOGDET(*linalg.parts(linalg.slogdet(a), 2))


@implements(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """The solution is the pseudo-inverse times b; the rank is a constant."""
    a, b = array(a), array(b)
    m, n = a.shape
    s = np.linalg.svdvals(a)
    cutoff = np.finfo(s.dtype).eps * (max(m, n) if rcond is None else 1)
    cutoff = rcond if rcond is not None and 0 < rcond < 1 else cutoff
    x = _pinv(a, cutoff) @ b
    rank = np.sum(s > cutoff * s[0]).astype(np.int32)
    residual = np.sum((b - a @ x) ** 2, axis=0)
    full = m > n and int(rank) == n
    return x, (residual if b.ndim > 1 else residual[None]) if full else np.zeros(0, x.dtype), rank, s


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = array(a), array(b)
    if axes is not None:
        order = [i for i in range(a.ndim) if i not in axes_of(a, tuple(axes))] + list(axes_of(a, tuple(axes)))
        a = np.transpose(a, order)
    shape = a.shape[b.ndim - a.ndim :] if a.ndim > b.ndim else ()
    return np.linalg.solve(np.reshape(a, (-1, math.prod(shape))), np.ravel(b)).reshape(shape)


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    shape = (*a.shape[ind:], *a.shape[:ind])
    return np.linalg.inv(np.reshape(a, (math.prod(a.shape[:ind]), -1))).reshape(shape)


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError.because(
            f"a power of a matrix of shape {a.shape}", "powers are of square matrices", "a square matrix"
        )
    if n == 0:
        return np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape) + 0 * a
    if n < 0:
        a, n = np.linalg.inv(a), -n
    result, power = None, a
    while n:
        if n % 2:
            result = power if result is None else result @ power
        n //= 2
        power = power @ power if n else power
    return result


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    result = functools.reduce(np.dot, arrays)
    if out is None:
        return result
    out[...] = result
    return out


# ---- factorisations
@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    return _mT(linalg.cholesky(_mT(a))) if upper else linalg.cholesky(a)


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    return _EIGH(*linalg.parts(linalg.eigh(a if UPLO.upper() == "L" else _mT(a)), 2))


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return eigh(a, UPLO)[0]


@implements(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    u, s, vh = linalg.parts(linalg.svd(a), 3)
    if not compute_uv:
        return s
    if full_matrices and a.shape[-1] != a.shape[-2]:
        raise TraceError.because(
            "np.linalg.svd of a matrix that is not square, with full_matrices=True",
            "the further columns span what the matrix does not reach, and are not determined",
            "np.linalg.svd(a, full_matrices=False)",
        )
    return _SVD(u, s, vh)


@implements(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    return linalg.parts(linalg.svd(x), 3)[1]


@implements(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    m, n = a.shape[-2:]
    if mode not in ("reduced", "r", "complete") or (mode == "complete" and m > n):
        raise TraceError.because(
            f"np.linalg.qr with mode={mode!r} of a matrix of {m} rows and {n} columns",
            "the further columns of Q are not determined, and raw reflectors are not traced",
            "np.linalg.qr(a), the reduced form",
        )
    q, r = linalg.parts(linalg.qr(a[..., :m] if m < n else a), 2)
    if m < n:
        r = np.concatenate([r, _mT(q) @ a[..., m:]], axis=-1)
    return r if mode == "r" else _QR(q, r)


# ---- norms
@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Norms of vectors and matrices; where a norm is 0 its derivative is 0."""
    x = array(x)
    x = x.astype(np.float64) if x.dtype.kind in "iub" else x
    axes = axes_of(x, axis)
    if ord is None:
        return safe_root(np.sum(_squared(x), axis=axes, keepdims=keepdims))
    if len(axes) > 2:
        raise ShapeError.because(
            f"a norm of order {ord!r} over {len(axes)} axes",
            "a vector norm is over one axis, a matrix norm over two",
            "axis=, or np.linalg.norm(np.ravel(x), ord)",
        )
    return _norm_of_matrices(x, ord, axes, keepdims) if len(axes) == 2 else _norm(x, ord, axes, keepdims)


def _squared(x: Any) -> Any:
    return x.real * x.real + x.imag * x.imag if x.dtype.kind == "c" else x * x


def _norm(x: Any, ord: Any, axes: Any, keepdims: bool) -> Any:
    size = np.abs(x)
    if ord == 2:
        return safe_root(np.sum(_squared(x), axis=axes, keepdims=keepdims))
    if ord == np.inf:
        return np.max(size, axis=axes, keepdims=keepdims)
    if ord == -np.inf:
        return np.min(size, axis=axes, keepdims=keepdims)
    if ord == 0:
        return np.sum((x != 0).astype(size.dtype), axis=axes, keepdims=keepdims)
    if ord == 1:
        return np.sum(size, axis=axes, keepdims=keepdims)
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order '{ord}' for vectors")
    total = np.sum(size**ord, axis=axes, keepdims=keepdims)
    return np.where(total == 0, 0, np.where(total == 0, 1, total) ** (1 / ord))


def _norm_of_matrices(x: Any, ord: Any, axes: Any, keepdims: bool) -> Any:
    row, column = axes
    if ord == "fro":
        y = safe_root(np.sum(_squared(x), axis=axes, keepdims=keepdims))
    elif ord in (2, -2, "nuc"):
        s = np.linalg.svdvals(np.moveaxis(x, axes, (-2, -1)))
        y = np.sum(s, axis=-1) if ord == "nuc" else s[..., 0 if ord == 2 else -1]
        y = np.expand_dims(y, axes) if keepdims else y
    elif ord in (1, -1, np.inf, -np.inf):
        along, over = (row, column) if abs(ord) == 1 else (column, row)
        sums = np.sum(np.abs(x), axis=along, keepdims=True)
        y = (np.max if ord > 0 else np.min)(sums, axis=over, keepdims=True)
        y = y if keepdims else np.squeeze(y, axis=axes)
    else:
        raise ValueError(f"Invalid norm order {ord!r} for matrices")
    return y


def safe_root(total: Any) -> Any:
    """The square root, with derivative 0 where its argument is 0."""
    return np.where(total == 0, 0, np.sqrt(np.where(total == 0, 1, total)))


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return norm(x, ord, (-2, -1), keepdims)


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    axes = axes_of(x, axis)
    if len(axes) == 1:
        return norm(x, ord, axes[0], keepdims)
    rest = [i for i in range(x.ndim) if i not in axes]
    flat = np.transpose(x, (*axes, *rest)).reshape((-1, *(x.shape[i] for i in rest)))
    y = norm(flat, ord, 0)
    return np.expand_dims(y, axes) if keepdims else y


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    if p in (None, 2, -2):
        s = np.linalg.svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return norm(x, p, (-2, -1)) * norm(np.linalg.inv(x), p, (-2, -1))


@implements(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """The number of singular values above the tolerance: a constant."""
    if A.ndim < 2:
        return np.any(A != 0).astype(int)
    s = np.linalg.svdvals(A)
    if tol is None:
        rtol = max(A.shape[-2:]) * np.finfo(s.dtype).eps if rtol is None else rtol
        tol = np.max(s, axis=-1) * rtol
    return np.sum(s > array(tol)[..., None], axis=-1)


# ---- parts of matrices, under the names of np.linalg
@implements(np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    return x.swapaxes(-1, -2)


@implements(np.linalg.diagonal)
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return np.diagonal(x, offset, one_axis(x.ndim, -2), one_axis(x.ndim, -1))


@implements(np.linalg.trace)
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return np.trace(x, offset, one_axis(x.ndim, -2), one_axis(x.ndim, -1), dtype)

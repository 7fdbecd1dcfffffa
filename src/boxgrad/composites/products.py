"""NumPy functions as plain NumPy over primitives: products.

All of them become contractions of two arrays. What einsum allows beyond one (a letter repeated in an
operand, or summed in one operand alone) is made of diagonals and sums first.
"""

from __future__ import annotations

import string
from typing import Any

import numpy as np

from boxgrad.composites.reductions import array, axes_of
from boxgrad.errors import ShapeError, TraceError
from boxgrad.ops.contract import contract, matmul_subscripts
from boxgrad.trace.operators import product
from boxgrad.trace.table import implements, writes_out


@implements(np.matmul, np.linalg.matmul)
def matmul(x1: Any, x2: Any) -> Any:
    return product(x1, x2)


@implements(np.dot)
@writes_out(2)
def dot(a: Any, b: Any) -> Any:
    first, second = np.ndim(a), np.ndim(b)
    if first == 0 or second == 0:
        return a * b
    if first <= 2 and second <= 2:
        return contract(a, b, subscripts=matmul_subscripts(first, second))
    return np.tensordot(a, b, axes=(-1, -2 if second > 1 else -1))


@implements(np.inner)
def inner(a: Any, b: Any) -> Any:
    return a * b if np.ndim(a) == 0 or np.ndim(b) == 0 else np.tensordot(a, b, axes=(-1, -1))


@implements(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    return np.dot(np.conjugate(np.ravel(a)), np.ravel(b))


@implements(np.outer, np.linalg.outer)
@writes_out(2)
def outer(a: Any, b: Any) -> Any:
    return np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))


@implements(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    if isinstance(axes, (int, np.integer)):
        first, second = tuple(range(-int(axes), 0)), tuple(range(int(axes)))
    else:
        first, second = (tuple(x) if isinstance(x, (list, tuple)) else (x,) for x in axes)
    first, second = axes_of(a, first), axes_of(b, second)
    letters = iter(string.ascii_letters)
    left = [next(letters) for _ in range(np.ndim(a))]
    right = [next(letters) for _ in range(np.ndim(b))]
    for i, j in zip(first, second, strict=True):
        right[j] = left[i]
    kept = [c for i, c in enumerate(left) if i not in first]
    kept += [c for j, c in enumerate(right) if j not in second]
    return contract(a, b, subscripts=f"{''.join(left)},{''.join(right)}->{''.join(kept)}")


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    n = max(np.ndim(a), np.ndim(b))
    a = np.reshape(a, (1,) * (n - np.ndim(a)) + np.shape(a))
    b = np.reshape(b, (1,) * (n - np.ndim(b)) + np.shape(b))
    spread = np.reshape(a, [m for size in a.shape for m in (size, 1)]) * np.reshape(
        b, [m for size in b.shape for m in (1, size)]
    )
    return np.reshape(spread, tuple(m * k for m, k in zip(a.shape, b.shape, strict=True)))


@implements(np.vecdot, np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Inner products along an axis; the first factor is conjugated."""
    x1, x2 = np.moveaxis(array(x1), axis, -1), np.moveaxis(array(x2), axis, -1)
    return np.matmul(np.expand_dims(np.conjugate(x1), -2), np.expand_dims(x2, -1))[..., 0, 0]


@implements(np.matvec)
def matvec(x1: Any, x2: Any, /) -> Any:
    return np.matmul(x1, np.expand_dims(array(x2), -1))[..., 0]


@implements(np.vecmat)
def vecmat(x1: Any, x2: Any, /) -> Any:
    return np.matmul(np.expand_dims(np.conjugate(array(x1)), -2), x2)[..., 0, :]


@implements(np.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(array(a), axisa, -1), np.moveaxis(array(b), axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ShapeError.because(
            f"a cross product of vectors of {a.shape[-1]} and {b.shape[-1]} elements",
            "it is that of vectors in space",
            "vectors of 3 elements; x[..., 0] * y[..., 1] - x[..., 1] * y[..., 0] in the plane",
        )
    y = [a[..., i] * b[..., j] - a[..., j] * b[..., i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return np.moveaxis(np.stack(y, axis=-1), -1, axisc)


@implements(np.linalg.cross)
def cross_3d(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return np.cross(x1, x2, axis=axis)


# ---- einsum
@implements(np.einsum)
@writes_out(99)
def einsum(*operands: Any, optimize: Any = False, **options: Any) -> Any:
    if options:
        raise TraceError.because(f"np.einsum with {', '.join(options)}=", "it is not traced", "astype")
    if not isinstance(operands[0], str):
        raise TraceError.because(
            "np.einsum with sublists of integers",
            "only subscripts as text are traced",
            "np.einsum('ij,jk->ik', a, b)",
        )
    subscripts, arrays = operands[0].replace(" ", ""), list(operands[1:])
    inputs, result = _explicit(subscripts, [np.ndim(x) for x in arrays])
    sizes: dict[str, int] = {}
    for letters, x in zip(inputs, arrays, strict=True):
        if len(letters) != np.ndim(x):
            raise ShapeError.because(
                f"einsum {subscripts!r}: {letters!r} names {len(letters)} axes, the operand has shape "
                f"{np.shape(x)}",
                "each axis has one letter",
                "letters for all axes, or an ellipsis",
            )
        for letter, size in zip(letters, np.shape(x), strict=True):
            sizes[letter] = max(sizes.get(letter, 1), size) if size else 0
    terms = [_distinct(letters, x) for letters, x in zip(inputs, arrays, strict=True)]
    letters, y = terms[0]
    for index, (following, x) in enumerate(terms[1:], start=2):
        needed = set(result).union(*(later for later, _ in terms[index:]))
        letters, y = _pair(letters, y, following, x, needed)
    letters, y = _summed(letters, y, set(result))
    return np.transpose(y, [letters.index(c) for c in result]) if letters != result else y


def _explicit(subscripts: str, ndims: list[int]) -> tuple[list[str], str]:
    """Letters for every operand and the result, the ellipsis written out."""
    left, arrow, result = subscripts.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ndims):
        raise ShapeError.because(
            f"einsum {subscripts!r} with {len(ndims)} operands",
            "there is one group of letters for each operand",
            "as many groups, separated by commas",
        )
    free = [c for c in string.ascii_letters[::-1] if c not in subscripts]
    most = max([n - len(s) + 3 for s, n in zip(inputs, ndims, strict=True) if "..." in s], default=0)
    spare = "".join(free[:most][::-1])
    if not arrow:
        counted = left.replace(",", "").replace("...", "")
        result = "..." * ("..." in left) + "".join(c for c in sorted(set(counted)) if counted.count(c) == 1)
    written = [
        s.replace("...", spare[most - (n - len(s) + 3) :]) if "..." in s else s
        for s, n in zip(inputs, ndims, strict=True)
    ]
    return written, result.replace("...", spare)


def _distinct(letters: str, x: Any) -> tuple[str, Any]:
    """Take diagonals until no letter is repeated."""
    for letter in dict.fromkeys(letters):
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            x = np.diagonal(x, 0, first, second)
            letters = "".join(c for i, c in enumerate(letters) if i not in (first, second)) + letter
    return letters, x


def _summed(letters: str, x: Any, needed: set[str]) -> tuple[str, Any]:
    """Sum over the letters that nothing else needs."""
    axes = tuple(i for i, c in enumerate(letters) if c not in needed)
    return "".join(c for c in letters if c in needed), np.sum(x, axis=axes) if axes else x


def _pair(a: str, x: Any, b: str, z: Any, needed: set[str]) -> tuple[str, Any]:
    """Contract two terms, keeping the letters that are still needed."""
    a, x = _summed(a, x, needed | set(b))
    b, z = _summed(b, z, needed | set(a))
    for letter in set(a) & set(b) - needed:  # an axis of size 1 against a longer one
        n, m = np.shape(x)[a.index(letter)], np.shape(z)[b.index(letter)]
        if n == 1 != m:
            x = np.broadcast_to(
                x, tuple(m if c == letter else s for c, s in zip(a, np.shape(x), strict=True))
            )
        elif m == 1 != n:
            z = np.broadcast_to(
                z, tuple(n if c == letter else s for c, s in zip(b, np.shape(z), strict=True))
            )
    result = "".join(c for c in a if c in needed) + "".join(c for c in b if c in needed and c not in a)
    return result, contract(x, z, subscripts=f"{a},{b}->{result}")

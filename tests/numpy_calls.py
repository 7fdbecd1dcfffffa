"""A second table: NumPy's functions as people call them, to be compared with NumPy's own results.

A row is a function, and calls of it separated by semicolons; names in them are those of ``INPUTS``.
``test_complete.py`` names the functions of the composites table that have no row.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import numpy_calls_more
from sampling import apart, between, integers

INPUTS: dict[str, Any] = {
    "x": apart((3, 4), "x"), "y": apart((3, 4), "y", shift=0.01), "v": apart((4,), "v"),
    "w": apart((3,), "w"), "s": np.array(0.7),
    "t": apart((2, 3, 4), "t", 0.11), "z": apart((2, 4, 3), "z", 0.11),
    "m": apart((3, 3), "m"), "p": between(0.5, 2, (3, 4), "p"), "q": between(0.5, 2, (4,), "q"),
    "e": np.ones((0, 3)), "n": integers(-4, 5, (3, 4)), "k": integers(0, 3, (4,)),
    "small": integers(0, 9, (3, 4), np.int8), "b": integers(0, 2, (3, 4)) > 0, "f": 0.35,
    "single": between(-1, 1, (3, 4), "f32").astype(np.float32), "one": apart((1, 3, 1), "one"),
    "nan": np.array([1.0, np.nan, -np.inf, np.inf, 0.25]), "up": np.array([-0.3, 0.1, 0.45, 0.9]),
    "holes": np.array([[1.0, np.nan, 0.25, -2.0], [np.nan, 0.5, np.nan, 3.0], [0.1, 0.2, 0.3, 0.75]]),
    "a": apart((3, 3), "a") + np.diag([2.0, 3.0, 5.0]),
    "bigger": apart((6, 6), "bigger", 0.05) + 2 * np.eye(6),
}  # fmt: skip


def into(array: Any, call: Callable[[Any], Any]) -> Any:
    """What stands in an array after a call that writes into it."""
    call(array)
    return array


MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, True]])
CONSTANTS = {"np": np, "into": into, "new": np.zeros_like, "mask": MASK}


@dataclass(frozen=True)
class NumpyCall:
    """A call as text, as a function of its inputs, and the inputs."""

    text: str
    call: Callable[..., Any]
    inputs: tuple[Any, ...]
    exact: bool
    compiles: bool


def read(text: str, exact: bool, compiles: bool = True) -> NumpyCall:
    """A call from its text: the names of inputs in it become parameters."""
    found = dict.fromkeys(node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name))
    names = [name for name in found if name in INPUTS]
    call = eval(f"lambda {', '.join(names)}: {text}", CONSTANTS)
    return NumpyCall(text, call, tuple(INPUTS[name] for name in names), exact, compiles)


EXACT: dict[Any, str] = {
    np.sum: """
        np.sum(x); np.sum(x, 1); np.sum(t, (0, -1), keepdims=True); np.sum(x, 0, None, None, True);
        np.sum(x, initial=2.5); np.sum(n, -1); np.sum(x, axis=0, where=mask); np.sum(small); np.sum(b, 0);
        np.sum(single, dtype=np.float64); np.sum(e, 0); x.sum(axis=1); np.sum(x, 0, out=new(x, shape=4));
        np.add.reduce(x); np.add.reduce(x, None); np.sum(n, dtype=float); np.sum(s);
        np.add.reduce(x, 1, keepdims=True)
    """,
    np.prod: """
        np.prod(p); np.prod(p, 1, keepdims=True); np.prod(small, 0); np.prod(p, where=mask, axis=0);
        np.multiply.reduce(p, axis=0); np.prod(e, 0); np.prod(p, axis=(0, 1), initial=0.5)
    """,
    np.max: """
        np.max(x); np.max(x, 0); np.amax(x, axis=-1, keepdims=True); np.max(x, initial=0.1);
        np.max(e, axis=0, initial=0.0); np.max(n, 1); np.max(x, 0, where=mask, initial=-9.0);
        np.maximum.reduce(x, axis=1); np.max(e, 1); x.max(1); np.max(nan[2:]);
        np.max(x, 0, out=new(x, shape=4))
    """,
    np.min: """
        np.min(x); np.min(x, 0); np.amin(x, axis=-1, keepdims=True); np.min(x, initial=-0.1);
        np.min(e, axis=0, initial=0.0); x.min(); np.min(x, 0, where=mask, initial=9.0);
        np.minimum.reduce(x, axis=1)
    """,
    np.any: "np.any(b); np.any(b, 0, keepdims=True); np.any(x > 0, axis=1); np.any(n)",
    np.all: "np.all(b); np.all(b, 0); np.all(b, where=mask, axis=1); n.all(0)",
    np.mean: """
        np.mean(x); np.mean(x, 0); np.mean(t, (0, 2), keepdims=True); np.mean(n); np.mean(b, 1);
        np.mean(single, 1); np.mean(single, dtype=np.float64); np.mean(x, 0, where=mask); x.mean(-1)
    """,
    np.var: """
        np.var(x); np.var(x, 0); np.var(x, 1, ddof=1, keepdims=True); np.var(n, 0); np.var(single, 1);
        np.var(x, axis=0, correction=1); np.var(x, 1, where=mask); x.var(0);
        np.var(x, 0, mean=np.mean(x, 0, keepdims=True))
    """,
    np.std: "np.std(x); np.std(x, 0, ddof=1); np.std(n); x.std(axis=1, keepdims=True)",
    np.average: """
        np.average(x); np.average(x, 1, v); np.average(x, weights=p, axis=0);
        np.average(x, axis=-1, weights=v, returned=True); np.average(x, 0, returned=True);
        np.average(x, axis=1, weights=p, keepdims=True)
    """,
    np.ptp: "np.ptp(x); np.ptp(x, 0); np.ptp(n, axis=1, keepdims=True)",
    np.count_nonzero: """
        np.count_nonzero(n); np.count_nonzero(b, axis=0); np.count_nonzero(n, 1, keepdims=True)
    """,
    np.argmax: "np.argmax(x); np.argmax(x, 0); np.argmax(x, axis=1, keepdims=True); k.argmax()",
    np.argmin: "np.argmin(x); np.argmin(x, -1); np.argmin(x, keepdims=True); k.argmin()",
    np.cumsum: """
        np.cumsum(x); np.cumsum(x, 1); np.cumsum(small, axis=0); np.add.accumulate(x, axis=1);
        np.cumsum(single, 0, float); np.cumsum(s)
    """,
    np.cumprod: "np.cumprod(p); np.cumprod(p, 1); np.multiply.accumulate(p); small.cumprod(0)",
    np.sort: """
        np.sort(x); np.sort(x, 0); np.sort(x, axis=None); np.sort(n, kind='stable');
        into(x.copy(), lambda y: y.sort(0))
    """,
    np.argsort: "np.argsort(x); np.argsort(x, 0); np.argsort(x, axis=None); np.argsort(n, kind='stable')",
    np.diff: """
        np.diff(x); np.diff(x, 2, 1); np.diff(x, axis=0); np.diff(b); np.diff(x, prepend=0);
        np.diff(x, axis=1, append=w[:, None]); np.diff(x, n=0)
    """,
    np.where: """
        np.where(b, x, y); np.where(x > 0, x, 0.0); np.where(mask, v, x); np.where(x > 0, x, f);
        np.where(mask, single, 1.5); np.where(mask, n, 1.5)
    """,
    np.clip: """
        np.clip(x, -0.3, 0.3); np.clip(x, None, 0.2); np.clip(x, a_min=-0.1, a_max=None);
        np.clip(x, v - 1, v + 1); x.clip(-0.3, 0.3); np.clip(x, min=0.0, max=0.4); np.clip(n, -1, 2);
        np.clip(x, 0.5, -0.5); np.clip(single, -0.5, 0.5); np.clip(x, -0.2, 0.2, out=new(x));
        np.clip(nan, 0, 1); np.clip(n, -0.5, 2.5); np.clip(x, -0.3, 0.3, out=x.copy())
    """,
    np.round: """
        np.round(x); np.round(x, 2); np.around(x * 100, -1); np.round(n); np.round(n * 7, -1); x.round(1);
        np.round(single, 3); np.round(s, 1)
    """,
    np.around: "np.around(x, 1)",
    np.take: """
        np.take(x, [0, 5, -1]); np.take(x, k, 0); np.take(x, [[0, 1], [2, 2]], axis=1); np.take(x, 2);
        np.take(x, [7, -9], 1, mode='wrap'); np.take(x, [7, -9], 1, mode='clip'); x.take([1, 2], axis=-1)
    """,
    np.take_along_axis: """
        np.take_along_axis(x, np.argsort(x, 1), 1); np.take_along_axis(x, np.array([[0, 2, 1, -1]]), 0);
        np.take_along_axis(x, np.array([3, 1]), None);
        np.take_along_axis(x, np.argmax(x, 1, keepdims=True), axis=1)
    """,
    np.nan_to_num: """
        np.nan_to_num(nan); np.nan_to_num(nan, nan=1.0, posinf=2.0, neginf=-2.0); np.nan_to_num(n);
        np.nan_to_num(x)
    """,
    np.isclose: """
        np.isclose(x, y); np.isclose(x, x + 1e-09); np.isclose(nan, nan);
        np.isclose(nan, nan, equal_nan=True); np.isclose(x, 0.2, 0.1, 0.1); np.isclose(n, n)
    """,
    np.allclose: "np.allclose(x, y); np.allclose(x, x + 1e-09)",
    np.array_equal: """
        np.array_equal(x, y); np.array_equal(x, x + 0); np.array_equal(x, x[0]);
        np.array_equal(nan, nan, equal_nan=True)
    """,
    np.modf: "np.modf(x * 3); np.modf(s)",
    np.divmod: "np.divmod(p, 0.37); np.divmod(n, 3); divmod(p, 0.37)",
    np.shape: "np.zeros(np.shape(x))",
    np.ndim: "np.zeros(np.ndim(x))",
    np.size: "np.zeros(np.size(x)); np.zeros(np.size(x, 1))",
    np.copy: """
        np.copy(x); into(np.copy(x), lambda y: y.fill(1)) + x; x.copy(); x.astype(np.float32);
        n.astype(float); x.astype(np.int64); into(x.astype(float), lambda y: y.fill(1)) + x;
        into(x.astype(float, copy=False) * 1, lambda y: y.fill(1)) + x
    """,
    np.iscomplexobj: "np.array(np.iscomplexobj(x))",
    np.isrealobj: "np.array(np.isrealobj(x))",
    np.real: "np.real(x); x.real",
    np.imag: "np.imag(x); x.imag",
    np.conjugate: "np.conjugate(x); x.conj()",
    np.result_type: "np.zeros(2, np.result_type(x, single)); np.zeros(2, np.result_type(single, 1.5))",
    np.zeros_like: """
        np.zeros_like(x); np.zeros_like(n, dtype=float); np.zeros_like(x, shape=(2,));
        np.zeros_like(x, shape=5)
    """,
    np.empty_like: "into(np.empty_like(x), lambda y: y.fill(2.0)); np.negative(x, out=np.empty_like(x))",
    np.ones_like: "np.ones_like(x); np.ones_like(b); np.ones_like(x, dtype=np.int8)",
    np.full_like: """
        np.full_like(x, 3); np.full_like(n, 2.7); np.full_like(x, s); np.full_like(x, 1.5, shape=(2, 2))
    """,
    np.zeros: "np.zeros((2, 3), like=x); into(np.zeros(3, like=x), lambda y: y.__setitem__(1, x[0, 0]))",
    np.ones: "np.ones(3, like=x)",
    np.full: "np.full(3, 1.5, like=x)",
    np.empty: "into(np.empty(2, like=x), lambda y: y.fill(3.0))",
    np.eye: "np.eye(3, 2, like=x)",
    np.identity: "np.identity(3, like=x)",
    np.arange: "np.arange(1.0, 4.0, like=x)",
    np.reshape: """
        np.reshape(x, (4, 3)); np.reshape(x, -1); np.reshape(x, (2, -1), order='F'); x.reshape(2, 6);
        x.reshape((6, 2), order='F'); x.T.reshape(-1)
    """,
    np.ravel: "np.ravel(x); np.ravel(x, order='F'); x.T.ravel(); np.ravel(s); x.flatten(); x.flatten('F')",
    np.transpose: """
        np.transpose(x); np.transpose(t, (2, 0, 1)); t.transpose(1, 0, 2); t.transpose((-1, 0, 1)); v.T
    """,
    np.matrix_transpose: "np.matrix_transpose(t); t.mT",
    np.swapaxes: "np.swapaxes(t, 0, -1); t.swapaxes(1, 2)",
    np.moveaxis: "np.moveaxis(t, 0, -1); np.moveaxis(t, (0, 1), (-1, 0))",
    np.expand_dims: "np.expand_dims(x, 0); np.expand_dims(x, (0, -1))",
    np.squeeze: """
        np.squeeze(one); np.squeeze(one, 0); np.squeeze(one, axis=(0, -1)); x.squeeze();
        one.squeeze(axis=2)
    """,
    np.flip: "np.flip(x); np.flip(x, 1); np.flip(t, (0, 2))",
    np.flipud: "np.flipud(x)",
    np.fliplr: "np.fliplr(x)",
    np.atleast_1d: "np.atleast_1d(s); np.atleast_1d(s, x)",
    np.atleast_2d: "np.atleast_2d(s); np.atleast_2d(v); np.atleast_2d(t)",
    np.broadcast_to: "np.broadcast_to(v, (3, 4)); np.broadcast_to(s, 3); np.broadcast_to(x, (2, 3, 4))",
    np.broadcast_arrays: "np.broadcast_arrays(x, v); np.broadcast_arrays(s, v)",
    np.diagonal: """
        np.diagonal(m); np.diagonal(x, 1); np.diagonal(x, -1); np.diagonal(t, 0, 1, 2); m.diagonal()
    """,
    np.trace: "np.trace(m); np.trace(x, 1); np.trace(t, axis1=1, axis2=2); n.trace()",
    np.diag: "np.diag(v); np.diag(v, -1); np.diag(m); np.diag(m, 1)",
    np.tril: "np.tril(m); np.tril(t, 1); np.tril(n, -1)",
    np.triu: "np.triu(m); np.triu(t, -1); np.triu(n, 1)",
    np.concatenate: """
        np.concatenate([x, y]); np.concatenate((x, y), 1); np.concatenate([x, v], axis=None);
        np.concatenate([x, n], axis=-1); np.concatenate([single, x], dtype=np.float32, casting='same_kind');
        np.concatenate([x, [[1, 2, 3, 4]]])
    """,
    np.stack: """
        np.stack([x, y]); np.stack([x, y], axis=-1); np.stack([x[0, 0], x[1, 1], 2.0]); np.stack([v, k], 1)
    """,
    np.hstack: "np.hstack([x, y]); np.hstack((v, w)); np.hstack([s, s, 1.0])",
    np.vstack: "np.vstack([x, y]); np.vstack((v, x))",
    np.column_stack: "np.column_stack([x, w]); np.column_stack((v, q))",
    np.split: "np.split(x, 2, axis=1); np.split(x, [1, 2]); np.split(x, (1, -1), -1); np.split(x, 3)",
    np.array_split: "np.array_split(v, 3); np.array_split(x, 3, 1)",
    np.pad: """
        np.pad(x, 1); np.pad(x, (1, 2)); np.pad(x, ((1, 0), (0, 2)));
        np.pad(x, 1, 'constant', constant_values=2.5); np.pad(n, 1, constant_values=3);
        np.pad(x, 1, constant_values=((1, 2), (3, 4)))
    """,
    np.roll: """
        np.roll(x, 2); np.roll(x, -1, 1); np.roll(x, (1, 2), (0, 1)); np.roll(x, 1, (0, 1));
        np.roll(x, (1, 2), 0); np.roll(x, 5, axis=-1); np.roll(e, 1, 0)
    """,
    np.tile: "np.tile(v, 2); np.tile(x, (2, 1)); np.tile(v, (2, 1, 2)); np.tile(x, 2); np.tile(s, 3)",
    np.repeat: """
        np.repeat(v, 2); np.repeat(x, 2, 0); np.repeat(x, [1, 0, 2, 1], axis=1); x.repeat(3, axis=1);
        np.repeat(s, 2)
    """,
}

# Sums of products, which BLAS adds in another order than einsum.
NEAR: dict[Any, str] = {
    np.matmul: """
        x @ y.T; x @ v; w @ x; v @ q; t @ z; np.matmul(x, z); t @ v; n @ k; single @ x.T;
        np.matmul(x, y.T, out=new(x, shape=(3, 3)))
    """,
    np.dot: """
        np.dot(x, y.T); np.dot(v, q); np.dot(x, s); np.dot(t, x.T); np.dot(x, z); np.dot(t, v); x.dot(v);
        np.dot(v, q) * v; np.dot(x, y.T, out=new(x, shape=(3, 3)))
    """,
    np.inner: "np.inner(v, q); np.inner(x, y); np.inner(x, s); np.inner(t, x)",
    np.vdot: "np.vdot(x, y); np.vdot(v, q); np.vdot(x + 1j * y, y * 1j)",
    np.outer: "np.outer(v, w); np.outer(x, w); np.multiply.outer(v, w); np.add.outer(v, w)",
    np.tensordot: """
        np.tensordot(x, y); np.tensordot(t, z, ([1, 2], [2, 1])); np.tensordot(t, v, 1);
        np.tensordot(v, w, 0); np.tensordot(t, x, axes=([1], [0])); np.tensordot(t, x, axes=(-1, 1))
    """,
    np.kron: "np.kron(x, m); np.kron(v, w); np.kron(v, m)",
    np.einsum: """
        np.einsum('ij,kj->ik', x, y); np.einsum('ij,ij', x, y); np.einsum('ii', m); np.einsum('ii->i', m);
        np.einsum('ij->ji', x); np.einsum('ij->', x); np.einsum('bij,bjk->bik', t, z);
        np.einsum('...ij,ij->...', t, x); np.einsum('...j,j', t, v); np.einsum('ij,j,i->', x, v, w);
        np.einsum('ij,kj,ki->k', x, y, m); np.einsum('ij,k->jk', x, w); np.einsum('ij, ij -> i', x, y);
        np.einsum('i...->...', t); np.einsum('bij,bjk', t, z); np.einsum('ii,i->i', m, w);
        np.einsum('ij,kj->ik', x, y, optimize=True); np.einsum('i,j', v, w)
    """,
    np.linalg.norm: """
        np.linalg.norm(x); np.linalg.norm(x, axis=1); np.linalg.norm(x, axis=0, keepdims=True);
        np.linalg.norm(v, 1); np.linalg.norm(v, np.inf); np.linalg.norm(v, -np.inf); np.linalg.norm(v, 3);
        np.linalg.norm(x, 0.5, axis=1); np.linalg.norm(x, 'fro'); np.linalg.norm(x, 2, axis=-1);
        np.linalg.norm(n, axis=0); np.linalg.norm(t); np.linalg.norm(t, axis=(1, 2));
        np.linalg.norm(single, axis=1); np.linalg.norm(x, keepdims=True);
        np.linalg.norm(t, 'fro', axis=(0, 2))
    """,
}


TABLES = (
    (EXACT, True, True), (NEAR, False, True), (numpy_calls_more.EXACT, True, True),
    (numpy_calls_more.NEAR, False, True), (numpy_calls_more.BY_VALUE, False, False),
)  # fmt: skip
"""Each with: whether results are equal to the last bit, and whether the calls compile."""


def calls() -> Iterator[NumpyCall]:
    """Every call of all tables."""
    for table, exact, compiles in TABLES:
        for texts in table.values():
            for text in texts.split(";"):
                yield read(" ".join(text.split()), exact, compiles)

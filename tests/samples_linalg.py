"""Samples of linear algebra, Fourier transforms, complex parts and special functions; see ``samples``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from boxgrad.functions import special
from boxgrad.graph.primitive import primitive_named
from boxgrad.ops import fourier
from sampling import Sample, apart, between, integers

BATCHES: tuple[tuple[int, ...], ...] = ((), (1,), (3,), (2, 1), (0,))


def regular(shape: tuple[int, ...], name: str = "") -> np.ndarray:
    """Matrices far from singular, whose singular values are apart."""
    a = between(-0.7, 0.7, shape, name)
    n = min(shape[-2:])
    return a + np.eye(*shape[-2:]) * (2 + 2 * np.arange(shape[-1])) if n else a


def symmetric(a: Any) -> Any:
    return a + a.swapaxes(-1, -2)


def positive(a: Any) -> Any:
    return a @ a.swapaxes(-1, -2) + np.eye(a.shape[-1])


def joined(*results: Any) -> Any:
    """All results as one array."""
    return np.concatenate([np.ravel(x) for x in results])


def decomposed(function: Callable[..., Any], x: Any, **options: Any) -> Any:
    return joined(*function(x, **options))


def eigenvectors(x: Any) -> Any:
    """Eigenvalues, and eigenvectors each times its first element: their signs are not determined."""
    w, v = np.linalg.eigh(x)
    return joined(w, v * v[..., :1, :])


def singular_vectors(x: Any) -> Any:
    u, s, v = np.linalg.svd(x, full_matrices=False)
    return joined(u * u[..., :1, :], s, v * v[..., :1], u[..., 0, :] * v[..., 0])


def linear_algebra() -> Iterator[Sample]:
    for batch in BATCHES:
        for n in (1, 2, 4):
            a, note = regular((*batch, n, n), "a"), f"{n}"
            yield Sample("det", np.linalg.det, (a,), 2, True, note)
            yield Sample("cofactor", primitive_named("cofactor"), (a,), 2, False, note)
            yield Sample("solve", np.linalg.inv, (a,), 2, True, f"inv {note}")
            yield Sample("solve", np.linalg.solve, (a, between(-1, 1, (*batch, n, 3))), 2, True, note)
            logdet = lambda x: np.linalg.slogdet(x).logabsdet
            yield Sample("slogdet", logdet, (a,), 2, False, note)
            yield Sample("slogdet", lambda x: np.linalg.slogdet(x)[0] * x[..., 0, 0], (a,), 2, False, note)
            yield Sample("cholesky", lambda x: np.linalg.cholesky(positive(x)), (a,), 2, False, note)
            yield Sample("cholesky", np.linalg.cholesky, (positive(a),), 2, False, f"itself {note}")
            yield Sample("eigh", lambda x: eigenvectors(symmetric(x)), (a,), 2, False, note)
            values = lambda x: np.linalg.eigh(x).eigenvalues
            yield Sample("eigh", values, (symmetric(a),), 2, False, f"values {note}")
        for m, n in ((1, 3), (3, 1), (3, 2), (2, 4), (3, 3)):
            a, note = regular((*batch, m, n), "r"), f"{m}x{n}"
            yield Sample("svd", singular_vectors, (a,), 2, False, note)
            values = lambda x: np.linalg.svd(x, full_matrices=False)[1]
            yield Sample("svd", values, (a,), 2, False, f"values {note}")
            if m >= n:
                yield Sample("qr", partial(decomposed, np.linalg.qr), (a,), 2, False, note)
                yield Sample("qr", lambda x: np.linalg.qr(x).R, (a,), 2, False, f"r {note}")
            yield Sample("pinv", np.linalg.pinv, (a,), 2, False, note)
    yield Sample("solve", np.linalg.solve, (regular((2, 2)), between(-1, 1, (2,))), 2, True, "vector")
    yield Sample("solve", np.linalg.solve, (regular((2, 2)), between(-1, 1, (3, 2, 1))), 2, True, "broadcast")
    yield Sample(
        "solve", np.linalg.solve, (integers(1, 5, (2, 2)), between(-1, 1, (2, 1))), 2, True, "integers"
    )
    low = between(-1, 1, (4, 2)) @ between(-1, 1, (2, 3), "low")
    yield Sample(
        "pinv",
        lambda x, z: primitive_named("pinv")(x @ z, np.array(1e-4)),
        (low[:, :2], low[:2]),
        2,
        False,
        "low",
    )


def fourier_transforms() -> Iterator[Sample]:
    for shape, axis in (((1,), 0), ((5,), 0), ((3, 4), 1), ((3, 4), 0), ((2, 0, 3), 2), ((2, 3, 4), 1)):
        x = between(-1, 1, shape, "fft")
        for inverse in (False, True):
            call = lambda x, axis=axis, inverse=inverse: fourier.fft(x, axis=axis, inverse=inverse)
            yield Sample(
                "fft", lambda x, f=call: f(x).real - 2 * f(x).imag, (x,), 2, False, f"{axis} {inverse}"
            )
            twice = lambda x, f=call: np.abs(f(f(x) * x + 2)) ** 2
            yield Sample("fft", twice, (x,), 2, False, f"complex {axis} {inverse}")


def z(x: Any, y: Any) -> Any:
    return x * np.exp(1j * y) + y


def complex_parts() -> Iterator[Sample]:
    for shape in ((3,), (2, 1), (0, 2)):
        x, y = apart(shape, "re"), apart(shape, "im", shift=0.03)
        yield Sample("real", lambda x, y: np.real(z(x, y)), (x, y))
        yield Sample("imag", lambda x, y: np.imag(z(x, y)), (x, y))
        yield Sample("conjugate", lambda x, y: np.conjugate(z(x, y)).imag * y, (x, y))
        yield Sample("absolute", lambda x, y: np.abs(z(x, y)), (x, y), note="complex")
        yield Sample("sign", lambda x, y: np.sign(z(x, y)).imag, (x, y), note="complex")
        yield Sample("power", lambda x, y: (z(x, y) ** z(y, x)).real, (x, y), note="complex")
        yield Sample("arctan2", lambda x, y: np.angle(z(x, y)), (x + 4, y), note="angle")


SPECIAL = {"erf": (-2, 2), "erfc": (-2, 3), "erfinv": (-0.8, 0.8), "gammaln": (0.5, 4)}


def special_functions() -> Iterator[Sample]:
    for name, (low, high) in SPECIAL.items():
        for shape in ((), (2, 3), (0,), "float"):
            analytic = name.startswith("erf") and name != "erfinv" and shape != "float"
            yield Sample(name, getattr(special, name), (between(low, high, shape, name),), 2, analytic)
    for order in (0, 1, 2):
        for shape in ((), (2, 3), (0,)):
            call = partial(special.polygamma, order=order)
            yield Sample("polygamma", call, (between(0.5, 4, shape, "psi"),), 2, False, f"{order}")

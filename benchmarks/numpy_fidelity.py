"""Twenty programs as people write them in NumPy, and what four libraries make of their gradients.

A library *works* where the gradient agrees with differences of the program on plain arrays, *refuses* where
it raises an error, *warns* where it gives another answer with a warning, and is *wrong* where it gives one
without a word. Programs are given the library's own namespace (``np`` below: numpy, autograd.numpy,
jax.numpy; for MyGrad its own functions where it has them, else NumPy's), and are the same text for all.

    python benchmarks/numpy_fidelity.py [--page docs/numpy-side-by-side.md] [--json FILE]

Needs: numpy, boxgrad, autograd, mygrad, jax (those not installed are left out).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import itertools
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

import boxgrad

Program = Callable[[Any, Any], Any]
PROGRAMS: dict[str, tuple[str, Program, Any]] = {}
X = numpy.array([0.3, 1.2, -0.7, 2.1, 0.9, -1.4])
M = numpy.array([[2.1, 0.3, -0.4], [0.6, 3.2, 0.15], [-0.25, 0.5, 1.7]])


def program(title: str, x: Any) -> Callable[[Program], Program]:
    """Add a program, evaluated at x."""

    def note(function: Program) -> Program:
        PROGRAMS[function.__name__] = title, function, x
        return function

    return note


# ---- in place
@program("a loop that updates in place", X)
def heat(np: Any, x: Any) -> Any:
    u = x * 1.0
    for _ in range(4):
        u[1:-1] += 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
    return np.sum(u**2)


@program("elements written into a new array", X)
def recurrence(np: Any, x: Any) -> Any:
    y = np.zeros_like(x)
    y[0] = x[0]
    for i in range(1, 6):
        y[i] = 0.5 * y[i - 1] + np.sin(x[i])
    return np.sum(y**2)


@program("a sum collected in a plain array: h += x", X)
def collected(np: Any, x: Any) -> Any:
    h = np.zeros(6)
    for k in range(3):
        h += x**k
    return np.sum(h**2)


@program("out=", X)
def out(np: Any, x: Any) -> Any:
    y = np.zeros_like(x)
    np.multiply(x, x, out=y)
    np.add(y, x, out=y)
    return np.sum(np.sin(y))


@program("out= with where=", X)
def partly(np: Any, x: Any) -> Any:
    y = np.zeros_like(x)
    np.exp(x, out=y, where=x < 1)
    return np.sum(y * x)


@program("np.add.at with repeated positions", X)
def scattered(np: Any, x: Any) -> Any:
    y = np.zeros_like(x)
    np.add.at(y, [0, 0, 1, 3, 3, 3], x**2)
    return np.sum(y**3)


@program("np.fill_diagonal, np.copyto", M)
def filled(np: Any, x: Any) -> Any:
    y = np.zeros_like(x)
    np.copyto(y, x**2)
    np.fill_diagonal(y, x[0])
    return np.sum(np.sin(y))


# ---- views
@program("a write through a transpose", M)
def transposed(np: Any, x: Any) -> Any:
    y = x * 1.0
    y.T[0] = x[1] ** 2
    return np.sum(y**3)


@program("a write through a reshape of a slice", M)
def reshaped(np: Any, x: Any) -> Any:
    y = x * 1.0
    row = y[1:].reshape(-1)
    row[::2] *= 3.0
    y[2] += y[1]
    return np.sum(np.sin(y))


@program("a view read after its base was written", X)
def seen(np: Any, x: Any) -> Any:
    y = x * 1.0
    part = y[2:5]
    y *= 2.0
    y[3] = x[0]
    return np.sum(part**2)


# ---- masks and choices
@program("x[mask] += v", X)
def masked(np: Any, x: Any) -> Any:
    y = x * 1.0
    y[y > 0.5] += x[0] * x[1]
    y[y < 0] = 0.1
    return np.sum(y**2)


@program("median, percentile, sort", X)
def ordered(np: Any, x: Any) -> Any:
    return np.median(x) ** 2 + np.percentile(x, 30) * np.sum(np.sort(x)[:3] ** 2)


@program("prod and cumprod with a 0", numpy.array([0.5, 0.0, 2.0, 1.5]))
def product(np: Any, x: Any) -> Any:
    return np.prod(x + 0.0) + np.sum(np.cumprod(x)[1:])


@program("norm with axis= and keepdims=", M)
def normalised(np: Any, x: Any) -> Any:
    return np.sum(np.sin(x / np.linalg.norm(x, axis=1, keepdims=True)))


# ---- linear algebra, interpolation, convolution
@program("solve and slogdet of a Gaussian", M)
def gaussian(np: Any, x: Any) -> Any:
    covariance = x @ x.T + np.eye(3)
    r = np.array([1.0, -0.5, 2.0])
    return r @ np.linalg.solve(covariance, r) + np.linalg.slogdet(covariance)[1]


@program("singular values and eigenvalues", M)
def spectra(np: Any, x: Any) -> Any:
    values = np.linalg.svd(x, compute_uv=False)
    return np.sum(np.sqrt(values)) + np.sum(np.linalg.eigvalsh(x + x.T) ** 2)


@program("pinv, qr, cholesky", M)
def factorised(np: Any, x: Any) -> Any:
    q, r = np.linalg.qr(x)
    return np.sum(np.linalg.pinv(x[:, :2]) ** 2) + np.sum(q * r) + np.sum(np.linalg.cholesky(x @ x.T))


@program("interp, convolve, gradient", X)
def sampled(np: Any, x: Any) -> Any:
    y = np.convolve(x, np.array([0.25, 0.5, 0.25]), mode="same")
    z = np.interp(np.array([0.1, 0.45, 0.8]), np.array([0.0, 0.4, 0.6, 1.0]), x[:4])
    return np.sum(np.gradient(y) ** 2) + np.sum(z**2)


# ---- complex numbers
@program("complex exponentials", X)
def waves(np: Any, x: Any) -> Any:
    z = np.exp(1j * x) + x
    return np.sum(np.abs(z) * np.real(z * np.conj(z) ** 2))


@program("a filter by FFT", X)
def filtered(np: Any, x: Any) -> Any:
    spectrum = np.fft.rfft(x)
    spectrum = spectrum * np.exp(-np.arange(4) / 2.0)
    return np.sum(np.fft.irfft(spectrum, 6) ** 3) + np.sum(np.abs(np.fft.fft(x)))


# ---- the libraries
class Either:
    """The names of one namespace, and of another where it lacks them."""

    def __init__(self, first: Any, second: Any) -> None:
        self.first, self.second = first, second

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.first, name, None)
        return getattr(self.second, name) if found is None else found


def _boxgrad(function: Program, x: Any) -> Any:
    return boxgrad.value_and_grad(lambda x: function(numpy, x))(x)


def _mygrad(function: Program, x: Any) -> Any:
    mygrad = importlib.import_module("mygrad")
    leaf = mygrad.tensor(x)
    y = function(Either(mygrad, numpy), leaf)
    if not isinstance(y, mygrad.Tensor):
        return float(y), numpy.zeros_like(x)  # an answer that has forgotten where it came from
    y.backward()
    return float(y.data), numpy.zeros_like(x) if leaf.grad is None else leaf.grad


def _autograd(function: Program, x: Any) -> Any:
    autograd = importlib.import_module("autograd")
    namespace = importlib.import_module("autograd.numpy")
    return autograd.value_and_grad(lambda x: function(namespace, x))(x)


def _jax(function: Program, x: Any) -> Any:
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    return jax.value_and_grad(lambda x: function(jax.numpy, x))(jax.numpy.asarray(x))


LIBRARIES: dict[str, tuple[str, Callable[[Program, Any], Any]]] = {
    "boxgrad": ("boxgrad", _boxgrad),
    "MyGrad": ("mygrad", _mygrad),
    "HIPS autograd": ("autograd", _autograd),
    "JAX": ("jax", _jax),
}


def reference(function: Program, x: Any) -> tuple[float, Any]:
    """The value on plain arrays, and its slopes by differences, extrapolated twice."""
    gradient = numpy.zeros_like(x)
    for place in numpy.ndindex(*x.shape):
        step = numpy.zeros_like(x)
        step[place] = 1.0
        rows = [
            (function(numpy, x + h * step) - function(numpy, x - h * step)) / (2 * h)
            for h in (4e-3, 2e-3, 1e-3, 5e-4)
        ]
        for order in range(1, 4):
            rows = [b + (b - a) / (4**order - 1) for a, b in itertools.pairwise(rows)]
        gradient[place] = rows[0]
    return float(function(numpy, x)), gradient


def verdict(run: Callable[[Program, Any], Any], function: Program, x: Any) -> tuple[str, str]:
    """What a library makes of a program, and its error if it raised one."""
    value, wanted = reference(function, x)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            got, gradient = run(function, x.copy())
        except Exception as error:
            lines = str(error).strip().splitlines()
            return "refuses", f"{type(error).__name__}: {lines[0] if lines else ''}"
    right = numpy.allclose(float(got), value, 1e-8) and numpy.allclose(gradient, wanted, 1e-6, 1e-7)
    if right:
        return "works", ""
    return ("warns" if caught else "wrong"), "" if not caught else str(caught[0].message)


def page(found: dict[str, dict[str, tuple[str, str]]], versions: dict[str, str]) -> str:
    """The results as Markdown."""
    names = list(versions)
    lines = [
        "# Twenty programs side by side",
        "",
        "What four libraries make of the gradients of twenty programs. Their text is in "
        "`benchmarks/numpy_fidelity.py`, which made this page. *Works*: the gradient agrees with "
        "differences of "
        "the program on plain arrays. *Refuses*: an error. *Warns*: another answer, with a warning. "
        "**Wrong**: "
        "another answer without a word. That JAX refuses to write into its arrays is by design: one writes "
        "`x.at[...]` there.",
        "",
        "| | " + " | ".join(f"{name} {versions[name]}" for name in names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for key, (title, _, _) in PROGRAMS.items():
        marks = [found[name][key][0] for name in names]
        lines.append(f"| {title} | " + " | ".join("**wrong**" if m == "wrong" else m for m in marks) + " |")
    totals = [[found[name][key][0] for key in PROGRAMS].count("works") for name in names]
    lines.append("| **works** | " + " | ".join(f"**{n} of {len(PROGRAMS)}**" for n in totals) + " |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Run all programs in all libraries and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--page", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, dict[str, tuple[str, str]]] = {}
    versions: dict[str, str] = {}
    for name, (module, run) in LIBRARIES.items():
        try:
            importlib.import_module(module)
        except ImportError:
            continue
        versions[name] = importlib.metadata.version(module) if module != "boxgrad" else boxgrad.__version__
        found[name] = {key: verdict(run, f, x) for key, (_, f, x) in PROGRAMS.items()}
    text = page(found, versions)
    print(text)
    for name, results in found.items():
        for key, (kind, message) in results.items():
            if kind != "works":
                print(f"{name}, {key}: {kind} {message[:150]}")
    if options.page:
        options.page.write_text(text, encoding="utf-8")
    if options.json:
        options.json.write_text(
            json.dumps({"versions": versions, "results": found}, indent=1), encoding="utf-8"
        )


if __name__ == "__main__":
    main()

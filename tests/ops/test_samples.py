"""The sample table: each row's types, listing, compilation, and derivatives to second order."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad.graph.evaluate import evaluate
from boxgrad.listing.check import check
from boxgrad.listing.text import parse, text
from boxgrad.types import ArrayType
from numeric import assert_near, complex_step, direction, inner, is_real, richardson
from samples import SAMPLES, Sample

rows = pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
smooth = [sample for sample in SAMPLES if sample.order]
smooth_rows = pytest.mark.parametrize("sample", smooth, ids=[sample.name for sample in smooth])


def same(got, wanted):
    """Equal in type and in every bit."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    assert got.tobytes() == wanted.tobytes() or np.array_equal(got, wanted, equal_nan=got.dtype.kind == "f")


def traced_inputs(sample):
    return [x for x in sample.inputs if isinstance(x, (np.ndarray, np.generic, float))]


@rows
def test_types(sample: Sample):
    """The type rule gives the type of NumPy's own result; so does tracing with values."""
    wanted = np.asarray(sample.call(*sample.inputs))
    graph = bg.trace(sample.call, *sample.inputs)
    check(graph)
    (node,) = graph.outputs
    assert (node.shape, node.dtype) == (wanted.shape, wanted.dtype)
    assert sample.primitive in {node.primitive.name for node in graph.nodes if node.primitive}
    (valued,) = bg.trace(sample.call, *sample.inputs, keep_values=True).outputs
    assert (valued.shape, valued.dtype) == (wanted.shape, wanted.dtype)
    same(valued.value, wanted)


@rows
def test_listing(sample: Sample):
    """The listing parses back to a graph that prints the same and computes the same bits."""
    graph = bg.trace(sample.call, *sample.inputs)
    listing = text(graph)
    again = parse(listing)
    assert text(again) == listing
    values = traced_inputs(sample)
    same(evaluate(again, values)[0], sample.call(*sample.inputs))


@rows
def test_compiled(sample: Sample):
    """The NumPy engine gives the same bits as the call itself."""
    compiled = bg.compile(sample.call, engine="numpy")
    for _ in range(2):
        same(compiled(*sample.inputs), sample.call(*sample.inputs))


def floats(sample):
    return [i for i, x in enumerate(sample.inputs) if is_real(x)]


def seeded(sample, g):
    """The sum of the results, each times a number of its own."""
    return lambda *xs: np.sum(sample.call(*xs) * g)


def along(sample, g, vs):
    """The derivative of the seeded call along a direction, by the rules."""
    chosen = floats(sample)

    def slope(*xs):
        gradients = bg.grad(seeded(sample, g), argnums=chosen)(*xs)
        return sum(np.sum(d * vs[i]) for d, i in zip(gradients, chosen, strict=True))

    return slope


@smooth_rows
def test_derivatives(sample: Sample):
    """First and second derivatives, with random gradients of the result, against references without rules."""
    random = np.random.default_rng(1)
    xs, chosen = list(sample.inputs), floats(sample)
    reference = complex_step if sample.analytic else richardson
    tolerance = 1e-12 if sample.analytic else 1e-9
    g = random.normal(size=np.shape(sample.call(*xs)))
    gradients = bg.grad(seeded(sample, g), argnums=chosen)(*xs)
    for x, d in zip((xs[i] for i in chosen), gradients, strict=True):
        assert (np.shape(d), d.dtype) == (np.shape(x), np.asarray(x).dtype)
    for _ in range(2):
        vs = direction(xs, random)
        wanted = np.sum(reference(sample.call, xs, vs) * g)
        got = inner(gradients, [vs[i] for i in chosen])
        assert_near(got, wanted, "first derivative", tolerance)
    vs, ws = direction(xs, random), direction(xs, random)

    def slope(*xs):
        if sample.analytic:
            return np.sum(complex_step(sample.call, xs, vs) * g)
        return along(sample, g, vs)(*xs)

    wanted = richardson(slope, xs, ws)
    second = bg.grad(along(sample, g, vs), argnums=chosen)(*xs)
    assert_near(inner(second, [ws[i] for i in chosen]), wanted, "second derivative")


@smooth_rows
def test_forward(sample: Sample):
    """jvp agrees with the reference in every entry of the result."""
    xs = list(sample.inputs)
    vs = direction(xs, np.random.default_rng(2))
    reference, tolerance = (complex_step, 1e-12) if sample.analytic else (richardson, 1e-9)
    tangents = [np.zeros(np.shape(x)) if v is None else v for x, v in zip(xs, vs, strict=True)]
    value, change = bg.jvp(sample.call, xs, tangents)
    same(value, sample.call(*xs))
    assert_near(change, reference(sample.call, xs, vs), "along a direction", tolerance)


@smooth_rows
def test_compiled_gradient(sample: Sample):
    """A gradient compiled by the NumPy engine has the bits of the gradient."""
    g = np.random.default_rng(3).normal(size=np.shape(sample.call(*sample.inputs)))
    gradient = bg.grad(seeded(sample, g), argnums=floats(sample))
    compiled = bg.compile(gradient, engine="numpy")
    for got, wanted in zip(compiled(*sample.inputs), gradient(*sample.inputs), strict=True):
        same(got, wanted)


@smooth_rows
def test_single_precision(sample: Sample):
    """float32 arguments have float32 gradients, near those of float64."""
    g = np.random.default_rng(4).normal(size=np.shape(sample.call(*sample.inputs)))
    narrow = [x.astype(np.float32) if isinstance(x, np.ndarray) and is_real(x) else x for x in sample.inputs]
    chosen = floats(sample)
    exact = bg.grad(seeded(sample, g), argnums=chosen)(*sample.inputs)
    single = bg.grad(seeded(sample, g.astype(np.float32)), argnums=chosen)(*narrow)
    for i, wanted, got in zip(chosen, exact, single, strict=True):
        assert got.dtype == ArrayType.of(narrow[i]).dtype
        assert_near(got, wanted, "single precision", 2e-3)


def test_no_warnings_are_hidden():
    """The suite treats warnings as errors, so a rule that divides by 0 would be seen here."""
    with pytest.raises(RuntimeWarning, match="divide by zero"):
        bg.grad(np.sqrt)(0.0)

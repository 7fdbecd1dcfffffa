"""Samples of windows, loops and random bits; see ``samples``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import boxgrad as bg
from boxgrad.graph.primitive import primitive_named
from sampling import Call, Sample, apart, between

# ---- windows: sizes of x, of w, and the options
CONVOLUTIONS: tuple[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]], ...] = (
    ((1, 1, 5), (1, 1, 3), {}),
    ((3, 2, 6), (4, 2, 3), {"stride": 2, "padding": 1}),
    ((1, 2, 7), (2, 1, 2), {"dilation": 2, "groups": 2}),
    ((1, 2, 4, 3), (3, 2, 2, 3), {}),
    ((3, 2, 5, 4), (2, 2, 3, 2), {"stride": (2, 1), "padding": (1, 0)}),
    ((1, 4, 4, 4), (4, 1, 3, 3), {"padding": 1, "groups": 4}),
    ((1, 2, 5, 6), (2, 2, 2, 2), {"dilation": (2, 3), "stride": 2, "padding": ((1, 0), (0, 2))}),
    ((1, 1, 3, 3, 4), (2, 1, 2, 2, 3), {"padding": 1, "stride": (1, 2, 1)}),
    ((0, 2, 4), (1, 2, 3), {}),
)
TRANSPOSED: tuple[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]], ...] = (
    ((1, 2, 4), (2, 3, 3), {}),
    ((3, 2, 3), (2, 1, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((1, 4, 3, 2), (4, 1, 2, 3), {"stride": (2, 1), "groups": 2, "dilation": (1, 2)}),
    ((1, 1, 2, 2, 2), (1, 2, 2, 1, 2), {"stride": 2}),
)
POOLINGS: tuple[tuple[tuple[int, ...], Any, dict[str, Any]], ...] = (
    ((1, 1, 6), 2, {}),
    ((3, 2, 7), 3, {"stride": 2, "padding": 1}),
    ((1, 2, 4, 6), 2, {}),
    ((3, 1, 5, 4), (3, 2), {"stride": (1, 2), "padding": (1, 0)}),
    ((2, 5, 4), (2, 2), {"stride": 1}),
    ((1, 1, 4, 2, 4), 2, {}),
    ((0, 2, 4), 2, {}),
)


def parameters_of(call: Call, *inputs: Any) -> tuple[dict[str, Any], tuple[int, ...]]:
    """The parameters of the first box that a call makes, and the shape of its result."""
    node = next(node for node in bg.trace(call, *inputs).nodes if node.primitive is not None)
    return node.parameters, node.shape


def windows() -> Iterator[Sample]:
    for size, kernel, options in CONVOLUTIONS:
        call = partial(bg.conv, **options)
        x, w = between(-1, 1, size, "x"), between(-1, 1, kernel, "w")
        yield Sample("conv", call, (x, w), note=f"{options}")
        parameters, shape = parameters_of(call, x, w)
        filters = partial(primitive_named("conv_filter_gradient"), kernel=kernel[2:], **parameters)
        yield Sample(
            "conv_filter_gradient", filters, (x, between(-1, 1, shape, "g")), note=f"{kernel} {options}"
        )
    for size, kernel, options in TRANSPOSED:
        inputs = between(-1, 1, size, "x"), between(-1, 1, kernel, "w")
        yield Sample("conv_input_gradient", partial(bg.conv_transpose, **options), inputs, note=f"{options}")
    for size, kernel, options in POOLINGS:
        note = f"{kernel} {options}"
        x = apart(size, "pool")
        yield Sample("max_pool", partial(bg.max_pool, size=kernel, **options), (x,), note=note)
        yield Sample("avg_pool", partial(bg.avg_pool, size=kernel, **options), (x,), note=note)
        parameters, shape = parameters_of(partial(bg.max_pool, size=kernel, **options), x)
        g = between(-1, 1, shape, "g")
        scatter = partial(primitive_named("max_pool_scatter"), **parameters)
        yield Sample("max_pool_scatter", scatter, (g, x), note=note)
        select = partial(primitive_named("max_pool_select"), **parameters)
        yield Sample("max_pool_select", select, (between(-1, 1, size, "t"), x), note=note)
        sizes = size[len(size) - len(parameters["size"]) :]
        back = partial(primitive_named("avg_pool_input_gradient"), shape=sizes, **parameters)
        yield Sample("avg_pool_input_gradient", back, (g,), note=note)


# ---- loops: all results of a scan, flattened into one array
def _flat(*results: Any) -> Any:
    return np.concatenate([np.reshape(x, (-1,)) for x in bg.tree.leaves(results)])


def _cell(U: Any, V: Any) -> Call:
    def cell(h: Any, x: Any) -> Any:
        h = np.tanh(h @ U + x @ V)
        return h, h * h

    return cell


def _rnn(h: Any, xs: Any, U: Any, V: Any, **options: Any) -> Any:
    return _flat(*bg.scan(_cell(U, V), h, xs, **options))


def _pairs(a: Any, b: Any, xs: Any, k: Any) -> Any:
    def cell(carry: Any, x: Any) -> Any:
        a, (b,) = carry["a"], carry["rest"]
        a, b = a * x["u"] + np.sin(b), b + k * a * x["v"]
        return {"a": a, "rest": (b,)}, (a * b, {"square": b**2})

    return _flat(*bg.scan(cell, {"a": a, "rest": (b,)}, {"u": xs, "v": np.cos(xs)}))


def _counting(x: Any, xs: Any) -> Any:
    def cell(carry: Any, x: Any) -> Any:
        h, n = carry
        h = h * 0.5 + x * n
        return (h, n + 1), h

    (h, _), ys = bg.scan(cell, (x, np.zeros((), np.int64)), xs)
    return _flat(h, ys)


def _without_sequences(x: Any, k: Any) -> Any:
    return _flat(*bg.scan(lambda h, _: (np.sin(h) * k, h), x, None, length=4))


def _plain_carry(xs: Any, w: Any) -> Any:
    return _flat(*bg.scan(lambda c, x: (c, np.exp(x * w) + c), 0.5, xs))


def _windows_in_loop(x: Any, xs: Any) -> Any:
    def cell(h: Any, x: Any) -> Any:
        h = np.sum(h[:, None] * x, axis=1) + h[::-1]
        return h, h[0]

    return _flat(*bg.scan(cell, x, xs))


def loops() -> Iterator[Sample]:
    for name in ("scan", "item"):
        for batch in (1, 3):
            inputs = (
                between(-1, 1, (batch, 2), "h"), between(-1, 1, (4, batch, 3), "xs"),
                between(-1, 1, (2, 2), "U"), between(-1, 1, (3, 2), "V"),
            )  # fmt: skip
            yield Sample(name, _rnn, inputs, 2, True)
        yield Sample(name, lambda *xs: _rnn(*xs, reverse=True), inputs, 2, True, "reverse")
    numbers = (between(-1, 1, (2,), "a"), between(-1, 1, (2,), "b"))
    yield Sample("scan", _pairs, (*numbers, between(-1, 1, (3, 2)), between(-1, 1, ())), 2, True, "trees")
    yield Sample("scan", _counting, (between(-1, 1, (2,)), between(-1, 1, (4, 2))), 2, True, "integer carry")
    yield Sample("scan", _without_sequences, (between(-1, 1, (3,)), between(0.5, 1, ())), 2, True, "length")
    yield Sample("scan", _plain_carry, (between(-1, 1, (3, 2)), between(0.5, 1, ())), 2, True, "unused carry")
    yield Sample(
        "scan", _windows_in_loop, (between(-1, 1, (3,)), between(-1, 1, (2, 3, 3))), 2, True, "inside"
    )


def bits() -> Iterator[Sample]:
    key, draw = np.array([3, 7], np.uint32), primitive_named("random_bits")
    for shape in ((), (5,), (2, 3), (0, 2)):
        call = partial(draw, shape=shape)
        yield Sample("random_bits", call, (key, np.array(5, np.uint64)), 0, note=f"{shape}")

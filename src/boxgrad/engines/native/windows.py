"""Convolution and pooling in terms of operations: which views of an image meet, and what is computed on them.

Knows windows, strides and paddings; knows nothing of loops. A pooling is an elementwise operation on as many
views of the image as a window has positions. The gradient of a convolution in its input is a convolution of
the output's gradient, with room around it, by the turned filters.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from boxgrad.engines.native import convolution, emitters, filters, overlap, winograd, winograd_filters
from boxgrad.engines.native.ir import is_supported
from boxgrad.engines.native.layout import Shape, Value, fresh
from boxgrad.engines.native.lowering import Lowering, RefusedError
from boxgrad.engines.native.machine import Machine
from boxgrad.engines.native.margins import Pads, gradient_pads, room
from boxgrad.engines.native.microkernel import tile_shape
from boxgrad.engines.native.steps import Convolution, Kernel, Literal, Operand, Special
from boxgrad.engines.native.tiling import Tiling, chosen
from boxgrad.engines.native.vector import Lanes, Term
from boxgrad.graph.node import Node


# ---- convolution
def conv(lowering: Lowering, node: Node) -> Value:
    x, w = node.inputs
    p = node.parameters
    _floats(node)
    source = _laid_out(lowering, x, p["padding"])
    filter_value = _grouped(lowering.value(w), p["groups"])
    return _convolve(lowering, node, source, filter_value, p["stride"], p["dilation"])


def conv_input_gradient(lowering: Lowering, node: Node) -> Value:
    g, w = node.inputs
    p = node.parameters
    _floats(node)
    pads = gradient_pads(node)
    if pads is None:
        raise RefusedError("more padding than the kernel reaches")
    source = _laid_out(lowering, g, pads, p["stride"])
    turned = _grouped(lowering.value(w), p["groups"])
    spatial = len(p["shape"])
    turned = turned.permuted((0, 2, 1, *range(3, 3 + spatial)))
    turned = turned.at((slice(None),) * 3 + (slice(None, None, -1),) * spatial)
    return _convolve(lowering, node, source, turned, (1,) * spatial, p["dilation"])


def conv_filter_gradient(lowering: Lowering, node: Node) -> Value:
    x, g = node.inputs
    p = node.parameters
    _floats(node)
    source = _laid_out(lowering, x, p["padding"])
    slope = _laid_out(lowering, g, ((0, 0),) * len(p["kernel"]))
    # Filters lie as they are summed: taps outermost, outputs contiguous.
    place = fresh(node.shape, node.dtype, (*range(2, len(node.shape)), 1, 0))
    geometry = filters.Geometry(p["groups"], p["kernel"], p["stride"], p["dilation"])
    spaces = (*p["stride"], *p["dilation"])
    tiling = _tiling(lowering, g.shape, p["groups"], p["kernel"], node.shape[1], g.dtype, spaces)

    def make(machine: Machine, name: str) -> list[Kernel]:
        if tiling is None:
            return filters.kernels(source, slope, place, geometry, machine, name)
        return winograd_filters.kernels(source, slope, place, tiling, machine, name)

    lowering.steps.append(Special("conv_filter_gradient", (source, slope), (place,), make))
    return place


def _floats(node: Node) -> None:
    if node.dtype.kind != "f" or node.dtype.itemsize not in (4, 8):
        raise RefusedError(f"convolutions of {node.dtype} have no kernel")
    if any(x.dtype != node.dtype for x in node.inputs):
        raise RefusedError("convolutions of several dtypes have no kernel")
    if 0 in (*node.shape, *(n for x in node.inputs for n in x.shape)):
        raise RefusedError("an axis of size 0")


def _laid_out(lowering: Lowering, node: Node, pads: Pads, gaps: Shape | None = None) -> Value:
    """A node's images with channels last and room around them; copied where they do not lie like that."""
    x = lowering.value(node)
    gaps = gaps or (1,) * len(pads)
    known = lowering.rooms.get(id(x.buffer))
    if known is not None and known.gaps == gaps and known.inside.same_place(x):
        cut = known.cut(pads)
        if cut is not None:
            return cut
    bare = not any(map(any, pads)) and all(gap == 1 for gap in gaps)
    if bare and (x.strides[1] == 1 or x.shape[1] == 1) and min(x.strides) >= 0:
        return x
    key = (id(x.buffer), x.offset, x.strides, pads, gaps)
    found = lowering.copies.get(key)
    if found is None:
        made = room(x.shape, x.dtype, pads, gaps)
        lowering.copy(x, made.inside, "pad" if not bare else "channels last")
        found = lowering.copies[key] = made.whole
    return found


def _grouped(w: Value, groups: int) -> Value:
    """Filters (O, C / groups, *K) with the axes group, output, input, *kernel."""
    over = w.reshaped((groups, w.shape[0] // groups, *w.shape[1:]))
    assert over is not None
    return over


def _tiling(
    lowering: Lowering, results: Shape, groups: int, kernel: Shape, inner: int, dtype: np.dtype[Any],
    spaces: Shape,
) -> Tiling | None:  # fmt: skip
    """The tiles of a convolution with few multiplications; None where it is to be direct."""
    if lowering.direct or groups > 1 or set(spaces) != {1}:
        return None
    return chosen(results, kernel, inner, lowering.machine.lanes(dtype.itemsize))


def _convolve(
    lowering: Lowering, node: Node, source: Value, w: Value, steps: Shape, dilation: Shape
) -> Value:
    groups, outer, inner, *kernel = w.shape
    shape = tile_shape(lowering.machine, node.dtype.itemsize)
    spaces = (*steps, *dilation)
    tiling = _tiling(lowering, node.shape, groups, tuple(kernel), inner, node.dtype, spaces)
    if tiling is None:
        filters = convolution.packed(w, shape)
    else:
        filters = winograd.transformed(w, tiling, shape)

    def prepare(machine: Machine, name: str) -> list[Kernel]:
        if tiling is None:
            return [convolution.packer(w, filters, machine, name)]
        return [winograd.filter_kernel(w, filters, tiling, machine, name)]

    lowering.steps.append(Special("filters", (w,), (filters,), prepare))
    made = Convolution(
        source, filters, groups, inner, outer, tuple(kernel), node.shape[2:], tuple(steps), tuple(dilation),
        tiling,
    )  # fmt: skip
    place = lowering.result(node, ())
    if place.is_contiguous:  # nobody asked for a layout: channels last
        place = fresh(node.shape, node.dtype, (0, *range(2, len(node.shape)), 1))
    assert node.primitive is not None
    lowering.add(node.primitive.name, node.shape, (), None, place, product=made)
    return place


# ---- pooling
def _views(x: Value, size: Shape, stride: Shape, counts: Shape) -> list[Value]:
    """For each position in a window, the elements that stand there in all windows."""
    found: list[Value] = []
    for taps in itertools.product(*map(range, size)):
        key = tuple(
            slice(tap, tap + (count - 1) * step + 1, step)
            for tap, step, count in zip(taps, stride, counts, strict=True)
        )
        found.append(x.at((..., *key)))
    return found


def _operands(values: list[Value], dtype: np.dtype[Any]) -> tuple[Operand, ...]:
    return tuple(Operand(value, dtype) for value in values)


def _pooled(lowering: Lowering, node: Node, values: list[Value], emit: Callable[..., Term]) -> Value:
    assert node.primitive is not None
    place = lowering.result(node, values)
    lowering.add(node.primitive.name, node.shape, _operands(values, node.dtype), emit, place)
    return place


def _largest(e: Lanes, first: Term, *others: Term) -> Term:
    for other in others:
        first = emitters.MAXIMUM(e, first, other)
    return first


def _total(e: Lanes, first: Term, *others: Term) -> Term:
    for other in others:
        first = emitters.ADD(e, first, other)
    return first


def _counts(node: Node, windows: Shape) -> Shape:
    if 0 in (*node.shape, *windows):
        raise RefusedError("an axis of size 0")
    return windows


def max_pool(lowering: Lowering, node: Node) -> Value:
    p = node.parameters
    counts = _counts(node, node.shape[len(node.shape) - len(p["size"]) :])
    kind = node.dtype.kind
    if kind not in "fiub" or not is_supported(node.dtype):
        raise RefusedError(f"pooling of {node.dtype} has no kernel")
    lowest = -math.inf if kind == "f" else False if kind == "b" else np.iinfo(node.dtype).min
    x = overlap.surrounded(lowering, lowering.value(node.inputs[0]), p["padding"], lowest)
    return _pooled(lowering, node, _views(x, p["size"], p["stride"], counts), _largest)


def avg_pool(lowering: Lowering, node: Node) -> Value:
    p = node.parameters
    _real(node)
    counts = _counts(node, node.shape[len(node.shape) - len(p["size"]) :])
    x = overlap.surrounded(lowering, lowering.value(node.inputs[0]), p["padding"], 0)
    number = math.prod(p["size"])

    def mean(e: Lanes, *terms: Term) -> Term:
        return e.op("fdiv", _total(e, *terms), e.like(number, terms[0]))

    return _pooled(lowering, node, _views(x, p["size"], p["stride"], counts), mean)


def _real(node: Node) -> None:
    if node.dtype.kind != "f" or node.dtype.itemsize not in (4, 8):
        raise RefusedError(f"pooling of {node.dtype} has no kernel")


def _meet(node: Node) -> bool:
    """Whether an element may be in several windows, or a window on padding."""
    p = node.parameters
    overlap = any(step < size for step, size in zip(p["stride"], p["size"], strict=True))
    return overlap or any(map(any, p["padding"]))


def _tied(e: Lanes, x: Term, largest: Term) -> Term:
    return e.op("or", e.compare("oeq", x, largest), emitters.is_nan(e, x))


def _shares(e: Lanes, terms: tuple[Term, ...], inside: Term | None = None) -> tuple[list[Term], Term]:
    """Which elements of a window are its largest, and how many they are.

    Padding counts as −∞ but takes no share: where the largest is −∞, so are all of the ``inside`` elements.
    """
    largest = _largest(e, *terms)
    ties = [_tied(e, term, largest) for term in terms]
    count = _total(e, *(e.cast(tie, terms[0].dtype) for tie in ties))
    if inside is not None:
        nothing = e.compare("oeq", largest, e.like(-math.inf, largest))
        count = e.choose(nothing, inside, count)
    return ties, count


def max_pool_scatter(lowering: Lowering, node: Node) -> Value:
    g, x = node.inputs
    p = node.parameters
    _real(node)
    counts = _counts(node, g.shape[len(g.shape) - len(p["size"]) :])
    slope, image = lowering.value(g), lowering.value(x)
    whole = overlap.surrounded(lowering, image, p["padding"], -math.inf)
    views = _views(whole, p["size"], p["stride"], counts)
    inside = overlap.seen(lowering, node, x.shape[len(x.shape) - len(counts) :], counts)

    def divided(e: Lanes, g: Term, *terms: Term) -> Term:
        number = len(views)
        return e.op("fdiv", g, _shares(e, terms[:number], *terms[number:])[1])

    def given(e: Lanes, share: Term, x: Term, largest: Term) -> Term:
        return e.choose(_tied(e, x, largest), share, e.like(0, share))

    more = [] if inside is None else [inside.spread(g.shape)]
    shared = _operands([slope, *views, *more], node.dtype)
    extreme = _operands(views, node.dtype)
    if _meet(node):

        def collected(e: Lanes, x: Term, *pairs: Term) -> Term:
            return _total(e, *(given(e, s, x, top) for s, top in zip(pairs[::2], pairs[1::2], strict=True)))

        place = lowering.result(node, [image])
        shares = [("share", [*shared], divided), ("largest", [*extreme], _largest)]
        overlap.spread(lowering, node, place, counts, shares, [image], collected)
        return place
    place, targets = _spread(lowering, node, [image], counts)
    share = fresh(g.shape, node.dtype)
    largest = fresh(g.shape, node.dtype)
    lowering.add("largest", g.shape, extreme, _largest, largest)
    lowering.add("share", g.shape, shared, divided, share)
    for view, target in zip(views, targets, strict=True):
        operands = _operands([share, view, largest], node.dtype)
        lowering.add("max_pool_scatter", g.shape, operands, given, target, apart=True)
    return place


def _spread(lowering: Lowering, node: Node, like: list[Value], counts: Shape) -> tuple[Value, list[Value]]:
    """A result that is written window by window; what no window covers is 0."""
    p = node.parameters
    place = lowering.result(node, like)
    targets = _views(place, p["size"], p["stride"], counts)
    if sum(target.size for target in targets) < place.size:
        lowering.copy(Literal(0, node.dtype), place, "zeros")
    return place, targets


def max_pool_select(lowering: Lowering, node: Node) -> Value:
    t, x = node.inputs
    p = node.parameters
    _real(node)
    counts = _counts(node, node.shape[len(node.shape) - len(p["size"]) :])
    inside = overlap.seen(lowering, node, x.shape[len(x.shape) - len(counts) :], counts)
    views: list[list[Value]] = []
    for v, fill in ((t, 0), (x, -math.inf)):
        whole = overlap.surrounded(lowering, lowering.value(v), p["padding"], fill)
        views.append(_views(whole, p["size"], p["stride"], counts))
    number = len(views[0])
    more = [] if inside is None else [inside.spread(node.shape)]

    def mean(e: Lanes, *terms: Term) -> Term:
        ties, count = _shares(e, terms[number : 2 * number], *terms[2 * number :])
        chosen = [
            e.choose(tie, term, e.like(0, term)) for tie, term in zip(ties, terms[:number], strict=True)
        ]
        return e.op("fdiv", _total(e, *chosen), count)

    return _pooled(lowering, node, [*views[0], *views[1], *more], mean)


def avg_pool_input_gradient(lowering: Lowering, node: Node) -> Value:
    (g,) = node.inputs
    p = node.parameters
    _real(node)
    counts = _counts(node, g.shape[len(g.shape) - len(p["size"]) :])
    slope = lowering.value(g)
    number = math.prod(p["size"])

    def share(e: Lanes, g: Term) -> Term:
        return e.op("fdiv", g, e.like(number, g))

    if _meet(node):
        place = lowering.result(node, [slope] if slope.size else [])
        shares = [("share", [*_operands([slope], node.dtype)], share)]
        overlap.spread(lowering, node, place, counts, shares, [], _total)
        return place
    place, targets = _spread(lowering, node, [], counts)
    for target in targets:
        lowering.add(
            "avg_pool_input_gradient", g.shape, _operands([slope], node.dtype), share, target, apart=True
        )
    return place

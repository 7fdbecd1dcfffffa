"""Programs for rows of the native engine's table: positions by index, random numbers, windows, loops."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

import boxgrad as bg
from boxgrad.graph.primitive import primitive_named
from boxgrad.ops.index import Slot
from fuzzing import DTYPES, FLOATS, SIGNED, UNSIGNED, Viewed, shapes, viewed
from row_makers import makes, over


# ---- positions by index
@st.composite
def indices(draw, sizes, where):
    """Index arrays for some axes; broadcast against each other."""
    found = []
    for n in sizes:
        own = tuple(1 if not draw(st.integers(0, 4)) else k for k in where)
        dtype = draw(st.sampled_from((*SIGNED, *UNSIGNED, "int64")))
        random = np.random.default_rng(draw(st.integers(0, 1 << 30)))
        low = 0 if dtype in UNSIGNED else -n
        view = draw(viewed(own, dtype, most=1))
        found.append(
            Viewed(random.integers(low, n, view.base.shape).astype(dtype), view.order, view.steps, own)
        )
    return found


@makes("gather")
def gather(draw, name):
    shape = tuple(max(n, 1) for n in draw(shapes(20, 4).filter(bool)))
    table = draw(viewed(shape, draw(st.sampled_from(DTYPES))))
    count = draw(st.integers(1, len(shape)))
    chosen = draw(indices(shape[:count], draw(shapes(5, 2))))
    computed = draw(st.booleans())

    def program(table, *index):
        if computed:  # in the kernel that looks them up
            index = tuple(np.where(i < 0, i * 1, i) for i in index)
        rows = table[index]
        return rows, rows + rows

    return *over([table, *chosen], program), 4


@makes("scatter_add")
def scatter_add(draw, name):
    shape = tuple(max(n, 1) for n in draw(shapes(20, 4).filter(bool)))
    count = draw(st.integers(1, len(shape)))
    where = draw(shapes(5, 2))
    chosen = draw(indices(shape[:count], where))
    place = np.broadcast_shapes(*(v.shape for v in chosen))
    rows = draw(viewed((*place, *shape[count:]), draw(st.sampled_from(DTYPES)), most=9))
    key = tuple(Slot(i) for i in range(count))
    put = primitive_named("scatter_add")
    return *over([rows, *chosen], lambda x, *index: put(x, *index, key=key, shape=shape)), 500


@makes("put")
def put(draw, name):
    """Positions may repeat: the last counts, if NumPy goes through them in C order, as it does in copies."""
    shape = tuple(max(n, 1) for n in draw(shapes(20, 3).filter(bool)))
    count = draw(st.integers(1, len(shape)))
    chosen = draw(indices(shape[:count], draw(shapes(5, 2))))
    place = np.broadcast_shapes(*(v.shape for v in chosen))
    dtype = draw(st.sampled_from(DTYPES))
    table, rows = draw(viewed(shape, dtype)), draw(viewed((*place, *shape[count:]), dtype))
    key = tuple(Slot(i) for i in range(count))
    call = primitive_named("put")
    program = lambda x, z, *index: call(x, z.copy(), *(i.copy() for i in index), key=key)
    return *over([table, rows, *chosen], program), 1


@makes("random_bits")
def random_bits(draw, name):
    shape, call = draw(shapes(40, 3)), primitive_named("random_bits")
    key = np.array([draw(st.integers(0, 2**32 - 1)) for _ in range(2)], np.uint32)
    counter = np.array(draw(st.integers(0, 2**64 - 1)), np.uint64)
    return lambda key, counter: call(key, counter, shape=shape), [key, counter], 1


# ---- windows
@st.composite
def convolution(draw):
    axes = draw(st.integers(1, 3))
    draws = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(axes))
    kernel, dilation, stride, groups = draws(1, 3), draws(1, 2), draws(1, 3), draw(st.integers(1, 3))
    padding = tuple(zip(draws(0, 2), draws(0, 2), strict=True))
    sizes = [(k - 1) * d + 1 + draw(st.integers(0, 5)) for k, d in zip(kernel, dilation, strict=True)]
    images, inputs, outputs = draw(st.integers(0, 4)), draw(st.integers(1, 9)), draw(st.integers(1, 20))
    dtype = draw(st.sampled_from(FLOATS))
    x = draw(viewed((images, inputs * groups, *sizes), dtype))
    w = draw(viewed((outputs * groups, inputs, *kernel), dtype))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return x, w, options, 50 * np.prod(kernel) * inputs * max(1, images) * np.prod(sizes)


@makes("conv", "conv_input_gradient", "conv_filter_gradient")
def conv(draw, name):
    """A convolution, and its pullback of a random gradient."""
    x, w, options, units = draw(convolution())
    call = lambda x, w: bg.conv(x, w, **options)
    with np.errstate(all="ignore"):
        shape = call(x(x.base), w(w.base)).shape
    if name == "conv":
        return *over([x, w], lambda x, w: np.maximum(call(x, w), 0)), units
    g = draw(viewed(shape, x.dtype.name))
    wrt = 0 if name == "conv_input_gradient" else 1
    return *over([x, w, g], lambda x, w, g: bg.vjp(call, x, w)[1](g)[wrt]), units


@makes("max_pool", "avg_pool", "max_pool_scatter", "max_pool_select", "avg_pool_input_gradient")
def pool(draw, name):
    """Few different numbers, so that there are ties; the gradients have kernels where windows do not meet."""
    axes = draw(st.integers(1, 3))
    size = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    stride = tuple(n + draw(st.integers(0, 1)) for n in size)
    padding = tuple((0, 0) for _ in size)
    if draw(st.booleans()):
        stride = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    if not draw(st.integers(0, 3)):
        padding = tuple((draw(st.integers(0, n // 2)), draw(st.integers(0, n // 2))) for n in size)
    lead = tuple(draw(st.integers(0, 9)) for _ in range(draw(st.integers(0, 2))))
    shape = (*lead, *(draw(st.integers(n, 8)) for n in size))
    dtype = draw(st.sampled_from((*FLOATS, "int32", "uint8") if name == "max_pool" else FLOATS))
    x = draw(viewed(shape, dtype))
    few = np.random.default_rng(draw(st.integers(0, 1 << 30))).integers(0, 4, x.base.shape).astype(dtype)
    x = Viewed(few, x.order, x.steps, x.shape)
    call = lambda x: (bg.avg_pool if "avg" in name else bg.max_pool)(x, size, stride=stride, padding=padding)
    if name in ("max_pool", "avg_pool"):
        return *over([x], call), 20
    options = {"size": size, "stride": stride, "padding": padding}
    function = primitive_named(name)
    if name == "max_pool_select":
        t = draw(viewed(shape, dtype))
        return *over([t, x], lambda t, x: function(t, x, **options)), 20
    g = draw(viewed(call(x(x.base)).shape, dtype))
    if name == "avg_pool_input_gradient":
        return *over([g], lambda g: function(g, shape=shape[len(lead) :], **options)), 20
    return *over([g, x], lambda g, x: function(g, x, **options)), 20


# ---- loops
@makes("scan", "item")
def scan(draw, name):
    """A recurrent cell on sequences of any layout, and its gradient."""
    length, batch, width = draw(st.integers(1, 6)), draw(st.integers(1, 5)), draw(st.integers(1, 20))
    dtype, reverse = draw(st.sampled_from(FLOATS)), draw(st.booleans())
    h, xs = draw(viewed((batch, width), dtype)), draw(viewed((length, batch, width), dtype))
    u, k = draw(viewed((width, width), dtype)), draw(viewed((batch, width), "int64", most=3))
    slopes = draw(st.booleans())

    def loop(h, xs, u, k):
        def cell(carry, x):
            h, n = carry
            h = np.tanh(h @ (u * 0.1) + x * n)
            return (h, n + 1), (h * h, x + k)

        (h, n), (ys, zs) = bg.scan(cell, (h, k * 0 + 1), xs, reverse=reverse)
        return h, n, ys, zs

    def program(h, xs, u, k):
        results = loop(h, xs, u, k)
        if slopes:
            total = lambda h, xs, u: np.sum(loop(h, xs, u, k)[2]) + np.sum(loop(h, xs, u, k)[0])
            results += tuple(bg.grad(total, (0, 1, 2))(h, xs, u))
        return results

    return *over([h, xs, u, k], program), 5000

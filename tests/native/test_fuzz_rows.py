"""Every row of the table that has a kernel, on random shapes, layouts, dtypes, numbers and parameters.

A row's maker draws a program that has the row's box in it, and its arguments. The program runs in plain NumPy
and under the native engine; a quarter of the cases run with bounds checks. A row none of whose cases was run
by a kernel fails, as does a row without a maker. ``BOXGRAD_FUZZ=10000`` runs a tenth as many cases of each.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import boxgrad as bg
from boxgrad.engines.native import engine
from boxgrad.engines.native.lowering import InNumpy, Map, Reduce
from boxgrad.engines.native.steps import Fallback
from boxgrad.engines.native.table import ROWS
from boxgrad.graph.primitive import primitive_named
from boxgrad.ops import control
from boxgrad.ops.index import Slot
from fuzzing import DTYPES, FLOATS, SIGNED, UNSIGNED, Viewed, cases, near, shapes, viewed

Maker = Callable[[Any, str], tuple[Any, ...]]
"""Draws a program and its arguments; last, the tolerance in units of the last place."""
MAKERS: dict[str, Maker] = {}
reached: Counter[str] = Counter()


def makes(*names: str) -> Callable[[Maker], Maker]:
    def register(maker: Maker) -> Maker:
        MAKERS.update(dict.fromkeys(names, maker))
        return maker

    return register


def over(views: list[Viewed], function: Callable[..., Any]) -> tuple[Callable[..., Any], list[Any]]:
    """A program that looks at its arguments through the views."""
    return lambda *xs: function(*(v(x) for v, x in zip(views, xs, strict=True))), [v.base for v in views]


# ---- elementwise
def _accepted(name: str, count: int) -> list[tuple[str, ...]]:
    """The dtypes that NumPy takes."""
    found = []
    for dtypes in itertools.product(DTYPES, repeat=count):
        try:
            with np.errstate(all="ignore"):
                result = getattr(np, name)(*(np.ones(1, dtype) for dtype in dtypes))
        except TypeError:
            continue
        if result.dtype.kind in "fiub" and result.dtype.itemsize >= (4 if result.dtype.kind == "f" else 1):
            found.append(dtypes)
    return found


UFUNCS = [name for name in ROWS if isinstance(getattr(np, name, None), np.ufunc)]
ELEMENTWISE = [name for name in UFUNCS if isinstance(ROWS[name], Map) or name == "power"]
LIGHT = {name: getattr(np, name).nin for name in ELEMENTWISE}
ACCEPTED = {name: _accepted(name, count) for name, count in LIGHT.items()}


@makes(*ELEMENTWISE)
def elementwise(draw, name):
    """With other boxes around it; operands broadcast; sometimes one is a Python number."""
    function, shape = getattr(np, name), draw(shapes())
    dtypes = draw(st.sampled_from(ACCEPTED[name]))
    views = []
    for dtype in dtypes:
        own = shape[draw(st.integers(0, len(shape))) :] if draw(st.booleans()) else shape
        own = tuple(1 if not draw(st.integers(0, 4)) else n for n in own)
        views.append(draw(viewed(own, dtype, special=True)))
    number = draw(st.sampled_from([None, None, 0, 1, 3, -2, 0.5]))
    if len(views) == 2 and number is not None:
        del views[1]
        return *over(views, lambda x: function(x, number)), 16
    return *over(views, lambda *xs: (function(*xs), *xs[1:])), 16


@makes("erf", "sinc")
def function(draw, name):
    view = draw(viewed(draw(shapes()), draw(st.sampled_from(FLOATS)), special=name == "erf"))
    return *over([view], bg.erf if name == "erf" else np.sinc), 64


@makes("where")
def where(draw, name):
    shape = draw(shapes())
    dtypes = ["bool", *draw(st.sampled_from(list(itertools.product(DTYPES, repeat=2))))]
    return *over([draw(viewed(shape, dtype, special=True)) for dtype in dtypes], np.where), 1


@makes("cast")
def cast(draw, name):
    """Floats only to integers that hold them: the others are the processor's affair."""
    old, new = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(DTYPES))
    view = draw(viewed(draw(shapes()), old, special=old not in FLOATS or new in (*FLOATS, "bool")))

    def program(x):
        if old in FLOATS and new in UNSIGNED:
            x = np.abs(x)
        return x.astype(new)

    return *over([view], program), 1


@makes("identity", "stop_gradient")
def same(draw, name):
    view = draw(viewed(draw(shapes()), draw(st.sampled_from(DTYPES))))
    call = primitive_named("identity") if name == "identity" else bg.stop_gradient
    return *over([view], lambda x: (call(x), call(x) == x)), 1


# ---- reductions
@makes("sum", "prod", "max", "min", "any", "all")
def reduction(draw, name):
    """Of an elementwise result as well, which is fused; along any axes."""
    shape = draw(shapes(40, 4))
    if name in ("max", "min"):
        shape = tuple(max(n, 1) for n in shape)
    dtype = draw(st.sampled_from(DTYPES))
    special = name not in ("sum", "prod")
    view = draw(viewed(shape, dtype, special=special, most=0 if special else 100))
    axes = tuple(draw(st.sets(st.integers(0, len(shape) - 1)))) if shape else ()
    axis = draw(st.sampled_from([None, axes]))
    keepdims, function = draw(st.booleans()), getattr(np, name)

    def program(x):
        if name == "prod" and dtype in FLOATS:
            x = x * 0.1 + 1
        return function(x, axis=axis, keepdims=keepdims), function(x == x, axis=axis)

    return *over([view], program), 4 + 2 * np.sqrt(np.prod(shape)) + (200 if name == "prod" else 0)


@makes("argmax", "argmin", "sort", "argsort", "cumsum", "cumprod")
def along_an_axis(draw, name):
    """Numbers with ties and NaN; but all different where positions are asked for of an order."""
    shape = draw(shapes(40, 4))
    shape = tuple(max(n, 1) for n in shape) or (1,)
    axis, dtype = draw(st.integers(-len(shape), len(shape) - 1)), draw(st.sampled_from(DTYPES))
    if name == "argsort":
        dtype = draw(st.sampled_from(("float32", "float64", "int64")))
    view = draw(viewed(shape, dtype, special=name.startswith(("arg", "sort")), most=9))
    if name == "argsort":
        random = np.random.default_rng(draw(st.integers(0, 1 << 30)))
        different = random.permutation(view.base.size).reshape(view.base.shape).astype(dtype)
        view = Viewed(different, view.order, view.steps, view.shape)
        assume(np.unique(view(view.base)).size == np.prod(shape))

    def program(x):
        if name == "cumprod" and dtype in FLOATS:
            x = x * 0.1 + 1
        return getattr(np, name)(x, axis=axis)

    return *over([view], program), 100 + 4 * np.prod(shape)


# ---- products
@makes("contract")
def contract(draw, name):
    letters = {"batch": "ab", "rows": "ij", "columns": "kl", "inner": "xy"}
    some = lambda letters: "".join(draw(st.lists(st.sampled_from(letters), max_size=2, unique=True)))
    groups = {kind: some(both) for kind, both in letters.items()}
    large = draw(st.integers(0, 3)) == 0
    sizes = {
        c: draw(st.integers(0 if not draw(st.integers(0, 9)) else 1, 9)) for c in "".join(groups.values())
    }
    if large and sizes:
        sizes[draw(st.sampled_from(sorted(sizes)))] = draw(st.integers(10, 150))
    mixed = lambda letters: "".join(draw(st.permutations(letters)))
    first = mixed(groups["batch"] + groups["rows"] + groups["inner"])
    second = mixed(groups["batch"] + groups["columns"] + groups["inner"])
    result = mixed(groups["batch"] + groups["rows"] + groups["columns"])
    count = np.prod([sizes[c] for c in {*first, *second}], initial=1)
    assume(count <= 400_000)
    one, other = draw(st.sampled_from([
        ("float32", "float32"), ("float64", "float64"), ("float32", "float64"), ("float64", "float32"),
        ("int32", "int64"), ("float32", "float32"),
    ]))  # fmt: skip
    views = [draw(viewed([sizes[c] for c in letters], dtype, most=9))
             for letters, dtype in ((first, one), (second, other))]  # fmt: skip
    text = f"{first},{second}->{result}"
    depth = np.prod([sizes[c] for c in groups["inner"]], initial=1)

    def program(x, z):
        y = np.einsum(text, x, z)
        return y, y * 2 + 1

    return *over(views, program), 30 + 10 * depth


# ---- arrangement
@makes("reshape")
def reshape(draw, name):
    shape = draw(shapes())
    view = draw(viewed(shape, draw(st.sampled_from(DTYPES))))
    rest, target = int(np.prod(shape)), []
    while rest > 1 and len(target) < 4:
        divisor = draw(st.sampled_from([n for n in range(1, rest + 1) if rest % n == 0]))
        target.append(divisor)
        rest //= divisor
    target = (*target, rest) if draw(st.booleans()) or rest != 1 else tuple(target)
    return *over([view], lambda x: (np.reshape(x, target), np.reshape(x + x, target))), 1


@makes("transpose", "broadcast", "slice")
def view(draw, name):
    """Views of views, and what is computed of them."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(shapes())
    first, key = draw(viewed(shape, dtype)), draw(keys(shape))
    order = tuple(draw(st.permutations(range(len(shape)))))

    def program(x):
        if name == "transpose":
            y = np.transpose(x, order)
        elif name == "broadcast":
            y = np.broadcast_to(x, (2, *shape))
        else:
            y = x[key]
        return y, y + y, np.sum(y + y)

    return *over([first], program), 200


@st.composite
def keys(draw, shape):
    """Basic keys: numbers, slices of any step, new axes, an ellipsis."""
    key: list[Any] = []
    for n in shape:
        kind = draw(st.integers(0, 5))
        if kind == 0 and n:
            key.append(draw(st.integers(-n, n - 1)))
        else:
            bound = st.one_of(st.none(), st.integers(-n - 1, n + 1))
            key.append(slice(draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, 3, -1, -2]))))
        if not draw(st.integers(0, 6)):
            key.append(None)
    if draw(st.booleans()):
        key = [*key[: draw(st.integers(0, len(key)))], ...]
    return tuple(key)


@makes("concatenate")
def concatenate(draw, name):
    shape = draw(shapes().filter(bool))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    views = []
    for _ in range(draw(st.integers(1, 4))):
        own = list(shape)
        own[axis] = draw(st.integers(0, 5))
        views.append(draw(viewed(own, draw(st.sampled_from(DTYPES)))))
    return *over(views, lambda *xs: np.concatenate(xs, axis=axis)), 1


@makes("embed")
def embed(draw, name):
    """Also several of them that are added up."""
    shape = draw(shapes().filter(bool))
    dtype = draw(st.sampled_from(DTYPES))
    own = [draw(keys(shape)) for _ in range(draw(st.integers(1, 3)))]
    views = [draw(viewed(np.empty(shape)[key].shape, dtype, most=9)) for key in own]
    put = primitive_named("embed")

    def program(*xs):
        parts = [put(x, key=key, shape=shape) for x, key in zip(xs, own, strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    return *over(views, program), 8


@makes("put_slice")
def put_slice(draw, name):
    shape = draw(shapes().filter(bool))
    key = draw(keys(shape))
    place = np.empty(shape)[key].shape
    dtype = draw(st.sampled_from(DTYPES))
    own = place[draw(st.integers(0, len(place))) :] if draw(st.booleans()) else place
    first, second = draw(viewed(shape, dtype)), draw(viewed(own, dtype))

    def program(x, z):
        y = x.copy()
        y[key] = z
        return y

    return *over([first, second], program), 1


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
    """Positions may repeat: the last counts."""
    shape = tuple(max(n, 1) for n in draw(shapes(20, 3).filter(bool)))
    count = draw(st.integers(1, len(shape)))
    chosen = draw(indices(shape[:count], draw(shapes(5, 2))))
    place = np.broadcast_shapes(*(v.shape for v in chosen))
    dtype = draw(st.sampled_from(DTYPES))
    table, rows = draw(viewed(shape, dtype)), draw(viewed((*place, *shape[count:]), dtype))
    key = tuple(Slot(i) for i in range(count))
    call = primitive_named("put")
    return *over([table, rows, *chosen], lambda x, z, *index: call(x, z, *index, key=key)), 1


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


def boxes(graph: Any) -> set[str]:
    """The names of all boxes, those in loops included."""
    found: set[str] = set()
    for node in graph.nodes:
        if node.primitive is not None:
            found.add(node.primitive.name)
            if node.primitive is control.loop:
                found |= boxes(node.parameters["body"])
    return found


def run(program: Any, inputs: list[Any], checked: bool, name: str) -> Any:
    """Under the native engine; notes whether a kernel ran the row's box."""
    before = os.environ.get("BOXGRAD_NATIVE_CHECK", "")
    if checked:
        os.environ["BOXGRAD_NATIVE_CHECK"] = "1"
    try:
        compiled = bg.compile(program, engine="native")
        results = compiled(*inputs)
        graph = compiled.graph
        _, steps, _ = engine.ENGINE._made[graph]
    finally:
        os.environ["BOXGRAD_NATIVE_CHECK"] = before
    fallen = {step.label for step in steps if isinstance(step, Fallback)}
    ready = graph if name == "identity" else engine.prepared(graph)  # which a pass takes out
    if name in boxes(ready) and not fallen & {name, "scan"}:
        reached[name] += 1
    return results


def width(dtypes: list[np.dtype]) -> np.dtype:
    """The narrowest float among some dtypes."""
    floats = [dtype for dtype in dtypes if dtype.kind == "f"]
    return min(floats, key=lambda dtype: dtype.itemsize, default=np.dtype(float))


KERNELS = [name for name, row in ROWS.items() if not isinstance(row, InNumpy)]


@pytest.mark.parametrize("name", KERNELS)
def test_row(name):
    @cases(7, 10)
    @given(st.data())
    def fuzz(data):
        program, inputs, units = MAKERS[name](data.draw, name)
        checked = data.draw(st.integers(0, 3)) == 0
        with np.errstate(all="ignore"):
            try:
                wanted = program(*inputs)
            except (OverflowError, TypeError, ValueError):  # a Python number, a negative power
                with pytest.raises((OverflowError, TypeError, ValueError)):
                    run(program, inputs, checked, name)
                return
            got = run(program, inputs, checked, name)
        got, wanted = (x if isinstance(x, tuple) else (x,) for x in (got, wanted))
        narrow = width([x.dtype for x in inputs])
        whole = isinstance(ROWS[name], Map)
        for x, z in zip(got, wanted, strict=True):
            z = np.asarray(z)
            factor = units
            if z.dtype.kind == "f" and narrow.itemsize < z.dtype.itemsize:
                factor *= float(np.finfo(narrow).eps / np.finfo(z.dtype).eps)
            finite = np.abs(z[np.isfinite(z)], dtype=np.float64) if z.dtype.kind == "f" else np.zeros(0)
            near(x, z, factor, None if whole else max(1.0, float(np.max(finite, initial=0))))

    reached[name] = 0
    fuzz()
    assert reached[name] > 0, f"no case of {name} was run by a kernel"


def test_every_row_has_a_maker():
    assert set(KERNELS) == set(MAKERS), set(KERNELS) ^ set(MAKERS)
    assert all(isinstance(ROWS[name], Map | Reduce) or MAKERS[name] for name in KERNELS)

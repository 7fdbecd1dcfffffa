"""Programs for rows of the native engine's table: elementwise, reductions, products, arrangement.

A row's maker draws a program that has the row's box in it, and its arguments. ``row_makers_places`` has the
makers of the other rows: positions by index, windows, loops.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

import boxgrad as bg
from boxgrad.engines.native.lowering import Map
from boxgrad.engines.native.table import ROWS
from boxgrad.graph.primitive import primitive_named
from fuzzing import DTYPES, FLOATS, UNSIGNED, Viewed, shapes, viewed

Maker = Callable[[Any, str], tuple[Any, ...]]
"""Draws a program and its arguments; last, the tolerance in units of the last place."""
MAKERS: dict[str, Maker] = {}


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

    # Sums of both signs may be small, and their errors are those of the large ones on the way.
    size = np.prod(shape)
    more = {"sum": 20 * size, "prod": 200 + 2 * np.sqrt(size)}
    return *over([view], program), 4 + more.get(name, 0)


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

"""One table of calls that drives the tests of every primitive.

A row says which primitive it is about, how to call it, and on what. From it the tests check the type rule,
the listing, compilation, the derivatives to second order, and the dtype of gradients. Adding a primitive
means adding a row here; ``test_complete.py`` names those that are missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

import boxgrad as bg
from boxgrad.graph.primitive import primitive_named
from boxgrad.ops.index import Slot
from samples_linalg import complex_parts, fourier_transforms, linear_algebra, special_functions
from samples_loops import bits, loops, windows
from sampling import Call, Sample, apart, between, integers

__all__ = ["SAMPLES", "Sample"]

# ---- elementwise, one argument: where to evaluate, and whether NumPy computes it on complex numbers
UNARY: dict[str, tuple[float, float, bool]] = {
    "negative": (-2, 2, True), "positive": (-2, 2, True), "reciprocal": (0.5, 2, True),
    "square": (-2, 2, True), "sqrt": (0.5, 3, True), "cbrt": (0.5, 3, False), "exp": (-2, 2, True),
    "exp2": (-2, 2, True), "expm1": (-1, 1, True), "log": (0.5, 3, True), "log2": (0.5, 3, True),
    "log10": (0.5, 3, True), "log1p": (-0.5, 2, True), "sin": (-3, 3, True), "cos": (-3, 3, True),
    "tan": (-1, 1, True), "arcsin": (-0.7, 0.7, True), "arccos": (-0.7, 0.7, True), "arctan": (-2, 2, True),
    "sinh": (-2, 2, True), "cosh": (-2, 2, True), "tanh": (-2, 2, True), "arcsinh": (-2, 2, True),
    "arccosh": (1.5, 3, True), "arctanh": (-0.7, 0.7, True), "deg2rad": (-90, 90, False),
    "rad2deg": (-2, 2, False), "radians": (-90, 90, False), "degrees": (-2, 2, False),
    "sinc": (0.1, 2, True), "absolute": (0.1, 2, False), "fabs": (-2, -0.1, False), "sign": (0.1, 2, False),
    "floor": (0.1, 0.9, False), "ceil": (-0.9, -0.1, False), "rint": (0.6, 1.4, False),
    "trunc": (-0.9, -0.1, False),
}  # fmt: skip
# ---- two arguments
BINARY: dict[str, tuple[tuple[float, float], tuple[float, float], bool]] = {
    "add": ((-2, 2), (-2, 2), True), "subtract": ((-2, 2), (-2, 2), True),
    "multiply": ((-2, 2), (-2, 2), True), "divide": ((-2, 2), (0.5, 2), True),
    "power": ((0.5, 2), (-2, 2), True), "float_power": ((0.5, 2), (0.5, 3), True),
    "floor_divide": ((1.2, 1.7), (0.95, 1.0), False), "remainder": ((2.2, 2.6), (0.95, 1.0), False),
    "fmod": ((-2.6, -2.2), (0.95, 1.0), False), "logaddexp": ((-2, 2), (-2, 2), False),
    "logaddexp2": ((-2, 2), (-2, 2), False), "arctan2": ((0.5, 2), (-2, 2), False),
    "hypot": ((0.5, 2), (0.5, 2), False), "maximum": ((0.1, 0.5), (0.6, 2), False),
    "minimum": ((0.6, 2), (0.1, 0.5), False), "fmax": ((0.6, 2), (0.1, 0.5), False),
    "fmin": ((0.1, 0.5), (0.6, 2), False), "copysign": ((-2, -0.1), (0.1, 2), False),
}  # fmt: skip
# ---- into truth values and integers
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
LOGICAL = ("logical_and", "logical_or", "logical_xor")
BITWISE = ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift", "gcd", "lcm")
TESTS = ("isnan", "isinf", "isfinite", "signbit")


def elementwise() -> Iterator[Sample]:
    for name, (low, high, analytic) in UNARY.items():
        f = getattr(np, name)
        for shape in ((), (3,), (2, 1, 3), (0, 2), "float"):
            yield Sample(name, f, (between(low, high, shape, name),), 2, analytic)
    near = np.array([0.0, 1e-8, 1e-4, -5e-3, 9.9e-3, 1.01e-2, -0.02, 1.0, -2.0])
    yield Sample("sinc", np.sinc, (near,), 0, note="near 0")
    yield Sample("cbrt", np.cbrt, (between(-3, -0.5, (3,)),), note="negative")
    for name, (first, second, analytic) in BINARY.items():
        f = getattr(np, name)
        for left, right in (
            ((3,), (3,)), ((2, 1), (3,)), ((), (2, 3)), ((3, 2), ()), ((0, 3), (3,)), ((), ()),
            ((1, 3), (2, 1, 1)),
        ):  # fmt: skip
            a, b = between(*first, left, name), between(*second, right, name)
            yield Sample(name, f, (a, b), 2, analytic)
        yield Sample(name, f, (between(*first, (2, 2), name), between(*second, "float")), 2, analytic)
    for exponent in (0, 1, 2, 3, -1, 0.5, 2.5):
        yield Sample("power", lambda x, n=exponent: x**n, (between(0.5, 2, (3,)),), 2, True, f"x**{exponent}")
    yield Sample("power", lambda x: x**3, (between(-2, -0.5, (3,)),), 2, True, "of a negative base")
    yield Sample("power", lambda z: 2.0**z, (between(-2, 2, (3,)),), 2, True, "2**z")
    yield Sample("power", np.power, (between(-2, 2, (3,)), np.array([0, 1, 2])), 2, True, "integer exponents")
    yield Sample("maximum", np.maximum, (apart((4, 3), "m"), apart((4, 3), "n", shift=-0.01)), note="mixed")
    yield Sample("minimum", np.minimum, (apart((4, 3), "m"), apart((3,), "n", shift=-0.01)), note="mixed")
    a, b = integers(-2, 3, (2, 1)), integers(-2, 3, (1, 4))
    for name in COMPARISONS:
        f = getattr(np, name)
        yield Sample(name, f, (a, b), 0)
        yield Sample(name, f, (between(-1, 1, (3,)), 0.25), 0)
        yield Sample(name, f, (between(-1, 1, (0, 2)), between(-1, 1, ())), 0)
    for name in LOGICAL:
        yield Sample(name, getattr(np, name), (a > 0, b > 0), 0)
        yield Sample(name, getattr(np, name), (between(-1, 1, (3,)), a[:, 0, None]), 0)
    for name in BITWISE:
        yield Sample(name, getattr(np, name), (integers(0, 9, (2, 1)), integers(0, 5, (4,))), 0)
        yield Sample(name, getattr(np, name), (integers(0, 9, (3,), np.uint8), np.uint8(3)), 0)
    for name in TESTS:
        yield Sample(name, getattr(np, name), (np.array([[1.0, np.nan], [-np.inf, -0.0]]),), 0)
    yield Sample("bitwise_count", np.bitwise_count, (integers(-9, 9, (2, 3)),), 0)
    yield Sample("logical_not", np.logical_not, (a,), 0)
    yield Sample("invert", np.invert, (a,), 0)
    yield Sample("invert", lambda x: ~x, (a > 0,), 0)
    condition = np.array([[True, False, True], [False, False, True]])
    yield Sample("where", np.where, (condition, apart((2, 3), "w"), apart((3,), "z")), 2, True)
    yield Sample("where", np.where, (condition[0], between(-1, 1, ()), apart((2, 1), "z")), 2, True)
    yield Sample("where", lambda x: np.where(x > 0, x, 0), (apart((3, 3), "r"),), 2, note="relu")
    large = apart((70, 70), "large", 0.01, 0.005)
    yield Sample("where", lambda x: np.where(x > 0, x, 0), (large,), 0, note="by bits")
    cast, identity = primitive_named("cast"), primitive_named("identity")
    yield Sample("cast", lambda x: cast(x, dtype=np.dtype(float)), (between(-1, 1, (2, 2)),))
    yield Sample("cast", lambda x: x.astype(np.float64), (integers(0, 5, (2, 2)),), 0)
    for kind in (np.float32, np.int32, bool, np.uint8):
        call = lambda x, kind=kind: x.astype(kind)
        yield Sample("cast", call, (between(0, 9, (2, 2)),), 0, note=kind.__name__)
    for shape in ((2, 3), (), (0, 1)):
        yield Sample("identity", identity, (between(-1, 1, shape),), 2, True)
        yield Sample("stop_gradient", bg.stop_gradient, (between(-1, 1, shape),), 0)


# ---- along axes
AXES: tuple[tuple[tuple[int, ...], Any], ...] = (
    ((5,), None), ((1, 4), 0), ((3, 4), 1), ((3, 4), -1), ((2, 3, 4), (0, 2)), ((2, 3, 4), (-1, 0)),
    ((), None), ((3, 1, 2), ()),
)  # fmt: skip


def along(name: str, axis: Any, **options: Any) -> Call:
    """NumPy's function of that name along an axis."""
    return partial(getattr(np, name), axis=axis, **options)


def reductions() -> Iterator[Sample]:
    for shape, axis in AXES:
        for keepdims in (False, True):
            note = f"axis={axis}{' keepdims' if keepdims else ''}"
            for name, analytic in (("sum", True), ("prod", True), ("max", False), ("min", False)):
                x = apart(shape, name) + (0.6 if name == "prod" else 0)
                yield Sample(name, along(name, axis, keepdims=keepdims), (x,), 2, analytic, note)
            for name in ("any", "all"):
                call = along(name, axis, keepdims=keepdims)
                yield Sample(name, call, (apart(shape, name) > 0,), 0, note=note)
                yield Sample(name, call, (integers(0, 2, shape),), 0, note=note)
    for name in ("sum", "prod"):
        yield Sample(name, along(name, 0), (np.ones((0, 3)),), 2, True, "of nothing")
        yield Sample(name, along(name, 1), (np.ones((0, 3)),), 2, True, "nothing of three")
        yield Sample(name, along(name, 0), (integers(0, 5, (3, 2), np.int32),), 0)
        yield Sample(name, along(name, None), (integers(0, 2, (3, 2)) > 0,), 0)
    for zeros in ([0.0, 2.0, 3.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]):
        yield Sample("prod", np.prod, (np.array(zeros),), 2, True, f"{zeros.count(0.0)} zeros")
        yield Sample("cumprod", np.cumprod, (np.array([1.5, *zeros]),), 2, True, f"{zeros.count(0.0)} zeros")
    for name in ("max", "min"):
        yield Sample(name, along(name, 1), (np.ones((0, 3)),), 2, note="nothing of three")
        yield Sample(name, along(name, 1), (integers(-4, 4, (2, 3), np.int32),), 0)
    for shape, axis in (((5,), 0), ((1, 4), 0), ((3, 4), 1), ((3, 4), -2), ((2, 3, 4), 1), ((3, 4), None)):
        for name, order, analytic in (
            ("argmax", 0, False), ("argmin", 0, False), ("cumsum", 2, True), ("cumprod", 2, True),
            ("sort", 2, False), ("argsort", 0, False),
        ):  # fmt: skip
            x = apart(shape, name) + (0.6 if name == "cumprod" else 0)
            yield Sample(name, along(name, axis), (x,), order, analytic, f"axis={axis}")
    for name in ("cumsum", "cumprod", "sort"):
        yield Sample(name, along(name, 0), (np.ones((0, 2)),), 2, name != "sort", "of nothing")
        yield Sample(name, along(name, 0), (integers(0, 4, (3, 2), np.int16),), 0)
    yield Sample("cumsum", np.cumsum, (np.array([True, False, True]),), 0)


# ---- arrangement
def shapes() -> Iterator[Sample]:
    for old, new in (
        ((2, 6), (3, 4)), ((4,), (2, -1)), ((1, 1), ()), ((), (1, 1)), ((0, 3), (3, 0)), ((3, 2), (6,)),
    ):  # fmt: skip
        call = lambda x, new=new: x.reshape(new)
        yield Sample("reshape", call, (between(-1, 1, old),), 2, True, f"→ {new}")
    for size, axes in (
        ((2, 3), (1, 0)),
        ((1, 3, 2), (2, 0, 1)),
        ((2, 0, 3), (1, 2, 0)),
        ((2, 3, 4), (0, 2, 1)),
    ):
        call = lambda x, axes=axes: x.transpose(axes)
        yield Sample("transpose", call, (between(-1, 1, size),), 2, True, f"{axes}")
    for old, new in (
        ((3,), (2, 3)), ((), (2, 2)), ((3, 1), (3, 4)), ((1, 2), (3, 0, 2)), ((1,), (5,)), ((2,), (2,)),
    ):  # fmt: skip
        call = partial(primitive_named("broadcast"), shape=new)
        yield Sample("broadcast", call, (between(-1, 1, old),), 2, True, f"→ {new}")
    for sizes, axis in (
        (((2, 3), (1, 3)), 0), (((2, 3), (2, 1), (2, 2)), 1), (((0, 2), (3, 2)), 0), (((3,),), 0),
    ):  # fmt: skip
        arrays = tuple(between(-1, 1, size, str(i)) for i, size in enumerate(sizes))
        call = lambda *xs, axis=axis: np.concatenate(xs, axis=axis)
        yield Sample("concatenate", call, arrays, 2, True, f"axis={axis}")
    join = lambda x, z: np.concatenate([x, z])
    yield Sample("concatenate", join, (np.ones(2, np.float32), np.ones(1)), 0)
    yield Sample("concatenate", join, (integers(0, 3, (2,)), np.ones(1)), 1, True)


# ---- indexing
def indexing() -> Iterator[Sample]:
    x = between(-1, 1, (4, 3, 2))
    keys: list[Any] = [
        (1,), (-1,), (slice(1, 3),), (slice(None, None, -1),), (slice(None, None, 2), None, 1), (..., 0),
        (1, 2, 0), (slice(3, 0, -2), slice(0)), (None, ..., slice(-2, None)), (),
    ]  # fmt: skip
    embed, put = primitive_named("embed"), primitive_named("put_slice")
    for key in keys:
        place = x[key].shape
        yield Sample("slice", lambda x, key=key: x[key], (x,), 2, True, f"{key}")
        call = partial(embed, key=key, shape=(4, 3, 2))
        yield Sample("embed", call, (between(-1, 1, place, "g"),), 2, True, f"{key}")
        yield Sample("put_slice", partial(put, key=key), (x, between(-1, 1, place, "z")), 2, True, f"{key}")
    rows = partial(put, key=(slice(1, 3),))
    yield Sample("put_slice", rows, (x, between(-1, 1, (3, 1))), 2, True, "broadcast")
    yield Sample("put_slice", rows, (x, between(-1, 1, ())), 2, True, "of one number")
    yield Sample("slice", lambda x: x[0:0], (np.ones((0, 2)),), 2, True, "of nothing")
    repeated, negative = np.array([2, 0, 2, 2]), np.array([[-1, 0], [1, -1]])
    advanced: list[tuple[Any, tuple[np.ndarray, ...]]] = [
        ((Slot(0),), (repeated,)),
        ((Slot(0),), (negative,)),
        ((Slot(0),), (np.array(-2),)),
        ((Slot(0),), (np.zeros((0,), np.int64),)),
        ((Slot(0),), (repeated.astype(np.int32),)),
        ((Slot(0), Slot(1)), (repeated, np.array([0, 1, 0, -1]))),
        ((Slot(0), slice(None), Slot(1)), (negative, np.array([0, 1]))),
        ((slice(None), Slot(0)), (np.array([0, 0, 2]),)),
        ((1, slice(None), Slot(0)), (np.array([1, 1]),)),
        ((..., Slot(0), None), (np.array([1, 0, 1]),)),
        ((slice(0, 4, 2), Slot(0), slice(None)), (negative,)),
    ]
    gather, add, put = (primitive_named(name) for name in ("gather", "scatter_add", "put"))
    for key, indices in advanced:
        note = f"{key}".replace("Slot(number=", "(")
        place = gather(x, *indices, key=key).shape
        yield Sample("gather", partial(gather, key=key), (x, *indices), 2, True, note)
        call = partial(add, key=key, shape=(4, 3, 2))
        yield Sample("scatter_add", call, (between(-1, 1, place, "s"), *indices), 2, True, note)
        values = between(-1, 1, place, "p")
        yield Sample("put", partial(put, key=key), (x, values, *indices), 2, True, note)
    rows = partial(put, key=(Slot(0),))
    yield Sample("put", rows, (x, between(-1, 1, ()), repeated), 2, True, "of one number")
    yield Sample("put", rows, (x, between(-1, 1, (3, 1)), repeated), 2, True, "broadcast")


# ---- products
CONTRACTIONS: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = (
    ("ij,jk->ik", (3, 4), (4, 2)), ("ij,kj->ik", (3, 4), (2, 4)), ("ji,jk->ik", (4, 3), (4, 2)),
    ("ji,kj->ik", (4, 3), (2, 4)), ("ij,jk->ki", (3, 4), (4, 2)), ("i,i->", (5,), (5,)),
    ("i,j->ij", (3,), (2,)), ("i,j->ji", (3,), (2,)), ("i,i->i", (3,), (3,)), ("ij,ij->ij", (2, 3), (2, 3)),
    ("ij,ji->ij", (2, 3), (3, 2)), ("ij,ij->", (2, 3), (2, 3)), ("ij,j->i", (3, 4), (4,)),
    ("i,ij->j", (3,), (3, 2)), ("j,ij->i", (4,), (3, 4)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
    ("bij,bjk->bik", (1, 3, 4), (3, 4, 2)), ("bij,bjk->bik", (3, 3, 4), (1, 4, 2)),
    ("bij,jk->bik", (2, 3, 4), (4, 2)), ("ij,bjk->bik", (3, 4), (2, 4, 2)),
    ("abij,abjk->abik", (2, 1, 2, 3), (1, 3, 3, 2)), ("bhqd,bhkd->bhqk", (1, 2, 3, 2), (1, 2, 4, 2)),
    ("ijk,jkl->il", (2, 3, 2), (3, 2, 4)), ("ijk,kjl->il", (2, 3, 2), (2, 3, 4)),
    ("ij,kl->ikjl", (2, 3), (1, 2)), ("b,bi->bi", (3,), (3, 2)), ("bi,b->ib", (3, 2), (3,)),
    (",ij->ij", (), (2, 3)), ("ij,->ji", (2, 3), ()), (",->", (), ()), ("ij,jk->ik", (1, 1), (1, 1)),
    ("ij,jk->ik", (3, 0), (0, 2)), ("ij,jk->ik", (0, 3), (3, 2)), ("bij,bjk->bik", (0, 3, 4), (1, 4, 2)),
    ("i,i->", (0,), (0,)),
)  # fmt: skip


def products() -> Iterator[Sample]:
    contract = primitive_named("contract")
    for subscripts, first, second in CONTRACTIONS:
        inputs = between(-1, 1, first, "a"), between(-1, 1, second, "b")
        yield Sample("contract", partial(contract, subscripts=subscripts), inputs, 2, True, subscripts)
    matmul = partial(contract, subscripts="ij,jk->ik")
    for first, second in ((np.int64, np.int64), (np.float32, float), (np.int32, np.float32), (bool, bool)):
        inputs = integers(0, 2, (2, 3), first), integers(0, 2, (3, 2), second)
        yield Sample("contract", matmul, inputs, 0)


FAMILIES = (
    elementwise, reductions, shapes, indexing, products, windows, loops, bits, linear_algebra,
    fourier_transforms, complex_parts, special_functions,
)  # fmt: skip
SAMPLES: tuple[Sample, ...] = tuple(chain.from_iterable(family() for family in FAMILIES))

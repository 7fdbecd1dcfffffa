"""One table of calls that drives the tests of every primitive.

A row says which primitive it is about, how to call it, and on what. From it the tests check the type rule,
the listing, compilation, the derivatives to second order, and the dtype of gradients. Adding a primitive
means adding a row here; ``test_complete.py`` names those that are missing.

Inputs are chosen away from kinks: a step of ``numeric.STEP`` in any direction crosses none.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

import boxgrad as bg
from boxgrad.graph.primitive import primitive_named
from boxgrad.ops.index import Slot

Call = Callable[..., Any]


@dataclass(frozen=True)
class Sample:
    """One call of a primitive.

    ``order`` is how many derivatives exist and are compared; ``analytic`` says that the call also runs on
    complex numbers, so that the complex step applies.
    """

    primitive: str
    call: Call
    inputs: tuple[Any, ...]
    order: int = 2
    analytic: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        shapes = " ".join(_kind(x) for x in self.inputs)
        return f"{self.primitive} {shapes}{' ' if self.note else ''}{self.note}"


def _kind(x: Any) -> str:
    if not isinstance(x, np.ndarray):
        return type(x).__name__
    return f"{x.dtype.kind}{x.dtype.itemsize * 8}[{','.join(map(str, x.shape))}]"


def _random(name: str, shape: Any) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{name}{shape}".encode()))


def between(low: float, high: float, shape: Any, name: str = "") -> Any:
    """Random numbers of a shape; a Python float where the shape is "float"."""
    random = _random(f"{name}{low}{high}", shape)
    return float(random.uniform(low, high)) if shape == "float" else random.uniform(low, high, shape)


def apart(shape: tuple[int, ...], name: str = "", gap: float = 0.13, shift: float = 0.05) -> np.ndarray:
    """Numbers of either sign, no two nearer than ``gap`` and none near 0, in random order."""
    size = int(np.prod(shape))
    values = (np.arange(size) - size // 2) * gap + shift
    return _random(name, shape).permutation(values).reshape(shape)


def integers(low: int, high: int, shape: Any, dtype: Any = np.int64) -> np.ndarray:
    """Random integers."""
    return _random("integers", (low, high, shape)).integers(low, high, shape).astype(dtype)


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
            ((3,), (3,)), ((2, 1), (3,)), ((), (2, 3)), ((3, 2), ()), ((0, 3), (3,)), ((), ()), ((1, 3), (2, 1, 1)),
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
    yield Sample("logical_not", np.logical_not, (a,), 0)
    yield Sample("invert", np.invert, (a,), 0)
    yield Sample("invert", lambda x: ~x, (a > 0,), 0)
    for shape in ((), (2, 3), (0,), "float"):
        yield Sample("erf", bg.erf, (between(-2, 2, shape, "erf"),), 2, shape != "float")
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
        yield Sample(
            "cast", lambda x, kind=kind: x.astype(kind), (between(0, 9, (2, 2)),), 0, note=kind.__name__
        )
    for shape in ((2, 3), (), (0, 1)):
        yield Sample("identity", identity, (between(-1, 1, shape),), 2, True)
        yield Sample("stop_gradient", bg.stop_gradient, (between(-1, 1, shape),), 0)


# ---- along axes
AXES: tuple[tuple[tuple[int, ...], Any], ...] = (
    ((5,), None), ((1, 4), 0), ((3, 4), 1), ((3, 4), -1), ((2, 3, 4), (0, 2)), ((2, 3, 4), (-1, 0)), ((), None),
    ((3, 1, 2), ()),
)  # fmt: skip


def reductions() -> Iterator[Sample]:
    for shape, axis in AXES:
        for keepdims in (False, True):
            note = f"axis={axis}{' keepdims' if keepdims else ''}"
            options = {"axis": axis, "keepdims": keepdims}
            for name, analytic in (("sum", True), ("prod", True), ("max", False), ("min", False)):
                call = lambda x, f=getattr(np, name), options=options: f(x, **options)
                x = apart(shape, name)
                yield Sample(name, call, (x + 0.6 if name == "prod" else x,), 2, analytic, note)
            for name in ("any", "all"):
                call = lambda x, f=getattr(np, name), options=options: f(x, **options)
                yield Sample(name, call, (apart(shape, name) > 0,), 0, note=note)
                yield Sample(name, call, (integers(0, 2, shape),), 0, note=note)
    for name in ("sum", "prod"):
        f = getattr(np, name)
        yield Sample(name, lambda x, f=f: f(x, axis=0), (np.ones((0, 3)),), 2, True, "of nothing")
        yield Sample(name, lambda x, f=f: f(x, axis=1), (np.ones((0, 3)),), 2, True, "nothing of three")
        yield Sample(name, lambda x, f=f: f(x, axis=0), (integers(0, 5, (3, 2), np.int32),), 0)
        yield Sample(name, lambda x, f=f: f(x), (integers(0, 2, (3, 2)) > 0,), 0)
    for zeros in ([0.0, 2.0, 3.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]):
        yield Sample("prod", np.prod, (np.array(zeros),), 2, True, f"{zeros.count(0.0)} zeros")
        yield Sample("cumprod", np.cumprod, (np.array([1.5, *zeros]),), 2, True, f"{zeros.count(0.0)} zeros")
    for name in ("max", "min"):
        call = lambda x, f=getattr(np, name): f(x, axis=1)
        yield Sample(name, call, (np.ones((0, 3)),), 2, note="nothing of three")
        yield Sample(name, call, (integers(-4, 4, (2, 3), np.int32),), 0)
    for shape, axis in (((5,), 0), ((1, 4), 0), ((3, 4), 1), ((3, 4), -2), ((2, 3, 4), 1), ((3, 4), None)):
        note = f"axis={axis}"
        for name, order, analytic in (
            ("argmax", 0, False), ("argmin", 0, False), ("cumsum", 2, True), ("cumprod", 2, True),
            ("sort", 2, False), ("argsort", 0, False),
        ):  # fmt: skip
            call = lambda x, f=getattr(np, name), axis=axis: f(x, axis=axis)
            yield Sample(
                name, call, (apart(shape, name) + (0.6 if name == "cumprod" else 0),), order, analytic, note
            )
    for name in ("cumsum", "cumprod", "sort"):
        call = lambda x, f=getattr(np, name): f(x, axis=0)
        yield Sample(name, call, (np.ones((0, 2)),), 2, name != "sort", "of nothing")
        yield Sample(name, call, (integers(0, 4, (3, 2), np.int16),), 0)
    yield Sample("cumsum", np.cumsum, (np.array([True, False, True]),), 0)


# ---- arrangement
def shapes() -> Iterator[Sample]:
    for old, new in (
        ((2, 6), (3, 4)),
        ((4,), (2, -1)),
        ((1, 1), ()),
        ((), (1, 1)),
        ((0, 3), (3, 0)),
        ((3, 2), (6,)),
    ):
        yield Sample(
            "reshape", lambda x, new=new: x.reshape(new), (between(-1, 1, old),), 2, True, f"→ {new}"
        )
    for size, axes in (
        ((2, 3), (1, 0)),
        ((1, 3, 2), (2, 0, 1)),
        ((2, 0, 3), (1, 2, 0)),
        ((2, 3, 4), (0, 2, 1)),
    ):
        yield Sample(
            "transpose", lambda x, axes=axes: x.transpose(axes), (between(-1, 1, size),), 2, True, f"{axes}"
        )
    for old, new in (
        ((3,), (2, 3)),
        ((), (2, 2)),
        ((3, 1), (3, 4)),
        ((1, 2), (3, 0, 2)),
        ((1,), (5,)),
        ((2,), (2,)),
    ):
        call = lambda x, new=new: primitive_named("broadcast")(x, shape=new)
        yield Sample("broadcast", call, (between(-1, 1, old),), 2, True, f"→ {new}")
    for sizes, axis in (
        (((2, 3), (1, 3)), 0),
        (((2, 3), (2, 1), (2, 2)), 1),
        (((0, 2), (3, 2)), 0),
        (((3,),), 0),
    ):
        arrays = tuple(between(-1, 1, size, str(i)) for i, size in enumerate(sizes))
        call = lambda *xs, axis=axis: np.concatenate(xs, axis=axis)
        yield Sample("concatenate", call, arrays, 2, True, f"axis={axis}")
    yield Sample("concatenate", lambda x, z: np.concatenate([x, z]), (np.ones(2, np.float32), np.ones(1)), 0)
    yield Sample(
        "concatenate", lambda x, z: np.concatenate([x, z]), (integers(0, 3, (2,)), np.ones(1)), 1, True
    )


# ---- indexing
def indexing() -> Iterator[Sample]:
    x = between(-1, 1, (4, 3, 2))
    keys: list[Any] = [
        (1,), (-1,), (slice(1, 3),), (slice(None, None, -1),), (slice(None, None, 2), None, 1), (..., 0), (1, 2, 0),
        (slice(3, 0, -2), slice(0)), (None, ..., slice(-2, None)), (),
    ]  # fmt: skip
    for key in keys:
        yield Sample("slice", lambda x, key=key: x[key], (x,), 2, True, f"{key}")
        place = x[key].shape
        embed = lambda g, key=key: primitive_named("embed")(g, key=key, shape=(4, 3, 2))
        yield Sample("embed", embed, (between(-1, 1, place, "g"),), 2, True, f"{key}")
        put = lambda x, z, key=key: primitive_named("put_slice")(x, z, key=key)
        yield Sample("put_slice", put, (x, between(-1, 1, place, "z")), 2, True, f"{key}")
    put = lambda x, z: primitive_named("put_slice")(x, z, key=(slice(1, 3),))
    yield Sample("put_slice", put, (x, between(-1, 1, (3, 1))), 2, True, "broadcast")
    yield Sample("put_slice", put, (x, between(-1, 1, ())), 2, True, "of one number")
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
    for key, indices in advanced:
        note = f"{key}".replace("Slot(number=", "(")
        gather = lambda x, *i, key=key: primitive_named("gather")(x, *i, key=key)
        yield Sample("gather", gather, (x, *indices), 2, True, note)
        place = gather(x, *indices).shape
        add = lambda g, *i, key=key: primitive_named("scatter_add")(g, *i, key=key, shape=(4, 3, 2))
        yield Sample("scatter_add", add, (between(-1, 1, place, "s"), *indices), 2, True, note)
        put = lambda x, z, *i, key=key: primitive_named("put")(x, z, *i, key=key)
        yield Sample("put", put, (x, between(-1, 1, place, "p"), *indices), 2, True, note)
    put = lambda x, z, *i: primitive_named("put")(x, z, *i, key=(Slot(0),))
    yield Sample("put", put, (x, between(-1, 1, ()), repeated), 2, True, "of one number")
    yield Sample("put", put, (x, between(-1, 1, (3, 1)), repeated), 2, True, "broadcast")


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
    for subscripts, first, second in CONTRACTIONS:
        call = lambda a, b, s=subscripts: primitive_named("contract")(a, b, subscripts=s)
        yield Sample(
            "contract", call, (between(-1, 1, first, "a"), between(-1, 1, second, "b")), 2, True, subscripts
        )
    matmul = lambda a, b: primitive_named("contract")(a, b, subscripts="ij,jk->ik")
    for first, second in (
        (np.int64, np.int64),
        (np.float32, np.float64),
        (np.int32, np.float32),
        (bool, bool),
    ):
        yield Sample("contract", matmul, (integers(0, 2, (2, 3), first), integers(0, 2, (3, 2), second)), 0)


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


def windows() -> Iterator[Sample]:
    for size, kernel, options in CONVOLUTIONS:
        call = lambda x, w, options=options: bg.conv(x, w, **options)
        x, w = between(-1, 1, size, "x"), between(-1, 1, kernel, "w")
        yield Sample("conv", call, (x, w), note=f"{options}")
        axes = len(size) - 2
        found = [node for node in bg.trace(call, x, w).nodes if node.primitive is not None]
        parameters = found[0].parameters
        g = between(-1, 1, found[0].shape, "g")
        filters = lambda x, g, k=kernel[2:], p=parameters: primitive_named("conv_filter_gradient")(
            x, g, kernel=k, **p
        )
        yield Sample("conv_filter_gradient", filters, (x, g), note=f"{axes} axes {options}")
    for size, kernel, options in TRANSPOSED:
        call = lambda x, w, options=options: bg.conv_transpose(x, w, **options)
        yield Sample(
            "conv_input_gradient",
            call,
            (between(-1, 1, size, "x"), between(-1, 1, kernel, "w")),
            note=f"{options}",
        )
    for size, kernel, options in POOLINGS:
        note = f"{kernel} {options}"
        for name, pool in (("max_pool", bg.max_pool), ("avg_pool", bg.avg_pool)):
            call = lambda x, pool=pool, k=kernel, options=options: pool(x, k, **options)
            yield Sample(name, call, (apart(size, "pool"),), note=note)
            found = [node for node in bg.trace(call, apart(size, "pool")).nodes if node.primitive is not None]
            parameters = found[0].parameters
            g, x = between(-1, 1, found[0].shape, "g"), apart(size, "pool")
            if name == "avg_pool":
                back = lambda g, p=parameters, s=size[len(size) - len(parameters["size"]) :]: primitive_named(
                    "avg_pool_input_gradient"
                )(g, shape=s, **p)
                yield Sample("avg_pool_input_gradient", back, (g,), note=note)
                continue
            scatter = lambda g, x, p=parameters: primitive_named("max_pool_scatter")(g, x, **p)
            yield Sample("max_pool_scatter", scatter, (g, x), note=note)
            select = lambda t, x, p=parameters: primitive_named("max_pool_select")(t, x, **p)
            yield Sample("max_pool_select", select, (between(-1, 1, size, "t"), x), note=note)


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
        call = lambda key, counter, shape=shape: draw(key, counter, shape=shape)
        yield Sample("random_bits", call, (key, np.array(5, np.uint64)), 0, note=f"{shape}")


FAMILIES = (elementwise, reductions, shapes, indexing, products, windows, loops, bits)
SAMPLES: tuple[Sample, ...] = tuple(chain.from_iterable(family() for family in FAMILIES))

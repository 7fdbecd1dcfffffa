"""Rules for matrices, big operators, repeated values and choices. Each is an equation of values."""

from __future__ import annotations

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Expression, Number
from boxgrad.explain.rule_parts import (
    ONE,
    coefficient,
    fits,
    holds,
    is_zero,
    kept,
    numeral,
    opposite,
    value_of,
    zeros,
)


def transpose(e: x.Transpose) -> Expression | None:
    body = e.x
    if isinstance(body, x.Product) and len(body.shape) == 2 and all(len(f.shape) == 2 for f in body.factors):
        return x.product(*(x.transpose(factor) for factor in reversed(body.factors)))
    if isinstance(body, x.Reduce) and isinstance(body.body, x.Product) and len(body.shape) == 2:
        inner = body.body
        if len(inner.factors) == 2 and not body.keep and body.axes == tuple(range(len(inner.shape) - 2)):
            turned = x.product(*(x.transpose(factor) for factor in reversed(inner.factors)))
            return x.Reduce(body.symbol, turned, body.axes, shape=e.shape)
    if isinstance(body, x.Transpose):
        return body.x
    if isinstance(body, x.Times) and body.factors[0].shape == ():
        rest = x.times(*(f for f in body.factors if f.shape != ()))
        if rest.shape == body.shape:
            return x.times(*(f for f in body.factors if f.shape == ()), x.transpose(rest))
    if isinstance(body, x.Outer):
        return x.Outer(body.b, body.a, shape=e.shape)
    if isinstance(body, x.Fill):
        return x.Fill(body.value, shape=e.shape)
    if isinstance(body, x.Negative):
        return x.negative(x.transpose(body.x))
    return None


def product_sign(e: x.Product) -> Expression | None:
    signs = sum(isinstance(factor, x.Negative) for factor in e.factors)
    if not signs:
        return None
    made = x.Product(tuple(f.x if isinstance(f, x.Negative) else f for f in e.factors), shape=e.shape)
    return x.negative(made) if signs % 2 else made


def product_zero(e: x.Product) -> Expression | None:
    return zeros(e.shape) if any(map(is_zero, e.factors)) else None


def product_one(e: x.Product) -> Expression | None:
    """A 1×1 matrix that is 1 changes nothing."""
    rest = [f for f in e.factors if not (isinstance(f, x.Fill) and f.shape == (1, 1) and f.value == 1)]
    if not rest or len(rest) == len(e.factors):
        return None
    return rest[0] if len(rest) == 1 else x.Product(tuple(rest), shape=e.shape)


def product_scalar(e: x.Product) -> Expression | None:
    """Numbers move out of a product of matrices."""
    for i, factor in enumerate(e.factors):
        if isinstance(factor, x.Times) and factor.factors[0].shape == ():
            scalars = [f for f in factor.factors if f.shape == ()]
            rest = [f for f in factor.factors if f.shape != ()]
            if rest and fits(factor.shape, *rest):
                inner = x.Product((*e.factors[:i], x.times(*rest), *e.factors[i + 1 :]), shape=e.shape)
                return x.times(*scalars, inner)
    return None


def reduce(e: x.Reduce) -> Expression | None:
    if not e.axes:
        return e.body
    if e.symbol == "Σ" and isinstance(e.body, x.Negative):
        return x.negative(x.Reduce("Σ", e.body.x, e.axes, e.keep, shape=e.shape))
    if e.symbol == "Σ" and isinstance(e.body, x.Times):
        scalars = [f for f in e.body.factors if f.shape == ()]
        rest = [f for f in e.body.factors if f.shape != ()]
        if scalars and rest and fits(e.body.shape, *rest):
            return x.times(*scalars, x.Reduce("Σ", x.times(*rest), e.axes, e.keep, shape=e.shape))
    return None


def reduce_repeated(e: x.Reduce) -> Expression | None:
    """The sum over axes along which a value is repeated is their number times the value."""
    if e.symbol != "Σ":
        return None
    count = 1
    for i in e.axes:
        count *= e.body.shape[i]
    if isinstance(e.body, x.Fill):
        total = x.times(x.number(count), x.number(e.body.value))
        return x.times(total, x.Fill(1, shape=e.shape)) if e.shape else total
    if isinstance(e.body, x.Spread) and not e.keep and not set(e.body.axes) & set(e.axes):
        left = [i for i in range(len(e.body.shape)) if i not in e.axes]
        if len(left) == len(e.body.axes):
            return kept(x.times(x.number(count), e.body.x), e.shape)
    return None


def reduce_single(e: x.Reduce) -> Expression | None:
    """Along an axis of size 1 there is nothing to sum; the sum of all elements is a number all the same."""
    if e.shape == () and e.symbol == "Σ":
        return None
    single = [i for i in e.axes if e.body.shape[i] == 1]
    if not single or e.symbol not in ("Σ", "Π", "max", "min") or len(e.axes) == len(e.body.shape):
        return None
    axes = tuple(i for i in e.axes if i not in single)
    if e.keep:
        return x.Reduce(e.symbol, e.body, axes, True, shape=e.shape) if axes else e.body
    kept = tuple(n for i, n in enumerate(e.body.shape) if i not in axes)
    inner = x.Reduce(e.symbol, e.body, axes, shape=kept) if axes else e.body
    return x.Rearranged(inner, shape=e.shape)


def reduce_reduce(e: x.Reduce) -> Expression | None:
    inner = e.body
    if not isinstance(inner, x.Reduce) or inner.symbol != e.symbol or e.keep:
        return None
    if inner.keep:
        axes = {*e.axes, *inner.axes}
        kept = tuple(n for i, n in enumerate(inner.body.shape) if i not in axes)
        return x.Reduce(e.symbol, inner.body, tuple(sorted(axes)), shape=e.shape) if kept == e.shape else None
    if not inner.keep:
        left = [i for i in range(len(inner.body.shape)) if i not in inner.axes]
        axes = tuple(sorted({*inner.axes, *(left[i] for i in e.axes)}))
        return x.Reduce(e.symbol, inner.body, axes, shape=e.shape)
    return None


def spread(e: x.Spread) -> Expression | None:
    if isinstance(e.x, x.Negative):
        return x.negative(x.Spread(e.x.x, e.axes, shape=e.shape))
    if isinstance(e.x, x.Fill):
        return x.Fill(e.x.value, shape=e.shape)
    if isinstance(e.x, x.Spread):
        return x.Spread(e.x.x, tuple(e.axes[i] for i in e.x.axes), shape=e.shape)
    if isinstance(e.x, Number):
        return x.times(e.x, x.Fill(1, shape=e.shape)) if e.x != ONE else x.Fill(1, shape=e.shape)
    if e.x.shape == () and e.shape:
        return x.Times((e.x, x.Fill(1, shape=e.shape)), shape=e.shape)
    if isinstance(e.x, x.Times) and e.x.factors[0].shape == () and len(e.x.factors) > 1:
        rest = x.times(*e.x.factors[1:])
        if rest.shape == e.x.shape:
            return x.times(e.x.factors[0], x.Spread(rest, e.axes, shape=e.shape))
    return None


def rearranged(e: x.Rearranged) -> Expression | None:
    if e.shape == e.x.shape:
        return e.x
    if isinstance(e.x, Number):
        return x.Times((e.x, x.Fill(1, shape=e.shape)), shape=e.shape)
    if isinstance(e.x, x.Times) and e.x.factors[0].shape == () and len(e.x.factors) > 1:
        rest = x.times(*e.x.factors[1:])
        if rest.shape == e.x.shape:
            return x.times(e.x.factors[0], x.Rearranged(rest, shape=e.shape))
    if isinstance(e.x, x.Rearranged):
        inner = e.x.x
        return inner if inner.shape == e.shape else x.Rearranged(inner, shape=e.shape)
    if isinstance(e.x, x.Negative):
        return x.negative(x.Rearranged(e.x.x, shape=e.shape))
    if isinstance(e.x, x.Fill):
        return x.Fill(e.x.value, shape=e.shape)
    if (
        isinstance(e.x, x.Reduce)
        and e.x.keep
        and e.shape == tuple(n for i, n in enumerate(e.x.body.shape) if i not in e.x.axes)
    ):
        return x.Reduce(e.x.symbol, e.x.body, e.x.axes, shape=e.shape)
    return None


def cases(e: x.Cases) -> Expression | None:
    """g where c, else 0 = g ⊙ [c]; and the other way round."""
    if len(e.branches) != 2 or e.branches[0][1] is None:
        return None
    (a, condition), (b, _) = e.branches
    if is_zero(b):
        return kept(x.times(a, holds(condition)), e.shape)
    if is_zero(a):
        other = opposite(condition)
        return None if other is None else kept(x.times(b, holds(other)), e.shape)
    if isinstance(b, x.Times) and isinstance(b.factors[-1], x.Indicator):
        kind = b.factors[-1].condition
        rest = x.times(*b.factors[:-1])
        value = value_of(rest)
        factor, body = coefficient(rest) if value is None else (value, ONE)
        if body == a and isinstance(kind, x.Infix) and kind.symbol == "=":
            half = x.times(numeral(factor), holds(kind))
            return kept(x.times(a, x.add(holds(condition), half)), e.shape)
    return None

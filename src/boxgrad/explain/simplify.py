"""Rewriting a formula into what a person would write, one recorded step at a time.

Each rule is an equation that holds for every value of the symbols (of the given shapes). Knows no graph.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Expression, Number, broadcast

Rule = Callable[[Any], "Expression | None"]


@dataclass(frozen=True)
class Step:
    """A rule that was used: its key in the words, what it was used on, what came out."""

    rule: str
    before: Expression
    after: Expression


ZERO, ONE = Number(0, shape=()), Number(1, shape=())


def simplify(expression: Expression, steps: list[Step] | None = None) -> Expression:
    """The expression rewritten until no rule applies; the rules used are appended to ``steps``."""
    memo: dict[Expression, Expression] = {}
    return _simplify(expression, [] if steps is None else steps, memo)


def _simplify(expression: Expression, steps: list[Step], memo: dict[Expression, Expression]) -> Expression:
    known = memo.get(expression)
    if known is not None:
        return known
    now = expression.over(lambda part: _simplify(part, steps, memo))
    for _ in range(60):
        after = _once(now, steps)
        if after is None:
            break
        now = after.over(lambda part: _simplify(part, steps, memo))
    memo[expression] = memo[now] = now
    return now


def _once(expression: Expression, steps: list[Step]) -> Expression | None:
    for name, rule in _RULES.get(type(expression), ()):
        after = rule(expression)
        if after is not None and after != expression:
            if after.shape != expression.shape:
                raise AssertionError(f"{name} changed the shape {expression.shape} to {after.shape}")
            if name:
                steps.append(Step(name, expression, after))
            return after
    return None


# ---- numbers
def value_of(expression: Expression) -> tuple[int, int] | float | None:
    """A number's value: a ratio (top, bottom), or a float; None for anything else."""
    if isinstance(expression, x.Negative):
        inner = value_of(expression.x)
        return None if inner is None else (-inner[0], inner[1]) if isinstance(inner, tuple) else -inner
    if not isinstance(expression, Number):
        return None
    value = expression.value
    return value if isinstance(value, tuple) else (value, 1) if isinstance(value, int) else float(value)


def _as_number(value: Any) -> Expression:
    return x.number(value)


def _multiplied(a: Any, b: Any) -> Any:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return (a[0] * b[0], a[1] * b[1])
    return _plain(a) * _plain(b)


def _added(a: Any, b: Any) -> Any:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return (a[0] * b[1] + b[0] * a[1], a[1] * b[1])
    return _plain(a) + _plain(b)


def _plain(a: Any) -> float:
    return a[0] / a[1] if isinstance(a, tuple) else a


def _fits(shape: tuple[int, ...], *parts: Expression) -> bool:
    return broadcast(*parts) == shape


def zeros(shape: tuple[int, ...]) -> Expression:
    return x.Fill(0, shape=shape) if shape else ZERO


def _is_zero(expression: Expression) -> bool:
    return (isinstance(expression, (x.Fill, Number))) and expression.value == 0


# ---- sums
def _add(e: x.Add) -> Expression | None:
    terms: list[Expression] = []
    flat = False
    for term in e.terms:
        if isinstance(term, x.Add) and term.shape == e.shape:
            terms.extend(term.terms)
            flat = True
        elif isinstance(term, x.Negative) and isinstance(term.x, x.Add) and term.x.shape == e.shape:
            terms.extend(x.negative(part) for part in term.x.terms)
            flat = True
        else:
            terms.append(term)
    return x.Add(tuple(terms), shape=e.shape) if flat else None


def _add_zero(e: x.Add) -> Expression | None:
    kept = [term for term in e.terms if not _is_zero(term)]
    if len(kept) == len(e.terms):
        return None
    if not kept:
        return zeros(e.shape)
    return x.add(*kept) if _fits(e.shape, *kept) else None


def _add_numbers(e: x.Add) -> Expression | None:
    values = [(term, value_of(term)) for term in e.terms]
    known = [value for _, value in values if value is not None]
    if len(known) < 2:
        return None
    total: Any = (0, 1)
    for value in known:
        total = _added(total, value)
    rest = [term for term, value in values if value is None]
    return x.add(*rest, _as_number(total)) if rest else _as_number(total)


def _like_terms(e: x.Add) -> Expression | None:
    counts: dict[Expression, Any] = {}
    for term in e.terms:
        body, sign = (term.x, -1) if isinstance(term, x.Negative) else (term, 1)
        factor, rest = _coefficient(body)
        counts[rest] = _added(counts.get(rest, (0, 1)), _multiplied((sign, 1), factor))
    if len(counts) == len(e.terms):
        return None
    terms = [_scaled(factor, rest) for rest, factor in counts.items() if _plain(factor) != 0]
    made = x.add(*terms) if terms else zeros(e.shape)
    return made if made.shape == e.shape else None


def _embedded(e: x.Add) -> Expression | None:
    """Parts put side by side along the last axis are a concatenation."""
    parts: list[tuple[int, int, Expression]] = []
    for term in e.terms:
        body = term.x if isinstance(term, x.Negative) else term
        found = re.fullmatch(r"…,(\d+):(\d+)", body.note) if isinstance(body, x.Call) else None
        if not isinstance(body, x.Call) or body.function != "embed" or found is None:
            return None
        (inner,) = body.arguments
        signed = x.negative(inner) if isinstance(term, x.Negative) else inner
        parts.append((int(found[1]), int(found[2]), signed))
    parts.sort(key=lambda part: part[0])
    edges = [0, *(stop for _, stop, _ in parts)]
    if [start for start, _, _ in parts] != edges[:-1] or edges[-1] != e.shape[-1]:
        return None
    return x.Call("concat", tuple(part for _, _, part in parts), shape=e.shape)


def _coefficient(e: Expression) -> tuple[Any, Expression]:
    if isinstance(e, x.Times):
        value = value_of(e.factors[0])
        if value is not None:
            return value, x.times(*e.factors[1:])
    return (1, 1), e


def _scaled(factor: Any, rest: Expression) -> Expression:
    if _plain(factor) == 1:
        return rest
    if _plain(factor) == -1:
        return x.negative(rest)
    scalar = _as_number(factor)
    if isinstance(scalar, x.Negative):
        return x.negative(x.times(scalar.x, *_factors(rest)))
    return x.times(scalar, *_factors(rest))


def _factors(e: Expression) -> tuple[Expression, ...]:
    return e.factors if isinstance(e, x.Times) else (e,)


# ---- products element by element
def _times_flat(e: x.Times) -> Expression | None:
    if not any(isinstance(factor, x.Times) for factor in e.factors):
        return None
    return x.Times(tuple(part for factor in e.factors for part in _factors(factor)), shape=e.shape)


def _times_sign(e: x.Times) -> Expression | None:
    signs = sum(isinstance(factor, x.Negative) for factor in e.factors)
    if not signs:
        return None
    made = x.Times(tuple(f.x if isinstance(f, x.Negative) else f for f in e.factors), shape=e.shape)
    return x.negative(made) if signs % 2 else made


def _times_zero(e: x.Times) -> Expression | None:
    return zeros(e.shape) if any(map(_is_zero, e.factors)) else None


def _times_one(e: x.Times) -> Expression | None:
    for i, factor in enumerate(e.factors):
        if isinstance(factor, (Number, x.Fill)) and factor.value == 1:
            rest = e.factors[:i] + e.factors[i + 1 :]
            if rest and _fits(e.shape, *rest):
                return x.times(*rest)
    return None


def _times_fill(e: x.Times) -> Expression | None:
    """An array of one number is that number where the others have the shape."""
    for i, factor in enumerate(e.factors):
        if isinstance(factor, x.Fill):
            rest = e.factors[:i] + e.factors[i + 1 :]
            if rest and _fits(e.shape, *rest):
                return x.times(x.number(factor.value), *rest)
            if factor.value != 1:
                one = x.Fill(1, shape=factor.shape)
                return x.Times((x.number(factor.value), *rest, one), shape=e.shape)
    return None


def _times_numbers(e: x.Times) -> Expression | None:
    values = [value_of(factor) for factor in e.factors]
    known = [value for value in values if value is not None]
    if not known or (len(known) == 1 and values[0] is not None):
        return None
    total: Any = (1, 1)
    for value in known:
        total = _multiplied(total, value)
    rest = [factor for factor, value in zip(e.factors, values, strict=True) if value is None]
    if not rest:
        return _as_number(total)
    return x.Times((_as_number(total), *rest), shape=e.shape)


def _times_scalars_first(e: x.Times) -> Expression | None:
    if not e.shape:
        return None
    ordered = sorted(e.factors, key=lambda factor: (factor.shape != (), value_of(factor) is None))
    return None if tuple(ordered) == e.factors else x.Times(tuple(ordered), shape=e.shape)


def _times_powers(e: x.Times) -> Expression | None:
    counts: dict[Expression, Any] = {}
    for factor in e.factors:
        base, exponent = _base(factor)
        counts[base] = _added(counts[base], exponent) if base in counts else exponent
    if len(counts) == len(e.factors):
        return None
    return _back(x.times(*(_raised(base, exponent) for base, exponent in counts.items())), e.shape)


def _base(e: Expression) -> tuple[Expression, Any]:
    if isinstance(e, x.Power):
        value = value_of(e.exponent)
        if value is not None and e.base.shape == e.shape:
            return e.base, value
    return e, (1, 1)


def _raised(base: Expression, exponent: Any) -> Expression:
    if _plain(exponent) == 1:
        return base
    return x.Power(base, _as_number(exponent), shape=base.shape)


def _times_fractions(e: x.Times) -> Expression | None:
    """a ⊙ (1/c) = a/c; numbers below stay in front."""
    for i, factor in enumerate(e.factors):
        if isinstance(factor, x.Fraction) and value_of(factor.bottom) is None:
            rest = [f for j, f in enumerate(e.factors) if j != i]
            if factor.top == ONE and not (e.shape and _is_constant(factor.bottom)):
                numbers = [f for f in rest if value_of(f) is not None]
                others = [f for f in rest if value_of(f) is None]
                if others and (len(others) == 1 or not e.shape):
                    whole = x.fraction(x.times(*others), factor.bottom)
                    return _back(x.times(*numbers, whole), e.shape)
    return None


def _times_cancel(e: x.Times) -> Expression | None:
    """a ⊙ (b/a) = b."""
    for i, factor in enumerate(e.factors):
        if isinstance(factor, x.Fraction):
            for j, other in enumerate(e.factors):
                if i != j and other == factor.bottom:
                    rest = [f for k, f in enumerate(e.factors) if k not in (i, j)]
                    return _back(x.times(*rest, factor.top), e.shape)
    return None


def _times_spread(e: x.Times) -> Expression | None:
    """A number repeated to a shape that the other factors have is that number."""
    for i, factor in enumerate(e.factors):
        if isinstance(factor, x.Spread):
            rest = e.factors[:i] + e.factors[i + 1 :]
            plain = _implicit(factor)
            if plain is not None and _fits(e.shape, plain, *rest):
                return x.Times((*e.factors[:i], plain, *e.factors[i + 1 :]), shape=e.shape)
    return None


def _add_spread(e: x.Add) -> Expression | None:
    for i, term in enumerate(e.terms):
        body = term.x if isinstance(term, x.Negative) else term
        plain = _implicit(body) if isinstance(body, x.Spread) else None
        if plain is not None:
            signed = x.negative(plain) if isinstance(term, x.Negative) else plain
            made = (*e.terms[:i], signed, *e.terms[i + 1 :])
            if _fits(e.shape, *made):
                return x.Add(made, shape=e.shape)
    return None


def _implicit(e: x.Spread) -> Expression | None:
    """What is repeated, where NumPy's broadcasting repeats it by itself: its axes are the last ones."""
    lead = len(e.shape) - len(e.x.shape)
    return e.x if e.axes == tuple(range(lead, len(e.shape))) else None


def _times_indicator(e: x.Times) -> Expression | None:
    """Σ and products of ReLU-like cases: a ⊙ (b where c, else 0) = a ⊙ b ⊙ [c]."""
    for i, factor in enumerate(e.factors):
        if isinstance(factor, x.Times):
            continue
        if isinstance(factor, x.Cases) and len(factor.branches) == 2:
            (a, condition), (b, _) = factor.branches
            if condition is not None and _is_zero(b) and a.shape in ((), e.shape):
                rest = e.factors[:i] + e.factors[i + 1 :]
                return _back(x.times(*rest, a, _holds(condition)), e.shape)
    return None


def _back(made: Expression, shape: tuple[int, ...]) -> Expression | None:
    return made if made.shape == shape else None


# ---- quotients
def _fraction_number(e: x.Fraction) -> Expression | None:
    bottom = value_of(e.bottom)
    if bottom is None:
        return None
    top = value_of(e.top)
    if isinstance(bottom, tuple):
        if top is not None and isinstance(top, tuple):
            return _as_number((top[0] * bottom[1], top[1] * bottom[0]))
        if bottom == (1, 1):
            return e.top
        factor = _as_number((bottom[1], bottom[0]))
        if top is None:
            return x.Times((factor, *_factors(e.top)), shape=e.shape)
    return None


def _fraction_scalar(e: x.Fraction) -> Expression | None:
    """An array over a plain number such as √2 is 1/√2 times the array."""
    if e.shape and _is_constant(e.bottom) and value_of(e.bottom) is None:
        return x.times(x.fraction(ONE, e.bottom), *_factors(e.top))
    return None


def _is_constant(e: Expression) -> bool:
    return (
        all(not isinstance(part, (x.Symbol, x.Derivative, x.Element)) for part in x.parts_of(e))
        and not e.shape
    )


def _fraction_nested(e: x.Fraction) -> Expression | None:
    if isinstance(e.top, x.Fraction):
        return _back(x.fraction(e.top.top, x.times(e.top.bottom, e.bottom)), e.shape)
    if isinstance(e.top, x.Times) and any(isinstance(f, x.Fraction) for f in e.top.factors):
        above = [f.top if isinstance(f, x.Fraction) else f for f in e.top.factors]
        below = [f.bottom for f in e.top.factors if isinstance(f, x.Fraction)]
        return _back(x.fraction(x.times(*above), x.times(*below, e.bottom)), e.shape)
    if isinstance(e.bottom, x.Fraction):
        return _back(x.fraction(x.times(e.top, e.bottom.bottom), e.bottom.top), e.shape)
    return None


def _fraction_sign(e: x.Fraction) -> Expression | None:
    if isinstance(e.top, x.Negative):
        return x.negative(x.Fraction(e.top.x, e.bottom, shape=e.shape))
    if isinstance(e.bottom, x.Negative):
        return x.negative(x.Fraction(e.top, e.bottom.x, shape=e.shape))
    return None


def _fraction_scale(e: x.Fraction) -> Expression | None:
    """(2 a)/b = 2 (a/b) for numbers; (a ⊙ b)/a = b for common factors."""
    top, bottom = list(_factors(e.top)), list(_factors(e.bottom))
    for factor in top:
        if factor in bottom and factor != ONE:
            top.remove(factor)
            bottom.remove(factor)
            above = x.times(*top) if top else ONE
            return _back(x.fraction(above, x.times(*bottom)) if bottom else above, e.shape)
    first, second = value_of(top[0]), value_of(bottom[0])
    exact = all(v is None or isinstance(v, tuple) for v in (first, second))
    pulls = (first is not None and len(top) > 1) or (second is not None and len(bottom) > 1)
    if exact and pulls:
        ratio = _multiplied(first or (1, 1), (1, 1) if second is None else (second[1], second[0]))  # type: ignore[index]
        rest_top = top[1:] if first is not None else top
        rest_bottom = bottom[1:] if second is not None else bottom
        quotient = x.fraction(
            x.times(*rest_top) if rest_top else ONE, x.times(*rest_bottom) if rest_bottom else ONE
        )
        return _back(x.times(_as_number(ratio), quotient), e.shape)
    return None


def _fraction_powers(e: x.Fraction) -> Expression | None:
    """a/aⁿ = 1/aⁿ⁻¹."""
    top, bottom = list(_factors(e.top)), list(_factors(e.bottom))
    for i, above in enumerate(top):
        base, m = _base(above)
        for j, below in enumerate(bottom):
            other, n = _base(below)
            if base == other and isinstance(m, tuple) and isinstance(n, tuple) and above != below:
                left = _added(m, (-n[0], n[1]))
                rest_top, rest_bottom = top[:i] + top[i + 1 :], bottom[:j] + bottom[j + 1 :]
                if _plain(left) > 0:
                    rest_top.append(_raised(base, left))
                else:
                    rest_bottom.append(_raised(base, (-left[0], left[1])))
                made = x.times(*rest_top) if rest_top else ONE
                return _back(x.fraction(made, x.times(*rest_bottom)) if rest_bottom else made, e.shape)
    return None


# ---- powers, signs, transposes
def _power(e: x.Power) -> Expression | None:
    value = value_of(e.exponent)
    if value == (1, 1) and e.base.shape == e.shape:
        return e.base
    if value == (0, 1):
        return x.Fill(1, shape=e.shape) if e.shape else ONE
    if value is not None and isinstance(e.base, x.Power):
        inner = value_of(e.base.exponent)
        whole = isinstance(inner, tuple) and isinstance(value, tuple) and inner[1] == value[1] == 1
        if whole and inner is not None:
            return _back(_raised(e.base.base, _multiplied(inner, value)), e.shape)
    return None


def _power_root(e: x.Power) -> Expression | None:
    return _back(e.base.x, e.shape) if isinstance(e.base, x.Root) and value_of(e.exponent) == (2, 1) else None


def _negative(e: x.Negative) -> Expression | None:
    if isinstance(e.x, x.Negative):
        return e.x.x
    if isinstance(e.x, x.Add) and any(isinstance(term, x.Negative) for term in e.x.terms) and (
        len(e.x.terms) == 2
    ):  # fmt: skip
        a, b = e.x.terms
        if isinstance(b, x.Negative) and not isinstance(a, x.Negative):
            return x.Add((b.x, x.negative(a)), shape=e.shape)
    return zeros(e.shape) if _is_zero(e.x) else None


def _transpose(e: x.Transpose) -> Expression | None:
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


def _product_sign(e: x.Product) -> Expression | None:
    signs = sum(isinstance(factor, x.Negative) for factor in e.factors)
    if not signs:
        return None
    made = x.Product(tuple(f.x if isinstance(f, x.Negative) else f for f in e.factors), shape=e.shape)
    return x.negative(made) if signs % 2 else made


def _product_zero(e: x.Product) -> Expression | None:
    return zeros(e.shape) if any(map(_is_zero, e.factors)) else None


def _product_scalar(e: x.Product) -> Expression | None:
    """Numbers move out of a product of matrices."""
    for i, factor in enumerate(e.factors):
        if isinstance(factor, x.Times) and factor.factors[0].shape == ():
            scalars = [f for f in factor.factors if f.shape == ()]
            rest = [f for f in factor.factors if f.shape != ()]
            if rest and _fits(factor.shape, *rest):
                inner = x.Product((*e.factors[:i], x.times(*rest), *e.factors[i + 1 :]), shape=e.shape)
                return x.times(*scalars, inner)
    return None


# ---- big operators
def _reduce(e: x.Reduce) -> Expression | None:
    if not e.axes:
        return e.body
    if e.symbol == "Σ" and isinstance(e.body, x.Negative):
        return x.negative(x.Reduce("Σ", e.body.x, e.axes, e.keep, shape=e.shape))
    if e.symbol == "Σ" and isinstance(e.body, x.Times):
        scalars = [f for f in e.body.factors if f.shape == ()]
        rest = [f for f in e.body.factors if f.shape != ()]
        if scalars and rest and _fits(e.body.shape, *rest):
            return x.times(*scalars, x.Reduce("Σ", x.times(*rest), e.axes, e.keep, shape=e.shape))
    return None


def _reduce_repeated(e: x.Reduce) -> Expression | None:
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
            return _back(x.times(x.number(count), e.body.x), e.shape)
    return None


def _reduce_single(e: x.Reduce) -> Expression | None:
    """Along an axis of size 1 there is nothing to sum."""
    single = [i for i in e.axes if e.body.shape[i] == 1]
    if not single or e.symbol not in ("Σ", "Π", "max", "min"):
        return None
    axes = tuple(i for i in e.axes if i not in single)
    if e.keep:
        return x.Reduce(e.symbol, e.body, axes, True, shape=e.shape) if axes else e.body
    kept = tuple(n for i, n in enumerate(e.body.shape) if i not in axes)
    inner = x.Reduce(e.symbol, e.body, axes, shape=kept) if axes else e.body
    return x.Rearranged(inner, shape=e.shape)


def _reduce_reduce(e: x.Reduce) -> Expression | None:
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


def _spread(e: x.Spread) -> Expression | None:
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


def _rearranged(e: x.Rearranged) -> Expression | None:
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


# ---- choices
_OPPOSITE = {">": "≤", "<": "≥", "≥": "<", "≤": ">", "=": "≠", "≠": "="}


def _opposite(condition: Expression) -> Expression | None:
    if isinstance(condition, x.Infix) and condition.symbol in _OPPOSITE:
        return x.Infix(_OPPOSITE[condition.symbol], condition.parts, shape=condition.shape)
    return None


def _holds(condition: Expression) -> Expression:
    return x.Indicator(condition, shape=condition.shape)


def _cases(e: x.Cases) -> Expression | None:
    """g where c, else 0 = g ⊙ [c]; and the other way round."""
    if len(e.branches) != 2 or e.branches[0][1] is None:
        return None
    (a, condition), (b, _) = e.branches
    if _is_zero(b):
        return _back(x.times(a, _holds(condition)), e.shape)
    if _is_zero(a):
        other = _opposite(condition)
        return None if other is None else _back(x.times(b, _holds(other)), e.shape)
    if isinstance(b, x.Times) and isinstance(b.factors[-1], x.Indicator):
        kind = b.factors[-1].condition
        rest = x.times(*b.factors[:-1])
        value = value_of(rest)
        factor, body = _coefficient(rest) if value is None else (value, ONE)
        if body == a and isinstance(kind, x.Infix) and kind.symbol == "=":
            half = x.times(_as_number(factor), _holds(kind))
            return _back(x.times(a, x.add(_holds(condition), half)), e.shape)
    return None


_RULES: dict[type, tuple[tuple[str, Rule], ...]] = {
    x.Add: (("", _add), ("zero_term", _add_zero), ("numbers", _add_numbers), ("broadcast", _add_spread),
            ("like_terms", _like_terms), ("concat", _embedded)),
    x.Times: (("", _times_flat), ("zero_factor", _times_zero), ("signs", _times_sign), ("one_factor", _times_one),
              ("one_factor", _times_fill), ("numbers", _times_numbers), ("broadcast", _times_spread),
              ("indicator", _times_indicator), ("cancel", _times_cancel), ("powers", _times_powers),
              ("fraction", _times_fractions), ("", _times_scalars_first)),
    x.Fraction: (("numbers", _fraction_number), ("numbers", _fraction_scalar), ("fraction", _fraction_nested), ("signs", _fraction_sign),
                 ("cancel", _fraction_scale), ("powers", _fraction_powers)),
    x.Power: (("powers", _power), ("powers", _power_root)),
    x.Negative: (("signs", _negative),),
    x.Transpose: (("transposes", _transpose),),
    x.Product: (("zero_factor", _product_zero), ("signs", _product_sign), ("numbers", _product_scalar)),
    x.Reduce: (("sums", _reduce), ("broadcast", _reduce_single), ("repeated", _reduce_repeated), ("sums", _reduce_reduce)),
    x.Spread: (("broadcast", _spread),),
    x.Rearranged: (("broadcast", _rearranged),),
    x.Cases: (("indicator", _cases),),
}  # fmt: skip

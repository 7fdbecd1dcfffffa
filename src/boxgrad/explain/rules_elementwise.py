"""Rules for sums, products, quotients and powers, element by element. Each is an equation of values."""

from __future__ import annotations

import re
from typing import Any

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Expression, Number
from boxgrad.explain.rule_parts import (
    ONE,
    added,
    as_float,
    base_of,
    coefficient,
    factors_of,
    fits,
    holds,
    implicit,
    is_constant,
    is_zero,
    kept,
    multiplied,
    numeral,
    raised,
    scaled,
    value_of,
    zeros,
)


def add(e: x.Add) -> Expression | None:
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


def add_zero(e: x.Add) -> Expression | None:
    kept = [term for term in e.terms if not is_zero(term)]
    if len(kept) == len(e.terms):
        return None
    if not kept:
        return zeros(e.shape)
    return x.add(*kept) if fits(e.shape, *kept) else None


def add_numbers(e: x.Add) -> Expression | None:
    values = [(term, value_of(term)) for term in e.terms]
    known = [value for _, value in values if value is not None]
    if len(known) < 2:
        return None
    total: Any = (0, 1)
    for value in known:
        total = added(total, value)
    rest = [term for term, value in values if value is None]
    return x.add(*rest, numeral(total)) if rest else numeral(total)


def like_terms(e: x.Add) -> Expression | None:
    counts: dict[Expression, Any] = {}
    for term in e.terms:
        body, sign = (term.x, -1) if isinstance(term, x.Negative) else (term, 1)
        factor, rest = coefficient(body)
        counts[rest] = added(counts.get(rest, (0, 1)), multiplied((sign, 1), factor))
    if len(counts) == len(e.terms):
        return None
    terms = [scaled(factor, rest) for rest, factor in counts.items() if as_float(factor) != 0]
    made = x.add(*terms) if terms else zeros(e.shape)
    return made if made.shape == e.shape else None


def embedded(e: x.Add) -> Expression | None:
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


def times_flat(e: x.Times) -> Expression | None:
    if not any(isinstance(factor, x.Times) for factor in e.factors):
        return None
    return x.Times(tuple(part for factor in e.factors for part in factors_of(factor)), shape=e.shape)


def times_sign(e: x.Times) -> Expression | None:
    signs = sum(isinstance(factor, x.Negative) for factor in e.factors)
    if not signs:
        return None
    made = x.Times(tuple(f.x if isinstance(f, x.Negative) else f for f in e.factors), shape=e.shape)
    return x.negative(made) if signs % 2 else made


def times_zero(e: x.Times) -> Expression | None:
    return zeros(e.shape) if any(map(is_zero, e.factors)) else None


def times_one(e: x.Times) -> Expression | None:
    for i, factor in enumerate(e.factors):
        if isinstance(factor, (Number, x.Fill)) and factor.value == 1:
            rest = e.factors[:i] + e.factors[i + 1 :]
            if rest and fits(e.shape, *rest):
                return x.times(*rest)
    return None


def times_fill(e: x.Times) -> Expression | None:
    """An array of one number is that number where the others have the shape."""
    for i, factor in enumerate(e.factors):
        if isinstance(factor, x.Fill):
            rest = e.factors[:i] + e.factors[i + 1 :]
            if rest and fits(e.shape, *rest):
                return x.times(x.number(factor.value), *rest)
            if factor.value != 1:
                one = x.Fill(1, shape=factor.shape)
                return x.Times((x.number(factor.value), *rest, one), shape=e.shape)
    return None


def times_numbers(e: x.Times) -> Expression | None:
    values = [value_of(factor) for factor in e.factors]
    known = [value for value in values if value is not None]
    if not known or (len(known) == 1 and values[0] is not None):
        return None
    total: Any = (1, 1)
    for value in known:
        total = multiplied(total, value)
    rest = [factor for factor, value in zip(e.factors, values, strict=True) if value is None]
    if not rest:
        return numeral(total)
    return x.Times((numeral(total), *rest), shape=e.shape)


def times_scalars_first(e: x.Times) -> Expression | None:
    if not e.shape:
        return None
    ordered = sorted(e.factors, key=lambda factor: (factor.shape != (), value_of(factor) is None))
    return None if tuple(ordered) == e.factors else x.Times(tuple(ordered), shape=e.shape)


def times_powers(e: x.Times) -> Expression | None:
    counts: dict[Expression, Any] = {}
    for factor in e.factors:
        base, exponent = base_of(factor)
        counts[base] = added(counts[base], exponent) if base in counts else exponent
    if len(counts) == len(e.factors):
        return None
    return kept(x.times(*(raised(base, exponent) for base, exponent in counts.items())), e.shape)


def times_fractions(e: x.Times) -> Expression | None:
    """a ⊙ (1/c) = a/c; numbers below stay in front."""
    for i, factor in enumerate(e.factors):
        if isinstance(factor, x.Fraction) and value_of(factor.bottom) is None:
            rest = [f for j, f in enumerate(e.factors) if j != i]
            if factor.top == ONE and not (e.shape and is_constant(factor.bottom)):
                numbers = [f for f in rest if value_of(f) is not None]
                others = [f for f in rest if value_of(f) is None]
                if others and (len(others) == 1 or not e.shape):
                    whole = x.fraction(x.times(*others), factor.bottom)
                    return kept(x.times(*numbers, whole), e.shape)
    return None


def times_cancel(e: x.Times) -> Expression | None:
    """a ⊙ (b/a) = b."""
    for i, factor in enumerate(e.factors):
        if isinstance(factor, x.Fraction):
            for j, other in enumerate(e.factors):
                if i != j and other == factor.bottom:
                    rest = [f for k, f in enumerate(e.factors) if k not in (i, j)]
                    return kept(x.times(*rest, factor.top), e.shape)
    return None


def times_spread(e: x.Times) -> Expression | None:
    """A number repeated to a shape that the other factors have is that number."""
    for i, factor in enumerate(e.factors):
        if isinstance(factor, x.Spread):
            rest = e.factors[:i] + e.factors[i + 1 :]
            plain = implicit(factor)
            if plain is not None and fits(e.shape, plain, *rest):
                return x.Times((*e.factors[:i], plain, *e.factors[i + 1 :]), shape=e.shape)
    return None


def add_spread(e: x.Add) -> Expression | None:
    for i, term in enumerate(e.terms):
        body = term.x if isinstance(term, x.Negative) else term
        plain = implicit(body) if isinstance(body, x.Spread) else None
        if plain is not None:
            signed = x.negative(plain) if isinstance(term, x.Negative) else plain
            made = (*e.terms[:i], signed, *e.terms[i + 1 :])
            if fits(e.shape, *made):
                return x.Add(made, shape=e.shape)
    return None


def times_indicator(e: x.Times) -> Expression | None:
    """Σ and products of ReLU-like cases: a ⊙ (b where c, else 0) = a ⊙ b ⊙ [c]."""
    for i, factor in enumerate(e.factors):
        if isinstance(factor, x.Times):
            continue
        if isinstance(factor, x.Cases) and len(factor.branches) == 2:
            (a, condition), (b, _) = factor.branches
            if condition is not None and is_zero(b) and a.shape in ((), e.shape):
                rest = e.factors[:i] + e.factors[i + 1 :]
                return kept(x.times(*rest, a, holds(condition)), e.shape)
    return None


def fraction_number(e: x.Fraction) -> Expression | None:
    bottom = value_of(e.bottom)
    if bottom is None:
        return None
    top = value_of(e.top)
    if isinstance(bottom, tuple):
        if top is not None and isinstance(top, tuple):
            return numeral((top[0] * bottom[1], top[1] * bottom[0]))
        if bottom == (1, 1):
            return e.top
        factor = numeral((bottom[1], bottom[0]))
        if top is None:
            return x.Times((factor, *factors_of(e.top)), shape=e.shape)
    return None


def fraction_scalar(e: x.Fraction) -> Expression | None:
    """An array over a plain number such as √2 is 1/√2 times the array."""
    if e.shape and is_constant(e.bottom) and value_of(e.bottom) is None:
        return x.times(x.fraction(ONE, e.bottom), *factors_of(e.top))
    return None


def fraction_nested(e: x.Fraction) -> Expression | None:
    if isinstance(e.top, x.Fraction):
        return kept(x.fraction(e.top.top, x.times(e.top.bottom, e.bottom)), e.shape)
    if isinstance(e.top, x.Times) and any(isinstance(f, x.Fraction) for f in e.top.factors):
        above = [f.top if isinstance(f, x.Fraction) else f for f in e.top.factors]
        below = [f.bottom for f in e.top.factors if isinstance(f, x.Fraction)]
        return kept(x.fraction(x.times(*above), x.times(*below, e.bottom)), e.shape)
    if isinstance(e.bottom, x.Fraction):
        return kept(x.fraction(x.times(e.top, e.bottom.bottom), e.bottom.top), e.shape)
    return None


def fraction_sign(e: x.Fraction) -> Expression | None:
    if isinstance(e.top, x.Negative):
        return x.negative(x.Fraction(e.top.x, e.bottom, shape=e.shape))
    if isinstance(e.bottom, x.Negative):
        return x.negative(x.Fraction(e.top, e.bottom.x, shape=e.shape))
    return None


def fraction_scale(e: x.Fraction) -> Expression | None:
    """(2 a)/b = 2 (a/b) for numbers; (a ⊙ b)/a = b for common factors."""
    top, bottom = list(factors_of(e.top)), list(factors_of(e.bottom))
    for factor in top:
        if factor in bottom and factor != ONE:
            top.remove(factor)
            bottom.remove(factor)
            above = x.times(*top) if top else ONE
            return kept(x.fraction(above, x.times(*bottom)) if bottom else above, e.shape)
    first, second = value_of(top[0]), value_of(bottom[0])
    exact = all(v is None or isinstance(v, tuple) for v in (first, second))
    pulls = (first is not None and len(top) > 1) or (second is not None and len(bottom) > 1)
    if exact and pulls:
        ratio = multiplied(first or (1, 1), (1, 1) if second is None else (second[1], second[0]))  # type: ignore[index]
        rest_top = top[1:] if first is not None else top
        rest_bottom = bottom[1:] if second is not None else bottom
        quotient = x.fraction(
            x.times(*rest_top) if rest_top else ONE, x.times(*rest_bottom) if rest_bottom else ONE
        )
        return kept(x.times(numeral(ratio), quotient), e.shape)
    return None


def fraction_powers(e: x.Fraction) -> Expression | None:
    """a/aⁿ = 1/aⁿ⁻¹."""
    top, bottom = list(factors_of(e.top)), list(factors_of(e.bottom))
    for i, above in enumerate(top):
        base, m = base_of(above)
        for j, below in enumerate(bottom):
            other, n = base_of(below)
            if base == other and isinstance(m, tuple) and isinstance(n, tuple) and above != below:
                left = added(m, (-n[0], n[1]))
                rest_top, rest_bottom = top[:i] + top[i + 1 :], bottom[:j] + bottom[j + 1 :]
                if as_float(left) > 0:
                    rest_top.append(raised(base, left))
                else:
                    rest_bottom.append(raised(base, (-left[0], left[1])))
                made = x.times(*rest_top) if rest_top else ONE
                return kept(x.fraction(made, x.times(*rest_bottom)) if rest_bottom else made, e.shape)
    return None


def power(e: x.Power) -> Expression | None:
    value = value_of(e.exponent)
    if value == (1, 1) and e.base.shape == e.shape:
        return e.base
    if value == (0, 1):
        return x.Fill(1, shape=e.shape) if e.shape else ONE
    if value is not None and isinstance(e.base, x.Power):
        inner = value_of(e.base.exponent)
        whole = isinstance(inner, tuple) and isinstance(value, tuple) and inner[1] == value[1] == 1
        if whole and inner is not None:
            return kept(raised(e.base.base, multiplied(inner, value)), e.shape)
    return None


def power_root(e: x.Power) -> Expression | None:
    return kept(e.base.x, e.shape) if isinstance(e.base, x.Root) and value_of(e.exponent) == (2, 1) else None


def negative(e: x.Negative) -> Expression | None:
    if isinstance(e.x, x.Negative):
        return e.x.x
    if isinstance(e.x, x.Add) and any(isinstance(term, x.Negative) for term in e.x.terms) and (
        len(e.x.terms) == 2
    ):  # fmt: skip
        a, b = e.x.terms
        if isinstance(b, x.Negative) and not isinstance(a, x.Negative):
            return x.Add((b.x, x.negative(a)), shape=e.shape)
    return zeros(e.shape) if is_zero(e.x) else None

"""Rewriting a formula into what a person would write, one recorded step at a time.

Each rule is an equation that holds for every value of the symbols (of the given shapes). Knows no graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from boxgrad.explain import expression as x
from boxgrad.explain import rules_arrays as whole
from boxgrad.explain import rules_elementwise as one
from boxgrad.explain import rules_logic as other
from boxgrad.explain.expression import Expression

Rule = Callable[[Any], "Expression | None"]


@dataclass(frozen=True)
class Step:
    """A rule that was used: its key in the words, what it was used on, what came out."""

    rule: str
    before: Expression
    after: Expression


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


_RULES: dict[type, tuple[tuple[str, Rule], ...]] = {
    x.Add: (
        ("", one.add),
        ("zero_term", one.add_zero),
        ("numbers", one.add_numbers),
        ("broadcast", one.add_spread),
        ("like_terms", one.like_terms),
        ("concat", one.embedded),
    ),
    x.Times: (
        ("", one.times_flat),
        ("zero_factor", one.times_zero),
        ("signs", one.times_sign),
        ("one_factor", one.times_one),
        ("one_factor", one.times_fill),
        ("numbers", one.times_numbers),
        ("broadcast", one.times_spread),
        ("indicator", one.times_indicator),
        ("indicator", other.bounds),
        ("cancel", one.times_cancel),
        ("powers", one.times_powers),
        ("fraction", one.times_fractions),
        ("", one.times_scalars_first),
    ),
    x.Fraction: (
        ("broadcast", other.fraction_fill),
        ("numbers", one.fraction_number),
        ("numbers", one.fraction_scalar),
        ("fraction", one.fraction_nested),
        ("signs", one.fraction_sign),
        ("cancel", one.fraction_scale),
        ("powers", one.fraction_powers),
    ),
    x.Power: (("powers", one.power), ("powers", one.power_root), ("powers", other.power_indicator)),
    x.Negative: (("signs", one.negative),),
    x.Transpose: (("transposes", whole.transpose),),
    x.Product: (
        ("zero_factor", whole.product_zero),
        ("one_factor", whole.product_one),
        ("signs", whole.product_sign),
        ("numbers", whole.product_scalar),
    ),
    x.Reduce: (
        ("sums", whole.reduce),
        ("broadcast", whole.reduce_single),
        ("repeated", whole.reduce_repeated),
        ("sums", whole.reduce_reduce),
    ),
    x.Spread: (("broadcast", whole.spread),),
    x.Rearranged: (("broadcast", whole.rearranged),),
    x.Over: (("sums", other.over),),
    x.Infix: (("", other.logic),),
    x.Indicator: (("", other.indicator),),
    x.Outer: (("numbers", other.bilinear),),
    x.Convolve: (("numbers", other.bilinear),),
    x.Cases: (("", other.choice), ("indicator", whole.cases)),
}

"""Closed forms: each gradient as one formula of what goes in and of values of the forward pass.

Gradients are substituted into one another from the output back. Where a formula would grow too long, or
would no longer say which element is meant, a gradient in it stays a name, and has a closed form of its own.
Knows expressions; knows no medium.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Expression
from boxgrad.explain.simplify import Step as Rewriting
from boxgrad.explain.simplify import simplify

SHORT = 12
"""A gradient of fewer marks is always written out."""

Forms = dict[Expression, Expression]


def closed_forms(
    totals: Mapping[Expression, Expression], limit: int, clear: Callable[[Expression, Expression], bool]
) -> tuple[Forms, dict[Expression, list[Rewriting]]]:
    """The form of each gradient, in the order of the backward pass, and how each was made simple.

    ``totals`` gives each gradient as the chain rule does. ``clear`` tells whether an equation can be written.
    """
    forms: Forms = {}
    made: dict[Expression, list[Rewriting]] = {}
    uses = _uses(totals.values())
    first: Forms = {}
    for symbol, total in totals.items():
        here = Counter(part for part in x.parts_of(total) if part in forms)
        known = {part: forms[part] for part in here}
        for kept in (
            set[Expression](),
            {part for part, form in known.items() if form.size > SHORT and uses[part] > 1},
            {part for part, form in known.items() if form.size > SHORT},
            set(known),
        ):
            steps: list[Rewriting] = []
            size = total.size + sum(known[part].size * n for part, n in here.items() if part not in kept)
            if size > 2 * limit and kept != set(known):
                continue
            table = {part: form for part, form in known.items() if part not in kept}
            table |= {part: first[forms[part]] for part in kept if first[forms[part]] != part}
            form = simplify(x.substitute(total, table), steps)
            if form.size <= limit and clear(symbol, form):
                break
        forms[symbol], made[symbol] = form, steps
        first.setdefault(form, symbol)
    return forms, made


def _uses(totals: Iterable[Expression]) -> dict[Expression, int]:
    """How often each gradient stands in the others."""
    found: dict[Expression, int] = {}
    for total in totals:
        for part in x.parts_of(total):
            if isinstance(part, x.Derivative):
                found[part] = found.get(part, 0) + 1
    return found


def needed(forms: Forms, wanted: Iterable[Expression]) -> list[Expression] | None:
    """The gradients that the wanted ones name, in order; None where one of them has no closed form."""
    found: set[Expression] = set()
    stack = list(wanted)
    while stack:
        form = forms.get(stack.pop())
        if form is None:
            return None
        new = {part for part in x.parts_of(form) if isinstance(part, x.Derivative)} - found
        found |= new
        stack.extend(new)
    return [symbol for symbol in forms if symbol in found]


def substituted(e: Expression, table: Mapping[Expression, Expression], limit: int) -> tuple[Expression, bool]:
    """The expression with names replaced by what they stand for until none is left, or it grows too large."""
    while True:
        names = {part for part in x.parts_of(e) if part in table}
        if not names:
            return e, True
        after = x.substitute(e, {name: table[name] for name in names})
        if after.size > 3 * limit:
            return e, False
        e = simplify(after)
        if e.size > limit:
            return e, False


def in_order(equations: Mapping[Expression, Expression]) -> list[Expression]:
    """The left sides of equations, each after those that stand on its right."""
    found: dict[Expression, None] = {}
    entered: set[Expression] = set()

    def add(left: Expression) -> None:
        if left in entered:
            return
        entered.add(left)
        for part in x.parts_of(equations[left]):
            if part in equations:
                add(part)
        found[left] = None

    for left in equations:
        add(left)
    return list(found)

"""Which marks of a document a reader may have to be told the meaning of.

Knows expressions and the keys of sentences; knows no medium.
"""

from __future__ import annotations

from collections.abc import Iterable

from boxgrad.explain import expression as x
from boxgrad.explain.expression import Expression
from boxgrad.explain.writing import new_axes


def remarks(formulas: Iterable[Expression]) -> list[str]:
    """The keys of the sentences that the notation of some formulas calls for."""
    found = {key: None for e in formulas for part in x.parts_of(e) for key in _keys(part)}
    return list(found)


def _keys(e: Expression) -> tuple[str, ...]:
    if isinstance(e, x.Convolve) and e.note:
        return ("math_windows",)
    if isinstance(e, x.Rearranged):
        return () if new_axes(e.x.shape, e.shape) is not None else ("math_reshape",)
    if isinstance(e, x.Permuted):
        return ("math_permute",)
    if isinstance(e, x.Call) and e.function in ("maxpool", "avgpool", "concat"):
        return (f"math_{e.function}",)
    if isinstance(e, x.Indicator):
        return ("math_brackets",)
    if isinstance(e, x.Call) and e.function == "onehot":
        return ("math_places", "math_brackets")
    counted = isinstance(e, x.Item) and any(c.isdigit() for c in e.index)
    return ("math_places",) if counted or isinstance(e, x.At) else ()

"""How a name is written in mathematics: W1 as W₁, alpha as α, weight_0 as W₀.

Knows names; every view's key stays the name itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from boxgrad.explain.expression import Symbol

GREEK = {
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "delta": "δ",
    "epsilon": "ε",
    "eps": "ε",
    "zeta": "ζ",
    "eta": "η",
    "theta": "θ",
    "kappa": "κ",
    "lambda": "λ",
    "lam": "λ",
    "mu": "μ",
    "nu": "ν",
    "xi": "ξ",
    "pi": "π",
    "rho": "ρ",
    "sigma": "σ",
    "tau": "τ",
    "phi": "φ",
    "chi": "χ",
    "psi": "ψ",
    "omega": "ω",
    "Gamma": "Γ",
    "Delta": "Δ",
    "Theta": "Θ",
    "Lambda": "Λ",
    "Sigma": "Σ",
    "Phi": "Φ",
    "Psi": "Ψ",
    "Omega": "Ω",
}
SHORT = {"weight": "W", "bias": "b", "loss": "L", "input": "x", "target": "y"}
_SPLIT = re.compile(r"^(.*?\D)(\d+)$")


def written(name: str) -> tuple[str, str]:
    """The base of a name and its subscript.

    >>> written("W1"), written("weight_0"), written("alpha"), written("hidden_size")
    (('W', '1'), ('W', '0'), ('α', ''), ('hidden', 'size'))
    >>> written("h[3]"), written("W1[3]")
    (('h', '3'), ('W', '1,3'))
    """
    name, bracket, time = name.partition("[")
    if bracket:
        base, subscript = written(name)
        return base, f"{subscript},{time[:-1]}" if subscript else time[:-1]
    base, *rest = (name.strip("_") or name).split("_")
    found = _SPLIT.match(base)
    base, tail = (found[1], found[2]) if found else (base, "")
    marks = [tail, *rest]
    kind = next((part for part in rest if part in ("weight", "bias")), None)
    if kind is not None and base not in GREEK and len(base) > 1:
        marks = [base + tail, *(part for part in rest if part != kind)]
        base = kind
    subscript = ",".join(GREEK.get(mark, mark) for mark in marks if mark)
    if base in GREEK:
        return GREEK[base], subscript
    return (
        (SHORT[base], subscript)
        if base in SHORT and (subscript or base not in ("input", "target", "loss"))
        else (base, subscript)
    )


class Names:
    """The symbols of a document: one for each name, no two written alike."""

    def __init__(self, names: Iterable[tuple[str, tuple[int, ...]]]) -> None:
        self._symbols: dict[str, Symbol] = {}
        self._taken: set[tuple[str, str]] = set()
        self.legend: list[tuple[Symbol, str]] = []
        ordered = list(names)
        # Names that are written as they stand come first: nobody else may look like them.
        for name, shape in sorted(ordered, key=lambda item: written(item[0])[0] in SHORT.values()):
            self.symbol(name, shape)

    def __contains__(self, name: str) -> bool:
        return name in self._symbols or written(name) in self._taken

    def symbol(self, name: str, shape: tuple[int, ...]) -> Symbol:
        """The symbol of a name."""
        if name in self._symbols:
            return self._symbols[name]
        base, subscript = written(name)
        if (base, subscript) in self._taken:
            base, subscript = name.replace("_", ""), ""
            while (base, subscript) in self._taken:
                base += "′"
        self._taken.add((base, subscript))
        made = Symbol(name, base, subscript, shape=shape)
        self._symbols[name] = made
        first = re.split(r"[_\d]", name, maxsplit=1)[0]
        if first in SHORT and base == SHORT[first]:
            rest = name[len(first) :].strip("_")
            self.legend.append((made, f"{first} {rest}".strip()))
        return made


@lru_cache(maxsize=4)
def names_for(known: tuple[tuple[str, tuple[int, ...]], ...]) -> Names:
    """The symbols of a document; the drawings of one page have the same names."""
    return Names(known)

"""How a name is written in mathematics: W1 as W₁, alpha as α, weight_0 as W₀.

Knows names; every view's key stays the name itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from boxgrad.explain.expression import Symbol

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eps": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "kappa": "κ", "lambda": "λ", "lam": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ",
    "sigma": "σ", "tau": "τ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ",
    "Theta": "Θ", "Lambda": "Λ", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
SHORT = {"weight": "W", "weights": "W", "bias": "b", "biases": "b", "loss": "L", "input": "x", "target": "y"}
_SPLIT = re.compile(r"^(.*?[A-Za-zα-ωΑ-Ω])_?(\d+)$")


def written(name: str) -> tuple[str, str]:
    """The base of a name and its subscript.

    >>> written("W1"), written("weight_0"), written("alpha"), written("hidden_size")
    (('W', '1'), ('W', '0'), ('α', ''), ('hidden', 'size'))
    """
    trimmed = name.strip("_") or name
    found = _SPLIT.match(trimmed)
    head, tail = (found[1], found[2]) if found else (trimmed, "")
    base, _, rest = head.partition("_")
    if not base:
        base, rest = head, ""
    marks = [*rest.split("_"), tail] if rest else [tail]
    subscript = ",".join(GREEK.get(mark, mark) for mark in marks if mark)
    if base in GREEK:
        return GREEK[base], subscript
    return (SHORT[base], subscript) if base in SHORT and (subscript or base not in ("input", "target", "loss")) else (base, subscript)  # fmt: skip


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

"""How somebody writes: noted while a formula is read, so that its repair looks the same."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Style:
    """What was seen in a formula. ``notation`` is code, text or latex."""

    notation: str
    left: str = ""
    """The left side as it was written."""
    derivative: str = ""
    """inline (dL/dX), frac, applied (∂Λ/∂u(X)), short (dX), joined (dL_dX), nabla."""
    differential: str = ""
    loss: str = ""
    variable: str = "u"
    transpose: str = ""
    symbols: dict[str, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    slope: str = ""
    """prime (σ′(N)), d (dsigma(N)), applied (∂σ/∂u(N)), by value (∂σ/∂N)."""
    product: str = ""
    losses: set[str] = field(default_factory=set)
    loss_open: bool = False
    """Whether an unknown name may be that of the result: on the left side."""

    def note_transpose(self, text: str) -> None:
        self.transpose = self.transpose or text

    def note_symbol(self, key: str, text: str) -> None:
        self.symbols.setdefault(key, text)

    def note_differential(self, text: str) -> None:
        self.differential = self.differential or text

    def note_derivative(self, form: str, loss: str, variable: str = "") -> None:
        if not self.derivative:
            self.derivative, self.loss = form, loss
            self.variable = variable or self.variable

    def note_function(self, function: str, text: str, slope: str, variable: str = "") -> None:
        self.functions.setdefault(function, text)
        if slope and not self.slope:
            self.slope = slope
            self.variable = variable or self.variable

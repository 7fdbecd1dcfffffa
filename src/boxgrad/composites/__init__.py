"""What NumPy's functions mean on boxes, in plain NumPy over primitives. Importing this fills the table."""

from boxgrad.composites import (
    arrange,
    choose,
    constants,
    fourier,
    linalg,
    methods,
    numerical,
    products,
    reductions,
    shapes,
    special,
    statistics,
    ufuncs,
    writes,
)

__all__ = [
    "arrange",
    "choose",
    "constants",
    "fourier",
    "linalg",
    "methods",
    "numerical",
    "products",
    "reductions",
    "shapes",
    "special",
    "statistics",
    "ufuncs",
    "writes",
]

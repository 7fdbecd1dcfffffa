"""What NumPy's functions mean on boxes, in plain NumPy over primitives. Importing this fills the table."""

from boxgrad.composites import products, reductions, shapes, ufuncs

__all__ = ["products", "reductions", "shapes", "ufuncs"]

"""Tracing: NumPy's protocols turn a plain function into a graph. Importing this fills the table."""

from boxgrad.trace import composites, composites_product, composites_shape
from boxgrad.trace.box import Box, OwnBox
from boxgrad.trace.tracer import trace

__all__ = ["Box", "OwnBox", "composites", "composites_product", "composites_shape", "trace"]

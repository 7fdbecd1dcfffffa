"""Tracing: NumPy's protocols turn a plain function into a graph."""

from boxgrad import listing
from boxgrad.trace import operators
from boxgrad.trace.box import Box, OwnBox
from boxgrad.trace.tracer import trace

__all__ = ["Box", "OwnBox", "listing", "operators", "trace"]

"""Engines run graphs; ``compile`` gives a function to one."""

from boxgrad.engines.compiled import Compiled, compile
from boxgrad.engines.engine import engine_named

__all__ = ["Compiled", "compile", "engine_named"]

"""Engines run graphs; ``compile`` gives a function to one."""

from boxgrad.engines.compiled import Compiled, compile
from boxgrad.engines.engine import EngineError, EngineWarning, default_engine, engine_named

__all__ = ["Compiled", "EngineError", "EngineWarning", "compile", "default_engine", "engine_named"]

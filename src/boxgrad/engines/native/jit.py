"""From LLVM's text to addresses of functions: parse, put variables into registers, generate code, load.

Knows llvmlite, the machine and the cache; knows nothing of kernels. Of LLVM's passes only the one that turns
stack slots into registers is run, for the generator has done the rest: whole training steps are within a few
hundredths of what all passes give, and compile several times faster.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
import sys
import threading
from collections.abc import Iterable
from typing import Any

from boxgrad.engines.native import cache
from boxgrad.engines.native.machine import Machine, every_target, host, llvm

VERSION = "1"
"""Counts changes of the generator that its text does not show."""

_MATHEMATICS = (
    "pow", "fmod", "hypot", "cbrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos",
    "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf",
    "fmodf", "memset", "memcpy", "memmove",
)  # fmt: skip
_lock = threading.RLock()


def _hold() -> None:
    """Before a fork: nobody is at work in LLVM, whose own lock the child could never have back."""
    _lock.acquire()
    for library in _llvmlite():
        library._lock.__enter__()


def _let_go() -> None:
    for library in _llvmlite():
        library._lock.__exit__(None, None, None)
    _lock.release()


def _llvmlite() -> list[Any]:
    library = getattr(sys.modules.get("llvmlite.binding.ffi"), "lib", None)
    return [] if library is None else [library]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)


class Code:
    """Loaded functions; their memory is freed with this object."""

    def __init__(self, engine: Any, cached: bool) -> None:
        self._engine = engine
        self.cached = cached

    def address(self, name: str) -> int:
        return self._engine.get_function_address(name)


def compiled(functions: Iterable[str], declarations: Iterable[str], machine: Machine | None = None) -> Code:
    """Load functions, from the cache or by compiling them."""
    machine = machine or host()
    binding = llvm()
    text = "\n".join([f'target triple = "{machine.triple}"', *sorted(set(declarations)), *functions])
    version = ".".join(map(str, binding.llvm_version_info))
    name = cache.name_of(text, machine.triple, machine.cpu, machine.features, version, VERSION)
    with _lock:
        code = cache.load(name)
        cached = code is not None
        if code is None:
            code = object_code(text, machine)
            cache.save(name, code)
        engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _target(machine))
        _offer_library()
        engine.add_object_file(binding.ObjectFileRef.from_data(code))
        engine.finalize_object()
    return Code(engine, cached)


def object_code(text: str, machine: Machine) -> bytes:
    """Compile a module."""
    binding = llvm()
    target = _target(machine)
    # A context of its own: the usual one keeps types and constants for as long as the process lives.
    module = binding.parse_assembly(text, binding.create_context())
    module.data_layout = str(target.target_data)
    module.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    builder = binding.create_pass_builder(target, options)
    passes = binding.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.run(module, builder)
    code = target.emit_object(module)
    # What may refer to the module goes before it, and it before its context.
    for made in (passes, builder, module):
        made.close()
    return code


def trim() -> None:
    """Give back the memory that tracing and compiling took, where the C library has a call for it."""
    function = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if function is not None:
        function(0)


def _target(machine: Machine) -> Any:
    binding = llvm() if machine.triple == host().triple else every_target()
    target = binding.Target.from_triple(machine.triple)
    return target.create_target_machine(
        cpu=machine.cpu, features=machine.features, opt=3, codemodel="jitdefault", jit=True
    )


@functools.cache
def _offer_library() -> None:
    """Tell LLVM where the C library's mathematics is, whatever the process has loaded."""
    binding = llvm()
    if sys.platform == "win32":
        library, system, give_way = ctypes.CDLL("ucrtbase"), ctypes.CDLL("kernel32"), "SwitchToThread"
    else:
        name = ctypes.util.find_library("m") or ctypes.util.find_library("c")
        library, system, give_way = ctypes.CDLL(name), ctypes.CDLL(None), "sched_yield"
    binding.add_symbol("boxgrad_yield", ctypes.cast(getattr(system, give_way), ctypes.c_void_p).value)
    for symbol in _MATHEMATICS:
        function = getattr(library, symbol, None)
        if function is not None:
            address = ctypes.cast(function, ctypes.c_void_p).value
            binding.add_symbol(symbol, address)

"""From LLVM's text to addresses of functions: parse, put variables into registers, generate code, load.

Knows llvmlite, the machine and the cache; knows nothing of kernels. Of LLVM's passes only the one that turns
stack slots into registers is run, for the generator has done the rest: whole training steps are within a few
hundredths of what all passes give, and compile several times faster.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
import sys
import threading
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

from boxgrad.engines.native import cache
from boxgrad.engines.native.machine import Machine, every_target, host, llvm
from boxgrad.engines.native.processors import available

VERSION = "1"
"""Counts changes of the generator that its text does not show."""
MOST_MODULES = 4
MODULE = 1 << 16
"""Characters that are worth a module of their own."""

_MATHEMATICS = (
    "pow", "fmod", "hypot", "cbrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos",
    "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf",
    "fmodf", "memset", "memcpy", "memmove",
)  # fmt: skip
_PYTHON = ("PyEval_SaveThread", "PyEval_RestoreThread", "PyErr_CheckSignals")
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


def compiled(functions: Sequence[str], shared: Iterable[str], machine: Machine | None = None) -> Code:
    """Load functions, from the cache or by compiling them; every module gets the ``shared`` lines.

    Long texts are several modules, compiled side by side, each with a place of its own in the cache.
    """
    machine = machine or host()
    binding = llvm()
    head = "\n".join([f'target triple = "{machine.triple}"', *sorted(set(shared))])
    texts = ["\n".join([head, *part]) for part in modules(functions)]
    version = ".".join(map(str, binding.llvm_version_info))
    facts = (machine.triple, machine.cpu, machine.features, version, VERSION)
    names = [cache.name_of(text, *facts) for text in texts]
    with _lock:
        found = [cache.load(name) for name in names]
        missing = [number for number, code in enumerate(found) if code is None]
        made = object_codes([texts[number] for number in missing], machine)
        for number, code in zip(missing, made, strict=True):
            found[number] = code
            cache.save(names[number], code)
        engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _target(machine))
        _offer_library()
        for code in found:
            engine.add_object_file(binding.ObjectFileRef.from_data(code))
        engine.finalize_object()
    return Code(engine, not missing)


def modules(functions: Sequence[str]) -> list[list[str]]:
    """Functions in modules of about the same length, whatever the number of processors.

    A module declares what only the others define.
    """
    count = max(1, min(MOST_MODULES, sum(map(len, functions)) // MODULE))
    parts: list[list[int]] = [[] for _ in range(count)]
    lengths = [0] * count
    for number in sorted(range(len(functions)), key=lambda number: -len(functions[number])):
        least = lengths.index(min(lengths))
        parts[least].append(number)
        lengths[least] += len(functions[number])
    heads = [text[len("define") : text.index(")") + 1] for text in functions if count > 1]
    return [
        [f"declare{head}" for number, head in enumerate(heads) if number not in part]
        + [functions[number] for number in sorted(part)]
        for part in parts
    ]


def object_codes(texts: Sequence[str], machine: Machine) -> list[bytes]:
    """Compile modules, as many at a time as there are processors."""
    threads = min(len(texts), available())
    if threads <= 1:
        return [object_code(text, machine) for text in texts]
    workers = importlib.import_module("concurrent.futures").ThreadPoolExecutor(threads)
    with workers:
        return list(workers.map(object_code, texts, repeat(machine)))


def object_code(text: str, machine: Machine) -> bytes:
    """Compile a module, in a context of its own: other threads may be compiling others."""
    binding = llvm()
    target = _target(machine)
    module = binding.parse_assembly(text, binding.create_context())
    module.data_layout = str(target.target_data)
    module.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    builder = binding.create_pass_builder(target, options)
    passes = binding.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.run(module, builder)
    code = _emitted(target, module)
    # What may refer to the module goes before it, and it before its context.
    for made in (passes, builder, module):
        made.close()
    return code


def _emitted(target: Any, module: Any) -> bytes:
    """What takes most of the time, without llvmlite's lock: LLVM asks for one context a thread only."""
    library, output = llvm().ffi.lib, llvm().ffi.OutputString
    with output() as error:
        buffer = _unlocked("LLVMPY_TargetMachineEmitToMemory")(target, module, True, error)
        if not buffer:
            raise RuntimeError(str(error))
    try:
        start, size = library.LLVMPY_GetBufferStart(buffer), library.LLVMPY_GetBufferSize(buffer)
        return ctypes.string_at(start, size)
    finally:
        library.LLVMPY_DisposeMemoryBuffer(buffer)


@functools.cache
def _unlocked(name: str) -> Any:
    """A function of llvmlite's library as ctypes has it."""
    library = llvm().ffi.lib
    function = getattr(ctypes.CDLL(library._name), name)
    locked = getattr(library, name)
    function.argtypes, function.restype = locked.argtypes, locked.restype
    return function


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
    """Tell LLVM where Python and the C library's mathematics are, whatever the process has loaded."""
    binding = llvm()
    if sys.platform == "win32":
        library, system = ctypes.CDLL("ucrtbase"), ctypes.CDLL("kernel32")
        give_way, rest = "SwitchToThread", "Sleep"
    else:
        library, system = _unix_mathematics(), ctypes.CDLL(None)
        give_way, rest = "sched_yield", "usleep"
    symbols = {"boxgrad_yield": getattr(system, give_way), "boxgrad_rest": getattr(system, rest)}
    symbols |= {name: getattr(ctypes.pythonapi, name) for name in _PYTHON}
    symbols |= {name: getattr(library, name, None) for name in _MATHEMATICS}
    for symbol, function in symbols.items():
        if function is not None:
            binding.add_symbol(symbol, ctypes.cast(function, ctypes.c_void_p).value)


def _unix_mathematics() -> ctypes.CDLL:
    """By the name that it has on nearly every Linux; to search for it, Python starts other programs."""
    try:
        return ctypes.CDLL("libm.so.6")
    except OSError:
        search = importlib.import_module("ctypes.util").find_library
        return ctypes.CDLL(search("m") or search("c"))

"""What the code generator must know of the processor: its vector registers, and what LLVM calls it.

Knows names and sizes; knows nothing of kernels. ``Machine`` is a value, so tests generate code for narrower
machines than the one they run on, and for others altogether.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Machine:
    """A target of code generation.

    ``vector_bytes`` is the size of a vector register, ``registers`` their number: together they decide how
    many lanes a kernel has and how many sums a product keeps in registers.
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int

    def lanes(self, itemsize: int) -> int:
        """How many elements of that many bytes fill a register."""
        return max(2, self.vector_bytes // itemsize)


def machine_of(triple: str, cpu: str, features: str) -> Machine:
    """Read the registers from the names of the features."""
    present = set(features.split(","))
    if "+avx512f" in present:
        return Machine(triple, cpu, features, 64, 32)
    if "+avx2" in present:
        return Machine(triple, cpu, features, 32, 16)
    return Machine(triple, cpu, features, 16, 32 if triple.startswith(("aarch64", "arm64")) else 16)


@functools.cache
def host(widest: str | None = None) -> Machine:
    """This machine. ``widest`` (or ``BOXGRAD_NATIVE_VECTORS``) restricts it: "avx512", "avx2" or "128"."""
    binding = llvm()
    features = dict(binding.get_host_cpu_features())
    limit = widest or os.environ.get("BOXGRAD_NATIVE_VECTORS", "avx512")
    for name in list(features):
        if (name.startswith("avx512") and limit != "avx512") or (
            name.startswith(("avx", "fma", "f16c", "vaes", "vpclmulqdq")) and limit == "128"
        ):
            features[name] = False
    text = ",".join(f"{'+' if on else '-'}{name}" for name, on in sorted(features.items()))
    # Windows' own format of objects asks for more of a loader than LLVM's does.
    triple = binding.get_default_triple() + ("-elf" if sys.platform == "win32" else "")
    return machine_of(triple, binding.get_host_cpu_name(), text)


@functools.cache
def llvm() -> Any:
    """llvmlite's binding for this machine, imported on first use: that takes longer than NumPy."""
    binding = importlib.import_module("llvmlite.binding")
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


@functools.cache
def every_target() -> Any:
    """The same, initialised for all processors: ten megabytes more."""
    binding = llvm()
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    return binding

"""Which engine runs what names none: native, or NumPy where native cannot run, which is said once."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import boxgrad as bg
from boxgrad import engines
from boxgrad.engines import engine as choice
from boxgrad.engines.native import engine as native
from boxgrad.engines.native.machine import Machine

X = np.linspace(-1.0, 1.0, 7)
NO_LLVM = "import sys; sys.modules['llvmlite'] = sys.modules['llvmlite.binding'] = None"
DAMAGED_LLVM = """
import importlib
found = importlib.import_module
def damaged(name, package=None):
    if name == "llvmlite.binding":
        raise OSError("libllvmlite.so: file too short")
    return found(name, package)
importlib.import_module = damaged
"""


def f(x):
    return np.sum(np.tanh(x) * x)


def run(*lines, **environment):
    """Another Python process: its exit code, standard output and standard error."""
    kept = {name: value for name, value in os.environ.items() if name != choice.VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=120,
        env={**kept, **environment}, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def fresh(monkeypatch):
    """A process that has not chosen yet."""
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    choice._suitable.cache_clear()
    yield monkeypatch
    choice._suitable.cache_clear()


def engine_of(compiled):
    compiled(X)
    return compiled.report().engine


def test_native_where_it_can_run(fresh):
    assert engines.default_engine() == "native"
    assert engine_of(bg.compile(f)) == "native"


def test_an_engine_by_name_or_by_the_environment(fresh):
    assert engine_of(bg.compile(f, engine="numpy")) == "numpy"
    fresh.setenv(choice.VARIABLE, "numpy")
    assert engine_of(bg.compile(f)) == "numpy"
    assert engine_of(bg.compile(f, engine="native")) == "native"
    fresh.setenv(choice.VARIABLE, "nunpy")
    with pytest.raises(engines.EngineError, match="BOXGRAD_ENGINE"):
        bg.compile(f)(X)
    with pytest.raises(engines.EngineError, match="the engines are numpy, native"):
        bg.compile(f, engine="nativ")


@pytest.mark.parametrize(
    ("breakage", "why"), [(NO_LLVM, "pip install llvmlite"), (DAMAGED_LLVM, "too short")]
)
def test_without_llvm_numpy_runs_and_it_is_said_once(breakage, why):
    code, output, errors = run(
        breakage,
        "import numpy as np, boxgrad as bg",
        "f, g = bg.compile(lambda x: np.sum(np.sin(x))), bg.compile(bg.grad(lambda x: np.sum(x**2)))",
        "print(f(np.zeros(3)), g(np.ones(2)), f.report().engine, g.report().engine)",
    )
    assert (code, output) == (0, "0.0 [2. 2.] numpy numpy\n")
    assert errors.count("EngineWarning") == 1
    assert all(part in errors for part in ("by NumPy here", "why:", why, "instead:", "BOXGRAD_ENGINE=numpy"))


@pytest.mark.parametrize("chosen", ["engine='native'", "by the environment"])
def test_without_llvm_native_by_name_is_an_error_that_says_what_to_do(chosen):
    by_name = chosen.startswith("engine")
    code, _, errors = run(
        NO_LLVM,
        "import numpy as np, boxgrad as bg",
        f"bg.compile(np.sin, {chosen if by_name else ''})(np.zeros(3))",
        **({} if by_name else {choice.VARIABLE: "native"}),
    )
    assert code == 1
    assert "EngineError: the engine 'native' cannot run here" in errors
    assert "llvmlite cannot be imported" in errors
    assert "instead: engine='numpy'" in errors


def test_the_command_line_says_it_once_and_trains(tmp_path):
    code, output, errors = run(
        NO_LLVM,
        "from boxgrad.cli import main",
        f"sys.argv = 'boxgrad train digits --model mlp --epochs 1 --out {tmp_path / 'run'}'.split()",
        "main()",
    )
    assert code == 0, errors
    assert "digits, mlp: test loss" in output
    assert errors.count("boxgrad: note: compiled functions run by NumPy here") == 1
    assert '"engine": "numpy"' in (tmp_path / "run" / "config.json").read_text()


def test_a_processor_that_no_code_is_made_for(fresh):
    fresh.setattr(native, "host", lambda: Machine("riscv64-unknown-linux-gnu", "generic", "", 16, 32))
    with pytest.warns(engines.EngineWarning, match="this is riscv64"):
        assert engines.default_engine() == "numpy"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert engine_of(bg.compile(f)) == "numpy"
    with pytest.raises(engines.EngineError, match="this is riscv64"):
        bg.compile(f, engine="native")(X)


def test_llvm_is_imported_at_the_first_call():
    code, output, errors = run(
        "import sys, numpy as np, boxgrad as bg",
        "f = bg.compile(lambda x: x + 1)",
        "print('llvmlite' in sys.modules)",
        "f(np.zeros(2))",
        "print('llvmlite' in sys.modules)",
    )
    assert (code, output) == (0, "False\nTrue\n"), errors

"""What ``import boxgrad`` loads, and what it leaves until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

LATER = ("data", "nn", "optim", "train", "check", "explain", "engines.native")


def printed(program: str) -> str:
    """What a program prints in a fresh interpreter."""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_what_is_not_used_is_not_loaded():
    names = [f"boxgrad.{name}" for name in LATER] + ["llvmlite", "hashlib", "pathlib", "socket"]
    program = "import numpy, sys; known = {*sys.modules}; import boxgrad\n"
    loaded = printed(program + f"print(*({{*sys.modules}} - known) & {{*{names!r}}})")
    assert not loaded


@pytest.mark.parametrize(
    ("use", "shown"),
    [
        ("boxgrad.nn.Linear(3, 2).weight.shape", "(2, 3)"),
        ("boxgrad.optim.SGD.__name__", "SGD"),
        ("boxgrad.data.__name__", "boxgrad.data"),
        ("sorted({'data', 'nn', 'optim'} & {*dir(boxgrad)})", "['data', 'nn', 'optim']"),
    ],
)
def test_folders_are_loaded_on_use(use, shown):
    assert printed(f"import boxgrad; print({use})") == shown

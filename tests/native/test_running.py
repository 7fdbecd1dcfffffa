"""Threads, processes, the cache, guarded memory, and what a report says."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import boxgrad as bg
from samples import SAMPLES

random = np.random.default_rng(0)
A = random.normal(size=(150, 150)).astype(np.float32)


def work(a):
    return np.sum(np.tanh(a @ a.T), axis=0)


def run(code, **environment):
    """Another Python process; its standard output."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
        env={**os.environ, **environment}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_many_small_jobs():
    """Thousands of jobs that are shared among more threads than there are processors."""
    bg.set_num_threads(4)
    try:
        step = bg.compile(
            lambda x: bg.scan(lambda c, _: (np.tanh(c @ c) * 0.5, None), x, None, length=200)[0],
            engine="native",
        )
        x = random.normal(0, 0.1, (96, 96)).astype(np.float32)
        first = step(x)
        for _ in range(20):
            np.testing.assert_array_equal(step(x), first)
    finally:
        bg.set_num_threads(2)


def test_importing_boxgrad_does_not_import_llvm():
    assert run("import sys, boxgrad; print('llvmlite' in sys.modules)").strip() == "False"


# ---- guarded memory
def test_nothing_is_written_beyond_a_buffer(monkeypatch):
    monkeypatch.setenv("BOXGRAD_NATIVE_CHECK", "1")
    for sample in SAMPLES[::7]:
        bg.compile(sample.call, engine="native")(*sample.inputs)


def test_a_write_beyond_a_buffer_is_named(monkeypatch):
    monkeypatch.setenv("BOXGRAD_NATIVE_CHECK", "1")
    compiled = bg.compile(lambda x: np.linalg.det(x[:5, :5]) * 2 + np.sum(x @ x), engine="native")
    compiled(A)
    (entry,) = compiled._entries.values()
    program = entry.run
    program._arena[program._plan.guards[0]] = 0
    with pytest.raises(Exception, match="wrote beyond the end of a buffer"):
        compiled(A)


def test_nothing_is_read_beyond_an_argument():
    """Arguments that end where the process's memory ends: a read beyond them would end the process."""
    code = """
import ctypes, mmap, numpy as np, boxgrad as bg
page = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
def at_the_edge(x):
    size = -(-x.nbytes // page) * page
    memory = mmap.mmap(-1, size + page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert libc.mprotect(ctypes.c_void_p(start + size), page, 0) == 0
    y = np.frombuffer(memory, x.dtype, x.size, size - x.nbytes).reshape(x.shape)
    y[...] = x
    return y
random = np.random.default_rng(0)
def normal(*shape): return at_the_edge(random.normal(size=shape).astype(np.float32))
programs = [
    (lambda x, y: np.tanh(x) * y, (5, 13), (13,)), (lambda x, y: x @ y, (7, 5), (5, 11)),
    (lambda x, y: x @ y.T, (3, 9), (17, 9)), (lambda x, y: x.T @ y, (9, 3), (9, 21)),
    (lambda x, y: np.sum(x * y, axis=0), (9, 3), (3,)),
    (bg.grad(lambda x, w: np.sum(bg.conv(x, w, padding=1) ** 2), (0, 1)), (2, 3, 7, 7), (5, 3, 3, 3)),
    (bg.grad(lambda x, w: np.sum(bg.conv(x, w, stride=2) ** 2), (0, 1)), (2, 1, 7, 7), (17, 1, 3, 3)),
    (lambda x, y: bg.max_pool(x, 2) + y, (1, 3, 5, 7), (3,)),
]
for program, *shapes in programs:
    bg.compile(program, engine="native")(*[normal(*shape) for shape in shapes])
"""
    if sys.platform == "linux":
        run(code)


def test_a_report():
    compiled = bg.compile(lambda x: np.linalg.det(np.tanh(x + 1)), engine="native")
    compiled(np.eye(5))
    report = compiled.report()
    assert [row.box for row in report.rows] == ["add+tanh", "det"]
    assert any("det runs in NumPy" in note for note in report.notes)


def test_a_report_with_times(monkeypatch):
    monkeypatch.setenv("BOXGRAD_NATIVE_TIME", "1")
    compiled = bg.compile(lambda x: np.linalg.det(np.tanh(x @ x)[:5, :5]), engine="native")
    compiled(A)
    product, factorising = compiled.report().rows
    assert product.flops >= 2 * 150**3
    assert 0 < product.seconds < 1
    assert factorising.seconds > 0
    assert "MFLOP" in str(compiled.report())


def test_complex_numbers_without_axes_keep_their_shape():
    """They lie in memory as constants, which a fallback reads: here the first state of a loop."""

    def running(z):
        _, found = bg.scan(lambda c, x: ((c := c * x + 1j), c), np.asarray(0.5j), z)
        return found

    z = np.array([1 + 2j, -0.5j, 3.0])
    np.testing.assert_allclose(bg.compile(running, engine="native")(z), running(z), rtol=1e-14)

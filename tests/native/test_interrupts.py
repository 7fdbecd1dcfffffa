"""Ctrl-C and other signals while native code runs."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from boxgrad.engines.native import engine, pauses
from boxgrad.engines.native.pool import pool
from boxgrad.engines.native.steps import Kernel, parts_of
from processes import INTERRUPTED, pools, run, unix


@unix
@pytest.mark.parametrize("threads", [1, 2])
@pools
def test_control_c_in_a_long_run(kind, threads):
    """Within a second; what was to be replaced is as it was; the next call works."""
    run(INTERRUPTED + f"""
bg.set_num_threads({threads})
def step(p, x):
    y = bg.scan(lambda c, _: (np.tanh(c @ c), None), x, None, length=100_000)[0]
    p += 1 + y
    return np.sum(y)
g = native(step)
p, x = np.zeros((200, 200), np.float32), np.zeros((200, 200), np.float32)
took = after(lambda: g(p, x))
assert took < {threads}, took
assert (p == 0).all()
assert (f(a) == first).all()
""", kind)  # fmt: skip


CONVOLUTION = """
x = y = zeros(1, {channels}, {size}, {size})
w = zeros({channels}, {channels}, 3, 3)
def call(x, w): return bg.conv(x, w, padding=1)
def gradient(number): return lambda x, w, y: bg.vjp(call, x, w)[1](y)[number]
"""
TILES, DIRECT = CONVOLUTION.format(channels=512, size=320), CONVOLUTION.format(channels=512, size=180)
LINE = "x = np.linspace(0.5, 1.5, 20000)\n"
LONG = {
    "forward": TILES + "g, inputs = native(call), (x, w)",
    "input": TILES + "g, inputs = native(gradient(0)), (x, w, y)",
    "filters": TILES + "g, inputs = native(gradient(1)), (x, w, y)",
    "forward-direct": DIRECT + "g, inputs = native(call), (x, w)",
    "input-direct": DIRECT + "g, inputs = native(gradient(0)), (x, w, y)",
    "filters-direct": DIRECT + "g, inputs = native(gradient(1)), (x, w, y)",
    "scatter": """
from boxgrad.graph.primitive import primitive_named
from boxgrad.ops.index import Slot
def add(x, i):
    rows = np.broadcast_to(x, (40_000, 40_000))
    i = np.broadcast_to(i, rows.shape)
    return primitive_named("scatter_add")(rows, i, key=(Slot(0),), shape=(40_000,))
g, inputs = native(add), (zeros(40_000), np.arange(40_000))
""",
    "sort": "g, inputs = native(np.sort), (np.random.default_rng(0).random(24_000_000, np.float32),)",
    "cumsum": "g, inputs = native(lambda x: np.cumsum(np.broadcast_to(x, 250_000_000))), (zeros(1),)",
    "product": "g, inputs = native(lambda x: x @ x), (zeros(6000, 6000),)",
    "elementwise": "g, inputs = native(lambda x: x**x + np.sin(x) ** x), (np.full(40_000_000, 0.7),)",
    "sum": LINE + "g, inputs = native(lambda x: np.sum(np.power(x[:, None], x[None, :]))), (x,)",
    "rows": LINE + "g, inputs = native(lambda x: np.max(np.sin(x)[:, None] ** x[None, :], axis=1)), (x,)",
    "product of one row": LINE + """
def product(x): return np.broadcast_to(x[:7000, None], (7000, 7000)) @ np.broadcast_to(x[:7000], (7000, 7000))
g, inputs = native(product), (x,)
""",
}  # fmt: skip


@unix
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", LONG)
def test_control_c_in_one_long_kernel(name, threads):
    """Within a second, whatever the kernel."""
    direct = "1" if "direct" in name else ""
    run(INTERRUPTED + f"""
bg.set_num_threads({threads})
def zeros(*shape): return np.zeros(shape, np.float32)
{LONG[name]}
took = after(lambda: g(*inputs))
assert took < {threads}, took
assert (f(a) == first).all()
""", "", BOXGRAD_NATIVE_DIRECT=direct)  # fmt: skip


@unix
def test_control_c_in_the_portable_pool():
    run(INTERRUPTED + """
g = native(lambda x: x @ x)
x = np.zeros((6000, 6000), np.float32)
took = after(lambda: g(x))
assert took < 3.0, took
assert (f(a) == first).all()
""", "portable")  # fmt: skip


@unix
@pools
def test_a_handler_that_calls_the_same_function(kind):
    """A signal's handler may run anything, the interrupted function included."""
    run(INTERRUPTED + """
def long(x): return bg.scan(lambda c, _: (np.tanh(c @ c) * 0.5, None), x, None, length=1500)[0]
g = native(long)
x = a[:150, :150].copy()
wanted = g(x)
inside = []
def handler(*_): inside.append((f(a), g(x)))
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.05)
assert (g(x) == wanted).all()
((one, other),) = inside
assert (one == first).all()
np.testing.assert_allclose(other, wanted, atol=1e-5)
assert (g(x) == wanted).all() and (f(a) == first).all()
""", kind)  # fmt: skip


@unix
@pools
def test_a_handler_that_forks(kind):
    """In the child the run has no workers any more: its result is computed anew."""
    run(INTERRUPTED + """
g = native(lambda x: np.sum(np.power(x[:, None], x[None, :]), axis=0))
x = np.linspace(0.5, 1.5, 6000)
wanted = g(x)
children = []
def handler(*_): children.append(os.fork())
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.2)
result = g(x)
assert len(children) == 1, "it ended before it was interrupted"
if children[0] == 0:
    np.testing.assert_allclose(result, wanted)
    assert (g(x) == wanted).all()
    os._exit(0)
assert (result == wanted).all() and (g(x) == wanted).all()
assert os.waitpid(children[0], 0)[1] == 0
""", kind)  # fmt: skip


# ---- pauses
PROGRAMS = {
    "convolution": (bg.grad(lambda x, w: np.sum(np.tanh(bg.conv(x, w, padding=1))), (0, 1)), "xw"),
    "product": (lambda a: np.tanh(a @ a.T) @ a, "a"),
    "batched": (lambda b: b @ b.swapaxes(1, 2), "b"),
    "sums": (lambda a: (np.sum(a), np.sum(np.exp(a), axis=0), np.max(a, axis=1), np.argmax(a)), "a"),
    "elementwise": (lambda a: np.sin(a) * a.T, "a"),
    "turned": (lambda b: np.transpose(b, (2, 0, 1)) + 1, "b"),
    "running": (lambda a: (np.cumsum(a, axis=0), np.cumprod(a, axis=1)), "a"),
    "sorted": (lambda a: (np.sort(a, axis=0), np.argsort(a, axis=1)), "a"),
    "rows": (bg.grad(lambda a: np.sum(a[ROWS] ** 2)), "a"),
    "loop": (lambda a: bg.scan(lambda c, _: (np.tanh(c @ c), None), a, None, length=5)[0], "a"),
}
random = np.random.default_rng(0)
ROWS = random.integers(0, 70, 500)
ARRAYS = {
    "x": random.normal(size=(9, 20, 12, 13)).astype(np.float32),
    "w": random.normal(size=(24, 20, 3, 3)).astype(np.float32),
    "a": random.normal(size=(70, 70)),
    "b": random.normal(size=(3, 19, 37)).astype(np.float32),
}


@pytest.mark.parametrize("checked", ["", "1"], ids=["", "checked"])
@pytest.mark.parametrize("direct", ["", "1"], ids=["", "direct"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_pauses_change_nothing(monkeypatch, name, direct, checked):
    """Kernels that ask after every step, and a caller that asks Python each time: the same bits."""
    function, letters = PROGRAMS[name]
    inputs = [ARRAYS[letter] for letter in letters]
    monkeypatch.setenv("BOXGRAD_NATIVE_DIRECT", direct)
    without = bg.compile(function, engine="native")
    wanted = without(*inputs)
    monkeypatch.setenv("BOXGRAD_NATIVE_CHECK", checked)
    monkeypatch.setattr(pauses, "LONG", 0)
    monkeypatch.setattr(pauses, "APART", 5)
    monkeypatch.setattr(pool(), "_slice", 0)
    paused = bg.compile(function, engine="native")
    for threads in (1, 3):
        bg.set_num_threads(threads)
        for x, z in zip(bg.tree.leaves(paused(*inputs)), bg.tree.leaves(wanted), strict=True):
            np.testing.assert_array_equal(x, z)
    bg.set_num_threads(2)
    _, steps, _ = engine.ENGINE._made[paused.graph]
    kernels = [part for step in steps for part in parts_of(step) if isinstance(part, Kernel)]
    links = [link for kernel in kernels for link in kernel.links or (kernel,)]
    assert any(pauses.ASK in link.function.declarations for link in links)

"""The pool under stress: threads, forks, signals, changes of the number of threads, the interpreter's end.

Everything is run with both pools: the one that rests on Linux's system calls, and the portable one.
``BOXGRAD_STRESS=60`` makes the random ones last so many seconds each.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import boxgrad as bg
from boxgrad.engines.native import jit, pool_text
from boxgrad.engines.native import pool as pools
from boxgrad.engines.native.machine import machine_of

SECONDS = float(os.environ.get("BOXGRAD_STRESS", "1"))
random = np.random.default_rng(0)
A = random.normal(0, 0.1, (150, 150)).astype(np.float32)
X = random.normal(size=(9, 3, 12, 12)).astype(np.float32)
W = random.normal(size=(5, 3, 3, 3)).astype(np.float32)
LONG = random.normal(size=(300, 700))
ROWS = random.integers(0, 300, 500)
unix = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.fixture(params=["", "portable"], ids=["futex", "portable"])
def kind(request):
    return request.param


@pytest.fixture(autouse=True)
def own_pool(request, monkeypatch):
    """A pool of the kind that a test asks for, in this process."""
    if "kind" in request.fixturenames:
        made = pools.Pool(request.getfixturevalue("kind") == "portable")
        monkeypatch.setattr(pools._process, "pool", made)
        yield made
        made.close()
    else:
        yield None
    bg.set_num_threads(2)


def native(function):
    return bg.compile(function, engine="native")


def loop(x):
    return bg.scan(lambda c, _: (np.tanh(c @ c) * 0.5, None), x, None, length=40)[0]


PROGRAMS = {
    "product": (lambda a: np.sum(np.tanh(a @ a.T), axis=0), (A,)),
    "convolutions": (bg.grad(lambda x, w: np.sum(bg.conv(x, w, padding=1) ** 2), (0, 1)), (X, W)),
    "reductions": (lambda x: (np.sum(x), np.sum(np.exp(x), axis=0), np.max(x, axis=1)), (LONG,)),
    "elementwise": (lambda x: np.sin(x) * np.cos(x), (LONG,)),
    "rows": (bg.grad(lambda x: np.sum(x[ROWS] ** 2)), (LONG,)),
    "loop": (loop, (A,)),
    "fallback": (lambda x: np.sort(np.tanh(x), axis=0) * 2, (LONG,)),
}


def run(code, kind, timeout=150, **environment):
    """Another Python process; its standard output."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=timeout,
        env={**os.environ, "BOXGRAD_NATIVE_POOL": kind, **environment}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def same(got, wanted):
    for x, z in zip(bg.tree.leaves(got), bg.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(x, z)


def together(work, count):
    """Run work(number) in so many threads; an error of any of them is raised."""
    errors = []

    def one(number):
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_bits(kind, name):
    """With one thread, and with more threads than there are processors."""
    function, inputs = PROGRAMS[name]
    compiled, results = native(function), []
    for threads in (1, 2, 3, 7, 1):
        bg.set_num_threads(threads)
        results += [compiled(*inputs) for _ in range(3)]
    for result in results[1:]:
        same(result, results[0])


def test_several_python_threads(kind):
    """They trace, compile and run at once: the same compiled functions, and some of their own."""
    shared = {name: native(function) for name, (function, _) in PROGRAMS.items()}
    wanted = {name: native(function)(*inputs) for name, (function, inputs) in PROGRAMS.items()}
    end = time.monotonic() + SECONDS

    def work(number):
        names = list(PROGRAMS)
        for turn in range(number, 10**9):
            name = names[turn % len(names)]
            function, inputs = PROGRAMS[name]
            same(shared[name](*inputs), wanted[name])
            if not turn % 3:
                same(native(function)(*inputs), wanted[name])
            if time.monotonic() > end:
                return

    together(work, 5)


def test_changing_the_number_of_threads(kind):
    """Between runs, and from another thread during them."""
    compiled = {name: native(function) for name, (function, _) in PROGRAMS.items()}
    wanted = {name: compiled[name](*inputs) for name, (_, inputs) in PROGRAMS.items()}
    end, over = time.monotonic() + SECONDS, threading.Event()

    def change(number):
        choice = np.random.default_rng(1)
        while not over.is_set():
            bg.set_num_threads(int(choice.integers(1, 8)))
            time.sleep(0.0005)

    def work(number):
        if number == 0:
            return change(number)
        while time.monotonic() < end:
            for name, (_, inputs) in PROGRAMS.items():
                same(compiled[name](*inputs), wanted[name])
        over.set()
        return None

    together(work, 2)


def test_fewer_threads_are_fewer(kind, own_pool):
    """Workers beyond the number that is set wait in Python, and come back when they are needed."""
    function, inputs = PROGRAMS["product"]
    compiled = native(function)

    def waiting():
        frames = sys._current_frames()
        return [frames[thread.ident].f_code.co_name == "wait" for thread in own_pool._threads]

    def settle(wanted):
        end = time.monotonic() + 20
        while waiting()[1:] != wanted and time.monotonic() < end:
            compiled(*inputs)
            time.sleep(0.01)
        return waiting()[1:]

    bg.set_num_threads(5)
    first = compiled(*inputs)
    assert len(own_pool._threads) == 4
    bg.set_num_threads(2)
    assert settle([True] * 3) == [True] * 3
    bg.set_num_threads(5)
    same(compiled(*inputs), first)
    if own_pool.sleeps:
        assert settle([False] * 3) == [False] * 3
    assert len(own_pool._threads) == 4


def test_collected_while_running(kind):
    """A compiled function that nobody holds any more, while a thread is in it."""
    function, inputs = PROGRAMS["loop"]
    end = time.monotonic() + SECONDS / 2
    while time.monotonic() < end:
        compiled = native(function)
        wanted = compiled(*inputs)
        results = []
        threads = [
            threading.Thread(target=lambda f=compiled, r=results: r.append(f(*inputs))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        del compiled
        gc.collect()
        for thread in threads:
            thread.join()
        assert len(results) == 2
        same(results[0], wanted)


def test_compiled_inside_of_compiled(kind):
    inner = native(lambda x: np.tanh(x @ x))
    outer = native(lambda x: inner(x) + inner(x * 2))
    np.testing.assert_allclose(outer(A), np.tanh(A @ A) + np.tanh(4 * (A @ A)), atol=1e-5)
    together(lambda number: same(outer(A), outer(A)), 3)


def test_an_error_in_the_middle_of_a_run(kind):
    """A fallback raises: arguments as before, other threads unharmed, the next call works."""

    def step(p, a):
        p *= 2
        return np.sum(np.linalg.cholesky(np.tanh(a) + 0 * np.sum(p)))

    compiled = native(step)
    good, bad = np.eye(4), -np.eye(4)

    def work(number):
        for _ in range(20):
            p = np.ones(1000)
            with pytest.raises(np.linalg.LinAlgError):
                compiled(p, bad)
            np.testing.assert_array_equal(p, np.ones(1000))
            assert compiled(p, good) == np.sum(np.linalg.cholesky(np.tanh(good)))
            np.testing.assert_array_equal(p, 2 * np.ones(1000))

    together(work, 3)


# ---- processes
BEGIN = """
import gc, multiprocessing, os, signal, sys, threading, time
import numpy as np, boxgrad as bg
bg.set_num_threads(3)
def native(f): return bg.compile(f, engine="native")
a = np.random.default_rng(0).normal(0, 0.1, (200, 200)).astype(np.float32)
f = native(lambda a: np.sum(np.tanh(a @ a), axis=0))
first = f(a)
"""


@unix
def test_forked_children(kind):
    """They compute the same bits, with threads of their own, and so does the parent afterwards."""
    run(BEGIN + """
def child(queue, number):
    again = f(a)
    bg.set_num_threads(2)
    new = native(lambda a: np.sum(np.tanh(a @ a), axis=0) + number)(a)
    queue.put((again == first).all() and (new == first + number).all())
context = multiprocessing.get_context("fork")
queue = context.SimpleQueue()
children = [context.Process(target=child, args=(queue, number)) for number in range(4)]
for process in children: process.start()
assert all(queue.get() for _ in children)
for process in children: process.join(); assert process.exitcode == 0
assert (f(a) == first).all()
""", kind)  # fmt: skip


@unix
def test_a_fork_while_other_threads_run(kind):
    """The very program that another thread is in, and one that is being compiled, work in the child."""
    run(BEGIN + """
over = threading.Event()
def busy():
    while not over.is_set(): f(a)
def compiling():
    number = 0
    while not over.is_set():
        number += 1
        native(lambda a: np.exp(a) * number)(a[:number % 50 + 1])
threads = [threading.Thread(target=busy), threading.Thread(target=compiling)]
for thread in threads: thread.start()
for number in range(12):
    child = os.fork()
    if child == 0:
        same = (f(a) == first).all() and (native(lambda a: a + number)(a) == a + number).all()
        os._exit(0 if same else 1)
    end = time.monotonic() + 60
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done or time.monotonic() > end: break
        time.sleep(0.005)
    if not done: os.kill(child, signal.SIGKILL)
    assert done and status == 0, (number, done, status)
over.set()
for thread in threads: thread.join()
""", kind)  # fmt: skip


# In processor time, so that the tests hold on a busy machine.
INTERRUPTED = (
    BEGIN
    + """
def interrupt(seconds):
    def send():
        global sent
        sent = time.process_time()
        os.kill(os.getpid(), signal.SIGINT)
    threading.Timer(seconds, send).start()
def after(call, seconds=1.5):
    interrupt(seconds)
    try:
        call()
    except KeyboardInterrupt:
        return time.process_time() - sent
    raise SystemExit("it ended before it was interrupted")
"""
)


@unix
@pytest.mark.parametrize("threads", [1, 2])
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


@unix
@pytest.mark.parametrize(
    "program",
    [
        "lambda x: np.sum(np.power(x[:, None], x[None, :]))",
        "lambda x: np.max(np.sin(x)[:, None] ** x[None, :], axis=1)",
        "lambda x: np.broadcast_to(x[:7000, None], (7000, 7000)) @ np.broadcast_to(x[:7000], (7000, 7000))",
    ],
    ids=["sum", "rows", "product"],
)  # fmt: skip
def test_control_c_in_one_long_kernel(program):
    run(INTERRUPTED + f"""
bg.set_num_threads(1)
g = native({program})
x = np.linspace(0.5, 1.5, 20000)
took = after(lambda: g(x))
assert took < 1.0, took
assert (f(a) == first).all()
""", "")  # fmt: skip


@unix
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


def test_the_end_of_the_interpreter(kind):
    """Daemon threads are in the middle of runs; workers spin or sleep."""
    code = (
        BEGIN
        + """
g = native(lambda x: bg.scan(lambda c, _: (np.tanh(c @ c), None), x, None, length=300)[0])
def busy():
    while True: f(a); g(a)
for _ in range(3): threading.Thread(target=busy, daemon=True).start()
time.sleep(0.3)
print("end")
"""
    )
    for _ in range(max(2, int(SECONDS))):
        start = time.monotonic()
        assert run(code, kind).strip() == "end"
        assert time.monotonic() - start < 20


def test_other_pools_in_the_process(kind):
    """OpenBLAS's threads and those of OpenMP, before, between and after ours."""
    run(BEGIN + """
from sklearn.cluster import KMeans
b = np.random.default_rng(1).normal(size=(300, 300))
product = b @ b
def clusters(): return KMeans(4, n_init=1, random_state=0).fit(b).inertia_
inertia = clusters()
mixed = native(lambda x, b: np.linalg.solve(b, np.tanh(x @ x)))
x = b * 0.01
wanted = mixed(x, b)
from threadpoolctl import threadpool_info
assert {"blas", "openmp"} <= {entry["user_api"] for entry in threadpool_info()}
over = threading.Event()
def others():
    while not over.is_set(): assert (b @ b == product).all(); clusters(); time.sleep(0.01)
thread = threading.Thread(target=others)
thread.start()
for _ in range(5):
    assert (f(a) == first).all()
    np.testing.assert_allclose(mixed(x, b), wanted)
over.set()
thread.join()
assert abs(clusters() - inertia) < 1e-6 * inertia
""", kind, OPENBLAS_NUM_THREADS="2", OMP_NUM_THREADS="2")  # fmt: skip


# ---- which pool
def test_the_report_says_which_pool(kind):
    compiled = native(np.tanh)
    compiled(A)
    text = str(compiled.report())
    assert ("the portable pool" in text) == (kind == "portable")


def test_a_pool_that_there_is_not():
    out = run(
        "import boxgrad as bg, numpy as np\n"
        "try: bg.compile(np.tanh, engine='native')(np.ones(3))\n"
        "except bg.BoxgradError as error: print(error)",
        "fast",
    )
    assert "BOXGRAD_NATIVE_POOL is 'fast'" in out


@pytest.mark.parametrize(
    ("triple", "machine", "system", "sleeps"),
    [
        ("x86_64-unknown-linux-gnu", "x86_64", "linux", True),
        ("aarch64-unknown-linux-gnu", "aarch64", "linux", True),
        ("riscv64-unknown-linux-gnu", "riscv64", "linux", False),
        ("x86_64-apple-darwin", "x86_64", "darwin", False),
        ("arm64-apple-darwin", "arm64", "darwin", False),
        ("x86_64-pc-windows-msvc-elf", "AMD64", "win32", False),
    ],
)
def test_pools_of_other_systems(triple, machine, system, sleeps):
    """They compile; none but Linux's calls Linux."""
    for portable in (False, True):
        made = pool_text.pool_text(machine, system, portable)
        assert made.sleeps == (sleeps and not portable)
        assert ("@syscall" in made.text) == made.sleeps
        cpu = {"riscv64": "generic-rv64", "aarch64": "generic", "arm64": "apple-m1"}.get(machine, "x86-64")
        code = jit.object_code(f'target triple = "{triple}"\n{made.text}', machine_of(triple, cpu, ""))
        assert len(code) > 500


def test_arm_reads_the_counter_that_programs_may_read():
    machine = machine_of("aarch64-unknown-linux-gnu", "cortex-a72", "+neon")
    target = jit._target(machine)
    module = jit.llvm().parse_assembly(pool_text.pool_text("aarch64", "linux").text)
    module.triple = machine.triple
    module.data_layout = str(target.target_data)
    text = target.emit_assembly(module)
    assert "CNTVCT_EL0" in text
    assert "PMCCNTR" not in text

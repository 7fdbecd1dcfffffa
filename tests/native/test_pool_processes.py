"""The pool and the process: forks, the interpreter's end, other pools, which pool there is."""

from __future__ import annotations

import os
import time

import pytest

from boxgrad.engines.native import jit, pool_text
from boxgrad.engines.native.machine import machine_of
from processes import BEGIN, pools, run, unix

SECONDS = float(os.environ.get("BOXGRAD_STRESS", "1"))


@unix
@pools
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
@pools
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


@pools
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


@pools
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

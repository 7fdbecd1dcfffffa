"""The pool under stress, within a process: threads, changes of their number, errors.

Everything is run with both pools: the one that rests on Linux's system calls, and the portable one.
``BOXGRAD_STRESS=60`` makes the random ones last so many seconds each.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time

import numpy as np
import pytest

import boxgrad as bg
from boxgrad.engines.native import engine, pool_text, program, tiling
from boxgrad.engines.native import pool as pools
from boxgrad.engines.native.layout import Home

SECONDS = float(os.environ.get("BOXGRAD_STRESS", "1"))
random = np.random.default_rng(0)
A = random.normal(0, 0.1, (150, 150)).astype(np.float32)
X = random.normal(size=(9, 3, 12, 12)).astype(np.float32)
W = random.normal(size=(5, 3, 3, 3)).astype(np.float32)
LONG = random.normal(size=(300, 700))
ROWS = random.integers(0, 300, 500)


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

    # Daemons: one that hangs fails a test, and does not keep the interpreter from ending.
    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 300
    for thread in threads:
        while thread.is_alive() and not errors and time.monotonic() < end:
            thread.join(0.1)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"


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
        try:
            while time.monotonic() < end:
                for name, (_, inputs) in PROGRAMS.items():
                    same(compiled[name](*inputs), wanted[name])
        finally:
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


def test_threads_that_went_come_back(kind, own_pool):
    """After runs with one thread, in which the others leave native code."""
    function, inputs = PROGRAMS["elementwise"]
    compiled = native(function)

    def settle(wanted):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            compiled(*inputs)
            frame = sys._current_frames()[own_pool._threads[0].ident]
            if (frame.f_code.co_name == "wait") == wanted:
                return True
        return False

    for _ in range(3):
        bg.set_num_threads(2)
        compiled(*inputs)
        assert settle(False)
        bg.set_num_threads(1)
        compiled(*inputs)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_caller_that_sleeps_at_once(kind, name, monkeypatch):
    """As soon as it has to wait for the workers, and asking for signals all the time."""
    monkeypatch.setattr(pool_text, "SLICE", 200)
    monkeypatch.setattr(pool_text, "_STEADY_SLICE", 200)
    function, inputs = PROGRAMS[name]
    compiled = native(function)
    wanted = compiled(*inputs)
    impatient = pools.Pool(kind == "portable")
    monkeypatch.setattr(pools._process, "pool", impatient)
    for threads in (2, 5):
        bg.set_num_threads(threads)
        for _ in range(10):
            same(compiled(*inputs), wanted)
    impatient.close()


def test_a_fork_in_the_middle_of_a_kernel(monkeypatch):
    """What a chunk had borrowed is free in the child, where nobody will give it back."""
    monkeypatch.setattr(tiling, "GAIN", 1e9)
    x, w = np.ones((9, 16, 9, 9), np.float32), np.ones((16, 16, 3, 3), np.float32)
    compiled = native(bg.conv)
    wanted = compiled(x, w)
    made, steps, _ = engine.ENGINE._made[compiled.graph]
    (word,) = (v for step in steps for v in step.values if v.buffer.home is Home.WORD)
    taken = made._view(word, [], [])
    assert taken == 0
    taken[...] = -1
    made._lock.acquire()
    program._unlock()
    same(compiled(x, w), wanted)
    assert taken == 0


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


def test_the_report_says_which_pool(kind):
    compiled = native(np.tanh)
    compiled(A)
    text = str(compiled.report())
    assert ("the portable pool" in text) == (kind == "portable")

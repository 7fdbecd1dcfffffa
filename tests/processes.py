"""Programs that tests run in Python processes of their own: forks, signals, the interpreter's end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

unix = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
pools = pytest.mark.parametrize("kind", ["", "portable"], ids=["futex", "portable"])


def run(code, kind, timeout=150, **environment):
    """Another Python process; its standard output."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=timeout,
        env={**os.environ, "BOXGRAD_NATIVE_POOL": kind, **environment}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout


BEGIN = """
import gc, multiprocessing, os, signal, sys, threading, time
import numpy as np, boxgrad as bg
bg.set_num_threads(3)
def native(f): return bg.compile(f, engine="native")
a = np.random.default_rng(0).normal(0, 0.1, (200, 200)).astype(np.float32)
f = native(lambda a: np.sum(np.tanh(a @ a), axis=0))
first = f(a)
"""


# In processor time, so that the tests hold on a busy machine.
INTERRUPTED = (
    BEGIN
    + """
def after(call):
    # What passes between Ctrl-C, in the middle of a native run, and the error that it raises.
    main, over = threading.main_thread().ident, threading.Event()
    def send():
        global sent
        begin = time.monotonic()
        while not over.wait(0.01):
            if sys._current_frames()[main].f_code.co_name != "run":
                begin = time.monotonic()
            elif time.monotonic() - begin > 0.1:
                sent = time.process_time()
                return os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=send).start()
    try:
        call()
    except KeyboardInterrupt:
        return time.process_time() - sent
    finally:
        over.set()
    raise SystemExit("it ended before it was interrupted")
"""
)

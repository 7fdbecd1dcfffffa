"""Runs that are stopped from outside: kill -9 at random moments, and Ctrl-C."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("long_run.py")


def start(folder, pause=0.0, threads=2):
    command = [sys.executable, str(SCRIPT), str(folder), str(pause)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "BOXGRAD_NUM_THREADS": str(threads)},
    )  # fmt: skip


def rows(folder):
    text = (folder / "metrics.jsonl").read_text()
    found = [json.loads(line) for line in text.splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in found]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    process = start(folder)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return folder


def compare(folder, whole):
    weights = [(path / "model.safetensors").read_bytes() for path in (folder, whole)]
    assert weights[0] == weights[1]
    assert rows(folder) == rows(whole)
    assert len(rows(folder)) == 11  # ten epochs and the test set
    assert not list(folder.rglob(".*"))


def test_killed_at_random_moments_and_resumed_it_ends_with_the_same_bits(tmp_path, whole):
    """Each time with another number of threads."""
    folder, moments, kills = tmp_path / "run", random.Random(1), 0
    while kills < 12:
        process = start(folder, 0.04, threads=1 + kills % 4)
        if kills % 4:  # the others are killed while they start
            process.stdout.readline()
        time.sleep(moments.uniform(0.0, 0.35))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        kills += 1
    process = start(folder)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    compare(folder, whole)


def test_the_first_interrupt_ends_the_run_cleanly_and_says_how_to_go_on(tmp_path, whole):
    folder = tmp_path / "run"
    process = start(folder, 0.02)
    assert process.stdout.readline() == "started\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "everything is saved, go on with: bg.Trainer.resume(" in output
    assert "Traceback" not in errors
    assert (folder / "curves.png").exists() == bool(rows(folder))
    process = start(folder)
    process.communicate(timeout=60)
    compare(folder, whole)


def test_the_second_interrupt_ends_it_at_once(tmp_path):
    process = start(tmp_path / "run", 5.0)
    process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None  # it waits for the end of the step
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - begun < 3
    assert "KeyboardInterrupt" in errors

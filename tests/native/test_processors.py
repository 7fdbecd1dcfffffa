"""How many threads there are by default: affinity, quotas of containers, and the environment."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import boxgrad as bg
from boxgrad.engines.native import processors

GROUP_2, GROUP_1 = "sys/fs/cgroup", "sys/fs/cgroup/cpu"


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Makes a system of 16 processors whose files say what a test says."""
    monkeypatch.setattr(processors.os, "sched_getaffinity", lambda _: set(range(16)), raising=False)

    def make(files):
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return processors.available(tmp_path)

    return make


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, 16),
        ({f"{GROUP_2}/cpu.max": "max 100000\n"}, 16),
        ({f"{GROUP_2}/cpu.max": "400000 100000\n"}, 4),
        ({f"{GROUP_2}/cpu.max": "50000 100000\n"}, 1),
        ({f"{GROUP_2}/cpu.max": "160000 100000\n"}, 2),
        ({f"{GROUP_2}/cpu.max": "9900000 100000\n"}, 16),
        ({f"{GROUP_2}/cpu.max": ""}, 16),
        ({f"{GROUP_2}/cpu.max": "nonsense"}, 16),
        ({f"{GROUP_2}/cpu.max": "100000 0"}, 16),
        ({f"{GROUP_2}/cpu.max": "-100000 100000"}, 16),
        ({f"{GROUP_2}/cpu.max": "\xff\xfe\x00"}, 16),
        # a group below the top, and one in the middle that is stricter
        ({"proc/self/cgroup": "0::/a/b\n", f"{GROUP_2}/a/b/cpu.max": "300000 100000\n"}, 3),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                f"{GROUP_2}/a/cpu.max": "200000 100000\n",
                f"{GROUP_2}/a/b/cpu.max": "700000 100000\n",
            },
            2,
        ),
        # a container that does not see its own path
        ({"proc/self/cgroup": "0::/../c\n", f"{GROUP_2}/cpu.max": "500000 100000\n"}, 5),
        # the first version
        ({f"{GROUP_1}/cpu.cfs_quota_us": "-1\n", f"{GROUP_1}/cpu.cfs_period_us": "100000\n"}, 16),
        ({f"{GROUP_1}/cpu.cfs_quota_us": "300000\n", f"{GROUP_1}/cpu.cfs_period_us": "100000\n"}, 3),
        ({f"{GROUP_1}/cpu.cfs_quota_us": "300000\n"}, 16),
        (
            {
                "proc/self/cgroup": "7:memory:/x\n4:cpu,cpuacct:/docker/1\n1:name=systemd:/y\n",
                f"{GROUP_1}/docker/1/cpu.cfs_quota_us": "250000\n",
                f"{GROUP_1}/docker/1/cpu.cfs_period_us": "50000\n",
            },
            5,
        ),
    ],
)
def test_quotas(system, files, count):
    assert system(files) == count


def test_affinity(system, monkeypatch):
    monkeypatch.setattr(processors.os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert system({f"{GROUP_2}/cpu.max": "400000 100000\n"}) == 1


def test_systems_without_affinity(system, monkeypatch):
    monkeypatch.delattr(processors.os, "sched_getaffinity")
    monkeypatch.setattr(processors.os, "cpu_count", lambda: 6)
    assert system({}) == 6
    monkeypatch.setattr(processors.os, "cpu_count", lambda: None)
    assert system({}) == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="there is no affinity here")
def test_the_affinity_of_this_process():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from boxgrad.engines.native.pool import num_threads; print(num_threads())"
    )
    environment = {k: v for k, v in os.environ.items() if k != processors.VARIABLE}
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert out.stdout.strip() == b"1"


@pytest.mark.parametrize("text", ["3", " 3 ", "03"])
def test_the_environment(monkeypatch, text):
    monkeypatch.setenv(processors.VARIABLE, text)
    assert processors.chosen() == 3


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_variable_says_nothing(monkeypatch, text):
    monkeypatch.setenv(processors.VARIABLE, text)
    assert processors.chosen() == 0


@pytest.mark.parametrize("text", ["0", "-2", "1.5", "two", "2x", "²", "１", "1e3"])
def test_bad_values(monkeypatch, text):
    monkeypatch.setenv(processors.VARIABLE, text)
    with pytest.raises(bg.BoxgradError) as caught:
        processors.chosen()
    what, why, instead = str(caught.value).splitlines()
    assert what == f"BOXGRAD_NUM_THREADS is {text!r}"
    assert "number of threads" in why
    assert "at least 1" in instead


@pytest.mark.parametrize("count", [0, -1])
def test_a_number_that_is_none(count):
    with pytest.raises(ValueError, match="at least 1"):
        bg.set_num_threads(count)

"""How many processors a process may use: its affinity and the quotas of its control groups.

Knows Linux's files, of both versions of control groups, and no more than the number of processors elsewhere.
A quota holds for a group and for all that are inside of it, so the groups above are asked as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from boxgrad.errors import BoxgradError

VARIABLE = "BOXGRAD_NUM_THREADS"


def chosen() -> int:
    """What ``BOXGRAD_NUM_THREADS`` says; 0 where it is not set."""
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise BoxgradError(
            f"{VARIABLE} is {text!r}\n  why:     it is the number of threads that kernels use\n"
            f"  instead: a whole number of at least 1, or leave it unset: {available()} on this machine"
        )
    return int(text)


def available(root: Path = Path("/")) -> int:
    """The processors that this process may use; ``root`` is where the system's files are."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for quota, period in _quotas(root):
        if quota > 0 and period > 0:
            count = min(count, max(1, round(quota / period)))
    return count


def _quotas(root: Path) -> Iterator[tuple[int, int]]:
    """The quotas of the process's control groups, each as microseconds in a period."""
    for version, group in _groups(root):
        base = root / ("sys/fs/cgroup" if version == 2 else "sys/fs/cgroup/cpu")
        # In a container the group's own path may not be visible: then its files are at the top.
        parts = [part for part in group.split("/") if part]
        for length in range(len(parts), -1, -1):
            place = base.joinpath(*parts[:length])
            if version == 2:
                numbers = _words(place / "cpu.max")
            else:
                numbers = _words(place / "cpu.cfs_quota_us") + _words(place / "cpu.cfs_period_us")
            if len(numbers) == 2 and all(number.lstrip("-").isdigit() for number in numbers):
                yield int(numbers[0]), int(numbers[1])


def _groups(root: Path) -> list[tuple[int, str]]:
    """The version and path of the groups that count processors' time; the top ones where nothing is said."""
    found: list[tuple[int, str]] = [(2, "/"), (1, "/")]
    for line in _lines(root / "proc/self/cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0" and not controllers:
            found.append((2, group))
        elif "cpu" in controllers.split(","):
            found.append((1, group))
    return found


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def _words(file: Path) -> list[str]:
    return " ".join(_lines(file)).split()

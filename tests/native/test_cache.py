"""Object code on disk: kept, found again, and never trusted blindly."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import boxgrad as bg
from boxgrad.cli.application import app
from boxgrad.engines.native import cache, pool

posix = pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    pool.pool()  # whose code is cached too, when it is first used
    monkeypatch.setenv("BOXGRAD_CACHE", str(tmp_path / "objects"))
    return tmp_path / "objects"


def notes(function, x):
    compiled = bg.compile(function, engine="native")
    compiled(x)
    return compiled.report().notes[0]


def test_the_second_time_code_comes_from_the_cache(folder):
    x = np.ones(7, np.float32)
    assert "compiled" in notes(lambda x: np.exp(x) * 3, x)
    assert "from the cache" in notes(lambda x: np.exp(x) * 3, x)
    assert len(list(cache.files())) == 1
    assert cache.clear() == 1
    assert "compiled" in notes(lambda x: np.exp(x) * 3, x)


@pytest.mark.parametrize(
    "damage", [b"", b"nonsense", "cut", "head only", "flipped", "digest", "format", "longer"]
)
def test_damaged_files_are_ignored(folder, damage):
    x = np.ones(7, np.float32)
    notes(lambda x: np.exp(x) * 3, x)
    (file,) = cache.files()
    content = file.read_bytes()
    if damage == "cut":
        damage = content[:-9]
    elif damage == "head only":
        damage = content[: cache._START]
    elif damage == "longer":
        damage = content + b"x"
    elif isinstance(damage, str):
        place = {"flipped": 300, "digest": cache._START - 1, "format": 3}[damage]
        damage = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    file.write_bytes(damage)
    assert "compiled" in notes(lambda x: np.exp(x) * 3, x)
    assert file.read_bytes() == content


def test_the_command(folder):
    notes(lambda x: np.exp(x) * 3, np.ones(7, np.float32))
    shown = CliRunner().invoke(app, ["cache"]).output
    assert shown.startswith("1 files")
    assert str(folder) in shown
    assert CliRunner().invoke(app, ["cache", "--clear"]).output.startswith("deleted 1 files")
    assert not list(cache.files())


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BOXGRAD_CACHE", str(tmp_path / "file" / "below"))
    assert "compiled" in notes(lambda x: np.exp(x) * 5, np.ones(3, np.float32))


def test_the_code_of_another_program(folder):
    """Whole, but not what the name promises."""
    x = np.ones(7, np.float32)
    notes(lambda x: np.exp(x) * 3, x)
    (first,) = cache.files()
    notes(lambda x: np.exp(x) * 4, x)
    (second,) = [file for file in cache.files() if file != first]
    second.write_bytes(first.read_bytes())
    compiled = bg.compile(lambda x: np.exp(x) * 4, engine="native")
    np.testing.assert_allclose(compiled(x), np.exp(x) * 4, rtol=1e-6)
    assert "compiled" in compiled.report().notes[0]


@posix
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_folder_that_others_may_write_to(folder, mode):
    """Nothing is read of it, and nothing is written."""
    x = np.ones(7, np.float32)
    notes(lambda x: np.exp(x) * 3, x)
    (file,) = cache.files()
    folder.chmod(mode)
    assert "compiled" in notes(lambda x: np.exp(x) * 3, x)
    assert "compiled" in notes(lambda x: np.exp(x) * 4, x)
    assert list(cache.files()) == [file]
    assert "the folder is not used: others own it" in CliRunner().invoke(app, ["cache"]).output
    folder.chmod(0o700)
    assert "from the cache" in notes(lambda x: np.exp(x) * 3, x)
    assert "not used" not in CliRunner().invoke(app, ["cache"]).output


@posix
def test_a_folder_of_somebody_else(folder, monkeypatch):
    x = np.ones(7, np.float32)
    notes(lambda x: np.exp(x) * 3, x)
    monkeypatch.setattr(cache.os, "geteuid", lambda: os.getuid() + 1)
    assert "compiled" in notes(lambda x: np.exp(x) * 3, x)


@posix
def test_a_folder_that_can_be_replaced(tmp_path, monkeypatch):
    """Anybody may rename what is in the folder above it."""
    pool.pool()
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("BOXGRAD_CACHE", str(shared / "objects"))
    x = np.ones(7, np.float32)
    assert "compiled" in notes(lambda x: np.exp(x) * 3, x)
    assert "compiled" in notes(lambda x: np.exp(x) * 3, x)
    assert not (shared / "objects").exists()
    shared.chmod(0o1777)
    notes(lambda x: np.exp(x) * 3, x)
    assert "from the cache" in notes(lambda x: np.exp(x) * 3, x)


@posix
def test_a_new_folder_is_the_users_own(folder):
    notes(lambda x: np.exp(x) * 3, np.ones(7, np.float32))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in cache.files())


@posix
@pytest.mark.parametrize("what", ["link to a folder", "file", "pipe"])
def test_what_is_no_folder(folder, tmp_path, what):
    if what == "link to a folder":
        (tmp_path / "real").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "real")
    elif what == "file":
        folder.write_text("")
    else:
        os.mkfifo(folder)
    for _ in range(2):
        assert "compiled" in notes(lambda x: np.exp(x) * 3, np.ones(7, np.float32))
    assert "not used" in CliRunner().invoke(app, ["cache"]).output


@posix
@pytest.mark.parametrize("what", ["link", "others may write", "pipe", "folder", "link to itself"])
def test_files_that_are_not_trusted(folder, tmp_path, what):
    x = np.ones(7, np.float32)
    notes(lambda x: np.exp(x) * 3, x)
    (file,) = cache.files()
    content = file.read_bytes()
    if what == "others may write":
        file.chmod(0o666)
    else:
        file.unlink()
    if what == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        file.symlink_to(tmp_path / "elsewhere")
    elif what == "pipe":
        os.mkfifo(file)
    elif what == "folder":
        file.mkdir()
    elif what == "link to itself":
        file.symlink_to(file)
    assert "compiled" in notes(lambda x: np.exp(x) * 3, x)
    if what != "folder":
        assert file.is_file()
        assert not file.is_symlink()
        assert "from the cache" in notes(lambda x: np.exp(x) * 3, x)


def test_unfinished_files_are_cleared(folder):
    notes(lambda x: np.exp(x) * 3, np.ones(7, np.float32))
    (folder / "0123456789abcdefx.part").write_text("half")
    assert CliRunner().invoke(app, ["cache"]).output.startswith("1 files")
    assert cache.clear() == 2
    assert not list(folder.iterdir())


def test_a_full_disk(folder, monkeypatch):
    """Nothing is kept, nothing is left behind, and nothing fails."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "replace", full)
    assert "compiled" in notes(lambda x: np.exp(x) * 3, np.ones(7, np.float32))
    assert not list(folder.iterdir())


def test_processes_at_once(folder):
    """All of them compile and keep the same code, and each finds whole files."""
    code = """
import numpy as np, boxgrad as bg
for number in range(12):
    f = bg.compile(lambda x: np.exp(x) * number + np.tanh(x), engine="native")
    x = np.linspace(-1, 1, 31)
    np.testing.assert_allclose(f(x), np.exp(x) * number + np.tanh(x), rtol=1e-12)
"""
    started = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(3)]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    assert len(list(cache.files())) in (12, 13)  # the pool's code is one
    assert not list(folder.glob("*.part"))
    for file in cache.files():
        assert cache.load(file.stem) is not None


# ---- what is in memory
def executable():
    """The bytes of memory that hold machine code of no file."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    spans = [line[0].split("-") for line in lines if "x" in line[1] and len(line) == 5]
    return sum(int(end, 16) - int(begin, 16) for begin, end in spans)


@pytest.mark.skipif(sys.platform != "linux", reason="the list of mappings is Linux's")
def test_code_is_freed_with_its_function(folder):
    x = np.ones((3, 5), np.float32)

    def many(first):
        kept = []
        for number in map(np.float32, range(first, first + 40)):
            kept.append(bg.compile(lambda x, n=number: np.tanh(x * n), engine="native"))
            kept[-1](x)
        return kept

    before = executable()
    kept = many(1)
    assert executable() >= before + 40 * 4096
    del kept
    gc.collect()
    assert executable() < before + 10 * 4096
    many(1000)
    gc.collect()
    assert executable() < before + 10 * 4096

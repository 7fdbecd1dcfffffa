import os

import pytest

from boxgrad.train.files import (
    RunError,
    finite,
    inside,
    read_json,
    remove_leftovers,
    write_atomically,
    write_json,
    write_json_lines,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "curves.png"
    write_atomically(path, b"old")

    def fail(temporary):
        temporary.write_bytes(b"half")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["curves.png"]


def test_floats_read_back_exactly(tmp_path):
    values = [0.1 + 0.2, 1e-310, 1 / 3, 2.0**-1074]
    write_json(tmp_path / "a.json", values)
    assert read_json(tmp_path / "a.json") == values


def test_what_is_not_finite_becomes_null(tmp_path):
    write_json_lines(tmp_path / "a.jsonl", finite([{"loss": float("nan"), "more": [float("inf")]}]))
    assert (tmp_path / "a.jsonl").read_text() == '{"loss": null, "more": [null]}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "b.json", float("nan"))


def test_broken_json_is_said(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config\.json cannot be read"):
        read_json(tmp_path / "config.json")


def test_leftovers_of_a_killed_writer_are_removed(tmp_path):
    write_atomically(tmp_path / "a.json", b"{}")
    (tmp_path / ".a.123.tmp.json").write_bytes(b"half")
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", "C:\\x", "..\\x", "\\\\host\\x"])
def test_names_that_lead_out_are_refused(tmp_path, name):
    with pytest.raises(RunError, match="leads out of the run folder"):
        inside(tmp_path, name)


def test_links_that_lead_out_are_refused(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="leads out"):
        inside(run, "model.safetensors")
    assert inside(run, "checkpoints/a.json") == run / "checkpoints/a.json"

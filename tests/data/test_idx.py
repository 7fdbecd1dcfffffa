"""IDX files: every dtype, both forms, and every way of being damaged."""

import contextlib
import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from idx_writer import CODES, idx

from boxgrad.data import DataError, read_idx


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 1, 4), (0, 3)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reads_what_was_written(tmp_path, dtype, shape, pack):
    array = np.array(np.random.default_rng(0).normal(size=shape) * 50, dtype)
    file = tmp_path / "file"
    file.write_bytes(pack(idx(array)))
    found = read_idx(file)
    assert found.dtype == np.dtype(dtype)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, array)
    found += 1  # it can be written to


GOOD = idx(np.arange(6, dtype="u1").reshape(2, 3))
DAMAGED = {
    "empty": (b"", "first bytes are missing"),
    "too short for a magic number": (GOOD[:3], "first bytes are 00 00 08"),
    "wrong magic number": (b"\x89PNG\r\n", "89 50 4e 47"),
    "unknown dtype": (b"\0\0\x07" + GOOD[3:], "00 00 07 02"),
    "ends in the header": (GOOD[:9], "ends inside its header of 2 sizes"),
    "too many axes": (b"\0\0\x08\xff" + b"\0" * 2000, "255 axes"),
    "truncated": (GOOD[:-1], "6 bytes; behind the header are 5"),
    "no values": (GOOD[:12], "6 bytes; behind the header are 0"),
    "trailing bytes": (GOOD + b"!", "6 bytes; behind the header are"),
    "huge claim": (b"\0\0\x08\x02" + b"\xff" * 8 + b"123", "claims .4294967295, 4294967295"),
    "impossible shape": (b"\0\0\x0e\x05" + b"\0" * 4 + b"\xff" * 16, "header claims"),
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_damage_is_named(tmp_path, name, pack):
    content, words = DAMAGED[name]
    file = tmp_path / "file"
    file.write_bytes(pack(content))
    with pytest.raises(DataError, match=words):
        read_idx(file)


def test_damaged_compression(tmp_path):
    packed = gzip.compress(idx(np.arange(1000, dtype="i4")))
    file = tmp_path / "file.gz"
    for content in (packed[:-20], packed[:20], packed[:-6] + b"\0" * 6, b"\x1f\x8b" + b"\0" * 30):
        file.write_bytes(content)
        with pytest.raises(DataError, match="damaged"):
            read_idx(file)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    head=st.sampled_from([b"", b"\0\0", b"\0\0\x08\x01", b"\x1f\x8b\x08", GOOD[:12]]),
    rest=st.binary(max_size=40),
    packed=st.booleans(),
)
def test_any_bytes_give_an_array_or_a_clear_error(tmp_path, head, rest, packed):
    file = tmp_path / "file"
    content = head + rest
    file.write_bytes(gzip.compress(content) if packed else content)
    with contextlib.suppress(DataError):  # any other error fails the test
        assert idx(read_idx(file)) == content


def test_missing_files_are_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nothing")

import numpy as np
import pytest

from boxgrad.train.checkpoint import Checkpoints, DamagedCheckpoint
from boxgrad.train.files import RunError


def saved(tmp_path, count, keep=2):
    checkpoints = Checkpoints(tmp_path, keep)
    for number in range(1, count + 1):
        arrays = {"weight": np.full((2, 3), number, np.float32), "count": np.array(number)}
        checkpoints.save(arrays, {"step": number, "name": "Ω"})
    return checkpoints


def test_arrays_and_state_come_back_bit_for_bit(tmp_path):
    arrays = {
        "float": np.array([0.1, -0.0, np.nan, np.inf], np.float32),
        "counter": np.array(2**63 + 1, np.uint64),
        "flag": np.array([True, False]),
        "empty": np.zeros((0, 3)),
        "strided": np.arange(12.0).reshape(3, 4).T[::2],
    }
    Checkpoints(tmp_path).save(arrays, {"loss": 0.1, "rows": [{"a": None}]})
    _, found, state = Checkpoints(tmp_path).load()
    assert state == {"loss": 0.1, "rows": [{"a": None}]}
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def test_no_checkpoint_is_none(tmp_path):
    assert Checkpoints(tmp_path / "absent").load() is None


def test_the_newest_two_are_kept(tmp_path):
    checkpoints = saved(tmp_path, 5)
    assert checkpoints.numbers() == [4, 5]
    assert checkpoints.load().state["step"] == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-000004.json",
        "checkpoint-000004.safetensors",
        "checkpoint-000005.json",
        "checkpoint-000005.safetensors",
    ]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
@pytest.mark.parametrize("damage", [truncate, flip, empty])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path, damage, suffix):
    saved(tmp_path, 3)
    damage(tmp_path / f"checkpoint-000003{suffix}")
    checkpoints = Checkpoints(tmp_path)
    with pytest.warns(DamagedCheckpoint, match="checkpoint-000003"):
        found = checkpoints.load()
    assert found.state["step"] == 2
    assert found.arrays["weight"][0, 0] == 2
    checkpoints.save(found.arrays, {"step": 99})  # the damaged one must not push out the good one
    assert checkpoints.numbers() == [2, 4]


def test_a_pair_without_its_second_half_does_not_count(tmp_path):
    saved(tmp_path, 2)
    (tmp_path / "checkpoint-000002.json").unlink()
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.load().state["step"] == 1
    checkpoints.clear()
    assert checkpoints.numbers() == [1]


def test_a_missing_array_file_falls_back(tmp_path):
    saved(tmp_path, 2)
    (tmp_path / "checkpoint-000002.safetensors").unlink()
    with pytest.warns(DamagedCheckpoint):
        assert Checkpoints(tmp_path).load().state["step"] == 1


def test_all_damaged_is_an_error(tmp_path):
    saved(tmp_path, 2)
    for path in tmp_path.glob("*.json"):
        empty(path)
    with pytest.warns(DamagedCheckpoint), pytest.raises(RunError, match=r"no checkpoint in .* can be used"):
        Checkpoints(tmp_path).load()


def test_a_pickle_is_not_read(tmp_path):
    saved(tmp_path, 1)
    path = tmp_path / "checkpoint-000001.safetensors"
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.warns(DamagedCheckpoint), pytest.raises(RunError, match="do not match their digest"):
        Checkpoints(tmp_path).load()

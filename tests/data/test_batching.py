"""Batches: what they hold, their order, going on in the middle of an epoch, errors."""

import json
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxgrad.data import DataError, batches


class Pair(NamedTuple):
    x: np.ndarray
    y: np.ndarray


def flat(found):
    return [np.asarray(batch).tolist() for batch in found]


def joined(lists):
    return list(chain.from_iterable(lists))


@given(
    examples=st.integers(1, 40),
    size=st.integers(1, 12),
    seed=st.integers(0, 2**64 - 1),
    shuffle=st.booleans(),
)
def test_an_epoch_gives_every_example_once(examples, size, seed, shuffle):
    loader = batches(np.arange(examples), size, seed=seed, shuffle=shuffle)
    found = flat(loader)
    assert len(found) == len(loader)
    assert all(len(batch) == size for batch in found[:-1])
    assert sorted(joined(found)) == list(range(examples))
    if not shuffle:
        assert joined(found) == list(range(examples))


def test_rows_of_columns_stay_together():
    images = np.arange(20).reshape(10, 2)
    for x, y in batches((images, np.arange(10)), 3, seed=1):
        np.testing.assert_array_equal(x, images[y])
        assert x.dtype == images.dtype


def test_every_structure_comes_back():
    x, y = np.arange(6.0), np.arange(6)
    (batch,) = batches({"x": x, "more": (y, [1, 2, 3, 4, 5, 6])}, 6, shuffle=False)
    np.testing.assert_array_equal(batch["x"], x)
    np.testing.assert_array_equal(batch["more"][0], y)
    np.testing.assert_array_equal(batch["more"][1], y + 1)
    (batch,) = batches(Pair(x, y), 6, shuffle=False)
    assert isinstance(batch, Pair)


def test_any_indexable_is_stacked():
    class Squares:
        def __len__(self):
            return 5

        def __getitem__(self, index):
            assert type(index) is int
            return {"x": np.full((2,), index), "y": index**2}

    found = list(batches(Squares(), 3, shuffle=False))
    assert found[0]["x"].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert found[1]["y"].tolist() == [9, 16]
    pairs = [(np.ones(3) * number, number) for number in range(4)]
    x, y = next(iter(batches(pairs, 4, shuffle=False)))
    assert x.shape == (4, 3)
    assert y.tolist() == [0, 1, 2, 3]


def test_columns_of_tables_are_read_by_row():
    class Column:
        def __len__(self):
            return 3

        def to_numpy(self):
            return np.array([5, 6, 7])

    x, y = next(iter(batches((Column(), np.arange(3)), 2, shuffle=False)))
    assert x.tolist() == [5, 6]
    assert y.tolist() == [0, 1]


def test_batches_are_copies():
    x = np.zeros(4)
    for shuffle in (True, False):
        for batch in batches(x, 2, shuffle=shuffle):
            batch += 1
    assert np.all(x == 0)


def test_same_seed_same_order_and_each_epoch_its_own():
    first, second = (batches(np.arange(100), 10, seed=7) for _ in range(2))
    epochs = [flat(first) for _ in range(3)]
    assert [flat(second) for _ in range(3)] == epochs
    assert epochs[0] != epochs[1] != epochs[2]
    assert first.epoch == 3
    assert flat(batches(np.arange(100), 10, seed=8)) != epochs[0]
    assert batches(np.arange(9), 3).seed != batches(np.arange(9), 3).seed


def test_the_order_of_a_seed_is_fixed_for_ever():
    assert flat(batches(np.arange(8), 4, seed=0)) == [[0, 2, 1, 5], [4, 3, 6, 7]]


def test_an_epoch_left_early_is_not_repeated():
    loader = batches(np.arange(100), 10, seed=0)
    reference = batches(np.arange(100), 10, seed=0)
    epochs = [flat(reference) for _ in range(3)]
    for batch in loader:
        assert batch.tolist() == epochs[0][0]
        break
    assert flat(loader) == epochs[1]
    assert len(list(islice(loader, 10))) == 10  # all batches, but never the end
    assert loader.epoch == 2
    assert loader.position == 10
    list(loader)
    assert loader.epoch == 4


@pytest.mark.parametrize("stop", range(1, 15))
def test_goes_on_behind_the_last_batch(stop):
    data = np.arange(22)
    whole = batches(data, 4, seed=3)
    expected = joined(flat(whole) for _ in range(3))
    given_so_far, loader, place = [], batches(data, 4, seed=3), {}
    while len(given_so_far) < stop:
        for batch in loader:
            given_so_far.append(batch.tolist())
            if len(given_so_far) == stop:
                place = json.loads(json.dumps(loader.state_dict()))
                break
    resumed = batches(data, 4, seed=99)
    resumed.load_state_dict(place)
    rest = []
    while len(given_so_far) + len(rest) < len(expected):
        rest += flat(resumed)
    assert given_so_far + rest == expected


def test_a_place_between_epochs_begins_the_next():
    loader = batches(np.arange(6), 2, seed=0)
    list(loader)
    assert loader.state_dict() == {"seed": 0, "epoch": 1, "position": 0}
    resumed = batches(np.arange(6), 2)
    resumed.load_state_dict({"seed": np.array(0), "epoch": 0, "position": 3})
    assert resumed.state_dict() == loader.state_dict()
    assert flat(resumed) == flat(loader)


def test_drop_last():
    loader = batches(np.arange(10), 4, seed=0, drop_last=True)
    assert [len(batch) for batch in loader] == [4, 4]
    assert len(loader) == 2


def test_arrays_for_a_fingerprint():
    x, y = np.arange(4), np.arange(4)
    first, second = batches({"a": x, "b": (y, [1, 2, 3, 4])}, 2).arrays
    assert first is x
    assert second is y


def test_repr():
    assert repr(batches(np.arange(1000), 64, seed=5)) == (
        "Batches(1,000 examples, 16 batches of 64, seed=5, epoch 0, position 0)"
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((np.ones(3), np.ones(4)), r"data\[0\] has 3, data\[1\] has 4"),
        ({"x": np.ones(3), "y": np.ones(2)}, r"data\['x'\] has 3, data\['y'\] has 2"),
        (np.ones((0, 3)), "data has 0"),
        ((), "there is no column"),
        (np.array(1.0), "no length"),
        ((np.ones(3), 5), r"data\[1\] is of type int"),
        (iter([1, 2]), "no length"),
    ],
)
def test_data_that_do_not_fit(data, words):
    with pytest.raises(DataError, match=words):
        batches(data, 2)


@pytest.mark.parametrize("size", [0, -1, 2.5, "64"])
def test_sizes_out_of_range(size):
    with pytest.raises(DataError, match="batch_size is"):
        batches(np.arange(4), size)


@pytest.mark.parametrize("seed", [-1, 2**64, 0.5])
def test_seeds_out_of_range(seed):
    with pytest.raises(DataError, match="seed is"):
        batches(np.arange(4), 2, seed=seed)


def test_no_batch_left():
    with pytest.raises(DataError, match="no batch is left of 3 examples"):
        batches(np.arange(3), 4, drop_last=True)


def test_examples_that_differ():
    with pytest.raises(DataError, match="cannot be stacked"):
        list(batches([np.ones(2), np.ones(3)], 2))
    with pytest.raises(DataError, match="cannot be stacked"):
        list(batches([(1, 2), (1, 2, 3)], 2))


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"seed": 0, "epoch": 0},
        {"seed": 0, "epoch": 0, "position": 3},
        {"seed": 0, "epoch": -1, "position": 0},
        {"seed": 0, "epoch": 0, "position": "1"},
        {"seed": 0, "epoch": 0, "position": 0, "more": 0},
    ],
)
def test_places_that_are_none(place):
    loader = batches(np.arange(4), 2, seed=1)
    with pytest.raises(DataError, match="no place in these batches"):
        loader.load_state_dict(place)
    assert loader.state_dict() == {"seed": 1, "epoch": 0, "position": 0}

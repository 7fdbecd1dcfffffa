"""Text: numbers and back, the two parts, windows of streams, errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxgrad.data import DataError, TextData, sequences, text
from boxgrad.data.text import Sequences


@pytest.fixture
def written(tmp_path):
    def write(content):
        file = tmp_path / "text.txt"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


def test_a_file(written):
    content = "hello, wörld 你好 🙂\n" * 10
    data = text(written(content), validation=0.25)
    assert data.vocabulary == "".join(sorted(set(content)))
    assert data.decode(np.concatenate([data.train, data.validation])) == content
    assert len(data.validation) == round(len(content) * 0.25)
    assert data.train.dtype == np.int64
    assert data.encode("hello").tolist() == [data.vocabulary.index(c) for c in "hello"]
    assert repr(data) == "TextData(train 135, validation 45, 14 different characters)"


def test_line_ends_and_byte_order_marks_are_read_as_usual(written):
    data = text(written(b"\xef\xbb\xbfab\r\nab\r\nab\r\n"), validation=0.5)
    assert data.vocabulary == "\nab"


@given(st.text(min_size=1, max_size=50))
def test_encode_and_decode_are_inverse(content):
    vocabulary = "".join(sorted(set(content)))
    data = TextData(np.zeros(2, int), np.zeros(2, int), vocabulary)
    ids = data.encode(content)
    assert data.decode(ids) == content
    assert data.decode(list(ids)) == content


def test_the_empty_text():
    data = TextData(np.zeros(2, int), np.zeros(2, int), "ab")
    assert data.encode("").shape == (0,)
    assert data.decode([]) == ""


def test_standard_library():
    data, again = text(), text()
    np.testing.assert_array_equal(data.train, again.train)
    size = len(data.train) + len(data.validation)
    assert 1_000_000 < size <= 2_000_000
    assert data.vocabulary.isascii()
    assert "class ArgumentParser(" in data.decode(data.train)


def test_unknown_characters_are_named():
    data = TextData(np.zeros(2, int), np.zeros(2, int), "abc")
    with pytest.raises(DataError, match="not in the vocabulary: 'é', '你'"):
        data.encode("a你bé你")
    with pytest.raises(DataError, match=" …"):
        data.encode("0123456789xyz")


@pytest.mark.parametrize("ids", [[3], [-1], [0.5]])
def test_numbers_of_no_character(ids):
    with pytest.raises(DataError, match="from 0 to 2"):
        TextData(np.zeros(2, int), np.zeros(2, int), "abc").decode(ids)


def test_files_that_cannot_be_read(written, tmp_path):
    with pytest.raises(DataError, match=r"not a text in UTF-8\n(.*\n)*.*byte 3 \(0xff\)"):
        text(written(b"abc\xff\xfe"))
    with pytest.raises(DataError, match=r"nothing\.txt cannot be read"):
        text(tmp_path / "nothing.txt")
    with pytest.raises(DataError, match="cannot be read"):
        text(tmp_path)
    with pytest.raises(DataError, match="has only 3 characters"):
        text(written("abc"))
    with pytest.raises(DataError, match="validation is 0"):
        text(written("abc" * 100), validation=0)


def test_windows_continue_each_other():
    ids = np.arange(1000)
    loader = sequences(ids, length=7, batch_size=4, seed=0)
    found = list(loader)
    assert len(found) == len(loader) == (1000 - 7) // 28
    for x, y in found:
        assert x.shape == y.shape == (7, 4)
        np.testing.assert_array_equal(y, x + 1)
    streams = np.concatenate([x for x, _ in found])
    np.testing.assert_array_equal(np.diff(streams, axis=0), 1)
    np.testing.assert_array_equal(np.diff(streams[0]), len(streams))


@given(size=st.integers(2, 200), length=st.integers(1, 9), streams=st.integers(1, 9), seed=st.integers(0, 9))
def test_every_window_lies_within_the_text(size, length, streams, seed):
    for shuffle in (True, False):
        try:
            loader = sequences(np.arange(size), length=length, batch_size=streams, seed=seed, shuffle=shuffle)
        except DataError:
            assert size < length * streams + (length if shuffle else 1)
            continue
        for x, y in loader:
            assert x.shape == y.shape == (length, streams)
            np.testing.assert_array_equal(y, x + 1)


def test_windows_begin_elsewhere_each_epoch():
    loader = sequences(np.arange(10_000), length=50, batch_size=2, seed=0)
    starts = [int(next(iter(loader))[0][0, 0]) for _ in range(20)]
    assert all(0 <= start < 50 for start in starts)
    assert len(set(starts)) > 5
    again = sequences(np.arange(10_000), length=50, batch_size=2, seed=0)
    assert [int(next(iter(again))[0][0, 0]) for _ in range(20)] == starts


@pytest.mark.parametrize("stop", [1, 5, 9, 13])
def test_goes_on_behind_the_last_window(stop):
    def make(seed):
        return sequences(np.arange(100), length=5, batch_size=2, seed=seed)

    whole, broken, resumed = make(3), make(3), make(4)
    expected = [x.tolist() for _ in range(3) for x, _ in whole]
    given_so_far = []
    while len(given_so_far) < stop:
        for x, _ in broken:
            given_so_far.append(x.tolist())
            if len(given_so_far) == stop:
                resumed.load_state_dict(broken.state_dict())
                break
    rest = []
    while len(given_so_far) + len(rest) < len(expected):
        rest += [x.tolist() for x, _ in resumed]
    assert given_so_far + rest == expected


def test_parts_of_a_text(written):
    data = text(written("abcdefghij" * 100), validation=0.5)
    train = data.sequences("train", 4, 10, seed=0)
    validation = data.sequences("validation", 4, 10)
    assert isinstance(train, Sequences)
    assert (train.batch_size, train.length) == (4, 10)
    first, second = ([x.tolist() for x, _ in validation] for _ in range(2))
    assert first == second
    assert validation.arrays[0] is data.validation
    with pytest.raises(DataError, match="no part 'test'"):
        data.sequences("test", 4, 10)


@pytest.mark.parametrize(
    ("ids", "settings", "words"),
    [
        (np.arange(20), {"length": 10, "batch_size": 2}, "2 streams of one window of 10 need 30"),
        (np.arange(20), {"length": 0, "batch_size": 2}, "length is 0"),
        (np.arange(20), {"length": 1, "batch_size": 0}, "batch_size is 0"),
        (np.arange(20.0), {"length": 1, "batch_size": 1}, r"ids is float64\[20\]"),
        (np.zeros((4, 5), int), {"length": 1, "batch_size": 1}, r"ids is int64\[4, 5\]"),
    ],
)
def test_texts_and_sizes_that_do_not_fit(ids, settings, words):
    with pytest.raises(DataError, match=words):
        sequences(ids, **settings)

"""Digits, MNIST and Fashion-MNIST: contents, where files are looked for, and errors."""

import gzip
import hashlib
import os

import numpy as np
import pooch
import pytest
from idx_writer import idx

from boxgrad.data import DataError, archives, batches, digits, fashion, mnist
from boxgrad.data.archives import FASHION, MNIST

NAMES = {
    "train-images": "train-images-idx3-ubyte",
    "train-labels": "train-labels-idx1-ubyte",
    "t10k-images": "t10k-images-idx3-ubyte",
    "t10k-labels": "t10k-labels-idx1-ubyte",
}


def small(seed=0):
    random = np.random.default_rng(seed)
    return {
        "train-images": random.integers(0, 256, (7, 28, 28)).astype("u1"),
        "train-labels": random.integers(0, 10, 7).astype("u1"),
        "t10k-images": random.integers(0, 256, (3, 28, 28)).astype("u1"),
        "t10k-labels": random.integers(0, 10, 3).astype("u1"),
    }


def put(folder, arrays, packed=True, names=NAMES):
    folder.mkdir(parents=True, exist_ok=True)
    for part, array in arrays.items():
        content = idx(array)
        path = folder / (names[part] + (".gz" if packed else ""))
        path.write_bytes(gzip.compress(content, mtime=0) if packed else content)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.delenv("BOXGRAD_DATA", raising=False)

    def refuse(url, **_):
        raise OSError("no network in tests")

    monkeypatch.setattr(pooch, "retrieve", refuse)


def test_digits():
    data = digits()
    (x, y), (x_test, y_test) = data.train, data.test
    assert x.shape == (1438, 1, 8, 8)
    assert x_test.shape == (359, 1, 8, 8)
    assert x.dtype == np.float32
    assert y.dtype == y_test.dtype == np.int64
    assert x.min() == 0.0
    assert x.max() == 1.0
    share = np.bincount(y_test) / (np.bincount(y) + np.bincount(y_test))
    np.testing.assert_allclose(share, 0.2, atol=0.01)
    assert data.classes == tuple("0123456789")


def test_digits_are_divided_by_the_seed_without_overlap():
    again, other = digits(seed=0), digits(seed=1)
    np.testing.assert_array_equal(digits().train[0], again.train[0])
    assert not np.array_equal(other.test[0], again.test[0])
    images = np.concatenate([again.train[0], again.test[0]]).reshape(1797, -1)
    moved = np.concatenate([other.train[0], other.test[0]]).reshape(1797, -1)
    np.testing.assert_array_equal(np.sort(images, axis=0), np.sort(moved, axis=0))
    with pytest.raises(DataError, match="test is 1"):
        digits(test=1)


@pytest.mark.parametrize("load", [mnist, fashion])
@pytest.mark.parametrize("packed", [True, False])
def test_files_of_a_folder(tmp_path, load, packed):
    arrays = small()
    put(tmp_path, arrays, packed)
    data = load(tmp_path)
    images, labels = data.train
    assert images.shape == (7, 1, 28, 28)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images[:, 0] * 255, arrays["train-images"], rtol=1e-6)
    np.testing.assert_array_equal(labels, arrays["train-labels"])
    assert labels.dtype == np.int64
    assert data.test[0].shape == (3, 1, 28, 28)
    assert len(data.classes) == 10
    raw = load(str(tmp_path), scale=False)
    assert raw.train[0].dtype == np.uint8
    np.testing.assert_array_equal(raw.test[0][:, 0], arrays["t10k-images"])
    assert "u8[7,1,28,28]" in repr(raw)


def test_batches_of_images(tmp_path):
    put(tmp_path, small())
    x, y = next(iter(batches(mnist(tmp_path).train, 4, seed=0)))
    assert x.shape == (4, 1, 28, 28)
    assert y.shape == (4,)
    with pytest.raises(DataError, match=r"data\.train"):
        batches(mnist(tmp_path), 4)


def test_names_with_dots(tmp_path):
    put(tmp_path, small(), packed=False, names={k: v.replace("-idx", ".idx") for k, v in NAMES.items()})
    assert len(mnist(tmp_path).test[1]) == 3


def test_the_variable_names_a_folder_of_folders(tmp_path, monkeypatch):
    put(tmp_path / "mnist", small(1))
    put(tmp_path / "fashion-mnist", small(2))
    monkeypatch.setenv("BOXGRAD_DATA", str(tmp_path))
    np.testing.assert_array_equal(mnist().train[1], small(1)["train-labels"])
    np.testing.assert_array_equal(fashion().train[1], small(2)["train-labels"])
    put(tmp_path / "other", small(3))
    np.testing.assert_array_equal(mnist(tmp_path / "other").train[1], small(3)["train-labels"])


@pytest.mark.parametrize(
    ("load", "folder"), [(mnist, "MNIST/raw"), (fashion, "fashion"), (fashion, "FashionMNIST/raw")]
)
def test_other_folder_names(tmp_path, load, folder):
    put(tmp_path / folder, small())
    assert len(load(tmp_path).train[1]) == 7


def test_files_of_the_other_data_set_are_passed_over(tmp_path, monkeypatch):
    put(tmp_path, small())
    digest = hashlib.sha256((tmp_path / "train-labels-idx1-ubyte.gz").read_bytes()).hexdigest()
    monkeypatch.setattr(
        archives,
        "_ALL",
        (archives.Archive("mnist", (), (), {**MNIST.checksums, "train-labels": digest}), FASHION),
    )
    with pytest.raises(DataError, match="another data set's"):
        fashion(tmp_path)


def test_a_folder_without_the_files(tmp_path):
    put(tmp_path, {part: array for part, array in small().items() if part != "t10k-labels"})
    with pytest.raises(DataError, match="does not hold mnist"):
        mnist(tmp_path)


@pytest.mark.parametrize(
    ("part", "array"),
    [
        ("train-images", np.zeros((7, 27, 28), "u1")),
        ("train-images", np.zeros((6, 28, 28), "u1")),
        ("train-images", np.zeros((7, 784), "u1")),
        ("t10k-images", np.zeros((3, 28, 28), "f4")),
        ("t10k-labels", np.full(3, 10, "u1")),
        ("t10k-labels", np.zeros((3, 1), "u1")),
    ],
)
def test_files_with_other_contents(tmp_path, part, array):
    put(tmp_path, small() | {part: array})
    with pytest.raises(DataError, match=r"expected u8\[N,28,28\] and u8\[N\] below 10"):
        mnist(tmp_path)


def test_empty_files(tmp_path):
    empty = {part: array[:0] for part, array in small().items()}
    put(tmp_path, empty)
    with pytest.raises(DataError, match=r"u8\[0,28,28\]"):
        mnist(tmp_path)


def test_without_a_network_the_error_says_what_to_do(monkeypatch, tmp_path):
    with pytest.raises(DataError, match="without a network: put train-images") as caught:
        mnist()
    assert "BOXGRAD_DATA" in str(caught.value)
    assert all(mirror in str(caught.value) for mirror in MNIST.mirrors)
    monkeypatch.setenv("BOXGRAD_DATA", str(tmp_path))  # which holds nothing: on to the download
    with pytest.raises(DataError, match="cannot be downloaded"):
        fashion()


def test_downloads_go_to_the_next_mirror_and_are_checked(tmp_path, monkeypatch):
    put(tmp_path, small())
    asked = []

    def retrieve(url, known_hash, fname, path):
        asked.append((url, known_hash))
        if url.startswith(MNIST.mirrors[0]):
            raise ValueError("the checksum is wrong")
        assert os.path.basename(path) == "mnist"
        return str(tmp_path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert len(mnist().train[1]) == 7
    assert len(asked) == 8
    assert asked[0] == (
        MNIST.mirrors[0] + "train-images-idx3-ubyte.gz",
        "sha256:" + MNIST.checksums["train-images"],
    )

"""Data sets of small grey images: digits, MNIST, Fashion-MNIST.

Knows what is in them, their scaling and division; knows nothing of models.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad.data.archives import FASHION, MNIST, Archive, locate
from boxgrad.data.epochs import checked_seed, random_order
from boxgrad.data.errors import DataError
from boxgrad.data.idx import read_idx
from boxgrad.errors import message
from boxgrad.types import ArrayType

_CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_DIGITS = tuple("0123456789")


@dataclass(frozen=True, eq=False, repr=False)
class ImageData:
    """Images with labels, divided into a part to learn from and a part to be measured on.

    Attributes:
        train: Images (N, C, H, W) and labels (N,).
        test: The same, of other images.
        classes: The name of each label.
        name: The name of the data set.
    """

    train: tuple[Any, Any]
    test: tuple[Any, Any]
    classes: tuple[str, ...]
    name: str

    def __repr__(self) -> str:
        parts = ", ".join(
            f"{part} {ArrayType.of(images)} {ArrayType.of(labels)}"
            for part, (images, labels) in (("train", self.train), ("test", self.test))
        )
        return f"ImageData({self.name}: {parts}, {len(self.classes)} classes)"


def digits(*, seed: int = 0, test: float = 0.2) -> ImageData:
    """1,797 handwritten digits of 8 × 8 pixels, which come with scikit-learn.

    Args:
        seed: What the division depends on.
        test: The share of each class that goes into the test part, 0 < test < 1.

    Returns:
        Images float32 (N, 1, 8, 8) in [0, 1], labels int64 (N,) from 0 to 9.

    Raises:
        DataError: if the share is not between 0 and 1.

    Source: Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning
    Repository, 1998; the test set of that data set.

    >>> digits()
    ImageData(digits: train f32[1438,1,8,8] i64[1438], test f32[359,1,8,8] i64[359], 10 classes)
    """
    if not 0 < test < 1:
        raise DataError(message(f"test is {test!r}", "it is a share of the images, 0 < test < 1", "test=0.2"))
    from sklearn.datasets import load_digits  # noqa: PLC0415 - slow to load

    pixels, labels = load_digits(return_X_y=True)
    images = (pixels / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    labels = labels.astype(np.int64)
    chosen = np.zeros(len(labels), bool)
    for number in range(10):
        members = np.flatnonzero(labels == number)
        shuffled = members[random_order(checked_seed(seed), number, len(members))]
        chosen[shuffled[: round(len(members) * test)]] = True
    return ImageData((images[~chosen], labels[~chosen]), (images[chosen], labels[chosen]), _DIGITS, "digits")


def mnist(directory: str | os.PathLike[str] | None = None, *, scale: bool = True) -> ImageData:
    """MNIST: 70,000 handwritten digits of 28 × 28 pixels.

    Args:
        directory: Where the four IDX files are, compressed or not, or the folder above. Without it
            they are looked for under the folder named by the environment variable ``BOXGRAD_DATA``
            and else downloaded, checked by their SHA-256, and kept in the user's cache.
        scale: False leaves the pixels as they are, uint8 from 0 to 255.

    Returns:
        Images float32 (N, 1, 28, 28) in [0, 1], labels int64 (N,) from 0 to 9; N is 60,000 and
        10,000.

    Raises:
        DataError: if the files are not there, are damaged, or hold something else.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition", 1998.

    >>> mnist("no-such-folder")
    Traceback (most recent call last):
        ...
    boxgrad.data.errors.DataError: no-such-folder does not hold mnist
    ...
    """
    return _load(MNIST, directory, _DIGITS, scale)


def fashion(directory: str | os.PathLike[str] | None = None, *, scale: bool = True) -> ImageData:
    """Fashion-MNIST: 70,000 pictures of clothes of 28 × 28 pixels, in the format of MNIST.

    Args:
        directory: Where the four IDX files are; see :func:`mnist`.
        scale: False leaves the pixels as they are, uint8 from 0 to 255.

    Returns:
        Images float32 (N, 1, 28, 28) in [0, 1], labels int64 (N,) from 0 to 9; N is 60,000 and
        10,000.

    Raises:
        DataError: if the files are not there, are damaged, or hold something else.

    Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine
    learning algorithms", 2017 (arXiv:1708.07747).

    >>> fashion("no-such-folder")
    Traceback (most recent call last):
        ...
    boxgrad.data.errors.DataError: no-such-folder does not hold fashion
    ...
    """
    return _load(FASHION, directory, _CLOTHES, scale)


def _load(
    archive: Archive, directory: str | os.PathLike[str] | None, classes: tuple[str, ...], scale: bool
) -> ImageData:
    files = locate(archive, directory)
    parts = []
    for part in ("train", "t10k"):
        images, labels = read_idx(files[f"{part}-images"]), read_idx(files[f"{part}-labels"])
        fits = (
            images.ndim == 3
            and images.shape[1:] == (28, 28)
            and labels.shape == images.shape[:1]
            and images.dtype == labels.dtype == np.uint8
            and len(labels) > 0
        )
        if not fits or labels.max() >= len(classes):
            raise DataError(
                message(
                    f"{files[f'{part}-images'].parent} does not hold {archive.name}",
                    f"the {part} images are {ArrayType.of(images)}, the labels "
                    f"{ArrayType.of(labels)}; expected u8[N,28,28] and u8[N] below {len(classes)}",
                    "put the original files there, or remove these and let them be downloaded",
                )
            )
        images = images[:, np.newaxis]
        if scale:
            images = images.astype(np.float32) / np.float32(255)
        parts.append((images, labels.astype(np.int64)))
    return ImageData(parts[0], parts[1], classes, archive.name)

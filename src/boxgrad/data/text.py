"""Text as numbers of characters, and windows of it for recurrent networks.

Knows characters and streams; knows nothing of models.
"""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from boxgrad.data.epochs import Epochs, at_least_one, random_bits
from boxgrad.data.errors import DataError
from boxgrad.errors import message

# Modules of the standard library that are one file of plain ASCII; any that is not is passed over.
_MODULES = """
    argparse ast base64 bdb calendar cmd codecs configparser contextlib copy csv dataclasses difflib
    dis doctest enum fileinput fnmatch glob gzip hashlib hmac imaplib inspect io ipaddress linecache
    locale mailbox mimetypes netrc ntpath numbers opcode operator optparse os pdb pickle pickletools
    platform plistlib poplib posixpath pprint profile pstats queue quopri random reprlib sched
    selectors shelve shutil smtplib socket socketserver ssl stat subprocess tarfile tempfile
    textwrap threading timeit tokenize trace traceback tracemalloc types typing uuid warnings wave
    weakref webbrowser zipapp
"""
_LARGEST = 2_000_000


@dataclass(frozen=True, eq=False, repr=False)
class TextData:
    """A text as numbers of characters, divided into a part to learn from and a part to measure on.

    Attributes:
        train: The numbers of the characters in the first part of the text, int64 (N,).
        validation: Those in the last part.
        vocabulary: All characters of the text, in the order of their numbers.
    """

    train: Any
    validation: Any
    vocabulary: str

    def encode(self, text: str) -> Any:
        """The numbers of the characters of a text, int64 (N,).

        Raises:
            DataError: if a character is not in the vocabulary.
        """
        return _encode(text, self.vocabulary)

    def decode(self, ids: Any) -> str:
        """The text whose characters have these numbers; an array (N,) or any integers.

        Raises:
            DataError: if a number is none of a character.
        """
        numbers = np.asarray(ids).ravel()
        if numbers.size and not (
            numbers.dtype.kind in "iu" and 0 <= numbers.min() <= numbers.max() < len(self.vocabulary)
        ):
            raise DataError(
                message(
                    f"these are not numbers of characters: {numbers[:10]}",
                    f"characters are numbered from 0 to {len(self.vocabulary) - 1}",
                    "decode what encode, train or validation gave",
                )
            )
        return "".join(self.vocabulary[number] for number in numbers)

    def sequences(
        self, part: Literal["train", "validation"], batch_size: int, length: int, *, seed: int | None = None
    ) -> Sequences:
        """Batches of windows of one part; see :func:`sequences`. Validation is always in order."""
        if part not in ("train", "validation"):
            raise DataError(
                message(
                    f"there is no part {part!r}",
                    "a text has two parts",
                    'sequences("train", …) or sequences("validation", …)',
                )
            )
        return sequences(
            getattr(self, part), length=length, batch_size=batch_size, seed=seed, shuffle=part == "train"
        )

    def __repr__(self) -> str:
        return (
            f"TextData(train {len(self.train):,}, validation {len(self.validation):,}, "
            f"{len(self.vocabulary)} different characters)"
        )


def text(source: str | os.PathLike[str] | None = None, *, validation: float = 0.1) -> TextData:
    """A text as characters: that of a file, or the sources of Python's standard library.

    Args:
        source: A text file in UTF-8. Without it, modules of the standard library of the running
            Python are read one after the other, 2 million characters at most; they differ a little
            from one version of Python to the next.
        validation: The share of the text, at its end, that is kept for validation, 0 < share < 1.

    Returns:
        The numbers of the characters, in the two parts, and the vocabulary: the different
        characters of the text in the order of their code points.

    Raises:
        DataError: if the file is not there, is not UTF-8, or is too short to be divided.

    Source: Karpathy, "The unreasonable effectiveness of recurrent neural networks", 2015.

    >>> data = text()
    >>> data.decode(data.encode("def f(x):"))
    'def f(x):'
    """
    if not 0 < validation < 1:
        raise DataError(
            message(
                f"validation is {validation!r}",
                "it is a share of the text, 0 < validation < 1",
                "validation=0.1",
            )
        )
    content = _standard_library() if source is None else _read(Path(source))
    vocabulary = "".join(sorted(set(content)))
    ids = _encode(content, vocabulary)
    kept = len(ids) - round(len(ids) * validation)
    if min(kept, len(ids) - kept) < 2:
        raise DataError(
            message(
                f"the text has only {len(ids)} characters",
                "each part needs at least two: one to read and one to foretell",
                "use a longer text; a model learns something from about 100,000 on",
            )
        )
    return TextData(ids[:kept], ids[kept:], vocabulary)


def sequences(
    ids: Any, *, length: int, batch_size: int, seed: int | None = None, shuffle: bool = True
) -> Sequences:
    """Read a text as parallel streams, a window at a time, for recurrent networks.

    The text is cut into B streams of equal length that are read side by side. The window of one
    batch continues that of the batch before, in every stream: a network may carry its state on from
    batch to batch within an epoch (and start anew where an epoch starts), or start anew each time.
    Targets are the inputs one character later.

    Args:
        ids: Numbers of characters, integers (N,).
        length: T, characters in a window.
        batch_size: B, streams.
        seed: What the first character of the streams depends on, with the epoch: it is one of the
            first T, so that windows begin elsewhere in each epoch. None for a fresh seed.
        shuffle: False always starts at the first character, for validation.

    Returns:
        :class:`Sequences`: iterate over it once per epoch. A batch is ``(inputs, targets)``, both
        (T, B), time first, as ``bg.scan`` reads them.

    Raises:
        DataError: if the text is too short for one window, or an argument is out of range.

    Source: truncated back-propagation through time with carried state; Zaremba, Sutskever and
    Vinyals, "Recurrent neural network regularization", 2014 (arXiv:1409.2329), section 4.1.

    >>> for x, y in sequences(np.arange(9), length=2, batch_size=2, shuffle=False):
    ...     print(x.tolist(), y.tolist())
    [[0, 4], [1, 5]] [[1, 5], [2, 6]]
    [[2, 6], [3, 7]] [[3, 7], [4, 8]]
    """
    return Sequences(ids, length=length, batch_size=batch_size, seed=seed, shuffle=shuffle)


@final
class Sequences(Epochs):
    """A text as parallel streams; made by :func:`sequences`."""

    def __init__(self, ids: Any, *, length: int, batch_size: int, seed: int | None, shuffle: bool) -> None:
        super().__init__(seed)
        self.ids = np.asarray(ids)
        self.length = at_least_one("length", length)
        self.batch_size = at_least_one("batch_size", batch_size)
        self.shuffle = shuffle
        if self.ids.ndim != 1 or self.ids.dtype.kind not in "iu":
            raise DataError(
                message(
                    f"ids is {self.ids.dtype}{list(self.ids.shape)}",
                    "a text is an array of whole numbers with one axis",
                    "pass data.train, or data.encode(text)",
                )
            )
        if len(self) == 0:
            least = self.length * self.batch_size + self._unread
            raise DataError(
                message(
                    f"a text of {len(self.ids):,} characters is too short",
                    f"{self.batch_size} streams of one window of {self.length} need {least:,}",
                    "use a smaller batch_size or length, or a longer text",
                )
            )

    @property
    def _unread(self) -> int:
        """Characters that no window may begin with: the last target, and room for the start."""
        return self.length if self.shuffle else 1

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The text, as one array."""
        return (self.ids,)

    def __len__(self) -> int:
        return max(0, len(self.ids) - self._unread) // (self.length * self.batch_size)

    def batches_from(self, epoch: int, start: int) -> Iterator[tuple[Any, Any]]:
        offset = 0
        if self.shuffle:
            offset = int(random_bits(self.seed, epoch, 1)[0] % np.uint64(self.length))
        size = len(self) * self.length * self.batch_size
        inputs = self.ids[offset : offset + size].reshape(self.batch_size, -1).T
        targets = self.ids[offset + 1 : offset + 1 + size].reshape(self.batch_size, -1).T
        for number in range(start, len(self)):
            window = slice(number * self.length, (number + 1) * self.length)
            yield inputs[window].copy(), targets[window].copy()

    def __repr__(self) -> str:
        order = f"seed={self.seed}" if self.shuffle else "in order"
        return (
            f"Sequences({len(self.ids):,} characters, {len(self):,} windows of {self.length} in "
            f"{self.batch_size} streams, {order}, epoch {self.epoch}, position {self.position})"
        )


def _encode(content: str, vocabulary: str) -> np.ndarray:
    codes, known = _code_points(content), _code_points(vocabulary)
    if not len(known):
        return np.zeros(0, np.int64)
    ids = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    unknown = known[ids] != codes
    if unknown.any():
        names = sorted({content[place] for place in np.flatnonzero(unknown)})
        shown = ", ".join(map(repr, names[:10])) + (" …" if len(names) > 10 else "")
        raise DataError(
            message(
                f"characters that are not in the vocabulary: {shown}",
                f"only the {len(vocabulary)} characters of the text that was read have numbers",
                f"leave them out, or use others: {vocabulary!r}",
            )
        )
    return ids.astype(np.int64)


def _code_points(content: str) -> np.ndarray:
    return np.frombuffer(content.encode("utf-32-le", "surrogatepass"), "<u4")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        what = f"{path} is not a text in UTF-8"
        why = f"byte {problem.start:,} ({problem.object[problem.start]:#04x}): {problem.reason}"
        repair = "convert the file, for instance: iconv -f latin1 -t utf-8 old.txt > new.txt"
        raise DataError(message(what, why, repair)) from problem
    except OSError as problem:
        raise DataError(
            message(
                f"{path} cannot be read",
                f"{problem.strerror or problem}",
                "pass the path of a text file, or nothing for Python's standard library",
            )
        ) from problem


def _standard_library() -> str:
    folder = Path(sysconfig.get_path("stdlib"))
    parts: list[str] = []
    for module in _MODULES.split():
        path = folder / f"{module}.py"
        content = path.read_text(encoding="utf-8") if path.is_file() else ""
        if content.isascii():
            parts.append(content)
    joined = "".join(parts)
    if not joined:
        raise DataError(
            message(
                f"there are no sources of the standard library in {folder}",
                "this Python was installed without them",
                "pass a text file of your own: text('book.txt')",
            )
        )
    return joined[:_LARGEST]

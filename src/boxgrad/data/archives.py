"""Where the files of MNIST and Fashion-MNIST are: a folder, ``BOXGRAD_DATA``, or the network.

Knows names of files, checksums and addresses; knows nothing of what is inside the files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boxgrad.data.errors import DataError
from boxgrad.errors import message

VARIABLE = "BOXGRAD_DATA"


@dataclass(frozen=True)
class Archive:
    """Four files, by their part ("train-images" …): where to look for them and what they are."""

    name: str
    folders: tuple[str, ...]
    mirrors: tuple[str, ...]
    checksums: Mapping[str, str]


MNIST = Archive(
    "mnist",
    ("mnist", "MNIST", "MNIST/raw"),
    ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    {
        "train-images": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
)
FASHION = Archive(
    "fashion",
    ("fashion-mnist", "fashion", "FashionMNIST", "FashionMNIST/raw"),
    ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    {
        "train-images": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
)
_ALL = (MNIST, FASHION)


def locate(archive: Archive, directory: str | os.PathLike[str] | None) -> dict[str, Path]:
    """The four files: in the directory given, else under ``BOXGRAD_DATA``, else downloaded.

    Raises:
        DataError: if the directory does not hold them, or they cannot be downloaded.
    """
    if directory is not None:
        found = _search(archive, Path(directory))
        if found is None:
            raise DataError(_not_there(archive, Path(directory)))
        return found
    if os.environ.get(VARIABLE):
        found = _search(archive, Path(os.environ[VARIABLE]))
        if found is not None:
            return found
    return _download(archive)


def _names(part: str) -> list[str]:
    axes = 3 if part.endswith("images") else 1
    plain = [f"{part}-idx{axes}-ubyte", f"{part}.idx{axes}-ubyte"]
    return [name + ending for name in plain for ending in (".gz", "")]


def _search(archive: Archive, root: Path) -> dict[str, Path] | None:
    for folder in (*(root / name for name in archive.folders), root):
        found = {
            part: folder / name
            for part in archive.checksums
            for name in reversed(_names(part))
            if (folder / name).is_file()
        }
        if found.keys() == archive.checksums.keys() and not _owner(found, archive):
            return found
    return None


def _owner(found: dict[str, Path], archive: Archive) -> str | None:
    """The other data set that these files belong to: all of them use the same names."""
    digest = hashlib.sha256(found["train-labels"].read_bytes()).hexdigest()
    for other in _ALL:
        if other is not archive and other.checksums["train-labels"] == digest:
            return other.name
    return None


def _not_there(archive: Archive, root: Path) -> str:
    files = ", ".join(_names(part)[0] for part in archive.checksums)
    return message(
        f"{root} does not hold {archive.name}",
        f"looked there and in its folders {', '.join(archive.folders)} for {files} (with or "
        "without .gz), and passed over files that are another data set's",
        f"put the four files there, or leave the directory away and let {archive.name} download",
    )


def _download(archive: Archive) -> dict[str, Path]:
    import pooch  # noqa: PLC0415 - only a download needs it

    folder = Path(pooch.os_cache("boxgrad")) / archive.name
    found: dict[str, Path] = {}
    for part, checksum in archive.checksums.items():
        name = _names(part)[0]
        problems = []
        for mirror in archive.mirrors:
            try:
                path = pooch.retrieve(mirror + name, known_hash=f"sha256:{checksum}", fname=name, path=folder)
            # No network is an OSError, a wrong checksum a ValueError.
            except (OSError, ValueError) as problem:
                problems.append(f"{mirror}: {problem}")
            else:
                found[part] = Path(path)
                break
        else:
            raise DataError(
                message(
                    f"{name} of {archive.name} cannot be downloaded",
                    "; ".join(problems),
                    f"without a network: put {', '.join(map(_first_name, archive.checksums))} "
                    f"into a folder and pass it, or name it in {VARIABLE}",
                )
            )
    return found


def _first_name(part: str) -> str:
    return _names(part)[0]

"""Values as pictures: numbers in cells, heat-maps, tiles of feature maps, summaries.

Small arrays are shown as numbers on a diverging scale of their own; larger matrices as heat-maps; stacks of
matrices as their first few, images in grey; beyond that min, max, mean and norm. A gradient is pictured in
the way and the size of the value it belongs to.

Knows arrays and sizes; knows nothing of boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from boxgrad.explain.document import Brackets, Cells, Label, Part, Raster, Run, text_width
from boxgrad.explain.words import Words, word

SUMMARY: Words = {
    "min": {"en": "min", "zh": "最小"},
    "max": {"en": "max", "zh": "最大"},
    "mean": {"en": "mean", "zh": "平均"},
    "norm": {"en": "norm", "zh": "范数"},
    "first": {"en": "{shown} of {count}", "zh": "{count} 个中的 {shown} 个"},
}
CELL = (48.0, 24.0)
SMALL_CELL = (40.0, 20.0)
TILES = 3
CAPTION = 16.0


@dataclass(frozen=True, slots=True)
class Picture:
    """How an array is pictured: ``kind`` is scalar, cells, heat, tiles or summary; its size with caption."""

    kind: str
    width: float
    height: float
    shape: tuple[int, ...]
    dense: bool
    grey: bool = False


def picture_of(value: Any, shape: tuple[int, ...], dense: bool, image: bool = False) -> Picture:
    """The way to show an array of a shape; ``image`` where it may be a picture of light."""
    if value is None:
        return Picture("nothing", 0.0, 0.0, shape, dense)
    kind = np.asarray(value).dtype.kind
    if np.size(value) == 0 or kind not in "fiub":
        return Picture("nothing", 0.0, 0.0, shape, dense)
    if shape == ():
        return Picture("scalar", 64.0, 24.0, shape, dense)
    cell, most = (SMALL_CELL, 4) if dense else (CELL, 6)
    rows, columns = _plane(shape)
    if len(shape) <= 2 and rows <= most and columns <= most:
        return Picture("cells", columns * cell[0], rows * cell[1], shape, dense)
    extent = 56.0 if dense else 96.0
    if len(shape) == 1:
        return Picture("heat", 2 * extent, 14 + CAPTION, shape, dense)
    if len(shape) == 2 and (max(shape) > 128 or max(shape) / min(shape) > 24):
        return Picture("summary", 156.0, 34.0, shape, dense)
    if len(shape) == 2:
        width, height = _scaled(columns, rows, extent)
        return Picture("heat", width, height + CAPTION, shape, dense)
    if max(rows, columns) > 512:
        return Picture("summary", 156.0, 34.0, shape, dense)
    count = min(_stack(shape), TILES)
    width, height = _scaled(columns, rows, 40.0 if dense else 56.0)
    grey = image and bool(np.min(value) >= 0)
    return Picture("tiles", count * width + (count - 1) * 4, height + CAPTION, shape, dense, grey)


def scale_of(picture: Picture, value: Any) -> int:
    """The power of ten by which the numbers of a picture are to be multiplied."""
    if picture.kind not in ("cells", "scalar") or value is None:
        return 0
    array = np.asarray(value)
    return exponent(array.reshape(-1)) if array.dtype.kind == "f" else 0


def _plane(shape: tuple[int, ...]) -> tuple[int, int]:
    return (shape[-2], shape[-1]) if len(shape) > 1 else (1, shape[0])


def _stack(shape: tuple[int, ...]) -> int:
    """How many matrices there are along the last axis before the matrix that has more than one."""
    return next((size for size in reversed(shape[:-2]) if size > 1), 1)


def _scaled(columns: int, rows: int, extent: float) -> tuple[float, float]:
    scale = min(extent / max(columns, rows), 16.0)
    return max(columns * scale, 10.0), max(rows * scale, 10.0)


def draw(picture: Picture, value: Any, x: float, y: float, tone: str, lang: str) -> list[Part]:
    """The parts of a picture of an array at a place."""
    if picture.kind == "nothing" or value is None:
        return []
    array = np.asarray(value)
    array = array.astype(np.float64) if array.dtype.kind != "f" else array
    size = 10.0 if picture.dense else 12.0
    if picture.kind == "scalar":
        runs = (Run(numbers(array.reshape(1))[0]),)
        return [Label((x + picture.width / 2, y + 18), runs, 14 if picture.dense else 18, tone, bold=True)]
    if picture.kind == "cells":
        return _cells(picture, array, x, y, size)
    if picture.kind == "summary":
        return _summary(picture, array, x, y, lang)
    return _raster(picture, array, x, y, lang)


def levels(array: Any) -> Any:
    """Each number as a part of the largest magnitude, with its sign; NaN and infinities as ±1."""
    finite = np.where(np.isfinite(array), array, 0.0)
    largest = float(np.max(np.abs(finite), initial=0.0))
    scaled = finite / largest if largest > 0 else finite
    return np.where(np.isfinite(array), scaled, np.sign(np.where(np.isnan(array), 1.0, array)))


def exponent(array: Any) -> int:
    """The power of ten that the numbers of an array have in common where they are very large or small.

    >>> exponent(np.array([1.5e-7, 2e-8])), exponent(np.array([3.0]))
    (-7, 0)
    """
    finite = np.abs(array[np.isfinite(array)])
    largest = float(np.max(finite, initial=0.0))
    if largest == 0 or 1e-3 <= largest < 1e5 or (largest < 1e15 and np.all(finite == np.rint(finite))):
        return 0
    return int(np.floor(np.log10(largest)))


def numbers(array: Any) -> list[str]:
    """The numbers of an array in the same few digits, with true minus signs; see ``exponent``.

    >>> numbers(np.array([1.5, -0.25])), numbers(np.array([1.0, 2.0]))
    (['1.500', '−0.250'], ['1', '2'])
    """
    finite = array[np.isfinite(array)]
    largest = float(np.max(np.abs(finite), initial=0.0))
    if np.all(finite == np.rint(finite)) and largest < 1e5:
        shape = "{:.0f}"
    elif exponent(array):
        array, shape = array / 10.0 ** exponent(array), "{:.3f}"
    else:
        shape = f"{{:.{3 if largest < 10 else 2 if largest < 100 else 1}f}}"
    found = []
    for number in array.reshape(-1):
        text = shape.format(float(number) + 0.0)
        text = text if any(c in "123456789" for c in text) or not np.isfinite(number) else text.lstrip("-")
        found.append(text.replace("-", "−").replace("inf", "∞"))
    return found


def _cells(picture: Picture, array: Any, x: float, y: float, size: float) -> list[Part]:
    rows, columns = _plane(picture.shape)
    texts, shades = numbers(array), levels(array).reshape(-1)
    indices = list(np.ndindex(*picture.shape))
    split = [slice(row * columns, (row + 1) * columns) for row in range(rows)]
    cell = (picture.width / columns, picture.height / rows)
    cells = Cells(
        (x, y),
        cell,
        tuple(tuple(texts[part]) for part in split),
        tuple(tuple(float(v) for v in shades[part]) for part in split),
        size,
        tuple(tuple(indices[part]) for part in split),
    )
    return [cells, Brackets((x, y, picture.width, picture.height))]


def _short(number: float) -> str:
    return f"{number:.3g}".replace("-", "−").replace("e−0", "e−").replace("e+0", "e")


def _caption(text: str, x: float, y: float) -> Label:
    return Label((x, y), (Run(text),), 10.0, "number", "start")


def _range(array: Any) -> str:
    return f"{_short(float(np.min(array)))} … {_short(float(np.max(array)))}"


def _raster(picture: Picture, array: Any, x: float, y: float, lang: str) -> list[Part]:
    height, parts = picture.height - CAPTION, list[Part]()
    if picture.kind == "heat":
        flat = array.reshape(_plane(picture.shape))
        if flat.shape[1] > 256:
            flat = flat[:, : flat.shape[1] // 256 * 256].reshape(1, 256, -1).mean(axis=2)
        box = (x, y, picture.width, height)
        parts += [Raster(box, levels(flat)), Brackets(box)]
    else:
        stack = array.reshape(-1, *picture.shape[-2:])
        step = 1
        for size in reversed(picture.shape[:-2]):
            if size > 1:
                break
        count = min(_stack(picture.shape), TILES)
        width = (picture.width - 4 * (count - 1)) / count
        shades = levels(stack[: count * step])
        for number in range(count):
            box = (x + number * (width + 4), y, width, height)
            parts.append(Raster(box, shades[number], picture.grey))
        whole = (x, y, picture.width, height)
        parts.append(Brackets(whole))
    text = _range(array)
    if text_width(text, 10) < picture.width + 30:
        parts.append(_caption(text, x, y + height + 14))
    return parts


def _summary(picture: Picture, array: Any, x: float, y: float, lang: str) -> list[Part]:
    finite = array[np.isfinite(array)]
    values = {
        "min": np.min(finite, initial=np.inf), "max": np.max(finite, initial=-np.inf),
        "mean": np.mean(finite) if finite.size else 0.0, "norm": np.sqrt(np.sum(finite * finite)),
    }  # fmt: skip
    parts: list[Part] = [Brackets((x, y, picture.width, picture.height))]
    for number, (key, value) in enumerate(values.items()):
        at = x + 6 + (number % 2) * picture.width / 2, y + 14 + (number // 2) * 14
        runs = (Run(f"{word(key, lang, SUMMARY)} {float(value):.2g}".replace("-", "−")),)
        parts.append(Label(at, runs, 10, "number", "start"))
    return parts

"""Places in printed formulas: u_{i−1}, p_{i,yᵢ}, Σ_{k≤i}, Π_{k≠i}. They count from 0.

It shares no code with boxgrad.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np


def split(text: str) -> list[str]:
    """The parts of an index: i,yᵢ has two; ij has two; i+1 is one."""
    if "," not in text:
        return list(text) if text.isascii() and text.isalpha() else [text]
    parts, depth, current = [], 0, ""
    for c in text:
        depth += (c in "({") - (c in ")}")
        if c == "," and not depth:
            parts.append(current)
            current = ""
        else:
            current += c
    return [*parts, current]


def is_computed(text: str) -> bool:
    """Whether an index is more than letters, or a slice as in code."""
    if re.search(r"[:∗…×→]", text) or not text:
        return False
    parts = split(text)
    if all(len(part) == 1 and part.isalpha() for part in parts):
        return False
    if len(parts) > 1 and any(re.fullmatch(r"t([+−]\d)?", part) for part in parts):
        return False
    letters = any(re.search(r"[^\d\W]", part) for part in parts)
    return letters and not re.fullmatch(r"t[+−]\d|t", text)


def joined(conditions: list[str]) -> list[str]:
    """Conditions that a comma inside brackets took apart."""
    return [part for part in split(",".join(conditions)) if part]


def bound(parts: list[str]) -> list[str]:
    """The letters that run: k of k≤i, k and l of (k,l)≠(i,j)."""
    found: list[str] = []
    for part in joined(parts):
        left = re.split(r"[≤≥≠<>=]", part)[0]
        found += [c for c in left if c.isalpha() and c not in found]
    return found


def picked(array: Any, places: list[tuple[Any, tuple[str, ...]]]) -> tuple[Any, tuple[str, ...]]:
    """The elements at places that have letters themselves; not a number where there is none."""
    array = np.asarray(array, float)
    long = [n for n in array.shape if n != 1]
    array = array.reshape(long if len(long) == len(places) else array.shape)
    axes = tuple(dict.fromkeys(c for _, letters in places for c in letters))
    index, inside = [], np.True_
    for (place, letters), n in zip(places, array.shape, strict=True):
        order = [letters.index(c) for c in axes if c in letters]
        sizes = iter(np.transpose(place, order).shape)
        spread = np.transpose(place, order).reshape([next(sizes) if c in letters else 1 for c in axes])
        whole = np.asarray(spread, float)
        if not np.array_equal(whole, np.round(whole)):
            raise ValueError("a place is a whole number")
        inside = inside & (whole >= 0) & (whole < n)
        index.append(np.clip(whole, 0, n - 1).astype(int))
    return np.where(inside, array[tuple(index)], np.nan), axes
